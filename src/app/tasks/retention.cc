#include "app/tasks/retention.h"

#include <fmt/format.h>

#include <vector>

#include "market/calendar.h"

namespace tapeline::app {
namespace {

std::string up_to(Date cut) { return fmt::format("price_date <= date '{}'", format_date(cut)); }

/// Staging is there once the models ran.
Result<bool> has_staging(warehouse::Connection& connection) {
  const auto rows = TRY(connection.query(
      "select count(*) from duckdb_tables() where schema_name = 'stg_stocks' and table_name = "
      "'stg_stock_prices'"));
  return warehouse::to_integer(rows.rows.at(0).at(0)) > 0;
}

Result<RetentionReport> plan(warehouse::Connection& connection, const RetentionPolicy& policy,
                             Timestamp now) {
  if (policy.raw_days <= 0) {
    return Error{ErrorCode::invalid_argument, "retention is off: every raw row stays",
                 "Set retention.raw_days in tapeline.toml (or TAPELINE_RETENTION_RAW_DAYS) to how "
                 "many days stay, and start tapeline again."};
  }
  RetentionReport report{.cut = Calendar::new_york_date(now) - std::chrono::days(policy.raw_days)};
  const auto raw = TRY(connection.query(
      fmt::format("select count(*), count(distinct price_date), (select max(price_date) from "
                  "raw_stocks.retention) from raw_stocks.stock_prices where {}",
                  up_to(report.cut))));
  report.raw_rows = warehouse::to_integer(raw.rows.at(0)[0]);
  report.days = warehouse::to_integer(raw.rows[0][1]);
  if (const auto* earlier = std::get_if<Date>(&raw.rows[0][2])) report.earlier = *earlier;
  if (TRY(has_staging(connection))) {
    const auto staging = TRY(connection.query(
        "select count(*) from stg_stocks.stg_stock_prices where " + up_to(report.cut)));
    report.staging_rows = warehouse::to_integer(staging.rows.at(0)[0]);
  }
  return report;
}

/// A file a day, so that writing one again replaces it.
Status archive_days(warehouse::DuckDbWarehouse& warehouse, warehouse::Connection& connection,
                    io::FileSystem& files, const RetentionPolicy& policy, Date cut) {
  TRY_STATUS(io::make_directories(files, policy.archive));
  const auto days =
      TRY(connection.query("select distinct price_date from raw_stocks.stock_prices where " +
                           up_to(cut) + " order by 1"));
  std::vector<warehouse::DuckDbWarehouse::ParquetFile> made;
  for (const auto& row : days.rows) {
    const std::string day = format_date(std::get<Date>(row[0]));
    made.push_back({fmt::format("from raw_stocks.stock_prices where price_date = date '{}'", day),
                    fmt::format("{}/stock_prices_{}.parquet.tmp", policy.archive, day)});
  }
  TRY_STATUS(warehouse.write_parquet(made));
  for (const auto& [select, temporary] : made) {
    const auto written = TRY(files.open(temporary.string(), io::OpenMode::write));
    TRY_STATUS(written->sync_data());
    const std::string path = temporary.string();
    TRY_STATUS(files.rename(path, path.substr(0, path.rfind('.'))));
  }
  return files.sync_directory(policy.archive);
}

Status delete_days(warehouse::Connection& connection, const RetentionPolicy& policy,
                   const RetentionReport& report, Timestamp now) {
  // A number of its own among the loads': a loader that is at work elsewhere fails on it, and the
  // next one sees that somebody was here.
  const auto moved = TRY(connection.query(
      "update raw_stocks.load_counter set last_load_id = last_load_id + 1 returning "
      "last_load_id"));
  const auto raw =
      TRY(connection.query("delete from raw_stocks.stock_prices where " + up_to(report.cut)));
  std::int64_t staging_rows = 0;
  if (TRY(has_staging(connection))) {
    staging_rows =
        TRY(connection.query("delete from stg_stocks.stg_stock_prices where " + up_to(report.cut)))
            .changed;
    // The row before these is gone: as in a full refresh, they are compared with none.
    TRY_STATUS(connection.execute(
        "update stg_stocks.stg_stock_prices as kept set price_change_pct = null, is_price_spike = "
        "false from (select symbol, min(\"timestamp\") as first_at from "
        "stg_stocks.stg_stock_prices where is_valid group by symbol) as firsts where kept.symbol "
        "= firsts.symbol and kept.\"timestamp\" = firsts.first_at and kept.price_change_pct is "
        "not null"));
  }
  if (raw.changed != report.raw_rows) {
    return Error{ErrorCode::unavailable,
                 fmt::format("{} raw rows are there to give up, {} were counted before",
                             raw.changed, report.raw_rows),
                 "Somebody else writes to the warehouse; try again."};
  }
  return connection.execute(fmt::format(
      "insert into raw_stocks.retention values ({}, date '{}', {}, {}, {}, timestamp '{}')",
      warehouse::to_integer(moved.rows.at(0).at(0)), format_date(report.cut), raw.changed,
      staging_rows, warehouse::sql_text(policy.archive), format_rfc3339_micros(now)));
}

}  // namespace

Result<RetentionReport> plan_retention(warehouse::DuckDbWarehouse& warehouse,
                                       const RetentionPolicy& policy, Timestamp now) {
  const auto connection = TRY(warehouse.connect());
  return plan(*connection, policy, now);
}

Result<RetentionReport> cut_old_days(warehouse::DuckDbWarehouse& warehouse, io::FileSystem& files,
                                     const RetentionPolicy& policy, Timestamp now) {
  const auto connection = TRY(warehouse.connect());
  const RetentionReport report = TRY(plan(*connection, policy, now));
  if (report.raw_rows + report.staging_rows == 0) return report;
  if (!policy.archive.empty()) {
    TRY_STATUS(archive_days(warehouse, *connection, files, policy, report.cut));
  }
  TRY_STATUS(connection->execute("begin transaction"));
  Status done = delete_days(*connection, policy, report, now);
  if (done) done = connection->execute("commit");
  if (!done) {
    (void)connection->execute("rollback");
    return std::move(done).error().while_doing("giving up old days");
  }
  // The room goes back to the file, for rows to come. Where somebody reads it just now, later.
  (void)warehouse.checkpoint(0);
  return report;
}

}  // namespace tapeline::app
