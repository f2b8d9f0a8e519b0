// ScaledClock: another clock's time, run many times as fast, from an instant of one's choice.
//
// So that a trading day of the past can be played through a live feed in minutes: due times,
// pauses and silences of whoever is handed this clock shrink with it.

#pragma once

#include "base/clock.h"

namespace tapeline {

/// lifetime: the real clock must outlive it
/// threads:  any that the real clock bears
class ScaledClock final : public Clock {
 public:
  /// units: `speed` seconds of this clock pass in one of the real one; above 0
  ScaledClock(Clock& real, Timestamp start, double speed)
      : real_(real), start_(start), speed_(speed), made_at_(real.uptime()) {}

  Timestamp now() const override {
    return start_ + std::chrono::duration_cast<std::chrono::microseconds>(uptime());
  }

  Duration uptime() const override { return times(real_.uptime() - made_at_, speed_); }

  bool wait_until(Duration deadline, std::stop_token stop) override {
    // A nanosecond more: rounding must not end it before its time.
    return real_.wait_until(made_at_ + times(deadline, 1 / speed_) + Duration(1), std::move(stop));
  }

 private:
  static Duration times(Duration length, double factor) {
    return Duration(static_cast<Duration::rep>(static_cast<double>(length.count()) * factor));
  }

  Clock& real_;
  const Timestamp start_;
  const double speed_;
  const Duration made_at_;
};

}  // namespace tapeline
