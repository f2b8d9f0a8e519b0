#include <fmt/format.h>

#include <algorithm>

#include "app/commands/commands.h"
#include "app/commands/forecast.h"
#include "app/values.h"
#include "ingest/raw_audit.h"

namespace tapeline::app {
namespace {

/// Models and their keys: what `audit` joins them on.
struct AuditedModel {
  std::string_view unique_id;
  std::string_view relation;
  std::string_view key;
};
constexpr AuditedModel kModels[] = {
    {"model.tapeline.stg_stock_prices", "stg_stocks.stg_stock_prices", "symbol, \"timestamp\""},
    {"model.tapeline.int_stock_daily_aggregates", "int_stocks.int_stock_daily_aggregates",
     "symbol, price_date"},
    {"model.tapeline.stock_analytics", "marts_stocks.stock_analytics", "symbol, price_date"},
    {"model.tapeline.stock_bars_1m", "marts_stocks.stock_bars_1m", "symbol, bar_start"}};

/// The condition under which two columns agree: doubles to the tolerance of design §4.3.
std::string agrees(const warehouse::Column& column) {
  const std::string a = fmt::format("a.\"{}\"", column.name);
  const std::string b = fmt::format("b.\"{}\"", column.name);
  if (column.kind != warehouse::Kind::real) return fmt::format("{} is not distinct from {}", a, b);
  const bool small = column.name.starts_with("pct_") || column.name.starts_with("momentum_");
  const std::string tolerance = column.name == "rsi_14" ? "1e-5"
                                : small
                                    ? "1e-7"
                                    : fmt::format("1e-9 * greatest(abs({}), abs({}), 1e-3)", a, b);
  return fmt::format("({0} is not distinct from {1} or abs({0} - {1}) <= {2})", a, b, tolerance);
}

/// How many rows of a model differ from those that its SQL makes of the whole history.
Result<std::int64_t> differing_rows(warehouse::Connection& connection, const AuditedModel& model,
                                    const std::string& full_sql) {
  TRY_STATUS(connection.execute(
      fmt::format("create or replace temporary table audit_model as {}", full_sql)));
  const auto columns =
      TRY(connection.query(fmt::format("select * from {} limit 0", model.relation)));
  std::string all;
  for (const auto& column : columns.columns) {
    all += (all.empty() ? "" : " and ") + agrees(column);
  }
  const auto rows = TRY(connection.query(fmt::format(
      "select count(*) from (select 1 as here, * from {}) a full join (select 1 as there, * from "
      "temp.audit_model) b using ({}) where here is null or there is null or not ({})",
      model.relation, model.key, all)));
  TRY_STATUS(connection.execute("drop table temp.audit_model"));
  return warehouse::to_integer(rows.rows.at(0).at(0));
}

struct AuditReport {
  ingest::RawAuditReport raw;
  std::vector<std::string> findings;
  std::int64_t models = 0;  // computed anew and compared
  std::int64_t tests = 0;
};

Status audit_models(Pipeline& pipeline, const Call& call, AuditReport& report) {
  auto connection = TRY(pipeline.warehouse().connect());
  const auto no_lines = [](std::string_view) {};
  const auto compiled = TRY(pipeline.engine().invoke({.command = "compile", .full_refresh = true},
                                                     *connection, no_lines, call.stop));
  for (const AuditedModel& model : kModels) {
    call.terminal.progress(fmt::format("computing {} anew", model.relation), -1);
    for (const auto& node : compiled.nodes) {
      if (node.unique_id != model.unique_id) continue;
      const auto differing = TRY(differing_rows(*connection, model, node.compiled_code));
      ++report.models;
      if (differing > 0) {
        report.findings.push_back(
            fmt::format("{}: {} rows differ from what its SQL makes of the "
                        "whole history",
                        model.relation, differing));
      }
    }
  }
  if (report.models != static_cast<std::int64_t>(std::size(kModels))) {
    report.findings.push_back(fmt::format("only {} of {} models could be computed anew",
                                          report.models, std::size(kModels)));
  }
  call.terminal.progress("running the data tests", -1);
  const auto tested =
      TRY(pipeline.engine().invoke({.command = "test"}, *connection, no_lines, call.stop));
  for (const auto& node : tested.nodes) {
    ++report.tests;
    if (node.status != transform::NodeStatus::pass && node.status != transform::NodeStatus::warn) {
      report.findings.push_back(fmt::format("data test {}: {}", node.unique_id, node.message));
    }
  }
  call.terminal.end_progress();
  return Ok{};
}

void print_audit(const Call& call, const AuditReport& report) {
  const auto& counts = report.raw.counts;
  if (call.json()) {
    text::Value value;
    value.set("from_offset", report.raw.from);
    value.set("next_offset", report.raw.next);
    value.set("records", report.raw.records);
    value.set("rows", report.raw.rows);
    value.set("rows_cut", report.raw.rows_cut);
    value.set("cut", report.raw.cut ? text::Value(format_date(*report.raw.cut)) : text::Value());
    set_counts(value, counts);
    value.set("tests", report.tests);
    text::List findings;
    for (const auto& finding : report.findings) findings.emplace_back(finding);
    value.set("findings", text::Value(std::move(findings)));
    call.terminal.out(text::to_json(value, 2) + "\n");
    return;
  }
  call.terminal.out(fmt::format(
      "topic: {} records read, from offset {} on, up to {}\n"
      "equation: {}\n"
      "raw: {} rows{}, keys and payloads compared with the topic\n"
      "models: {} computed anew and compared, {} data tests\n",
      report.raw.records, report.raw.from, report.raw.next, equation_text(counts), report.raw.rows,
      report.raw.cut ? fmt::format(", and {} given up with the days up to {}", report.raw.rows_cut,
                                   format_date(*report.raw.cut))
                     : "",
      report.models, report.tests));
  for (const auto& finding : report.findings) call.terminal.out("DIFFERS " + finding + "\n");
  call.terminal.out(report.findings.empty() ? "topic, raw, staging and marts agree\n"
                                            : fmt::format("{} findings\n", report.findings.size()));
}

/// "kafka     records wait on this machine: 1200 (0.4 MB of 5000 MB), the first for 12 s".
std::string spool_text(Pipeline& pipeline, const msglog::SpoolStatus& spool) {
  if (spool.records == 0 && spool.refused == 0) return "kafka     nothing waits in the spool\n";
  std::string line = fmt::format(
      "kafka     {} records wait on this machine ({:.1f} MB of {:.0f} MB)", spool.records,
      static_cast<double>(spool.size_bytes) / 1e6, static_cast<double>(spool.size_bytes_max) / 1e6);
  if (spool.oldest_at) {
    line += fmt::format(", the first for {}",
                        format_duration(pipeline.clock().now() - *spool.oldest_at));
  }
  if (spool.refused > 0) line += fmt::format(", {} were refused for good", spool.refused);
  return line + "\n";
}

text::Value spool_value(const msglog::SpoolStatus& spool) {
  text::Value value;
  value.set("records", spool.records);
  value.set("bytes", spool.size_bytes);
  value.set("bytes_max", spool.size_bytes_max);
  value.set("refused", spool.refused);
  value.set("oldest_at", time_value(spool.oldest_at));
  return value;
}

/// "feed      live, 48 symbols, 2 over the stream's limit".
std::string feed_text(const text::Value& feed) {
  const text::Value* symbols = feed.find("symbols");
  std::string line = fmt::format("feed      {}, {} symbols", feed.string_or("state", ""),
                                 symbols ? symbols->as_list().size() : 0);
  const auto over = feed.int_or("over_limit", 0);
  if (over > 0) line += fmt::format(", {} over the stream's limit", over);
  const std::string last = feed.string_or("last_frame_at", "");
  if (!last.empty()) line += ", last message " + last;
  const std::string error = feed.string_or("error", "");
  if (!error.empty()) line += "\n          " + error;
  return line + "\n";
}

text::Value members_value(const std::vector<MemberRow>& members) {
  text::List list;
  for (const MemberRow& member : members) {
    text::List partitions;
    for (const std::int32_t one : member.partitions) partitions.emplace_back(std::int64_t{one});
    text::Value row;
    row.set("name", member.name);
    row.set("group", member.group);
    row.set("partitions", std::move(partitions));
    list.push_back(std::move(row));
  }
  return text::Value(std::move(list));
}

/// "member    load-4711, partitions 0, 2"
std::string member_text(const MemberRow& member) {
  return fmt::format("member    {}, {}\n", member.name,
                     member.partitions.empty()
                         ? "stands by"
                         : fmt::format("partitions {}", fmt::join(member.partitions, ", ")));
}

}  // namespace

ExitCode audit(Pipeline& pipeline, const Call& call) {
  AuditReport report;
  // Of a log that is not the one that was loaded, nothing can be proved.
  if (const Status belongs = pipeline.tasks().check_log(); !belongs) {
    report.findings.push_back(belongs.error().message);
  }
  const Status done = pipeline.tasks().at_rest([&]() -> Status {
    for (const auto& topic : TRY(pipeline.log().topics())) {
      if (topic.name != kTopic) continue;
      call.terminal.progress("reading the topic", -1);
      auto connection = TRY(pipeline.warehouse().connect());
      for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const auto one = TRY(ingest::audit_raw(pipeline.log(), *connection, pipeline.calendar(),
                                               pipeline.tasks().loader_options(), topic,
                                               static_cast<std::int32_t>(i), call.stop));
        const std::int64_t records = report.raw.records + one.records;
        if (i == 0) report.raw = one;
        report.raw.records = records;
        for (const std::string& finding : one.findings) {
          // What holds over all partitions is found in each.
          if (std::ranges::find(report.findings, finding) == report.findings.end()) {
            report.findings.push_back(finding);
          }
        }
      }
    }
    if (pipeline.tasks().status().load_id == 0) return Ok{};  // there are no models yet
    return audit_models(pipeline, call, report);
  });
  TRY_STATUS(done);
  print_audit(call, report);
  return report.findings.empty() ? 0 : 1;
}

namespace {

/// "12.3 MB a day, 64.1 GB free: 5000 days"
std::string forecast_text(const DiskStatus& disk) {
  const auto size = [](double bytes) {
    return bytes < 1e9 ? fmt::format("{:.1f} MB", bytes / 1e6)
                       : fmt::format("{:.1f} GB", bytes / 1e9);
  };
  const std::string free = size(static_cast<double>(disk.free_bytes)) + " free";
  std::string text = disk.forecast ? fmt::format("{} a day, {}: {} {:.0f} days",
                                                 size(disk.forecast->bytes_per_day), free,
                                                 disk.forecast->days_left < 3650 ? "about" : "over",
                                                 std::min(disk.forecast->days_left, 3650.0))
                                   : free + "; how long it lasts shows after an hour of loads";
  if (disk.retention_bytes > 0) {
    text +=
        fmt::format("; a cut would free about {}", size(static_cast<double>(disk.retention_bytes)));
  }
  return text;
}

}  // namespace

ExitCode show_status(Pipeline& pipeline, const Call& call) {
  const auto status = pipeline.tasks().status();
  const auto usage = pipeline.log_engine().usage();
  text::Value value;
  value.set("data_directory", pipeline.directory().path());
  value.set("kind", to_string(pipeline.directory().kind()));
  value.set("running", pipeline.driven());
  set_counts(value, status.equation);
  value.set("lag", status.lag);
  value.set("log_bytes", usage.size_bytes);
  value.set("log_bytes_max", usage.size_bytes_max);
  value.set("warehouse_bytes",
            pipeline.warehouse().file_bytes() + pipeline.warehouse().wal_bytes());
  const DiskStatus disk = TRY(disk_status(pipeline));
  value.set("disk_free_bytes", disk.free_bytes);
  value.set("bytes_per_day",
            disk.forecast ? text::Value(disk.forecast->bytes_per_day) : text::Value());
  value.set("days_left", disk.forecast ? text::Value(disk.forecast->days_left) : text::Value());
  value.set("retention_bytes", disk.retention_bytes);
  const auto runs = TRY(pipeline.scheduler().runs(std::string(kIngestionDag), 1));
  value.set("last_run", runs.empty() ? text::Value() : text::Value(runs[0].run_id));
  value.set("last_run_state", runs.empty() ? text::Value() : text::Value(runs[0].state));
  const bool has_faults =
      pipeline.driven() && pipeline.directory().kind() == DirectoryKind::simulated;
  const std::string faults = has_faults ? pipeline.config().text("simulator.faults") : "";
  if (!faults.empty()) value.set("faults", faults);
  const FeedReport report = pipeline.members().feed();
  const text::Value feed = report.name == "none" ? text::Value() : state_value(report);
  value.set("feed", feed);
  const auto members = pipeline.members().list();
  value.set("members", members_value(members));
  const auto spool = pipeline.log_engine().spool();
  value.set("log", spool ? "kafka" : "embedded");
  if (spool) value.set("spool", spool_value(*spool));
  const Status healthy = pipeline.tasks().check_log();
  value.set("healthy", healthy.has_value());
  if (call.json()) {
    call.terminal.out(text::to_json(value, 2) + "\n");
    return healthy ? 0 : 1;
  }
  const auto megabytes = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  call.terminal.out(fmt::format(
      "data      {} ({}), {}\n"
      "equation  {}\n"
      "lag       {} messages in the topic are not loaded yet\n"
      "last run  {}\n"
      "disk      {} {:.1f} MB of {:.0f} MB, warehouse {:.1f} MB\n"
      "forecast  {}\n",
      pipeline.directory().path(), to_string(pipeline.directory().kind()),
      pipeline.driven() ? "running" : "not running", equation_text(status.equation), status.lag,
      runs.empty() ? "none" : fmt::format("{}, {}", runs[0].state, runs[0].run_id),
      spool ? "spool" : "log", megabytes(usage.size_bytes), megabytes(usage.size_bytes_max),
      megabytes(pipeline.warehouse().file_bytes() + pipeline.warehouse().wal_bytes()),
      forecast_text(disk)));
  if (!faults.empty()) call.terminal.out(fmt::format("faults    {}, by the simulator\n", faults));
  if (spool) call.terminal.out(spool_text(pipeline, *spool));
  if (!feed.is_null()) call.terminal.out(feed_text(feed));
  // One process that does all of it is not worth a word.
  const auto is_first = [&](const MemberRow& member) { return member.name == members[0].name; };
  if (!std::ranges::all_of(members, is_first)) {
    for (const MemberRow& member : members) call.terminal.out(member_text(member));
  }
  if (!healthy) call.terminal.error(healthy.error());
  return healthy ? 0 : 1;
}

}  // namespace tapeline::app
