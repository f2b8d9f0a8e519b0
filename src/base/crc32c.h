// CRC-32C, the checksum of the segment format.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tapeline {

/// The CRC-32C of `bytes`, going on from `crc` (that of what came before; 0 at the start).
/// source: RFC 3720 appendix B.4 (Castagnoli polynomial)
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace tapeline
