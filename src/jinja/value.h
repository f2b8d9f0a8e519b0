// Value: what a template computes with. Python's types, truth, equality and printing.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tapeline::jinja {

class Value;

/// What a call is given: f(1, 2, a=3).
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Something of the host's that a template can hold: a relation, an adapter, a function.
/// Every answer may be an error, which ends the rendering and is reported with its place.
class HostObject {
 public:
  virtual ~HostObject() = default;

  /// What Python's type() would call it; for messages.
  virtual std::string type_name() const = 0;

  /// `object.name`. Undefined (not an error) where there is none.
  virtual Result<Value> attribute(const std::string& name);

  /// `object[key]`. The default asks `attribute` if the key is a string.
  virtual Result<Value> item(const Value& key);

  /// `object(...)`. The default: "'X' object is not callable".
  virtual Result<Value> call(const Arguments& arguments);

  /// `object.name(...)`. The default calls what `attribute(name)` gives.
  virtual Result<Value> call_method(const std::string& name, const Arguments& arguments);

  /// What `for x in object` walks over; nullopt: not iterable.
  virtual std::optional<std::vector<Value>> iterate();

  virtual std::string text() const;
  virtual bool truth() const { return true; }
  virtual bool callable() const { return false; }
  virtual bool equals(const HostObject& other) const { return this == &other; }
};

/// Shared by reference and changeable, as in Python: `{% do list.append(x) %}`.
struct ListBody {
  std::vector<Value> items;
};
struct DictBody {
  std::vector<std::pair<Value, Value>> items;  // in insertion order; each key once
};

/// A value of a template. Copies share lists and dicts, as in Python.
class Value {
 public:
  struct Undefined {
    std::string name;  // what was looked for; for messages
  };
  struct None {};
  struct Tuple {
    std::shared_ptr<const std::vector<Value>> items;
  };

  Value() : state_(None{}) {}
  Value(bool value) : state_(value) {}
  Value(int value) : state_(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) : state_(value) {}
  Value(double value) : state_(value) {}
  Value(const char* value) : state_(std::string(value)) {}
  Value(std::string_view value) : state_(std::string(value)) {}
  Value(std::string value) : state_(std::move(value)) {}
  Value(std::shared_ptr<HostObject> object) : state_(std::move(object)) {}

  static Value undefined(std::string name) { return Value(State(Undefined{std::move(name)})); }
  static Value list(std::vector<Value> items = {});
  static Value tuple(std::vector<Value> items);
  static Value dict(std::vector<std::pair<Value, Value>> items = {});

  /// A host function: `name` is for messages.
  static Value function(std::string name,
                        std::function<Result<Value>(const Arguments&)> body);

  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_none() const { return std::holds_alternative<None>(state_); }
  bool is_bool() const { return std::holds_alternative<bool>(state_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(state_); }
  bool is_double() const { return std::holds_alternative<double>(state_); }
  bool is_string() const { return std::holds_alternative<std::string>(state_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<ListBody>>(state_); }
  bool is_tuple() const { return std::holds_alternative<Tuple>(state_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<DictBody>>(state_); }
  bool is_object() const { return std::holds_alternative<std::shared_ptr<HostObject>>(state_); }

  bool as_bool() const { return std::get<bool>(state_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(state_); }
  double as_double() const { return std::get<double>(state_); }
  const std::string& as_string() const { return std::get<std::string>(state_); }
  std::vector<Value>& as_list() const { return std::get<std::shared_ptr<ListBody>>(state_)->items; }
  const std::vector<Value>& as_tuple() const { return *std::get<Tuple>(state_).items; }
  std::vector<std::pair<Value, Value>>& as_dict() const {
    return std::get<std::shared_ptr<DictBody>>(state_)->items;
  }
  const std::shared_ptr<HostObject>& as_object() const {
    return std::get<std::shared_ptr<HostObject>>(state_);
  }
  const std::string& undefined_name() const { return std::get<Undefined>(state_).name; }

  /// The dict's value under a string key; none where there is none.
  std::optional<Value> find(std::string_view key) const;
  /// Sets a string key of a dict.
  void set(std::string_view key, Value value) const;

  /// Python's bool(x).
  bool truth() const;
  /// Python's str(x): True, None, [1, 'a'], 1.0. Undefined prints nothing.
  std::string text() const;
  /// Python's repr(x).
  std::string repr() const;
  /// Python's ==: 1 == 1.0 == True, lists by items.
  bool equals(const Value& other) const;
  /// Python's type name: str, int, list, …
  std::string type_name() const;

 private:
  using State = std::variant<Undefined, None, bool, std::int64_t, double, std::string,
                             std::shared_ptr<ListBody>, Tuple, std::shared_ptr<DictBody>,
                             std::shared_ptr<HostObject>>;
  explicit Value(State state) : state_(std::move(state)) {}
  State state_;
};

}  // namespace tapeline::jinja
