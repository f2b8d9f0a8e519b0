#include "msglog/embedded/segment.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"

namespace tapeline::msglog {
namespace {

constexpr std::string_view kMagic = "TLB1";
constexpr std::size_t kCheckedFrom = 8;  // header_crc covers the header from here on

template <typename T>
void put(char* into, std::size_t at, T value) {
  std::memcpy(into + at, &value, sizeof value);
}

template <typename T>
T get(std::string_view from, std::size_t at) {
  T value{};
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

/// Hands out stretches of a file, reading it in large pieces.
class Window {
 public:
  Window(const io::File& file, std::int64_t size_bytes) : file_(file), size_bytes_(size_bytes) {}

  /// At least `wanted` bytes from `position` on, or as many as the file has.
  /// lifetime: until the next call
  Result<std::string_view> view(std::int64_t position, std::size_t wanted) {
    const auto left = static_cast<std::size_t>(std::max<std::int64_t>(size_bytes_ - position, 0));
    wanted = std::min(wanted, left);
    const bool held = position >= start_ && position + static_cast<std::int64_t>(wanted) <=
                                                start_ + static_cast<std::int64_t>(bytes_.size());
    if (!held) {
      bytes_.resize(std::min(std::max(wanted, kPieceBytes), left));
      const auto got = TRY(file_.read_at(position, bytes_));
      bytes_.resize(static_cast<std::size_t>(got));
      start_ = position;
    }
    return std::string_view(bytes_).substr(static_cast<std::size_t>(position - start_));
  }

 private:
  static constexpr std::size_t kPieceBytes = 1 << 20;

  const io::File& file_;
  const std::int64_t size_bytes_;
  std::string bytes_;
  std::int64_t start_ = 0;
};

bool may_follow(const BatchHeader& header, const Owner& owner, const Place& place, Offset stop) {
  return header.owner == owner && header.base_offset >= place.offset && header.end() <= stop &&
         header.appended_at >= place.appended_at;
}

void step_over(const BatchHeader& header, Place& place) {
  place.offset = header.end();
  place.position += header.size_bytes();
  place.appended_at = header.appended_at;
}

/// Looks at what stands behind the last whole batch: how much there is, and what the headers
/// that are still whole say. A header's word counts even where its payload is broken.
Status look_at_tail(Window& window, const Owner& owner, Offset stop, SegmentScan& scan) {
  std::int64_t position = scan.end.position;
  const auto note_content = [&](std::string_view bytes) {
    const auto last = bytes.find_last_not_of('\0');
    if (last == bytes.npos) return;
    scan.tail_bytes = position + static_cast<std::int64_t>(last) + 1 - scan.end.position;
  };
  while (true) {
    const auto bytes = TRY(window.view(position, kHeaderBytes));
    if (bytes.empty()) return Ok{};
    const auto found = bytes.find(kMagic);
    if (found != 0) {
      // A magic may start in the last three bytes of this view and end in the next.
      const auto passed = found != bytes.npos            ? found
                          : bytes.size() > kMagic.size() ? bytes.size() - kMagic.size() + 1
                                                         : bytes.size();
      note_content(bytes.substr(0, passed));
      position += static_cast<std::int64_t>(passed);
      continue;
    }
    const auto header = decode_header(bytes);
    if (!header || !may_follow(*header, owner, scan.end, stop)) {
      note_content(bytes.substr(0, 1));
      ++position;
      continue;
    }
    // Its payload is skipped even where it is broken: what looks like a header in there is data.
    const auto size = static_cast<std::size_t>(header->size_bytes());
    const auto batch = TRY(window.view(position, size)).substr(0, size);
    scan.synced_end = std::max(scan.synced_end, header->synced_end);
    if (!scan.next_batch && decode_batch(batch))
      scan.next_batch = IndexEntry{header->base_offset, position, header->appended_at};
    note_content(batch);
    position += static_cast<std::int64_t>(batch.size());
  }
}

}  // namespace

void encode_header(const BatchHeader& header, char* into) {
  std::memcpy(into, kMagic.data(), kMagic.size());
  put(into, 8, header.payload_bytes);
  put(into, 12, header.payload_crc);
  put(into, 16, header.base_offset);
  put(into, 24, header.synced_end);
  put(into, 32, header.appended_at.time_since_epoch().count());
  put(into, 40, header.record_count);
  put(into, 44, header.owner.partition);
  put(into, 48, header.owner.topic_id);
  put(into, 4, crc32c({into + kCheckedFrom, kHeaderBytes - kCheckedFrom}));
}

std::optional<BatchHeader> decode_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  if (get<std::uint32_t>(bytes, 4) !=
      crc32c(bytes.substr(kCheckedFrom, kHeaderBytes - kCheckedFrom)))
    return std::nullopt;
  BatchHeader header;
  header.payload_bytes = get<std::uint32_t>(bytes, 8);
  header.payload_crc = get<std::uint32_t>(bytes, 12);
  header.base_offset = get<std::int64_t>(bytes, 16);
  header.synced_end = get<std::int64_t>(bytes, 24);
  header.appended_at = Timestamp(std::chrono::microseconds(get<std::int64_t>(bytes, 32)));
  header.record_count = get<std::uint32_t>(bytes, 40);
  header.owner.partition = get<std::int32_t>(bytes, 44);
  header.owner.topic_id = get<TopicId>(bytes, 48);
  constexpr Offset kOffsetMax = Offset{1} << 62;
  const bool plausible = header.payload_bytes <= kPayloadBytesMax && header.record_count > 0 &&
                         header.base_offset >= 0 && header.base_offset < kOffsetMax &&
                         header.synced_end >= 0 && header.synced_end <= header.base_offset;
  if (!plausible) return std::nullopt;
  return header;
}

void append_record(std::string& payload, std::string_view key, std::string_view value) {
  char lengths[kRecordHeaderBytes];
  put(lengths, 0, static_cast<std::uint32_t>(key.size()));
  put(lengths, 4, static_cast<std::uint32_t>(value.size()));
  payload.append(lengths, sizeof lengths);
  payload.append(key);
  payload.append(value);
}

std::optional<BatchView> decode_batch(std::string_view bytes) {
  const auto header = decode_header(bytes);
  if (!header || bytes.size() < kHeaderBytes + header->payload_bytes) return std::nullopt;
  const BatchView batch{*header, bytes.substr(kHeaderBytes, header->payload_bytes)};
  if (crc32c(batch.payload) != header->payload_crc) return std::nullopt;
  if (header->is_gap()) return batch;
  auto rest = batch.payload;
  std::uint32_t records = 0;
  while (records < header->record_count && take_record(rest)) ++records;
  if (records != header->record_count || !rest.empty()) return std::nullopt;
  return batch;
}

Result<SegmentScan> scan_segment(const io::File& file, const Owner& owner, Place start, Offset stop,
                                 std::int64_t size_bytes) {
  SegmentScan scan;
  scan.end = start;
  Window window(file, size_bytes);
  std::int64_t next_entry_at = start.position;
  while (scan.end.offset < stop) {
    const auto header = decode_header(TRY(window.view(scan.end.position, kHeaderBytes)));
    if (!header || header->base_offset != scan.end.offset ||
        !may_follow(*header, owner, scan.end, stop))
      break;
    const auto bytes =
        TRY(window.view(scan.end.position, static_cast<std::size_t>(header->size_bytes())));
    if (!decode_batch(bytes)) break;
    if (scan.end.position >= next_entry_at) {
      scan.index.push_back({scan.end.offset, scan.end.position, header->appended_at});
      next_entry_at = scan.end.position + kIndexStrideBytes;
    }
    scan.synced_end = std::max(scan.synced_end, header->synced_end);
    ++scan.batches;
    (header->is_gap() ? scan.gap_records : scan.records) += header->record_count;
    step_over(*header, scan.end);
  }
  if (scan.end.offset < stop) TRY_STATUS(look_at_tail(window, owner, stop, scan));
  return scan;
}

Result<Place> seek_in_segment(const io::File& file, const Owner& owner, Place start, Offset stop,
                              std::int64_t size_bytes,
                              const std::function<bool(const BatchHeader&)>& reached) {
  Window window(file, size_bytes);
  Place place = start;
  while (place.offset < stop) {
    const auto header = decode_header(TRY(window.view(place.position, kHeaderBytes)));
    if (!header || header->owner != owner || header->base_offset != place.offset)
      return Error{
          ErrorCode::corrupt,
          fmt::format("the batch of offset {} at byte {} is damaged", place.offset, place.position),
          ""};
    if (reached(*header)) return place;
    step_over(*header, place);
  }
  return place;
}

}  // namespace tapeline::msglog
