// LogEngine: the message log that the configuration names, and what only one kind of it can do.
//
// Everything that works on both goes through log(), the port. What reads the embedded log's own
// files asks for embedded() and says what to use on Kafka instead.

#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "app/config.h"
#include "base/clock.h"
#include "base/wakeup.h"
#include "io/file_system.h"
#include "msglog/embedded/embedded_log.h"
#include "msglog/kafka/kafka_log.h"
#include "msglog/spooled_log.h"
#include "telemetry/metrics.h"

namespace tapeline::app {

/// What the configuration says of Kafka, as librdkafka takes it.
/// errors: invalid_argument (no brokers named, an engine that nobody knows)
Result<std::optional<msglog::KafkaLog::Options>> kafka_options(const Config& config);

/// For the loop that calls LogEngine::step: that Kafka is away was said when it went.
void note_kafka_error(const Error& error);

/// threads: any; step() one at a time
class LogEngine {
 public:
  struct Surroundings {
    Clock& clock;
    io::FileSystem& files;
    telemetry::Metrics& metrics;
    Wakeup& appended;
  };
  struct Options {
    std::string folder;  // the data directory
    std::string topic;   // is made where it is not there
    std::uint64_t seed = 0;
  };

  /// Opens the log. Kafka may be away: its topic is made by the first step() that finds it there.
  /// errors: those of the log's open
  static Result<std::unique_ptr<LogEngine>> open(const Surroundings& surroundings,
                                                 const Config& config, Options options);

  msglog::MessageLog& log() {
    return spooled_ ? static_cast<msglog::MessageLog&>(*spooled_)
                    : static_cast<msglog::MessageLog&>(*embedded_);
  }

  /// The embedded log, for what reads its files.
  /// errors: unsupported on Kafka, with `instead` as the hint
  Result<msglog::EmbeddedLog*> embedded(std::string_view what, std::string instead);

  bool is_kafka() const { return kafka_ != nullptr; }

  /// In whose name the loader's offsets are kept.
  const std::string& group() const { return group_; }

  /// From now on retention keeps what `group` has not loaded. Kafka's retention asks nobody.
  Status set_hold(const std::string& topic, std::optional<std::string> group);

  /// Why records cannot be appended or read; Ok while all is well.
  Status health();

  /// As health(), and mends what can be mended: a disk that works again.
  Status recover();

  /// What it has of this machine's disk: the topics, or the spool before Kafka.
  msglog::LogUsage usage();

  /// One bounded piece of upkeep: what waits in the spool is carried over, what Kafka has is
  /// looked at. How long to rest then. Nothing to do on the embedded log.
  /// errors: those of Kafka; the next step tries again
  Result<Duration> step();

  /// Waits until nothing is left in the spool.
  /// errors: cancelled
  Status wait_for_spool(std::stop_token stop);

  /// None on the embedded log.
  std::optional<msglog::SpoolStatus> spool();

 private:
  LogEngine(const Surroundings& surroundings, Options options)
      : its_(surroundings), options_(std::move(options)) {}
  Status make_topic();

  const Surroundings its_;
  const Options options_;
  std::string group_ = "tapeline";
  std::int32_t partitions_ = 1;
  std::atomic<bool> has_topic_{false};
  std::unique_ptr<msglog::EmbeddedLog> embedded_;
  std::unique_ptr<msglog::KafkaLog> kafka_;
  std::unique_ptr<msglog::SpooledLog> spooled_;
};

}  // namespace tapeline::app
