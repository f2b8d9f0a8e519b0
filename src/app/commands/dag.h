// What the files of `tapeline dag` commands share.

#pragma once

#include <string>
#include <vector>

#include "app/commands/commands.h"

namespace tapeline::app {

/// errors: not_found; the hint names the closest DAG
Result<const dag::Dag*> find_dag(Pipeline& pipeline, const std::string& id);
Result<const dag::Dag*> find_dag(const std::vector<dag::Dag>& dags, const std::string& id);

/// Prints a run. Before that, where it is asked for or nobody else would run it, waits for its end;
/// 1 if it failed.
ExitCode tell_run(Pipeline& pipeline, const Call& call, const std::string& dag,
                  const std::string& run_id);

/// The value of a flag that takes a whole number; `fallback` where it is not given.
/// errors: invalid_argument: no number from 1 to `most`
Result<std::int64_t> whole_flag(const Invocation& line, std::string_view flag,
                                std::int64_t fallback, std::int64_t most);

/// What --conf gives, a JSON object.
Result<text::Value> parse_conf(const std::string& json);

/// One task, for a scheduler outside. The last line on stdout is what the task returned, as JSON.
/// shape: 0 success, 1 failed, 99 skipped
ExitCode run_task(Pipeline& pipeline, const Call& call);

/// What changes runs that are there: clear, mark, cancel, backfill.
ExitCode change_runs(Pipeline& pipeline, const Call& call);

}  // namespace tapeline::app
