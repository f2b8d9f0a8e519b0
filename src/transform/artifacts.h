// Artifacts: manifest.json (v12) and run_results.json (v6), as tools around dbt read them.

#pragma once

#include <string>
#include <vector>

#include "transform/engine.h"

namespace tapeline::transform {

text::Value manifest_artifact(const World& world);

text::Value run_results_artifact(const World& world, const std::vector<NodeResult>& results,
                                 const Invocation& invocation, Duration elapsed);

}  // namespace tapeline::transform
