// Value: what JSON, YAML and TOML have in common. Objects keep their order.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tapeline::text {

class Value;
using List = std::vector<Value>;

/// Keys in the order in which they were written; each key once.
using Object = std::vector<std::pair<std::string, Value>>;

/// A JSON-like value.
class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : state_(value) {}
  Value(int value) : state_(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) : state_(value) {}
  Value(std::uint64_t value) : state_(static_cast<std::int64_t>(value)) {}
  Value(double value) : state_(value) {}
  Value(const char* value) : state_(std::string(value)) {}
  Value(std::string_view value) : state_(std::string(value)) {}
  Value(std::string value) : state_(std::move(value)) {}
  Value(List value) : state_(std::move(value)) {}
  Value(Object value) : state_(std::move(value)) {}

  /// Null where `value` is none.
  template <typename T>
  static Value optional(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
  }

  bool is_null() const { return state_.index() == 0; }
  bool is_bool() const { return std::holds_alternative<bool>(state_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(state_); }
  bool is_double() const { return std::holds_alternative<double>(state_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(state_); }
  bool is_list() const { return std::holds_alternative<List>(state_); }
  bool is_object() const { return std::holds_alternative<Object>(state_); }

  bool as_bool() const { return std::get<bool>(state_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(state_); }
  double as_double() const {
    return is_int() ? static_cast<double>(as_int()) : std::get<double>(state_);
  }
  const std::string& as_string() const { return std::get<std::string>(state_); }
  const List& as_list() const { return std::get<List>(state_); }
  List& as_list() { return std::get<List>(state_); }
  const Object& as_object() const { return std::get<Object>(state_); }
  Object& as_object() { return std::get<Object>(state_); }

  /// The member called `key`; nullptr where this is no object or has none.
  const Value* find(std::string_view key) const;

  /// The member's text, or `fallback` where there is none or it is no string.
  std::string string_or(std::string_view key, std::string_view fallback) const;
  std::int64_t int_or(std::string_view key, std::int64_t fallback) const;
  bool bool_or(std::string_view key, bool fallback) const;

  /// Sets a member, making this an object if it is null.
  void set(std::string_view key, Value value);

  /// The line of the file at which this value begins, from 1; 0 where unknown. YAML only.
  int line = 0;

  friend bool operator==(const Value& a, const Value& b) { return a.state_ == b.state_; }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> state_;
};

/// errors: invalid_argument, with the place and what was expected there
Result<Value> parse_json(std::string_view text);

/// As parse_json, but a number that is no 64-bit integer is its text, as it was written: what is
/// to become a decimal goes through no floating point.
Result<Value> parse_json_exactly(std::string_view text);

/// YAML as PyYAML reads it, and so dbt, but dates are text; one document. Anchors and merge keys
/// work.
/// errors: invalid_argument, with line and column
Result<Value> parse_yaml(std::string_view text);

/// errors: invalid_argument, with line and column
Result<Value> parse_toml(std::string_view text);

/// Compact JSON in UTF-8; bytes that are no UTF-8 become U+FFFD. `indent` > 0 spreads it over
/// lines. NaN and infinity become null.
std::string to_json(const Value& value, int indent = 0);

/// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);
void append_json_string(std::string& out, std::string_view text);

}  // namespace tapeline::text
