// What makes runs: the schedule, a trigger, a backfill.

#include <fmt/format.h>

#include <algorithm>

#include "dag/scheduler.h"

namespace tapeline::dag {
namespace {

constexpr Duration kContinuousInterval = std::chrono::milliseconds(250);
constexpr std::int64_t kRunsOfADate = 100;
constexpr std::int64_t kBackfillMax = 10'000;
constexpr std::int64_t kRunsForEstimate = 20;

/// As Airflow writes it: 2026-11-22T16:45:00+00:00, with six digits where there is a fraction.
std::string airflow_time(Timestamp at) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(at);
  std::string text = format_rfc3339(whole);
  text.pop_back();  // Z
  if (at != whole) text += fmt::format(".{:06}", (at - whole).count());
  return text + "+00:00";
}

/// Whether it is the run of its logical date.
bool is_for_fire(const state::RunRow& run) {
  return run.run_type != "manual" && run.run_type != kOutside;
}

Error no_conf() {
  return Error{ErrorCode::invalid_argument, "the run's conf is no JSON object",
               "Write it as {\"key\": \"value\"}."};
}

}  // namespace

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
  if (dag.kind == ScheduleKind::cron &&
      std::ranges::any_of(TRY(store_.between(dag.id, *fire, *fire, kRunsOfADate)), is_for_fire)) {
    // A backfill was there before.
    schedule.row.last_fire = *fire;
    wave_.dags.push_back(schedule.row);
    return Ok{};
  }
  state::RunRow run{.id = store_.new_id(), .dag = dag.id, .run_type = std::string(type)};
  run.run_id = TRY(free_run_id(dag.id, type, *fire));
  run.state = "queued";
  run.logical_at = *fire;
  run.queued_at = now;
  if (dag.kind == ScheduleKind::continuous) {
    schedule.next_start = clock_.uptime() + kContinuousInterval;
  } else {
    wave_.runs.push_back(run);
    schedule.row.last_fire = *fire;
    wave_.dags.push_back(schedule.row);
    wave_.sync = state::Sync::now;
  }
  queued_.push_back(std::move(run));
  return Ok{};
}

Status Scheduler::start_queued(const Dag& dag) {
  for (auto row = queued_.begin(); row != queued_.end();) {
    if (row->dag != dag.id || active_count(dag, row->backfill) >= active_max(dag, *row)) {
      ++row;
      continue;
    }
    // Fresh, or cleared: then some of its tasks have ended.
    ActiveRun run = TRY(load(*row));
    run.row.state = "running";
    run.row.start_at = clock_.now();
    // A fire that came while no program was there to heed it is due from the program's start on.
    const bool by_schedule = row->run_type == "scheduled" || row->run_type == "continuous";
    const Timestamp due =
        std::max({opened_at_, row->queued_at, by_schedule ? row->logical_at : row->queued_at});
    const Duration lag = *run.row.start_at - due;
    probe_.lag_seconds.observe(SchedulerProbe::seconds(std::max(Duration(0), lag)));
    wave_.runs.push_back(run.row);
    active_.emplace(row->id, std::move(run));
    row = queued_.erase(row);
  }
  return Ok{};
}

Result<std::string> Scheduler::trigger(const std::string& dag, const text::Value& conf,
                                       std::string run_id) {
  if (!find(dag)) return no_dag(dag);
  if (!conf.is_null() && !conf.is_object()) return no_conf();
  if (run_id.starts_with("scheduled__") || run_id.starts_with("continuous__") ||
      run_id.starts_with("backfill__") || run_id.size() > 250) {
    return Error{
        ErrorCode::invalid_argument, fmt::format("'{}' is no run id to give", run_id),
        "scheduled__, continuous__ and backfill__ are the schedule's own; 250 characters is the "
        "most."};
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

Result<BackfillPlan> Scheduler::plan_backfill(const Dag& dag, const Backfill& wanted) {
  const auto wrong = [](std::string message, std::string hint) {
    return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
  };
  if (wanted.from > wanted.to) {
    return wrong("the backfill ends before it begins", "Give the earlier time as --from.");
  }
  if (wanted.to > clock_.now()) {
    return wrong("the backfill ends in the future", "The schedule makes those runs in their time.");
  }
  const Error too_many = wrong(fmt::format("more than {} runs lie in that stretch", kBackfillMax),
                               "Take a shorter one.");
  BackfillPlan plan{.usual_length = TRY(store_.usual_length(dag.id, kRunsForEstimate))};
  std::map<Timestamp, state::RunRow> there;
  for (state::RunRow& run : TRY(store_.between(dag.id, wanted.from, wanted.to, kBackfillMax + 1))) {
    if (is_for_fire(run)) there[run.logical_at] = std::move(run);
  }
  if (std::ssize(there) > kBackfillMax) return too_many;
  std::vector<Timestamp> dates;
  if (dag.cron) {
    auto fire = dag.cron->next_fire(wanted.from - std::chrono::microseconds(1));
    for (; fire && *fire <= wanted.to; fire = dag.cron->next_fire(*fire)) {
      if (std::ssize(dates) == kBackfillMax) return too_many;
      dates.push_back(*fire);
    }
  } else if (wanted.which == Backfill::Which::missing) {
    return wrong(fmt::format("'{}' has no fire times of which runs could be missing: its schedule "
                             "is {}",
                             dag.id, dag.schedule.empty() ? "none" : dag.schedule),
                 dag.kind == ScheduleKind::continuous
                     ? "Its next run does all there is to do. --which failed or all runs again "
                       "what ran in that stretch."
                     : "--which failed or all runs again what ran in that stretch.");
  } else {
    for (const auto& [at, run] : there) dates.push_back(at);
  }
  for (const Timestamp date : dates) {
    BackfillPlan::Item item{.logical_at = date};
    const auto found = there.find(date);
    if (found == there.end()) {
      item.action = BackfillPlan::Action::create;
      item.run_id = TRY(free_run_id(dag.id, "backfill", date));
    } else {
      const state::RunRow& run = found->second;
      item.run_id = run.run_id;
      item.state = run.state;
      const bool again = wanted.which == Backfill::Which::all
                             ? run.end_at.has_value()
                             : wanted.which == Backfill::Which::failed && run.state == "failed";
      if (again && run.run_count == 1) item.action = BackfillPlan::Action::clear;
    }
    plan.items.push_back(std::move(item));
  }
  return plan;
}

Result<BackfillPlan> Scheduler::backfill(const std::string& dag, const Backfill& wanted) {
  const Dag* const found = find(dag);
  if (!found) return no_dag(dag);
  if (!wanted.conf.is_null() && !wanted.conf.is_object()) return no_conf();
  const std::lock_guard turn(turn_);
  TRY_STATUS(commit());
  TRY_STATUS(take_triggers());
  BackfillPlan plan = TRY(plan_backfill(*found, wanted));
  if (wanted.dry_run || plan.runs() == 0) return plan;
  const std::int64_t id = store_.new_id();
  // All of it in one commit, or nothing. What is cleared is looked up first.
  std::vector<ActiveRun> runs;
  for (const BackfillPlan::Item& item : plan.items) {
    if (item.action == BackfillPlan::Action::keep) continue;
    state::RunRow row;
    if (item.action == BackfillPlan::Action::clear) {
      row = TRY(run(dag, item.run_id));
    } else {
      row = {.id = store_.new_id(), .dag = dag, .run_id = item.run_id, .run_type = "backfill"};
      row.logical_at = item.logical_at;
      if (!wanted.conf.is_null()) row.conf = text::to_json(wanted.conf);
    }
    row.backfill = id;
    row.backfill_active_max = wanted.active_max;
    runs.push_back(TRY(load(row)));
    TRY_STATUS(check_no_live(runs.back(), found->task_names()));
  }
  for (ActiveRun& run : runs) {
    run.clear(found->task_names(), wave_);
    run.row.end_at.reset();
    put_back(std::move(run));
  }
  TRY_STATUS(commit());
  queues_.changed.notify();
  return plan;
}

/// How many runs go on that a limit counts together: a backfill's, or all that belong to none.
/// Under @continuous there is one limit for all.
std::int64_t Scheduler::active_count(const Dag& dag, std::int64_t backfill) const {
  return std::ranges::count_if(active_, [&](const auto& entry) {
    const state::RunRow& row = entry.second.row;
    return row.dag == dag.id && (dag.kind == ScheduleKind::continuous || row.backfill == backfill);
  });
}

std::int64_t Scheduler::active_max(const Dag& dag, const state::RunRow& row) const {
  const bool own = row.backfill != 0 && dag.kind != ScheduleKind::continuous;
  return own ? row.backfill_active_max : dag.max_active_runs;
}

bool Scheduler::has_queued(const Dag& dag) const {
  return std::ranges::any_of(queued_, [&](const state::RunRow& row) {
    return row.dag == dag.id && (dag.kind == ScheduleKind::continuous || row.backfill == 0);
  });
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
