// Value: what a template computes with. Python's types, truth, equality and printing.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tapeline::jinja {

class Value;

/// What is left of a rendering's limits; opaque to hosts.
struct Budget;

/// What a call is given: f(1, 2, a=3).
///
/// holds: `budget` is the caller's. A host function that calls a macro in turn hands on the
///        Arguments it was given, or sets the same budget in those it makes, so that macros
///        that call each other through it stay within one limit.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  Budget* budget = nullptr;
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

  /// `object + other`, or `other + object` where `reflected`; nullopt: not supported.
  /// `operation` is Python's sign: + - * / // % ** and < for ordering.
  virtual std::optional<Result<Value>> operate(std::string_view operation, const Value& other,
                                               bool reflected);

  /// `object.name = value` by `{% set object.name = value %}`. The default: an error, as only
  /// namespaces can be assigned to.
  virtual Result<Ok> assign(const std::string& name, const Value& value);

  virtual std::string text() const;
  /// Python's repr(): how it prints inside a list.
  virtual std::string repr() const { return text(); }
  virtual bool truth() const { return true; }
  virtual bool callable() const { return false; }
  virtual bool equals(const HostObject& other) const { return this == &other; }
};

/// Shared by reference and changeable, as in Python: `{% do list.append(x) %}`. One that holds
/// itself is never freed.
struct ListBody {
  std::vector<Value> items;
  ~ListBody();
};

/// holds: items in insertion order, each key once
struct DictBody {
  std::vector<std::pair<Value, Value>> items;
  std::unordered_map<std::string, std::size_t> index;  // of string keys, once there are many
  ~DictBody();

  /// The key's place in items, or items.size().
  std::size_t place(const Value& key) const;
  std::size_t place(std::string_view key) const;
  void set(const Value& key, Value value);

 private:
  bool index_holds() const;
};

/// A value of a template. Copies share lists and dicts, as in Python.
class Value {
 public:
  struct Undefined {
    struct Why {
      std::string name;     // what was looked for
      std::string message;  // what to say when it is used
    };
    std::shared_ptr<const Why> why;
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
  Value(const char* value) : state_(share(std::string(value))) {}
  Value(std::string_view value) : state_(share(std::string(value))) {}
  Value(std::string value) : state_(share(std::move(value))) {}
  Value(std::shared_ptr<HostObject> object) : state_(std::move(object)) {}

  /// Undefined as a missing name is; or, with `message`, as whatever that says.
  static Value undefined(std::string name, std::string message = "");
  static Value list(std::vector<Value> items = {});
  static Value tuple(std::vector<Value> items);
  static Value dict(std::vector<std::pair<Value, Value>> items = {});

  /// A host function: `name` is for messages.
  static Value function(std::string name, std::function<Result<Value>(const Arguments&)> body);

  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_none() const { return std::holds_alternative<None>(state_); }
  bool is_bool() const { return std::holds_alternative<bool>(state_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(state_); }
  bool is_double() const { return std::holds_alternative<double>(state_); }
  bool is_string() const { return std::holds_alternative<Text>(state_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<ListBody>>(state_); }
  bool is_tuple() const { return std::holds_alternative<Tuple>(state_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<DictBody>>(state_); }
  bool is_object() const { return std::holds_alternative<std::shared_ptr<HostObject>>(state_); }

  bool as_bool() const { return std::get<bool>(state_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(state_); }
  double as_double() const { return std::get<double>(state_); }
  const std::string& as_string() const { return *std::get<Text>(state_); }
  std::vector<Value>& as_list() const { return std::get<std::shared_ptr<ListBody>>(state_)->items; }
  const std::vector<Value>& as_tuple() const { return *std::get<Tuple>(state_).items; }
  std::vector<std::pair<Value, Value>>& as_dict() const {
    return std::get<std::shared_ptr<DictBody>>(state_)->items;
  }
  DictBody& dict_body() const { return *std::get<std::shared_ptr<DictBody>>(state_); }
  const std::shared_ptr<HostObject>& as_object() const {
    return std::get<std::shared_ptr<HostObject>>(state_);
  }
  const std::string& undefined_name() const { return std::get<Undefined>(state_).why->name; }
  const std::string& undefined_message() const { return std::get<Undefined>(state_).why->message; }

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
  /// Python's `is`: the same list, not an equal one.
  bool same_as(const Value& other) const;
  /// Python's type name: str, int, list, …
  std::string type_name() const;

 private:
  friend struct ListBody;
  friend struct DictBody;
  using Text = std::shared_ptr<const std::string>;
  static void dismantle(std::vector<Value>& pile);
  static Text share(std::string text) {
    return std::make_shared<const std::string>(std::move(text));
  }
  using State =
      std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<ListBody>,
                   Tuple, std::shared_ptr<DictBody>, std::shared_ptr<HostObject>>;
  explicit Value(State state) : state_(std::move(state)) {}
  State state_;
};

}  // namespace tapeline::jinja
