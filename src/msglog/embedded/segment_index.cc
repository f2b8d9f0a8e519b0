#include "msglog/embedded/segment_index.h"

#include <cstring>

#include "base/crc32c.h"

namespace tapeline::msglog {
namespace {

constexpr std::string_view kMagic = "TLI1";
constexpr std::size_t kEntriesFrom = 64;
constexpr std::size_t kEntryBytes = 24;

template <typename T>
void put(std::string& into, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  into.append(bytes, sizeof value);
}

template <typename T>
T take(std::string_view& from) {
  T value{};
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
  return value;
}

std::int64_t micros(Timestamp at) { return at.time_since_epoch().count(); }

Timestamp take_time(std::string_view& from) {
  return Timestamp(std::chrono::microseconds(take<std::int64_t>(from)));
}

}  // namespace

std::string encode_index(const SegmentIndex& index) {
  std::string checked;
  put(checked, index.owner.topic_id);
  put(checked, index.owner.partition);
  put(checked, static_cast<std::uint32_t>(index.entries.size()));
  put(checked, index.base);
  put(checked, index.end.offset);
  put(checked, index.end.position);
  put(checked, micros(index.end.appended_at));
  for (const auto& entry : index.entries) {
    put(checked, entry.offset);
    put(checked, entry.position);
    put(checked, micros(entry.appended_at));
  }
  std::string bytes(kMagic);
  put(bytes, crc32c(checked));
  return bytes + checked;
}

std::optional<SegmentIndex> decode_index(std::string_view bytes) {
  if (bytes.size() < kEntriesFrom || !bytes.starts_with(kMagic)) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  const auto crc = take<std::uint32_t>(bytes);
  if (crc != crc32c(bytes)) return std::nullopt;
  SegmentIndex index;
  index.owner.topic_id = take<TopicId>(bytes);
  index.owner.partition = take<std::int32_t>(bytes);
  const auto count = take<std::uint32_t>(bytes);
  index.base = take<Offset>(bytes);
  index.end.offset = take<Offset>(bytes);
  index.end.position = take<std::int64_t>(bytes);
  index.end.appended_at = take_time(bytes);
  if (bytes.size() != count * kEntryBytes) return std::nullopt;
  index.entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    IndexEntry entry;
    entry.offset = take<Offset>(bytes);
    entry.position = take<std::int64_t>(bytes);
    entry.appended_at = take_time(bytes);
    index.entries.push_back(entry);
  }
  return index;
}

}  // namespace tapeline::msglog
