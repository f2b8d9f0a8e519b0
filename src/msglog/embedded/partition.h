// One partition of the embedded log: a folder of segments, appended to in groups.
//
// A group of appends is written, synced, published, acknowledged, in that order; readers see
// what is published. One thread at a time writes (CommitQueue); readers take the lock only to
// look up where to read. A write or sync that fails is never tried again in place: the segment
// is left as it was last synced and a fresh one begins, so that nothing unsynced is believed.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/wakeup.h"
#include "io/file_system.h"
#include "msglog/embedded/commit_queue.h"
#include "msglog/embedded/probe.h"
#include "msglog/embedded/segment.h"
#include "msglog/message_log.h"

namespace tapeline::msglog {

/// One thing that a check of the files found.
struct Finding {
  TopicPartition where;
  std::string file;
  std::int64_t position = 0;  // in the file
  Offset offset = 0;          // of the first record concerned
  bool is_damage = true;      // false: worth knowing, nothing acknowledged is lost by it
  std::string what;
};

struct VerifyReport {
  std::int64_t segments = 0;
  std::int64_t batches = 0;
  std::int64_t records = 0;
  std::int64_t bytes = 0;
  std::vector<Finding> findings;
};

struct RepairReport {
  std::int64_t segments_rewritten = 0;
  std::int64_t records_lost = 0;  // offsets that no record has any more
};

/// A file of the log, as who copies it needs it.
struct LogFile {
  std::string path;             // below the log's directory
  std::int64_t size_bytes = 0;  // how much of it is synced; bytes below never change
  /// The records of a segment; none for the other files.
  struct Records {
    TopicPartition where;
    Offset first = 0;
    Offset end = 0;
  };
  std::optional<Records> records;
};

/// What the partitions of one log share.
/// lifetime: outlives them
struct PartitionContext {
  io::FileSystem& files;
  Clock& clock;
  LogProbe& probe;
  Wakeup* appended;  // may be null
  std::int64_t segment_bytes;
  std::int64_t preallocate_bytes;
  std::int64_t size_bytes_max;  // of all together
  /// Makes room for so many bytes by dropping old segments. Answers why the log is full; none
  /// where there is room. errors: unavailable (the disk)
  std::function<Result<std::optional<Error>>(std::int64_t)> make_room;
  std::atomic<std::int64_t> total_bytes = 0;
};

/// threads: any
class Partition {
 public:
  /// errors:  unavailable (the disk). Damage is no error here: what is whole can be read, the
  ///          damaged offset answers corrupt, and appends are refused until a repair.
  static Result<std::unique_ptr<Partition>> open(PartitionContext& context, std::string directory,
                                                 TopicPartition name, Owner owner);

  /// Remembers how far everything is synced, so that the next open is quick and knows it.
  ~Partition();

  /// As MessageLog::append, for one partition; returns the first record's offset.
  Result<Offset> append(std::span<const Record* const> records);

  Result<FetchedRecords> fetch(Offset start, FetchLimits limits);
  Result<Offset> offset_at(Timestamp at);
  PartitionInfo info() const;

  /// Why appends fail or records cannot be read; Ok where nothing is wrong.
  Status health() const;

  /// Tries the disk again where the last append failed, so that a partition that nobody appends
  /// to does not stay unhealthy. Answers health().
  Status recover();

  struct OldestSegment {
    Offset end = 0;  // one past its last record
    Timestamp first_appended_at;
  };
  /// What retention may drop next: never the segment that is written to.
  std::optional<OldestSegment> oldest_segment() const;
  Status drop_oldest_segment();

  /// Adds what is synced: the segments in their order, each with its index if there is one.
  Status add_files(std::vector<LogFile>& files) const;

  /// Reads everything and adds what it finds to `report`.
  Status verify(VerifyReport& report);

  /// Rewrites the segments that are damaged. What is lost leaves a gap; no offset is used twice.
  Result<RepairReport> repair();

 private:
  using Index = std::vector<IndexEntry>;

  struct Segment {
    Offset base = 0;
    Offset end = 0;               // one past the last synced record
    std::int64_t size_bytes = 0;  // up to where batches are, at most
    Timestamp first_appended_at;
    std::shared_ptr<const io::File> file;  // of the last segment only: others are opened to read
    std::shared_ptr<const Index> index;    // none until needed, and for the last segment
  };

  /// What readers may see.
  struct State {
    std::vector<Segment> segments;  // by base offset; only the last is written to
    Index last_index;               // of the last segment
    Offset end = 0;
    Timestamp last_appended_at;
    std::optional<Error> damage;      // of the last segment; appends are refused
    Offset synced_end = 0;            // what was acknowledged, at least, when it was opened
    std::optional<Error> last_error;  // of the last append that failed, until one works
    std::uint64_t repairs = 0;
    Offset given_up = 0;  // retention took what is below; the oldest segment's file may be gone

    Offset earliest() const {
      return segments.empty() ? end : std::max(segments.front().base, given_up);
    }
  };

  /// What only the leading thread touches.
  struct Writer {
    std::unique_ptr<io::File> file;  // none: a fresh segment is begun first
    std::int64_t position = 0;
    std::int64_t allocated_bytes = 0;
    Offset end = 0;  // of what is written, synced or not
    Offset base = 0;
    Timestamp appended_at;
    std::int64_t next_entry_at = 0;
    std::vector<IndexEntry> new_entries;  // of what is written and not published
    bool log_is_full = false;             // there was no room when it was last asked for
  };

  struct PendingBatch {
    std::size_t position = 0;  // of its header in `bytes`
    BatchHeader header;
  };

  /// An append on its way, or a job that needs the writer for itself.
  struct Request {
    std::string bytes;  // batches whose headers are filled in when they are written
    std::vector<PendingBatch> batches;
    std::int64_t records = 0;
    std::function<Status()> job;
    Offset first = 0;
    Offset end = 0;
    Status outcome = Ok{};
  };

  struct Rewritten {
    Place end;
    std::int64_t records_lost = 0;
  };

  struct Located {
    Segment segment;
    Place place;  // at or before the offset asked for
    std::uint64_t repairs = 0;
  };

  struct Hint {
    Offset offset = -1;  // the next record of some reader
    Offset segment_base = 0;
    std::uint64_t repairs = 0;
    Place place;
  };
  struct Hints {
    std::vector<Hint> ring;
    std::size_t next = 0;
  };

  Partition(PartitionContext& context, std::string directory, TopicPartition name, Owner owner)
      : context_(context),
        directory_(std::move(directory)),
        name_(std::move(name)),
        owner_(owner) {}

  std::string segment_path(Offset base) const;
  std::string index_path(Offset base) const;
  Error damaged_at(Offset offset, const std::string& file, std::int64_t position) const;

  Status load();
  Status load_last_segment(const std::optional<Place>& checkpoint, Offset checkpoint_base);
  Status settle_tail(const Segment& last, const SegmentScan& scan, Offset synced_end);
  void write_checkpoint();

  static std::shared_ptr<Request> encode(std::span<const Record* const> records);
  void carry_out(const CommitQueue<Request>::Group& group);
  Status prepare(std::int64_t bytes);
  Status write(Request& request, Timestamp at);
  Status write_run(std::string_view run);
  Status sync_and_publish();
  Status begin_segment();
  Status try_disk();
  void abandon_segment(const Error& why);
  void count_failure(const Error& why);

  Result<Located> locate(Offset start);
  Result<Offset> look_for(Timestamp at);
  Result<Place> place_in(const Segment& segment, Offset offset);
  Result<std::shared_ptr<const Index>> index_of(const Segment& segment);
  Result<std::shared_ptr<const io::File>> file_of(const Segment& segment);
  Result<std::optional<FetchedRecords>> read_from(const Located& from, Offset start,
                                                  FetchLimits limits);
  void write_index(const Segment& segment, const Index& index, Timestamp last_appended_at);

  Result<RepairReport> repair_alone();
  Result<std::optional<Rewritten>> rewrite(const Segment& segment, Offset stop, Offset synced_end);

  PartitionContext& context_;
  const std::string directory_;
  const TopicPartition name_;
  const Owner owner_;
  CommitQueue<Request> queue_;
  bool loaded_ = false;
  Writer writer_;
  Guarded<State> state_;
  Guarded<Hints> hints_;
};

}  // namespace tapeline::msglog
