// What a person changes in a run: clear, mark, cancel.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "dag/scheduler.h"

namespace tapeline::dag {
namespace {

Error wrong(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

/// The tasks that a choice means, in the DAG's order.
Result<std::vector<std::string>> chosen(const ActiveRun& run, const TaskChoice& choice) {
  const Dag& dag = *run.dag;
  if (choice.task.empty() && (choice.upstream || choice.downstream)) {
    return wrong("--upstream and --downstream need a task to go from", "Name it with --task.");
  }
  if (!choice.task.empty() && !dag.find(choice.task)) {
    return Error{ErrorCode::not_found,
                 fmt::format("the DAG '{}' has no task '{}'", dag.id, choice.task),
                 fmt::format("`tapeline dag show {}` lists them.", dag.id)};
  }
  std::vector<std::string> names = dag.task_names();
  const auto reach = [&](bool asked, const std::vector<std::string>& others,
                         const std::string& name) {
    return asked && std::ranges::count(others, name) > 0;
  };
  std::erase_if(names, [&](const std::string& name) {
    const TaskState state = run.plan.state(name);
    if (choice.failed && state != TaskState::failed && state != TaskState::upstream_failed) {
      return true;
    }
    if (choice.task.empty() || name == choice.task) return false;
    return !reach(choice.upstream, run.plan.upstream_of(choice.task), name) &&
           !reach(choice.downstream, run.plan.downstream_of(choice.task), name);
  });
  return names;
}

}  // namespace

/// Finds a run wherever it is, changes it, and writes down what became of it. `how` takes the
/// ActiveRun and answers a Status; on an error nothing has changed.
template <typename Change>
Result<state::RunRow> Scheduler::change(const std::string& dag, const std::string& run_id,
                                        Change&& how) {
  if (!find(dag)) return no_dag(dag);
  const std::lock_guard turn(turn_);
  TRY_STATUS(commit());
  TRY_STATUS(take_triggers());
  const state::RunRow row = TRY(run(dag, run_id));
  if (row.run_count > 1) {
    return wrong(
        fmt::format("'{}' stands for {} runs that were folded into one row", run_id, row.run_count),
        "What their tasks did is no longer kept.");
  }
  if (row.run_type == kOutside) {
    return wrong(fmt::format("the run '{}' is of a scheduler outside", run_id),
                 "Change it there: what is asked for again runs again, and what is stopped there "
                 "stops here.");
  }
  if (const auto found = active_.find(row.id); found != active_.end()) {
    TRY_STATUS(how(found->second));
    if (!found->second.row.end_at) settle(found->second);
    const state::RunRow changed = found->second.row;
    if (changed.end_at) active_.erase(found);
    wave_.sync = state::Sync::now;
    TRY_STATUS(commit());
    queues_.changed.notify();
    return changed;
  }
  ActiveRun resting = TRY(load(row));
  TRY_STATUS(how(resting));
  put_back(std::move(resting));
  TRY_STATUS(commit());
  queues_.changed.notify();
  return run(dag, run_id);
}

/// A run that was not going on and was changed: it is over, or it is queued.
void Scheduler::put_back(ActiveRun run) {
  std::erase_if(queued_, [&](const state::RunRow& row) { return row.id == run.row.id; });
  if (!run.row.end_at) {
    run.row.state = "queued";
    run.row.queued_at = clock_.now();
    run.row.start_at.reset();
    run.row.error.clear();
    run.row.busy = Duration(0);
    const auto after = [&](const state::RunRow& row) { return row.id > run.row.id; };
    queued_.insert(std::ranges::find_if(queued_, after), run.row);
  }
  wave_.runs.push_back(std::move(run.row));
  wave_.sync = state::Sync::now;
}

/// errors: invalid_argument where a worker has one of the tasks
Status Scheduler::check_no_live(const ActiveRun& run, const std::vector<std::string>& tasks) const {
  for (const std::string& name : tasks) {
    if (run.live.contains(name)) {
      return wrong(fmt::format("the task '{}' is running", name),
                   "Wait for its end, or `tapeline dag cancel` the run first.");
    }
    if (leaving_.contains({run.row.id, name})) {
      return wrong(fmt::format("the task '{}' was stopped and has not ended yet", name),
                   "Try again in a moment.");
    }
  }
  return Ok{};
}

Result<std::vector<std::string>> Scheduler::clear(const std::string& dag, const std::string& run_id,
                                                  const TaskChoice& choice) {
  std::vector<std::string> cleared;
  const auto changed = change(dag, run_id, [&](ActiveRun& run) -> Status {
    cleared = TRY(chosen(run, choice));
    TRY_STATUS(check_no_live(run, cleared));
    run.clear(cleared, wave_);
    if (!cleared.empty()) run.row.end_at.reset();
    return Ok{};
  });
  if (!changed) return changed.error();
  return cleared;
}

/// Ends a run by hand, whether it goes on, waits or had ended.
void Scheduler::end_by_hand(ActiveRun& run, bool failed, const std::string& why) {
  if (active_.contains(run.row.id)) {
    end_run(run, failed, why, true);
    return;
  }
  run.row.state = failed ? "failed" : "success";
  run.row.error = failed ? why : "";
  if (!run.row.end_at) run.row.end_at = clock_.now();
}

Status Scheduler::mark_task(ActiveRun& run, TaskState state, const std::string& task) {
  auto to_clear = TRY(chosen(run, {.task = task, .downstream = true, .failed = true}));
  std::erase(to_clear, task);
  TRY_STATUS(check_no_live(run, to_clear));
  stop_try(run, task);
  run.set(task, state, clock_.now(), wave_);
  run.clear(to_clear, wave_);
  if (active_.contains(run.row.id)) return Ok{};  // it is settled next
  follow(run);
  if (run.plan.done()) {
    end_by_hand(run, run.plan.failed(), run.failure());
  } else {
    run.row.end_at.reset();
  }
  return Ok{};
}

Result<state::RunRow> Scheduler::mark(const std::string& dag, const std::string& run_id,
                                      TaskState state, const std::string& task) {
  TL_ASSERT(state == TaskState::success || state == TaskState::failed);
  return change(dag, run_id, [&](ActiveRun& run) -> Status {
    if (!task.empty()) return mark_task(run, state, task);
    stop_run(run, state);
    end_by_hand(run, state == TaskState::failed, "marked failed");
    return Ok{};
  });
}

Result<state::RunRow> Scheduler::cancel(const std::string& dag, const std::string& run_id) {
  return change(dag, run_id, [&](ActiveRun& run) -> Status {
    if (run.row.end_at) {
      return wrong(fmt::format("the run '{}' has ended: {}", run_id, run.row.state),
                   "`tapeline dag mark` changes the state of one that has.");
    }
    stop_run(run, TaskState::failed);
    end_by_hand(run, true, "cancelled");
    return Ok{};
  });
}

}  // namespace tapeline::dag
