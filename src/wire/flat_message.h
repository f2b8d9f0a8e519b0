// The fast way to read a message: one pass over a flat object of known fields, written
// without escapes, exponents or needless blanks, each field at most once.

#pragma once

#include <string_view>

#include "wire/draft.h"

namespace tapeline::wire {

/// Reads `value` if it is that plain; false says only that AnyMessage has to look.
///
/// promise: where this answers true, AnyMessage fills an equal draft
bool read_flat_message(std::string_view value, Draft& draft);

}  // namespace tapeline::wire
