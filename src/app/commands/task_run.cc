#include <fmt/format.h>

#include "app/commands/dag.h"
#include "app/values.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

constexpr int kSkipped = 99;  // what Airflow's BashOperator takes for it

/// What earlier tasks returned, as the caller hands it on.
Result<std::map<std::string, text::Value>> parse_input(const std::string& json) {
  auto input = text::parse_json(json);
  if (!input || !input->is_object()) {
    return usage(
        "--input is no JSON object",
        "Write it as --input '{\"TASK\": VALUE}', with the last line that each task before "
        "this one wrote to stdout.");
  }
  std::map<std::string, text::Value> values;
  for (const auto& [task, value] : input->as_object()) values[task] = value;
  return values;
}

Result<dag::OutsideTry> asked_for(Pipeline& pipeline, const Call& call) {
  const Invocation& line = call.line;
  const dag::Dag* const found = TRY(find_dag(pipeline, line.words[0]));
  dag::OutsideTry asked{
      .dag = found->id, .run_id = line.value("run-id").value_or(""), .task = line.words[1]};
  if (asked.run_id.empty()) {
    return usage("`dag task run` needs --run-id", "Give the outside scheduler's own.");
  }
  if (line.has("try")) asked.try_number = TRY(whole_flag(line, "try", 1, 1'000'000));
  if (const auto input = line.value("input")) {
    asked.values = TRY(parse_input(*input == "-" ? call.input : *input));
  }
  if (const auto conf = line.value("conf")) asked.conf = TRY(parse_conf(*conf));
  if (const auto at = line.value("logical-date")) asked.logical_date = TRY(parse_rfc3339(*at)).at;
  return asked;
}

}  // namespace

ExitCode run_task(Pipeline& pipeline, const Call& call) {
  const dag::OutsideTry asked = TRY(asked_for(pipeline, call));
  const auto end = TRY(pipeline.scheduler().run_outside(asked, pipeline.tasks(), call.stop));
  for (const auto& line : end.lines) {
    call.terminal.err(fmt::format("{}  {}\n", format_rfc3339(line.at), line.text));
  }
  switch (end.outcome.state) {
    case dag::TaskOutcome::State::failed:
      call.terminal.err(fmt::format("{} try {}: failed\n", asked.task, end.try_number));
      return 1;
    case dag::TaskOutcome::State::skipped:
      call.terminal.err(fmt::format("{} try {}: skipped\n", asked.task, end.try_number));
      return kSkipped;
    case dag::TaskOutcome::State::success:
      break;
  }
  if (call.line.has("end-of-run") && !end.unfinished.empty()) {
    call.terminal.err(fmt::format("{} try {}: success, but the run failed: {}\n", asked.task,
                                  end.try_number, end.unfinished));
    return 1;
  }
  call.terminal.out(text::to_json(end.outcome.value) + "\n");
  return 0;
}

}  // namespace tapeline::app
