// The methods of Python's str.

#pragma once

#include <string>

#include "jinja/value.h"

namespace tapeline::jinja {

bool has_text_method(const std::string& name);

/// Throws Failure. No text becomes longer than `bytes_max`.
Value call_text_method(const Value& object, const std::string& name, const Arguments& arguments,
                       std::size_t bytes_max);

/// Each word's first letter upper case, the rest lower, as str.title() does.
std::string title(std::string_view text);
std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t times, std::size_t bytes_max);
std::string_view stripped(std::string_view text, const Value* characters, bool left, bool right);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends = false);
/// Words between white space.
std::vector<std::string> split_words(std::string_view text);
/// In the middle of `width`, as str.center() does.
std::string centered(const std::string& text, std::int64_t width, std::string_view fill);

}  // namespace tapeline::jinja
