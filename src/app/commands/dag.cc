#include <fmt/format.h>

#include "app/commands/dag.h"
#include "app/values.h"
#include "base/whole_number.h"
#include "text/nearest.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

text::Value run_row(const std::string& dag, const state::RunRow& run) {
  text::Value row;
  row.set("dag", dag);
  row.set("run_id", run.run_id);
  row.set("state", run.state);
  row.set("error", run.error);
  return row;
}

ExitCode list_dags(Pipeline& pipeline, const Call& call) {
  std::vector<text::Value> rows;
  for (const auto& info : pipeline.scheduler().dags()) {
    text::Value row;
    row.set("dag", info.dag->id);
    row.set("schedule", info.dag->schedule);
    row.set("paused", info.paused);
    row.set("next", time_value(info.next_fire));
    row.set("description", info.dag->description);
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode show_dag(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  if (!call.json()) {
    call.terminal.out(fmt::format("{}{}{}\nschedule {} ({}), catchup {}, max_active_runs {}\n\n",
                                  found->id, found->description.empty() ? "" : ": ",
                                  found->description, found->schedule, found->timezone,
                                  found->catchup ? "on" : "off", found->max_active_runs));
  }
  std::vector<text::Value> rows;
  for (const auto& task : found->tasks) {
    std::string upstream;
    for (const auto& name : task.upstream) upstream += (upstream.empty() ? "" : ", ") + name;
    text::Value row;
    row.set("task", task.name);
    row.set("action", task.action);
    row.set("upstream", upstream);
    row.set("trigger_rule", dag::to_string(task.rule));
    row.set("retries", task.retries);
    row.set("retry_delay", format_duration(task.retry_delay));
    row.set("execution_timeout", task.execution_timeout
                                     ? text::Value(format_duration(*task.execution_timeout))
                                     : text::Value());
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode trigger(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  text::Value conf;
  if (const auto json = call.line.value("conf")) conf = TRY(parse_conf(*json));
  const std::string run_id =
      TRY(pipeline.scheduler().trigger(found->id, conf, call.line.value("run-id").value_or("")));
  pipeline.queues().changed.notify();
  return tell_run(pipeline, call, found->id, run_id);
}

ExitCode set_paused(Pipeline& pipeline, const Call& call, bool paused) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  TRY_STATUS(pipeline.set_paused(found->id, paused));
  text::Value row;
  row.set("dag", found->id);
  row.set("paused", paused);
  print_objects(call, {row});
  return 0;
}

ExitCode list_runs(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  const std::int64_t limit = TRY(whole_flag(call.line, "limit", 20, 1'000'000));
  std::vector<text::Value> rows;
  for (const auto& run : TRY(pipeline.scheduler().runs(found->id, limit))) {
    text::Value row;
    row.set("run_id", run.run_id);
    row.set("type", run.run_type);
    row.set("state", run.state);
    row.set("start", time_value(run.start_at));
    row.set("end", time_value(run.end_at));
    row.set("runs", run.run_count);
    row.set("error", run.error);
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode list_tasks(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  std::vector<text::Value> rows;
  for (const auto& row : TRY(pipeline.scheduler().tasks(found->id, call.line.words[1]))) {
    text::Value value;
    value.set("task", row.task);
    value.set("try", row.try_number);
    value.set("state", row.state);
    value.set("start", time_value(row.start_at));
    value.set("end", time_value(row.end_at));
    value.set("error", row.error_message);
    rows.push_back(std::move(value));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode show_logs(Pipeline& pipeline, const Call& call) {
  const dag::Dag* found = TRY(find_dag(pipeline, call.line.words[0]));
  const std::string& run_id = call.line.words[1];
  const auto only = call.line.value("task");
  if (only && !found->find(*only)) {
    return Error{ErrorCode::not_found, fmt::format("'{}' has no task '{}'", found->id, *only),
                 fmt::format("`tapeline dag show {}` lists them.", found->id)};
  }
  for (const auto& row : TRY(pipeline.scheduler().tasks(found->id, run_id))) {
    if (row.try_number == 0 || (only && row.task != *only)) continue;
    if (!call.json()) {
      call.terminal.out(fmt::format("── {} try {} ({})\n", row.task, row.try_number, row.state));
    }
    const auto lines =
        TRY(pipeline.scheduler().task_log(found->id, run_id, row.task, row.try_number));
    for (const auto& line : lines) {
      if (call.json()) {
        text::Value value;
        value.set("task", line.task);
        value.set("try", line.try_number);
        value.set("at", format_rfc3339(line.at));
        value.set("line", line.line);
        call.terminal.out(text::to_json(value) + "\n");
      } else {
        call.terminal.out(fmt::format("{}  {}\n", format_rfc3339(line.at), line.line));
      }
    }
    if (!call.json() && !row.error_message.empty()) {
      call.terminal.out(fmt::format("failed: {}\n", row.error_message));
    }
  }
  return 0;
}

Error no_dag(const std::string& id, const std::vector<std::string>& ids) {
  const std::string near = text::nearest(id, ids);
  return Error{ErrorCode::not_found, fmt::format("there is no DAG '{}'", id),
               near.empty() ? "`tapeline dag list` shows the DAGs."
                            : fmt::format("Did you mean '{}'?", near)};
}

}  // namespace

Result<const dag::Dag*> find_dag(Pipeline& pipeline, const std::string& id) {
  std::vector<std::string> ids;
  for (const auto& info : pipeline.scheduler().dags()) {
    if (info.dag->id == id) return info.dag;
    ids.push_back(info.dag->id);
  }
  return no_dag(id, ids);
}

Result<const dag::Dag*> find_dag(const std::vector<dag::Dag>& dags, const std::string& id) {
  std::vector<std::string> ids;
  for (const dag::Dag& dag : dags) {
    if (dag.id == id) return &dag;
    ids.push_back(dag.id);
  }
  return no_dag(id, ids);
}

ExitCode tell_run(Pipeline& pipeline, const Call& call, const std::string& dag,
                  const std::string& run_id) {
  auto run = TRY(pipeline.scheduler().run(dag, run_id));
  // Without a running `up` nothing else would ever run it.
  if (!run.end_at && (call.line.has("wait") || !pipeline.driven())) {
    run = TRY(pipeline.wait_for_run(dag, run_id, call.stop));
    if (run.state == "failed") {
      print_objects(call, {run_row(dag, run)});
      return 1;
    }
  }
  print_objects(call, {run_row(dag, run)});
  return 0;
}

Result<std::int64_t> whole_flag(const Invocation& line, std::string_view flag,
                                std::int64_t fallback, std::int64_t most) {
  const auto text = line.value(flag);
  if (!text) return fallback;
  const auto number = whole_number(*text);
  if (number && *number >= 1 && *number <= most) return *number;
  return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no --{}", *text, flag),
               fmt::format("It is a whole number from 1 to {}.", most)};
}

Result<text::Value> parse_conf(const std::string& json) {
  auto conf = text::parse_json(json);
  if (conf && conf->is_object()) return *std::move(conf);
  return Error{ErrorCode::invalid_argument, "--conf is no JSON object",
               "Write it as --conf '{\"days\": \"all\"}'."};
}

ExitCode dag_command(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name == "dag list") return list_dags(pipeline, call);
  if (name == "dag show") return show_dag(pipeline, call);
  if (name == "dag trigger") return trigger(pipeline, call);
  if (name == "dag pause") return set_paused(pipeline, call, true);
  if (name == "dag unpause") return set_paused(pipeline, call, false);
  if (name == "dag runs") return list_runs(pipeline, call);
  if (name == "dag tasks") return list_tasks(pipeline, call);
  if (name == "dag logs") return show_logs(pipeline, call);
  if (name == "dag task run") return run_task(pipeline, call);
  return change_runs(pipeline, call);
}

}  // namespace tapeline::app
