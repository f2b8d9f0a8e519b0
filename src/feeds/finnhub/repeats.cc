#include "feeds/finnhub/repeats.h"

#include <algorithm>

namespace tapeline::feeds::finnhub {

std::int64_t Repeats::drop_repeats(std::vector<Trade>& trades) {
  std::vector<Seen*> touched;
  touched.reserve(trades.size());
  std::size_t kept = 0;
  for (const Trade& trade : trades) {
    auto& seen = symbols_[trade.symbol][trade.event_time];
    Seen& one = seen[{trade.price, trade.size, trade.conditions}];
    touched.push_back(&one);
    if (++one.in_this > one.kept) trades[kept++] = trade;
  }
  for (Seen* one : touched) {
    one->kept = std::max(one->kept, one->in_this);
    one->in_this = 0;
  }
  const auto dropped = static_cast<std::int64_t>(trades.size() - kept);
  trades.resize(kept);
  for (auto& [symbol, milliseconds] : symbols_) {
    const Timestamp oldest =
        milliseconds.empty() ? Timestamp{} : milliseconds.rbegin()->first - kRemembered;
    milliseconds.erase(milliseconds.begin(), milliseconds.lower_bound(oldest));
  }
  return dropped;
}

}  // namespace tapeline::feeds::finnhub
