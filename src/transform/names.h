// Names and ids as dbt makes them, byte for byte: data tests are found by them in run
// results, in selections and in the manifest of a real dbt.

#pragma once

#include <string>
#include <string_view>

#include "text/value.h"

namespace tapeline::transform {

/// Python's repr() of what YAML can hold.
std::string python_repr(const text::Value& value);

/// Python's str() of the same.
std::string python_str(const text::Value& value);

/// What a data test is called when its author gave no name.
struct TestName {
  std::string full;   // not_null_orders_id: the node's name
  std::string alias;  // the same, or a prefix and a digest where `full` has 64 characters or more
};

/// shape: `arguments` is an object; its key `model` is left out of the name
TestName generic_test_name(std::string_view test, std::string_view target,
                           const text::Value& arguments);

/// test.<package>.<name>.<ten hexadecimal digits>
/// shape: `kwargs` holds the arguments with `model`; `test_namespace` is empty where there is none
std::string generic_test_id(std::string_view package, std::string_view name, std::string_view test,
                            std::string_view test_namespace, const text::Value& kwargs);

}  // namespace tapeline::transform
