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
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, pause, [&] { return count_ != seen; });
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t count_ = 0;
};

}  // namespace tapeline
