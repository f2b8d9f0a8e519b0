// BoundedQueue<T>: one of the three ways in which state crosses threads.

#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace tapeline {

/// A first-in, first-out queue with a size. Full means that `push` says no: what
/// to do about it is the caller's stated policy.
///
/// threads: any
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t items_max) : items_max_(items_max) {}

  /// False where the queue is full; nothing was taken then.
  bool push(T item) {
    {
      std::lock_guard lock(mutex_);
      if (items_.size() >= items_max_) return false;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
    return true;
  }

  /// The oldest item, or none at once.
  std::optional<T> try_pop() {
    std::lock_guard lock(mutex_);
    return take();
  }

  /// The oldest item.
  /// blocks: until there is one or `stop` is requested (none then)
  std::optional<T> pop(std::stop_token stop) {
    const std::stop_callback on_stop(stop, [this] {
      { std::lock_guard lock(mutex_); }  // whoever looks just now sees the stop, or is woken
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !items_.empty() || stop.stop_requested(); });
    return take();
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  const std::size_t items_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // why not `_any`: wakeup.h
  std::deque<T> items_;
};

}  // namespace tapeline
