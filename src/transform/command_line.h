// dbt's command line: subcommands and flags, by dbt's names and with its exit codes.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "transform/engine.h"

namespace tapeline::transform {

struct CommandLine {
  Invocation invocation;
  std::string profile;
  std::string target;
  std::string project_dir;
  std::string profiles_dir;
  std::string target_path;
  bool write_json = true;
};

/// Reads what stands after `dbt`.
/// errors: invalid_argument: no such command or flag (the hint names the nearest), a flag without
///         its value; unsupported: those of dbt's that are not there yet
Result<CommandLine> parse_command_line(std::span<const std::string> words);

/// The commands and flags there are, for --help.
std::string command_line_help();

/// What a command line needs from outside.
/// owns: nothing but the shipped project's files
struct CommandLineWorld {
  io::FileSystem& disk;
  warehouse::Warehouse& warehouse;
  Clock& clock;
  Rng& rng;
  Environment environment;
  std::string working_directory;
  const ConsoleSink& out;

  // The project that is meant where the words name no folder and the working directory is none. It
  // reads nothing of the environment.
  std::optional<ProjectFiles> shipped = std::nullopt;
  std::string shipped_artifacts = "";  // the folder below which its own go
};

/// Runs `tapeline dbt <words>`: reads the project's folder, writes artifacts below it.
/// shape:  0 all well, 1 something that ran failed, 2 usage or a project that does not parse
/// errors: cancelled, unavailable (the warehouse or the disk)
Result<int> run_command_line(std::span<const std::string> words, const CommandLineWorld& world,
                             std::stop_token stop = {});

}  // namespace tapeline::transform
