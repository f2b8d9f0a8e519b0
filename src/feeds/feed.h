// A feed is where market data comes from: files, the simulated exchange, a vendor.
//
// It gives what it knows in the form in which it knows it: quotes, trades or bars. Making quotes
// of trades and bars, stamping and encoding is ingest's work.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "market/quote.h"

namespace tapeline::feeds {

/// What a feed's prices are. Simulated ones never pass for real ones, nor replayed for live.
enum class FeedClass : std::uint8_t { live, replay, simulated };

constexpr std::string_view to_string(FeedClass feed_class) {
  switch (feed_class) {
    case FeedClass::live:
      return "live";
    case FeedClass::replay:
      return "replay";
    case FeedClass::simulated:
      return "simulated";
  }
  return "live";
}

/// A stretch of time for which a feed did not deliver: begin <= t < end.
struct Gap {
  std::string feed;
  std::optional<Symbol> symbol;  // none: all of the feed's
  Timestamp begin;
  Timestamp end;
  std::string cause;
  std::optional<Timestamp> healed_at = {};  // when the feed delivered again; none: not yet

  friend bool operator==(const Gap&, const Gap&) = default;
};

/// What a vendor says of a symbol's regular session so far, for who did not see all of it.
struct DaySeed {
  Symbol symbol;
  Timestamp at;  // of the day that it is about
  std::optional<Price> open;
  std::optional<Price> high;
  std::optional<Price> low;
  std::optional<Price> previous_close;

  friend bool operator==(const DaySeed&, const DaySeed&) = default;
};

/// From `at` on a feed delivers all trades of a symbol; what was before it does not know.
struct Joined {
  Symbol symbol;
  Timestamp at;

  friend bool operator==(const Joined&, const Joined&) = default;
};

/// Bytes that go to the topic as they are: what a misbehaving exchange sends.
struct RawPayload {
  Symbol symbol;
  std::string bytes;

  friend bool operator==(const RawPayload&, const RawPayload&) = default;
};

/// What one poll brought, each list in the feed's order.
struct FeedBatch {
  std::vector<Quote> quotes;
  std::vector<Trade> trades;
  std::vector<Bar> bars;
  std::vector<RawPayload> raw;
  std::vector<Gap> gaps;  // the same feed, symbol and begin again: it grew, or it healed
  std::vector<Joined> joined;
  std::vector<DaySeed> seeds;

  /// No trade before this instant comes any more, so that milliseconds before it are whole.
  /// None: a millisecond is over when its symbol's next one begins.
  std::optional<Timestamp> settled;

  bool empty() const {
    return quotes.empty() && trades.empty() && bars.empty() && raw.empty() && gaps.empty() &&
           joined.empty() && seeds.empty();
  }
};

class Feed {
 public:
  virtual ~Feed() = default;

  /// "simulator", "replay", …: a label of metrics and the word in gaps.
  virtual std::string_view name() const = 0;

  /// What the feed's messages carry as data_source.
  virtual std::string_view data_source() const = 0;

  virtual FeedClass feed_class() const = 0;

  /// What has come since the last call; an empty batch means "nothing yet".
  ///
  /// shape:   about `rows_max` rows at most
  /// errors:  the feed's own; after corrupt or invalid_argument it will not go on
  /// blocks:  at most one read deadline; never until news comes
  /// threads: one at a time
  virtual Result<FeedBatch> poll(std::size_t rows_max) = 0;

  /// Nothing will ever come again.
  virtual bool finished() const = 0;
};

}  // namespace tapeline::feeds
