// The filters by family, for filters.cc to look names up in.

#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "jinja/filters.h"

namespace tapeline::jinja {

using NamedFilter = std::pair<std::string_view, FilterFunction>;

std::span<const NamedFilter> text_filters();
std::span<const NamedFilter> sequence_filters();
std::span<const NamedFilter> value_filters();

/// Python's json.dumps(value, sort_keys=True, indent=indent); -1: on one line.
std::string json_text(const Value& value, std::int64_t indent);

}  // namespace tapeline::jinja
