#include "msglog/spooled_log.h"

#include <fmt/format.h>

#include "msglog/rules.h"
#include "telemetry/logging.h"

namespace tapeline::msglog {
namespace {

using telemetry::Level;

constexpr const char* kCarrier = "carrier";  // the group whose offsets say what was carried over

/// Appends to a topic that is made where it is not there.
Status append_making_topic(EmbeddedLog& log, const std::string& topic,
                           std::span<const Record> records) {
  auto done = log.append(topic, records);
  if (!done && done.error().code == ErrorCode::not_found) {
    TRY_STATUS(log.create_topic(topic, 1));
    done = log.append(topic, records);
  }
  if (!done) return Error(done.error());
  return Ok{};
}

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
      probe_(options_.metrics ? *options_.metrics : own_metrics_),
      emptied_(options_.directory + ".emptied"),
      refusals_(options_.directory + ".refused") {}

Result<std::unique_ptr<SpooledLog>> SpooledLog::open(io::FileSystem& files, Clock& clock,
                                                     MessageLog& remote, Options options) {
  auto log = std::unique_ptr<SpooledLog>(new SpooledLog(files, clock, remote, std::move(options)));
  if (TRY(files.info(log->refusals_))) log->refused_ = TRY(log->open_log(log->refusals_));
  Status tidied = Ok{};
  if (TRY(files.info(log->options_.directory))) {
    TRY_STATUS(log->open_spool());
    if (!TRY(log->next_lot(*log->spool_))) tidied = log->put_aside();
  }
  if (tidied) tidied = io::remove_all(files, log->emptied_);
  if (!tidied) {
    telemetry::log(Level::warn, "an emptied spool stays", telemetry::error_fields(tidied.error()));
  }
  log->tell();
  return log;
}

Result<std::unique_ptr<EmbeddedLog>> SpooledLog::open_log(const std::string& directory) {
  const auto seed = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
  return EmbeddedLog::open(
      files_, clock_,
      {.directory = directory,
       .seed = seed,
       .size_bytes_max = options_.size_bytes_max,
       .size_setting = "log.spool_bytes",
       .held_hint = "Its records wait for Kafka: `tapeline doctor` tries the brokers"});
}

/// Under the lock.
Status SpooledLog::open_spool() {
  auto opened = TRY(open_log(options_.directory));
  for (const auto& topic : TRY(opened->topics()))
    TRY_STATUS(opened->set_hold(topic.name, kCarrier));
  spool_ = std::move(opened);
  return Ok{};
}

bool SpooledLog::waiting() const {
  std::lock_guard lock(mutex_);
  return spool_ != nullptr;
}

bool SpooledLog::belongs_in_spool(const std::string& topic, const Error& error) const {
  return error.retryable() ||
         (error.code == ErrorCode::not_found && options_.topics.contains(topic));
}

Result<std::vector<Position>> SpooledLog::append(const std::string& topic,
                                                 std::span<const Record> records) {
  TRY_STATUS(check_records(records));
  std::unique_lock lock(mutex_);
  if (!spool_) {
    lock.unlock();
    auto positions = remote_.append(topic, records);
    if (positions || !belongs_in_spool(topic, positions.error())) return positions;
    telemetry::log(Level::warn, "records go to the spool",
                   telemetry::error_fields(positions.error()));
    lock.lock();
    if (!spool_) TRY_STATUS(open_spool());
  }
  const Status kept = append_making_topic(*spool_, topic, records);
  if (!kept) return Error(kept.error()).while_doing("Kafka is away, and the spool");
  TRY_STATUS(spool_->set_hold(topic, kCarrier));
  lock.unlock();
  probe_.spooled.add(std::ssize(records));
  tell();
  return std::vector<Position>(records.size(), kWaits);
}

/// The first records that wait; none where all is carried over.
Result<std::optional<SpooledLog::Lot>> SpooledLog::next_lot(EmbeddedLog& spool) {
  for (const auto& topic : TRY(spool.topics())) {
    const TopicPartition at{topic.name, 0};
    const Offset next =
        TRY(spool.committed(kCarrier, at)).value_or(topic.partitions.at(0).earliest);
    const auto fetched = TRY(spool.fetch(
        at, next, {.records_max = static_cast<std::int64_t>(kRecordsMax), .bytes_max = 4 << 20}));
    if (fetched.records.empty()) continue;
    Lot lot{.topic = topic.name, .offsets = {}, .records = {}, .next = fetched.next};
    for (const auto& record : fetched.records) {
      lot.offsets.push_back(record.offset);
      lot.records.push_back({std::string(record.key), std::string(record.value)});
    }
    return std::optional(std::move(lot));
  }
  return std::optional<Lot>();
}

/// What the other side will never take stands in no one's way: it is kept apart, in a log of its
/// own, which drops its oldest when it is full.
Status SpooledLog::refuse(const std::string& topic, const Record& record, const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (!refused_) refused_ = TRY(open_log(refusals_));
    TRY_STATUS(append_making_topic(*refused_, topic, std::span(&record, 1)));
  }
  probe_.refused.add();
  auto fields = telemetry::error_fields(why);
  fields.emplace_back("key", record.key);
  fields.emplace_back("bytes", fmt::format("{}", record.value.size()));
  telemetry::log(Level::error, "a spooled record was refused", fields);
  return Ok{};
}

/// A lot that is refused goes record by record, so that only what is to blame for it is kept apart.
SpooledLog::Carried SpooledLog::carry_over(const Lot& lot) {
  const auto whole = remote_.append(lot.topic, lot.records);
  if (whole) {
    probe_.drained.add(std::ssize(lot.records));
    return {lot.next, Ok{}};
  }
  if (belongs_in_spool(lot.topic, whole.error())) return {lot.offsets.front(), whole.error()};
  for (std::size_t i = 0; i < lot.records.size(); ++i) {
    const auto alone = remote_.append(lot.topic, std::span(&lot.records[i], 1));
    if (alone) {
      probe_.drained.add();
    } else if (belongs_in_spool(lot.topic, alone.error())) {
      return {lot.offsets[i], alone.error()};
    } else if (Status kept = refuse(lot.topic, lot.records[i], alone.error()); !kept) {
      return {lot.offsets[i], std::move(kept)};
    }
  }
  return {lot.next, Ok{}};
}

Result<bool> SpooledLog::step() {
  EmbeddedLog* const spool = [this] {
    std::lock_guard lock(mutex_);
    return spool_.get();
  }();
  if (!spool) return false;
  const auto lot = TRY(next_lot(*spool));
  if (!lot) {
    TRY_STATUS(end_spooling());
    return false;
  }
  Carried carried = carry_over(*lot);
  if (carried.next > lot->offsets.front()) {
    TRY_STATUS(spool->commit(kCarrier, {lot->topic, 0}, carried.next));
  }
  tell();
  TRY_STATUS(std::move(carried.status));
  return true;
}

/// All is carried over: appends go to the other side again, and the files go.
Status SpooledLog::end_spooling() {
  {
    std::lock_guard lock(mutex_);
    if (TRY(next_lot(*spool_))) return Ok{};  // one came in this moment
    TRY_STATUS(put_aside());
  }
  telemetry::log(Level::info, "the spool is empty");
  tell();
  return io::remove_all(files_, emptied_);
}

/// Takes the spool away, all of it at once: half of its files would be sent again, or be damage.
/// Where that fails it is closed all the same, and the next one goes on in it. Under the lock.
Status SpooledLog::put_aside() {
  spool_.reset();  // it writes when it closes
  TRY_STATUS(io::remove_all(files_, emptied_));
  TRY_STATUS(files_.rename(options_.directory, emptied_));
  return files_.sync_directory(io::parent_of(options_.directory));
}

SpoolStatus SpooledLog::spool() {
  SpoolStatus status{.size_bytes_max = options_.size_bytes_max};
  std::lock_guard lock(mutex_);
  if (const auto refused = refused_ ? refused_->topics() : std::vector<TopicInfo>()) {
    for (const auto& topic : *refused) {
      status.refused += topic.partitions.at(0).end - topic.partitions.at(0).earliest;
    }
  }
  if (!spool_) return status;
  status.size_bytes = spool_->usage().size_bytes;
  const auto topics = spool_->topics();
  for (const auto& topic : topics ? *topics : std::vector<TopicInfo>()) {
    const PartitionInfo& its = topic.partitions.at(0);
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
