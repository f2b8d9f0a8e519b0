// A whole number that somebody has written.

#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tapeline {

/// The number that is all of `text`: digits, perhaps with a minus before them. None where it is
/// anything else, or does not fit.
inline std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace tapeline
