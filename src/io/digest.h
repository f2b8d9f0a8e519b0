// Digests of bytes, as lower-case hexadecimal text: names and fingerprints, not secrets.

#pragma once

#include <string>
#include <string_view>

namespace tapeline::io {

/// shape: 32 characters
std::string md5_hex(std::string_view bytes);

/// shape: 64 characters
std::string sha256_hex(std::string_view bytes);

}  // namespace tapeline::io
