// Reach: how far the runs of a DAG bring what they load, by the tasks that it has.

#pragma once

#include <cstdint>

#include "dag/dag.h"

namespace tapeline::app {

enum class Reach : std::uint8_t {
  raw,     // it has no task for models
  models,  // nor one for their tests
  tests,
};

Reach reach_of(const dag::Dag& dag);

}  // namespace tapeline::app
