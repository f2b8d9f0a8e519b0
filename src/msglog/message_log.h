// The message log: topics of ordered records that many readers can follow.
//
// This header is the whole of what other rooms know about it. embedded/ implements
// it with files on this machine, kafka/ on Apache Kafka. The words are Kafka's
// and mean what Kafka means by them; docs/GLOSSARY.md has them.

#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::msglog {

/// A record's place in its partition: 0 for the first ever appended.
/// Counts records, never bytes. Offsets of different partitions do not compare.
using Offset = std::int64_t;

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

/// What a producer hands over. Both are opaque bytes; wire/ gives the value meaning.
struct Record {
  std::string key;  // records with one key keep their order; empty: any partition
  std::string value;
};

/// Where an appended record ended up.
struct Position {
  std::int32_t partition = 0;
  Offset offset = 0;
};

struct RecordView {
  Offset offset = 0;
  Timestamp appended_at;
  std::string_view key;
  std::string_view value;
};

struct FetchedRecords {
  std::vector<RecordView> records;     // in offset order; offsets may skip
  Offset next = 0;                     // where to fetch from next time
  std::shared_ptr<const void> memory;  // what the views point into
};

struct FetchLimits {
  std::int64_t records_max = 10'000;  // a log may count offsets instead, where they skip
  std::int64_t bytes_max = 16 << 20;  // of keys and values; one record is always given
  // For records that a broker has still to send. At zero nobody waits: an empty answer says
  // nothing of the end then, and the log's wakeup tells when they are here.
  Duration wait_max = std::chrono::seconds(5);
};

struct PartitionInfo {
  Offset earliest = 0;          // the first record that retention has left
  Offset end = 0;               // one past the last record known to survive a crash
  std::int64_t size_bytes = 0;  // on disk; -1 where the log does not tell
};

struct TopicInfo {
  std::string name;
  std::string id;  // 32 hexadecimal digits, new for each topic ever created
  std::vector<PartitionInfo> partitions;
};

/// How far a consumer group has got in a partition.
struct GroupOffset {
  std::string group;
  std::int32_t partition = 0;
  Offset next = 0;  // it reads on from there
};

/// What records can be appended to: a log, or the way to the process that has it.
class RecordSink {
 public:
  virtual ~RecordSink() = default;

  /// Appends `records`, each to the partition of its key (as Kafka: murmur2), in order.
  ///
  /// shape:    1 to 10,000 records, each at most 1 MiB; the answer has one position a record
  /// promise:  after an error any of `records` may be in the log, the last of them without the
  ///           first; appending them all again is allowed, and repeats those
  /// errors:   invalid_argument (shape), not_found (topic), unavailable (disk full,
  ///           a failed sync, broker away), timed_out (no answer came; they may be there)
  /// blocks:   until the records survive a crash of the machine
  /// threads:  any
  virtual Result<std::vector<Position>> append(const std::string& topic,
                                               std::span<const Record> records) = 0;
};

class MessageLog : public RecordSink {
 public:
  /// errors: already_exists, invalid_argument (name, number of partitions), unavailable (disk)
  virtual Status create_topic(const std::string& name, std::int32_t partitions) = 0;

  /// Every topic, by name.
  virtual Result<std::vector<TopicInfo>> topics() = 0;

  /// Reads synced records from `start` on. An empty answer means "nothing yet", not "the end".
  ///
  /// errors:   not_found (topic, partition), invalid_argument (`start` is past the end, or
  ///           retention removed it; the hint names the earliest offset left), corrupt
  /// blocks:   never for a record that is not there yet: a reader that wants to wait does so on
  ///           its own Clock. Records below an end that topics() gave may have to come from a
  ///           broker first; where none of them does, the answer is timed_out
  virtual Result<FetchedRecords> fetch(const TopicPartition& from, Offset start,
                                       FetchLimits limits) = 0;

  /// The first offset whose record was appended at `at` or later; the end if there is none.
  virtual Result<Offset> offset_at(const TopicPartition& from, Timestamp at) = 0;

  /// Remembers how far `group` has got. `next` is the offset it will read next,
  /// one past the last it finished, as in Kafka.
  /// Commit after the effect, never before: a crash then repeats records and loses none.
  virtual Status commit(const std::string& group, const TopicPartition& at, Offset next) = 0;

  /// What `group` last committed; none if it never did.
  virtual Result<std::optional<Offset>> committed(const std::string& group,
                                                  const TopicPartition& at) = 0;

  /// What every group last committed in a topic, by group and partition.
  virtual Result<std::vector<GroupOffset>> groups(const std::string& topic) = 0;
};

}  // namespace tapeline::msglog
