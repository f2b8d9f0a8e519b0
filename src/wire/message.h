// The message on topic stock_prices: a Quote as JSON, and back.
//
// docs/formats/message.md is the format. Reading has two ways that agree on every
// message: a scanner for flat objects of known fields, which is what producers send,
// and simdjson for all other JSON. What cannot be a row is a dead letter with a reason.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "market/quote.h"

namespace tapeline::wire {

/// What a data directory holds. Simulated and market data never share one.
enum class DirectoryKind : std::uint8_t { market, simulated };

/// A message of more bytes is a dead letter.
constexpr std::size_t kMessageSizeMax = 64 << 10;

/// What `data_source` reads as where a message has none that can be used.
constexpr std::string_view kUnknownSource = "unknown";

/// A Quote as its message says it.
///
/// lifetime: symbol and data_source look into the message, or into the Decoder
///           (see there) where the message writes them with escapes
struct QuoteView {
  std::string_view symbol;
  std::string_view data_source = kUnknownSource;
  Price price;
  std::optional<Price> open;
  std::optional<Price> high;
  std::optional<Price> low;
  std::optional<Price> previous_close;
  std::optional<std::int64_t> volume;
  Timestamp event_time;
  std::optional<Timestamp> received_at;
  std::optional<Session> session;
  std::optional<BarLength> bar_length;
  bool history = false;

  friend bool operator==(const QuoteView&, const QuoteView&) = default;
};

/// What reading the message of `quote` would give.
/// lifetime: looks into `quote`
QuoteView view_of(const Quote& quote);

/// The Quote that a message says; the decoder has seen to it that its symbol is one.
Quote quote_of(const QuoteView& row);

/// Whether a second message of one key says nothing new: all but the key itself,
/// received_at and history are equal.
bool same_payload(const QuoteView& a, const QuoteView& b);

/// Why a message has no row.
enum class DeadReason : std::uint8_t {
  not_json,  // no JSON object, or not UTF-8, or nested too deep
  too_large,
  missing_symbol,  // absent or null
  missing_price,
  missing_timestamp,
  wrong_type_symbol,
  wrong_type_price,
  wrong_type_timestamp,
  symbol_form,
  price_range,  // more than DECIMAL(18,6) holds
  timestamp_form,
  too_far_ahead,     // more than a day after it was appended
  kind_mismatch,     // simulated in a market directory, or the other way round
  before_retention,  // of a day whose raw rows were given up; the loader knows, no decoder does
};

std::string_view to_string(DeadReason reason);

struct DeadLetter {
  DeadReason reason;
  std::string detail;  // for people: printable ASCII, lower case, no full stop
};

/// How often messages were loaded otherwise than they were written.
///
/// units: messages, each counted once under each name
struct Repairs {
  std::uint64_t zone_assumed = 0;    // a time without a zone was taken as UTC
  std::uint64_t price_rounded = 0;   // to six decimals
  std::uint64_t volume_unknown = 0;  // a volume of 0 that the original's producer means as unknown
  std::uint64_t field_dropped = 0;   // an optional field that does not fit its type was left out

  friend bool operator==(const Repairs&, const Repairs&) = default;
};

/// Writes `quote` as a message.
///
/// errors: none; a quote without a symbol, or with a data_source that has not the
///         form, is our own mistake
std::string encode(const Quote& quote);

/// Whether a data_source has the form `[a-z][a-z0-9-]{0,31}`.
bool is_data_source(std::string_view text);

class AnyMessage;

/// Reads messages of one directory.
///
/// threads: one at a time
class Decoder {
 public:
  explicit Decoder(DirectoryKind kind);
  ~Decoder();

  /// Fills `row`, or answers why there is none; `row` then means nothing.
  ///
  /// lifetime: `row` looks into `value`, and into this until forget()
  std::optional<DeadLetter> decode(std::string_view value, Timestamp appended_at, QuoteView& row);

  /// Over all rows so far.
  const Repairs& repairs() const { return repairs_; }

  /// Frees the strings that rows so far look into; call it between batches.
  void forget();

 private:
  const DirectoryKind kind_;
  Repairs repairs_;
  std::unique_ptr<AnyMessage> any_;
};

}  // namespace tapeline::wire
