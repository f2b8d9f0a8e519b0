// TaskRunner: the port through which a task's work is done. The scheduler knows nothing else
// about what tasks do.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/wakeup.h"
#include "text/value.h"

namespace tapeline::dag {

/// The lines of one try. Kept in state.sqlite at most a second after they are written.
///
/// shape:   10,000 lines of at most 4 KiB; what comes after is counted and dropped
/// threads: any
class TaskLog {
 public:
  explicit TaskLog(const Clock& clock) : clock_(clock) {}

  void line(std::string_view text);

  struct Line {
    Timestamp at;
    std::string text;
  };
  /// Every line from number `first` on. The last of a log that overflowed says so.
  std::vector<Line> lines(std::size_t first = 0) const;

  /// When a worker took the task up; none while it waits for one.
  std::optional<Timestamp> started() const;
  std::optional<Duration> started_uptime() const;
  void start();

 private:
  struct State {
    std::vector<Line> lines;
    std::size_t dropped = 0;
    std::optional<Timestamp> started;
    Duration started_uptime{0};
  };
  const Clock& clock_;
  Guarded<State> state_;
};

/// What a task is told. Valid while it runs.
struct TaskContext {
  std::string dag;
  std::string run_id;
  std::string task;
  std::string action;
  text::Value params;  // the DAG's, replaced by the task's, replaced by the run's conf
  std::int64_t try_number = 1;
  std::int64_t tries_max = 1;
  Timestamp logical_date;
  text::Value conf;                           // what the trigger gave, an object
  std::map<std::string, text::Value> values;  // what earlier tasks of the run returned
  std::stop_token stop;
  TaskLog* log = nullptr;  // never null when it runs
};

struct TaskOutcome {
  enum class State : std::uint8_t { success, skipped, failed };
  State state = State::success;
  text::Value value;      // of a success: later tasks of the run get it, also after a crash
  Error error{};          // of a failure
  bool retryable = true;  // of a failure: false ends the task at once

  static TaskOutcome success(text::Value value = {}) { return {State::success, std::move(value)}; }
  static TaskOutcome skipped() { return {State::skipped, {}}; }
  static TaskOutcome failed(Error error, bool retryable = true) {
    return {State::failed, {}, std::move(error), retryable};
  }
};

class TaskRunner {
 public:
  virtual ~TaskRunner() = default;

  /// Does the work of one try.
  ///
  /// promise: after a crash the same try may be run again, with the same values
  /// errors:  any is a failed try. It is tried again unless its code says that this cannot
  ///          help (invalid_argument, unsupported). cancelled because the process ends is no
  ///          failure: the task runs again after a restart.
  /// threads: several tasks at a time, one a worker
  virtual Result<TaskOutcome> run(const TaskContext& context) = 0;
};

/// What a try came to. The reason of a failure goes into its log.
TaskOutcome outcome_of(Result<TaskOutcome> result, TaskLog& log);

/// One try on its way to a worker.
struct TaskWork {
  std::int64_t run = 0;
  TaskContext context;
  std::shared_ptr<TaskLog> log;
  std::stop_source stop;  // for this try alone: it took too long, or its run was cancelled
};

/// How it ended.
struct TaskEnd {
  std::int64_t run = 0;
  std::string task;
  TaskOutcome outcome;
  bool interrupted = false;  // stopped by us: it did not fail, it has not ended
  Timestamp at;
};

/// The two queues between a scheduler and its workers. The scheduler never has more tries on
/// their way than a queue has places, so neither is ever full.
struct TaskQueues {
  static constexpr std::size_t kTriesMax = 256;
  BoundedQueue<TaskWork> work{kTriesMax};
  BoundedQueue<TaskEnd> ends{kTriesMax};
  Wakeup changed;  // a try ended, a run was triggered, or new data came: step the scheduler
};

/// Runs tries, one after another.
///
/// lifetime: everything given must outlive it
/// threads:  one at a time; make one for each thread
class Worker {
 public:
  Worker(const Clock& clock, TaskQueues& queues, TaskRunner& runner)
      : clock_(clock), queues_(queues), runner_(runner) {}

  /// Runs the next try.
  /// blocks: until there is one and it has ended, or `stop` is requested
  void step(std::stop_token stop);

  /// Runs the next try if there is one; false where there is none.
  bool try_step(std::stop_token stop);

 private:
  void run(TaskWork work, std::stop_token stop);

  const Clock& clock_;
  TaskQueues& queues_;
  TaskRunner& runner_;
};

}  // namespace tapeline::dag
