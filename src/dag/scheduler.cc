#include "dag/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "telemetry/logging.h"

namespace tapeline::dag {
namespace {

using std::chrono::seconds;

constexpr auto kFoldAfter = std::chrono::minutes(15);
constexpr auto kKeep = std::chrono::days(90);
constexpr Duration kFoldInterval = std::chrono::minutes(1);
constexpr Duration kLinesInterval = seconds(1);
constexpr Duration kPauseMax = seconds(1);  // a backstop: a step that finds nothing is cheap

}  // namespace

Error no_dag(const std::string& dag) {
  return Error{ErrorCode::not_found, fmt::format("there is no DAG '{}'", dag),
               "`tapeline dag list` shows them."};
}

std::int64_t BackfillPlan::runs() const {
  return std::ranges::count_if(items, [](const Item& item) { return item.action != Action::keep; });
}

SchedulerProbe::SchedulerProbe(telemetry::Metrics& metrics)
    : runs_success(metrics.counter("tapeline_dag_runs_total", "DAG runs that ended, by state",
                                   {{"state", "success"}})),
      runs_failed(metrics.counter("tapeline_dag_runs_total", "DAG runs that ended, by state",
                                  {{"state", "failed"}})),
      tries_retried(metrics.counter("tapeline_dag_tries_retried_total",
                                    "Tries that failed and were followed by another")),
      runs_active(metrics.gauge("tapeline_dag_runs_active", "DAG runs going on")),
      run_seconds(metrics.histogram("tapeline_dag_run_seconds", "How long DAG runs took",
                                    telemetry::latency_bounds())),
      task_seconds(metrics.histogram("tapeline_dag_task_seconds", "How long tries took",
                                     telemetry::latency_bounds())),
      lag_seconds(metrics.histogram("tapeline_dag_lag_seconds",
                                    "From when a run was due to when it started",
                                    telemetry::latency_bounds())) {}

Scheduler::Scheduler(Clock& clock, state::RunStore& store, TaskQueues& queues, HasWork& has_work,
                     SchedulerProbe& probe, std::vector<Dag> dags, Options options)
    : clock_(clock),
      store_(store),
      queues_(queues),
      has_work_(has_work),
      probe_(probe),
      dags_(std::move(dags)),
      options_(options),
      opened_at_(clock.now()),
      fold_due_(clock.uptime()) {}

Result<std::unique_ptr<Scheduler>> Scheduler::open(Clock& clock, state::RunStore& store,
                                                   TaskQueues& queues, HasWork& has_work,
                                                   SchedulerProbe& probe, std::vector<Dag> dags,
                                                   Options options) {
  std::unique_ptr<Scheduler> scheduler(
      new Scheduler(clock, store, queues, has_work, probe, std::move(dags), options));
  TRY_STATUS(scheduler->resume());
  return scheduler;
}

Status Scheduler::resume() {
  for (const Dag& dag : dags_) {
    if (!schedules_.try_emplace(dag.id).second) {
      return Error{ErrorCode::already_exists, fmt::format("two DAGs are called '{}'", dag.id),
                   "Give one of the files another dag_id."};
    }
    schedules_[dag.id].row.dag = dag.id;
  }
  for (const state::DagRow& row : TRY(store_.dags())) {
    const auto found = schedules_.find(row.dag);
    if (found == schedules_.end()) continue;
    found->second.row = row;
    if (row.held_until) {
      const Duration left = *row.held_until - clock_.now();
      found->second.held_until = clock_.uptime() + std::clamp(left, Duration(0), kBackoffMax);
    }
    shared_.with([&](Shared& shared) { shared.paused[row.dag] = row.paused; });
  }
  for (const state::RunRow& row : TRY(store_.active())) {
    if (!find(row.dag)) {
      orphans_.push_back(row);
    } else if (row.run_type == kOutside) {
      TRY_STATUS(resume_outside(row));
    } else if (row.state == "queued") {
      queued_.push_back(row);
    } else {
      ActiveRun run = TRY(load(row));
      for (auto& [name, newest] : run.tries) {
        const TaskState state = task_state(newest.state);
        if (state != TaskState::queued && state != TaskState::running) continue;
        if (!run.dag->find(name)) {
          end_lost(newest, fmt::format("the DAG has no task '{}' any more", name));
          continue;
        }
        const auto lines = TRY(store_.log(row.id, name, newest.try_number));
        run.live[name].first_number = std::ssize(lines);
      }
      active_.emplace(row.id, std::move(run));
    }
  }
  return commit();
}

/// Writes down the end of a try that an earlier process began and nobody goes on with.
void Scheduler::end_lost(state::TryRow& row, std::string why) {
  row.state = "failed";
  row.end_at = clock_.now();
  row.error_code = to_string(ErrorCode::cancelled);
  row.error_message = std::move(why);
  wave_.tries.push_back(row);
}

/// Ends the runs that an earlier process left of DAGs that are not there any more.
///
/// why: only where all DAGs run. A command that opens the directory for something else may have
///      been told of another folder of DAGs, or of none.
void Scheduler::end_orphans() {
  for (state::RunRow& row : orphans_) {
    row.state = "failed";
    row.end_at = clock_.now();
    row.error = fmt::format("the DAG '{}' is no longer there", row.dag);
    wave_.runs.push_back(std::move(row));
  }
  orphans_.clear();
}

Result<ActiveRun> Scheduler::load(const state::RunRow& row) {
  auto tries = TRY(store_.tries(row.id));
  return ActiveRun::restore(row, *find(row.dag), std::move(tries), clock_);
}

Result<Duration> Scheduler::step() {
  const std::lock_guard turn(turn_);
  end_orphans();
  TRY_STATUS(advance(nullptr));
  TRY_STATUS(fold());
  return pause();
}

Status Scheduler::advance(const std::string* only) {
  TRY_STATUS(commit());  // what an earlier step could not
  TRY_STATUS(take_triggers());
  take_ends();
  end_overdue();
  queue_due_retries();
  for (auto& [id, run] : active_) {
    if (!run.row.end_at) settle(run);
  }
  std::erase_if(active_, [](const auto& entry) { return entry.second.row.end_at.has_value(); });
  for (const Dag& dag : dags_) {
    if (paused(dag.id) || (only && *only != dag.id)) continue;
    if (!only && options_.makes_runs) TRY_STATUS(make_due_run(dag));
    TRY_STATUS(start_queued(dag));
  }
  for (auto& [id, run] : active_) {
    if (paused(run.row.dag) || (only && *only != run.row.dag)) continue;
    hand_out(run);
  }
  if (clock_.uptime() >= lines_due_) {
    lines_due_ = clock_.uptime() + kLinesInterval;
    for (auto& [id, run] : active_) {
      for (auto& [task, live] : run.live) {
        store_lines(id, task, run.tries.at(task).try_number, live);
      }
    }
    for (auto& [key, its] : outside_) {
      store_lines(its.row.run, its.row.task, its.row.try_number, its.live);
    }
  }
  probe_.runs_active.set(static_cast<double>(active_.size()));
  return commit();
}

Status Scheduler::take_triggers() {
  if (!shared_.with([](Shared& shared) { return std::exchange(shared.triggered, false); })) {
    return Ok{};
  }
  auto rows = store_.active();
  if (!rows) {
    shared_.with([](Shared& shared) { shared.triggered = true; });
    return std::move(rows).error();
  }
  queued_.clear();
  for (const state::RunRow& row : *rows) {
    if (row.state == "queued") queued_.push_back(row);
  }
  return Ok{};
}

Status Scheduler::commit() {
  if (!wave_.empty()) {
    TRY_STATUS(store_.write(wave_));
    wave_ = {};
  }
  for (TaskWork& work : ready_) {
    const bool taken = queues_.work.push(std::move(work));
    TL_ASSERT(taken);
  }
  ready_.clear();
  return Ok{};
}

Status Scheduler::fold() {
  if (clock_.uptime() < fold_due_) return Ok{};
  fold_due_ = clock_.uptime() + kFoldInterval;
  std::set<std::int64_t> in_use;
  for (const auto& [id, run] : active_) in_use.insert(id);
  for (const auto& [key, leaving] : leaving_) in_use.insert(key.first);
  for (const auto& [key, its] : outside_) in_use.insert(its.row.run);
  return store_.fold(clock_.now() - kFoldAfter, clock_.now() - kKeep, in_use);
}

Duration Scheduler::pause() const {
  const Duration now = clock_.uptime();
  Duration pause = kPauseMax;
  const auto until = [&](Duration due) {
    if (due > now) pause = std::min(pause, due - now);
  };
  for (const auto& [id, run] : active_) {
    for (const auto& [task, due] : run.retry_due) until(due);
  }
  for (const Dag& dag : dags_) {
    if (dag.kind == ScheduleKind::continuous) {
      const Schedule& schedule = schedules_.at(dag.id);
      until(std::max(schedule.held_until, schedule.next_start));
      until(schedule.next_little);
    } else if (dag.kind == ScheduleKind::cron) {
      const auto fire = dag.cron->next_fire(clock_.now());
      if (fire) until(now + (*fire - clock_.now()));
    }
  }
  return wait_for_timeouts(pause);
}

Result<state::RunRow> Scheduler::run_to_end(const std::string& dag, const std::string& run_id,
                                            TaskRunner& runner, std::stop_token stop) {
  const std::int64_t id = TRY(run(dag, run_id)).id;
  Worker worker(clock_, queues_, runner);
  while (true) {
    if (paused(dag)) {
      return Error{ErrorCode::unavailable, fmt::format("the DAG '{}' is paused", dag),
                   fmt::format("`tapeline dag unpause {}` lets its runs go on.", dag)};
    }
    Duration rest{0};
    {
      const std::lock_guard turn(turn_);
      TRY_STATUS(advance(&dag));
      const bool waits = std::ranges::find(queued_, id, &state::RunRow::id) != queued_.end();
      if (!waits && !active_.contains(id)) break;
      if (in_flight_ == 0) rest = pause();
    }
    if (stop.stop_requested()) {
      return Error{ErrorCode::cancelled, fmt::format("the run '{}' was stopped", run_id),
                   "It goes on when its DAG runs again."};
    }
    if (!worker.try_step(stop) && rest > Duration(0)) clock_.wait_for(rest, stop);
  }
  return run(dag, run_id);
}

Status Scheduler::set_paused(const std::string& dag, bool paused) {
  if (!find(dag)) return no_dag(dag);
  TRY_STATUS(store_.set_paused(dag, paused));
  shared_.with([&](Shared& shared) { shared.paused[dag] = paused; });
  queues_.changed.notify();
  return Ok{};
}

void Scheduler::hurry() {
  hurry_ = true;
  queues_.changed.notify();
}

const Dag* Scheduler::find(const std::string& dag) const {
  const auto found = std::ranges::find(dags_, dag, &Dag::id);
  return found == dags_.end() ? nullptr : &*found;
}

bool Scheduler::paused(const std::string& dag) const {
  return shared_.with([&](const Shared& shared) {
    const auto found = shared.paused.find(dag);
    return found != shared.paused.end() && found->second;
  });
}

}  // namespace tapeline::dag
