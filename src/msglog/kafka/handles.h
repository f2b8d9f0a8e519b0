// What librdkafka gives out and wants back, owned: each type frees itself.

#pragma once

#include <memory>

struct rd_kafka_NewTopic_s;
struct rd_kafka_ListConsumerGroupOffsets_s;
struct rd_kafka_AdminOptions_s;
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_metadata;
struct rd_kafka_op_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;
struct rd_kafka_topic_s;

namespace tapeline::msglog {

struct Destroyer {
  void operator()(rd_kafka_NewTopic_s* its) const;
  void operator()(rd_kafka_ListConsumerGroupOffsets_s* its) const;
  void operator()(rd_kafka_AdminOptions_s* its) const;
  void operator()(rd_kafka_conf_s* its) const;
  void operator()(rd_kafka_message_s* its) const;
  void operator()(const struct rd_kafka_metadata* its) const;
  void operator()(rd_kafka_op_s* its) const;
  void operator()(rd_kafka_queue_s* its) const;
  void operator()(rd_kafka_topic_partition_list_s* its) const;
  void operator()(rd_kafka_topic_s* its) const;
};

template <typename T>
using Handle = std::unique_ptr<T, Destroyer>;

using NewTopic = Handle<rd_kafka_NewTopic_s>;
using WantedOffsets = Handle<rd_kafka_ListConsumerGroupOffsets_s>;
using AdminOptions = Handle<rd_kafka_AdminOptions_s>;
using Conf = Handle<rd_kafka_conf_s>;
using Message = Handle<rd_kafka_message_s>;
using Metadata = Handle<const struct rd_kafka_metadata>;
using Event = Handle<rd_kafka_op_s>;
using Queue = Handle<rd_kafka_queue_s>;
using Partitions = Handle<rd_kafka_topic_partition_list_s>;
using Topic = Handle<rd_kafka_topic_s>;

}  // namespace tapeline::msglog
