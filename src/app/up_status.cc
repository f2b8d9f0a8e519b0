#include "app/up_status.h"

#include <algorithm>
#include <cmath>

#include "app/remote.h"
#include "app/values.h"

namespace tapeline::app {
namespace {

text::Value run_value(const state::RunRow& run) {
  text::Value value;
  value.set("run_id", run.run_id);
  value.set("run_type", run.run_type);
  value.set("state", run.state);
  value.set("logical_date", format_rfc3339(run.logical_at));
  value.set("queued_at", format_rfc3339(run.queued_at));
  value.set("started_at", time_value(run.start_at));
  value.set("ended_at", time_value(run.end_at));
  value.set("run_count", run.run_count);
  value.set("error", run.error.empty() ? text::Value() : text::Value(run.error));
  return value;
}

text::Value equation_value(const ingest::LoadCounts& counts) {
  text::Value value;
  set_counts(value, counts);
  value.set("balanced", counts.balances());
  return value;
}

}  // namespace

Result<Pipeline*> UpStatus::pipeline() const {
  Pipeline* pipeline = pipeline_.load();
  if (!pipeline) return Error{ErrorCode::unavailable, "the pipeline is not open yet", ""};
  return pipeline;
}

text::Value UpStatus::feed_status() {
  const Pipeline* its = pipeline_.load();
  const FeedReport feed = its ? its->members().feed() : FeedReport();
  const double per_second = rate_.with([&](Rate& rate) {
    const Duration now = clock_.uptime();
    const double seconds = std::chrono::duration<double>(now - rate.at).count();
    if (seconds >= 2) {
      const auto records = static_cast<double>(feed.records - rate.records);
      rate = {now, feed.records, std::max(0.0, records / seconds)};
    }
    return rate.per_second;
  });
  text::Value value;
  value.set("name", feed.name);
  value.set("class", feed.feed_class);
  value.set("badge", feed.feed_class == "simulated" ? "SIMULATED"
                     : feed.feed_class == "replay"  ? "REPLAY"
                                                    : "");
  value.set("state", feed.state);
  value.set("symbols", std::ssize(feed.symbols));
  if (!feed.faults.empty()) value.set("faults", feed.faults);
  value.set("over_limit", feed.over_limit());
  value.set("error", feed.error.empty() ? text::Value() : text::Value(feed.error));
  value.set("quotes_per_second", std::round(per_second * 10) / 10);
  return value;
}

text::Value UpStatus::status() {
  text::Value value;
  value.set("feed", feed_status());
  Pipeline* pipeline = pipeline_.load();
  if (!pipeline) return value;
  const bool simulated = pipeline->directory().kind() == DirectoryKind::simulated;
  text::Value data;
  data.set("kind", to_string(pipeline->directory().kind()));
  data.set("directory", pipeline->directory().path());
  data.set("unadjusted", true);
  value.set("data", std::move(data));
  // A directory of simulated data says so even when no feed runs.
  if (simulated) {
    text::Value feed = *value.find("feed");
    feed.set("badge", "SIMULATED");
    value.set("feed", std::move(feed));
  }
  if (const auto why = problem()) {
    value.set("ready", false);
    value.set("reason", *why);
  }
  const auto status = pipeline->tasks().status();
  value.set("equation", equation_value(status.equation));
  value.set("lag", status.lag);
  value.set("dag", nullptr);
  const auto runs = pipeline->scheduler().runs(std::string(kIngestionDag), 1);
  if (runs && !runs->empty()) {
    text::Value run = run_value(runs->front());
    run.set("id", kIngestionDag);
    for (const auto& info : pipeline->scheduler().dags()) {
      if (info.dag->id == kIngestionDag) run.set("paused", info.paused);
    }
    value.set("dag", std::move(run));
  }
  value.set("tests", nullptr);
  if (status.tests) {
    text::Value tests;
    tests.set("pass", status.tests->pass);
    tests.set("warn", status.tests->warn);
    tests.set("fail", status.tests->fail);
    tests.set("at", format_rfc3339(status.tests->at));
    value.set("tests", std::move(tests));
  }
  return value;
}

std::optional<std::string> UpStatus::problem() {
  Pipeline* pipeline = pipeline_.load();
  const auto error = pipeline ? pipeline->tasks().problem() : std::nullopt;
  return error ? std::optional(error->message) : std::nullopt;
}

Result<text::Value> UpStatus::dags() {
  Pipeline* its = TRY(pipeline());
  text::List list;
  for (const auto& info : its->scheduler().dags()) {
    text::Value value;
    value.set("id", info.dag->id);
    value.set("description", info.dag->description);
    value.set("schedule", info.dag->schedule);
    value.set("timezone", info.dag->timezone);
    value.set("paused", info.paused);
    value.set("next_run", time_value(info.next_fire));
    text::List tasks;
    for (const auto& task : info.dag->tasks) {
      text::Value item;
      item.set("id", task.name);
      text::List upstream;
      for (const auto& name : task.upstream) upstream.emplace_back(name);
      item.set("upstream", text::Value(std::move(upstream)));
      item.set("trigger_rule", dag::to_string(task.rule));
      tasks.push_back(std::move(item));
    }
    value.set("tasks", text::Value(std::move(tasks)));
    list.push_back(std::move(value));
  }
  text::Value value;
  value.set("dags", text::Value(std::move(list)));
  return value;
}

Result<text::Value> UpStatus::runs(const std::string& dag) {
  Pipeline* its = TRY(pipeline());
  constexpr std::int64_t kRunsMax = 100;
  bool known = false;
  for (const auto& info : its->scheduler().dags()) known = known || info.dag->id == dag;
  if (!known) return Error{ErrorCode::not_found, "there is no DAG '" + dag + "'", ""};
  text::List list;
  for (const auto& run : TRY(its->scheduler().runs(dag, kRunsMax))) list.push_back(run_value(run));
  text::Value value;
  value.set("runs", text::Value(std::move(list)));
  return value;
}

Result<text::Value> UpStatus::tasks(const std::string& dag, const std::string& run) {
  Pipeline* its = TRY(pipeline());
  text::List list;
  for (const auto& row : TRY(its->scheduler().tasks(dag, run))) {
    text::Value value;
    value.set("task_id", row.task);
    value.set("try_number", row.try_number);
    value.set("state", row.state);
    value.set("started_at", time_value(row.start_at));
    value.set("ended_at", time_value(row.end_at));
    value.set("error", row.error_message.empty() ? text::Value() : text::Value(row.error_message));
    list.push_back(std::move(value));
  }
  text::Value value;
  value.set("tasks", text::Value(std::move(list)));
  return value;
}

Result<text::Value> UpStatus::task_log(const std::string& dag, const std::string& run,
                                       const std::string& task) {
  Pipeline* its = TRY(pipeline());
  std::string text;
  bool found = false;
  for (const auto& row : TRY(its->scheduler().tasks(dag, run))) {
    if (row.task != task) continue;
    found = true;
    if (row.try_number == 0) continue;
    for (const auto& line : TRY(its->scheduler().task_log(dag, run, task, row.try_number))) {
      text += format_rfc3339(line.at) + " " + line.line + "\n";
    }
  }
  if (!found) return Error{ErrorCode::not_found, "the run has no task '" + task + "'", ""};
  text::Value value;
  value.set("log", text);
  return value;
}

Result<text::Value> UpStatus::act(const serve::DagRequest& request) {
  Pipeline* its = TRY(pipeline());
  dag::Scheduler& scheduler = its->scheduler();
  const std::string& dag = request.dag;
  switch (request.action) {
    case serve::DagAction::trigger: {
      text::Value conf;
      if (!request.conf.empty()) conf = TRY(text::parse_json(request.conf));
      text::Value value;
      value.set("run_id", TRY(scheduler.trigger(dag, conf, request.run)));
      return value;
    }
    case serve::DagAction::pause:
    case serve::DagAction::unpause: {
      const bool paused = request.action == serve::DagAction::pause;
      TRY_STATUS(its->set_paused(dag, paused));
      its->queues().changed.notify();
      text::Value value;
      value.set("paused", paused);
      return value;
    }
    case serve::DagAction::clear: {
      text::List cleared;
      for (const auto& name : TRY(scheduler.clear(dag, request.run,
                                                  {.task = request.task,
                                                  .upstream = request.upstream,
                                                  .downstream = request.downstream,
                                                  .failed = request.failed}))) {
        cleared.emplace_back(name);
      }
      text::Value value = run_value(TRY(scheduler.run(dag, request.run)));
      value.set("cleared", text::Value(std::move(cleared)));
      return value;
    }
    case serve::DagAction::mark:
      return run_value(
          TRY(scheduler.mark(dag, request.run, dag::task_state(request.state), request.task)));
    case serve::DagAction::cancel:
      return run_value(TRY(scheduler.cancel(dag, request.run)));
  }
  return Error{ErrorCode::unsupported, "nobody knows how to do that", ""};
}

Result<text::Value> UpStatus::followed() {
  const Pipeline* its = TRY(pipeline());
  text::Value value;
  value.set("followed", its->followed());
  return value;
}

Result<text::Value> UpStatus::follow(const std::vector<std::string>& symbols) {
  Pipeline* its = TRY(pipeline());
  TRY_STATUS(its->change_symbols(symbols, true));
  return followed();
}

Result<text::Value> UpStatus::unfollow(const std::string& symbol) {
  Pipeline* its = TRY(pipeline());
  const auto parsed = TRY(parse_symbols({symbol}));
  const auto list = its->symbols().list();
  if (std::ranges::find(list, parsed.at(0)) == list.end()) {
    return Error{ErrorCode::not_found, "the symbol '" + symbol + "' is not followed", ""};
  }
  TRY_STATUS(its->change_symbols({symbol}, false));
  return followed();
}

serve::Lane UpStatus::lane(const serve::CommandLine& line) { return lane_of(line); }

Result<int> UpStatus::run(const serve::CommandLine& line, const serve::CommandOutput& output,
                          std::stop_token stop) {
  Pipeline* its = TRY(pipeline());
  return run_for_other(*its, line, output, stop);
}

}  // namespace tapeline::app
