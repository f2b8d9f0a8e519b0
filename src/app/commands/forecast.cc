#include "app/commands/forecast.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline::app {
namespace {

double real(const warehouse::Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  const auto* number = std::get_if<double>(&value);
  return number ? *number : 0;
}

Result<std::optional<DailyLoads>> daily_loads(warehouse::Connection& connection, Timestamp now) {
  const auto rows = TRY(connection.query(fmt::format(
      "with days as (select sum(consumed)::double as messages, sum(loaded)::double as rows, "
      "min(loaded_at) as first_at, max(loaded_at) as last_at from raw_stocks.loads where loaded_at "
      "> timestamp '{}' - interval 7 days group by loaded_at::date) select count(*), "
      "median(messages), median(rows), epoch(max(last_at)) - epoch(min(first_at)) from days",
      format_rfc3339_micros(now))));
  const auto& row = rows.rows.at(0);
  const double seconds = real(row[3]);
  DailyLoads daily{real(row[1]), real(row[2])};
  if (real(row[0]) < 1 || seconds < 3600) return std::optional<DailyLoads>();
  if (real(row[0]) < 2) {  // the only day, as far as it has gone
    daily.messages *= 86'400 / seconds;
    daily.rows *= 86'400 / seconds;
  }
  return std::optional(daily);
}

/// What raw and staging are of the warehouse, by their number of cells.
Result<double> share_of_raw(warehouse::Connection& connection) {
  const auto rows = TRY(connection.query(
      "select sum(estimated_size * column_count) filter (table_name in ('stock_prices', "
      "'stg_stock_prices'))::double, sum(estimated_size * column_count)::double from "
      "duckdb_tables() where not temporary"));
  const double all = real(rows.rows.at(0)[1]);
  return all > 0 ? real(rows.rows[0][0]) / all : 0;
}

}  // namespace

DiskForecast forecast(const DailyLoads& daily, const DiskUse& use) {
  const double log = daily.messages * use.log_each;
  const double warehouse = daily.rows * use.warehouse_each;
  const double log_room = std::max(0.0, use.log_max - use.log);
  DiskForecast made{.bytes_per_day = log + warehouse};
  constexpr double kDaysMax = 36'500;
  made.days_left = made.bytes_per_day > 0 ? use.free / made.bytes_per_day : kDaysMax;
  if (log * made.days_left > log_room) {
    made.days_left = warehouse > 0 ? std::max(0.0, use.free - log_room) / warehouse : kDaysMax;
  }
  made.days_left = std::min(made.days_left, kDaysMax);
  return made;
}

Result<DiskStatus> disk_status(Pipeline& pipeline) {
  DiskStatus status{.free_bytes = TRY(pipeline.files().free_bytes(pipeline.directory().path()))};
  const auto connection = TRY(pipeline.warehouse().connect());
  const Timestamp now = pipeline.clock().now();
  const auto counted =
      TRY(connection->query("select count(*) from raw_stocks.stock_prices")).rows.at(0).at(0);
  const double rows = real(counted);
  const auto warehouse_bytes =
      static_cast<double>(pipeline.warehouse().file_bytes() + pipeline.warehouse().wal_bytes());
  if (rows == 0) return status;
  if (const auto& policy = pipeline.tasks().retention(); policy.raw_days > 0) {
    const auto plan = TRY(plan_retention(pipeline.warehouse(), policy, now));
    status.retention_bytes =
        static_cast<std::int64_t>(warehouse_bytes * TRY(share_of_raw(*connection)) *
                                  static_cast<double>(plan.raw_rows) / rows);
  }
  const auto daily = TRY(daily_loads(*connection, now));
  if (!daily) return status;
  const auto usage = pipeline.log_engine().usage();
  double messages = 0;
  for (const auto& topic : TRY(pipeline.log().topics())) {
    for (const auto& its : topic.partitions) {
      messages += static_cast<double>(its.end - its.earliest);
    }
  }
  status.forecast = forecast(
      *daily, {.free = static_cast<double>(status.free_bytes),
               .log = static_cast<double>(usage.size_bytes),
               .log_max = static_cast<double>(usage.size_bytes_max),
               .log_each = messages > 0 ? static_cast<double>(usage.size_bytes) / messages : 0,
               .warehouse_each = warehouse_bytes / rows});
  return status;
}

}  // namespace tapeline::app
