#include "app/feeding/unloaded.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline::app {

Status each_unloaded(Pipeline& pipeline, const std::function<void(const wire::QuoteView&)>& use) {
  const auto topics = pipeline.log().topics();
  if (!topics) return topics.error().retryable() ? Status(Ok{}) : topics.error();
  const auto connection = TRY(pipeline.warehouse().connect());
  wire::Decoder decoder(pipeline.directory().kind());
  for (const auto& topic : *topics) {
    if (topic.name != kTopic) continue;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const auto loaded = TRY(connection->query(fmt::format(
          "select coalesce(max(next_offset), 0) from raw_stocks.consumer_offsets where topic_id = "
          "{} and topic_partition = {}",
          warehouse::sql_text(topic.id), i)));
      const msglog::TopicPartition partition{topic.name, static_cast<std::int32_t>(i)};
      msglog::Offset at =
          std::max(std::get<std::int64_t>(loaded.rows.at(0).at(0)), topic.partitions[i].earliest);
      while (at < topic.partitions[i].end) {
        const auto fetched = TRY(pipeline.log().fetch(partition, at, {}));
        if (fetched.next == at) break;
        wire::QuoteView row;
        for (const auto& record : fetched.records) {
          if (!decoder.decode(record.value, record.appended_at, row)) use(row);
        }
        decoder.forget();
        at = fetched.next;
      }
    }
  }
  return Ok{};
}

}  // namespace tapeline::app
