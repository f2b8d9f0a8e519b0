#include <fmt/format.h>

#include <numeric>

#include "app/commands/import_progress.h"
#include "app/loop.h"
#include "app/values.h"
#include "feeds/replay/file_feed.h"
#include "ingest/producer.h"
#include "text/value.h"
#include "warehouse/duckdb/duckdb_columnar.h"
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

Result<feeds::InputFiles> input_files(Pipeline& pipeline, const Call& call) {
  std::vector<std::string> names;
  for (const std::string& name : call.line.words) names.push_back(call.path(name));
  return feeds::list_input_files(pipeline.files(), names, [&](const std::string& path) {
    return pipeline.directory().check_outside(path);
  });
}

namespace {

struct Sent {
  std::int64_t rows = 0;
  std::int64_t messages = 0;
  std::int64_t resumed_at = 0;  // messages that an interrupted import had sent
  std::vector<feeds::FileFeed::Done> files;
  std::vector<std::string> notes;
  ingest::TradeCounts trades;
  std::int64_t bars_on_closed_dates = 0;
};

std::string topic_id(Pipeline& pipeline) {
  const auto topics = pipeline.log().topics();
  for (const auto& topic : topics ? *topics : std::vector<msglog::TopicInfo>()) {
    if (topic.name == kTopic) return topic.id;
  }
  return "";
}

/// Loads what is in the topic while more is sent to it, in pieces as large as the load task's. The
/// rest, and whatever fails here, is left to the DAG's run.
///
/// why: sending and loading leave each other time on two processors; one after the other they took
///      half as long again
class LoadingMeanwhile {
 public:
  explicit LoadingMeanwhile(Pipeline& pipeline)
      : pipeline_(pipeline),
        loop_(
            "import-loader", pipeline.clock(), [this](std::stop_token stop) { return step(stop); },
            [](const Error&) {}) {}

 private:
  Result<Duration> step(std::stop_token stop) {
    constexpr Duration kPause = std::chrono::milliseconds(20);
    if (pipeline_.tasks().status().lag < ingest::Loader::Options().records_per_load) return kPause;
    std::vector<std::int32_t> partitions(static_cast<std::size_t>(pipeline_.partitions()));
    std::iota(partitions.begin(), partitions.end(), 0);
    TRY(pipeline_.tasks().load_partitions(partitions, "import", stop));
    return Duration(0);
  }

  Pipeline& pipeline_;
  Loop loop_;  // ends before the rest goes
};

/// An import from its files to the topic.
class Sending {
 public:
  Sending(Pipeline& pipeline, const Call& call)
      : pipeline_(pipeline), call_(call), report_(pipeline.clock(), call) {}

  /// Reads the files and appends their quotes, marked as history, from where an interrupted import
  /// of the same files stopped.
  Result<Sent> send() {
    columnar_ = TRY(warehouse::make_columnar());
    const auto conditions = TRY(condition_rule(call_.line));
    auto rows_options = TRY(file_rows_options(call_.line, conditions));
    rows_options.columnar = columnar_.get();
    const auto inputs = TRY(input_files(pipeline_, call_));
    auto feed = TRY(feeds::FileFeed::open(inputs.files, {.rows = rows_options}));
    for (const auto* notes : {&inputs.notes, &feed.notes()}) {
      for (const std::string& note : *notes) note_that(note);
    }
    progress_.emplace(pipeline_.settings(),
                      ImportProgress::key_of(topic_id(pipeline_), inputs, call_.line));
    sent_.resumed_at = TRY(progress_->sent());
    if (sent_.resumed_at > 0) {
      note_that(
          fmt::format("an import of these files was interrupted; it goes on after the {} "
                      "messages that are in the topic",
                      sent_.resumed_at));
    }
    std::optional<LoadingMeanwhile> loading;
    if (!pipeline_.driven()) loading.emplace(pipeline_);  // else its scheduler does
    ingest::ProducerProbe probe(pipeline_.metrics(), "files");
    AsideLoop sender("import-sender");
    ingest::Producer producer(pipeline_.clock(), pipeline_.calendar(), feed, pipeline_.log(), probe,
                              wire::encode,
                              {.rows_per_step = 10'000,
                               .history = true,
                               .conditions = conditions,
                               .records_skipped = sent_.resumed_at,
                               .aside = &sender});
    while (!producer.finished()) {
      if (call_.stop.stop_requested()) {
        return Error{ErrorCode::cancelled, "the import was stopped",
                     "The same command goes on where it stopped."};
      }
      const auto step = TRY(producer.step());
      sent_.messages += step.records;
      if (step.records > 0) {
        TRY_STATUS(progress_->keep(sent_.resumed_at + sent_.messages));
      }
      tell(feed);
    }
    call_.terminal.end_progress();
    sent_.rows = feed.rows_read();
    sent_.files = feed.done();
    sent_.trades = producer.trade_counts();
    sent_.bars_on_closed_dates = producer.bars_on_closed_dates();
    return sent_;
  }

  /// Once everything is loaded, the same files begin anew.
  Status forget() { return progress_->forget(); }

 private:
  void note_that(const std::string& note) {
    sent_.notes.push_back(note);
    report_.line("note: " + note);
  }

  void tell(const feeds::FileFeed& feed) {
    for (; told_ < feed.done().size() && feed.files() > 1; ++told_) {
      const auto& file = feed.done()[told_];
      report_.line(
          fmt::format("read {} {} from '{}'", file.rows, feeds::to_string(file.kind), file.name));
    }
    const double part = feed.part();
    report_.show(
        [&] {
          const double seconds =
              std::chrono::duration<double>(pipeline_.clock().uptime() - began_).count();
          return fmt::format("reading file {} of {}: {} rows, {:.0f} a second{}",
                             std::min(feed.done().size() + 1, feed.files()), feed.files(),
                             feed.rows_read(), static_cast<double>(feed.rows_read()) / seconds,
                             report_.time_left(part));
        },
        part);
  }

  Pipeline& pipeline_;
  const Call& call_;
  ProgressReport report_;
  const Duration began_ = pipeline_.clock().uptime();
  std::unique_ptr<text::Columnar> columnar_;
  std::optional<ImportProgress> progress_;
  Sent sent_;
  std::size_t told_ = 0;  // files
};

/// Where each partition of the topic ends; none where there is no topic yet.
std::vector<msglog::Offset> ends_of_topic(Pipeline& pipeline) {
  std::vector<msglog::Offset> ends;
  const auto topics = pipeline.log().topics();
  for (const auto& topic : topics ? *topics : std::vector<msglog::TopicInfo>()) {
    if (topic.name != kTopic) continue;
    for (const auto& partition : topic.partitions) ends.push_back(partition.end);
  }
  return ends;
}

msglog::Offset sum(const std::vector<msglog::Offset>& offsets) {
  return std::accumulate(offsets.begin(), offsets.end(), msglog::Offset{0});
}

/// How far that is loaded, over all partitions.
Result<msglog::Offset> loaded_to(warehouse::Connection& connection,
                                 const std::vector<msglog::Offset>& ends) {
  const auto rows = TRY(connection.query(
      "select topic_partition, next_offset from raw_stocks.consumer_offsets where topic = "
      "'stock_prices'"));
  msglog::Offset loaded = 0;
  for (const auto& row : rows.rows) {
    const auto partition = static_cast<std::size_t>(std::get<std::int64_t>(row[0]));
    if (partition >= ends.size()) continue;
    loaded += std::min(std::get<std::int64_t>(row[1]), ends[partition]);
  }
  return loaded;
}

/// Runs the DAG until everything up to `end` is in the marts. The last run.
Result<state::RunRow> load_and_model(Pipeline& pipeline, const Call& call,
                                     const std::vector<msglog::Offset>& begins,
                                     const std::vector<msglog::Offset>& ends) {
  const msglog::Offset begin = sum(begins);
  const msglog::Offset end = sum(ends);
  auto connection = TRY(pipeline.warehouse().connect());
  ProgressReport report(pipeline.clock(), call);
  for (;;) {
    auto run = TRY(pipeline.run_dag(std::string(kIngestionDag), call.stop));
    const msglog::Offset loaded = TRY(loaded_to(*connection, ends));
    const auto status = pipeline.tasks().status();
    const double part =
        end > begin ? static_cast<double>(loaded - begin) / static_cast<double>(end - begin) : 1;
    report.show([&] { return "loading, modelling, testing" + report.time_left(part); }, part);
    const bool all_done = loaded >= end && status.done_load_id >= status.load_id;
    if (!all_done && run.state != "failed") continue;
    call.terminal.end_progress();
    return run;
  }
}

/// Days that have quotes of more than one origin: only one of them counts (design §4.3).
Status name_contested_days(Pipeline& pipeline, std::vector<std::string>& notes) {
  auto connection = TRY(pipeline.warehouse().connect());
  const auto days = TRY(connection->query(
      "select symbol, price_date, string_agg(origin, ', ' order by origin) from (select distinct "
      "symbol, price_date, split_part(data_source, '-', 1) || coalesce(' ' || bar_length::varchar, "
      "'') as origin from raw_stocks.stock_prices where session = 'regular' and load_id > (select "
      "max(load_id) - 100 from raw_stocks.loads)) group by symbol, price_date having count(*) > 1 "
      "order by 1, 2"));
  constexpr std::size_t kNamedMax = 5;
  for (std::size_t i = 0; i < days.rows.size() && i < kNamedMax; ++i) {
    notes.push_back(fmt::format(
        "{} {} has quotes of several origins ({}); one counts", warehouse::to_text(days.rows[i][0]),
        warehouse::to_text(days.rows[i][1]), warehouse::to_text(days.rows[i][2])));
  }
  if (days.rows.size() > kNamedMax) {
    notes.push_back(fmt::format("and {} more such days", days.rows.size() - kNamedMax));
  }
  return Ok{};
}

/// What a person should know once all is in.
Result<std::vector<std::string>> last_notes(Pipeline& pipeline, const Sent& sent) {
  std::vector<std::string> notes;
  if (sent.trades.suspicious + sent.trades.reports > 0) {
    notes.push_back(fmt::format("{} suspicious prints and {} reports were left out",
                                sent.trades.suspicious, sent.trades.reports));
  }
  if (sent.bars_on_closed_dates > 0) {
    notes.push_back(
        fmt::format("{} bars fall on dates without a session; they are in raw, and in no daily row",
                    sent.bars_on_closed_dates));
  }
  TRY_STATUS(name_contested_days(pipeline, notes));
  return notes;
}

text::Value as_json(const Sent& sent, const ingest::LoadCounts& counts, const state::RunRow& run,
                    const std::vector<std::string>& more_notes) {
  text::Value result;
  result.set("rows", sent.rows);
  result.set("messages", sent.messages);
  result.set("resumed_at", sent.resumed_at);
  set_counts(result, counts);
  result.set("run_id", run.run_id);
  result.set("state", run.state);
  text::List files;
  for (const auto& file : sent.files) {
    text::Value row;
    row.set("file", file.name);
    row.set("kind", feeds::to_string(file.kind));
    row.set("rows", file.rows);
    files.push_back(std::move(row));
  }
  result.set("files", text::Value(std::move(files)));
  text::List notes;
  for (const auto* list : {&sent.notes, &more_notes}) {
    for (const std::string& note : *list) notes.emplace_back(note);
  }
  result.set("notes", text::Value(std::move(notes)));
  return result;
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
  const auto begins = ends_of_topic(pipeline);
  Sending sending(pipeline, call);
  const Sent sent = TRY(sending.send());
  if (const auto spool = pipeline.log_engine().spool(); spool && spool->records > 0) {
    call.terminal.progress("Kafka is away: waiting until it takes what is in the spool", -1);
    TRY_STATUS(pipeline.log_engine().wait_for_spool(call.stop));
    call.terminal.end_progress();
  }
  const auto run = TRY(load_and_model(pipeline, call, begins, ends_of_topic(pipeline)));
  if (run.state != "failed") TRY_STATUS(sending.forget());
  auto counts = pipeline.tasks().status().equation;
  counts.consumed -= before.consumed;
  counts.loaded -= before.loaded;
  counts.duplicate -= before.duplicate;
  counts.superseded -= before.superseded;
  counts.dead -= before.dead;

  const auto notes = TRY(last_notes(pipeline, sent));
  if (call.json()) {
    call.terminal.out(text::to_json(as_json(sent, counts, run, notes)) + "\n");
  } else {
    call.terminal.out(fmt::format("imported {} rows as {} messages in {}\n{}\n", sent.rows,
                                  sent.messages, format_duration(pipeline.clock().uptime() - began),
                                  equation_text(counts)));
    for (const std::string& note : notes) call.terminal.err("note: " + note + "\n");
  }
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
