// Numbers as Python prints and reads them.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tapeline::jinja {

/// Python's repr(float): the shortest digits that read back the same, 1.0, 1e+16, inf, nan.
std::string float_repr(double value);

/// Python's int(text, base) and float(text); none where they would raise.
std::optional<std::int64_t> read_int(std::string_view text, int base = 10);
std::optional<double> read_float(std::string_view text);

}  // namespace tapeline::jinja
