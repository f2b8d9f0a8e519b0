// Python's view of text: code points, not bytes. Bytes that are not UTF-8 count one each.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tapeline::jinja {

/// The bytes that the code point at `position` takes up: 1 to 4.
std::size_t code_point_bytes(std::string_view text, std::size_t position);

/// The code point at `position`; a stray byte stands for itself.
std::uint32_t code_point_at(std::string_view text, std::size_t position);

void append_code_point(std::string& text, std::uint32_t code_point);

/// Python's len(): code points.
std::int64_t text_length(std::string_view text);

/// The byte at which code point number `index` begins; the size where there are fewer.
std::size_t byte_of(std::string_view text, std::int64_t index);

/// Each code point as a string of its own.
std::vector<std::string_view> code_points(std::string_view text);

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
/// The first letter upper case, the rest lower.
std::string capitalize(std::string_view text);
bool is_letter(std::uint32_t code_point);
bool is_upper(std::uint32_t code_point);
bool is_lower(std::uint32_t code_point);
bool is_digit(std::uint32_t code_point);
bool is_space(std::uint32_t code_point);
/// Whether repr() shows it as it is.
bool is_printable(std::uint32_t code_point);

/// Cuts white space as Python's strip() does.
std::string_view strip(std::string_view text, bool left = true, bool right = true);

}  // namespace tapeline::jinja
