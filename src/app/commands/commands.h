// Commands: what each line of the command line does.
//
// One that works on a data directory runs in the process that owns it: here, or, asked over its
// socket, inside a running `up`. It sees neither difference.

#pragma once

#include <stop_token>
#include <string>

#include "app/cli/cli.h"
#include "app/cli/terminal.h"
#include "app/config.h"
#include "app/pipeline.h"
#include "feeds/file_rows.h"
#include "ingest/conditions.h"
#include "text/value.h"

namespace tapeline::app {

/// What a command is called with.
struct Call {
  const Invocation& line;
  std::string folder;  // the caller's working directory, for relative paths
  std::string input;   // what stdin gave, for commands that read it
  Terminal& terminal;
  std::stop_token stop;
  std::string program = "tapeline";  // how this process was called

  bool json() const { return line.has("json"); }
  std::string path(const std::string& name) const;

  /// Whether a command may write `file`: a new one in a folder that is there or, with --force, one
  /// that is there.
  /// errors: invalid_argument, already_exists
  Status check_output(const std::string& file) const;
};

/// Exit codes: 0 done, 1 it ran and something in it failed, 2 usage or internal error. An error
/// that comes back is printed by the caller, and is a 2.
using ExitCode = Result<int>;

/// Runs a command of Place::directory.
ExitCode run_in_directory(Pipeline& pipeline, const Call& call);

ExitCode import_files(Pipeline& pipeline, const Call& call);
ExitCode show_status(Pipeline& pipeline, const Call& call);
ExitCode audit(Pipeline& pipeline, const Call& call);
ExitCode topic_command(Pipeline& pipeline, const Call& call);
ExitCode dag_command(Pipeline& pipeline, const Call& call);
ExitCode dbt_command(Pipeline& pipeline, const Call& call);
ExitCode sql_command(Pipeline& pipeline, const Call& call);
ExitCode export_rows(Pipeline& pipeline, const Call& call);
ExitCode create_backup_command(Pipeline& pipeline, const Call& call);
ExitCode retention_command(Pipeline& pipeline, const Call& call);
ExitCode symbols_command(Pipeline& pipeline, const Call& call);

/// Commands that need no data directory of their own.
///
/// Doctor looks at machine, configuration and data directory and says how to fix what it finds; 1
/// where something must be fixed. A configuration that cannot be read is a finding too.
ExitCode doctor(Clock& clock, io::FileSystem& files, const Environment& environment,
                const Call& call);

/// Asks for feed, symbols and place of the data, and writes tapeline.toml and secrets.env. `ask`
/// puts a question and gives the line that was typed; none where nobody can be asked.
using Ask = std::function<std::optional<std::string>(std::string_view question, bool secret)>;
ExitCode init(io::FileSystem& files, const Environment& environment, const Ask& ask,
              const Call& call);

ExitCode compact(Clock& clock, io::FileSystem& files, const std::string& path, const Call& call);
ExitCode verify_backup_command(Clock& clock, io::FileSystem& files, const Config& config,
                               const Call& call);
ExitCode restore_backup_command(io::FileSystem& files, const Environment& environment,
                                const Config& config, const Call& call);
ExitCode show_config(const Config& config, const Call& call);
ExitCode show_version(const Call& call);
ExitCode show_calendar(const Call& call);
ExitCode show_completion(const Call& call);
ExitCode show_next_fires(Clock& clock, const std::vector<dag::Dag>& dags, const Call& call);
ExitCode generate_airflow_dag(io::FileSystem& files, const std::vector<dag::Dag>& dags,
                              const Call& call);

/// How files are read, as import and replay are told by their flags.
Result<feeds::FileRowsOptions> file_rows_options(const Invocation& line,
                                                 ingest::ConditionRule conditions);
Result<ingest::ConditionRule> condition_rule(const Invocation& line);

/// The files that a command's words mean. None of them may lie in the data directory.
Result<feeds::InputFiles> input_files(Pipeline& pipeline, const Call& call);

/// Writes values as a small table, or as a JSON list with --json. Each object is a row; the
/// first one's keys are the columns.
void print_objects(const Call& call, const std::vector<text::Value>& objects);

}  // namespace tapeline::app
