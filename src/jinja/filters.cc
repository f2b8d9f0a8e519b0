#include "jinja/filters.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "jinja/failure.h"
#include "jinja/filter_tables.h"
#include "jinja/number_text.h"
#include "jinja/objects.h"
#include "jinja/operations.h"
#include "jinja/parser.h"

namespace tapeline::jinja {

Bound::Bound(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, std::size_t required)
    : values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > parameters.size()) {
    fail("{}() takes at most {} argument(s), got {}", function, parameters.size(),
         arguments.positional.size());
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* place = std::find(parameters.begin(), parameters.end(), name);
    if (place == parameters.end()) {
      fail("{}() got an unexpected keyword argument '{}'", function, name);
    }
    const auto index = static_cast<std::size_t>(place - parameters.begin());
    if (values_[index] != nullptr)
      fail("{}() got multiple values for argument '{}'", function, name);
    values_[index] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      fail("{}() is missing the argument '{}'", function, *(parameters.begin() + i));
    }
  }
}

bool Bound::truth(std::size_t index, bool fallback) const {
  return values_[index] == nullptr ? fallback : values_[index]->truth();
}

std::int64_t Bound::integer(std::size_t index, std::int64_t fallback) const {
  return values_[index] == nullptr ? fallback : require_integer(*values_[index]);
}

std::string Bound::text(std::size_t index, std::string_view fallback) const {
  return values_[index] == nullptr ? std::string(fallback) : values_[index]->text();
}

const Value* Bound::given(std::size_t index) const {
  return values_[index] == nullptr || values_[index]->is_none() ? nullptr : values_[index];
}

FilterFunction find_filter(std::string_view name) {
  static const auto* const filters = [] {
    auto* all = new std::unordered_map<std::string_view, FilterFunction>();
    for (const auto& family : {text_filters(), sequence_filters(), value_filters()}) {
      all->insert(family.begin(), family.end());
    }
    return all;
  }();
  const auto found = filters->find(name);
  return found == filters->end() ? nullptr : found->second;
}

namespace {

Value filter_abs(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("abs", arguments, {});
  require_defined(input);
  const auto number = as_number(input);
  if (!number) fail("bad operand type for abs(): '{}'", input.type_name());
  return *number < 0 ? negative(input) : positive(input);
}

Value filter_attr(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"}, 1);
  const std::string name = bound.text(0, "");
  if (input.is_dict()) {
    const Value none = get_attribute(Value::dict(), name);
    if (none.is_undefined()) return none;
  }
  return get_attribute(input, name);
}

Value filter_default(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  const bool missing = input.is_undefined() || (bound.truth(1, false) && !input.truth());
  if (!missing) return input;
  return bound[0] == nullptr ? Value("") : bound.value(0);
}

Value filter_float(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  require_defined(input);
  if (const auto number = as_number(input)) return Value(*number);
  if (input.is_string()) {
    if (const auto number = read_float(input.as_string())) return Value(*number);
  }
  return bound[0] == nullptr ? Value(0.0) : bound.value(0);
}

std::optional<Value> truncated(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  if (std::fabs(number) >= 9.2e18)
    fail("the number {} does not fit into 64 bits", float_repr(number));
  return Value(static_cast<std::int64_t>(number));
}

Value filter_int(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  require_defined(input);
  if (const auto integer = as_integer(input)) return Value(*integer);
  std::optional<Value> result;
  if (input.is_double()) {
    if (std::isinf(input.as_double())) fail("cannot convert float infinity to integer");
    result = truncated(input.as_double());
  } else if (input.is_string()) {
    const std::int64_t base = bound.integer(1, 10);
    if (base != 0 && (base < 2 || base > 36)) fail("int() base must be >= 2 and <= 36, or 0");
    if (const auto integer = read_int(input.as_string(), static_cast<int>(base))) {
      result = Value(*integer);
    } else if (const auto number = read_float(input.as_string())) {
      result = truncated(*number);
    }
  }
  if (result) return *result;
  return bound[0] == nullptr ? Value(0) : bound.value(0);
}

Value filter_round(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  require_defined(input);
  const std::int64_t precision = bound.integer(0, 0);
  const std::string method = bound.text(1, "common");
  const auto number = as_number(input);
  if (!number) fail("type {} doesn't define __round__ method", input.type_name());
  if (precision > 300 || precision < -300) fail("the precision {} is out of range", precision);
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value(std::ceil(*number * scale) / scale);
  if (method == "floor") return Value(std::floor(*number * scale) / scale);
  if (method != "common") fail("method must be common, ceil or floor");
  if (!std::isfinite(*number)) return input;
  if (precision >= 0) {
    if (!input.is_double()) return positive(input);
    const std::string text = fmt::format("{:.{}f}", *number, precision);
    return Value(read_float(text).value_or(*number));
  }
  const double rounded = std::nearbyint(*number * scale) / scale;
  if (input.is_double()) return Value(rounded);
  return truncated(rounded).value_or(input);
}

Value filter_string(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("string", arguments, {});
  return input.is_string() ? input : Value(input.text());
}

Value filter_pprint(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("pprint", arguments, {});
  return Value(input.repr());
}

// As Jinja2's htmlsafe_json_dumps(): the four signs that HTML minds are escaped.
Value filter_tojson(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"indent"});
  require_defined(input);
  const std::int64_t indent = bound.given(0) == nullptr ? -1 : bound.integer(0, -1);
  std::string out;
  for (const char c : json_text(input, std::clamp<std::int64_t>(indent, -1, 100))) {
    if (c == '<')
      out += "\\u003c";
    else if (c == '>')
      out += "\\u003e";
    else if (c == '&')
      out += "\\u0026";
    else if (c == '\'')
      out += "\\u0027";
    else
      out += c;
  }
  return Value(std::move(out));
}

Value filter_is_list(Runtime&, const Value& input, const Arguments&) {
  return Value(input.is_list());
}

Value filter_as_text(Runtime& runtime, const Value& input, const Arguments&) {
  return runtime.native() ? Value(input.text()) : input;
}

// In text these leave the value as it is; where types are kept they read it, as dbt does.
Value read_native(Runtime& runtime, const Value& input, const char* type,
                  bool (*fits)(const Value&)) {
  if (!runtime.native()) return input;
  Value value = input;
  if (input.is_string()) {
    if (auto literal = parse_literal(input.as_string())) value = *std::move(literal);
  }
  if (!fits(value)) fail("the value {} does not convert into type '{}'", input.repr(), type);
  return value;
}

Value filter_as_native(Runtime& runtime, const Value& input, const Arguments&) {
  return read_native(runtime, input, "native", [](const Value&) { return true; });
}
Value filter_as_bool(Runtime& runtime, const Value& input, const Arguments&) {
  return read_native(runtime, input, "bool", [](const Value& value) { return value.is_bool(); });
}
Value filter_as_number(Runtime& runtime, const Value& input, const Arguments&) {
  return read_native(runtime, input, "number",
                     [](const Value& value) { return value.is_int() || value.is_double(); });
}

constexpr NamedFilter kValueFilters[] = {
    {"abs", filter_abs},
    {"as_bool", filter_as_bool},
    {"as_native", filter_as_native},
    {"as_number", filter_as_number},
    {"as_text", filter_as_text},
    {"attr", filter_attr},
    {"d", filter_default},
    {"default", filter_default},
    {"float", filter_float},
    {"int", filter_int},
    {"is_list", filter_is_list},
    {"pprint", filter_pprint},
    {"round", filter_round},
    {"safe", filter_string},
    {"string", filter_string},
    {"tojson", filter_tojson},
};

}  // namespace

std::span<const NamedFilter> value_filters() { return kValueFilters; }

}  // namespace tapeline::jinja
