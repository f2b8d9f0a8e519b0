#include "msglog/kafka/kafka_log.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "msglog/embedded/murmur2.h"
#include "msglog/rules.h"

namespace tapeline::msglog {
namespace {

constexpr Duration kFailureHolds = std::chrono::seconds(2);
constexpr Duration kOldAfter = std::chrono::milliseconds(250);

/// What names a topic for those who keep offsets of it: 32 hexadecimal digits.
std::string topic_id(const std::string& cluster, const std::string& topic) {
  std::string id;
  for (const char* part : {"a", "b", "c", "d"}) {
    id += fmt::format("{:08x}", murmur2(part + cluster + "/" + topic));
  }
  return id;
}

}  // namespace

KafkaLog::KafkaLog(Clock& clock, Options options)
    : clock_(clock),
      options_(std::move(options)),
      state_(options_.metrics ? *options_.metrics : own_metrics_) {}

KafkaLog::~KafkaLog() = default;

Result<std::unique_ptr<KafkaLog>> KafkaLog::open(Clock& clock, Options options) {
  auto log = std::unique_ptr<KafkaLog>(new KafkaLog(clock, std::move(options)));
  TRY_STATUS(log->start());
  return log;
}

Status KafkaLog::start() {
  producer_ = TRY(KafkaProducer::make(clock_, state_, options_.settings));
  reader_ = std::make_unique<KafkaReader>(clock_, state_, options_.settings, options_.appended);
  return Ok{};
}

int KafkaLog::answer_ms() const {
  return static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.answer_max).count());
}

/// The first and the last offsets of partitions: one question to each leader for the first, one
/// for the last. A partition that does not answer both, as one without a leader, is left out.
Result<KafkaLog::Ends> KafkaLog::ask_ends(KafkaClient& client,
                                          const std::vector<TopicPartition>& partitions) {
  Ends ends;
  if (partitions.empty()) return ends;
  for (const std::int64_t what : {RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END}) {
    const Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const TopicPartition& one : partitions) {
      rd_kafka_topic_partition_list_add(list.get(), one.topic.c_str(), one.partition)->offset =
          what;
    }
    const auto error = rd_kafka_offsets_for_times(client.handle(), list.get(), answer_ms());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const Error failure =
          kafka_error(error, "asking where topics begin and end", state_.last_error());
      const bool of_one = error > RD_KAFKA_RESP_ERR_NO_ERROR && partitions.size() > 1;
      if (!of_one) return failure;
      // A broker's error is one partition's, as of one that moves: the others have answers.
      ends.clear();  // the halves of them that are known
      for (const TopicPartition& one : partitions) {
        auto alone = ask_ends(client, {one});
        if (alone) ends.merge(*alone);
        if (!alone && alone.error().code == ErrorCode::timed_out) return failure;
      }
      return ends;
    }
    for (int i = 0; i < list->cnt; ++i) {
      const rd_kafka_topic_partition_t& one = list->elems[i];
      const TopicPartition its{one.topic, one.partition};
      if (one.err != RD_KAFKA_RESP_ERR_NO_ERROR || one.offset < 0) {
        ends.erase(its);
      } else if (what == RD_KAFKA_OFFSET_BEGINNING) {
        ends[its].earliest = one.offset;
      } else if (const auto found = ends.find(its); found != ends.end()) {
        found->second.end = one.offset;
      }
    }
  }
  return ends;
}

Status KafkaLog::refresh() {
  std::lock_guard lock(asking_);
  // Where nobody answered a moment ago, those who asked meanwhile do not wait once more.
  const auto failure = known_.with([&](Known& known) -> std::optional<Error> {
    const bool fresh = known.failed_at && clock_.uptime() - *known.failed_at < kFailureHolds;
    return fresh ? known.failure : std::nullopt;
  });
  if (failure && state_.away()) return *failure;
  Status asked = ask_all();
  known_.with([&](Known& known) {
    known.failed_at = asked ? std::nullopt : std::optional(clock_.uptime());
    known.failure = asked ? std::nullopt : std::optional(asked.error());
  });
  return asked;
}

Status KafkaLog::ask_all() {
  const auto client = TRY(producer_->client());
  const std::uint64_t look = known_.with([](Known& known) { return ++known.looks; });
  std::vector<TopicPartition> all;  // those that have a leader, who can be asked
  const auto ask = [&]() -> Result<std::map<std::string, std::vector<TopicPartition>>> {
    const Metadata metadata = TRY(this->metadata(*client, true, "asking Kafka for its topics"));
    std::map<std::string, std::vector<TopicPartition>> found;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
      const std::string_view name = topic.topic;
      if (!name.starts_with(options_.topic_prefix) || name.starts_with("__")) continue;
      if (topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
      auto& partitions = found[std::string(name)];
      for (int p = 0; p < topic.partition_cnt; ++p) {
        partitions.push_back({std::string(name), p});
        if (topic.partitions[p].leader >= 0) all.push_back(partitions.back());
      }
    }
    return found;
  };
  const auto found = TRY(ask());
  const Ends ends = TRY(ask_ends(*client, all));
  const std::string cluster = TRY(cluster_id(*client));
  state_.note_answer();

  known_.with([&](Known& known) {
    std::map<std::string, KnownTopic> topics;
    for (const auto& [full, partitions] : found) {
      const std::string name = full.substr(options_.topic_prefix.size());
      KnownTopic topic;
      bool unanswered = false;
      topic.id = topic_id(cluster, full);
      const auto before = known.topics.find(name);
      for (std::size_t i = 0; i < partitions.size(); ++i) {
        const bool was_known = before != known.topics.end() && i < before->second.partitions.size();
        KnownPartition one = was_known ? before->second.partitions[i] : KnownPartition{};
        const auto its = ends.find(partitions[i]);
        // Of what nobody could be asked, the last answer stands; without one it would look empty.
        unanswered = unanswered || (its == ends.end() && !was_known);
        if (its != ends.end()) {
          // What was confirmed or read since the question was put is not taken back by its answer.
          const Offset raised = one.raised_at >= look ? one.info.end : 0;
          one.info.earliest = its->second.earliest;
          one.info.end = std::max(its->second.end, raised);
        }
        one.info.size_bytes = -1;
        topic.partitions.push_back(one);
      }
      if (!unanswered) topics[name] = std::move(topic);
    }
    known.topics = std::move(topics);
    known.at = clock_.uptime();
  });
  reader_->close_idle();
  return Ok{};
}

/// A fresh look is taken where the last is a while ago; while no broker answers, the old one
/// serves.
Status KafkaLog::refresh_if_old() {
  const auto at = known_.with([](Known& known) { return known.at; });
  if (at && clock_.uptime() - *at < kOldAfter) return Ok{};
  if (at && state_.away()) return Ok{};
  const Status done = refresh();
  return at && !done && done.error().retryable() ? Ok{} : done;
}

Result<std::vector<TopicInfo>> KafkaLog::topics() {
  TRY_STATUS(refresh_if_old());
  return known_.with([](Known& known) {
    std::vector<TopicInfo> all;
    for (const auto& [name, topic] : known.topics) {
      TopicInfo info{name, topic.id, {}};
      for (const auto& partition : topic.partitions) info.partitions.push_back(partition.info);
      all.push_back(std::move(info));
    }
    return all;
  });
}

Result<PartitionInfo> KafkaLog::known(const TopicPartition& at) {
  return known_.with([&](Known& known) -> Result<PartitionInfo> {
    const auto topic = known.topics.find(at.topic);
    const auto index = static_cast<std::size_t>(at.partition);
    if (topic == known.topics.end() || at.partition < 0 ||
        index >= topic->second.partitions.size()) {
      Error none = no_topic(at.topic);
      if (topic != known.topics.end()) {
        none.message = fmt::format("topic '{}' has no partition {}", at.topic, at.partition);
      }
      return none;
    }
    return topic->second.partitions[index].info;
  });
}

Result<PartitionInfo> KafkaLog::known_afresh(const TopicPartition& at) {
  TRY_STATUS(refresh());
  return known(at);
}

void KafkaLog::raise_end(const TopicPartition& at, Offset end) {
  known_.with([&](Known& known) {
    const auto topic = known.topics.find(at.topic);
    const auto index = static_cast<std::size_t>(at.partition);
    if (topic == known.topics.end() || index >= topic->second.partitions.size()) return;
    KnownPartition& one = topic->second.partitions[index];
    if (end <= one.info.end) return;
    one.info.end = end;
    one.raised_at = known.looks;
  });
}

Result<std::vector<Position>> KafkaLog::append(const std::string& topic,
                                               std::span<const Record> records) {
  TRY_STATUS(check_records(records));
  // The producer would make a topic that is not there, where the brokers let it.
  if (!known({topic, 0})) TRY_STATUS(known_afresh({topic, 0}));
  auto positions = TRY(producer_->append(options_.topic_prefix + topic, records));
  std::map<std::int32_t, Offset> ends;
  for (const Position& one : positions) {
    Offset& end = ends[one.partition];
    end = std::max(end, one.offset + 1);
  }
  for (const auto& [partition, end] : ends) raise_end({topic, partition}, end);
  if (options_.appended) options_.appended->notify();
  return positions;
}

Result<FetchedRecords> KafkaLog::fetch(const TopicPartition& from, Offset start,
                                       FetchLimits limits) {
  auto info = known(from);
  if (!info || start < info->earliest || start > info->end) info = known_afresh(from);
  const auto outside = [&](const PartitionInfo& its) {
    state_.probe.out_of_range.add();
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("partition {} of '{}' has no offset {}", from.partition, from.topic, start),
        fmt::format("It goes from {} to {}.", its.earliest, its.end)};
  };
  const PartitionInfo its = TRY(std::move(info));
  if (start < its.earliest || start > its.end) return outside(its);
  auto fetched =
      reader_->fetch(options_.topic_prefix + from.topic, from.partition, start, its.end, limits);
  if (!fetched && fetched.error().code == ErrorCode::invalid_argument) {
    // The brokers have less than was known: a topic that went back, or retention in this moment.
    return outside(TRY(known_afresh(from)));
  }
  if (fetched) raise_end(from, fetched->next);
  return fetched;
}

Result<Offset> KafkaLog::offset_at(const TopicPartition& from, Timestamp at) {
  const PartitionInfo info = TRY(known_afresh(from));
  const auto at_ms = std::chrono::ceil<std::chrono::milliseconds>(at).time_since_epoch().count();
  if (at_ms <= 0) return info.earliest;
  const auto client = TRY(producer_->client());
  const Partitions list(rd_kafka_topic_partition_list_new(1));
  const std::string topic = options_.topic_prefix + from.topic;
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), from.partition)->offset = at_ms;
  auto error = rd_kafka_offsets_for_times(client->handle(), list.get(), answer_ms());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return kafka_error(error, fmt::format("looking for a time in '{}'", from.topic),
                       state_.last_error());
  }
  const Offset found = list->elems[0].offset;
  return found < 0 ? info.end : found;
}

Status KafkaLog::health() const {
  if (!state_.away()) return Ok{};
  return Error{ErrorCode::unavailable,
               fmt::format("no broker of Kafka answers: {}", state_.last_error()),
               "`tapeline doctor` tries the brokers."};
}

Status KafkaLog::create_topic(const std::string& name, std::int32_t partitions) {
  TRY_STATUS(check_topic(name, partitions));
  const std::string full = options_.topic_prefix + name;
  TRY_STATUS(check_topic(full, partitions));
  TRY_STATUS(refresh());
  if (known({name, 0})) return topic_is_there(name);
  TRY_STATUS(create_on_cluster(full, partitions));
  // The controller answers before every broker has heard of the topic.
  for (int tries = 0; tries < 100; ++tries) {
    const Status looked = refresh();
    if (looked && known({name, partitions - 1})) return Ok{};
    if (!looked && state_.away()) return looked;
    clock_.wait_for(std::chrono::milliseconds(50), {});
  }
  return Error{ErrorCode::timed_out,
               fmt::format("the topic '{}' was made, but no broker serves it yet", name),
               "`tapeline doctor` tries the brokers."};
}

}  // namespace tapeline::msglog
