// Filters and tests: named functions on a value, in tables that the parser reads.

#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace tapeline::jinja {

/// What filters and tests may ask of the rendering they are part of.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Value call(const Value& function, Arguments arguments) = 0;
  /// Whether a value's type is kept (render_native).
  virtual bool native() const = 0;
  /// Charges work to the rendering's limits.
  virtual void charge(std::size_t steps) = 0;
  /// The most bytes that a text may have.
  virtual std::size_t bytes_max() const = 0;
};

using FilterFunction = Value (*)(Runtime&, const Value& input, const Arguments& arguments);
using TestFunction = bool (*)(Runtime&, const Value& input, const Arguments& arguments);

/// None where there is no such filter or test.
FilterFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);

/// Arguments by the parameter that they belong to, as Python binds them. Throws Failure.
class Bound {
 public:
  Bound(std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, std::size_t required = 0);

  /// nullptr: not given
  const Value* operator[](std::size_t index) const { return values_[index]; }
  const Value& value(std::size_t index) const { return *values_[index]; }
  bool truth(std::size_t index, bool fallback) const;
  std::int64_t integer(std::size_t index, std::int64_t fallback) const;
  std::string text(std::size_t index, std::string_view fallback) const;
  /// nullptr also where the value is none
  const Value* given(std::size_t index) const;

 private:
  std::vector<const Value*> values_;
};

}  // namespace tapeline::jinja
