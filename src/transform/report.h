// What an invocation prints before and after its nodes, and how it ends.

#pragma once

#include "transform/engine.h"

namespace tapeline::transform {

/// "Found 5 models, 20 data tests, 1 source, 94 macros"
void report_found(const Console& console, const Manifest& manifest);

/// "Concurrency: 4 threads (target='dev')"
void report_concurrency(const Console& console, const Profile& profile);

/// "Finished running …", the failures in full, and "Done. PASS=…"
void report_end(const Console& console, const Manifest& manifest,
                const std::vector<NodeResult>& results, Duration took);

/// The SQL of the nodes that were asked for by name.
void report_compiled(const Console& console, const Manifest& manifest, const Invocation& invocation,
                     const std::vector<NodeResult>& results);

void report_debug(const Console& console, const World& world);

/// 1 where something failed, else 0.
int exit_code_of(const std::vector<NodeResult>& results);

/// A node as `dbt ls` lists it, in the form of --output.
std::string listed(const Node& node, const std::string& output);

}  // namespace tapeline::transform
