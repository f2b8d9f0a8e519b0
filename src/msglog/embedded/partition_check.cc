// Proving that a partition's files are whole, and giving up what is not.

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "msglog/embedded/partition.h"
#include "msglog/embedded/segment_index.h"

namespace tapeline::msglog {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr Offset kNoStop = std::numeric_limits<Offset>::max();

}  // namespace

Status Partition::verify(VerifyReport& report) {
  const auto state = state_.copy();
  for (std::size_t i = 0; i < state.segments.size(); ++i) {
    const auto& segment = state.segments[i];
    const bool is_last = i + 1 == state.segments.size();
    const auto path = segment_path(segment.base);
    const auto opened = file_of(segment);
    if (!opened && opened.error().code == ErrorCode::not_found && info().earliest > segment.base)
      continue;  // retention was here meanwhile
    if (!opened) return Error(opened.error());
    const auto find = [&](Offset offset, std::int64_t position, bool is_damage, std::string what) {
      report.findings.push_back({name_, path, position, offset, is_damage, std::move(what)});
    };
    const auto scan =
        TRY(scan_segment(**opened, owner_, {segment.base, 0, {}}, segment.end, segment.size_bytes));
    ++report.segments;
    report.batches += scan.batches;
    report.records += scan.records;
    report.bytes += scan.end.position;
    if (scan.gap_records > 0)
      find(segment.base, 0, false,
           fmt::format("{} records given up by a repair", scan.gap_records));
    if (scan.end.offset < segment.end) {
      const auto resumes = scan.next_batch ? scan.next_batch->offset : segment.end;
      find(scan.end.offset, scan.end.position, true,
           fmt::format("damaged: offsets {} to {} cannot be read", scan.end.offset, resumes - 1));
    } else if (is_last && state.damage) {
      find(state.end, scan.end.position, true, state.damage->message);
    }
    if (is_last) continue;
    const auto bytes = io::read_file(context_.files, index_path(segment.base));
    const auto index = bytes ? decode_index(*bytes) : std::nullopt;
    const bool agrees = index && index->owner == owner_ && index->base == segment.base &&
                        std::ranges::all_of(index->entries, [&](const IndexEntry& entry) {
                          return entry.position >= 0 && entry.position < scan.end.position &&
                                 entry.offset >= segment.base && entry.offset < segment.end;
                        });
    if (!agrees && scan.end.offset == segment.end)
      find(segment.base, 0, false, "its index is missing or does not fit; it is made again");
  }
  return Ok{};
}

Result<RepairReport> Partition::repair() {
  const auto request = std::make_shared<Request>();
  RepairReport report;
  request->job = [&]() -> Status {
    report = TRY(repair_alone());
    return Ok{};
  };
  queue_.submit(request, [this](const auto& group) { carry_out(group); });
  TRY_STATUS(Status(request->outcome));
  return report;
}

Result<RepairReport> Partition::repair_alone() {
  RepairReport report;
  const auto state = state_.copy();
  if (state.segments.empty() && state.damage) {
    report.records_lost = state.synced_end;
    state_.with([](State& now) {
      now.end = now.synced_end;
      now.damage.reset();
    });
    return report;
  }
  for (const auto& segment : state.segments) {
    const bool is_last = segment.base == state.segments.back().base;
    const Offset stop = is_last && state.damage ? kNoStop : segment.end;
    const auto rewritten = TRY(rewrite(segment, stop, state.synced_end));
    if (!rewritten) continue;
    ++report.segments_rewritten;
    report.records_lost += rewritten->records_lost;
    std::shared_ptr<const io::File> file;
    if (is_last)
      file = std::shared_ptr<const io::File>(
          TRY(context_.files.open(segment_path(segment.base), io::OpenMode::read)));
    // The positions that readers remember are those of the file before.
    const bool still_there = state_.with([&](State& now) {
      ++now.repairs;
      const auto found = std::ranges::find(now.segments, segment.base, &Segment::base);
      if (found == now.segments.end()) return false;
      context_.total_bytes += rewritten->end.position - found->size_bytes;
      found->size_bytes = rewritten->end.position;
      found->end = rewritten->end.offset;
      found->index.reset();
      if (!is_last) return true;
      found->file = file;
      now.end = rewritten->end.offset;
      now.last_index.clear();
      now.damage.reset();
      return true;
    });
    if (!still_there) TRY_STATUS(context_.files.remove(segment_path(segment.base)));
    if (is_last) {
      writer_.file.reset();  // the next append begins a fresh segment
      writer_.new_entries.clear();
      writer_.end = rewritten->end.offset;
    }
  }
  return report;
}

/// Puts a copy in the place of a damaged segment: its whole batches, and gaps where offsets below
/// `stop` (or, with no stop, below `synced_end`) have no batch any more. None if nothing is wrong.
Result<std::optional<Partition::Rewritten>> Partition::rewrite(const Segment& segment, Offset stop,
                                                               Offset synced_end) {
  const auto path = segment_path(segment.base);
  const auto file = TRY(file_of(segment));
  Place from{segment.base, 0, {}};
  auto scan = TRY(scan_segment(*file, owner_, from, stop, segment.size_bytes));
  if (scan.end.offset == stop) return std::optional<Rewritten>();

  const auto temporary = path + ".tmp";
  const auto copy = TRY(context_.files.open(temporary, io::OpenMode::write));
  TRY_STATUS(copy->truncate(0));
  Rewritten result;
  auto& end = result.end;
  std::string piece(kPieceBytes, '\0');
  while (true) {
    for (auto position = from.position; position < scan.end.position;) {
      const auto left = static_cast<std::size_t>(scan.end.position - position);
      const auto got =
          TRY(file->read_at(position, std::span(piece).first(std::min(left, piece.size()))));
      if (got == 0) return damaged_at(scan.end.offset, path, position);
      TRY_STATUS(copy->write_at(end.position,
                                std::string_view(piece).substr(0, static_cast<std::size_t>(got))));
      position += got;
      end.position += got;
    }
    end.offset = scan.end.offset;
    end.appended_at = scan.end.appended_at;
    const Offset resumes = scan.next_batch   ? scan.next_batch->offset
                           : stop != kNoStop ? stop
                                             : std::max(synced_end, end.offset);
    while (end.offset < resumes) {
      BatchHeader gap;
      gap.base_offset = gap.synced_end = end.offset;
      gap.appended_at = end.appended_at;
      gap.record_count = static_cast<std::uint32_t>(
          std::min<Offset>(resumes - end.offset, std::numeric_limits<std::uint32_t>::max()));
      gap.owner = owner_;
      char header[kHeaderBytes];
      encode_header(gap, header);
      TRY_STATUS(copy->write_at(end.position, {header, kHeaderBytes}));
      end.position += gap.size_bytes();
      end.offset = gap.end();
      result.records_lost += gap.record_count;
    }
    if (!scan.next_batch) break;
    from = {scan.next_batch->offset, scan.next_batch->position, end.appended_at};
    scan = TRY(scan_segment(*file, owner_, from, stop, segment.size_bytes));
  }
  TRY_STATUS(copy->sync_data());
  TRY_STATUS(context_.files.rename(temporary, path));
  const auto removed = context_.files.remove(index_path(segment.base));
  if (!removed && removed.error().code != ErrorCode::not_found) return Error(removed.error());
  TRY_STATUS(context_.files.sync_directory(directory_));
  return std::optional(std::move(result));
}

}  // namespace tapeline::msglog
