#include "feeds/finnhub/followed.h"

#include <algorithm>

namespace tapeline::feeds::finnhub {
namespace {

using std::chrono::seconds;

constexpr std::size_t kSecondsRemembered = 300;
constexpr seconds kAround(2);  // an answer's t is a whole second, and not always the same one
constexpr std::int64_t kTolerance = 200;  // 1/200, 0.5 %: other venues, other conditions

}  // namespace

void Followed::remember(const Trade& trade) {
  const auto second = std::chrono::floor<seconds>(trade.event_time);
  const auto place = std::ranges::lower_bound(trades, second, {}, &SecondOfTrades::second);
  if (place != trades.end() && place->second == second) {
    place->lowest = std::min(place->lowest, trade.price);
    place->highest = std::max(place->highest, trade.price);
    return;
  }
  trades.insert(place, {second, trade.price, trade.price});
  if (trades.size() > kSecondsRemembered) trades.pop_front();
}

Followed::Agreement Followed::compare(const DayQuote& quote) const {
  std::optional<Price> lowest;
  std::optional<Price> highest;
  for (const SecondOfTrades& one : trades) {
    if (one.second < quote.at - kAround || one.second > quote.at + kAround) continue;
    lowest = lowest ? std::min(*lowest, one.lowest) : one.lowest;
    highest = highest ? std::max(*highest, one.highest) : one.highest;
  }
  if (!lowest) return Agreement::unknown;
  const std::int64_t margin = quote.price.units() / kTolerance;
  const bool inside = quote.price.units() >= lowest->units() - margin &&
                      quote.price.units() <= highest->units() + margin;
  return inside ? Agreement::agrees : Agreement::differs;
}

bool any_trading(const Calendar& calendar, Timestamp begin, Timestamp end) {
  constexpr auto kBeforeOpen = std::chrono::minutes(330);
  constexpr auto kAfterClose = std::chrono::hours(4);
  const Date last = Calendar::new_york_date(end);
  for (Date date = Calendar::new_york_date(begin); date <= last;
       date = calendar.next_session(date)) {
    const auto hours = calendar.hours(date);
    if (hours && begin < hours->close + kAfterClose && end > hours->open - kBeforeOpen) return true;
  }
  return false;
}

Timestamp newest_open(const Calendar& calendar, Timestamp now) {
  const Date today = Calendar::new_york_date(now);
  const auto hours = calendar.hours(today);
  if (hours && now >= hours->open) return hours->open;
  return calendar.hours(calendar.previous_session(today))->open;
}

}  // namespace tapeline::feeds::finnhub
