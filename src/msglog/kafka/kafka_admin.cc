// What the log asks of Kafka's administration: topics made, groups' offsets written and read.

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "msglog/kafka/handles.h"
#include "msglog/kafka/kafka_log.h"
#include "msglog/rules.h"

namespace tapeline::msglog {
namespace {

constexpr int kSoonMs = 500;
constexpr int kCommitMs = 2'000;

/// Puts one question and waits for its answer.
/// errors: those of the answer
template <typename Ask>
Result<Event> ask(rd_kafka_t* handle, rd_kafka_admin_op_t kind, int answer_ms,
                  const std::string& what, const KafkaState& state, Ask&& put) {
  const AdminOptions options(rd_kafka_AdminOptions_new(handle, kind));
  char text[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), answer_ms, text, sizeof text);
  const Queue queue(rd_kafka_queue_new(handle));
  put(options.get(), queue.get());
  Event event(rd_kafka_queue_poll(queue.get(), answer_ms + 1000));
  if (!event) return kafka_error(RD_KAFKA_RESP_ERR__TIMED_OUT, what, state.last_error());
  if (const auto error = rd_kafka_event_error(event.get())) {
    const char* said = rd_kafka_event_error_string(event.get());
    return kafka_error(error, what, said ? said : state.last_error());
  }
  return event;
}

/// Asks again for a while: a cluster that has never had a group makes the place for them first, and
/// a coordinator that moves says so.
template <typename Ask>
auto of_coordinator(Clock& clock, const KafkaState& state, Ask&& ask) {
  for (int tries = 0;; ++tries) {
    auto answer = ask();
    if (answer || answer.error().code != ErrorCode::unavailable || state.away() || tries == 10) {
      return answer;
    }
    clock.wait_for(std::chrono::milliseconds(200), {});
  }
}

}  // namespace

Status KafkaLog::create_on_cluster(const std::string& name, std::int32_t partitions) {
  char text[512];
  const NewTopic topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, options_.replication, text, sizeof text));
  if (!topic) return Error{ErrorCode::invalid_argument, text, ""};
  // A value of one MiB has to fit, with its key and Kafka's own framing.
  rd_kafka_NewTopic_set_config(topic.get(), "max.message.bytes", "1179648");
  if (options_.retention_ms > 0) {
    const std::string retention = fmt::format("{}", options_.retention_ms);
    // Kafka drops whole segments only, so that one must not span more than a part of that time.
    const std::string segment =
        fmt::format("{}", std::max<std::int64_t>(options_.retention_ms / 24, 60'000));
    rd_kafka_NewTopic_set_config(topic.get(), "retention.ms", retention.c_str());
    rd_kafka_NewTopic_set_config(topic.get(), "segment.ms", segment.c_str());
  }
  const auto client = TRY(this->client());
  const std::string what = fmt::format("making the topic '{}'", name);
  const Event event =
      TRY(ask(client->handle(), RD_KAFKA_ADMIN_OP_CREATETOPICS, answer_ms(), what, state_,
              [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                rd_kafka_NewTopic_t* topics[] = {topic.get()};
                rd_kafka_CreateTopics(client->handle(), topics, 1, options, queue);
              }));
  const auto* result = rd_kafka_event_CreateTopics_result(event.get());
  std::size_t count = 0;
  const auto** made = rd_kafka_CreateTopics_result_topics(result, &count);
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto error = rd_kafka_topic_result_error(made[i])) {
      const char* said = rd_kafka_topic_result_error_string(made[i]);
      return kafka_error(error, what, said ? said : "");
    }
  }
  return Ok{};
}

Status KafkaLog::commit(const std::string& group, const TopicPartition& at, Offset next) {
  if (!known(at)) TRY_STATUS(known_afresh(at));
  return of_coordinator(clock_, state_, [&] { return commit_once(group, at, next); });
}

/// The handle that commits for a group: a consumer that joins nothing.
Result<std::shared_ptr<KafkaClient>> KafkaLog::committer(const std::string& group) {
  const auto made = committers_.with([&](auto& all) {
    const auto found = all.find(group);
    return found == all.end() ? nullptr : found->second;
  });
  if (made) return made;
  KafkaSettings settings = options_.settings;
  settings["group.id"] = group;
  // So long a commit waits for a coordinator, and the handle's end waits for the commit.
  settings["session.timeout.ms"] = std::to_string(std::min(answer_ms(), kCommitMs));
  auto client = TRY(KafkaClient::make(KafkaClient::Kind::consumer, settings, state_));
  return committers_.with([&](auto& all) {
    return all.try_emplace(group, std::shared_ptr<KafkaClient>(std::move(client))).first->second;
  });
}

/// Not by the admin API: librdkafka 2.0.2 aborts where the coordinator dies under such a request.
Status KafkaLog::commit_once(const std::string& group, const TopicPartition& at, Offset next) {
  const auto client = TRY(committer(group));
  const std::string topic = options_.topic_prefix + at.topic;
  const Partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), at.partition)->offset = next;
  const std::string what = fmt::format("committing the group '{}'", group);
  const Queue queue(rd_kafka_queue_new(client->handle()));
  auto error = rd_kafka_commit_queue(client->handle(), list.get(), queue.get(), nullptr, nullptr);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const Event event(rd_kafka_queue_poll(queue.get(), answer_ms()));
    error = event ? rd_kafka_event_error(event.get()) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const auto* parts = event ? rd_kafka_event_topic_partition_list(event.get()) : nullptr;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && parts && parts->cnt > 0) error = parts->elems[0].err;
  }
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || error == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP) {
    return Error{ErrorCode::unavailable,
                 fmt::format("{}: somebody else consumes as that group", what),
                 "Stop that consumer, or name another group: log.group in tapeline.toml."};
  }
  return error == RD_KAFKA_RESP_ERR_NO_ERROR
             ? Status(Ok{})
             : Status(kafka_error(error, what, state_.last_error()));
}

Result<std::optional<Offset>> KafkaLog::committed(const std::string& group,
                                                  const TopicPartition& at) {
  if (!known(at)) TRY_STATUS(known_afresh(at));
  for (const GroupOffset& one : TRY(offsets_of(group, at.topic))) {
    if (one.partition == at.partition) return std::optional(one.next);
  }
  return std::optional<Offset>();
}

/// What a group has committed in a topic; nothing where there is no such group.
Result<std::vector<GroupOffset>> KafkaLog::offsets_of(const std::string& group,
                                                      const std::string& topic) {
  return of_coordinator(clock_, state_, [&] { return offsets_of_once(group, topic); });
}

Result<std::vector<GroupOffset>> KafkaLog::offsets_of_once(const std::string& group,
                                                           const std::string& topic) {
  const auto client = TRY(this->client());
  const std::string full = options_.topic_prefix + topic;
  const auto partitions = known_.with([&](Known& known) {
    const auto found = known.topics.find(topic);
    return found == known.topics.end() ? 0 : static_cast<int>(found->second.partitions.size());
  });
  const Partitions list(rd_kafka_topic_partition_list_new(partitions));
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), full.c_str(), i);
  }
  const WantedOffsets wanted(rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), list.get()));
  const std::string what = fmt::format("asking for the group '{}'", group);
  const Event event =
      TRY(ask(client->handle(), RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, answer_ms(), what,
              state_, [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                rd_kafka_ListConsumerGroupOffsets_t* all[] = {wanted.get()};
                rd_kafka_ListConsumerGroupOffsets(client->handle(), all, 1, options, queue);
              }));
  std::size_t count = 0;
  const auto** results = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(event.get()), &count);
  std::vector<GroupOffset> offsets;
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto* error = rd_kafka_group_result_error(results[i])) {
      const auto code = rd_kafka_error_code(error);
      if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) continue;  // as 4.x says of one
      return kafka_error(code, what, rd_kafka_error_string(error));
    }
    const auto* parts = rd_kafka_group_result_partitions(results[i]);
    for (int p = 0; parts && p < parts->cnt; ++p) {
      if (parts->elems[p].offset < 0) continue;
      offsets.push_back({group, parts->elems[p].partition, parts->elems[p].offset});
    }
  }
  std::ranges::sort(offsets, {}, &GroupOffset::partition);
  return offsets;
}

Result<std::vector<GroupOffset>> KafkaLog::groups(const std::string& topic) {
  if (!known({topic, 0})) TRY_STATUS(known_afresh({topic, 0}));
  const auto client = TRY(this->client());
  const Event event = TRY(ask(client->handle(), RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, answer_ms(),
                              "asking Kafka for its groups", state_,
                              [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                rd_kafka_ListConsumerGroups(client->handle(), options, queue);
                              }));
  std::size_t count = 0;
  const auto** listed = rd_kafka_ListConsumerGroups_result_valid(
      rd_kafka_event_ListConsumerGroups_result(event.get()), &count);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.emplace_back(rd_kafka_ConsumerGroupListing_group_id(listed[i]));
  }
  std::ranges::sort(names);
  std::vector<GroupOffset> all;
  for (const std::string& name : names) {
    const auto offsets = TRY(offsets_of(name, topic));
    all.insert(all.end(), offsets.begin(), offsets.end());
  }
  return all;
}

/// librdkafka waits the whole time even for brokers that nobody can reach. It says soon that they
/// are away, and then nobody waits any longer.
Result<Metadata> KafkaLog::metadata(KafkaClient& client, bool topics, const std::string& what) {
  const rd_kafka_metadata_t* answer = nullptr;
  const int soon_ms = std::min(answer_ms(), kSoonMs);
  const auto ask = [&](int wait_ms) {
    return rd_kafka_metadata(client.handle(), topics ? 1 : 0, nullptr, &answer, wait_ms);
  };
  auto error = ask(soon_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR && !state_.away() && answer_ms() > soon_ms) {
    error = ask(answer_ms() - soon_ms);
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_error(error, what, state_.last_error());
  return Metadata(answer);
}

Result<std::string> KafkaLog::cluster_id(KafkaClient& client) {
  char* const its = rd_kafka_clusterid(client.handle(), answer_ms());
  if (!its) return kafka_error(RD_KAFKA_RESP_ERR__TIMED_OUT, "asking Kafka for its cluster's id");
  std::string id = its;
  rd_kafka_mem_free(client.handle(), its);
  return id;
}

Result<std::string> KafkaLog::describe_cluster() {
  const auto client = TRY(this->client());
  const int brokers = TRY(metadata(*client, false, "asking Kafka for its brokers"))->broker_cnt;
  state_.note_answer();
  return fmt::format("{} broker{} of cluster {}", brokers, brokers == 1 ? "" : "s",
                     TRY(cluster_id(*client)));
}

}  // namespace tapeline::msglog
