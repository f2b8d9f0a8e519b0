// ActiveRun: a run that goes on: its plan, the newest try of each task, what tasks returned, and
// the tries that workers have. It writes nothing itself: what changed goes into a Wave.

#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "dag/dag.h"
#include "dag/plan.h"
#include "dag/task_runner.h"
#include "state/run_store.h"

namespace tapeline::dag {

/// The longest pause between tries of a @continuous DAG, and between its runs.
constexpr Duration kBackoffMax = std::chrono::seconds(60);

/// A try that a worker has or will have.
struct LiveTry {
  std::shared_ptr<TaskLog> log;
  std::stop_source stop;
  bool overdue = false;           // it was stopped for its execution_timeout
  std::int64_t first_number = 0;  // of its lines: an earlier process may have left some
  std::size_t stored = 0;         // lines in the store
};

struct ActiveRun {
  state::RunRow row;
  const Dag* dag;
  Plan plan;
  std::map<std::string, state::TryRow> tries;  // the newest of each task
  std::map<std::string, text::Value> values;   // of tasks that succeeded
  std::map<std::string, LiveTry> live;
  std::map<std::string, Duration> retry_due;  // uptime

  /// A run as the store has it.
  /// shape:    `tries` as RunStore::tries gives them
  /// lifetime: `dag` must outlive it
  static ActiveRun restore(state::RunRow row, const Dag& dag, std::vector<state::TryRow> tries,
                           const Clock& clock);

  /// The tries of one task after which it fails for good.
  std::int64_t tries_max(const Task& task) const;

  /// Gives a task an ended state by hand. Its newest try, if it is not over, is over then.
  void set(const std::string& task, TaskState state, Timestamp at, state::Wave& wave);

  /// Takes the states of tasks away: each runs again, with as many retries as at first. What
  /// they returned is forgotten.
  /// shape: none of them is live
  void clear(const std::vector<std::string>& names, state::Wave& wave);

  /// The first failed task in the DAG's order, with its message; empty where none failed.
  std::string failure() const;

  /// Parameters of a task: the DAG's, replaced by the task's, replaced by the run's conf.
  text::Value params(const Task& task) const;
};

}  // namespace tapeline::dag
