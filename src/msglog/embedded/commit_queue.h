// Group commit without a thread of its own: of the threads that wait, one leads.
//
// Who finds nobody leading leads: it carries out everything that waits, in order of arrival,
// in one go. What arrives meanwhile waits for the next go, led by the first of them.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/guarded.h"

namespace tapeline::msglog {

/// threads: any
template <typename Request>
class CommitQueue {
 public:
  using Group = std::vector<std::shared_ptr<Request>>;

  /// Hands in `request`; `carry_out` is called, on one thread at a time, with groups of them.
  /// blocks:  until the request was carried out
  void submit(std::shared_ptr<Request> request,
              const std::function<void(const Group&)>& carry_out) {
    const auto entry = std::make_shared<Entry>(std::move(request));
    const bool leads = queue_.with([&](Queue& queue) {
      queue.waiting.push_back(entry);
      return !std::exchange(queue.has_leader, true);
    });
    if (!leads) {
      entry->turn.wait(Turn::waits);
      if (entry->turn.load() == Turn::is_done) return;
    }
    lead(*entry, carry_out);
  }

  /// How many requests wait for the next group.
  std::size_t waiting() const {
    return queue_.with([](const Queue& queue) { return queue.waiting.size(); });
  }

 private:
  enum class Turn : int { waits, leads, is_done };

  struct Entry {
    explicit Entry(std::shared_ptr<Request> what) : request(std::move(what)) {}
    std::shared_ptr<Request> request;
    std::atomic<Turn> turn = Turn::waits;
  };

  struct Queue {
    std::vector<std::shared_ptr<Entry>> waiting;
    bool has_leader = false;
  };

  static void hand(Entry& entry, Turn turn) {
    entry.turn.store(turn);
    entry.turn.notify_one();
  }

  void lead(const Entry& own, const std::function<void(const Group&)>& carry_out) {
    const auto entries = queue_.with([](Queue& queue) { return std::exchange(queue.waiting, {}); });
    Group group;
    for (const auto& entry : entries) group.push_back(entry->request);
    carry_out(group);
    const auto next = queue_.with([](Queue& queue) {
      queue.has_leader = !queue.waiting.empty();
      return queue.has_leader ? queue.waiting.front() : nullptr;
    });
    if (next) hand(*next, Turn::leads);
    for (const auto& entry : entries)
      if (entry.get() != &own) hand(*entry, Turn::is_done);
  }

  Guarded<Queue> queue_;
};

}  // namespace tapeline::msglog
