#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/commands/dag.h"
#include "app/values.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

using dag::BackfillPlan;

Error usage(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

ExitCode clear(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  const std::string& run_id = call.line.words[1];
  const auto cleared = TRY(pipeline.scheduler().clear(found->id, run_id,
                                                      {.task = call.line.value("task").value_or(""),
                                                       .upstream = call.line.has("upstream"),
                                                       .downstream = call.line.has("downstream"),
                                                       .failed = call.line.has("failed")}));
  std::string names;
  for (const auto& name : cleared) names += (names.empty() ? "" : ", ") + name;
  call.terminal.err(cleared.empty() ? "no task of the run is meant by that\n"
                                    : fmt::format("cleared: {}\n", names));
  return tell_run(pipeline, call, found->id, run_id);
}

ExitCode mark(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  const std::string& run_id = call.line.words[1];
  const dag::TaskState state = dag::task_state(call.line.words[2]);
  if (state != dag::TaskState::success && state != dag::TaskState::failed) {
    return usage(fmt::format("'{}' is no state to mark with", call.line.words[2]),
                 "Write success or failed.");
  }
  TRY_STATUS(
      pipeline.scheduler().mark(found->id, run_id, state, call.line.value("task").value_or("")));
  return tell_run(pipeline, call, found->id, run_id);
}

ExitCode cancel(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  const auto run = TRY(pipeline.scheduler().cancel(found->id, call.line.words[1]));
  text::Value row;
  row.set("dag", found->id);
  row.set("run_id", run.run_id);
  row.set("state", run.state);
  row.set("error", run.error);
  print_objects(call, {row});
  return 0;
}

/// An instant or a date; of a date the first or the last instant in the DAG's time zone.
Result<Timestamp> bound(const Call& call, const dag::Dag& dag, std::string_view flag, bool is_end,
                        Timestamp now) {
  const auto text = call.line.value(flag);
  if (!text) {
    return usage(fmt::format("`dag backfill` needs --{}", flag),
                 "Write --from 2026-11-01 --to 2026-11-07; both days are included.");
  }
  const auto date = parse_date(*text);
  if (!date) {
    const auto at = parse_rfc3339(*text);
    if (at) return at->at;
    return usage(fmt::format("'{}' is neither a date nor a time", *text),
                 "Write 2026-11-01 or 2026-11-01T14:30:00Z.");
  }
  const auto zone = TRY(TimeZone::find(dag.timezone));
  if (!is_end) return zone.to_utc(*date, std::chrono::microseconds(0));
  const Timestamp next_day =
      zone.to_utc(*date + std::chrono::days(1), std::chrono::microseconds(0));
  // Today is meant as far as it has come.
  return std::min(next_day - std::chrono::microseconds(1),
                  std::max(now, zone.to_utc(*date, std::chrono::microseconds(0))));
}

std::string_view to_string(BackfillPlan::Action action) {
  switch (action) {
    case BackfillPlan::Action::create:
      return "create";
    case BackfillPlan::Action::clear:
      return "run again";
    case BackfillPlan::Action::keep:
      return "leave";
  }
  return "leave";
}

ExitCode backfill(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  dag::Backfill wanted{.from = TRY(bound(call, *found, "from", false, pipeline.clock().now()))};
  wanted.to = TRY(bound(call, *found, "to", true, pipeline.clock().now()));
  const std::string which = call.line.value("which").value_or("missing");
  if (which != "missing" && which != "failed" && which != "all") {
    return usage(fmt::format("'{}' is no kind of runs to backfill", which),
                 "Write missing, failed or all.");
  }
  wanted.which = which == "all"      ? dag::Backfill::Which::all
                 : which == "failed" ? dag::Backfill::Which::failed
                                     : dag::Backfill::Which::missing;
  wanted.active_max = TRY(whole_flag(call.line, "max-active-runs", 1, 1000));
  if (const auto conf = call.line.value("conf")) wanted.conf = TRY(parse_conf(*conf));
  wanted.dry_run = call.line.has("dry-run");

  const auto plan = TRY(pipeline.scheduler().backfill(found->id, wanted));
  std::vector<text::Value> rows;
  for (const auto& item : plan.items) {
    text::Value row;
    row.set("logical_date", format_rfc3339(item.logical_at));
    row.set("run_id", item.run_id);
    row.set("state", item.state.empty() ? "none" : item.state);
    row.set("action", to_string(item.action));
    rows.push_back(std::move(row));
  }
  const std::int64_t runs = plan.runs();
  const std::int64_t rounds = (runs + wanted.active_max - 1) / wanted.active_max;
  call.terminal.err(
      plan.usual_length
          ? fmt::format("{} runs, at most {} at a time: about {}, as the newest ones took {}\n",
                        runs, wanted.active_max, format_duration(rounds * *plan.usual_length),
                        format_duration(*plan.usual_length))
          : fmt::format("{} runs, at most {} at a time; none has succeeded yet, so there is no "
                        "estimate\n",
                        runs, wanted.active_max));
  const bool waits = !wanted.dry_run && (call.line.has("wait") || !pipeline.driven());
  int exit = 0;
  for (std::size_t i = 0; waits && i < plan.items.size(); ++i) {
    if (plan.items[i].action == BackfillPlan::Action::keep) continue;
    const auto run = TRY(pipeline.wait_for_run(found->id, plan.items[i].run_id, call.stop));
    rows[i].set("state", run.state);
    if (run.state == "failed") exit = 1;
  }
  print_objects(call, rows);
  return exit;
}

}  // namespace

ExitCode change_runs(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name == "dag clear") return clear(pipeline, call);
  if (name == "dag mark") return mark(pipeline, call);
  if (name == "dag cancel") return cancel(pipeline, call);
  return backfill(pipeline, call);
}

}  // namespace tapeline::app
