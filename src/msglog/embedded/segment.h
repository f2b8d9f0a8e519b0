// A segment file: the batches of one partition from a base offset on, back to back.
//
//   segment := batch*  then nothing, or zeros reserved for later
//   batch   := header payload                                       all little-endian
//   header  := magic:u32 header_crc:u32 payload_bytes:u32 payload_crc:u32
//              base_offset:i64 synced_end:i64 appended_at:i64
//              record_count:u32 partition:u32 topic_id:u8[16]       64 bytes
//   payload := record*
//   record  := key_bytes:u32 value_bytes:u32 key value
//
// header_crc is the CRC-32C of the header behind it, payload_crc that of the payload, so the two
// cover every byte. synced_end is the end offset known to be synced when the batch was written:
// whatever is broken below it was acknowledged once, and is damage; above it a crash may leave
// anything. A batch without payload is a gap: records that were lost and given up by a repair.
//
// docs/formats/segment.md tells the rest: names, rolling, opening, an example.

#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"
#include "msglog/message_log.h"
#include "msglog/rules.h"

namespace tapeline::msglog {

static_assert(std::endian::native == std::endian::little, "the format is copied as it stands");

using TopicId = std::array<char, 16>;

inline constexpr std::size_t kHeaderBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 8;

/// A batch is closed once it has so many bytes, so that a reader in its middle reads little twice.
inline constexpr std::size_t kPayloadBytesGoal = 64 << 10;
inline constexpr std::size_t kPayloadBytesMax =
    kPayloadBytesGoal + kRecordHeaderBytes + kKeyBytesMax + kValueBytesMax;

/// Which partition a batch belongs to.
struct Owner {
  TopicId topic_id{};
  std::int32_t partition = 0;
  friend bool operator==(const Owner&, const Owner&) = default;
};

struct BatchHeader {
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;
  Offset base_offset = 0;
  Offset synced_end = 0;
  Timestamp appended_at;
  std::uint32_t record_count = 0;
  Owner owner;

  Offset end() const { return base_offset + record_count; }
  bool is_gap() const { return payload_bytes == 0; }
  std::int64_t size_bytes() const {
    return static_cast<std::int64_t>(kHeaderBytes) + payload_bytes;
  }
};

/// Writes the 64 bytes of a header to `into`.
void encode_header(const BatchHeader& header, char* into);

/// None where `bytes` do not begin with a whole, plausible header.
std::optional<BatchHeader> decode_header(std::string_view bytes);

/// Adds one record to the end of a payload.
void append_record(std::string& payload, std::string_view key, std::string_view value);

/// Takes the next record off the front of `payload`; none where it is over or broken.
inline std::optional<std::pair<std::string_view, std::string_view>> take_record(
    std::string_view& payload);

/// A whole batch: its checksums are right and its records fill its payload.
/// lifetime: `payload` points into the bytes that were read
struct BatchView {
  BatchHeader header;
  std::string_view payload;
};

/// None where `bytes` do not begin with a whole batch.
std::optional<BatchView> decode_batch(std::string_view bytes);

/// Where a batch starts that was the first in some stretch of its segment.
struct IndexEntry {
  Offset offset = 0;
  std::int64_t position = 0;
  Timestamp appended_at;
  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

/// How far apart index entries are.
inline constexpr std::int64_t kIndexStrideBytes = 64 << 10;

/// A place between two batches.
struct Place {
  Offset offset = 0;          // of the next record
  std::int64_t position = 0;  // where its batch starts
  Timestamp appended_at;      // of the batch before; the epoch if there is none
};

struct SegmentScan {
  Place end;                      // where the whole batches end
  std::vector<IndexEntry> index;  // of the batches walked over
  std::int64_t batches = 0;
  std::int64_t records = 0;
  std::int64_t gap_records = 0;  // given up by a repair
  Offset synced_end = 0;         // the highest said by any header, those behind `end` included
  std::int64_t tail_bytes = 0;   // behind `end`, up to the last byte that is not zero
  std::optional<IndexEntry> next_batch;  // the first whole batch behind `end` that could follow
};

/// Walks the batches of `owner` from `start` on, up to offset `stop` or byte `size_bytes`, and
/// looks at what lies behind the last whole one. Any bytes at all are some batches, then a tail.
///
/// errors:  unavailable (the disk); what the bytes say is not an error here
Result<SegmentScan> scan_segment(const io::File& file, const Owner& owner, Place start, Offset stop,
                                 std::int64_t size_bytes);

/// The first batch from `start` on for which `reached` says yes; the end of the segment if none.
///
/// errors:  corrupt (a header is broken), unavailable (the disk)
Result<Place> seek_in_segment(const io::File& file, const Owner& owner, Place start, Offset stop,
                              std::int64_t size_bytes,
                              const std::function<bool(const BatchHeader&)>& reached);

// Here so that fetching can have it inlined: it runs once a record.
inline std::optional<std::pair<std::string_view, std::string_view>> take_record(
    std::string_view& payload) {
  if (payload.size() < kRecordHeaderBytes) return std::nullopt;
  std::uint32_t key_bytes = 0;
  std::uint32_t value_bytes = 0;
  std::memcpy(&key_bytes, payload.data(), 4);
  std::memcpy(&value_bytes, payload.data() + 4, 4);
  const std::size_t size = kRecordHeaderBytes + std::size_t{key_bytes} + value_bytes;
  if (payload.size() < size) return std::nullopt;
  const auto key = payload.substr(kRecordHeaderBytes, key_bytes);
  const auto value = payload.substr(kRecordHeaderBytes + key_bytes, value_bytes);
  payload.remove_prefix(size);
  return std::pair(key, value);
}

}  // namespace tapeline::msglog
