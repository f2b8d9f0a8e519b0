// Failure: how a template's mistake travels inside this room. It is caught where a rendering,
// or a macro called by a host, ends, and becomes an Error there.

#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace tapeline::jinja {

struct Failure {
  Error error;
  bool placed = false;  // the message says where
};

/// Ends the rendering with a message that says what is wrong.
template <typename... Values>
[[noreturn]] void fail(fmt::format_string<Values...> message, Values&&... values) {
  throw Failure{Error{ErrorCode::invalid_argument,
                      fmt::format(message, std::forward<Values>(values)...), ""}};
}

/// The value of a host's answer; its error ends the rendering.
template <typename T>
T take(Result<T> result) {
  if (!result) throw Failure{std::move(result).error()};
  return *std::move(result);
}

}  // namespace tapeline::jinja
