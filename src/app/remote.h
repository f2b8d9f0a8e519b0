// Remote: a command that runs in the process that owns the data directory.

#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "app/commands/commands.h"
#include "app/data_directory.h"
#include "serve/commands.h"

namespace tapeline::app {

/// Sends a command line to the owner of a directory and prints what comes back.
///
/// units:  `idle_max` is the longest silence that is borne: a command may be silent for long
/// errors: unavailable (the owner does not listen, went away or stops); what the owner answers
/// blocks: until the command has ended there; `stop` ends it there too
ExitCode run_remotely(const Owner& owner, const std::vector<std::string>& words,
                      const std::string& folder, Terminal& terminal, std::stop_token stop,
                      Duration idle_max = std::chrono::hours(24));

/// Appends records through the owner: NDJSON, as POST /api/v1/topics/{topic}/records takes it, in
/// lots that it takes.
///
/// promise: as MessageLog::append
/// errors:  unavailable (the owner is away, or takes nothing), timed_out; what the owner answers
Result<std::vector<msglog::Position>> append_lines(const Owner& owner, const std::string& topic,
                                                   std::string_view lines, std::stop_token stop);

/// Appends NDJSON of stdin to a topic through the owner.
ExitCode produce_remotely(const Owner& owner, const Call& call);

/// Which of the owner's threads does a command line of another process. Any that is none is a
/// command: whoever runs it says what is wrong with it.
serve::Lane lane_of(const serve::CommandLine& line);

/// Runs a command line that came in from another process.
///
/// errors: unsupported (a command that cannot run inside a running pipeline)
Result<int> run_for_other(Pipeline& pipeline, const serve::CommandLine& line,
                          const serve::CommandOutput& output, std::stop_token stop);

}  // namespace tapeline::app
