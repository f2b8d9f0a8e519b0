#include "app/tasks/ingestion_tasks.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/tasks/batch.h"
#include "app/tasks/external_dbt.h"
#include "app/values.h"
#include "ingest/gaps.h"
#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

using dag::TaskContext;
using dag::TaskOutcome;
using ingest::LoadCounts;
using ingest::OffsetRange;

constexpr std::string_view kTestedKey = "models.tested_load_id";
constexpr std::string_view kTransformedKey = "models.transformed_load_id";
constexpr std::int64_t kMuch = 10'000;  // messages that are worth a run at once

// What limits the data tests to the touched days, and to the loads that the models have seen; the
// shipped project reads them in their SQL only.
constexpr const char* kTouchedAfter = "touched_after_load_id";
constexpr const char* kTouchedDays = "touched_days";
constexpr const char* kModelledUntil = "modelled_until_load_id";
const std::set<std::string> kLateVars = {kTouchedAfter, kTouchedDays, kModelledUntil};

text::Value to_value(const LoadCounts& counts) {
  text::Value value;
  set_counts(value, counts);
  return value;
}

/// "2 of 38 failed: a, b".
std::string summary(const std::vector<transform::NodeResult>& nodes) {
  std::string names;
  std::size_t failed = 0;
  for (const auto& node : nodes) {
    if (node.status != transform::NodeStatus::error && node.status != transform::NodeStatus::fail) {
      continue;
    }
    ++failed;
    if (failed <= 5) {
      names += fmt::format("{}{}{}", names.empty() ? "" : "; ", node.unique_id,
                           node.message.empty() ? "" : ": " + node.message);
    }
  }
  return fmt::format("{} of {} failed: {}", failed, nodes.size(), names);
}

}  // namespace

IngestionTasks::IngestionTasks(Parts parts, Options options,
                               std::unique_ptr<warehouse::Connection> connection)
    : parts_(parts),
      options_(std::move(options)),
      loader_options_{.group = options_.group, .kind = options_.kind},
      probe_(parts.metrics),
      connection_(std::move(connection)),
      loader_(parts.clock, parts.log, *connection_, parts.calendar, probe_, parts.aside,
              loader_options_) {}

Result<std::unique_ptr<IngestionTasks>> IngestionTasks::make(Parts parts, Options options) {
  auto connection = TRY(parts.warehouse.connect());
  auto tasks = std::unique_ptr<IngestionTasks>(
      new IngestionTasks(parts, std::move(options), std::move(connection)));
  const std::string tested = TRY(parts.settings.get(kTestedKey)).value_or("0");
  const std::string transformed = TRY(parts.settings.get(kTransformedKey)).value_or("0");
  TRY_STATUS(tasks->learn_loads());
  tasks->known_.with([&](Known& known) {
    known.status.tested_load_id = std::atoll(tested.c_str());
    known.transformed_load_id =
        std::max(known.status.tested_load_id,
                 std::min<std::int64_t>(std::atoll(transformed.c_str()), known.status.load_id));
  });
  return tasks;
}

Status IngestionTasks::set_hold(bool held) {
  return parts_.log_engine.set_hold(options_.topic,
                                    held ? std::optional(options_.group) : std::nullopt);
}

/// Takes what was loaded since it looked last into the numbers in memory, so that `has_work`
/// needs no query. They follow what is stored: a load that is repeated counts once.
Status IngestionTasks::learn_loads() {
  std::vector<msglog::Offset> next_offsets;
  const auto topics = parts_.log.topics();
  // Kafka may be away when a pipeline starts: the first batch learns the offsets then.
  if (!topics && !topics.error().retryable()) return topics.error();
  for (const auto& topic : topics ? *topics : std::vector<msglog::TopicInfo>()) {
    if (topic.name != options_.topic) continue;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const auto partition = static_cast<std::int32_t>(i);
      const auto next = TRY(loader_.next_offset(topic.id, partition));
      next_offsets.push_back(next.value_or(topic.partitions[i].earliest));
      // Retention keeps what this group has not committed.
      const Status committed =
          parts_.log.commit(options_.group, {topic.name, partition}, next_offsets.back());
      // What was loaded is known by the warehouse; on Kafka the commit is for others to look at.
      if (!committed && !parts_.log_engine.is_kafka()) return committed;
    }
  }
  const auto known_id = known_.with([](Known& known) { return known.status.load_id; });
  const auto sums = TRY(connection_->query(
      fmt::format("select sum(consumed), sum(loaded), sum(duplicate), sum(superseded), sum(dead), "
                  "max(load_id) from raw_stocks.loads where load_id > {}",
                  known_id)));
  const auto& row = sums.rows.at(0);
  known_.with([&](Known& known) {
    known.learned = topics.has_value();
    known.next = std::move(next_offsets);
    known.status.equation += {warehouse::to_integer(row[0]), warehouse::to_integer(row[1]),
                              warehouse::to_integer(row[2]), warehouse::to_integer(row[3]),
                              warehouse::to_integer(row[4])};
    known.status.load_id = std::max(known_id, warehouse::to_integer(row[5]));
  });
  return Ok{};
}

void IngestionTasks::on_transformed(std::function<void(const std::string&, const Touched&)> heard) {
  known_.with([&](Known& known) { known.heard = std::move(heard); });
}

Status IngestionTasks::check_log() {
  const auto look = [this]() -> Status {
    std::lock_guard lock(loading_);
    for (const auto& topic : TRY(parts_.log.topics())) {
      if (topic.name == options_.topic) TRY_STATUS(loader_.check(topic));
    }
    return Ok{};
  };
  const Status fits = look();
  known_.with(
      [&](Known& known) { known.problem = fits ? std::nullopt : std::optional(fits.error()); });
  TRY_STATUS(fits);
  return parts_.log_engine.recover();
}

std::optional<Error> IngestionTasks::problem() {
  if (const Status healthy = parts_.log_engine.health(); !healthy) return healthy.error();
  return known_.with([](Known& known) { return known.problem; });
}

Status IngestionTasks::at_rest(const std::function<Status()>& use) {
  std::scoped_lock lock(loading_, target_);
  const auto [load_id, transformed] = known_.with(
      [](Known& known) { return std::pair(known.status.load_id, known.transformed_load_id); });
  if (load_id > transformed) {
    const auto result = TRY(
        parts_.engine.invoke({.command = "run", .late_vars = kLateVars}, [](std::string_view) {}));
    if (result.exit_code != 0) {
      return Error{ErrorCode::unavailable, summary(result.nodes), ""};
    }
  }
  return use();
}

Result<RetentionReport> IngestionTasks::give_up_old_days() {
  RetentionReport report;
  const auto cut = [&]() -> Status {
    report =
        TRY(cut_old_days(parts_.warehouse, parts_.files, options_.retention, parts_.clock.now()));
    return Ok{};
  };
  TRY_STATUS(at_rest(cut));
  return report;
}

Result<bool> IngestionTasks::between_runs(const std::function<Status()>& use) {
  const std::unique_lock loading(loading_, std::try_to_lock);
  const std::unique_lock target(target_, std::try_to_lock);
  if (!loading || !target) return false;
  TRY_STATUS(use());
  return true;
}

Status IngestionTasks::accept_log(const msglog::TopicInfo& topic) {
  std::lock_guard lock(loading_);
  TRY_STATUS(connection_->execute(fmt::format(
      "delete from raw_stocks.consumer_offsets where consumer_group = {} and topic = {}",
      warehouse::sql_text(options_.group), warehouse::sql_text(topic.name))));
  return learn_loads();
}

Result<std::vector<OffsetRange>> IngestionTasks::pending(std::int64_t records_max, Whose whose) {
  std::vector<OffsetRange> ranges;
  const auto [next, ours] =
      known_.with([](Known& known) { return std::pair(known.next, known.ours); });
  for (const auto& topic : TRY(parts_.log.topics())) {
    if (topic.name != options_.topic) continue;
    std::set<std::int32_t> wanted;
    if (ours && whose == Whose::ours) {
      wanted = ours(static_cast<std::int32_t>(topic.partitions.size()));
    }
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      if (ours && whose == Whose::ours && !wanted.contains(static_cast<std::int32_t>(i))) continue;
      const msglog::Offset from = i < next.size() ? next[i] : topic.partitions[i].earliest;
      const msglog::Offset to = std::min(topic.partitions[i].end, from + records_max);
      if (from < to) {
        ranges.push_back({{topic.name, static_cast<std::int32_t>(i)}, topic.id, from, to});
      }
    }
  }
  return ranges;
}

void IngestionTasks::set_partitions(std::function<std::set<std::int32_t>(std::int32_t)> ours) {
  known_.with([&](Known& known) { known.ours = std::move(ours); });
}

/// Kafka's retention asks nobody: what it removed before it was loaded is written down as a gap,
/// and what is left is loaded.
Status IngestionTasks::note_lost(const std::string& run_id,
                                 const std::function<void(std::string_view)>& say) {
  std::lock_guard lock(loading_);
  bool any = false;
  for (const auto& topic : TRY(parts_.log.topics())) {
    if (topic.name != options_.topic) continue;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const msglog::TopicPartition partition{topic.name, static_cast<std::int32_t>(i)};
      const auto next = TRY(loader_.next_offset(topic.id, partition.partition));
      const msglog::Offset earliest = topic.partitions[i].earliest;
      if (!next || *next >= earliest) continue;
      Timestamp until = parts_.clock.now();
      if (earliest < topic.partitions[i].end) {
        const auto left = TRY(parts_.log.fetch(partition, earliest, {.records_max = 1}));
        if (!left.records.empty()) until = left.records[0].appended_at;
      }
      const auto rows = TRY(connection_->query(fmt::format(
          "select max(loaded_at) from raw_stocks.loads where topic_id = {} and topic_partition = "
          "{} and consumed > 0",
          warehouse::sql_text(topic.id), i)));
      const auto* since = std::get_if<Timestamp>(&rows.rows.at(0).at(0));
      const std::string lost = fmt::format(
          "Kafka's retention removed offsets {} to {} of partition {} before they were "
          "loaded",
          *next, earliest - 1, i);
      say(lost);
      telemetry::log(telemetry::Level::error, "messages lost to retention", {{"what", lost}});
      // First the gap: a crash after it finds both again.
      TRY_STATUS(ingest::record_gap(*connection_, {.feed = "kafka",
                                                   .begin = since ? std::min(*since, until) : until,
                                                   .end = until,
                                                   .cause = "retention"}));
      TRY_STATUS(loader_.pass_over({partition, topic.id, *next, earliest}, run_id));
      any = true;
    }
  }
  return any ? learn_loads() : Status(Ok{});
}

dag::Work IngestionTasks::has_work(const std::string&) {
  std::int64_t messages = 0;
  if (const auto ranges = pending(kMuch, Whose::ours)) {
    for (const OffsetRange& range : *ranges) messages += range.next - range.first;
  }
  if (messages >= kMuch) return dag::Work::much;
  const bool untested =
      known_.with([](Known& known) { return known.status.load_id > known.status.tested_load_id; });
  return messages > 0 || untested ? dag::Work::little : dag::Work::none;
}

IngestionStatus IngestionTasks::status() {
  std::int64_t lag = 0;
  if (const auto ranges = pending(std::int64_t{1} << 60, Whose::all)) {
    for (const OffsetRange& range : *ranges) lag += range.next - range.first;
  }
  return known_.with([&](Known& known) {
    known.status.lag = lag;
    return known.status;
  });
}

Result<TaskOutcome> IngestionTasks::run(const TaskContext& context) {
  if (context.action == "consume") return consume(context);
  if (context.action == "load") return load(context);
  if (context.action == "transform") return transform(context);
  if (context.action == "test") return test(context);
  if (context.action == "log_stats") return log_stats(context);
  if (context.action == "dbt") return external_dbt(context);
  if (context.action == "retain") return retain(context);
  return Error{
      ErrorCode::invalid_argument,
      fmt::format("task '{}' has an action '{}' that nobody knows", context.task, context.action),
      "Actions are consume, load, transform, test, dbt, log_stats and retain."};
}

/// What comes before a batch is fixed.
Status IngestionTasks::ready_to_load(const std::string& run_id,
                                     const std::function<void(std::string_view)>& say) {
  // What it has can be loaded while it takes nothing: its disk may be full for long.
  if (const Status fits = check_log(); !fits && !fits.error().retryable()) return fits.error();
  if (!known_.with([](Known& known) { return known.learned; })) {
    std::lock_guard lock(loading_);
    TRY_STATUS(learn_loads());
  }
  return parts_.log_engine.is_kafka() ? note_lost(run_id, say) : Status(Ok{});
}

Result<TaskOutcome> IngestionTasks::consume(const TaskContext& context) {
  TRY_STATUS(
      ready_to_load(context.run_id, [&](std::string_view line) { context.log->line(line); }));
  const auto ranges = TRY(pending(options_.records_per_run, Whose::ours));
  for (const OffsetRange& range : ranges) {
    context.log->line(fmt::format("batch: {} partition {}, offsets {} to {}", range.partition.topic,
                                  range.partition.partition, range.first, range.next));
  }
  if (ranges.empty()) context.log->line("nothing new in the topic");
  return TaskOutcome::success(to_value(ranges));
}

Result<TaskOutcome> IngestionTasks::load(const TaskContext& context) {
  std::lock_guard lock(loading_);
  const auto topics = TRY(parts_.log.topics());
  const auto ranges = TRY(batch_of(context, topics));
  const auto counts = TRY(load_ranges(ranges, context.run_id, context.stop));
  context.log->line(equation_text(counts));
  return TaskOutcome::success(to_value(counts));
}

/// holds: loading_
Result<LoadCounts> IngestionTasks::load_ranges(const std::vector<OffsetRange>& ranges,
                                               const std::string& run_id, std::stop_token stop) {
  LoadCounts counts;
  Status loaded = Ok{};
  for (const OffsetRange& range : ranges) {
    const auto its = loader_.load(range, run_id, stop);
    if (!its) {
      loaded = its.error();
      break;
    }
    counts += *its;
  }
  TRY_STATUS(learn_loads());  // what came before a failure is there
  TRY_STATUS(std::move(loaded));
  return counts;
}

Result<LoadCounts> IngestionTasks::load_partitions(const std::vector<std::int32_t>& partitions,
                                                   const std::string& run_id,
                                                   std::stop_token stop) {
  const auto theirs = [&]() -> Result<std::vector<OffsetRange>> {
    auto ranges = TRY(pending(loader_options_.records_per_load, Whose::all));
    std::erase_if(ranges, [&](const OffsetRange& range) {
      return std::ranges::find(partitions, range.partition.partition) == partitions.end();
    });
    return ranges;
  };
  if (TRY(theirs()).empty()) return LoadCounts();
  TRY_STATUS(ready_to_load(run_id, [](std::string_view) {}));
  const auto ranges = TRY(theirs());
  std::lock_guard lock(loading_);
  return load_ranges(ranges, run_id, stop);
}

Result<TaskOutcome> IngestionTasks::transform(const TaskContext& context) {
  std::lock_guard lock(target_);
  const auto load_id = known_.with([](Known& known) { return known.status.load_id; });
  const auto sink = [&](std::string_view line) { context.log->line(line); };
  const auto result =
      TRY(parts_.engine.invoke({.command = "run", .late_vars = kLateVars}, sink, context.stop));
  if (result.exit_code != 0) {
    return TaskOutcome::failed(
        Error{ErrorCode::unavailable,
              result.nodes.empty() ? "the dbt project did not run" : summary(result.nodes),
              "The task's log has dbt's own words."});
  }
  TRY_STATUS(set_transformed(context.run_id, load_id));
  return TaskOutcome::success();
}

/// The models have seen all loads up to this one: tells who draws them.
Status IngestionTasks::set_transformed(const std::string& run_id, std::int64_t load_id) {
  const auto [before, heard] =
      known_.with([](Known& known) { return std::pair(known.transformed_load_id, known.heard); });
  if (load_id <= before) return Ok{};
  // The tests may run in another process: each task of a scheduler outside can.
  TRY_STATUS(parts_.settings.set(kTransformedKey, fmt::format("{}", load_id), state::Sync::later));
  if (heard) {
    const auto connection = TRY(parts_.warehouse.connect());
    heard(run_id, TRY(touched_since(*connection, before)));
  }
  known_.with([&](Known& known) { known.transformed_load_id = load_id; });
  return Ok{};
}

Result<TaskOutcome> IngestionTasks::external_dbt(const TaskContext& context) {
  const ExternalDbt dbt = TRY(ExternalDbt::parse(context));
  std::lock_guard lock(target_);
  const auto load_id = known_.with([](Known& known) { return known.status.load_id; });
  TRY_STATUS(run_external_dbt(dbt, parts_.clock, parts_.files, parts_.warehouse, options_.scratch,
                              *context.log, context.stop));
  if (dbt.words[0] != "test") TRY_STATUS(set_transformed(context.run_id, load_id));
  if (dbt.tests()) {
    TRY_STATUS(parts_.settings.set(kTestedKey, fmt::format("{}", load_id), state::Sync::later));
    known_.with([&](Known& known) {
      known.status.tested_load_id = std::max(known.status.tested_load_id, load_id);
    });
  }
  return TaskOutcome::success();
}

Result<TaskOutcome> IngestionTasks::test(const TaskContext& context) {
  std::lock_guard lock(target_);
  const auto [load_id, tested] = known_.with([](Known& known) {
    return std::pair(known.transformed_load_id, known.status.tested_load_id);
  });
  if (load_id == 0) return TaskOutcome::skipped();  // there is no model to test yet
  const bool everything = context.params.string_or("days", "touched") == "all";
  transform::Invocation invocation{.command = "test", .late_vars = kLateVars};
  invocation.vars.set(kModelledUntil, load_id);
  if (!everything) {
    // Where all was tested, this run's tests had run when the program ended: they come again.
    const auto connection = TRY(parts_.warehouse.connect());
    const auto after =
        load_id > tested ? tested : TRY(before_loads_of(*connection, context.run_id, tested));
    text::List days;
    for (const Date day : TRY(days_since(*connection, after))) days.emplace_back(format_date(day));
    invocation.vars.set(kTouchedAfter, after);
    invocation.vars.set(kTouchedDays, text::Value(std::move(days)));
  }
  const auto sink = [&](std::string_view line) { context.log->line(line); };
  const auto result = TRY(parts_.engine.invoke(invocation, sink, context.stop));
  if (result.exit_code == 2) {
    return TaskOutcome::failed(Error{ErrorCode::unavailable, "the data tests did not run",
                                     "The task's log has dbt's own words."});
  }
  IngestionStatus::Tests tests{.at = parts_.clock.now()};
  for (const auto& node : result.nodes) {
    if (node.status == transform::NodeStatus::pass)
      ++tests.pass;
    else if (node.status == transform::NodeStatus::warn)
      ++tests.warn;
    else
      ++tests.fail;
  }
  // The tests ran, whatever they said: the next ones look at later loads.
  // Where a power cut takes that back, they only run again.
  TRY_STATUS(parts_.settings.set(kTestedKey, fmt::format("{}", load_id), state::Sync::later));
  known_.with([&, until = load_id](Known& known) {
    known.status.tested_load_id = std::max(known.status.tested_load_id, until);
    known.status.tests = tests;
  });
  if (tests.fail > 0) {
    return TaskOutcome::failed(Error{ErrorCode::corrupt, summary(result.nodes),
                                     "`tapeline dbt test` shows the tests again."},
                               false);
  }
  return TaskOutcome::success();
}

Result<TaskOutcome> IngestionTasks::log_stats(const TaskContext& context) {
  const auto found = context.values.find("load");
  if (found == context.values.end()) {
    context.log->line("nothing was loaded");
    return TaskOutcome::success();
  }
  context.log->line(text::to_json(found->second));
  if (found->second.int_or("consumed", 0) > 0) {
    telemetry::log(telemetry::Level::debug, "batch loaded",
                   {{"run", context.run_id}, {"counts", text::to_json(found->second)}});
  }
  return TaskOutcome::success(found->second);
}

Result<TaskOutcome> IngestionTasks::retain(const TaskContext& context) {
  if (options_.retention.raw_days == 0) {
    context.log->line("retention.raw_days is not set: every raw row stays");
    return TaskOutcome::skipped();
  }
  const auto report = TRY(give_up_old_days());
  context.log->line(fmt::format("days up to {}: {} raw and {} staging rows of {} days given up",
                                format_date(report.cut), report.raw_rows, report.staging_rows,
                                report.days));
  return TaskOutcome::success();
}

}  // namespace tapeline::app
