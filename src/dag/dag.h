// Dag: what a file of dags/ says. docs/how-to/schedule.md describes the format.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dag/cron.h"
#include "dag/plan.h"
#include "text/value.h"

namespace tapeline::dag {

struct Task {
  std::string name;
  std::string action;  // what the program does for it; the name, where the file does not say
  std::vector<std::string> upstream;
  TriggerRule rule = TriggerRule::all_success;
  std::int64_t retries = 0;  // tries after the first
  Duration retry_delay = std::chrono::minutes(5);
  std::optional<Duration> execution_timeout;  // of one try
  bool report_only = false;  // its failure is a finding: not retried, slows nothing
  text::Value params = text::Value(text::Object{});  // for the action, over those of the DAG
};

enum class ScheduleKind : std::uint8_t { manual, once, continuous, cron };

struct Dag {
  std::string id;
  std::string description;
  std::string schedule;  // as written
  ScheduleKind kind = ScheduleKind::manual;
  std::optional<Cron> cron;
  std::string timezone = "UTC";
  std::optional<Timestamp> start_date;
  bool catchup = false;
  std::int64_t max_active_runs = 1;
  std::optional<Duration> dagrun_timeout;            // from a run's start
  text::Value params = text::Value(text::Object{});  // defaults that a run's conf replaces
  std::vector<Task> tasks;                           // as written
  Plan plan;                                         // with no task begun

  const Task* find(std::string_view task) const;
  std::vector<std::string> task_names() const;

  /// Reads a DAG file.
  ///
  /// shape:  `file` is its name, for messages; without its folder and ending it is the DAG's
  ///         id where the text gives none
  /// errors: invalid_argument, unsupported; the message begins "file:line: "
  static Result<Dag> parse(std::string_view text, std::string_view file);
};

}  // namespace tapeline::dag
