// What Finnhub answers and streams, decoded: bytes in, values out, nothing else.
//
// A vendor's bytes may be anything: HTML with status 200, zeros for prices, texts for numbers.
// Everything has an answer here, and prices never pass through floating point.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_message.h"
#include "market/quote.h"

namespace tapeline::feeds::finnhub {

/// What became of a call. The words are those of the metric tapeline_finnhub_calls_total.
enum class Outcome : std::uint8_t {
  ok,            // a new quote
  unchanged,     // the same t as before
  zero,          // all zeros: no data, never a price
  stale,         // of an earlier session, while a later one has begun
  limited,       // 429
  forbidden,     // 403: not in the key's plan
  unauthorized,  // 401: the key is refused
  bad_answer,    // no JSON, no quote, a redirect
  timeout,
  error,  // no connection, 5xx
};

constexpr std::string_view to_string(Outcome outcome) {
  constexpr std::string_view kWords[] = {"ok",      "unchanged", "zero",         "stale",
                                         "limited", "forbidden", "unauthorized", "bad_answer",
                                         "timeout", "error"};
  return kWords[static_cast<std::size_t>(outcome)];
}
constexpr int kOutcomes = 10;

/// What /quote says of a symbol's trading day.
///
/// source: `c` price, `h`, `l`, `o` of the day, `pc` previous close, `t` seconds since 1970. What
/// is
///         0 there is none here.
struct DayQuote {
  Price price;
  std::optional<Price> open;
  std::optional<Price> high;
  std::optional<Price> low;
  std::optional<Price> previous_close;
  Timestamp at;

  friend bool operator==(const DayQuote&, const DayQuote&) = default;
};

struct DecodedAnswer {
  Outcome outcome = Outcome::bad_answer;  // ok means: a quote; whether it is new, others say
  DayQuote quote;                         // for ok
  std::optional<Duration> retry_after;    // for limited, where the server says it in seconds
  std::string detail;                     // for the others: why, for people
};

/// The first words of what a server said, fit for a line. A long one, which may be a key in some
/// encoding, is left out, and none is cut: half a key is one too.
std::string words_of(std::string_view said);

/// Reads an answer of /quote, whatever its status is.
DecodedAnswer decode_quote(const io::HttpResponse& response);

/// A message of the stream.
struct Frame {
  enum class Type : std::uint8_t { trade, ping, error, other, malformed };
  Type type = Type::malformed;
  std::vector<Trade> trades;    // in the message's order
  std::int64_t unreadable = 0;  // trades whose symbol, price, size or time cannot be
  std::string message;          // of an error; for people through words_of
};

constexpr std::string_view to_string(Frame::Type type) {
  constexpr std::string_view kWords[] = {"trade", "ping", "error", "other", "malformed"};
  return kWords[static_cast<std::size_t>(type)];
}
constexpr int kFrameTypes = 5;

/// Reads a message of the stream. A trade's `conditions` stand for its list of condition codes:
/// equal lists give equal numbers. A size with a fraction is rounded to whole shares.
Frame decode_frame(std::string_view bytes);

/// {"type":"subscribe","symbol":"AAPL"}
std::string subscribe_message(const Symbol& symbol, bool subscribe);

}  // namespace tapeline::feeds::finnhub
