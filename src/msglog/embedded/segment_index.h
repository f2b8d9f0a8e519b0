// The index file beside a segment that is no longer written to: where its batches start, one
// entry in about 64 KiB. Only a convenience: it is made again from the segment when it is
// missing or does not fit.
//
//   index := magic:u32 crc:u32 topic_id:u8[16] partition:u32 count:u32 base:i64
//            end_offset:i64 end_position:i64 end_appended_at:i64 entry[count]    little-endian
//   entry := offset:i64 position:i64 appended_at:i64
//
// crc is the CRC-32C of everything behind it.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "msglog/embedded/segment.h"

namespace tapeline::msglog {

struct SegmentIndex {
  Owner owner;
  Offset base = 0;
  Place end;
  std::vector<IndexEntry> entries;
};

std::string encode_index(const SegmentIndex& index);

/// None where the bytes are not what encode_index() makes.
std::optional<SegmentIndex> decode_index(std::string_view bytes);

/// The last of `entries` for which `at_or_before` holds; they are sorted by it.
template <typename AtOrBefore>
const IndexEntry* last_entry(const std::vector<IndexEntry>& entries, AtOrBefore at_or_before) {
  std::size_t low = 0;
  std::size_t high = entries.size();
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (at_or_before(entries[middle]))
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? nullptr : &entries[low - 1];
}

}  // namespace tapeline::msglog
