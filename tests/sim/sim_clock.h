// SimClock: the time of a simulation. It moves when told to or waited on; the wall's time can jump
// beside it, as when a host's clock is corrected. Each reading is a moment that the simulation
// hears of: something can go wrong right there.

#pragma once

#include <functional>

#include "base/clock.h"

namespace tapeline::sim {

/// threads: one
class SimClock final : public Clock {
 public:
  explicit SimClock(Timestamp start) : start_(start) {}

  Timestamp now() const override {
    if (on_reading) on_reading();
    return true_time() + wall_offset_;
  }
  Duration uptime() const override {
    if (on_reading) on_reading();
    return uptime_;
  }
  bool wait_until(Duration deadline, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    uptime_ = std::max(uptime_, deadline);
    return true;
  }

  void advance(Duration by) { uptime_ += by; }
  void jump(std::chrono::microseconds by) { wall_offset_ += by; }

  /// What the exchange's clock says: it never jumps.
  Timestamp true_time() const {
    return start_ + std::chrono::duration_cast<std::chrono::microseconds>(uptime_);
  }

  std::function<void()> on_reading;

 private:
  const Timestamp start_;
  Duration uptime_{0};
  std::chrono::microseconds wall_offset_{0};
};

}  // namespace tapeline::sim
