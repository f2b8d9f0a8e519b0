#include "app/log_engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

constexpr Duration kStepRest = std::chrono::milliseconds(250);
constexpr std::int64_t kLogBytesLeast = 64LL << 20;  // appends that come together fit
constexpr std::int64_t kLogBytesMost = 1LL << 50;
constexpr std::int64_t kHourMs = 3'600'000;

}  // namespace

Result<std::optional<msglog::KafkaLog::Options>> kafka_options(const Config& config) {
  const std::string& engine = config.text("log.engine");
  if (engine == "embedded") return std::optional<msglog::KafkaLog::Options>();
  if (engine != "kafka") {
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("there is no log '{}' (from {})", engine, config.value("log.engine").origin),
        "Logs are embedded and kafka."};
  }
  if (config.text("log.brokers").empty()) {
    return Error{ErrorCode::invalid_argument, "the log is Kafka's, and no broker is named",
                 "Set KAFKA_BOOTSTRAP_SERVERS=host:9092, or brokers under [log] in "
                 "tapeline.toml."};
  }
  msglog::KafkaLog::Options options;
  for (const auto& [name, ours] :
       {std::pair("bootstrap.servers", "log.brokers"), std::pair("group.id", "log.group")}) {
    const auto found = config.kafka().find(name);
    if (found == config.kafka().end()) continue;
    return Error{ErrorCode::invalid_argument,
                 fmt::format("Kafka's setting '{}' (from {}) is said by {}", name,
                             found->second.origin, ours),
                 "Take it out of [log.kafka]."};
  }
  for (const auto& [name, value] : config.kafka()) options.settings[name] = value.text;
  options.settings["bootstrap.servers"] = config.text("log.brokers");
  options.topic_prefix = config.text("log.topic_prefix");
  const auto replication = TRY(config.integer("log.replication", 0, 100));
  options.replication = static_cast<std::int16_t>(replication == 0 ? -1 : replication);
  options.retention_ms = TRY(config.integer("log.retention_hours", 0, 1'000'000)) * kHourMs;
  return std::optional(std::move(options));
}

void note_kafka_error(const Error& error) {
  const auto level = error.retryable() ? telemetry::Level::debug : telemetry::Level::warn;
  telemetry::log(level, "kafka step failed", telemetry::error_fields(error));
}

Result<std::unique_ptr<LogEngine>> LogEngine::open(const Surroundings& surroundings,
                                                   const Config& config, Options options) {
  auto engine = std::unique_ptr<LogEngine>(new LogEngine(surroundings, std::move(options)));
  engine->partitions_ = static_cast<std::int32_t>(TRY(config.integer("log.partitions", 1, 1000)));
  if (auto kafka = TRY(kafka_options(config))) {
    kafka->appended = &surroundings.appended;
    kafka->metrics = &surroundings.metrics;
    engine->group_ = config.text("log.group");
    const auto spool_bytes = TRY(config.integer("log.spool_bytes", kLogBytesLeast, kLogBytesMost));
    engine->kafka_ = TRY(msglog::KafkaLog::open(surroundings.clock, *std::move(kafka)));
    engine->spooled_ =
        TRY(msglog::SpooledLog::open(surroundings.files, surroundings.clock, *engine->kafka_,
                                     {.directory = engine->options_.folder + "/spool",
                                      .size_bytes_max = spool_bytes,
                                      .topics = {engine->options_.topic},
                                      .metrics = &surroundings.metrics}));
  } else {
    const auto bytes_max =
        TRY(config.integer("log.retention_bytes", kLogBytesLeast, kLogBytesMost));
    const auto segment_bytes = TRY(config.integer("log.segment_bytes", 1 << 10, 1 << 30));
    constexpr std::int64_t kAhead = 4 << 20;  // a small segment reserves no more than itself
    engine->embedded_ =
        TRY(msglog::EmbeddedLog::open(surroundings.files, surroundings.clock,
                                      {.directory = engine->options_.folder + "/log",
                                       .seed = engine->options_.seed,
                                       .size_bytes_max = bytes_max,
                                       .segment_bytes = segment_bytes,
                                       .preallocate_bytes = std::min(kAhead, segment_bytes),
                                       .appended = &surroundings.appended,
                                       .metrics = &surroundings.metrics}));
  }
  const Status made = engine->make_topic();
  if (made) return engine;
  if (!engine->kafka_ || !made.error().retryable()) return made.error();
  telemetry::log(telemetry::Level::warn, "starting without Kafka",
                 telemetry::error_fields(made.error()));
  return engine;
}

Status LogEngine::make_topic() {
  if (has_topic_) return Ok{};
  const Status made = log().create_topic(options_.topic, partitions_);
  if (!made && made.error().code != ErrorCode::already_exists) return made;
  has_topic_ = true;
  return Ok{};
}

Result<msglog::EmbeddedLog*> LogEngine::embedded(std::string_view what, std::string instead) {
  if (embedded_) return embedded_.get();
  return Error{ErrorCode::unsupported,
               fmt::format("{} works on the embedded log's files; this log is Kafka's", what),
               std::move(instead)};
}

Status LogEngine::set_hold(const std::string& topic, std::optional<std::string> group) {
  return embedded_ ? embedded_->set_hold(topic, std::move(group)) : Status(Ok{});
}

Status LogEngine::health() { return embedded_ ? embedded_->health() : kafka_->health(); }

Status LogEngine::recover() { return embedded_ ? embedded_->recover() : kafka_->health(); }

msglog::LogUsage LogEngine::usage() {
  if (embedded_) return embedded_->usage();
  const auto spool = spooled_->spool();
  return {.size_bytes = spool.size_bytes,
          .size_bytes_max = spool.size_bytes_max,
          .is_nearly_full = spool.size_bytes > spool.size_bytes_max / 10 * 8};
}

Result<Duration> LogEngine::step() {
  if (embedded_) return Duration(std::chrono::seconds(1));
  spooled_->tell();
  // While nobody answers nothing is sent: what times out may be there all the same, and then twice.
  if (!kafka_->health()) TRY_STATUS(kafka_->refresh());
  TRY_STATUS(make_topic());
  if (TRY(spooled_->step())) return Duration(0);
  TRY_STATUS(kafka_->refresh());
  return kStepRest;
}

Status LogEngine::wait_for_spool(std::stop_token stop) {
  while (spooled_ && spooled_->waiting()) {
    if (!its_.clock.wait_for(std::chrono::milliseconds(50), stop)) {
      return Error{ErrorCode::cancelled, "stopped while records wait in the spool for Kafka",
                   "They stay there: the next command that runs while Kafka is there sends them."};
    }
  }
  return Ok{};
}

std::optional<msglog::SpoolStatus> LogEngine::spool() {
  return spooled_ ? std::optional(spooled_->spool()) : std::nullopt;
}

}  // namespace tapeline::app
