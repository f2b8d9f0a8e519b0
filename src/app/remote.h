// Remote: a command that runs in the process that owns the data directory.

#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/data_directory.h"
#include "serve/commands.h"

namespace tapeline::app {

/// Sends a command line to the owner of a directory and prints what comes back.
///
/// errors: unavailable (the owner does not listen, or went away)
/// blocks: until the command has ended there; `stop` ends it there too
ExitCode run_remotely(const Owner& owner, const std::vector<std::string>& words,
                      const std::string& folder, Terminal& terminal, std::stop_token stop);

/// Appends NDJSON to a topic through the owner, in lots that it takes.
ExitCode produce_remotely(const Owner& owner, const Call& call);

/// Runs a command line that came in from another process.
///
/// errors: unsupported (a command that cannot run inside a running pipeline)
Result<int> run_for_other(Pipeline& pipeline, const serve::CommandLine& line,
                          const serve::CommandOutput& output, std::stop_token stop);

}  // namespace tapeline::app
