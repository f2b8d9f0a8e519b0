#include <fmt/format.h>

#include "app/cli/rows_text.h"
#include "app/commands/topic.h"
#include "base/whole_number.h"
#include "serve/produce.h"
#include "text/nearest.h"
#include "text/value.h"

namespace tapeline::app {

Result<msglog::TopicInfo> find_topic(Pipeline& pipeline, const std::string& name) {
  std::vector<std::string> names;
  for (auto& topic : TRY(pipeline.log().topics())) {
    if (topic.name == name) return topic;
    names.push_back(topic.name);
  }
  const std::string near = text::nearest(name, names);
  return Error{ErrorCode::not_found, fmt::format("there is no topic '{}'", name),
               near.empty() ? "`tapeline topic list` shows the topics."
                            : fmt::format("Did you mean '{}'?", near)};
}

namespace {

using msglog::Offset;

Result<std::int32_t> partition_of(const Call& call, const msglog::TopicInfo& topic) {
  const std::string text = call.line.value("partition").value_or("0");
  const auto partition = whole_number(text);
  if (!partition || *partition < 0 || *partition >= std::ssize(topic.partitions)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("topic '{}' has no partition '{}'", topic.name, text),
                 fmt::format("It has {}.", topic.partitions.size())};
  }
  return static_cast<std::int32_t>(*partition);
}

/// Where --from says to begin.
Result<Offset> start_of(Pipeline& pipeline, const Call& call, const msglog::TopicPartition& from,
                        const msglog::PartitionInfo& info) {
  const std::string text = call.line.value("from").value_or("end");
  if (text == "beginning") return info.earliest;
  if (text == "end") return info.end;
  if (const auto offset = whole_number(text)) {
    if (*offset >= info.earliest && *offset <= info.end) return *offset;
    return Error{ErrorCode::invalid_argument, fmt::format("there is no offset {}", *offset),
                 fmt::format("Offsets go from {} to {}.", info.earliest, info.end)};
  }
  const auto at = parse_rfc3339(text);
  if (!at) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no place to begin", text),
                 "Say beginning, end, an offset, or a time like 2025-01-04T14:30:00Z."};
  }
  return pipeline.log().offset_at(from, at->at);
}

ExitCode list_topics(Pipeline& pipeline, const Call& call) {
  std::vector<text::Value> rows;
  for (const auto& topic : TRY(pipeline.log().topics())) {
    std::int64_t records = 0;
    std::int64_t bytes = 0;
    for (const auto& partition : topic.partitions) {
      records += partition.end - partition.earliest;
      bytes = partition.size_bytes < 0 ? -1 : bytes + partition.size_bytes;
    }
    text::Value row;
    row.set("topic", topic.name);
    row.set("partitions", static_cast<std::int64_t>(topic.partitions.size()));
    row.set("records", records);
    row.set("bytes", bytes < 0 ? text::Value() : text::Value(bytes));
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode describe_topic(Pipeline& pipeline, const Call& call) {
  const auto topic = TRY(find_topic(pipeline, call.line.words[0]));
  if (!call.json()) call.terminal.out(fmt::format("topic {}  id {}\n", topic.name, topic.id));
  std::vector<text::Value> rows;
  auto connection = TRY(pipeline.warehouse().connect());
  const auto loaded = TRY(connection->query(
      "select topic_partition, consumer_group, next_offset from raw_stocks.consumer_offsets where "
      "topic_id = " +
      warehouse::sql_text(topic.id)));
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const auto& partition = topic.partitions[i];
    text::Value row;
    row.set("partition", static_cast<std::int64_t>(i));
    row.set("earliest", partition.earliest);
    row.set("end", partition.end);
    row.set("bytes", partition.size_bytes < 0 ? text::Value() : text::Value(partition.size_bytes));
    row.set("group", nullptr);
    row.set("next_offset", nullptr);
    row.set("lag", partition.end - partition.earliest);
    for (const auto& group : loaded.rows) {
      if (std::get<std::int64_t>(group[0]) != static_cast<std::int64_t>(i)) continue;
      const auto next = std::get<std::int64_t>(group[2]);
      row.set("group", warehouse::to_text(group[1]));
      row.set("next_offset", next);
      row.set("lag", partition.end - next);
    }
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

void print_record(const Call& call, std::int32_t partition, const msglog::RecordView& record) {
  if (!call.json()) {
    const std::string key = record.key.empty() ? "-" : one_line(std::string(record.key));
    call.terminal.out(fmt::format("{}  {}  {}  {}\n", record.offset,
                                  format_rfc3339(record.appended_at), key,
                                  one_line(std::string(record.value))));
    return;
  }
  text::Value row;
  row.set("partition", std::int64_t{partition});
  row.set("offset", record.offset);
  row.set("appended_at", format_rfc3339_micros(record.appended_at));
  row.set("key", record.key);
  row.set("value", record.value);
  call.terminal.out(text::to_json(row) + "\n");
}

ExitCode tail_topic(Pipeline& pipeline, const Call& call) {
  const auto topic = TRY(find_topic(pipeline, call.line.words[0]));
  const std::int32_t partition = TRY(partition_of(call, topic));
  const msglog::TopicPartition from{topic.name, partition};
  Offset next =
      TRY(start_of(pipeline, call, from, topic.partitions[static_cast<std::size_t>(partition)]));
  const bool follow = !call.line.has("no-follow");
  while (!call.stop.stop_requested()) {
    const auto seen = pipeline.appended().count();
    const auto fetched = TRY(pipeline.log().fetch(from, next, {}));
    for (const auto& record : fetched.records) print_record(call, partition, record);
    const bool at_end = fetched.next == next;
    next = fetched.next;
    if (!at_end) continue;
    if (!follow) return 0;
    pipeline.appended().wait(seen, std::chrono::seconds(1), call.stop);
  }
  return 0;
}

ExitCode produce(Pipeline& pipeline, const Call& call) {
  const std::string& topic = call.line.words[0];
  const auto found = find_topic(pipeline, topic);
  // While Kafka is away nobody can tell; ours is there, or will be made.
  if (!found && !(found.error().retryable() && topic == kTopic)) return found.error();
  std::int64_t appended = 0;
  std::string_view rest = call.input;
  for (std::size_t number = 0;;) {
    const auto records = TRY(serve::next_records(rest, number));
    if (records.empty()) break;
    TRY_STATUS(pipeline.log().append(topic, records));
    appended += std::ssize(records);
  }
  if (const auto spool = pipeline.log_engine().spool(); spool && spool->records > 0) {
    call.terminal.err(
        fmt::format("note: Kafka is away: {} records wait in the spool, safe on this machine; "
                    "`tapeline status` shows them\n",
                    spool->records));
  }
  text::Value row;
  row.set("topic", topic);
  row.set("appended", appended);
  print_objects(call, {row});
  return 0;
}

ExitCode verify(Pipeline& pipeline, const Call& call) {
  const std::string topic = call.line.words.empty() ? "" : call.line.words[0];
  if (!topic.empty()) TRY_STATUS(find_topic(pipeline, topic));
  auto* const log = TRY(pipeline.log_engine().embedded(
      "`topic verify`",
      "Kafka checks each batch that it gives; its own kafka-dump-log reads a broker's files, and "
      "`tapeline audit` compares every record with the tables."));
  const auto report = TRY(log->verify(topic));
  text::Value row;
  row.set("segments", report.segments);
  row.set("batches", report.batches);
  row.set("records", report.records);
  row.set("bytes", report.bytes);
  row.set("findings", static_cast<std::int64_t>(report.findings.size()));
  print_objects(call, {row});
  bool damaged = false;
  for (const auto& finding : report.findings) {
    damaged = damaged || finding.is_damage;
    call.terminal.err(fmt::format("{}: {} partition {} offset {}: {} ({} at byte {})\n",
                                  finding.is_damage ? "damage" : "note", finding.where.topic,
                                  finding.where.partition, finding.offset, finding.what,
                                  finding.file, finding.position));
  }
  return damaged ? 1 : 0;
}

ExitCode accept(Pipeline& pipeline, const Call& call) {
  const auto topic = TRY(find_topic(pipeline, call.line.words[0]));
  const Status fits = pipeline.tasks().check_log();
  if (fits) {
    call.terminal.out("log and warehouse belong together; there is nothing to accept\n");
    return 0;
  }
  call.terminal.out(fmt::format("{}\n", fits.error().message));
  if (!call.line.has("yes")) {
    call.terminal.out(
        "with --yes the warehouse keeps its rows and loads this log from its earliest record on; "
        "what the lost log held and the warehouse had not loaded is gone\n");
    return 1;
  }
  TRY_STATUS(pipeline.tasks().accept_log(topic));
  call.terminal.out("accepted\n");
  return 0;
}

}  // namespace

ExitCode topic_command(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name == "topic list") return list_topics(pipeline, call);
  if (name == "topic describe") return describe_topic(pipeline, call);
  if (name == "topic tail") return tail_topic(pipeline, call);
  if (name == "topic produce") return produce(pipeline, call);
  if (name == "topic groups") return list_groups(pipeline, call);
  if (name == "topic lag") return show_lag(pipeline, call);
  if (name == "topic verify") return verify(pipeline, call);
  return accept(pipeline, call);
}

}  // namespace tapeline::app
