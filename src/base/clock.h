// Time is an argument: every part that needs it is handed a Clock.
//
// tools/tidy rejects std::chrono::*::now and sleep_for outside system_clock.cc.

#pragma once

#include <chrono>
#include <memory>
#include <stop_token>

namespace tapeline {

using Duration = std::chrono::nanoseconds;

/// An instant, UTC.
/// units: microseconds since 1970, as the warehouse keeps them
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// Where all time comes from. Handed to every constructor that needs it.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Wall time, UTC. For stamping records. Can jump when the host is corrected.
  virtual Timestamp now() const = 0;

  /// Time since this clock was made. For deadlines and rates. Never goes back.
  virtual Duration uptime() const = 0;

  /// Waits until `uptime() >= deadline`. Returns false if stopped first.
  virtual bool wait_until(Duration deadline, std::stop_token stop) = 0;

  bool wait_for(Duration pause, std::stop_token stop) {
    return wait_until(uptime() + pause, std::move(stop));
  }
};

/// A clock that moves only when told to, or when someone waits on it: waiting
/// jumps straight to the deadline, so a test of an hour's back-off takes no time.
///
/// threads: one; the simulation and each test own one
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start) : start_(start) {}

  Timestamp now() const override {
    return start_ + std::chrono::duration_cast<std::chrono::microseconds>(uptime_);
  }
  Duration uptime() const override { return uptime_; }

  bool wait_until(Duration deadline, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    if (deadline > uptime_) uptime_ = deadline;
    return true;
  }

  void advance(Duration by) { uptime_ += by; }

 private:
  const Timestamp start_;
  Duration uptime_{0};
};

/// The machine's clock.
/// threads: any
std::unique_ptr<Clock> make_system_clock();

}  // namespace tapeline
