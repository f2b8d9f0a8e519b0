// What Python's operators do with values. All throw Failure.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/filters.h"
#include "jinja/value.h"

namespace tapeline::jinja {

Value arithmetic(Runtime& runtime, ast::Operator operation, const Value& left, const Value& right);
Value negative(const Value& value);
Value positive(const Value& value);

/// Python's <, for numbers, texts and sequences.
bool less(const Value& left, const Value& right, std::string_view sign = "<");
bool compare(ast::Comparator comparator, const Value& left, const Value& right);
bool contains(const Value& container, const Value& item);

/// `object.name` and `object[key]` as Jinja2 looks them up; undefined where there is none.
Value get_attribute(const Value& object, const std::string& name);
Value get_item(const Value& object, const Value& key);
Value get_slice(const Value& object, const Value& start, const Value& stop, const Value& step);

/// What a `for` walks over.
std::vector<Value> items_of(const Value& value);
/// The same, or nothing where it is not iterable.
std::optional<std::vector<Value>> try_items_of(const Value& value);
/// Python's len().
std::int64_t length_of(const Value& value);

/// Ends the rendering if the value is undefined.
void require_defined(const Value& value);
/// Ends the rendering if the value cannot be a key.
void require_hashable(const Value& value);
/// A bool or int as a number; none for others.
std::optional<std::int64_t> as_integer(const Value& value);
/// An index or count; ends the rendering for other types.
std::int64_t require_integer(const Value& value);
std::optional<double> as_number(const Value& value);

}  // namespace tapeline::jinja
