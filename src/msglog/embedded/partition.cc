#include "msglog/embedded/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/whole_number.h"
#include "msglog/embedded/sealed_text.h"
#include "msglog/embedded/segment_index.h"

namespace tapeline::msglog {
namespace {

constexpr std::string_view kSegmentSuffix = ".segment";
constexpr Offset kNoStop = std::numeric_limits<Offset>::max();
constexpr std::size_t kNameDigits = 20;
constexpr std::size_t kPieceBytes = 64 << 10;

/// The base offset that a segment file's name says; none where it is not such a name.
std::optional<Offset> base_of(const std::string& name) {
  if (name.size() != kNameDigits + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix))
    return std::nullopt;
  const auto digits = std::string_view(name).substr(0, kNameDigits);
  if (digits.find_first_not_of("0123456789") != digits.npos) return std::nullopt;
  return whole_number(digits);
}

Timestamp from_micros(std::int64_t micros) { return Timestamp(std::chrono::microseconds(micros)); }

}  // namespace

std::string Partition::segment_path(Offset base) const {
  return fmt::format("{}/{:020}.segment", directory_, base);
}

std::string Partition::index_path(Offset base) const {
  return fmt::format("{}/{:020}.index", directory_, base);
}

Error Partition::damaged_at(Offset offset, const std::string& file, std::int64_t position) const {
  return Error{ErrorCode::corrupt,
               fmt::format("topic '{}' partition {} is damaged at offset {} ('{}', byte {})",
                           name_.topic, name_.partition, offset, file, position),
               fmt::format("Run `tapeline topic verify {0}` to see how much, and `tapeline topic "
                           "repair {0}` to give up what is damaged and keep the rest.",
                           name_.topic)};
}

Result<std::unique_ptr<Partition>> Partition::open(PartitionContext& context, std::string directory,
                                                   TopicPartition name, Owner owner) {
  std::unique_ptr<Partition> partition(
      new Partition(context, std::move(directory), std::move(name), owner));
  TRY_STATUS(partition->load());
  return partition;
}

/// One that did not load knows of no end: its checkpoint would make the next start see damage.
Partition::~Partition() {
  if (loaded_) write_checkpoint();
}

Status Partition::load() {
  // A crash may have left a name that only memory knows; what is appended there must stay findable.
  TRY_STATUS(context_.files.sync_directory(directory_));
  std::vector<Segment> segments;
  const auto files = TRY(context_.files.list(directory_));
  for (const auto& file : files) {
    const auto base = base_of(file.name);
    if (!base) continue;
    Segment segment;
    segment.base = *base;
    segment.size_bytes = file.size_bytes;
    const auto opened = TRY(context_.files.open(segment_path(*base), io::OpenMode::read));
    std::string head(kHeaderBytes, '\0');
    TRY_STATUS(opened->read_at(0, head));
    if (const auto header = decode_header(head)) segment.first_appended_at = header->appended_at;
    segments.push_back(std::move(segment));
  }
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) segments[i].end = segments[i + 1].base;
  state_.with([&](State& state) { state.segments = std::move(segments); });

  std::optional<Place> checkpoint;
  Offset checkpoint_base = -1;
  const auto text = io::read_file(context_.files, directory_ + "/checkpoint");
  if (!text && text.error().code != ErrorCode::not_found) return Error(text.error());
  if (const auto lines = text ? unseal(*text) : std::nullopt) {
    const auto number = [&](std::string_view key) {
      return whole_number(value_of(*lines, key).value_or("")).value_or(0);
    };
    checkpoint = Place{number("offset"), number("position"), from_micros(number("appended_at"))};
    checkpoint_base = number("segment");
  }
  TRY_STATUS(load_last_segment(checkpoint, checkpoint_base));
  context_.total_bytes += info().size_bytes;
  loaded_ = true;
  return Ok{};
}

Status Partition::load_last_segment(const std::optional<Place>& checkpoint,
                                    Offset checkpoint_base) {
  const Offset known = checkpoint ? checkpoint->offset : 0;
  const auto segments = state_.with([](const State& state) { return state.segments; });
  if (segments.empty()) {
    if (known > 0) {
      context_.probe.damage_found.add();
      state_.with([&](State& state) {
        state.damage = damaged_at(0, directory_, 0);
        state.synced_end = known;
      });
    }
    return Ok{};
  }
  Segment last = segments.back();
  last.file = std::shared_ptr<const io::File>(
      TRY(context_.files.open(segment_path(last.base), io::OpenMode::read)));

  // What a checkpoint vouches for was whole when it was written; it is not read again here.
  Place start{last.base, 0, {}};
  Index index;
  if (checkpoint && checkpoint_base == last.base && checkpoint->position <= last.size_bytes) {
    const auto bytes = io::read_file(context_.files, index_path(last.base));
    auto stored = bytes ? decode_index(*bytes) : std::nullopt;
    if (stored && stored->owner == owner_ && stored->base == last.base &&
        stored->end.offset == checkpoint->offset && stored->end.position == checkpoint->position) {
      start = stored->end;
      index = std::move(stored->entries);
    }
  }
  auto scan = TRY(scan_segment(*last.file, owner_, start, kNoStop, last.size_bytes));
  index.insert(index.end(), scan.index.begin(), scan.index.end());
  last.end = scan.end.offset;
  Timestamp appended_at = scan.end.appended_at;
  if (scan.end.offset == last.base && segments.size() > 1) {
    const auto before = segments[segments.size() - 2];
    const auto file = TRY(file_of(before));
    const auto earlier =
        TRY(scan_segment(*file, owner_, {before.base, 0, {}}, before.end, before.size_bytes));
    appended_at = earlier.end.appended_at;
    last.first_appended_at = appended_at;  // as when it began: a crash came before its first record
  }

  const Offset synced_end = std::max({known, scan.synced_end, last.base});
  std::optional<Error> damage;
  if (scan.end.offset < synced_end) {
    damage = damaged_at(scan.end.offset, segment_path(last.base), scan.end.position);
    context_.probe.damage_found.add();
  } else {
    scan.index = index;
    TRY_STATUS(settle_tail(last, scan, synced_end));
    last.size_bytes = scan.end.position;
    writer_.file = TRY(context_.files.open(segment_path(last.base), io::OpenMode::write));
  }
  writer_.position = writer_.allocated_bytes = scan.end.position;
  writer_.base = last.base;
  writer_.end = scan.end.offset;
  writer_.appended_at = appended_at;
  writer_.next_entry_at = index.empty() ? 0 : index.back().position + kIndexStrideBytes;
  state_.with([&](State& state) {
    state.end = scan.end.offset;
    state.last_appended_at = appended_at;
    state.segments.back() = last;
    state.last_index = std::move(index);
    state.damage = damage;
    state.synced_end = synced_end;
  });
  return Ok{};
}

/// Cuts what was never acknowledged, and makes sure of what is whole but not known to be synced.
/// Those batches may be in memory only, in pages that a failed sync has left for clean, so they
/// are written again before they are synced.
Status Partition::settle_tail(const Segment& last, const SegmentScan& scan, Offset synced_end) {
  const bool all_synced = scan.end.offset == synced_end;
  if (all_synced && last.size_bytes == scan.end.position) return Ok{};
  context_.probe.tail_bytes_cut.add(scan.tail_bytes);
  const auto file = TRY(context_.files.open(segment_path(last.base), io::OpenMode::write));
  TRY_STATUS(file->truncate(scan.end.position));
  const auto* entry = last_entry(
      scan.index, [&](const IndexEntry& candidate) { return candidate.offset <= synced_end; });
  std::int64_t position = entry ? entry->position : 0;
  std::string piece(kPieceBytes, '\0');
  while (!all_synced && position < scan.end.position) {
    const auto left = static_cast<std::size_t>(scan.end.position - position);
    const auto got =
        TRY(file->read_at(position, std::span(piece).first(std::min(left, piece.size()))));
    TRY_STATUS(
        file->write_at(position, std::string_view(piece).substr(0, static_cast<std::size_t>(got))));
    position += got;
  }
  TRY_STATUS(file->sync_data());
  return context_.files.sync_directory(directory_);
}

/// Best effort: without it the next open reads the last segment from its start.
void Partition::write_checkpoint() {
  const auto state = state_.copy();
  if (state.segments.empty() || state.damage) return;
  const auto& last = state.segments.back();
  write_index(last, state.last_index, state.last_appended_at);
  const auto text =
      seal({{"segment", fmt::format("{}", last.base)},
            {"position", fmt::format("{}", last.size_bytes)},
            {"offset", fmt::format("{}", last.end)},
            {"appended_at", fmt::format("{}", state.last_appended_at.time_since_epoch().count())}});
  const auto written = io::write_file_atomically(context_.files, directory_ + "/checkpoint", text);
  static_cast<void>(written.has_value());
}

std::shared_ptr<Partition::Request> Partition::encode(std::span<const Record* const> records) {
  auto request = std::make_shared<Request>();
  request->records = std::ssize(records);
  std::size_t bytes = 0;
  for (const auto* record : records)
    bytes += record->key.size() + record->value.size() + kRecordHeaderBytes;
  request->bytes.reserve(bytes + (bytes / kPayloadBytesGoal + 1) * kHeaderBytes);
  for (std::size_t i = 0; i < records.size();) {
    PendingBatch batch{request->bytes.size(), {}};
    request->bytes.append(kHeaderBytes, '\0');
    const auto payload_from = request->bytes.size();
    do {
      append_record(request->bytes, records[i]->key, records[i]->value);
      ++batch.header.record_count;
      ++i;
    } while (i < records.size() && request->bytes.size() - payload_from < kPayloadBytesGoal);
    const auto payload = std::string_view(request->bytes).substr(payload_from);
    batch.header.payload_bytes = static_cast<std::uint32_t>(payload.size());
    batch.header.payload_crc = crc32c(payload);
    request->batches.push_back(batch);
  }
  return request;
}

Result<Offset> Partition::append(std::span<const Record* const> records) {
  const auto request = encode(records);
  queue_.submit(request, [this](const auto& group) { carry_out(group); });
  TRY_STATUS(Status(request->outcome));
  return request->first;
}

void Partition::carry_out(const CommitQueue<Request>::Group& group) {
  std::int64_t bytes = 0;
  for (const auto& request : group) bytes += std::ssize(request->bytes);
  auto status = bytes > 0 ? prepare(bytes) : Status(Ok{});
  if (!status && writer_.log_is_full && group.size() > 1) {  // some of it may fit alone
    for (const auto& request : group) carry_out({request});
    return;
  }
  const auto at = std::max(context_.clock.now(), writer_.appended_at);
  for (const auto& request : group) {
    if (request->job) {
      if (status && writer_.end > state_.with([](const State& state) { return state.end; }))
        status = sync_and_publish();
      request->outcome = request->job();
      if (status && bytes > 0) status = prepare(0);
    } else if (status) {
      status = write(*request, at);
    }
  }
  if (status && bytes > 0) status = sync_and_publish();
  if (!status) count_failure(status.error());
  const auto end = state_.with([](const State& state) { return state.end; });
  for (const auto& request : group)
    if (!request->job && !(request->end > 0 && request->end <= end)) request->outcome = status;
  if (context_.appended && bytes > 0) context_.appended->notify();
}

/// Sees to it that there is room and a file to write to.
Status Partition::prepare(std::int64_t bytes) {
  const auto damage = state_.with([](const State& state) { return state.damage; });
  if (damage) return Error(*damage);
  writer_.log_is_full = false;
  auto full = TRY(context_.make_room(bytes));
  if (full && bytes <= context_.size_bytes_max && writer_.file && writer_.position > 0) {
    // The segment that is written to cannot be dropped; a fresh one makes it one that can.
    writer_.file.reset();
    TRY_STATUS(begin_segment());
    full = TRY(context_.make_room(bytes));
  }
  writer_.log_is_full = full.has_value();
  if (full) return *full;
  if (!writer_.file) return begin_segment();
  return Ok{};
}

/// Writes a request's batches behind what is written already, in as few writes as its segments
/// allow.
Status Partition::write(Request& request, Timestamp at) {
  const auto synced_end = state_.with([](const State& state) { return state.end; });
  std::size_t run_from = 0;
  request.first = writer_.end;
  for (auto& batch : request.batches) {
    const auto run_bytes = static_cast<std::int64_t>(batch.position - run_from);
    auto position = writer_.position + run_bytes;
    if (position > 0 && position + batch.header.size_bytes() > context_.segment_bytes) {
      TRY_STATUS(
          write_run(std::string_view(request.bytes).substr(run_from, batch.position - run_from)));
      TRY_STATUS(sync_and_publish());
      TRY_STATUS(begin_segment());
      run_from = batch.position;
      position = 0;
    }
    batch.header.base_offset = writer_.end;
    batch.header.synced_end = std::max(synced_end, writer_.base);
    batch.header.appended_at = at;
    batch.header.owner = owner_;
    encode_header(batch.header, request.bytes.data() + batch.position);
    if (position >= writer_.next_entry_at) {
      writer_.new_entries.push_back({writer_.end, position, at});
      writer_.next_entry_at = position + kIndexStrideBytes;
    }
    writer_.end = batch.header.end();
    writer_.appended_at = at;
  }
  TRY_STATUS(write_run(std::string_view(request.bytes).substr(run_from)));
  request.end = writer_.end;
  return Ok{};
}

Status Partition::write_run(std::string_view run) {
  const auto end = writer_.position + std::ssize(run);
  if (end > writer_.allocated_bytes && context_.preallocate_bytes > 0) {
    // Only for speed. Where there is no room to spare the write itself finds out.
    const auto wanted = end + context_.preallocate_bytes;
    writer_.allocated_bytes = writer_.file->preallocate(wanted) ? wanted : end;
  }
  const auto written = writer_.file->write_at(writer_.position, run);
  if (!written) {
    abandon_segment(written.error());
    return Error(written.error());
  }
  writer_.position = end;
  return Ok{};
}

Status Partition::sync_and_publish() {
  const auto started = context_.clock.uptime();
  const auto synced = writer_.file->sync_data();
  context_.probe.sync_seconds.observe(
      std::chrono::duration<double>(context_.clock.uptime() - started).count());
  if (!synced) {
    abandon_segment(synced.error());
    return Error(synced.error());
  }
  // From here on the records survive a crash: they may be read and acknowledged.
  std::int64_t bytes = 0;
  std::int64_t records = 0;
  state_.with([&](State& state) {
    auto& last = state.segments.back();
    bytes = writer_.position - last.size_bytes;
    records = writer_.end - state.end;
    if (last.end == last.base) last.first_appended_at = writer_.appended_at;
    last.size_bytes = writer_.position;
    last.end = state.end = writer_.end;
    state.last_appended_at = writer_.appended_at;
    state.last_index.insert(state.last_index.end(), writer_.new_entries.begin(),
                            writer_.new_entries.end());
    state.last_error.reset();
  });
  writer_.new_entries.clear();
  context_.probe.syncs.add();
  context_.probe.records_appended.add(records);
  context_.probe.bytes_appended.add(bytes);
  context_.total_bytes += bytes;
  context_.probe.size_bytes.set(static_cast<double>(context_.total_bytes.load()));
  return Ok{};
}

/// Begins a fresh segment at the published end. The one before stays as it was last synced;
/// what stands behind that in its file belongs to nobody, since the next base offset ends it.
Status Partition::begin_segment() {
  writer_.file.reset();
  const auto state = state_.copy();
  const bool in_its_place = !state.segments.empty() && state.segments.back().base == state.end;
  if (!in_its_place && !state.segments.empty()) {
    const auto& last = state.segments.back();
    write_index(last, state.last_index, state.last_appended_at);
    const auto old = context_.files.open(segment_path(last.base), io::OpenMode::write);
    if (old) static_cast<void>((*old)->truncate(last.size_bytes).has_value());
  }
  const auto path = segment_path(state.end);
  const auto removed = context_.files.remove(path);
  if (!removed && removed.error().code != ErrorCode::not_found) return Error(removed.error());
  auto file = TRY(context_.files.open(path, io::OpenMode::write));
  TRY_STATUS(context_.files.sync_directory(directory_));
  Segment fresh;
  fresh.base = fresh.end = state.end;
  fresh.first_appended_at = state.last_appended_at;
  fresh.file = std::shared_ptr<const io::File>(TRY(context_.files.open(path, io::OpenMode::read)));
  writer_.file = std::move(file);
  writer_.position = writer_.allocated_bytes = writer_.next_entry_at = 0;
  writer_.base = writer_.end = state.end;
  writer_.new_entries.clear();
  state_.with([&](State& now) {
    if (in_its_place) {
      now.segments.back() = std::move(fresh);
    } else {
      if (!now.segments.empty()) {
        now.segments.back().file.reset();
        now.segments.back().index = std::make_shared<const Index>(std::move(now.last_index));
      }
      now.segments.push_back(std::move(fresh));
    }
    now.last_index.clear();
  });
  return Ok{};
}

void Partition::abandon_segment(const Error& why) {
  writer_.file.reset();
  writer_.new_entries.clear();
  state_.with([&](State& state) {
    writer_.end = state.end;
    writer_.appended_at = state.last_appended_at;
    state.last_error = why;
  });
}

void Partition::count_failure(const Error& why) {
  if (why.code == ErrorCode::corrupt) {
    context_.probe.appends_failed_damage.add();
    return;
  }
  (writer_.log_is_full ? context_.probe.appends_failed_full : context_.probe.appends_failed_disk)
      .add();
  state_.with([&](State& state) { state.last_error = why; });
}

Status Partition::health() const {
  return state_.with([](const State& state) -> Status {
    if (state.damage) return Error(*state.damage);
    if (state.last_error) return Error(*state.last_error);
    return Ok{};
  });
}

Status Partition::recover() {
  const Status now = health();
  if (now || now.error().code == ErrorCode::corrupt) return now;
  const auto request = std::make_shared<Request>();
  request->job = [this] { return try_disk(); };
  queue_.submit(request, [this](const auto& group) { carry_out(group); });
  return request->outcome;
}

/// Whether a fresh segment can be begun, has room, and can be synced.
Status Partition::try_disk() {
  const std::int64_t room = std::max<std::int64_t>(context_.preallocate_bytes, kPieceBytes);
  writer_.file.reset();
  TRY_STATUS(prepare(room));
  TRY_STATUS(writer_.file->preallocate(room));
  TRY_STATUS(writer_.file->sync_data());
  writer_.allocated_bytes = room;
  state_.with([](State& state) { state.last_error.reset(); });
  return Ok{};
}

std::optional<Partition::OldestSegment> Partition::oldest_segment() const {
  return state_.with([](const State& state) -> std::optional<OldestSegment> {
    if (state.segments.size() < 2) return std::nullopt;
    const auto& oldest = state.segments.front();
    return OldestSegment{oldest.end, oldest.first_appended_at};
  });
}

Status Partition::drop_oldest_segment() {
  // Readers know of it before the file goes.
  const auto oldest = state_.with([](State& state) {
    state.given_up = state.segments.front().end;
    return state.segments.front();
  });
  static_cast<void>(context_.files.remove(index_path(oldest.base)).has_value());
  const auto removed = context_.files.remove(segment_path(oldest.base));
  if (!removed && removed.error().code != ErrorCode::not_found) return Error(removed.error());
  // The names go one after another, so that a crash cannot leave a hole between two segments.
  TRY_STATUS(context_.files.sync_directory(directory_));
  state_.with([&](State& state) { state.segments.erase(state.segments.begin()); });
  context_.total_bytes -= oldest.size_bytes;
  context_.probe.segments_dropped.add();
  context_.probe.size_bytes.set(static_cast<double>(context_.total_bytes.load()));
  return Ok{};
}

}  // namespace tapeline::msglog
