#include "msglog/spooled_log.h"

#include <fmt/format.h>

#include "msglog/rules.h"
#include "telemetry/logging.h"

namespace tapeline::msglog {
namespace {

using telemetry::Level;

constexpr const char* kCarrier = "carrier";  // the group whose offsets say what was carried over
constexpr std::string_view kRefused = ".refused";

}  // namespace

SpooledLog::Probe::Probe(telemetry::Metrics& metrics)
    : spooled(metrics.counter("tapeline_msglog_spool_records_spooled_total",
                              "Records kept on this machine because Kafka was away.")),
      drained(metrics.counter("tapeline_msglog_spool_records_drained_total",
                              "Records carried over to Kafka once it was back.")),
      refused(metrics.counter("tapeline_msglog_spool_records_refused_total",
                              "Spooled records that Kafka will never take.")),
      records(metrics.gauge("tapeline_msglog_spool_records", "Records that wait in the spool.")),
      size_bytes(metrics.gauge("tapeline_msglog_spool_size_bytes", "What the spool has on disk.")),
      size_bytes_max(metrics.gauge("tapeline_msglog_spool_size_max_bytes",
                                   "What the spool may have on disk.")),
      oldest_seconds(metrics.gauge("tapeline_msglog_spool_oldest_seconds",
                                   "How long the first record in the spool has waited.")) {}

SpooledLog::SpooledLog(io::FileSystem& files, Clock& clock, MessageLog& remote, Options options)
    : files_(files),
      clock_(clock),
      remote_(remote),
      options_(std::move(options)),
      probe_(options_.metrics ? *options_.metrics : own_metrics_) {}

Result<std::unique_ptr<SpooledLog>> SpooledLog::open(io::FileSystem& files, Clock& clock,
                                                     MessageLog& remote, Options options) {
  auto log = std::unique_ptr<SpooledLog>(new SpooledLog(files, clock, remote, std::move(options)));
  if (TRY(files.info(log->options_.directory))) {
    std::lock_guard lock(log->mutex_);
    const auto spool = TRY(log->spool_log());
    log->spooling_ = TRY(log->next_lot(*spool)).has_value();
  }
  log->tell();
  return log;
}

/// The spool, opened where it is not. Under the lock.
Result<std::shared_ptr<EmbeddedLog>> SpooledLog::spool_log() {
  if (spool_) return spool_;
  const auto seed = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
  auto opened = TRY(EmbeddedLog::open(
      files_, clock_,
      {.directory = options_.directory, .seed = seed, .size_bytes_max = options_.size_bytes_max}));
  for (const auto& topic : TRY(opened->topics()))
    TRY_STATUS(opened->set_hold(topic.name, kCarrier));
  spool_ = std::move(opened);
  return spool_;
}

bool SpooledLog::belongs_in_spool(const std::string& topic, const Error& error) const {
  return error.retryable() ||
         (error.code == ErrorCode::not_found && options_.topics.contains(topic));
}

Result<std::vector<Position>> SpooledLog::append(const std::string& topic,
                                                 std::span<const Record> records) {
  TRY_STATUS(check_records(records));
  if (!spooling_) {
    auto positions = remote_.append(topic, records);
    if (positions || !belongs_in_spool(topic, positions.error())) return positions;
    telemetry::log(Level::warn, "records go to the spool",
                   telemetry::error_fields(positions.error()));
  }
  return append_here(topic, records);
}

Result<std::vector<Position>> SpooledLog::append_here(const std::string& topic,
                                                      std::span<const Record> records) {
  std::unique_lock lock(mutex_);
  const auto spool = TRY(spool_log());
  auto done = spool->append(topic, records);
  if (!done && done.error().code == ErrorCode::not_found) {
    TRY_STATUS(spool->create_topic(topic, 1));
    TRY_STATUS(spool->set_hold(topic, kCarrier));
    done = spool->append(topic, records);
  }
  if (!done) return Error(done.error()).while_doing("Kafka is away, and the spool");
  spooling_ = true;
  probe_.spooled.add(std::ssize(records));
  lock.unlock();
  tell();
  return std::vector<Position>(records.size(), kWaits);
}

/// The first records that wait; none where all is carried over.
Result<std::optional<SpooledLog::Lot>> SpooledLog::next_lot(EmbeddedLog& spool) {
  for (const auto& topic : TRY(spool.topics())) {
    if (topic.name.ends_with(kRefused)) continue;
    const TopicPartition at{topic.name, 0};
    const Offset next =
        TRY(spool.committed(kCarrier, at)).value_or(topic.partitions.at(0).earliest);
    const auto fetched = TRY(spool.fetch(
        at, next, {.records_max = static_cast<std::int64_t>(kRecordsMax), .bytes_max = 4 << 20}));
    if (fetched.records.empty()) continue;
    Lot lot{.topic = topic.name, .records = {}, .next = fetched.next};
    for (const auto& record : fetched.records) {
      lot.records.push_back({std::string(record.key), std::string(record.value)});
    }
    return std::optional(std::move(lot));
  }
  return std::optional<Lot>();
}

/// What the other side will never take stands in no one's way: it is kept apart.
Status SpooledLog::refuse(EmbeddedLog& spool, const std::string& topic, const Record& record,
                          const Error& why) {
  const std::string apart = topic + std::string(kRefused);
  const Status made = spool.create_topic(apart, 1);
  if (!made && made.error().code != ErrorCode::already_exists) return made;
  TRY_STATUS(spool.append(apart, std::span(&record, 1)));
  probe_.refused.add();
  auto fields = telemetry::error_fields(why);
  fields.emplace_back("key", record.key);
  fields.emplace_back("bytes", fmt::format("{}", record.value.size()));
  telemetry::log(Level::error, "a spooled record was refused", fields);
  return Ok{};
}

Status SpooledLog::carry_over(EmbeddedLog& spool, const Lot& lot) {
  const auto done = remote_.append(lot.topic, lot.records);
  if (done) {
    probe_.drained.add(std::ssize(lot.records));
    return Ok{};
  }
  if (belongs_in_spool(lot.topic, done.error())) return done.error();
  for (const Record& record : lot.records) {
    const auto alone = remote_.append(lot.topic, std::span(&record, 1));
    if (alone) {
      probe_.drained.add();
    } else if (belongs_in_spool(lot.topic, alone.error())) {
      return alone.error();
    } else {
      TRY_STATUS(refuse(spool, lot.topic, record, alone.error()));
    }
  }
  return Ok{};
}

Result<bool> SpooledLog::step() {
  if (!spooling_) return false;
  const auto held = [this] {
    std::lock_guard lock(mutex_);
    return spool_;
  };
  const auto spool = held();
  const auto lot = TRY(next_lot(*spool));
  if (!lot) {
    TRY_STATUS(end_spooling());
    return false;
  }
  const Status carried = carry_over(*spool, *lot);
  if (carried) TRY_STATUS(spool->commit(kCarrier, {lot->topic, 0}, lot->next));
  tell();
  TRY_STATUS(carried);
  return true;
}

/// All is carried over: the files go, and appends go to the other side again.
Status SpooledLog::end_spooling() {
  {
    std::lock_guard lock(mutex_);
    if (TRY(next_lot(*spool_))) return Ok{};  // one came in this moment
    bool keeps_refused = false;
    for (const auto& topic : TRY(spool_->topics())) {
      keeps_refused = keeps_refused || topic.name.ends_with(kRefused);
    }
    if (!keeps_refused) {
      spool_.reset();
      TRY_STATUS(io::remove_all(files_, options_.directory));
    }
    spooling_ = false;
  }
  telemetry::log(Level::info, "the spool is empty");
  tell();
  return Ok{};
}

SpoolStatus SpooledLog::spool() {
  SpoolStatus status{.size_bytes_max = options_.size_bytes_max};
  std::lock_guard lock(mutex_);
  if (!spool_) return status;
  status.size_bytes = spool_->usage().size_bytes;
  const auto topics = spool_->topics();
  for (const auto& topic : topics ? *topics : std::vector<TopicInfo>()) {
    const PartitionInfo& its = topic.partitions.at(0);
    if (topic.name.ends_with(kRefused)) {
      status.refused += its.end - its.earliest;
      continue;
    }
    const auto committed = spool_->committed(kCarrier, {topic.name, 0});
    const Offset next = committed && *committed ? **committed : its.earliest;
    status.records += its.end - next;
    const auto first = spool_->fetch({topic.name, 0}, next, {.records_max = 1});
    if (first && !first->records.empty()) {
      const Timestamp at = first->records[0].appended_at;
      status.oldest_at = std::min(status.oldest_at.value_or(at), at);
    }
  }
  return status;
}

void SpooledLog::tell() {
  const SpoolStatus status = spool();
  probe_.records.set(static_cast<double>(status.records));
  probe_.size_bytes.set(static_cast<double>(status.size_bytes));
  probe_.size_bytes_max.set(static_cast<double>(status.size_bytes_max));
  const auto age = status.oldest_at ? clock_.now() - *status.oldest_at : Duration(0);
  probe_.oldest_seconds.set(std::chrono::duration<double>(age).count());
}

Status SpooledLog::create_topic(const std::string& name, std::int32_t partitions) {
  return remote_.create_topic(name, partitions);
}
Result<std::vector<TopicInfo>> SpooledLog::topics() { return remote_.topics(); }
Result<FetchedRecords> SpooledLog::fetch(const TopicPartition& from, Offset start,
                                         FetchLimits limits) {
  return remote_.fetch(from, start, limits);
}
Result<Offset> SpooledLog::offset_at(const TopicPartition& from, Timestamp at) {
  return remote_.offset_at(from, at);
}
Status SpooledLog::commit(const std::string& group, const TopicPartition& at, Offset next) {
  return remote_.commit(group, at, next);
}
Result<std::optional<Offset>> SpooledLog::committed(const std::string& group,
                                                    const TopicPartition& at) {
  return remote_.committed(group, at);
}
Result<std::vector<GroupOffset>> SpooledLog::groups(const std::string& topic) {
  return remote_.groups(topic);
}

}  // namespace tapeline::msglog
