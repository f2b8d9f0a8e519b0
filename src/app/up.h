// Up: the whole pipeline with its dashboard, in one process, until a signal ends it.

#pragma once

#include "app/commands.h"

namespace tapeline::app {

/// Runs `tapeline up` or `tapeline replay`.
///
/// SIGUSR1 stops and starts everything anew in this process, as its keeper asks for where a full
/// disk has lost the warehouse.
///
/// blocks: until SIGINT or SIGTERM; then feeds stop first, what they gave is loaded, and all
///         ends within ten seconds
/// errors: what keeps it from starting: configuration, a directory that another process owns,
///         a port that is taken
ExitCode up(Clock& clock, io::FileSystem& files, const Environment& environment,
            const Config& config, const Call& call);

}  // namespace tapeline::app
