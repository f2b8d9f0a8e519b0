// Subscriptions: which symbols the stream is asked for, and which it delivers. Pure.
//
// The vendor confirms nothing. It takes so many symbols; past them it answers each with an error
// that does not say which. Subscribes go out in order, so each such error is the last one's that
// was not refused yet. A symbol over the limit waits until another goes.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "market/symbol.h"

namespace tapeline::feeds::finnhub {

/// threads: one at a time
class Subscriptions {
 public:
  explicit Subscriptions(std::size_t symbols_max) : symbols_max_(symbols_max) {}

  /// A connection is open: nothing is subscribed on it yet, and the limit may have changed.
  void restart();

  /// What to send so that `wanted` is followed as far as the limit goes.
  std::vector<std::string> follow(const std::vector<Symbol>& wanted);

  /// Takes back and asks again for one symbol: it was silent.
  std::vector<std::string> renew(const Symbol& symbol) const;

  /// The vendor refused one. True where it is known which and why.
  enum class Refusal : std::uint8_t { over_limit, invalid, other };
  Refusal refused(std::string_view message);

  bool delivers(const Symbol& symbol) const;
  bool is_invalid(const Symbol& symbol) const { return invalid_.contains(symbol); }
  std::size_t delivered() const { return sent_.size(); }

 private:
  std::size_t symbols_max_;
  std::size_t limit_ = symbols_max_;  // lower where the vendor's is
  std::vector<Symbol> sent_;          // asked for and not refused, in order
  std::set<Symbol> invalid_;
};

}  // namespace tapeline::feeds::finnhub
