// What the log asks of Kafka's administration: topics made, groups' offsets written and read.

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "msglog/kafka/kafka_log.h"
#include "msglog/rules.h"

namespace tapeline::msglog {
namespace {

template <auto destroy>
struct Destroyer {
  template <typename T>
  void operator()(T* its) const {
    destroy(its);
  }
};
using Event = std::unique_ptr<rd_kafka_event_t, Destroyer<rd_kafka_event_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroyer<rd_kafka_queue_destroy>>;
using AdminOptions =
    std::unique_ptr<rd_kafka_AdminOptions_t, Destroyer<rd_kafka_AdminOptions_destroy>>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                   Destroyer<rd_kafka_topic_partition_list_destroy>>;

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
  const std::unique_ptr<rd_kafka_NewTopic_t, Destroyer<rd_kafka_NewTopic_destroy>> topic(
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

Status KafkaLog::commit_once(const std::string& group, const TopicPartition& at, Offset next) {
  const auto client = TRY(this->client());
  const std::string topic = options_.topic_prefix + at.topic;
  const Partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), at.partition)->offset = next;
  const std::unique_ptr<rd_kafka_AlterConsumerGroupOffsets_t,
                        Destroyer<rd_kafka_AlterConsumerGroupOffsets_destroy>>
      wanted(rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get()));
  const std::string what = fmt::format("committing the group '{}'", group);
  const Event event =
      TRY(ask(client->handle(), RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, answer_ms(), what,
              state_, [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                rd_kafka_AlterConsumerGroupOffsets_t* all[] = {wanted.get()};
                rd_kafka_AlterConsumerGroupOffsets(client->handle(), all, 1, options, queue);
              }));
  std::size_t count = 0;
  const auto** results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
      rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (const auto* whole = rd_kafka_group_result_error(results[i])) {
      error = rd_kafka_error_code(whole);
    } else if (const auto* parts = rd_kafka_group_result_partitions(results[i]);
               parts && parts->cnt > 0) {
      error = parts->elems[0].err;
    }
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
        error == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP) {
      return Error{ErrorCode::unavailable,
                   fmt::format("{}: somebody else consumes as that group", what),
                   "Stop that consumer, or name another group: log.group in tapeline.toml."};
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_error(error, what);
  }
  return Ok{};
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
  const std::unique_ptr<rd_kafka_ListConsumerGroupOffsets_t,
                        Destroyer<rd_kafka_ListConsumerGroupOffsets_destroy>>
      wanted(rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), list.get()));
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

Result<std::string> KafkaLog::describe_cluster() {
  const auto client = TRY(this->client());
  const rd_kafka_metadata_t* answer = nullptr;
  const auto error = rd_kafka_metadata(client->handle(), 0, nullptr, &answer, answer_ms());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return kafka_error(error, "asking Kafka for its brokers", state_.last_error());
  }
  const int brokers = answer->broker_cnt;
  rd_kafka_metadata_destroy(answer);
  state_.note_answer();
  char* const id = rd_kafka_clusterid(client->handle(), answer_ms());
  std::string text =
      fmt::format("{} broker{} of cluster {}", brokers, brokers == 1 ? "" : "s", id ? id : "?");
  if (id) rd_kafka_mem_free(client->handle(), id);
  return text;
}

}  // namespace tapeline::msglog
