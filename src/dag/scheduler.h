// Scheduler: starts the runs that are due, hands their ready tasks to workers, and keeps every
// state in state.sqlite, so that a run goes on after a crash at the task that had not ended.
//
// Each step drains what ended, starts what is due and hands out what is ready, in one commit;
// work is handed out after that commit, so no task runs whose past a restart does not know.
// Commits of a continuous run wait for the disk only at its end and at a failure: a power cut can
// take back its last steps, and tasks must stand being run again (docs/decisions/0012).

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/result.h"
#include "dag/dag.h"
#include "dag/task_runner.h"
#include "state/run_store.h"
#include "telemetry/metrics.h"

namespace tapeline::dag {

/// How much there is to do.
enum class Work : std::uint8_t {
  none,
  little,  // a run of its own costs more than waiting for a bit more
  much,    // worth a run as soon as there may be one
};

/// Tells whether a @continuous DAG has something to do.
class HasWork {
 public:
  virtual ~HasWork() = default;

  /// Asked at every step in which such a DAG could start, so it must be cheap.
  virtual Work has_work(const std::string& dag) = 0;
};

/// What the scheduler tells of itself.
struct SchedulerProbe {
  explicit SchedulerProbe(telemetry::Metrics& metrics);
  telemetry::Counter& runs_success;
  telemetry::Counter& runs_failed;
  telemetry::Counter& tries_retried;
  telemetry::Gauge& runs_active;
  telemetry::Histogram& run_seconds;
  telemetry::Histogram& task_seconds;
  telemetry::Histogram& lag_seconds;
};

/// A DAG as it stands now.
/// lifetime: `dag` lives as long as the scheduler
struct DagInfo {
  const Dag* dag;
  bool paused = false;
  std::optional<Timestamp> next_fire;  // of a cron schedule
};

class Scheduler {
 public:
  struct Options {
    // After a @continuous run little work waits eleven times as long as that run took, but no
    // longer than this. From a start to the next there are always 250 ms.
    Duration rest_max{0};
  };

  /// Takes up what an earlier process left.
  ///
  /// lifetime: everything given must outlive it
  /// errors:   already_exists (two DAGs of one id), the store's
  static Result<std::unique_ptr<Scheduler>> open(Clock& clock, state::RunStore& store,
                                                 TaskQueues& queues, HasWork& has_work,
                                                 SchedulerProbe& probe, std::vector<Dag> dags,
                                                 Options options);

  /// One bounded piece of work. Answers how long nothing is due, unless queues.changed says so.
  ///
  /// errors:  the store's; nothing is lost, the next step commits it first
  /// threads: one, with run_to_end
  Result<Duration> step();

  /// Runs a queued run, and those of its DAG that are before it, on the caller's thread.
  /// Starts nothing else. The run as it ended; a run that failed is no error here.
  ///
  /// blocks: until it has ended, retry delays included, or `stop` is requested
  /// errors: not_found, unavailable (the DAG is paused), cancelled, the store's
  Result<state::RunRow> run_to_end(const std::string& dag, const std::string& run_id,
                                   TaskRunner& runner, std::stop_token stop = {});

  // From here on: any thread.

  /// Makes a run, durable when this returns. It stays queued while the DAG is paused or has
  /// as many runs going on as it may. Returns its id: `run_id`, or manual__TIME.
  ///
  /// errors: not_found (no such DAG), already_exists (that run id),
  ///         invalid_argument (`conf` is no object; a run id that is the schedule's own)
  Result<std::string> trigger(const std::string& dag, const text::Value& conf = {},
                              std::string run_id = "");

  /// A paused DAG starts no run and no task. Tasks that run go on to their end.
  /// errors: not_found
  Status set_paused(const std::string& dag, bool paused);

  /// From now on little to do is done as soon as much: the process is about to end.
  void hurry();

  std::vector<DagInfo> dags() const;

  /// Newest first; of all DAGs where `dag` is empty.
  Result<std::vector<state::RunRow>> runs(const std::string& dag, std::int64_t limit) const;
  Result<state::RunRow> run(const std::string& dag, const std::string& run_id) const;

  /// Every try of a run, tasks in the order of the DAG; one with try 0, state none, for a task
  /// that waits.
  Result<std::vector<state::TryRow>> tasks(const std::string& dag, const std::string& run_id) const;
  Result<std::vector<state::LogRow>> task_log(const std::string& dag, const std::string& run_id,
                                              const std::string& task,
                                              std::int64_t try_number) const;

 private:
  /// A try that a worker has or will have.
  struct LiveTry {
    std::shared_ptr<TaskLog> log;
    std::int64_t first_number = 0;  // of its lines: an earlier process may have left some
    std::size_t stored = 0;         // lines in the store
  };
  struct ActiveRun {
    state::RunRow row;
    const Dag* dag;
    Plan plan;
    std::map<std::string, state::TryRow> tries;  // the newest of each task
    std::map<std::string, text::Value> values;
    std::map<std::string, LiveTry> live;
    std::map<std::string, Duration> retry_due;  // uptime
  };
  struct Schedule {
    state::DagRow row;
    Duration held_until{0};   // uptime
    Duration next_start{0};   // where there is much to do
    Duration next_little{0};  // where there is little
  };
  using TryKey = std::tuple<std::int64_t, std::string, std::int64_t>;
  struct Shared {
    std::map<std::string, bool> paused;
    std::map<TryKey, LiveTry> live;
    bool triggered = false;
  };

  Scheduler(Clock& clock, state::RunStore& store, TaskQueues& queues, HasWork& has_work,
            SchedulerProbe& probe, std::vector<Dag> dags, Options options);
  Status resume();
  Status resume_run(const state::RunRow& row);

  /// `only`: the one DAG that moves, its schedule at rest; nullptr for all.
  Status advance(const std::string* only);
  Status take_triggers();
  void take_ends();
  void take_end(TaskEnd end);
  void fail_try(ActiveRun& run, state::TryRow& row, const Task& task, const TaskEnd& end);
  void queue_due_retries();
  Status make_due_run(const Dag& dag);
  void start_queued(const Dag& dag);
  void hand_out(ActiveRun& run);
  void settle(ActiveRun& run);
  void end_run(ActiveRun& run);
  void tell_failure(const ActiveRun& run);
  void store_lines(ActiveRun& run, const std::string& task);
  Status commit();
  Status fold();
  Duration pause() const;

  const Dag* find(const std::string& dag) const;
  bool paused(const std::string& dag) const;
  std::int64_t active_count(const Dag& dag) const;
  bool has_queued(const Dag& dag) const;
  Result<std::string> free_run_id(const std::string& dag, std::string_view type,
                                  Timestamp at) const;

  Clock& clock_;
  state::RunStore& store_;
  TaskQueues& queues_;
  HasWork& has_work_;
  SchedulerProbe& probe_;
  const std::vector<Dag> dags_;
  const Options options_;
  const Timestamp opened_at_;
  std::atomic<bool> hurry_{false};
  std::map<std::string, Schedule> schedules_;
  std::map<std::int64_t, ActiveRun> active_;  // by id, so oldest first
  std::vector<state::RunRow> queued_;         // oldest first
  state::Wave wave_;                          // to be committed
  std::vector<TaskWork> ready_;               // to be handed out after that
  std::size_t in_flight_ = 0;
  Duration fold_due_{0};
  Duration lines_due_{0};
  Guarded<Shared> shared_;
};

}  // namespace tapeline::dag
