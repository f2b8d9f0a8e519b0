// Up: a process that works on a data directory until a signal ends it: the whole pipeline with its
// dashboard, or a part of it beside the process that owns the directory.

#pragma once

#include "app/commands/commands.h"

namespace tapeline::app {

/// Runs `tapeline up`, `replay`, `produce`, `load` or `serve`. The last three join the directory's
/// owner where there is one, and take its place once it is gone.
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
