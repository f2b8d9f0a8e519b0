// SpooledLog: a log on other machines, with a spool on this one for when they are away.
//
// An append that the other side does not take goes to an embedded log here, the spool, and counts
// as done once it is synced there. From then on every append goes behind it, so that records of a
// key keep their order, until step() has carried all of it over. Everything else is the other
// side's own answer.
//
//   <directory>           the spool; there only while records wait
//   <directory>.emptied   one that was carried over, until its files are gone
//   <directory>.refused   records that the other side will never take, under their topics' names

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "io/file_system.h"
#include "msglog/embedded/embedded_log.h"
#include "msglog/message_log.h"
#include "telemetry/metrics.h"

namespace tapeline::msglog {

/// What waits on this machine.
struct SpoolStatus {
  std::int64_t records = 0;
  std::int64_t size_bytes = 0;  // on disk
  std::int64_t size_bytes_max = 0;
  std::int64_t refused = 0;            // records that the other side will never take, and kept
  std::optional<Timestamp> oldest_at;  // when the first that waits was spooled
};

/// threads:  any; step() one at a time
/// lifetime: everything given outlives it
class SpooledLog final : public MessageLog {
 public:
  struct Options {
    std::string directory;
    std::int64_t size_bytes_max = 5LL << 30;  // of the spool, and of what was refused
    std::set<std::string> topics;  // spooled even while the other side does not know them
    telemetry::Metrics* metrics = nullptr;
  };

  /// Opens what an earlier process left in the spool.
  /// errors: those of EmbeddedLog::open
  static Result<std::unique_ptr<SpooledLog>> open(io::FileSystem& files, Clock& clock,
                                                  MessageLog& remote, Options options);

  /// Carries over one lot of what waits. True where there may be more.
  ///
  /// promise: a record is given up here only after the other side has confirmed it; after a crash
  ///          between the two it is there twice
  /// errors:  those of the other side's append: it is still away
  /// blocks:  as that append does
  Result<bool> step();

  /// Brings the metrics up to date: what waits grows older by itself.
  void tell();

  bool waiting() const;
  SpoolStatus spool();

  /// A position of a record that waits: nobody knows its place yet.
  static constexpr Position kWaits{-1, -1};

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

 private:
  struct Probe {
    explicit Probe(telemetry::Metrics& metrics);
    telemetry::Counter& spooled;
    telemetry::Counter& drained;
    telemetry::Counter& refused;
    telemetry::Gauge& records;
    telemetry::Gauge& size_bytes;
    telemetry::Gauge& size_bytes_max;
    telemetry::Gauge& oldest_seconds;
  };
  struct Lot {
    std::string topic;
    std::vector<Offset> offsets;
    std::vector<Record> records;
    Offset next = 0;
  };
  /// How far a lot has come, and why not farther.
  struct Carried {
    Offset next = 0;
    Status status = Ok{};
  };

  SpooledLog(io::FileSystem& files, Clock& clock, MessageLog& remote, Options options);
  Result<std::unique_ptr<EmbeddedLog>> open_log(const std::string& directory);
  Status open_spool();
  bool belongs_in_spool(const std::string& topic, const Error& error) const;
  Result<std::optional<Lot>> next_lot(EmbeddedLog& spool);
  Carried carry_over(const Lot& lot);
  Status refuse(const std::string& topic, const Record& record, const Error& why);
  Status end_spooling();
  Status put_aside();

  io::FileSystem& files_;
  Clock& clock_;
  MessageLog& remote_;
  const Options options_;
  telemetry::Metrics own_metrics_;
  Probe probe_;
  const std::string emptied_;  // directories, beside the spool's
  const std::string refusals_;

  mutable std::mutex mutex_;
  std::unique_ptr<EmbeddedLog> spool_;  // there: what is appended waits; only step() takes it away
  std::unique_ptr<EmbeddedLog> refused_;  // once there is something in it
};

}  // namespace tapeline::msglog
