// Objects that the language itself hands out: generators, views of dicts, ranges, namespaces.

#pragma once

#include <string>
#include <vector>

#include "jinja/value.h"

namespace tapeline::jinja {

/// What map() or select() yield: to be walked over once, as in Python.
Value generator(std::vector<Value> items);

/// Takes the next item of a generator; none at its end or where it is none.
std::optional<Value> next_of_generator(const Value& value);

/// dict.keys(), .values() or .items(): `part` says which.
Value dict_view(const Value& dict, const std::string& part);

/// A tuple of a group's key and its items, with the names grouper and list.
Value group(Value key, std::vector<Value> items);

bool is_range(const Value& value);

}  // namespace tapeline::jinja
