// The check that both ways of reading a message agree: one for the test and the fuzzer.

#pragma once

#include <string_view>

#include "wire/any_message.h"
#include "wire/flat_message.h"

namespace tapeline::wire {

/// Whether `value` is read alike in both ways; what only AnyMessage reads is.
inline bool both_ways_agree(AnyMessage& any, std::string_view value) {
  Draft flat;
  if (!read_flat_message(value, flat)) return true;
  Draft general;
  return !any.read(value, general) && flat == general;
}

}  // namespace tapeline::wire
