// Follow: what a process of its own, `tapeline produce`, `load` or `serve`, does while another one
// owns the data directory.

#pragma once

#include "app/feeding/feeding.h"
#include "app/plan.h"

namespace tapeline::app {

/// How it ended: the directory is free, for whoever takes it first, or a signal came.
struct Followed {
  bool stopped = false;
  Feeding::Carried carried;  // what no owner has taken
};

/// Does its part for one owner after the other.
///
/// blocks: until the directory has no owner, or SIGINT or SIGTERM comes; both must be blocked
/// errors: configuration; what the owner does not answer is tried again
Result<Followed> follow(Clock& clock, io::FileSystem& files, const Config& config, const Call& call,
                        Plan& plan, Feeding::Carried carried);

}  // namespace tapeline::app
