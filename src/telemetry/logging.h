// Log lines: an event in the past tense, with fields.
//
// Data goes into fields, not into the sentence: "records appended topic=stock_prices
// count=500". Levels promise something. error: data lost or service down, someone should
// get up. warn: degraded, look today. info: state changed. debug: for a room's authors.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tapeline::telemetry {

enum class Level : std::uint8_t { debug, info, warn, error };

using Fields = std::vector<std::pair<std::string_view, std::string>>;

/// Writes one line to stderr (or to the sink set below).
/// threads: any
void log(Level level, std::string_view event, const Fields& fields = {});

/// The fields that say what an error was.
Fields error_fields(const Error& error);

/// Lines below `level` are dropped. The start value is info.
void set_log_level(Level level);

/// Sends every line to `sink` instead of stderr; an empty one restores stderr. A test that
/// fails on what it did not announce uses this.
void set_log_sink(std::function<void(Level, std::string_view event, const Fields&)> sink);

/// From now on `secret` is written as *** wherever it would stand in a line.
void mask_secret(std::string secret);

}  // namespace tapeline::telemetry
