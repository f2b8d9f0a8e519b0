#include "feeds/finnhub/call_plan.h"

#include <algorithm>
#include <set>

namespace tapeline::feeds::finnhub {
namespace {

constexpr double kBurstMax = 30;      // calls a second that every plan of the vendor stops at
constexpr double kBurstShare = 0.05;  // of a minute's calls: no minute has many more than its own

}  // namespace

Duration call_backoff(int failures, Rng& rng) {
  const auto pause = std::chrono::seconds(5) * (1 << std::clamp(failures - 1, 0, 2));
  return std::chrono::duration_cast<Duration>(pause * (1 + rng.uniform() / 4));
}

void CallPlan::follow(const std::vector<Symbol>& symbols, Duration uptime) {
  order_ = symbols;
  const std::set<Symbol> followed(symbols.begin(), symbols.end());
  std::erase_if(entries_, [&](const auto& entry) { return !followed.contains(entry.first); });
  for (const Symbol& symbol : symbols) entries_.try_emplace(symbol, Entry{.due = uptime});
}

void CallPlan::hurry(const Symbol& symbol, Duration uptime) {
  const auto found = entries_.find(symbol);
  if (found != entries_.end()) found->second.due = std::min(found->second.due, uptime);
}

void CallPlan::refill(Duration uptime) {
  const double rate = options_.calls_per_minute / 60.0;
  const double seconds = std::chrono::duration<double>(uptime - refilled_at_).count();
  refilled_at_ = uptime;
  const double most = std::clamp(options_.calls_per_minute * kBurstShare, 1.0, kBurstMax);
  calls_ = std::min(calls_ + seconds * rate, most);
}

std::optional<Symbol> CallPlan::next(Duration uptime) {
  if (uptime < all_wait_ || uptime < spaced_until_) return std::nullopt;
  const Symbol* first = nullptr;
  Entry* entry = nullptr;
  for (const Symbol& symbol : order_) {
    Entry& one = entries_[symbol];
    if (one.asked || one.due > uptime) continue;
    if (entry == nullptr || one.due < entry->due) {
      first = &symbol;
      entry = &one;
    }
  }
  if (entry == nullptr) return std::nullopt;
  refill(uptime);
  if (calls_ < 1) return std::nullopt;
  calls_ -= 1;
  spaced_until_ = uptime + options_.spacing;
  entry->asked = true;
  return *first;
}

void CallPlan::ended(const Symbol& symbol, Duration due, bool failed) {
  const auto found = entries_.find(symbol);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.asked = false;
  entry.due = due;
  entry.failures = failed ? entry.failures + 1 : 0;
}

void CallPlan::succeeded(const Symbol& symbol, Duration uptime) {
  limited_ = 0;
  ended(symbol, uptime + options_.interval, false);
}

void CallPlan::failed(const Symbol& symbol, Duration uptime) {
  const auto found = entries_.find(symbol);
  const int failures = found == entries_.end() ? 1 : found->second.failures + 1;
  ended(symbol, uptime + call_backoff(failures, rng_), true);
}

void CallPlan::put_off(const Symbol& symbol, Duration uptime, Duration pause) {
  ended(symbol, uptime + pause, false);
}

void CallPlan::limited(const Symbol& symbol, Duration uptime, std::optional<Duration> retry_after) {
  const Duration pause = call_backoff(++limited_, rng_);
  all_wait_ = std::max(all_wait_, uptime + std::max(pause, retry_after.value_or(Duration(0))));
  ended(symbol, uptime, false);
}

}  // namespace tapeline::feeds::finnhub
