// The embedded message log: topics as folders of segment files on this machine.
//
//   <directory>/<topic>/topic                      name, id, partitions, created
//   <directory>/<topic>/<partition>/<base>.segment .index checkpoint
//   <directory>/__groups/<group>                   what each consumer group has committed
//
// Nothing acknowledged is lost by a crash of the program or the machine, on a disk that honours
// fdatasync. It has no thread: who appends also writes, syncs and drops what retention lets go.
// docs/formats/segment.md tells the files byte for byte.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/rng.h"
#include "base/wakeup.h"
#include "io/file_system.h"
#include "msglog/embedded/consumer_offsets.h"
#include "msglog/embedded/partition.h"
#include "msglog/message_log.h"
#include "telemetry/metrics.h"

namespace tapeline::msglog {

/// How much of its room the log uses.
struct LogUsage {
  std::int64_t size_bytes = 0;
  std::int64_t size_bytes_max = 0;
  bool is_nearly_full = false;  // 80 % or more, and a hold keeps it from making room by itself
};

/// threads:  any
/// lifetime: file system, clock, metrics and wakeup outlive it
class EmbeddedLog final : public MessageLog {
 public:
  struct Options {
    std::string directory;
    std::uint64_t seed = 0;                            // of topic ids; another one at each start
    std::int64_t size_bytes_max = 20LL << 30;          // of all topics together
    std::string size_setting = "log.retention_bytes";  // the name of that where it is set
    std::string held_hint = "Its records wait to be loaded: see that the DAG runs";
    std::int64_t segment_bytes = 64 << 20;
    std::int64_t preallocate_bytes = 4 << 20;  // how far ahead room is reserved; 0: not at all
    Wakeup* appended = nullptr;                // notified when there are new records to fetch
    telemetry::Metrics* metrics = nullptr;     // none: it counts for itself only
  };

  /// Opens the topics under `options.directory`, which is made where there is none.
  ///
  /// errors: unavailable (the disk), corrupt (a topic's own file is damaged). Damaged records
  ///         are no error here: what is whole can be read, health() names the rest.
  /// why:    one process at a time; whoever opens it holds the lock of the data directory
  static Result<std::unique_ptr<EmbeddedLog>> open(io::FileSystem& files, Clock& clock,
                                                   Options options);

  Status create_topic(const std::string& name, std::int32_t partitions) override;
  Result<std::vector<TopicInfo>> topics() override;
  Result<std::vector<Position>> append(const std::string& topic,
                                       std::span<const Record> records) override;
  Result<FetchedRecords> fetch(const TopicPartition& from, Offset start,
                               FetchLimits limits) override;
  Result<Offset> offset_at(const TopicPartition& from, Timestamp at) override;
  Status commit(const std::string& group, const TopicPartition& at, Offset next) override;
  Result<std::optional<Offset>> committed(const std::string& group,
                                          const TopicPartition& at) override;
  Result<std::vector<GroupOffset>> groups(const std::string& topic) override;

  /// From now on retention keeps what `group` has not committed in `topic`; none: keeps nothing.
  /// A log that is full of records on hold takes no more. Not remembered across a restart.
  /// errors: not_found (topic)
  Status set_hold(const std::string& topic, std::optional<std::string> group);

  /// Why records cannot be appended or read; Ok while all is well. For /-/ready.
  Status health();

  /// As health(), and tries the disk again first where the last append failed.
  /// blocks: on the disk, if there is something to try
  Status recover();

  LogUsage usage();

  /// What a copy of the log has to hold, as it is synced now. Retention may remove a file of it at
  /// any time. A copy that takes a first list, then a later one, going on where the first had
  /// got to in each segment, has every record from the first list's earliest to the second's end,
  /// provided that its segments join.
  Result<std::vector<LogFile>> files();

  /// Reads every byte of a topic's records, or of all topics where `topic` is empty.
  /// errors: not_found (topic), unavailable (the disk); damage is a finding, not an error
  Result<VerifyReport> verify(const std::string& topic);

  /// Gives up the damaged records of a topic and keeps the rest. Their offsets stay unused.
  /// errors: not_found (topic), unavailable (the disk)
  Result<RepairReport> repair(const std::string& topic);

 private:
  struct Topic {
    TopicId id{};
    std::vector<std::unique_ptr<Partition>> partitions;
    std::atomic<std::uint32_t> next_keyless = 0;
  };
  using Topics = std::map<std::string, std::unique_ptr<Topic>>;
  using Holds = std::map<std::string, std::string>;  // topic to group

  EmbeddedLog(io::FileSystem& files, Clock& clock, Options options);

  Status load();
  Result<std::unique_ptr<Topic>> load_topic(const std::string& name);
  Status write_topic(const std::string& name, std::int32_t partitions);
  Result<Topic*> find(const std::string& topic);
  Result<Partition*> find(const TopicPartition& partition);
  std::vector<std::pair<std::string, Topic*>> all();
  Offset held_from(const std::string& topic, const Topic& owner, std::int32_t partition);
  Result<std::optional<Error>> make_room(std::int64_t bytes);
  Error full(std::int64_t bytes, bool held) const;

  io::FileSystem& files_;
  Clock& clock_;
  const Options options_;
  telemetry::Metrics own_metrics_;
  LogProbe probe_;
  PartitionContext context_;
  ConsumerOffsets offsets_;
  Guarded<Rng> ids_;
  Guarded<Topics> topics_;  // only ever grows
  Guarded<Holds> holds_;
  Guarded<Ok> creation_;   // one topic is created at a time
  Guarded<Ok> retention_;  // one thread at a time drops segments
};

}  // namespace tapeline::msglog
