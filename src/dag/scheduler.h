// Scheduler: starts the runs that are due, hands their ready tasks to workers, and keeps every
// state in state.sqlite, so that a run goes on after a crash at the task that had not ended.
//
// A scheduler outside (Airflow, say) may ask for single tasks: they run on its caller's thread, and
// stand in the history as a run of type `outside`, from which nothing follows here.
//
// Each step drains what ended, starts what is due and hands out what is ready, in one commit;
// work is handed out after that commit, so no task runs whose past a restart does not know.
// Commits of a continuous run wait for the disk only at its end and at a failure: a power cut can
// take back its last steps, and tasks must stand being run again (docs/decisions/0012).

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/result.h"
#include "dag/active_run.h"
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

/// The run_type of a run that a scheduler outside makes.
constexpr std::string_view kOutside = "outside";

/// The error for a DAG that is not there.
Error no_dag(const std::string& dag);

/// What the scheduler tells of itself.
struct SchedulerProbe {
  explicit SchedulerProbe(telemetry::Metrics& metrics);
  static double seconds(Duration length) { return std::chrono::duration<double>(length).count(); }
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

/// Which tasks of a run are meant.
struct TaskChoice {
  std::string task;         // empty: all of the run
  bool upstream = false;    // and all before `task`
  bool downstream = false;  // and all after it
  bool failed = false;      // of those only the ones that failed, or whose upstream did
};

/// Runs for the fires of a stretch of the past.
struct Backfill {
  enum class Which : std::uint8_t { missing, failed, all };  // of existing ones: which run again
  Timestamp from;
  Timestamp to;  // both ends included
  Which which = Which::missing;
  std::int64_t active_max = 1;  // its own: the DAG's max_active_runs does not count them
  text::Value conf;
  bool dry_run = false;
};

/// What a backfill does with each logical date, oldest first.
struct BackfillPlan {
  enum class Action : std::uint8_t { create, clear, keep };
  struct Item {
    Timestamp logical_at;
    Action action = Action::keep;
    std::string run_id;
    std::string state;  // of a run that is there
  };
  std::vector<Item> items;
  std::optional<Duration> usual_length;  // of the newest 20 successful runs

  std::int64_t runs() const;
};

/// One try of one task, as a scheduler outside asks for it.
struct OutsideTry {
  std::string dag;
  std::string run_id;
  std::string task;
  std::int64_t try_number = 0;  // 0: one more than the last
  std::optional<Timestamp> logical_date;
  text::Value conf;  // the run's parameters: an object, or null
  // What earlier tasks returned; none: as the history has it.
  std::optional<std::map<std::string, text::Value>> values;
};

/// How it ended.
struct OutsideEnd {
  std::int64_t try_number = 0;  // its number in the history
  TaskOutcome outcome;
  std::vector<TaskLog::Line> lines;
  std::string unfinished;  // the first task before it that did not succeed, and why; empty if none
};

class Scheduler {
 public:
  struct Options {
    bool makes_runs = true;  // by the DAGs' schedules; else a scheduler outside does
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
  /// errors: the store's; nothing is lost, the next step commits it first
  Result<Duration> step();

  /// Runs a queued run, and those of its DAG that are before it, on the caller's thread.
  /// Starts nothing else. The run as it ended; a run that failed is no error here.
  ///
  /// blocks: until it has ended, retry delays included, or `stop` is requested
  /// errors: not_found, unavailable (the DAG is paused), cancelled, the store's
  Result<state::RunRow> run_to_end(const std::string& dag, const std::string& run_id,
                                   TaskRunner& runner, std::stop_token stop = {});

  /// Makes a run, durable when this returns, as is what the next four do. It stays queued while
  /// the DAG is paused or has as many runs going on as it may. Returns its id: `run_id`, or
  /// manual__TIME.
  ///
  /// errors: not_found (no such DAG), already_exists (that run id),
  ///         invalid_argument (`conf` is no object; a run id that is the schedule's own)
  Result<std::string> trigger(const std::string& dag, const text::Value& conf = {},
                              std::string run_id = "");

  /// Takes the states of tasks away; the run goes on from there, queued if it had ended. The
  /// names of those tasks, in the DAG's order: none where nothing was to be cleared.
  ///
  /// errors: not_found (DAG, run, task), invalid_argument (one of the tasks runs, or is stopping;
  ///         the row stands for several runs), the store's
  Result<std::vector<std::string>> clear(const std::string& dag, const std::string& run_id,
                                         const TaskChoice& choice);

  /// Says that a run, or one task of it, succeeded or failed. A run: tasks that run get that
  /// state and are stopped, those that wait are skipped. A task: those after it that failed, or
  /// whose upstream did, are cleared; the run goes on if that leaves something to do.
  ///
  /// shape:  `state` is success or failed; `task` empty: the run
  /// errors: as clear
  Result<state::RunRow> mark(const std::string& dag, const std::string& run_id, TaskState state,
                             const std::string& task = "");

  /// Marks a run as failed that has not ended.
  /// errors: as mark; invalid_argument (it has ended)
  Result<state::RunRow> cancel(const std::string& dag, const std::string& run_id);

  /// Makes, or runs again, a run for each fire of a stretch of the past.
  ///
  /// shape:  10,000 fires at the most
  /// errors: not_found, invalid_argument (a stretch that ends before it begins or in the future,
  ///         too many fires, or a schedule without fire times of which runs are missing)
  Result<BackfillPlan> backfill(const std::string& dag, const Backfill& wanted);

  /// Runs one task for a scheduler outside, on the caller's thread. A number that a try of the task
  /// has already is taken for one more than the last. The run is success when its tasks are, failed
  /// while the newest try of one is, else running.
  ///
  /// promise: durable when it returns; a process that dies meanwhile leaves a failed try
  /// blocks:  for kOutsideWait at the most while an earlier try of the task works; then until the
  ///          task ends, which it soon does once `stop` is requested
  /// errors:  not_found (DAG, task), invalid_argument (`conf`, the run's id), already_exists (a run
  ///          of our own is called that), unavailable (the DAG is paused, an earlier try works),
  ///          cancelled (before it began), the store's
  Result<OutsideEnd> run_outside(const OutsideTry& asked, TaskRunner& runner, std::stop_token stop);
  static constexpr Duration kOutsideWait = std::chrono::seconds(30);

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
  struct Schedule {
    state::DagRow row;
    Duration held_until{0};   // uptime
    Duration next_start{0};   // where there is much to do
    Duration next_little{0};  // where there is little
  };
  /// A try that was stopped, whose end nobody waits for.
  struct LeavingTry {
    LiveTry live;
    std::int64_t try_number = 0;
  };
  using TryKey = std::tuple<std::int64_t, std::string, std::int64_t>;
  /// A try that runs for a scheduler outside.
  struct OutsideLive {
    state::TryRow row;
    LiveTry live;
  };
  using OutsideKey = std::tuple<std::string, std::string, std::string>;  // DAG, run, task
  struct Shared {
    std::map<std::string, bool> paused;
    std::map<TryKey, LiveTry> live;
    bool triggered = false;
  };

  Scheduler(Clock& clock, state::RunStore& store, TaskQueues& queues, HasWork& has_work,
            SchedulerProbe& probe, std::vector<Dag> dags, Options options);
  Status resume();
  Status resume_outside(const state::RunRow& row);
  void end_lost(state::TryRow& row, std::string why);
  void end_orphans();
  Status check_outside(const OutsideTry& asked) const;
  Result<ActiveRun> outside_run(const OutsideTry& asked);
  Result<TaskContext> begin_outside(const OutsideTry& asked);
  Result<OutsideEnd> end_outside(const OutsideTry& asked, TaskOutcome outcome);
  void settle_outside(ActiveRun& run, bool works, state::Wave& wave) const;
  Result<ActiveRun> load(const state::RunRow& row);

  /// `only`: the one DAG that moves, its schedule at rest; nullptr for all.
  Status advance(const std::string* only);
  Status take_triggers();
  void take_ends();
  void take_end(TaskEnd end);
  void end_overdue();
  void fail_try(ActiveRun& run, state::TryRow& row, const Task& task, const TaskEnd& end);
  void queue_due_retries();
  Status make_due_run(const Dag& dag);
  Status start_queued(const Dag& dag);
  void hand_out(ActiveRun& run);
  void settle(ActiveRun& run);
  void follow(ActiveRun& run);
  void end_run(ActiveRun& run, bool failed, const std::string& why, bool by_hand = false);
  void end_by_hand(ActiveRun& run, bool failed, const std::string& why);
  Status mark_task(ActiveRun& run, TaskState state, const std::string& task);
  void stop_try(ActiveRun& run, const std::string& task);
  void stop_run(ActiveRun& run, TaskState state_of_running);
  void tell_failure(const ActiveRun& run);
  void store_lines(std::int64_t run, const std::string& task, std::int64_t try_number,
                   LiveTry& live);

  template <typename Change>
  Result<state::RunRow> change(const std::string& dag, const std::string& run_id, Change&& how);
  Status check_no_live(const ActiveRun& run, const std::vector<std::string>& tasks) const;
  void put_back(ActiveRun run);
  Result<BackfillPlan> plan_backfill(const Dag& dag, const Backfill& wanted);
  Duration wait_for_timeouts(Duration pause) const;
  Status commit();
  Status fold();
  Duration pause() const;

  const Dag* find(const std::string& dag) const;
  bool paused(const std::string& dag) const;
  std::int64_t active_count(const Dag& dag, std::int64_t backfill = 0) const;
  std::int64_t active_max(const Dag& dag, const state::RunRow& row) const;
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

  // Held by a step and by who changes runs: what stands below has one user at a time.
  std::mutex turn_;
  std::map<std::string, Schedule> schedules_;
  std::map<std::int64_t, ActiveRun> active_;  // by id, so oldest first
  std::vector<state::RunRow> queued_;         // oldest first
  std::vector<state::RunRow> orphans_;        // left going on, of DAGs that are not there
  state::Wave wave_;                          // to be committed
  std::vector<TaskWork> ready_;               // to be handed out after that
  std::size_t in_flight_ = 0;
  std::map<std::pair<std::int64_t, std::string>, LeavingTry> leaving_;
  std::map<OutsideKey, OutsideLive> outside_;
  Duration fold_due_{0};
  Duration lines_due_{0};
  Guarded<Shared> shared_;
};

}  // namespace tapeline::dag
