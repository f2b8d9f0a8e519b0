#include <fmt/format.h>

#include <algorithm>

#include "app/commands/topic.h"

namespace tapeline::app {
namespace {

/// How far somebody has got in a partition, and who keeps that.
struct Progress {
  std::string group;
  std::int32_t partition = 0;
  msglog::Offset next = 0;
  std::string kept_in;  // "warehouse": in the transaction of the rows; "log": as groups commit
};

/// What the warehouse keeps of its loader, and what every group has committed in the log.
Result<std::vector<Progress>> progress_in(Pipeline& pipeline, const msglog::TopicInfo& topic) {
  std::vector<Progress> all;
  auto connection = TRY(pipeline.warehouse().connect());
  const auto loaded = TRY(connection->query(
      "select consumer_group, topic_partition, next_offset from raw_stocks.consumer_offsets where "
      "topic_id = " +
      warehouse::sql_text(topic.id) + " order by all"));
  for (const auto& row : loaded.rows) {
    all.push_back({warehouse::to_text(row[0]),
                   static_cast<std::int32_t>(std::get<std::int64_t>(row[1])),
                   std::get<std::int64_t>(row[2]), "warehouse"});
  }
  for (const auto& group : TRY(pipeline.log().groups(topic.name))) {
    all.push_back({group.group, group.partition, group.next, "log"});
  }
  return all;
}

msglog::Offset lag_of(const msglog::TopicInfo& topic, const Progress& one) {
  const auto index = static_cast<std::size_t>(one.partition);
  return index < topic.partitions.size()
             ? std::max<msglog::Offset>(0, topic.partitions[index].end - one.next)
             : 0;
}

}  // namespace

ExitCode list_groups(Pipeline& pipeline, const Call& call) {
  const auto topic = TRY(find_topic(pipeline, call.line.words[0]));
  std::vector<text::Value> rows;
  for (const Progress& one : TRY(progress_in(pipeline, topic))) {
    text::Value row;
    row.set("group", one.group);
    row.set("partition", std::int64_t{one.partition});
    row.set("next_offset", one.next);
    row.set("lag", lag_of(topic, one));
    row.set("kept_in", one.kept_in);
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode show_lag(Pipeline& pipeline, const Call& call) {
  const auto topic = TRY(find_topic(pipeline, call.line.words[0]));
  std::vector<text::Value> rows;
  for (const Progress& one : TRY(progress_in(pipeline, topic))) {
    const auto same = std::ranges::find_if(rows, [&](const text::Value& row) {
      return row.string_or("group", "") == one.group && row.string_or("kept_in", "") == one.kept_in;
    });
    if (same != rows.end()) {
      same->set("lag", same->int_or("lag", 0) + lag_of(topic, one));
      continue;
    }
    text::Value row;
    row.set("group", one.group);
    row.set("lag", lag_of(topic, one));
    row.set("kept_in", one.kept_in);
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

}  // namespace tapeline::app
