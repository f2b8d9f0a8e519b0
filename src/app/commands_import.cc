#include <fmt/format.h>

#include "app/commands.h"
#include "app/values.h"
#include "feeds/replay/file_feed.h"
#include "ingest/producer.h"
#include "text/value.h"
#include "wire/message.h"

namespace tapeline::app {

Result<feeds::FileRowsOptions> file_rows_options(const Invocation& line,
                                                 ingest::ConditionRule conditions) {
  feeds::FileRowsOptions options;
  options.with_conditions = conditions != ingest::ConditionRule::plain;
  if (const auto length = line.value("bar-length")) {
    options.bar_length = bar_length_from_text(*length);
    if (!options.bar_length) {
      return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no length of a bar", *length),
                   "Lengths are 1m, 5m, 15m, 30m, 1h, 4h and 1d."};
    }
  }
  return options;
}

Result<ingest::ConditionRule> condition_rule(const Invocation& line) {
  const std::string name = line.value("conditions").value_or("plain");
  if (name == "plain") return ingest::ConditionRule::plain;
  if (name == "algoseek") return ingest::ConditionRule::algoseek;
  return Error{ErrorCode::invalid_argument,
               fmt::format("nobody knows the conditions of '{}'", name),
               "They are read as plain (by time alone) or algoseek."};
}

namespace {

struct Sent {
  std::int64_t rows = 0;
  std::int64_t messages = 0;
  ingest::TradeCounts trades;
  std::int64_t bars_on_closed_dates = 0;
};

/// Reads the files and appends their quotes, marked as history.
Result<Sent> send_files(Pipeline& pipeline, const Call& call) {
  const auto conditions = TRY(condition_rule(call.line));
  const auto rows_options = TRY(file_rows_options(call.line, conditions));
  std::vector<std::filesystem::path> files;
  for (const std::string& name : call.line.words) files.emplace_back(call.path(name));
  auto feed = TRY(feeds::FileFeed::open(files, {.rows = rows_options}));
  for (const std::string& note : feed.notes()) call.terminal.err("note: " + note + "\n");
  ingest::ProducerProbe probe(pipeline.metrics(), "files");
  ingest::Producer producer(pipeline.clock(), pipeline.calendar(), feed, pipeline.log(), probe,
                            wire::encode, {.history = true, .conditions = conditions});
  Sent sent;
  while (!producer.finished()) {
    if (call.stop.stop_requested()) {
      return Error{ErrorCode::cancelled, "the import was stopped",
                   "Import the same files again: what is there already counts as duplicate."};
    }
    const auto step = TRY(producer.step());
    sent.messages += step.records;
    call.terminal.progress(
        fmt::format("reading: {} rows, {} messages in the topic", feed.rows_read(), sent.messages),
        -1);
  }
  call.terminal.end_progress();
  sent.rows = feed.rows_read();
  sent.trades = producer.trade_counts();
  sent.bars_on_closed_dates = producer.bars_on_closed_dates();
  return sent;
}

msglog::Offset end_of_topic(Pipeline& pipeline) {
  const auto topics = pipeline.log().topics();
  if (topics) {
    for (const auto& topic : *topics) {
      if (topic.name == kTopic) return topic.partitions.at(0).end;
    }
  }
  return 0;
}

Result<msglog::Offset> loaded_to(warehouse::Connection& connection) {
  const auto rows = TRY(connection.query(
      "select coalesce(max(next_offset), 0) from raw_stocks.consumer_offsets where topic = "
      "'stock_prices'"));
  return std::get<std::int64_t>(rows.rows.at(0).at(0));
}

/// Runs the DAG until everything up to `end` is in the marts. The last run.
Result<state::RunRow> load_and_model(Pipeline& pipeline, const Call& call, msglog::Offset begin,
                                     msglog::Offset end) {
  auto connection = TRY(pipeline.warehouse().connect());
  for (;;) {
    auto run = TRY(pipeline.run_dag(std::string(kIngestionDag), call.stop));
    const msglog::Offset loaded = TRY(loaded_to(*connection));
    const auto status = pipeline.tasks().status();
    call.terminal.progress(
        "loading, modelling, testing",
        end > begin ? static_cast<double>(loaded - begin) / static_cast<double>(end - begin) : 1);
    if (run.state == "failed" && loaded < end) return run;
    if (loaded >= end && status.tested_load_id >= status.load_id) {
      call.terminal.end_progress();
      return run;
    }
  }
}

/// Days that have quotes of more than one origin: only one of them counts (design §4.3).
Status name_contested_days(Pipeline& pipeline, const Call& call) {
  auto connection = TRY(pipeline.warehouse().connect());
  const auto days = TRY(connection->query(
      "select symbol, price_date, string_agg(origin, ', ' order by origin) from (select distinct "
      "symbol, price_date, split_part(data_source, '-', 1) || coalesce(' ' || bar_length::varchar, "
      "'') as origin from raw_stocks.stock_prices where session = 'regular' and load_id > (select "
      "max(load_id) - 100 from raw_stocks.loads)) group by symbol, price_date having count(*) > 1 "
      "order by 1, 2"));
  constexpr std::size_t kNamedMax = 5;
  for (std::size_t i = 0; i < days.rows.size() && i < kNamedMax; ++i) {
    call.terminal.err(fmt::format("note: {} {} has quotes of several origins ({}); one counts\n",
                                  warehouse::to_text(days.rows[i][0]),
                                  warehouse::to_text(days.rows[i][1]),
                                  warehouse::to_text(days.rows[i][2])));
  }
  if (days.rows.size() > kNamedMax) {
    call.terminal.err(fmt::format("note: and {} more such days\n", days.rows.size() - kNamedMax));
  }
  return Ok{};
}

}  // namespace

ExitCode import_files(Pipeline& pipeline, const Call& call) {
  for (const auto& info : pipeline.scheduler().dags()) {
    if (info.dag->id == kIngestionDag && info.paused) {
      return Error{ErrorCode::unavailable,
                   fmt::format("the DAG '{}' is paused, so nothing would be loaded", kIngestionDag),
                   fmt::format("`tapeline dag unpause {}` lets it run.", kIngestionDag)};
    }
  }
  const Duration began = pipeline.clock().uptime();
  const auto before = pipeline.tasks().status().equation;
  const msglog::Offset begin = end_of_topic(pipeline);
  const Sent sent = TRY(send_files(pipeline, call));
  const msglog::Offset end = end_of_topic(pipeline);
  const auto run = TRY(load_and_model(pipeline, call, begin, end));
  auto counts = pipeline.tasks().status().equation;
  counts.consumed -= before.consumed;
  counts.loaded -= before.loaded;
  counts.duplicate -= before.duplicate;
  counts.superseded -= before.superseded;
  counts.dead -= before.dead;

  if (call.json()) {
    text::Value result;
    result.set("rows", sent.rows);
    result.set("messages", sent.messages);
    set_counts(result, counts);
    result.set("run_id", run.run_id);
    result.set("state", run.state);
    call.terminal.out(text::to_json(result) + "\n");
  } else {
    call.terminal.out(fmt::format("imported {} rows as {} messages in {}\n{}\n", sent.rows,
                                  sent.messages, format_duration(pipeline.clock().uptime() - began),
                                  equation_text(counts)));
  }
  if (sent.trades.suspicious + sent.trades.reports > 0) {
    call.terminal.err(fmt::format("note: {} suspicious prints and {} reports were left out\n",
                                  sent.trades.suspicious, sent.trades.reports));
  }
  if (sent.bars_on_closed_dates > 0) {
    call.terminal.err(fmt::format(
        "note: {} bars fall on dates without a session; they are in raw, and in no daily row\n",
        sent.bars_on_closed_dates));
  }
  TRY_STATUS(name_contested_days(pipeline, call));
  if (run.state == "failed") {
    call.terminal.error(
        {ErrorCode::unavailable, run.error,
         fmt::format("`tapeline dag logs {} {}` has the details.", kIngestionDag, run.run_id)});
    return 1;
  }
  if (!call.json()) {
    call.terminal.out(fmt::format("see it: tapeline up --feed none --data-dir {}\n",
                                  pipeline.directory().path()));
  }
  return 0;
}

}  // namespace tapeline::app
