#include "dag/dag.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace tapeline::dag {
namespace {

using text::Value;

const std::vector<std::string_view> kDagKeys = {
    "dag_id",          "description",    "schedule", "timezone",     "start_date", "catchup",
    "max_active_runs", "dagrun_timeout", "params",   "default_args", "tasks"};
const std::vector<std::string_view> kDefaultKeys = {"retries", "retry_delay", "execution_timeout",
                                                    "trigger_rule"};
const std::vector<std::string_view> kTaskKeys = {"action",      "upstream",    "trigger_rule",
                                                 "retries",     "retry_delay", "execution_timeout",
                                                 "report_only", "params"};
// Airflow's, so that who moves a DAG over learns that nothing heeds them.
const std::vector<std::string_view> kUnsupportedKeys = {"depends_on_past",
                                                        "max_active_tasks",
                                                        "pool",
                                                        "priority_weight",
                                                        "sla",
                                                        "retry_exponential_backoff",
                                                        "end_date",
                                                        "tags",
                                                        "max_retry_delay",
                                                        "schedule_interval"};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string known_keys(const std::vector<std::string_view>& keys, std::string_view key) {
  const auto nearest = *std::ranges::min_element(
      keys, {}, [&](std::string_view known) { return edit_distance(known, key); });
  if (edit_distance(nearest, key) <= 2) return fmt::format("Did you mean '{}'?", nearest);
  return fmt::format("Known here: {}.", fmt::join(keys, ", "));
}

/// One file being read: says where in it something is wrong.
struct Reader {
  std::string_view file;

  Error wrong(const Value& at, std::string message, std::string hint,
              ErrorCode code = ErrorCode::invalid_argument) const {
    return Error{code, fmt::format("{}:{}: {}", file, std::max(at.line, 1), message),
                 std::move(hint)};
  }
  Error wrong(const Value& at, const Error& why) const {
    return wrong(at, why.message, why.hint, why.code);
  }

  Status check_keys(const Value& mapping, const std::vector<std::string_view>& keys) const {
    if (!mapping.is_object())
      return wrong(mapping, "a mapping belongs here", "Write 'key: value'.");
    for (const auto& [key, value] : mapping.as_object()) {
      if (std::ranges::find(keys, key) != keys.end()) continue;
      if (std::ranges::find(kUnsupportedKeys, key) != kUnsupportedKeys.end()) {
        return wrong(value, fmt::format("'{}' is not supported", key), "Take the line out.",
                     ErrorCode::unsupported);
      }
      return wrong(value, fmt::format("the key '{}' is unknown", key), known_keys(keys, key));
    }
    return Ok{};
  }

  Result<std::string> text(const Value& in, std::string_view key, std::string fallback) const {
    const Value* value = in.find(key);
    if (!value || value->is_null()) return fallback;
    if (!value->is_string()) return wrong(*value, fmt::format("'{}' is no text", key), "");
    return value->as_string();
  }

  Result<bool> boolean(const Value& in, std::string_view key, bool fallback) const {
    const Value* value = in.find(key);
    if (!value) return fallback;
    if (!value->is_bool()) {
      return wrong(*value, fmt::format("'{}' is neither true nor false", key), "");
    }
    return value->as_bool();
  }

  Result<std::int64_t> whole(const Value& in, std::string_view key, std::int64_t least,
                             std::int64_t fallback) const {
    constexpr std::int64_t kMost = 1000;
    const Value* value = in.find(key);
    if (!value) return fallback;
    if (!value->is_int() || value->as_int() < least || value->as_int() > kMost) {
      return wrong(*value, fmt::format("'{}' is no whole number from {} to {}", key, least, kMost),
                   "");
    }
    return value->as_int();
  }

  Result<std::optional<Duration>> length(const Value& in, std::string_view key) const {
    const Value* value = in.find(key);
    if (!value || value->is_null()) return std::optional<Duration>();
    const auto parsed =
        value->is_string() ? parse_duration(value->as_string()) : Result<Duration>(Error{});
    if (!parsed || *parsed > std::chrono::days(366)) {
      return wrong(*value, fmt::format("'{}' is no length of time", key), "Write 30s or 5m.");
    }
    return std::optional(*parsed);
  }

  /// As length, for what must not be over before it begins.
  Result<std::optional<Duration>> timeout(const Value& in, std::string_view key) const {
    const auto found = TRY(length(in, key));
    if (!found || *found > Duration(0)) return found;
    return wrong(*in.find(key), fmt::format("'{}' is no time at all", key), "Write 30s or 5m.");
  }

  Result<Value> mapping(const Value& in, std::string_view key) const {
    const Value* value = in.find(key);
    if (!value || value->is_null()) return Value(text::Object{});
    if (!value->is_object()) {
      return wrong(*value, fmt::format("'{}' is no mapping", key), "Write 'key: value'.");
    }
    return *value;
  }

  Result<Task> task(const std::string& name, const Value& in, const Task& defaults) const;
  Status settings(const Value& in, Task& task) const;
  Status schedule(const Value& in, Dag& dag) const;
};

/// What default_args and a task have in common.
Status Reader::settings(const Value& in, Task& task) const {
  task.retries = TRY(whole(in, "retries", 0, task.retries));
  task.retry_delay = TRY(length(in, "retry_delay")).value_or(task.retry_delay);
  if (const auto limit = TRY(timeout(in, "execution_timeout"))) task.execution_timeout = limit;
  if (const Value* rule = in.find("trigger_rule")) {
    const auto parsed = parse_trigger_rule(rule->is_string() ? rule->as_string() : "");
    if (!parsed) return wrong(*rule, parsed.error());
    task.rule = *parsed;
  }
  return Ok{};
}

Result<Task> Reader::task(const std::string& name, const Value& in, const Task& defaults) const {
  Task task = defaults;
  task.name = name;
  task.action = name;
  if (in.is_null()) return task;
  TRY_STATUS(check_keys(in, kTaskKeys));
  TRY_STATUS(settings(in, task));
  task.action = TRY(text(in, "action", name));
  task.report_only = TRY(boolean(in, "report_only", false));
  task.params = TRY(mapping(in, "params"));
  if (const Value* upstream = in.find("upstream")) {
    const text::List names = upstream->is_list() ? upstream->as_list() : text::List{*upstream};
    for (const Value& item : names) {
      if (!item.is_string()) return wrong(*upstream, "'upstream' lists names of tasks", "");
      task.upstream.push_back(item.as_string());
    }
  }
  return task;
}

Status Reader::schedule(const Value& in, Dag& dag) const {
  dag.schedule = TRY(text(in, "schedule", ""));
  const Value* const written = in.find("schedule");
  const Value* const zone_written = in.find("timezone");
  dag.timezone = TRY(text(in, "timezone", "UTC"));
  const auto zone = TimeZone::find(dag.timezone);
  if (!zone) return wrong(zone_written ? *zone_written : in, zone.error());
  if (dag.schedule.empty() || dag.schedule == "none") {
    dag.kind = ScheduleKind::manual;
  } else if (dag.schedule == "@once") {
    dag.kind = ScheduleKind::once;
  } else if (dag.schedule == "@continuous") {
    dag.kind = ScheduleKind::continuous;
    if (dag.max_active_runs != 1) {
      return wrong(*written, "@continuous goes with max_active_runs 1 only",
                   "Write 'max_active_runs: 1'.");
    }
  } else {
    auto cron = Cron::parse(dag.schedule, *zone);
    if (!cron) return wrong(*written, cron.error());
    dag.kind = ScheduleKind::cron;
    dag.cron = *std::move(cron);
  }
  if (const Value* start = in.find("start_date")) {
    const auto date = start->is_string() ? parse_date(start->as_string()) : Result<Date>(Error{});
    if (!date) return wrong(*start, "'start_date' is no date", "Write 2025-01-31.");
    dag.start_date = zone->to_utc(*date, std::chrono::microseconds(0));
  }
  if (dag.catchup && !dag.start_date) {
    return wrong(*in.find("catchup"), "'catchup' needs a 'start_date'",
                 "Say from when on runs are made up for.");
  }
  return Ok{};
}

std::string stem(std::string_view file) {
  if (const auto slash = file.rfind('/'); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return std::string(file.substr(0, file.rfind('.')));
}

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 250 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

}  // namespace

const Task* Dag::find(std::string_view task) const {
  const auto found = std::ranges::find(tasks, task, &Task::name);
  return found == tasks.end() ? nullptr : &*found;
}

std::vector<std::string> Dag::task_names() const {
  std::vector<std::string> names;
  for (const Task& task : tasks) names.push_back(task.name);
  return names;
}

Result<Dag> Dag::parse(std::string_view text, std::string_view file) {
  const Reader reader{file};
  const auto parsed = text::parse_yaml(text);
  if (!parsed) return Error(parsed.error()).while_doing(file);
  const Value& root = *parsed;
  TRY_STATUS(reader.check_keys(root, kDagKeys));
  Dag dag;
  dag.id = TRY(reader.text(root, "dag_id", stem(file)));
  if (!is_id(dag.id)) {
    return reader.wrong(root, fmt::format("'{}' is no dag_id", dag.id),
                        "Write letters, digits, '_', '-' and '.'.");
  }
  dag.description = TRY(reader.text(root, "description", ""));
  dag.catchup = TRY(reader.boolean(root, "catchup", false));
  dag.max_active_runs = TRY(reader.whole(root, "max_active_runs", 1, 1));
  dag.dagrun_timeout = TRY(reader.timeout(root, "dagrun_timeout"));
  dag.params = TRY(reader.mapping(root, "params"));
  TRY_STATUS(reader.schedule(root, dag));

  Task defaults;
  if (const Value* given = root.find("default_args"); given && !given->is_null()) {
    TRY_STATUS(reader.check_keys(*given, kDefaultKeys));
    TRY_STATUS(reader.settings(*given, defaults));
  }
  const Value* const tasks = root.find("tasks");
  if (!tasks || !tasks->is_object() || tasks->as_object().empty()) {
    return reader.wrong(tasks ? *tasks : root, "there are no tasks",
                        "Write 'tasks:' and below it a name and a colon for each.");
  }
  std::vector<PlanTask> plan;
  for (const auto& [name, value] : tasks->as_object()) {
    if (!is_id(name)) return reader.wrong(value, fmt::format("'{}' is no task name", name), "");
    dag.tasks.push_back(TRY(reader.task(name, value, defaults)));
    const Task& task = dag.tasks.back();
    plan.push_back({task.name, task.upstream, task.rule});
  }
  auto made = Plan::make(plan);
  if (!made) return reader.wrong(*tasks, made.error());
  dag.plan = *std::move(made);
  return dag;
}

}  // namespace tapeline::dag
