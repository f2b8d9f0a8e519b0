#include "app/values.h"

#include <fmt/format.h>

namespace tapeline::app {

std::string equation_text(const ingest::LoadCounts& counts) {
  return fmt::format("{} consumed = {} loaded + {} duplicate + {} superseded + {} dead",
                     counts.consumed, counts.loaded, counts.duplicate, counts.superseded,
                     counts.dead);
}

}  // namespace tapeline::app
