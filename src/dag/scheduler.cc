#include "dag/scheduler.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "telemetry/logging.h"

namespace tapeline::dag {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kContinuousInterval = milliseconds(250);
constexpr int kRest = 11;  // times as long as it took: little work takes a twelfth of the time
constexpr Duration kBackoffFirst = seconds(1);
constexpr Duration kBackoffMax = seconds(60);
constexpr auto kFoldAfter = std::chrono::minutes(15);
constexpr auto kKeep = std::chrono::days(90);
constexpr Duration kFoldInterval = std::chrono::minutes(1);
constexpr Duration kLinesInterval = seconds(1);
constexpr Duration kPauseMax = seconds(1);  // a backstop: a step that finds nothing is cheap

/// 1 s, doubled with each failure, to 60 s.
Duration backoff(std::int64_t failures) {
  return std::min(kBackoffMax, kBackoffFirst * (std::int64_t{1} << std::min<std::int64_t>(
                                                    std::max<std::int64_t>(failures - 1, 0), 6)));
}

double as_seconds(Duration length) { return std::chrono::duration<double>(length).count(); }

/// As Airflow writes it: 2026-11-22T16:45:00+00:00, with six digits where there is a fraction.
std::string airflow_time(Timestamp at) {
  const auto whole = std::chrono::floor<seconds>(at);
  std::string text = format_rfc3339(whole);
  text.pop_back();  // Z
  if (at != whole) text += fmt::format(".{:06}", (at - whole).count());
  return text + "+00:00";
}

Error no_dag(const std::string& dag) {
  return Error{ErrorCode::not_found, fmt::format("there is no DAG '{}'", dag),
               "`tapeline dag list` shows them."};
}

}  // namespace

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
      state::RunRow ended = row;
      ended.state = "failed";
      ended.end_at = clock_.now();
      ended.error = fmt::format("the DAG '{}' is no longer there", row.dag);
      wave_.runs.push_back(std::move(ended));
    } else if (row.state == "queued") {
      queued_.push_back(row);
    } else {
      TRY_STATUS(resume_run(row));
    }
  }
  return commit();
}

Status Scheduler::resume_run(const state::RunRow& row) {
  const Dag& dag = *find(row.dag);
  ActiveRun run{.row = row, .dag = &dag, .plan = dag.plan};
  for (state::TryRow& stored : TRY(store_.tries(row.id))) {
    run.tries[stored.task] = std::move(stored);  // the newest of a task comes last
  }
  for (const auto& [name, newest] : run.tries) {
    const TaskState state = task_state(newest.state);
    if (has_ended(state) || state == TaskState::up_for_retry) run.plan.restore(name, state);
    if (state == TaskState::success) {
      run.values[name] = text::parse_json(newest.value).value_or(text::Value());
    }
    if (state == TaskState::up_for_retry) {
      const Duration longest =
          dag.find(name) ? std::max(dag.find(name)->retry_delay, kBackoffMax) : kBackoffMax;
      const Duration left = newest.retry_at.value_or(clock_.now()) - clock_.now();
      run.retry_due[name] = clock_.uptime() + std::clamp(left, Duration(0), longest);
    }
    if (state == TaskState::queued || state == TaskState::running) {
      const auto lines = TRY(store_.log(row.id, name, newest.try_number));
      run.live[name].first_number = std::ssize(lines);
    }
  }
  // A task that its file no longer has cannot be tried again.
  std::erase_if(run.retry_due, [&](const auto& due) { return !dag.find(due.first); });
  active_.emplace(row.id, std::move(run));
  return Ok{};
}

Result<Duration> Scheduler::step() {
  TRY_STATUS(advance(nullptr));
  TRY_STATUS(fold());
  return pause();
}

Status Scheduler::advance(const std::string* only) {
  TRY_STATUS(commit());  // what an earlier step could not
  TRY_STATUS(take_triggers());
  take_ends();
  queue_due_retries();
  for (auto& [id, run] : active_) settle(run);
  std::erase_if(active_, [](const auto& entry) { return entry.second.row.end_at.has_value(); });
  for (const Dag& dag : dags_) {
    if (paused(dag.id) || (only && *only != dag.id)) continue;
    if (!only) TRY_STATUS(make_due_run(dag));
    start_queued(dag);
  }
  for (auto& [id, run] : active_) {
    if (paused(run.row.dag) || (only && *only != run.row.dag)) continue;
    hand_out(run);
  }
  if (clock_.uptime() >= lines_due_) {
    lines_due_ = clock_.uptime() + kLinesInterval;
    for (auto& [id, run] : active_) {
      for (const auto& [task, live] : run.live) store_lines(run, task);
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

void Scheduler::take_ends() {
  while (auto end = queues_.ends.try_pop()) take_end(*std::move(end));
}

void Scheduler::take_end(TaskEnd end) {
  TL_ASSERT(in_flight_ > 0);
  --in_flight_;
  ActiveRun& run = active_.at(end.run);
  state::TryRow& row = run.tries.at(end.task);
  row.start_at = run.live.at(end.task).log->started();
  store_lines(run, end.task);
  run.live.erase(end.task);
  const TryKey key{run.row.id, end.task, row.try_number};
  shared_.with([&](Shared& shared) { shared.live.erase(key); });
  // Not ended, as far as the store knows: the next process runs it again.
  if (end.interrupted) return;
  row.end_at = end.at;
  probe_.task_seconds.observe(as_seconds(end.at - row.start_at.value_or(end.at)));
  const Task& task = *run.dag->find(end.task);
  Schedule& schedule = schedules_.at(run.row.dag);
  switch (end.outcome.state) {
    case TaskOutcome::State::success:
      row.state = "success";
      row.value = text::to_json(end.outcome.value);
      run.values[end.task] = std::move(end.outcome.value);
      run.plan.finish(end.task, TaskState::success);
      if (schedule.row.failures > 0 && schedule.row.failing_task == end.task) {
        schedule.row.failures = 0;
        schedule.row.held_until.reset();
        schedule.held_until = Duration(0);
        wave_.dags.push_back(schedule.row);
      }
      break;
    case TaskOutcome::State::skipped:
      row.state = "skipped";
      run.plan.finish(end.task, TaskState::skipped);
      break;
    case TaskOutcome::State::failed:
      fail_try(run, row, task, end);
      break;
  }
  wave_.tries.push_back(row);
}

void Scheduler::fail_try(ActiveRun& run, state::TryRow& row, const Task& task, const TaskEnd& end) {
  const Error& error = end.outcome.error;
  row.error_code = to_string(error.code);
  row.error_message = error.message;
  row.error_hint = error.hint;
  wave_.sync = state::Sync::now;
  Duration delay = task.retry_delay;
  if (run.dag->kind == ScheduleKind::continuous && !task.report_only) {
    Schedule& schedule = schedules_.at(run.row.dag);
    ++schedule.row.failures;
    schedule.row.failing_task = task.name;
    delay = backoff(schedule.row.failures);
    schedule.held_until = clock_.uptime() + delay;
    schedule.row.held_until =
        clock_.now() + std::chrono::duration_cast<std::chrono::microseconds>(delay);
    wave_.dags.push_back(schedule.row);
  }
  if (task.report_only || !end.outcome.retryable || row.try_number > task.retries) {
    row.state = "failed";
    run.plan.finish(task.name, TaskState::failed);
    return;
  }
  row.state = "up_for_retry";
  row.retry_at = clock_.now() + std::chrono::duration_cast<std::chrono::microseconds>(delay);
  run.retry_due[task.name] = clock_.uptime() + delay;
  run.plan.retry_later(task.name);
  probe_.tries_retried.add();
}

void Scheduler::queue_due_retries() {
  for (auto& [id, run] : active_) {
    std::erase_if(run.retry_due, [&, &plan = run.plan](const auto& due) {
      if (due.second > clock_.uptime()) return false;
      plan.retry_now(due.first);
      return true;
    });
  }
}

/// Makes the run that the DAG's schedule asks for now, if it does.
Status Scheduler::make_due_run(const Dag& dag) {
  Schedule& schedule = schedules_.at(dag.id);
  const auto going_on = active_count(dag);
  if (going_on >= dag.max_active_runs || has_queued(dag)) return Ok{};
  const Timestamp now = clock_.now();
  std::string_view type = "scheduled";
  std::optional<Timestamp> fire;
  switch (dag.kind) {
    case ScheduleKind::manual:
      return Ok{};
    case ScheduleKind::once:
      if (!schedule.row.last_fire) fire = dag.start_date.value_or(now);
      break;
    case ScheduleKind::continuous: {
      const Duration uptime = clock_.uptime();
      if (uptime < std::max(schedule.held_until, schedule.next_start)) return Ok{};
      const Work work = has_work_.has_work(dag.id);
      const bool worth_it = work == Work::much ||
                            (work == Work::little && (hurry_ || uptime >= schedule.next_little));
      if (!worth_it) return Ok{};
      type = "continuous";
      fire = now;
      break;
    }
    case ScheduleKind::cron:
      if (!dag.catchup) {
        fire = dag.cron->last_fire(now);
        if (fire && schedule.row.last_fire && *fire <= *schedule.row.last_fire) return Ok{};
      } else {
        fire = dag.cron->next_fire(
            schedule.row.last_fire.value_or(*dag.start_date - std::chrono::microseconds(1)));
      }
      break;
  }
  if (!fire || *fire > now || (dag.start_date && *fire < *dag.start_date)) return Ok{};
  state::RunRow run{.id = store_.new_id(), .dag = dag.id, .run_type = std::string(type)};
  run.run_id = TRY(free_run_id(dag.id, type, *fire));
  run.state = "queued";
  run.logical_at = *fire;
  run.queued_at = now;
  queued_.push_back(std::move(run));
  if (dag.kind == ScheduleKind::continuous) {
    schedule.next_start = clock_.uptime() + kContinuousInterval;
  } else {
    schedule.row.last_fire = *fire;
    wave_.dags.push_back(schedule.row);
    wave_.sync = state::Sync::now;
  }
  return Ok{};
}

void Scheduler::start_queued(const Dag& dag) {
  for (auto row = queued_.begin(); row != queued_.end();) {
    if (row->dag != dag.id || active_count(dag) >= dag.max_active_runs) {
      ++row;
      continue;
    }
    row->state = "running";
    row->start_at = clock_.now();
    // A fire that came while no program was there to heed it is due from the program's start on.
    const Timestamp due =
        std::max(opened_at_, row->run_type == "manual" ? row->queued_at : row->logical_at);
    probe_.lag_seconds.observe(as_seconds(std::max(Duration(0), Duration(*row->start_at - due))));
    wave_.runs.push_back(*row);
    active_.emplace(row->id, ActiveRun{.row = *row, .dag = &dag, .plan = dag.plan});
    row = queued_.erase(row);
  }
}

/// Gives the run's ready tasks to the workers, after the next commit.
void Scheduler::hand_out(ActiveRun& run) {
  while (in_flight_ < TaskQueues::kTriesMax) {
    const auto name = run.plan.start_next();
    if (!name) return;
    const Task& task = *run.dag->find(*name);
    state::TryRow& newest = run.tries[*name];
    LiveTry& live = run.live[*name];
    live.log = std::make_shared<TaskLog>(clock_);
    const bool again = newest.state == "queued" || newest.state == "running";
    if (again && live.first_number > 0) {
      live.log->line("the program ended during this try, which begins again");
    }
    newest = {.run = run.row.id,
              .task = *name,
              .try_number = again ? newest.try_number : newest.try_number + 1,
              .state = "queued"};
    wave_.tries.push_back(newest);
    TaskWork work{.run = run.row.id, .log = live.log};
    work.context.dag = run.row.dag;
    work.context.run_id = run.row.run_id;
    work.context.task = *name;
    work.context.action = task.action;
    work.context.params = task.params;
    work.context.try_number = newest.try_number;
    work.context.tries_max = task.report_only ? 1 : task.retries + 1;
    work.context.logical_date = run.row.logical_at;
    work.context.conf = text::parse_json(run.row.conf).value_or(text::Value(text::Object{}));
    work.context.values = run.values;
    ready_.push_back(std::move(work));
    ++in_flight_;
    const TryKey key{run.row.id, *name, newest.try_number};
    shared_.with([&](Shared& shared) { shared.live[key] = live; });
  }
}

/// Writes down what followed from other tasks' ends, and ends the run if nothing is left.
void Scheduler::settle(ActiveRun& run) {
  const Timestamp now = clock_.now();
  for (const auto& [name, node] : run.plan.nodes()) {
    const bool never_begins =
        node.state == TaskState::upstream_failed || node.state == TaskState::skipped;
    if (!never_begins || run.tries.contains(name)) continue;
    state::TryRow row{.run = run.row.id, .task = name, .state = std::string(to_string(node.state))};
    row.start_at = now;
    row.end_at = now;
    wave_.tries.push_back(row);
    run.tries[name] = std::move(row);
  }
  if (run.plan.done()) end_run(run);
}

void Scheduler::end_run(ActiveRun& run) {
  const bool failed = run.plan.failed();
  run.row.state = failed ? "failed" : "success";
  run.row.end_at = clock_.now();
  run.row.busy = *run.row.end_at - run.row.start_at.value_or(*run.row.end_at);
  probe_.run_seconds.observe(as_seconds(run.row.busy));
  (failed ? probe_.runs_failed : probe_.runs_success).add();
  Schedule& schedule = schedules_.at(run.row.dag);
  schedule.next_little = clock_.uptime() + std::min(options_.rest_max, kRest * run.row.busy);
  if (failed) {
    for (const Task& task : run.dag->tasks) {
      if (run.plan.state(task.name) != TaskState::failed) continue;
      run.row.error = fmt::format("{}: {}", task.name, run.tries.at(task.name).error_message);
      break;
    }
    tell_failure(run);
  } else if (schedule.row.failures > 0 || !schedule.row.reported.empty()) {
    telemetry::log(telemetry::Level::info, "dag run recovered",
                   {{"dag", run.row.dag}, {"run_id", run.row.run_id}});
    schedule.row.failures = 0;
    schedule.row.held_until.reset();
    schedule.held_until = Duration(0);
    schedule.row.reported.clear();
    wave_.dags.push_back(schedule.row);
  }
  wave_.runs.push_back(run.row);
  wave_.sync = state::Sync::now;
}

/// One line for a failed run; a finding (report_only) is told once until its message changes.
void Scheduler::tell_failure(const ActiveRun& run) {
  const bool only_findings = std::ranges::all_of(run.dag->tasks, [&](const Task& task) {
    return task.report_only || run.plan.state(task.name) != TaskState::failed;
  });
  Schedule& schedule = schedules_.at(run.row.dag);
  if (only_findings) {
    if (schedule.row.reported == run.row.error) return;
    schedule.row.reported = run.row.error;
    wave_.dags.push_back(schedule.row);
  }
  telemetry::log(telemetry::Level::warn, "dag run failed",
                 {{"dag", run.row.dag}, {"run_id", run.row.run_id}, {"error", run.row.error}});
}

/// Puts the lines that a try wrote since the last time into the wave.
void Scheduler::store_lines(ActiveRun& run, const std::string& task) {
  LiveTry& live = run.live.at(task);
  if (!live.log) return;
  const auto fresh = live.log->lines(live.stored);
  const std::size_t first = live.log->lines().size() - fresh.size();
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    wave_.log.push_back({run.row.id, task, run.tries.at(task).try_number,
                         live.first_number + static_cast<std::int64_t>(first + i), fresh[i].at,
                         fresh[i].text});
  }
  live.stored = first + fresh.size();
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
  return store_.fold(clock_.now() - kFoldAfter, clock_.now() - kKeep);
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
  return pause;
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
    TRY_STATUS(advance(&dag));
    const bool waits = std::ranges::find(queued_, id, &state::RunRow::id) != queued_.end();
    if (!waits && !active_.contains(id)) return run(dag, run_id);
    if (stop.stop_requested()) {
      return Error{ErrorCode::cancelled, fmt::format("the run '{}' was stopped", run_id),
                   "It goes on when its DAG runs again."};
    }
    if (!worker.try_step(stop) && in_flight_ == 0) clock_.wait_for(pause(), stop);
  }
}

Result<std::string> Scheduler::trigger(const std::string& dag, const text::Value& conf,
                                       std::string run_id) {
  if (!find(dag)) return no_dag(dag);
  if (!conf.is_null() && !conf.is_object()) {
    return Error{ErrorCode::invalid_argument, "the run's conf is no JSON object",
                 "Write it as {\"key\": \"value\"}."};
  }
  if (run_id.starts_with("scheduled__") || run_id.starts_with("continuous__") ||
      run_id.size() > 250) {
    return Error{
        ErrorCode::invalid_argument, fmt::format("'{}' is no run id to give", run_id),
        "scheduled__ and continuous__ are the schedule's own; 250 characters is the most."};
  }
  const Timestamp now = clock_.now();
  if (run_id.empty()) run_id = TRY(free_run_id(dag, "manual", now));
  state::RunRow run{.id = store_.new_id(), .dag = dag, .run_id = run_id, .run_type = "manual"};
  run.state = "queued";
  run.logical_at = now;
  run.queued_at = now;
  if (!conf.is_null()) run.conf = text::to_json(conf);
  if (auto added = store_.add(run); !added) {
    if (added.error().code != ErrorCode::already_exists) return std::move(added).error();
    return Error{ErrorCode::already_exists,
                 fmt::format("the DAG '{}' has a run '{}' already", dag, run_id),
                 "Give another run id, or none."};
  }
  shared_.with([](Shared& shared) { shared.triggered = true; });
  queues_.changed.notify();
  return run_id;
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

std::vector<DagInfo> Scheduler::dags() const {
  std::vector<DagInfo> dags;
  for (const Dag& dag : dags_) {
    DagInfo info{&dag, paused(dag.id), std::nullopt};
    if (dag.cron && !info.paused) info.next_fire = dag.cron->next_fire(clock_.now());
    dags.push_back(info);
  }
  return dags;
}

Result<std::vector<state::RunRow>> Scheduler::runs(const std::string& dag,
                                                   std::int64_t limit) const {
  return store_.runs(dag, limit);
}

Result<state::RunRow> Scheduler::run(const std::string& dag, const std::string& run_id) const {
  auto found = TRY(store_.find(dag, run_id));
  if (found) return *std::move(found);
  return Error{ErrorCode::not_found, fmt::format("the DAG '{}' has no run '{}'", dag, run_id),
               fmt::format("`tapeline dag runs {}` shows them.", dag)};
}

Result<std::vector<state::TryRow>> Scheduler::tasks(const std::string& dag,
                                                    const std::string& run_id) const {
  const std::int64_t id = TRY(run(dag, run_id)).id;
  std::vector<state::TryRow> tries = TRY(store_.tries(id));
  shared_.with([&](const Shared& shared) {
    for (state::TryRow& row : tries) {
      const auto live = shared.live.find({row.run, row.task, row.try_number});
      if (live == shared.live.end() || row.state != "queued") continue;
      row.start_at = live->second.log->started();
      if (row.start_at) row.state = "running";
    }
  });
  const Dag* const known = find(dag);
  if (!known) return tries;
  std::vector<state::TryRow> ordered;
  for (const Task& task : known->tasks) {
    const auto before = ordered.size();
    std::ranges::copy_if(tries, std::back_inserter(ordered),
                         [&](const state::TryRow& row) { return row.task == task.name; });
    if (ordered.size() == before)
      ordered.push_back({.run = id, .task = task.name, .state = "none"});
  }
  std::ranges::copy_if(tries, std::back_inserter(ordered),
                       [&](const state::TryRow& row) { return !known->find(row.task); });
  return ordered;
}

Result<std::vector<state::LogRow>> Scheduler::task_log(const std::string& dag,
                                                       const std::string& run_id,
                                                       const std::string& task,
                                                       std::int64_t try_number) const {
  const std::int64_t id = TRY(run(dag, run_id)).id;
  std::vector<state::LogRow> rows = TRY(store_.log(id, task, try_number));
  const auto live = shared_.with([&](const Shared& shared) {
    const auto found = shared.live.find({id, task, try_number});
    return found == shared.live.end() ? LiveTry{} : found->second;
  });
  if (!live.log) return rows;
  // What the try has written so far, stored or not, after what an earlier process left.
  std::erase_if(rows, [&](const auto& row) { return row.number >= live.first_number; });
  for (const TaskLog::Line& line : live.log->lines()) {
    const auto number = rows.empty() ? 0 : rows.back().number + 1;
    rows.push_back({id, task, try_number, number, line.at, line.text});
  }
  return rows;
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

std::int64_t Scheduler::active_count(const Dag& dag) const {
  return std::ranges::count_if(active_,
                               [&](const auto& entry) { return entry.second.row.dag == dag.id; });
}

bool Scheduler::has_queued(const Dag& dag) const {
  return std::ranges::find(queued_, dag.id, &state::RunRow::dag) != queued_.end();
}

Result<std::string> Scheduler::free_run_id(const std::string& dag, std::string_view type,
                                           Timestamp at) const {
  while (true) {
    std::string run_id = fmt::format("{}__{}", type, airflow_time(at));
    if (!TRY(store_.find(dag, run_id))) return run_id;
    at += std::chrono::microseconds(1);
  }
}

}  // namespace tapeline::dag
