// Followed: what the feed knows of one symbol while it follows it.

#pragma once

#include <deque>
#include <optional>
#include <string>

#include "feeds/feed.h"
#include "feeds/finnhub/decode.h"
#include "feeds/finnhub/silence.h"
#include "market/calendar.h"

namespace tapeline::feeds::finnhub {

/// The prices that the stream brought in one second, to compare calls with.
struct SecondOfTrades {
  Timestamp second;
  Price lowest;
  Price highest;
};

/// A symbol was silent for too long: the next answer of /quote decides.
struct Suspicion {
  std::optional<DayQuote> answer;
};

struct Followed {
  explicit Followed(Duration silence_min) : rate(silence_min) {}

  std::optional<Timestamp> last_answer;  // t of the newest answer of /quote
  std::optional<Timestamp> stood_in;     // t of the newest answer that became a quote
  std::optional<Timestamp> last_trade;   // event time of the newest trade
  Duration asked_at{0};                  // when the stream was asked for it
  TradeRate rate;
  bool wants_seed = false;
  std::optional<Suspicion> suspicion;  // until it trades
  std::optional<Gap> mute;
  std::deque<SecondOfTrades> trades;  // by second
  std::string error;                  // of its newest call, where that failed

  /// Keeps the price of a trade for comparisons.
  void remember(const Trade& trade);

  /// How the stream's trades compare with an answer of /quote.
  enum class Agreement : std::uint8_t { agrees, unknown, differs };
  Agreement compare(const DayQuote& quote) const;
};

/// Whether anything may have been traded in begin <= t < end: from five and a half hours before an
/// open to four hours after a close.
bool any_trading(const Calendar& calendar, Timestamp begin, Timestamp end);

/// The open of the newest session that has begun.
Timestamp newest_open(const Calendar& calendar, Timestamp now);

}  // namespace tapeline::feeds::finnhub
