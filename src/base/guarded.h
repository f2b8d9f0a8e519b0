// Guarded<T>: a value that can only be touched under its lock.

#pragma once

#include <mutex>
#include <utility>

namespace tapeline {

/// A value and its mutex. No lock is held across a call into another room.
///
/// threads: any
template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  /// Runs `use` with the value, under the lock, and hands back what it returns.
  template <typename Use>
  decltype(auto) with(Use&& use) {
    std::lock_guard lock(mutex_);
    return std::forward<Use>(use)(value_);
  }
  template <typename Use>
  decltype(auto) with(Use&& use) const {
    std::lock_guard lock(mutex_);
    return std::forward<Use>(use)(value_);
  }

  /// A copy, taken under the lock.
  T copy() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace tapeline
