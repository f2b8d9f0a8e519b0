// What moves runs: tries that end, retries, timeouts, and what follows for the tasks after them.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "dag/scheduler.h"
#include "telemetry/logging.h"

namespace tapeline::dag {
namespace {

constexpr int kRest = 11;  // times as long as it took: little work takes a twelfth of the time
constexpr Duration kBackoffFirst = std::chrono::seconds(1);

/// 1 s, doubled with each failure, to 60 s.
Duration backoff(std::int64_t failures) {
  return std::min(kBackoffMax, kBackoffFirst * (std::int64_t{1} << std::min<std::int64_t>(
                                                    std::max<std::int64_t>(failures - 1, 0), 6)));
}

}  // namespace

void Scheduler::take_ends() {
  while (auto end = queues_.ends.try_pop()) take_end(*std::move(end));
}

void Scheduler::take_end(TaskEnd end) {
  TL_ASSERT(in_flight_ > 0);
  --in_flight_;
  if (const auto left = leaving_.find({end.run, end.task}); left != leaving_.end()) {
    LeavingTry& leaving = left->second;
    store_lines(end.run, end.task, leaving.try_number, leaving.live);
    const TryKey key{end.run, end.task, leaving.try_number};
    shared_.with([&](Shared& shared) { shared.live.erase(key); });
    leaving_.erase(left);
    return;
  }
  ActiveRun& run = active_.at(end.run);
  state::TryRow& row = run.tries.at(end.task);
  LiveTry& live = run.live.at(end.task);
  row.start_at = live.log->started();
  store_lines(run.row.id, end.task, row.try_number, live);
  const bool overdue = live.overdue;
  run.live.erase(end.task);
  const TryKey key{run.row.id, end.task, row.try_number};
  shared_.with([&](Shared& shared) { shared.live.erase(key); });
  // Not ended, as far as the store knows: the next process runs it again.
  if (end.interrupted) return;
  row.end_at = end.at;
  probe_.task_seconds.observe(SchedulerProbe::seconds(end.at - row.start_at.value_or(end.at)));
  const Task& task = *run.dag->find(end.task);
  Schedule& schedule = schedules_.at(run.row.dag);
  if (overdue && end.outcome.state == TaskOutcome::State::failed) {
    end.outcome = TaskOutcome::failed(
        Error{ErrorCode::timed_out,
              fmt::format("took longer than its execution_timeout ({})",
                          format_duration(*task.execution_timeout)),
              "Give it more time in the DAG's file, or find out what it waited for."});
  }
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
  if (task.report_only || !end.outcome.retryable || row.try_number >= run.tries_max(task)) {
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

/// Gives the run's ready tasks to the workers, after the next commit.
void Scheduler::hand_out(ActiveRun& run) {
  while (in_flight_ < TaskQueues::kTriesMax) {
    const auto name = run.plan.start_next();
    if (!name) return;
    const Task& task = *run.dag->find(*name);
    state::TryRow& newest = run.tries[*name];
    LiveTry& live = run.live[*name];
    live.log = std::make_shared<TaskLog>(clock_);
    const std::int64_t tries_max = run.tries_max(task);
    // Again: an earlier process had begun it. Or it was cleared, and has its number already.
    const bool again = newest.state == "queued" || newest.state == "running";
    const bool cleared = newest.state == "none" && newest.try_number > 0;
    if (again && live.first_number > 0) {
      live.log->line("the program ended during this try, which begins again");
    }
    newest = {.run = run.row.id,
              .task = *name,
              .try_number = again || cleared ? newest.try_number : newest.try_number + 1,
              .state = "queued",
              .tries_max = newest.tries_max};
    wave_.tries.push_back(newest);
    TaskWork work{.run = run.row.id, .log = live.log, .stop = live.stop};
    work.context.dag = run.row.dag;
    work.context.run_id = run.row.run_id;
    work.context.task = *name;
    work.context.action = task.action;
    work.context.params = run.params(task);
    work.context.try_number = newest.try_number;
    work.context.tries_max = tries_max;
    work.context.logical_date = run.row.logical_at;
    work.context.conf = text::parse_json(run.row.conf).value_or(text::Value(text::Object{}));
    work.context.values = run.values;
    ready_.push_back(std::move(work));
    ++in_flight_;
    const TryKey key{run.row.id, *name, newest.try_number};
    shared_.with([&](Shared& shared) { shared.live[key] = live; });
  }
}

/// Writes down what followed from other tasks' ends.
void Scheduler::follow(ActiveRun& run) {
  const Timestamp now = clock_.now();
  for (const auto& [name, node] : run.plan.nodes()) {
    const bool never_begins =
        node.state == TaskState::upstream_failed || node.state == TaskState::skipped;
    if (!never_begins) continue;
    state::TryRow& row = run.tries[name];
    if (has_ended(task_state(row.state))) continue;
    row.run = run.row.id;
    row.task = name;
    row.state = to_string(node.state);
    row.start_at = now;
    row.end_at = now;
    wave_.tries.push_back(row);
  }
}

/// As follow, and ends the run if nothing is left.
void Scheduler::settle(ActiveRun& run) {
  follow(run);
  if (run.plan.done()) end_run(run, run.plan.failed(), run.failure());
}

/// Ends a run in memory and in the wave; the next step takes it out of the active ones.
void Scheduler::end_run(ActiveRun& run, bool failed, const std::string& why, bool by_hand) {
  run.row.state = failed ? "failed" : "success";
  run.row.error = failed ? why : "";
  run.row.end_at = clock_.now();
  run.row.busy = *run.row.end_at - run.row.start_at.value_or(*run.row.end_at);
  probe_.run_seconds.observe(SchedulerProbe::seconds(run.row.busy));
  (failed ? probe_.runs_failed : probe_.runs_success).add();
  Schedule& schedule = schedules_.at(run.row.dag);
  schedule.next_little = clock_.uptime() + std::min(options_.rest_max, kRest * run.row.busy);
  if (failed && by_hand) {
    telemetry::log(telemetry::Level::info, "dag run stopped",
                   {{"dag", run.row.dag}, {"run_id", run.row.run_id}, {"why", why}});
  } else if (failed) {
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
  const bool any_failed = run.plan.failed();  // none where the run took too long
  const bool only_findings =
      any_failed && std::ranges::all_of(run.dag->tasks, [&](const Task& task) {
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
void Scheduler::store_lines(std::int64_t run, const std::string& task, std::int64_t try_number,
                            LiveTry& live) {
  if (!live.log) return;
  const auto fresh = live.log->lines(live.stored);
  const std::size_t first = live.log->lines().size() - fresh.size();
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    wave_.log.push_back({run, task, try_number,
                         live.first_number + static_cast<std::int64_t>(first + i), fresh[i].at,
                         fresh[i].text});
  }
  live.stored = first + fresh.size();
}

/// Asks a try to stop; its end will be passed over. What it does before it looks stays done.
void Scheduler::stop_try(ActiveRun& run, const std::string& task) {
  const auto found = run.live.find(task);
  // One that an earlier process had begun, and nobody has now, needs no stop.
  if (found == run.live.end() || !found->second.log) return;
  found->second.log->line("stopped: the run, or this task of it, got another state");
  found->second.stop.request_stop();
  leaving_[{run.row.id, task}] = {std::move(found->second), run.tries.at(task).try_number};
  run.live.erase(found);
}

/// Ends all that is left of a run: what runs gets a state, what waits is skipped.
void Scheduler::stop_run(ActiveRun& run, TaskState state_of_running) {
  // Listed first: what becomes of one says something of those after it.
  std::vector<std::string> left = run.dag->task_names();
  std::erase_if(left, [&](const std::string& task) { return has_ended(run.plan.state(task)); });
  for (const std::string& task : left) {
    const auto live = run.live.find(task);
    const bool runs = live != run.live.end() && live->second.log && live->second.log->started();
    if (runs) run.tries.at(task).start_at = live->second.log->started();
    stop_try(run, task);
    run.set(task, runs ? state_of_running : TaskState::skipped, clock_.now(), wave_);
  }
}

/// Stops what took longer than it may.
void Scheduler::end_overdue() {
  for (auto& [id, run] : active_) {
    const auto& limit = run.dag->dagrun_timeout;
    if (limit && !run.row.end_at && clock_.now() - *run.row.start_at > *limit) {
      stop_run(run, TaskState::skipped);
      end_run(run, true,
              fmt::format("took longer than its dagrun_timeout ({})", format_duration(*limit)));
      continue;
    }
    for (auto& [name, live] : run.live) {
      const auto& task_limit = run.dag->find(name)->execution_timeout;
      if (!task_limit || live.overdue || !live.log) continue;
      const auto started = live.log->started_uptime();
      if (!started || clock_.uptime() - *started <= *task_limit) continue;
      live.overdue = true;
      live.log->line(
          fmt::format("stopped after its execution_timeout ({})", format_duration(*task_limit)));
      live.stop.request_stop();
    }
  }
}

/// A pause that ends when the next timeout may.
Duration Scheduler::wait_for_timeouts(Duration pause) const {
  constexpr Duration kPast = std::chrono::milliseconds(1);
  const auto until = [&](Duration left) { pause = std::clamp(left + kPast, kPast, pause); };
  for (const auto& [id, run] : active_) {
    if (run.dag->dagrun_timeout && run.row.start_at) {
      until(*run.dag->dagrun_timeout - (clock_.now() - *run.row.start_at));
    }
    for (const auto& [name, live] : run.live) {
      const auto& limit = run.dag->find(name)->execution_timeout;
      const auto started = live.log ? live.log->started_uptime() : std::nullopt;
      if (limit && started && !live.overdue) until(*limit - (clock_.uptime() - *started));
    }
  }
  return pause;
}

}  // namespace tapeline::dag
