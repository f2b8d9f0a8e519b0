#include "app/tasks/batch.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline::app {

using ingest::OffsetRange;

text::Value to_value(const std::vector<OffsetRange>& ranges) {
  text::List list;
  for (const OffsetRange& range : ranges) {
    text::Value item;
    item.set("topic", range.partition.topic);
    item.set("topic_id", range.topic_id);
    item.set("partition", std::int64_t{range.partition.partition});
    item.set("first", range.first);
    item.set("next", range.next);
    list.push_back(std::move(item));
  }
  text::Value value;
  value.set("ranges", text::Value(std::move(list)));
  return value;
}

Result<std::vector<OffsetRange>> batch_of(const dag::TaskContext& context,
                                          const std::vector<msglog::TopicInfo>& topics) {
  std::vector<OffsetRange> ranges;
  const auto found = context.values.find("consume");
  const text::Value* list = found == context.values.end() ? nullptr : found->second.find("ranges");
  if (!list || !list->is_list()) {
    context.log->line("no batch was handed on by 'consume': there is nothing to load");
    return ranges;
  }
  for (const text::Value& item : list->as_list()) {
    const auto topic = std::ranges::find(topics, item.string_or("topic_id", ""),
                                         [](const msglog::TopicInfo& its) { return its.id; });
    const std::int64_t partition = item.int_or("partition", -1);
    const std::int64_t first = item.int_or("first", -1);
    const std::int64_t next = item.int_or("next", -1);
    if (topic == topics.end() || topic->name != item.string_or("topic", "") || partition < 0 ||
        partition >= std::ssize(topic->partitions) || first < 0 || next < first) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("{} is no part of a topic here", text::to_json(item)),
                   "Run 'consume' again: it takes what is not loaded yet."};
    }
    ranges.push_back({{topic->name, static_cast<std::int32_t>(partition)}, topic->id, first, next});
  }
  return ranges;
}

}  // namespace tapeline::app
