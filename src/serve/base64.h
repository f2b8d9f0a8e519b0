// Base64 with padding, for record values that are not text.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tapeline::serve {

/// source: RFC 4648 section 4
std::string base64_encode(std::string_view bytes);

/// None for what is not exactly one encoding, padding included.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace tapeline::serve
