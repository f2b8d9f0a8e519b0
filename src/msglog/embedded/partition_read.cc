// Reading a partition: what there is, where an offset or an instant stands, and the records from
// there on.

#include <fmt/format.h>

#include <algorithm>

#include "base/time_text.h"
#include "msglog/embedded/partition.h"
#include "msglog/embedded/segment_index.h"

namespace tapeline::msglog {
namespace {

constexpr std::size_t kHints = 16;  // readers that follow a partition without looking up

}  // namespace

PartitionInfo Partition::info() const {
  return state_.with([](const State& state) {
    PartitionInfo info;
    info.end = state.end;
    info.earliest = state.earliest();
    for (const auto& segment : state.segments) info.size_bytes += segment.size_bytes;
    return info;
  });
}

Status Partition::add_files(std::vector<LogFile>& files) const {
  const auto state = state_.copy();
  const std::string below = fmt::format("{}/{}/", name_.topic, name_.partition);
  const auto name_of = [&](const std::string& path) {
    return below + path.substr(directory_.size() + 1);
  };
  for (const auto& segment : state.segments) {
    if (segment.size_bytes == 0) continue;
    files.push_back({name_of(segment_path(segment.base)), segment.size_bytes,
                     LogFile::Records{name_, segment.base, segment.end}});
    if (segment.file) continue;  // its index is written when the next one begins
    const auto index = TRY(context_.files.info(index_path(segment.base)));
    if (index) files.push_back({name_of(index_path(segment.base)), index->size_bytes, {}});
  }
  return Ok{};
}

Result<std::shared_ptr<const io::File>> Partition::file_of(const Segment& segment) {
  if (segment.file) return segment.file;
  return std::shared_ptr<const io::File>(
      TRY(context_.files.open(segment_path(segment.base), io::OpenMode::read)));
}

void Partition::write_index(const Segment& segment, const Index& index,
                            Timestamp last_appended_at) {
  const auto bytes = encode_index(
      {owner_, segment.base, {segment.end, segment.size_bytes, last_appended_at}, index});
  const auto file = context_.files.open(index_path(segment.base), io::OpenMode::write);
  if (!file || !(*file)->truncate(0)) return;
  static_cast<void>((*file)->write_at(0, bytes).has_value());
}

/// The index of a segment that is no longer written to; made again where its file does not fit.
Result<std::shared_ptr<const Partition::Index>> Partition::index_of(const Segment& segment) {
  if (segment.index) return segment.index;
  Index entries;
  const auto bytes = io::read_file(context_.files, index_path(segment.base));
  auto stored = bytes ? decode_index(*bytes) : std::nullopt;
  if (stored && stored->owner == owner_ && stored->base == segment.base &&
      stored->end.offset == segment.end) {
    entries = std::move(stored->entries);
  } else {
    const auto file = TRY(file_of(segment));
    const auto scan =
        TRY(scan_segment(*file, owner_, {segment.base, 0, {}}, segment.end, segment.size_bytes));
    if (scan.end.offset == segment.end) {
      Segment whole = segment;
      whole.size_bytes = scan.end.position;
      write_index(whole, scan.index, scan.end.appended_at);
    }
    entries = scan.index;
  }
  auto index = std::make_shared<const Index>(std::move(entries));
  state_.with([&](State& state) {
    for (auto& candidate : state.segments)
      if (candidate.base == segment.base && candidate.end == segment.end && !candidate.file)
        candidate.index = index;
  });
  return index;
}

/// Finds the segment that holds `start`, and the nearest known batch at or before it.
Result<Partition::Located> Partition::locate(Offset start) {
  Located found;
  const auto status = state_.with([&](const State& state) -> Status {
    if (start > state.end)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("offset {} is past the end of topic '{}' partition {}", start,
                               name_.topic, name_.partition),
                   fmt::format("The next record will have offset {}.", state.end)};
    if (start == state.end && state.damage) return Error(*state.damage);
    const Offset earliest = state.earliest();
    if (start < earliest)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("offset {} of topic '{}' partition {} is gone: retention removed it",
                               start, name_.topic, name_.partition),
                   fmt::format("The earliest offset left is {}.", earliest)};
    found.repairs = state.repairs;
    if (state.segments.empty()) return Ok{};
    const auto after = std::ranges::upper_bound(state.segments, start, {}, &Segment::base);
    found.segment = *std::prev(after);
    found.place = {found.segment.base, 0, {}};
    if (!found.segment.file) return Ok{};
    const auto* entry = last_entry(
        state.last_index, [&](const IndexEntry& candidate) { return candidate.offset <= start; });
    if (entry) found.place = {entry->offset, entry->position, {}};
    return Ok{};
  });
  TRY_STATUS(Status(status));
  const auto hint = hints_.with([&](const Hints& hints) {
    for (const auto& candidate : hints.ring)
      if (candidate.offset == start && candidate.segment_base == found.segment.base &&
          candidate.repairs == found.repairs)
        return candidate;
    return Hint{};
  });
  if (hint.offset == start) {
    found.place = hint.place;
  } else if (!found.segment.file && start < found.segment.end) {
    const auto index = TRY(index_of(found.segment));
    const auto* entry =
        last_entry(*index, [&](const IndexEntry& candidate) { return candidate.offset <= start; });
    if (entry) found.place = {entry->offset, entry->position, {}};
  }
  return found;
}

Result<FetchedRecords> Partition::fetch(Offset start, FetchLimits limits) {
  limits.records_max = std::max<std::int64_t>(limits.records_max, 1);
  limits.bytes_max = std::max<std::int64_t>(limits.bytes_max, 1);
  std::uint64_t repairs_seen = 0;
  bool again = false;
  while (true) {
    const auto located = locate(start);
    if (!located && located.error().code == ErrorCode::not_found && !std::exchange(again, true))
      continue;
    if (!located && located.error().code == ErrorCode::not_found)
      return damaged_at(start, directory_, 0);  // somebody removed it
    if (!located) return Error(located.error());
    FetchedRecords nothing;
    nothing.next = start;
    if (start >= located->segment.end) return nothing;
    auto fetched = read_from(*located, start, limits);
    if (!fetched) {
      // Retention or a repair may have taken the file away between the look-up and the read.
      const bool moved =
          fetched.error().code == ErrorCode::not_found ||
          (fetched.error().code == ErrorCode::corrupt &&
           state_.with([](const State& state) { return state.repairs; }) != located->repairs);
      if (moved && (!again || repairs_seen != located->repairs)) {
        again = true;
        repairs_seen = located->repairs;
        continue;
      }
      const bool gone = fetched.error().code == ErrorCode::not_found;
      if (gone || fetched.error().code == ErrorCode::corrupt) context_.probe.damage_found.add();
      if (gone) return damaged_at(start, segment_path(located->segment.base), 0);
      return Error(fetched.error());
    }
    if (!(*fetched)->records.empty()) return *std::move(*fetched);
    start = (*fetched)->next;  // a gap that a repair has left
  }
}

/// Reads one stretch of a segment and takes the records from `start` on out of it.
Result<std::optional<FetchedRecords>> Partition::read_from(const Located& from, Offset start,
                                                           FetchLimits limits) {
  const auto& segment = from.segment;
  const auto file = TRY(file_of(segment));
  // As many bytes as the records asked for will have, going by this segment's average.
  const auto per_record =
      segment.size_bytes / std::max<std::int64_t>(segment.end - segment.base, 1);
  const auto records_bytes = limits.records_max < (limits.bytes_max / (per_record + 1))
                                 ? limits.records_max * (per_record + 1)
                                 : limits.bytes_max;
  std::int64_t wanted = records_bytes + (64 << 10);
  Place place = from.place;
  FetchedRecords fetched;
  fetched.next = start;
  while (true) {
    wanted = std::min(wanted, segment.size_bytes - place.position);
    if (wanted <= 0) return damaged_at(place.offset, segment_path(segment.base), place.position);
    const auto room = static_cast<std::size_t>(wanted);
    auto memory = std::make_shared_for_overwrite<char[]>(room);
    const auto got = TRY(file->read_at(place.position, {memory.get(), room}));
    std::string_view bytes(memory.get(), static_cast<std::size_t>(got));
    bool broken = got < wanted;
    std::int64_t needed = static_cast<std::int64_t>(kHeaderBytes);
    std::int64_t taken_bytes = 0;
    bool full = false;
    fetched.records.reserve(
        static_cast<std::size_t>(std::min(limits.records_max, segment.end - start)));
    while (!full && place.offset < segment.end && bytes.size() >= kHeaderBytes) {
      const auto header = decode_header(bytes);
      broken = !header || header->owner != owner_ || header->base_offset != place.offset;
      if (broken) break;
      const auto size = static_cast<std::size_t>(header->size_bytes());
      needed = header->size_bytes();
      if (bytes.size() < size) break;
      if (header->end() > start) {
        const auto batch = decode_batch(bytes);
        broken = !batch;
        if (broken) break;
        auto payload = batch->payload;
        Offset offset = place.offset;
        for (; offset < header->end() && !header->is_gap(); ++offset) {
          const auto record = take_record(payload);
          if (offset < start) continue;
          const auto record_bytes = std::ssize(record->first) + std::ssize(record->second);
          full = std::ssize(fetched.records) >= limits.records_max ||
                 (!fetched.records.empty() && taken_bytes + record_bytes > limits.bytes_max);
          if (full) break;
          taken_bytes += record_bytes;
          fetched.records.push_back({offset, header->appended_at, record->first, record->second});
        }
        fetched.next = header->is_gap() ? header->end() : offset;
        if (full) break;
      }
      place = {header->end(), place.position + static_cast<std::int64_t>(size),
               header->appended_at};
      bytes.remove_prefix(size);
      needed = static_cast<std::int64_t>(kHeaderBytes);
    }
    if (fetched.next > start) {
      fetched.memory = std::move(memory);
      hints_.with([&](Hints& hints) {
        const Hint hint{fetched.next, segment.base, from.repairs, place};
        if (hints.ring.size() < kHints)
          hints.ring.push_back(hint);
        else
          hints.ring[hints.next++ % kHints] = hint;
      });
      return std::optional(std::move(fetched));
    }
    if (broken || place.offset >= segment.end)
      return damaged_at(std::max(place.offset, start), segment_path(segment.base), place.position);
    wanted = std::max(wanted, needed);
    if (place.position + needed > segment.size_bytes)
      return damaged_at(place.offset, segment_path(segment.base), place.position);
  }
}

Result<Offset> Partition::offset_at(Timestamp at) {
  while (true) {
    const Offset earliest = info().earliest;
    const auto found = look_for(at);
    if (found || found.error().code != ErrorCode::not_found) return found;
    // Where retention took the file meanwhile, what is left is looked at.
    if (info().earliest == earliest) return damaged_at(earliest, directory_, 0);
  }
}

Result<Offset> Partition::look_for(Timestamp at) {
  auto [segments, earliest] =
      state_.with([](const State& state) { return std::pair(state.segments, state.earliest()); });
  if (!segments.empty() && segments.front().base < earliest) segments.erase(segments.begin());
  if (segments.empty()) return earliest;
  // Times never go back, so it is in the last segment that begins before `at`, or begins the next.
  const auto after = std::ranges::lower_bound(segments, at, {}, &Segment::first_appended_at);
  if (after == segments.begin()) return segments.front().base;
  const auto& segment = *std::prev(after);
  Place place{segment.base, 0, {}};
  Index index;
  if (segment.file)
    index = state_.with([](const State& state) { return state.last_index; });
  else
    index = *TRY(index_of(segment));
  const auto* entry =
      last_entry(index, [&](const IndexEntry& candidate) { return candidate.appended_at < at; });
  if (entry) place = {entry->offset, entry->position, {}};
  const auto file = TRY(file_of(segment));
  auto found = seek_in_segment(*file, owner_, place, segment.end, segment.size_bytes,
                               [&](const BatchHeader& header) { return header.appended_at >= at; });
  if (!found)
    return Error(found.error())
        .while_doing(fmt::format("looking for {} in topic '{}' partition {}", format_rfc3339(at),
                                 name_.topic, name_.partition));
  return found->offset;
}

}  // namespace tapeline::msglog
