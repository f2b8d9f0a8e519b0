// The only file that includes the TOML parser.

#include <fmt/format.h>

#include <toml++/toml.h>
#include <sstream>

#include "text/value.h"

namespace tapeline::text {
namespace {

Value convert(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Value value(Object{});
    for (const auto& [key, item] : *table) value.set(key.str(), convert(item));
    return value;
  }
  if (const auto* array = node.as_array()) {
    List items;
    for (const auto& item : *array) items.push_back(convert(item));
    return Value(std::move(items));
  }
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* whole = node.as_integer()) return Value(whole->get());
  if (const auto* real = node.as_floating_point()) return Value(real->get());
  if (const auto* truth = node.as_boolean()) return Value(truth->get());
  std::ostringstream out;  // dates and times keep their text
  node.visit([&](const auto& value) { out << value; });
  return Value(out.str());
}

}  // namespace

Result<Value> parse_toml(std::string_view text) {
  try {
    return convert(toml::parse(text));
  } catch (const toml::parse_error& why) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("text is no TOML: line {}, column {}: {}", why.source().begin.line,
                             why.source().begin.column, why.description()),
                 ""};
  }
}

}  // namespace tapeline::text
