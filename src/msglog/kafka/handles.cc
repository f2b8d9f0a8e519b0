#include "msglog/kafka/handles.h"

#include <librdkafka/rdkafka.h>

namespace tapeline::msglog {

void Destroyer::operator()(rd_kafka_NewTopic_t* its) const { rd_kafka_NewTopic_destroy(its); }
void Destroyer::operator()(rd_kafka_ListConsumerGroupOffsets_t* its) const {
  rd_kafka_ListConsumerGroupOffsets_destroy(its);
}
void Destroyer::operator()(rd_kafka_AdminOptions_t* its) const {
  rd_kafka_AdminOptions_destroy(its);
}
void Destroyer::operator()(rd_kafka_conf_t* its) const { rd_kafka_conf_destroy(its); }
void Destroyer::operator()(rd_kafka_message_t* its) const { rd_kafka_message_destroy(its); }
void Destroyer::operator()(const rd_kafka_metadata_t* its) const { rd_kafka_metadata_destroy(its); }
void Destroyer::operator()(rd_kafka_event_t* its) const { rd_kafka_event_destroy(its); }
void Destroyer::operator()(rd_kafka_queue_t* its) const { rd_kafka_queue_destroy(its); }
void Destroyer::operator()(rd_kafka_topic_partition_list_t* its) const {
  rd_kafka_topic_partition_list_destroy(its);
}
void Destroyer::operator()(rd_kafka_topic_t* its) const { rd_kafka_topic_destroy(its); }

}  // namespace tapeline::msglog
