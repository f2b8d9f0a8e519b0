// TradeRate: how often something trades, learned from its own trades, and which silence is too
// long for it.
//
// A fixed limit reconnects healthy but quiet symbols, or finds a mute one late. So each symbol, and
// the socket as a whole, is measured by itself: the mean pause between the seconds in which it
// traded, in the regular session only. A pause many times that long cannot be chance.

#pragma once

#include <algorithm>
#include <optional>

#include "base/clock.h"

namespace tapeline::feeds::finnhub {

/// threads: one at a time
class TradeRate {
 public:
  /// Pauses that must have been seen before a silence can be judged.
  static constexpr int kPausesMin = 20;

  /// How many mean pauses a silence must last: were trades independent of each other, one pause
  /// in 10^8 would; they come in bursts, so a suspicion is looked into before it counts.
  static constexpr int kPausesOfSilence = 20;

  explicit TradeRate(Duration silence_min) : silence_min_(silence_min) {}

  /// A trade came, at `uptime` of the clock.
  void trade(Duration uptime) {
    const Duration pause = uptime - last_.value_or(uptime);
    if (last_ && pause < std::chrono::seconds(1)) return;
    if (last_) {
      ++pauses_;
      const double weight = 1.0 / std::min(pauses_, kRemembered);
      mean_ += (static_cast<double>(pause.count()) - mean_) * weight;
    }
    last_ = uptime;
  }

  /// A stretch begins in which pauses say nothing of those before: a session, a new connection.
  /// What was learned stays.
  void restart(Duration uptime) {
    if (last_) last_ = uptime;
  }

  /// The silence from which on it is suspicious; none while too little is known.
  std::optional<Duration> silence_max() const {
    if (pauses_ < kPausesMin) return std::nullopt;
    return std::max(silence_min_, Duration(static_cast<Duration::rep>(mean_)) * kPausesOfSilence);
  }

  /// How long nothing came.
  Duration silence(Duration uptime) const { return uptime - last_.value_or(uptime); }

  bool silent_too_long(Duration uptime) const {
    const auto most = silence_max();
    return most && silence(uptime) > *most;
  }

 private:
  static constexpr int kRemembered = 200;

  Duration silence_min_;
  std::optional<Duration> last_;  // the second before counts once
  int pauses_ = 0;
  double mean_ = 0;
};

}  // namespace tapeline::feeds::finnhub
