#include <fmt/format.h>

#include <algorithm>

#include "app/commands/dag.h"
#include "base/replaced.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

// The DAG id of the system that this replaces.
constexpr std::string_view kOriginalId = "stock_data_ingestion_snowflake";
// Airflow has @continuous too, but would run every few seconds whether there is work or not.
constexpr std::string_view kScheduleOfContinuous = "*/5 * * * *";

constexpr std::string_view kHead = R"py("""@TITLE@

Written by `tapeline generate airflow-dag @DAG@`, for Airflow 2.7 to 3.x. A task is done
by the tapeline that owns the data directory, which runs with TAPELINE_DAG_SCHEDULER=outside. Of the
workers' environment this reads TAPELINE, the program's path (else `tapeline` of the PATH); tapeline
itself reads TAPELINE_DATA_DIR.
"""
from datetime import timedelta

import pendulum

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.operators.bash import BashOperator

@IDS@SCHEDULE = @SCHEDULE@


def run(task, before=(), flags="", **settings):
    """A task of tapeline's. --input takes what those before it returned: the last line of each."""
    returned = (f'"{name}": {{{{ ti.xcom_pull(task_ids="{name}") or "null" }}}}' for name in before)
    return BashOperator(
        task_id=task,
        # What comes from a run stands in the environment, where no shell reads it.
        bash_command='exec "${TAPELINE:-tapeline}" dag task run @DAG@ ' + task
        + ' --run-id "$TASK_RUN" --try "$TASK_TRY" --logical-date "$TASK_DATE"'
        + ' --conf "$TASK_CONF" --input "$TASK_INPUT"' + flags,
        env={
            "TASK_RUN": "{{ dag.dag_id }}__{{ run_id }}",
            "TASK_TRY": "{{ ti.try_number }}",
            "TASK_DATE": "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}",
            "TASK_CONF": "{{ (dag_run.conf or {}) | tojson }}",
            "TASK_INPUT": "{" + ", ".join(returned) + "}",
        },
        append_env=True,
        **settings,
    )


)py";

/// A Python string literal.
std::string python_text(std::string_view text) {
  return text::to_json(text::Value(std::string(text)));
}

std::string python_time(Duration length) {
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
  return whole % 1000 == 0 ? fmt::format("timedelta(seconds={})", whole / 1000)
                           : fmt::format("timedelta(milliseconds={})", whole);
}

/// Whether a task, or one before it, begins although one before that failed. Airflow looks at a
/// run's last tasks only: a last one like that hides what failed.
bool hides_failures(const dag::Dag& dag, const dag::Task& task) {
  auto names = dag.plan.upstream_of(task.name);
  names.push_back(task.name);
  return std::ranges::any_of(names, [&](const std::string& name) {
    return dag.find(name)->rule == dag::TriggerRule::all_done;
  });
}

/// The arguments of one task, from the second on.
std::string settings_of(const dag::Dag& dag, const dag::Task& task) {
  std::string out;
  const auto add = [&](std::string_view name, const std::string& value) {
    out += fmt::format(", {}={}", name, value);
  };
  const auto before = dag.plan.upstream_of(task.name);
  std::string names;
  for (const std::string& name : dag.task_names()) {  // in the order of the file
    if (std::ranges::count(before, name) > 0)
      names += (names.empty() ? "" : ", ") + python_text(name);
  }
  if (!before.empty()) add("before", "[" + names + "]");
  const bool tells = dag.plan.downstream_of(task.name).empty() && hides_failures(dag, task);
  if (tells) add("flags", python_text(" --end-of-run"));
  if (task.rule != dag::TriggerRule::all_success) {
    add("trigger_rule", python_text(dag::to_string(task.rule)));
  }
  // Where it fails with what is before it, another try would find the same.
  const std::int64_t retries = task.report_only || tells ? 0 : task.retries;
  add("retries", fmt::format("{}", retries));
  if (retries > 0) add("retry_delay", python_time(task.retry_delay));
  if (task.execution_timeout) add("execution_timeout", python_time(*task.execution_timeout));
  return out;
}

std::string schedule_of(const dag::Dag& dag) {
  switch (dag.kind) {
    case dag::ScheduleKind::manual:
      return "None";
    case dag::ScheduleKind::continuous:
      return fmt::format("{}  # tapeline's own is @continuous", python_text(kScheduleOfContinuous));
    case dag::ScheduleKind::once:
    case dag::ScheduleKind::cron:
      break;
  }
  return python_text(dag.schedule);
}

/// Airflow wants a start. Without catchup any that is past will do.
std::string start_of(const dag::Dag& dag) {
  const auto zone = TimeZone::find(dag.timezone);
  if (!dag.start_date || !zone) return "2025, 1, 1";
  const auto offset = zone->stretch_at(*dag.start_date).offset;
  const std::chrono::year_month_day date(
      std::chrono::floor<std::chrono::days>(*dag.start_date + offset));
  return fmt::format("{}, {}, {}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string airflow_dag(const dag::Dag& dag) {
  const std::string title = dag.id + (dag.description.empty() ? "" : ": " + dag.description) + ".";
  const std::string ids = dag.id == kIngestionDag
                              ? fmt::format(
                                    "# The second id is the original's: unpause one of them.\n"
                                    "DAG_IDS = [{}, {}]\n",
                                    python_text(dag.id), python_text(kOriginalId))
                              : fmt::format("DAG_IDS = [{}]\n", python_text(dag.id));
  std::string out(kHead);
  out = replaced(out, "@DAG@", dag.id);
  out = replaced(out, "@IDS@", ids);
  out = replaced(out, "@SCHEDULE@", schedule_of(dag));
  out = replaced(out, "@TITLE@", replaced(replaced(title, "\\", " "), "\"\"\"", " "));
  out += fmt::format(
      "for dag_id in DAG_IDS:\n"
      "    with DAG(\n"
      "        dag_id,\n"
      "        description={},\n"
      "        schedule=SCHEDULE,\n"
      "        start_date=pendulum.datetime({}, tz={}),\n"
      "        catchup={},\n"
      "        max_active_runs={},\n",
      python_text(dag.description), start_of(dag), python_text(dag.timezone),
      dag.catchup ? "True" : "False", dag.max_active_runs);
  if (dag.dagrun_timeout) {
    out += fmt::format("        dagrun_timeout={},\n", python_time(*dag.dagrun_timeout));
  }
  out += "        tags=[\"tapeline\"],\n    ):\n        tasks = {\n";
  for (const dag::Task& task : dag.tasks) {
    out += fmt::format("            {}: run({}{}),\n", python_text(task.name),
                       python_text(task.name), settings_of(dag, task));
  }
  out += "        }\n";
  for (const dag::Task& task : dag.tasks) {
    for (const std::string& upstream : task.upstream) {
      out += fmt::format("        tasks[{}] >> tasks[{}]\n", python_text(upstream),
                         python_text(task.name));
    }
  }
  return out;
}

}  // namespace

ExitCode generate_airflow_dag(io::FileSystem& files, const std::vector<dag::Dag>& dags,
                              const Call& call) {
  const std::string id = call.line.words.empty() ? std::string(kIngestionDag) : call.line.words[0];
  const dag::Dag* const found = TRY(find_dag(dags, id));
  const auto output = call.line.value("output");
  if (!output) {
    call.terminal.out(airflow_dag(*found));
    return 0;
  }
  const std::string path = call.path(*output);
  TRY_STATUS(call.check_output(path));
  TRY_STATUS(io::write_file_atomically(files, path, airflow_dag(*found)));
  call.terminal.err(fmt::format("wrote {}\n", path));
  return 0;
}

}  // namespace tapeline::app
