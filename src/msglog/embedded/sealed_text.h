// Small text files that know when they are damaged: the last line is the CRC-32C of the rest.
//
//   file := ( key blank value newline )*  "crc32c " 8 hexadecimal digits newline

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapeline::msglog {

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string seal(const Lines& lines);

/// None where the text is not what seal() makes.
std::optional<Lines> unseal(std::string_view text);

/// The value of the first line with that key; none where there is none.
std::optional<std::string> value_of(const Lines& lines, std::string_view key);

}  // namespace tapeline::msglog
