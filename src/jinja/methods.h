// Methods of Python's own types: 'a,b'.split(','), list.append(x), dict.items().

#pragma once

#include <string>

#include "jinja/value.h"

namespace tapeline::jinja {

/// Whether a text, list, tuple, dict or number has a method of that name.
bool has_method(const Value& object, const std::string& name);

/// Throws Failure. No text becomes longer than `bytes_max`.
Value call_method(const Value& object, const std::string& name, const Arguments& arguments,
                  std::size_t bytes_max);

/// The method as a value of its own: {% set add = list.append %}.
Value bound_method(const Value& object, const std::string& name);

}  // namespace tapeline::jinja
