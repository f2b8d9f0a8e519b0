// A Plan is one DAG run, as pure bookkeeping: which tasks wait, which are queued, which are
// over. It starts nothing, waits for nothing and reads no clock, so a test can play any order
// of endings against it.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tapeline::dag {

/// Airflow's words; to_string() returns them.
enum class TaskState : std::uint8_t {
  none,
  queued,
  running,
  success,
  failed,
  up_for_retry,
  upstream_failed,
  skipped
};

std::string_view to_string(TaskState state);
/// The state of that name; none for a word that is none of them.
TaskState task_state(std::string_view word);
bool has_ended(TaskState state);

/// When a task may begin, by the states of those before it.
enum class TriggerRule : std::uint8_t {
  all_success,  // all succeeded; a skipped one skips this too
  all_done,     // all ended, whatever their state
  none_failed,  // all ended and none failed
};
std::string_view to_string(TriggerRule rule);

/// errors: unsupported for Airflow's other rules, invalid_argument for anything else
Result<TriggerRule> parse_trigger_rule(std::string_view word);

/// What a plan must know of a task.
struct PlanTask {
  std::string name;
  std::vector<std::string> upstream;
  TriggerRule rule = TriggerRule::all_success;
};

class Plan {
 public:
  /// errors: invalid_argument: no task, a name twice, an upstream nobody defines, or a cycle,
  ///         whose tasks the message lists in order
  static Result<Plan> make(const std::vector<PlanTask>& tasks);

  /// The first queued task by name, now running; nullopt if none is queued.
  /// By name, so that the same DAG always starts in the same order.
  std::optional<std::string> start_next();

  /// Ends a running task (success, failed or skipped), and whatever follows from that: queues
  /// who may begin now, marks who never will (upstream_failed, skipped).
  void finish(const std::string& name, TaskState state);

  /// A running task that failed and will be tried again: nothing after it changes.
  void retry_later(const std::string& name);

  /// Queues a task that waited for its retry.
  void retry_now(const std::string& name);

  /// Takes states over from the store: ended, or up_for_retry. A name that the plan does not have
  /// is passed over.
  void restore(const std::map<std::string, TaskState>& states);

  /// Gives a task an ended state, whatever it was in, and what follows from that to those that
  /// wait.
  void set(const std::string& name, TaskState state);

  /// Takes the states of tasks away, so that they wait again, or begin where they may.
  void clear(const std::vector<std::string>& names);

  /// All that a task waits for, directly or not; and all that wait for it. By name.
  std::vector<std::string> upstream_of(const std::string& name) const;
  std::vector<std::string> downstream_of(const std::string& name) const;

  bool done() const;
  /// Whether any task failed. Unlike Airflow, an all_done leaf does not hide it.
  bool failed() const;
  TaskState state(const std::string& name) const { return nodes_.at(name).state; }
  const auto& nodes() const { return nodes_; }

 private:
  struct Node {
    TaskState state = TaskState::none;
    TriggerRule rule = TriggerRule::all_success;
    std::vector<std::string> upstream;
  };
  void settle();
  TaskState verdict(const Node& node) const;
  std::map<std::string, Node> nodes_;  // ordered: start_next() relies on it
};

}  // namespace tapeline::dag
