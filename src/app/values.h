// Values: what command line and API both write of times and counts.

#pragma once

#include <optional>

#include "base/time_text.h"
#include "ingest/loader.h"
#include "text/value.h"

namespace tapeline::app {

/// RFC 3339, or null.
inline text::Value time_value(const std::optional<Timestamp>& at) {
  return at ? text::Value(format_rfc3339(*at)) : text::Value();
}

/// Sets consumed, loaded, duplicate, superseded and dead.
inline void set_counts(text::Value& object, const ingest::LoadCounts& counts) {
  object.set("consumed", counts.consumed);
  object.set("loaded", counts.loaded);
  object.set("duplicate", counts.duplicate);
  object.set("superseded", counts.superseded);
  object.set("dead", counts.dead);
}

/// "7 consumed = 3 loaded + 1 duplicate + 2 superseded + 1 dead".
std::string equation_text(const ingest::LoadCounts& counts);

}  // namespace tapeline::app
