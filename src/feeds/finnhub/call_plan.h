// CallPlan: when which symbol is asked for. Pure: time and chance are handed in.
//
// Each symbol has a due time of its own, so that one that is slow or failing delays no other. All
// share one bucket of calls and the spacing between two, since a vendor counts by key; and when
// the vendor says "too many", all wait.

#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "market/symbol.h"

namespace tapeline::feeds::finnhub {

/// 5, 10, 20, 20, … seconds, each with up to a quarter more by chance, so that many clients do not
/// come back at once.
Duration call_backoff(int failures, Rng& rng);

/// threads: one at a time
class CallPlan {
 public:
  struct Options {
    Duration interval = std::chrono::seconds(60);  // between two calls of a symbol
    Duration spacing = std::chrono::seconds(2);    // between any two calls
    int calls_per_minute = 60;
  };

  CallPlan(Options options, Rng rng) : options_(options), rng_(rng) {}

  /// The symbols from now on; a new one is due at once.
  void follow(const std::vector<Symbol>& symbols, Duration uptime);

  /// Makes a symbol due now.
  void hurry(const Symbol& symbol, Duration uptime);

  /// The symbol to ask for now, which counts as asked; none where none is due, all wait, or the
  /// spacing or the bucket forbids it.
  std::optional<Symbol> next(Duration uptime);

  /// The call of `symbol` ended: it is due again after the interval, ...
  void succeeded(const Symbol& symbol, Duration uptime);
  /// ... after a backoff that grows with each failure in a row, ...
  void failed(const Symbol& symbol, Duration uptime);
  /// ... or after `pause`.
  void put_off(const Symbol& symbol, Duration uptime, Duration pause);

  /// The vendor takes no calls of this key: `symbol` and all others wait. Without `retry_after`
  /// by a backoff that grows until a call succeeds.
  void limited(const Symbol& symbol, Duration uptime, std::optional<Duration> retry_after);

  /// How long all still wait; zero where they do not.
  Duration waiting(Duration uptime) const { return std::max(Duration(0), all_wait_ - uptime); }

 private:
  struct Entry {
    Duration due{0};
    int failures = 0;
    bool asked = false;
  };
  void ended(const Symbol& symbol, Duration due, bool failed);
  void refill(Duration uptime);

  const Options options_;
  Rng rng_;
  std::map<Symbol, Entry> entries_;
  std::vector<Symbol> order_;
  Duration spaced_until_{0};
  Duration all_wait_{0};
  int limited_ = 0;   // in a row
  double calls_ = 1;  // that the bucket allows now; a restart brings no new burst
  Duration refilled_at_{0};
};

}  // namespace tapeline::feeds::finnhub
