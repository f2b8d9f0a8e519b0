// What a scheduler outside asks for: single tasks, whose order and repetition are its own business.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "dag/scheduler.h"

namespace tapeline::dag {
namespace {

constexpr std::size_t kRunIdMax = 600;  // an Airflow DAG's id and its run's, 250 each, and more
constexpr Duration kOutsidePoll = std::chrono::milliseconds(20);

Error outside_error(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

/// The first task before `task` that did not succeed, in the DAG's order.
std::string unfinished_before(const ActiveRun& run, const std::string& task) {
  const auto before = run.plan.upstream_of(task);
  for (const std::string& name : run.dag->task_names()) {
    const TaskState state = run.plan.state(name);
    if (std::ranges::count(before, name) == 0 || state == TaskState::success ||
        state == TaskState::skipped) {
      continue;
    }
    const auto newest = run.tries.find(name);
    const bool has_why = newest != run.tries.end() && !newest->second.error_message.empty();
    return fmt::format("{}: {}", name,
                       has_why ? newest->second.error_message : "it has not succeeded");
  }
  return "";
}

}  // namespace

Status Scheduler::check_outside(const OutsideTry& asked) const {
  const Dag* const dag = find(asked.dag);
  if (!dag) return no_dag(asked.dag);
  if (!dag->find(asked.task)) {
    return Error{ErrorCode::not_found,
                 fmt::format("the DAG '{}' has no task '{}'", asked.dag, asked.task),
                 fmt::format("`tapeline dag show {}` lists them.", asked.dag)};
  }
  if (asked.run_id.empty() || asked.run_id.size() > kRunIdMax) {
    return outside_error(fmt::format("a run's id has 1 to {} characters", kRunIdMax),
                         "Give the outside scheduler's own: --run-id ID.");
  }
  if (!asked.conf.is_null() && !asked.conf.is_object()) {
    return outside_error("the run's conf is no JSON object", "Write it as {\"key\": \"value\"}.");
  }
  if (paused(asked.dag)) {
    return Error{
        ErrorCode::unavailable, fmt::format("the DAG '{}' is paused", asked.dag),
        fmt::format("`tapeline dag unpause {}` lets its tasks run. That this program makes "
                    "no runs of its own is said with dag.scheduler = \"outside\".",
                    asked.dag)};
  }
  return Ok{};
}

/// The run of that name as the store has it, made where there is none.
Result<ActiveRun> Scheduler::outside_run(const OutsideTry& asked) {
  auto row = TRY(store_.find(asked.dag, asked.run_id));
  if (!row) {
    const Timestamp now = clock_.now();
    row = state::RunRow{.id = store_.new_id(),
                        .dag = asked.dag,
                        .run_id = asked.run_id,
                        .run_type = std::string(kOutside),
                        .state = "running",
                        .logical_at = asked.logical_date.value_or(now),
                        .queued_at = now,
                        .start_at = now};
    if (!asked.conf.is_null()) row->conf = text::to_json(asked.conf);
    TRY_STATUS(store_.add(*row));
  }
  if (row->run_type != kOutside) {
    return Error{ErrorCode::already_exists,
                 fmt::format("the DAG '{}' has a run '{}' of its own", asked.dag, asked.run_id),
                 "Give --run-id something before it, as the generated DAG file does."};
  }
  if (!asked.conf.is_null()) row->conf = text::to_json(asked.conf);
  return load(*row);
}

/// Gives a run the state that its tasks make, of which some may work just now.
void Scheduler::settle_outside(ActiveRun& run, bool works, state::Wave& wave) const {
  const bool over = !works && (run.plan.failed() || run.plan.done());
  run.row.state = !over ? "running" : run.plan.failed() ? "failed" : "success";
  run.row.error = over ? run.failure() : "";
  run.row.end_at = over ? std::optional(clock_.now()) : std::nullopt;
  run.row.busy = over ? *run.row.end_at - run.row.start_at.value_or(*run.row.end_at) : Duration(0);
  wave.runs.push_back(run.row);
}

Result<TaskContext> Scheduler::begin_outside(const OutsideTry& asked) {
  ActiveRun run = TRY(outside_run(asked));
  const Task& task = *run.dag->find(asked.task);
  const auto newest = run.tries.find(asked.task);
  const std::int64_t least = newest == run.tries.end() ? 1 : newest->second.try_number + 1;
  OutsideLive its{.row = {.run = run.row.id,
                          .task = asked.task,
                          .try_number = std::max(asked.try_number, least),
                          .state = "running",
                          .start_at = clock_.now()}};
  its.live.log = std::make_shared<TaskLog>(clock_);
  its.live.log->start();
  if (asked.try_number > 0 && asked.try_number < least) {
    its.live.log->line(
        fmt::format("try {} of the outside scheduler: that number was taken", asked.try_number));
  }
  TaskContext context{.dag = asked.dag,
                      .run_id = asked.run_id,
                      .task = asked.task,
                      .action = task.action,
                      .params = run.params(task),
                      .try_number = its.row.try_number,
                      .logical_date = run.row.logical_at,
                      .values = asked.values.value_or(run.values),
                      .log = its.live.log.get()};
  context.conf = text::parse_json(run.row.conf).value_or(text::Value(text::Object{}));
  const TryKey key{its.row.run, its.row.task, its.row.try_number};
  state::Wave wave{.tries = {its.row}};
  settle_outside(run, true, wave);
  TRY_STATUS(store_.write(wave));
  shared_.with([&](Shared& shared) { shared.live[key] = its.live; });
  outside_.emplace(OutsideKey{asked.dag, asked.run_id, asked.task}, std::move(its));
  return context;
}

Result<OutsideEnd> Scheduler::end_outside(const OutsideTry& asked, TaskOutcome outcome) {
  auto node = outside_.extract({asked.dag, asked.run_id, asked.task});
  TL_ASSERT(!node.empty());
  OutsideLive& its = node.mapped();
  state::TryRow& row = its.row;
  row.end_at = clock_.now();
  probe_.task_seconds.observe(SchedulerProbe::seconds(*row.end_at - *row.start_at));
  switch (outcome.state) {
    case TaskOutcome::State::success:
      row.state = "success";
      row.value = text::to_json(outcome.value);
      break;
    case TaskOutcome::State::skipped:
      row.state = "skipped";
      break;
    case TaskOutcome::State::failed:
      row.state = "failed";
      row.error_code = to_string(outcome.error.code);
      row.error_message = outcome.error.message;
      row.error_hint = outcome.error.hint;
      break;
  }
  OutsideEnd end{
      .try_number = row.try_number, .outcome = std::move(outcome), .lines = its.live.log->lines()};
  store_lines(row.run, row.task, row.try_number, its.live);
  const TryKey key{row.run, row.task, row.try_number};
  shared_.with([&](Shared& shared) { shared.live.erase(key); });
  wave_.tries.push_back(row);
  wave_.sync = state::Sync::now;
  TRY_STATUS(commit());  // the run's state is read from its tries
  ActiveRun run = TRY(outside_run(asked));
  end.unfinished = unfinished_before(run, asked.task);
  const bool works = std::ranges::any_of(
      outside_, [&](const auto& entry) { return entry.second.row.run == run.row.id; });
  settle_outside(run, works, wave_);
  wave_.sync = state::Sync::now;
  TRY_STATUS(commit());
  return end;
}

Result<OutsideEnd> Scheduler::run_outside(const OutsideTry& asked, TaskRunner& runner,
                                          std::stop_token stop) {
  TRY_STATUS(check_outside(asked));
  const OutsideKey key{asked.dag, asked.run_id, asked.task};
  const Duration until = clock_.uptime() + kOutsideWait;
  TaskContext context;
  for (;;) {
    if (stop.stop_requested()) {
      return Error{ErrorCode::cancelled, "called off before it began", ""};
    }
    {
      const std::lock_guard turn(turn_);
      if (!outside_.contains(key)) {
        context = TRY(begin_outside(asked));
        break;
      }
    }
    if (clock_.uptime() >= until) {
      return Error{ErrorCode::unavailable,
                   fmt::format("an earlier try of '{}' of the run '{}' still works", asked.task,
                               asked.run_id),
                   "It ends by itself, or when the command that asked for it is ended. Then try "
                   "again."};
    }
    clock_.wait_for(kOutsidePoll, stop);
  }
  context.stop = stop;
  TaskOutcome outcome = outcome_of(runner.run(context), *context.log);
  const std::lock_guard turn(turn_);
  return end_outside(asked, std::move(outcome));
}

/// What an earlier process left: its tries ended with it.
Status Scheduler::resume_outside(const state::RunRow& row) {
  ActiveRun run = TRY(load(row));
  for (auto& [name, newest] : run.tries) {
    if (task_state(newest.state) != TaskState::running) continue;
    end_lost(newest, "the program ended during this try");
    run.plan.restore({{name, TaskState::failed}});
  }
  settle_outside(run, false, wave_);
  return Ok{};
}

}  // namespace tapeline::dag
