// Wakeup: says "something changed" to whoever waits, and never loses a call.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "base/clock.h"

namespace tapeline {

/// A counter that can be waited on. A waiter passes the count that it has seen,
/// so a call between its look and its wait is not lost.
///
/// threads: any
class Wakeup {
 public:
  void notify() {
    {
      std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }

  std::uint64_t count() const {
    std::lock_guard lock(mutex_);
    return count_;
  }

  /// The count now.
  /// blocks: until it differs from `seen`, `pause` is over, or `stop` is requested
  std::uint64_t wait(std::uint64_t seen, Duration pause, std::stop_token stop) {
    const std::stop_callback on_stop(stop, [this] {
      { std::lock_guard lock(mutex_); }  // whoever looks just now sees the stop, or is woken
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [&] { return count_ != seen || stop.stop_requested(); });
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  // Not condition_variable_any: it signals under a lock of its own, for which who was woken waits
  // at once, to be woken again.
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

}  // namespace tapeline
