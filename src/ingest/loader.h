// The loader: offset ranges of a topic into raw_stocks, exactly once.
//
// Rows, dead letters, the load's counts and the next offset commit in one warehouse
// transaction, so that a retry, a crash, or two loaders can neither replay nor skip. A key
// is (symbol, timestamp). A high-water mark per symbol tells rows that must be new; only
// rows at or below it are looked up in the warehouse. A message of a day at or before the cut of
// raw_stocks.retention is a dead letter: what raw had under its key is given up.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/aside.h"
#include "base/clock.h"
#include "base/result.h"
#include "market/calendar.h"
#include "msglog/message_log.h"
#include "telemetry/metrics.h"
#include "warehouse/warehouse.h"
#include "wire/message.h"

namespace tapeline::ingest {

/// A range of one partition: first <= offset < next.
struct OffsetRange {
  msglog::TopicPartition partition;
  std::string topic_id;
  msglog::Offset first = 0;
  msglog::Offset next = 0;
};

/// The equation: consumed = loaded + duplicate + superseded + dead.
struct LoadCounts {
  std::int64_t consumed = 0;
  std::int64_t loaded = 0;
  std::int64_t duplicate = 0;
  std::int64_t superseded = 0;
  std::int64_t dead = 0;

  LoadCounts& operator+=(const LoadCounts& other);
  bool balances() const { return consumed == loaded + duplicate + superseded + dead; }
  friend bool operator==(const LoadCounts&, const LoadCounts&) = default;
};

/// What the loader tells of itself.
struct LoaderProbe {
  explicit LoaderProbe(telemetry::Metrics& metrics);
  telemetry::Counter& loaded;
  telemetry::Counter& duplicate;
  telemetry::Counter& superseded;
  telemetry::Counter& dead;
  telemetry::Counter& zone_assumed;
  telemetry::Counter& price_rounded;
  telemetry::Counter& volume_unknown;
  telemetry::Counter& field_dropped;
  telemetry::Counter& rows_looked_up;
  telemetry::Histogram& load_seconds;
};

/// A record in short: what tells a log that was exchanged for another.
std::string fingerprint(const msglog::RecordView& record);

class Loader {
 public:
  struct Options {
    std::string group = "tapeline";  // whose offsets these are
    wire::DirectoryKind kind = wire::DirectoryKind::market;
    std::int64_t records_per_load = 245'760;  // two of DuckDB's row groups
  };

  /// lifetime: everything given must outlive it
  /// threads:  one at a time; the connection is its own
  Loader(const Clock& clock, msglog::MessageLog& log, warehouse::Connection& connection,
         const Calendar& calendar, LoaderProbe& probe, Aside& aside, Options options);
  ~Loader();

  /// Loads what of `range` is not loaded yet, as one or more loads, and answers the counts
  /// of the whole range, stored ones included.
  ///
  /// promise: each message counts once, whatever happened before
  /// errors:  invalid_argument (a hole before the range, or another topic of that name),
  ///          unavailable (another loader was there, disk), corrupt (the log's), cancelled
  Result<LoadCounts> load(const OffsetRange& range, const std::string& run_id,
                          std::stop_token stop = {});

  /// The next offset to load of a partition; none before its first load.
  Result<std::optional<msglog::Offset>> next_offset(const std::string& topic_id,
                                                    std::int32_t partition);

  /// Writes off messages that retention removed before they were loaded: a load without any, so
  /// that its range says which.
  /// errors: as load
  Status pass_over(const OffsetRange& lost, const std::string& run_id);

  /// Compares every stored offset of `topic` with the log.
  /// errors: corrupt where an offset lies past the log's end or the last loaded record is
  ///         another one; the hint names the command that repairs it
  Status check(const msglog::TopicInfo& topic);

 private:
  struct Batch;
  struct Slice;

  Result<LoadCounts> stored_counts(const OffsetRange& range);
  Result<msglog::Offset> first_to_load(const OffsetRange& range);
  Result<LoadCounts> load_once(const OffsetRange& range, const std::string& run_id);
  Status read_marks();
  Status load_slices(const OffsetRange& range, Batch& batch);
  Status read(const OffsetRange& range, Batch& batch, Slice& slice);
  Status append(const OffsetRange& range, const Batch& batch, Slice& slice);
  Status append_dead(const OffsetRange& range, const Batch& batch, const Slice& slice);
  Status write_counts(const OffsetRange& range, const std::string& run_id, const Batch& batch);
  void tell(const LoadCounts& counts);

  const Clock& clock_;
  msglog::MessageLog& log_;
  warehouse::Connection& connection_;
  const Calendar& calendar_;
  LoaderProbe& probe_;
  Aside& aside_;
  const Options options_;
  std::unique_ptr<Slice> slices_[2];  // one is read while the other is appended

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  // The newest timestamp that raw holds, by symbol. Empty until the first load, and again
  // after a transaction that did not commit. Where `marks_from_` is set they were read from the
  // newest day only: a symbol without one has nothing above that, and all below is looked up.
  using Marks = std::unordered_map<std::string, Timestamp, TextHash, std::equal_to<>>;
  std::optional<Marks> marks_;
  Timestamp marks_from_ = Timestamp::min();
  bool marks_wanted_ = false;      // rows below that came: the next load reads all marks
  std::int64_t next_load_id_ = 0;  // if nobody else takes a number meanwhile

  // What is older belongs to days that retention has cut. Read with the marks.
  Timestamp cut_until_ = Timestamp::min();
  std::string cut_text_;
};

}  // namespace tapeline::ingest
