// TL_ASSERT: for our own mistakes, on in release. Input never reaches one.

#pragma once

#include <string_view>

namespace tapeline {

/// Prints what was expected, where, and a backtrace; then aborts.
[[noreturn]] void assertion_failed(std::string_view expression, std::string_view file, int line);

}  // namespace tapeline

#define TL_ASSERT(expression)          \
  ((expression) ? static_cast<void>(0) \
                : ::tapeline::assertion_failed(#expression, __FILE__, __LINE__))
