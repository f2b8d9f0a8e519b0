#include "jinja/operations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "jinja/failure.h"
#include "jinja/methods.h"
#include "jinja/text_format.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

using ast::Comparator;
using ast::Operator;

namespace {

constexpr int kNestingMax = 300;

std::string_view sign_of(Operator operation) {
  switch (operation) {
    case Operator::add:
      return "+";
    case Operator::subtract:
      return "-";
    case Operator::multiply:
      return "*";
    case Operator::divide:
      return "/";
    case Operator::floor_divide:
      return "//";
    case Operator::modulo:
      return "%";
    case Operator::power:
      return "** or pow()";
  }
  return "?";
}

[[noreturn]] void fail_overflow() { fail("the whole number does not fit into 64 bits"); }

double floor_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0))
    rest += b;
  else if (rest == 0)
    rest = std::copysign(0.0, b);
  return rest;
}

double floor_divide(double a, double b) {
  double quotient = (a - floor_modulo(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) fail("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) fail_overflow();
    exponent /= 2;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
  }
  return Value(result);
}

Value integers(Operator operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (operation) {
    case Operator::add:
      if (__builtin_add_overflow(a, b, &result)) fail_overflow();
      return Value(result);
    case Operator::subtract:
      if (__builtin_sub_overflow(a, b, &result)) fail_overflow();
      return Value(result);
    case Operator::multiply:
      if (__builtin_mul_overflow(a, b, &result)) fail_overflow();
      return Value(result);
    case Operator::divide:
      if (b == 0) fail("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::floor_divide:
    case Operator::modulo: {
      if (b == 0) fail("integer division or modulo by zero");
      if (b == -1) {
        if (operation == Operator::modulo) return Value(0);
        if (a == std::numeric_limits<std::int64_t>::min()) fail_overflow();
        return Value(-a);
      }
      std::int64_t quotient = a / b;
      std::int64_t rest = a % b;
      if (rest != 0 && (rest < 0) != (b < 0)) {
        --quotient;
        rest += b;
      }
      return Value(operation == Operator::modulo ? rest : quotient);
    }
    case Operator::power:
      return power(a, b);
  }
  return Value();
}

Value floats(Operator operation, double a, double b) {
  switch (operation) {
    case Operator::add:
      return Value(a + b);
    case Operator::subtract:
      return Value(a - b);
    case Operator::multiply:
      return Value(a * b);
    case Operator::divide:
      if (b == 0) fail("float division by zero");
      return Value(a / b);
    case Operator::floor_divide:
      if (b == 0) fail("float floor division by zero");
      return Value(floor_divide(a, b));
    case Operator::modulo:
      if (b == 0) fail("float modulo by zero");
      return Value(floor_modulo(a, b));
    case Operator::power: {
      if (a == 0 && b < 0) fail("0.0 cannot be raised to a negative power");
      if (a < 0 && b != std::floor(b)) fail("a negative number has no real power of {}", b);
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) {
        fail("the result of ** is too large for a float");
      }
      return Value(result);
    }
  }
  return Value();
}

std::vector<Value> joined(Runtime& runtime, const std::vector<Value>& a,
                          const std::vector<Value>& b) {
  runtime.charge(a.size() + b.size());
  std::vector<Value> out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

std::vector<Value> repeated(Runtime& runtime, const std::vector<Value>& items, std::int64_t times) {
  std::vector<Value> out;
  if (items.empty()) return out;
  for (; times > 0; --times) {
    runtime.charge(items.size());
    out.insert(out.end(), items.begin(), items.end());
  }
  return out;
}

std::optional<Value> repetition(Runtime& runtime, const Value& items, const Value& count) {
  const auto times = as_integer(count);
  if (!times) return std::nullopt;
  if (items.is_string()) {
    const std::string& text = items.as_string();
    if (text.empty() || *times <= 0) return Value("");
    if (static_cast<std::uint64_t>(*times) > runtime.bytes_max() / text.size()) {
      fail("the text would be longer than {} bytes", runtime.bytes_max());
    }
    runtime.charge(text.size() * static_cast<std::size_t>(*times) / 64);
    std::string out;
    out.reserve(text.size() * static_cast<std::size_t>(*times));
    for (std::int64_t i = 0; i < *times; ++i) out += text;
    return Value(std::move(out));
  }
  if (items.is_list()) return Value::list(repeated(runtime, items.as_list(), *times));
  if (items.is_tuple()) return Value::tuple(repeated(runtime, items.as_tuple(), *times));
  return std::nullopt;
}

std::optional<Value> by_object(std::string_view sign, const Value& left, const Value& right) {
  for (const bool reflected : {false, true}) {
    const Value& object = reflected ? right : left;
    if (!object.is_object()) continue;
    auto result = object.as_object()->operate(sign, reflected ? left : right, reflected);
    if (result) return take(*std::move(result));
  }
  return std::nullopt;
}

}  // namespace

void require_defined(const Value& value) {
  if (value.is_undefined()) fail("{}", value.undefined_message());
}

void require_hashable(const Value& value) {
  if (value.is_list() || value.is_dict()) fail("unhashable type: '{}'", value.type_name());
  if (value.is_tuple()) {
    for (const Value& item : value.as_tuple()) require_hashable(item);
  }
}

std::optional<std::int64_t> as_integer(const Value& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_bool()) return value.as_bool() ? 1 : 0;
  return std::nullopt;
}

std::int64_t require_integer(const Value& value) {
  require_defined(value);
  const auto integer = as_integer(value);
  if (!integer) fail("'{}' object cannot be interpreted as an integer", value.type_name());
  return *integer;
}

std::optional<double> as_number(const Value& value) {
  if (value.is_double()) return value.as_double();
  if (const auto integer = as_integer(value)) return static_cast<double>(*integer);
  return std::nullopt;
}

Value arithmetic(Runtime& runtime, Operator operation, const Value& left, const Value& right) {
  if (operation == Operator::modulo && left.is_string()) {
    return Value(percent_format(runtime.bytes_max(), left.as_string(), right));
  }
  require_defined(left);
  require_defined(right);
  const auto a = as_integer(left);
  const auto b = as_integer(right);
  if (a && b) return integers(operation, *a, *b);
  const auto x = as_number(left);
  const auto y = as_number(right);
  if (x && y) return floats(operation, *x, *y);
  if (operation == Operator::add) {
    if (left.is_string() && right.is_string()) {
      const std::size_t size = left.as_string().size() + right.as_string().size();
      if (size > runtime.bytes_max())
        fail("the text would be longer than {} bytes", runtime.bytes_max());
      runtime.charge(size / 64);
      return Value(left.as_string() + right.as_string());
    }
    if (left.is_list() && right.is_list()) {
      return Value::list(joined(runtime, left.as_list(), right.as_list()));
    }
    if (left.is_tuple() && right.is_tuple()) {
      return Value::tuple(joined(runtime, left.as_tuple(), right.as_tuple()));
    }
  }
  if (operation == Operator::multiply) {
    if (auto result = repetition(runtime, left, right)) return *result;
    if (auto result = repetition(runtime, right, left)) return *result;
  }
  const std::string_view sign = operation == Operator::power ? "**" : sign_of(operation);
  if (auto result = by_object(sign, left, right)) return *result;
  if (operation == Operator::add && (left.is_string() || left.is_list() || left.is_tuple())) {
    fail("can only concatenate {0} (not \"{1}\") to {0}", left.type_name(), right.type_name());
  }
  fail("unsupported operand type(s) for {}: '{}' and '{}'", sign_of(operation), left.type_name(),
       right.type_name());
}

Value negative(const Value& value) {
  require_defined(value);
  if (value.is_double()) return Value(-value.as_double());
  const auto integer = as_integer(value);
  if (!integer) fail("bad operand type for unary -: '{}'", value.type_name());
  if (*integer == std::numeric_limits<std::int64_t>::min()) fail_overflow();
  return Value(-*integer);
}

Value positive(const Value& value) {
  require_defined(value);
  if (value.is_double()) return value;
  const auto integer = as_integer(value);
  if (!integer) fail("bad operand type for unary +: '{}'", value.type_name());
  return Value(*integer);
}

namespace {

// -1, 0 or 1; 2 where one is not a number.
int order(const Value& left, const Value& right, std::string_view sign, int depth) {
  require_defined(left);
  require_defined(right);
  if (depth > kNestingMax) fail("the values are nested too deep to be compared");
  const auto ordered = [](const auto& a, const auto& b) { return a < b ? -1 : b < a ? 1 : 0; };
  if (left.is_string() && right.is_string()) return ordered(left.as_string(), right.as_string());
  const auto a = as_integer(left);
  const auto b = as_integer(right);
  if (a && b) return ordered(*a, *b);
  const auto x = as_number(left);
  const auto y = as_number(right);
  if (x && y) return std::isnan(*x) || std::isnan(*y) ? 2 : ordered(*x, *y);
  if ((left.is_list() && right.is_list()) || (left.is_tuple() && right.is_tuple())) {
    const auto& p = left.is_list() ? left.as_list() : left.as_tuple();
    const auto& q = right.is_list() ? right.as_list() : right.as_tuple();
    for (std::size_t i = 0; i < p.size() && i < q.size(); ++i) {
      if (!p[i].equals(q[i])) return order(p[i], q[i], sign, depth + 1);
    }
    return ordered(p.size(), q.size());
  }
  if (const auto smaller = by_object("<", left, right)) {
    return smaller->truth() ? -1 : left.equals(right) ? 0 : 1;
  }
  fail("'{}' not supported between instances of '{}' and '{}'", sign, left.type_name(),
       right.type_name());
}

}  // namespace

bool less(const Value& left, const Value& right, std::string_view sign) {
  return order(left, right, sign, 0) == -1;
}

bool compare(Comparator comparator, const Value& left, const Value& right) {
  switch (comparator) {
    case Comparator::equal:
      return left.equals(right);
    case Comparator::unequal:
      return !left.equals(right);
    case Comparator::less:
      return order(left, right, "<", 0) == -1;
    case Comparator::less_equal:
      return order(left, right, "<=", 0) <= 0;
    case Comparator::greater:
      return order(left, right, ">", 0) == 1;
    case Comparator::greater_equal: {
      const int result = order(left, right, ">=", 0);
      return result == 0 || result == 1;
    }
    case Comparator::in:
      return contains(right, left);
    case Comparator::not_in:
      return !contains(right, left);
  }
  return false;
}

bool contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    require_defined(item);
    if (!item.is_string()) {
      fail("'in <string>' requires string as left operand, not {}", item.type_name());
    }
    return container.as_string().find(item.as_string()) != std::string::npos;
  }
  if (container.is_dict()) {
    require_hashable(item);
    return container.dict_body().place(item) < container.as_dict().size();
  }
  if (container.is_undefined()) return false;
  const auto any = [&item](const std::vector<Value>& items) {
    return std::any_of(items.begin(), items.end(), [&](const Value& candidate) {
      return candidate.same_as(item) || candidate.equals(item);
    });
  };
  if (container.is_list()) return any(container.as_list());
  if (container.is_tuple()) return any(container.as_tuple());
  const auto items = try_items_of(container);
  if (!items) fail("argument of type '{}' is not iterable", container.type_name());
  return any(*items);
}

namespace {

Value no_attribute(const Value& object, const std::string& name) {
  const std::string type = object.is_none() ? "None" : object.type_name() + " object";
  return Value::undefined(name, fmt::format("'{}' has no attribute '{}'", type, name));
}

}  // namespace

Value get_attribute(const Value& object, const std::string& name) {
  require_defined(object);
  if (object.is_object()) return take(object.as_object()->attribute(name));
  if (has_method(object, name)) return bound_method(object, name);
  if (object.is_dict()) {
    if (auto found = object.find(name)) return *std::move(found);
  }
  return no_attribute(object, name);
}

Value get_item(const Value& object, const Value& key) {
  require_defined(object);
  if (object.is_object()) return take(object.as_object()->item(key));
  if (object.is_dict()) {
    if (!key.is_list() && !key.is_dict()) {
      const auto& items = object.as_dict();
      const std::size_t place = object.dict_body().place(key);
      if (place < items.size()) return items[place].second;
    }
  } else if (const auto index = as_integer(key)) {
    if (object.is_string()) {
      const std::string& text = object.as_string();
      const std::int64_t size = text_length(text);
      const std::int64_t at = *index < 0 ? *index + size : *index;
      if (at >= 0 && at < size) {
        const std::size_t byte = byte_of(text, at);
        return Value(text.substr(byte, code_point_bytes(text, byte)));
      }
    } else if (object.is_list() || object.is_tuple()) {
      const auto& items = object.is_list() ? object.as_list() : object.as_tuple();
      const auto size = static_cast<std::int64_t>(items.size());
      const std::int64_t at = *index < 0 ? *index + size : *index;
      if (at >= 0 && at < size) return items[static_cast<std::size_t>(at)];
    }
  }
  if (key.is_string()) {
    if (has_method(object, key.as_string())) return bound_method(object, key.as_string());
    return no_attribute(object, key.as_string());
  }
  const std::string type = object.is_none() ? "None" : object.type_name() + " object";
  return Value::undefined(key.text(), fmt::format("{} has no element {}", type, key.repr()));
}

namespace {

struct SliceRange {
  std::int64_t start, stop, step;
};

// As Python's slice.indices(): within the sequence, whatever was asked for.
SliceRange slice_range(std::int64_t size, const Value& start, const Value& stop,
                       const Value& step) {
  SliceRange range{};
  range.step = step.is_none() ? 1 : require_integer(step);
  if (range.step == 0) fail("slice step cannot be zero");
  const std::int64_t lowest = range.step < 0 ? -1 : 0;
  const std::int64_t highest = range.step < 0 ? size - 1 : size;
  const auto place = [&](const Value& value, std::int64_t fallback) {
    if (value.is_none()) return fallback;
    const std::int64_t at = require_integer(value);
    if (at < 0) return at < -size ? lowest : at + size;
    return std::min(at, highest);
  };
  range.start = place(start, range.step < 0 ? highest : lowest);
  range.stop = place(stop, range.step < 0 ? lowest : highest);
  return range;
}

template <typename Take>
void walk(const SliceRange& range, Take take_at) {
  // The step may be as large as an int64: count instead of overrunning.
  for (std::int64_t at = range.start; range.step > 0 ? at < range.stop : at > range.stop;) {
    take_at(static_cast<std::size_t>(at));
    if (__builtin_add_overflow(at, range.step, &at)) break;
  }
}

}  // namespace

Value get_slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  require_defined(object);
  if (object.is_string()) {
    const auto points = code_points(object.as_string());
    std::string out;
    walk(slice_range(static_cast<std::int64_t>(points.size()), start, stop, step),
         [&](std::size_t at) { out += points[at]; });
    return Value(std::move(out));
  }
  const std::string type = object.is_object() ? object.type_name() : "";
  if (object.is_object() && type != "generator" && !type.starts_with("dict_")) {
    if (const auto items = object.as_object()->iterate()) {
      return get_slice(Value::list(*items), start, stop, step);
    }
  }
  if (!object.is_list() && !object.is_tuple()) {
    fail("'{}' object is not subscriptable", object.type_name());
  }
  const auto& items = object.is_list() ? object.as_list() : object.as_tuple();
  std::vector<Value> out;
  walk(slice_range(static_cast<std::int64_t>(items.size()), start, stop, step),
       [&](std::size_t at) { out.push_back(items[at]); });
  return object.is_list() ? Value::list(std::move(out)) : Value::tuple(std::move(out));
}

std::optional<std::vector<Value>> try_items_of(const Value& value) {
  if (value.is_list()) return value.as_list();
  if (value.is_tuple()) return value.as_tuple();
  if (value.is_undefined()) return std::vector<Value>();
  if (value.is_object()) return value.as_object()->iterate();
  std::vector<Value> items;
  if (value.is_string()) {
    for (const std::string_view point : code_points(value.as_string())) items.emplace_back(point);
    return items;
  }
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict()) items.push_back(key);
    return items;
  }
  return std::nullopt;
}

std::vector<Value> items_of(const Value& value) {
  auto items = try_items_of(value);
  if (!items) fail("'{}' object is not iterable", value.type_name());
  return *std::move(items);
}

std::int64_t length_of(const Value& value) {
  if (value.is_string()) return text_length(value.as_string());
  if (value.is_list()) return static_cast<std::int64_t>(value.as_list().size());
  if (value.is_tuple()) return static_cast<std::int64_t>(value.as_tuple().size());
  if (value.is_dict()) return static_cast<std::int64_t>(value.as_dict().size());
  if (value.is_undefined()) return 0;
  if (value.is_object() && value.type_name() != "generator") {
    if (const auto items = value.as_object()->iterate()) {
      return static_cast<std::int64_t>(items->size());
    }
  }
  fail("object of type '{}' has no len()", value.type_name());
}

}  // namespace tapeline::jinja
