#include "serve/marts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/time_zone.h"
#include "market/calendar.h"
#include "serve/json_writer.h"

namespace tapeline::serve {
namespace {

using warehouse::Column;
using warehouse::Connection;
using warehouse::Rows;
using warehouse::sql_text;
using Cell = warehouse::Value;

const warehouse::QueryLimits kLimits{.rows_max = 200'000, .time_max = std::chrono::seconds(10)};
constexpr std::int64_t kGapsMax = 1000;
constexpr std::string_view kGapsSql =
    "select symbol, gap_start as \"start\", gap_end as \"end\", cause from raw_stocks.gaps";
constexpr int kDailyRows = 30;

using Columns = std::vector<Column>;
using Row = std::vector<Cell>;

/// Runs `sql` over one table, whose columns are answered; without columns and rows where that
/// table does not exist yet.
Result<Columns> stream_table(Connection& warehouse, std::string_view schema, std::string_view table,
                             const std::string& sql,
                             const std::function<bool(const Columns&, const Row&)>& on_row) {
  for (bool again = false;; again = true) {
    Columns columns;
    const Status done = warehouse.stream(
        sql, kLimits, [&](const Columns& found) { columns = found; },
        [&](const Row& row) { return on_row(columns, row); });
    if (done) return columns;
    if (done.error().code != ErrorCode::invalid_argument || !columns.empty()) return done.error();
    const Rows found = TRY(warehouse.query(
        fmt::format("select 1 from information_schema.tables where table_schema = {} and "
                    "table_name = {}",
                    sql_text(schema), sql_text(table)),
        kLimits));
    if (found.rows.empty()) return Columns{};
    // The first run may have made it since.
    if (again) return done.error();
  }
}

Result<Rows> query_table(Connection& warehouse, std::string_view schema, std::string_view table,
                         const std::string& sql) {
  Rows rows;
  rows.columns = TRY(stream_table(warehouse, schema, table, sql, [&](const auto&, const Row& row) {
    rows.rows.push_back(row);
    return true;
  }));
  return rows;
}

/// Rows as JSON objects, brought into the order of a date or an instant of theirs.
///
/// why: they are few, and DuckDB takes longer to plan and run a sort than to find them
class OrderedObjects {
 public:
  /// `place` is what orders the object, which has the columns from `first` on.
  void add(const Cell& place, const Columns& columns, const Row& row, std::size_t first = 0) {
    JsonWriter json;
    json.begin_object();
    for (std::size_t i = first; i < row.size(); ++i) json.field(columns[i].name, row[i]);
    json.end_object();
    objects_.emplace_back(place_of(place), json.take());
  }

  std::int64_t size() const { return std::ssize(objects_); }

  /// Writes the first of them as a list.
  void write(JsonWriter& json, std::size_t count_max = kAll) {
    std::ranges::stable_sort(objects_, {}, &Object::first);
    json.begin_list();
    for (std::size_t i = 0; i < std::min(objects_.size(), count_max); ++i)
      json.raw(objects_[i].second);
    json.end_list();
  }

 private:
  static std::int64_t place_of(const Cell& cell) {
    if (const auto* date = std::get_if<Date>(&cell)) return date->time_since_epoch().count();
    if (const auto* at = std::get_if<Timestamp>(&cell)) return at->time_since_epoch().count();
    return 0;
  }

  static constexpr auto kAll = std::numeric_limits<std::size_t>::max();
  using Object = std::pair<std::int64_t, std::string>;
  std::vector<Object> objects_;
};

std::string timestamp_literal(Timestamp at) {
  std::string text = format_rfc3339_micros(at);
  text.pop_back();  // the Z: the column has no zone
  return fmt::format("timestamp {}", sql_text(text));
}

std::string date_literal(Date date) { return fmt::format("date {}", sql_text(format_date(date))); }

bool is_daily(std::string_view interval) {
  return interval == "1d" || interval == "1w" || interval == "1M";
}

std::int64_t minutes_of(std::string_view interval) {
  if (interval == "1m") return 1;
  if (interval == "5m") return 5;
  if (interval == "15m") return 15;
  if (interval == "30m") return 30;
  return interval == "1h" ? 60 : 240;
}

/// The span of a request as instants, whatever it was given in.
struct Span {
  std::optional<Timestamp> from;  // inclusive
  std::optional<Timestamp> to;    // exclusive
};

Span span_of(const BarsRequest& request) {
  Span span;
  if (request.from) span.from = request.from->at;
  if (request.to) span.to = request.to->at;
  if (request.to && request.to->is_date) *span.to += std::chrono::days(1);
  return span;
}

Date from_date(const TimeParam& from) {
  return from.is_date ? std::chrono::floor<std::chrono::days>(from.at)
                      : Calendar::new_york_date(from.at);
}

Date to_date(const TimeParam& to) {
  return to.is_date ? std::chrono::floor<std::chrono::days>(to.at)
                    : Calendar::new_york_date(to.at - std::chrono::microseconds(1));
}

/// The instant of New York's midnight at the start of `price_date`, for the days of `where`.
///
/// why: whole hours are the same here and there, but four of them are not; and no SQL of ours knows
///      time zones, so the days at which the offset changes are written out.
Result<std::string> midnight_sql(Connection& warehouse, const std::string& where) {
  const Rows found = TRY(query_table(
      warehouse, "marts_stocks", "stock_bars_1m",
      "select min(price_date), max(price_date) from marts_stocks.stock_bars_1m where " + where));
  if (found.rows.empty() || warehouse::is_null(found.rows[0][0])) return std::string("price_date");
  const auto zone = TRY(TimeZone::find("America/New_York"));
  const Timestamp last = zone.to_utc(std::get<Date>(found.rows[0][1]), {});
  std::string hours;
  for (Timestamp at = zone.to_utc(std::get<Date>(found.rows[0][0]), {});;) {
    const auto stretch = zone.stretch_at(at);
    const auto behind = std::chrono::duration_cast<std::chrono::hours>(-stretch.offset).count();
    if (last < stretch.end)
      return fmt::format("price_date + (case {} else {} end) * interval '1 hour'",
                         hours.empty() ? "when false then 0" : hours, behind);
    // The clocks change after midnight: the day of the change still begins with the old offset.
    hours += fmt::format("when price_date <= {} then {} ",
                         date_literal(zone.to_local(stretch.end).date), behind);
    at = stretch.end;
  }
}

/// The beginning of the bucket that holds `at`.
Result<Timestamp> bucket_start(Timestamp at, std::chrono::minutes length) {
  const auto zone = TRY(TimeZone::find("America/New_York"));
  const Timestamp midnight = zone.to_utc(zone.to_local(at).date, {});
  return midnight + (at - midnight) / length * length;
}

Result<std::string> minute_bars(Connection& warehouse, const BarsRequest& request) {
  const std::chrono::minutes length(minutes_of(request.interval));
  const Span span = span_of(request);
  std::string where = fmt::format("symbol = {}", sql_text(request.symbol));
  if (span.from)
    where += fmt::format(" and bar_start >= {}",
                         timestamp_literal(TRY(bucket_start(*span.from, length))));
  if (span.to) where += fmt::format(" and bar_start < {}", timestamp_literal(*span.to));
  if (length.count() == 1)
    return fmt::format(
        "select bar_start as time, open, high, low, close, volume, quote_count as count "
        "from marts_stocks.stock_bars_1m where {}",
        where);
  const std::string origin =
      length > std::chrono::hours(1) ? ", " + TRY(midnight_sql(warehouse, where)) : "";
  return fmt::format(
      "select time_bucket(interval '{} minutes', bar_start{}) as time, "
      "min_by(open, bar_start) as open, max(high) as high, min(low) as low, "
      "max_by(close, bar_start) as close, cast(sum(volume) as bigint) as volume, "
      "cast(sum(quote_count) as bigint) as count "
      "from marts_stocks.stock_bars_1m where {} group by 1",
      length.count(), origin, where);
}

std::string daily_bars(const BarsRequest& request) {
  const std::string unit =
      request.interval == "1w" ? "week" : (request.interval == "1M" ? "month" : "day");
  std::string where = fmt::format("symbol = {}", sql_text(request.symbol));
  if (request.from)
    where += fmt::format(" and price_date >= date_trunc('{}', {})", unit,
                         date_literal(from_date(*request.from)));
  if (request.to) where += fmt::format(" and price_date <= {}", date_literal(to_date(*request.to)));
  if (unit == "day")
    return fmt::format(
        "select price_date as time, daily_open as open, daily_high as high, daily_low as low, "
        "daily_close as close, cast(total_volume as bigint) as volume, data_points_count as count "
        "from marts_stocks.stock_analytics where {}",
        where);
  return fmt::format(
      "select cast(date_trunc('{}', price_date) as date) as time, "
      "min_by(daily_open, price_date) as open, max(daily_high) as high, min(daily_low) as low, "
      "max_by(daily_close, price_date) as close, cast(sum(total_volume) as bigint) as volume, "
      "cast(sum(data_points_count) as bigint) as count from marts_stocks.stock_analytics where {} "
      "group by 1",
      unit, where);
}

/// What `all` has of the gaps of a request, or, where that is null, a query.
Status write_gaps(Connection& warehouse, const BarsRequest& request, const Rows* all,
                  JsonWriter& json) {
  const Span span = span_of(request);
  Rows found;
  if (!all) {
    std::string where = fmt::format(" where symbol in ({}, '*')", sql_text(request.symbol));
    if (span.from) where += fmt::format(" and gap_end > {}", timestamp_literal(*span.from));
    if (span.to) where += fmt::format(" and gap_start < {}", timestamp_literal(*span.to));
    found = TRY(query_table(warehouse, "raw_stocks", "gaps", fmt::format("{}{}", kGapsSql, where)));
  }
  OrderedObjects gaps;
  for (const Row& row : all ? all->rows : found.rows) {
    const auto& symbol = std::get<std::string>(row[0]);
    const bool wanted = (symbol == request.symbol || symbol == "*") &&
                        (!span.from || std::get<Timestamp>(row[2]) > *span.from) &&
                        (!span.to || std::get<Timestamp>(row[1]) < *span.to);
    if (wanted) gaps.add(row[1], all ? all->columns : found.columns, row, 1);
  }
  json.key("gaps");
  gaps.write(json, kGapsMax);
  return Ok{};
}

/// How many bars there can be at most; none where the request is open at an end.
std::optional<std::int64_t> bars_between(const BarsRequest& request) {
  if (!request.from || !request.to) return std::nullopt;
  constexpr std::int64_t kPartial = 2;  // at either end
  if (is_daily(request.interval)) {
    const auto days = (to_date(*request.to) - from_date(*request.from)).count() + 1;
    const int shortest = request.interval == "1M" ? 28 : request.interval == "1w" ? 7 : 1;
    return days / shortest + kPartial;
  }
  const Span span = span_of(request);
  return (*span.to - *span.from) / std::chrono::minutes(minutes_of(request.interval)) + kPartial;
}

/// "a,b" as SQL; everything where none are named.
std::string columns_sql(std::string_view names) {
  if (names.empty()) return "*";
  std::string sql = "\"";
  for (const char c : names) sql += c == ',' ? "\", \"" : std::string(1, c);
  return sql + "\"";
}

std::optional<Price> price_of(const Cell& cell) {
  if (warehouse::is_null(cell)) return std::nullopt;
  const auto price = Price::parse(warehouse::to_text(cell));
  return price ? std::optional(*price) : std::nullopt;
}

}  // namespace

Result<std::shared_ptr<const Rows>> read_all_gaps(Connection& warehouse) {
  auto all = TRY(query_table(warehouse, "raw_stocks", "gaps",
                             fmt::format("{} limit {}", kGapsSql, kGapsMax + 1)));
  if (std::ssize(all.rows) > kGapsMax) return std::shared_ptr<const Rows>();
  return std::make_shared<const Rows>(std::move(all));
}

Result<std::string> read_bars(Connection& warehouse, const BarsRequest& request, const Rows* gaps) {
  const bool daily = is_daily(request.interval);
  std::string sql = daily ? daily_bars(request) : TRY(minute_bars(warehouse, request));
  // Without a beginning the newest are wanted; one more than the limit tells whether there are
  // more.
  const auto possible = bars_between(request);
  if (!possible || *possible > request.limit)
    sql +=
        fmt::format(" order by time {} limit {}", request.from ? "asc" : "desc", request.limit + 1);
  OrderedObjects bars;
  bool more = false;
  TRY(stream_table(warehouse, "marts_stocks", daily ? "stock_analytics" : "stock_bars_1m", sql,
                   [&](const Columns& columns, const Row& row) {
                     more = bars.size() == request.limit;
                     if (!more) bars.add(row[0], columns, row);
                     return !more;
                   }));
  JsonWriter json;
  json.begin_object().field("symbol", request.symbol).field("interval", request.interval);
  json.key("bars");
  bars.write(json);
  TRY_STATUS(write_gaps(warehouse, request, gaps, json));
  json.field("more", more).end_object();
  return json.take();
}

Result<std::string> read_load_id(Connection& warehouse) {
  const Rows load =
      TRY(query_table(warehouse, "marts_stocks", "stock_analytics",
                      "select max(load_id) as load_id from marts_stocks.stock_analytics"));
  JsonWriter json;
  json.value(load.rows.empty() ? Cell() : load.rows[0][0]);
  return json.take();
}

Result<std::string> read_analytics(Connection& warehouse, const AnalyticsRequest& request,
                                   std::string_view load_id) {
  std::string sql =
      fmt::format("select {} as place, {} from marts_stocks.stock_analytics",
                  request.symbol ? "price_date" : "null", columns_sql(request.columns));
  if (request.symbol) {
    sql += fmt::format(" where symbol = {}", sql_text(*request.symbol));
    if (request.from)
      sql += fmt::format(" and price_date >= {}", date_literal(from_date(*request.from)));
    if (request.to) sql += fmt::format(" and price_date <= {}", date_literal(to_date(*request.to)));
  } else {
    sql +=
        " qualify row_number() over (partition by symbol order by price_date desc) = 1 "
        "order by symbol";
  }
  constexpr std::size_t kPlace = 0;  // what orders the days; the newest of each are in order
  OrderedObjects days;
  const Columns columns = TRY(stream_table(warehouse, "marts_stocks", "stock_analytics", sql,
                                           [&](const Columns& found, const Row& row) {
                                             days.add(row[kPlace], found, row, kPlace + 1);
                                             return true;
                                           }));
  JsonWriter json;
  json.begin_object().key("columns").begin_list();
  for (std::size_t i = kPlace + 1; i < columns.size(); ++i) json.value(columns[i].name);
  json.end_list().key("rows");
  days.write(json);
  json.key("load_id").raw(load_id).end_object();
  return json.take();
}

Result<std::string> read_messages(Connection& warehouse, const MessagesRequest& request) {
  std::string where = fmt::format("symbol = {}", sql_text(request.symbol));
  const auto bound = [&](const std::optional<TimeParam>& at, std::string_view date_sign,
                         std::string_view instant_sign) {
    if (!at) return;
    where += at->is_date
                 ? fmt::format(" and price_date {} {}", date_sign,
                               date_literal(std::chrono::floor<std::chrono::days>(at->at)))
                 : fmt::format(" and \"timestamp\" {} {}", instant_sign, timestamp_literal(at->at));
  };
  bound(request.from, ">=", ">=");
  bound(request.to, "<=", "<");
  const Rows total =
      TRY(query_table(warehouse, "raw_stocks", "stock_prices",
                      "select count(*) as total from raw_stocks.stock_prices where " + where));
  const Rows rows = TRY(query_table(
      warehouse, "raw_stocks", "stock_prices",
      fmt::format("select \"timestamp\", price, open, high, low, volume, previous_close, "
                  "session::varchar as session, bar_length::varchar as bar_length, data_source, "
                  "received_at, appended_at, load_id, loads.topic, "
                  "loads.topic_partition as \"partition\", topic_offset as \"offset\" "
                  "from (select * from raw_stocks.stock_prices where {} order by \"timestamp\" "
                  "limit {}) as raw left join raw_stocks.loads using (load_id) "
                  "order by \"timestamp\"",
                  where, request.limit)));
  JsonWriter json;
  json.begin_object()
      .field("symbol", request.symbol)
      .field("total", total.rows.empty() ? Cell(std::int64_t{0}) : total.rows[0][0])
      .key("messages")
      .begin_list();
  for (const auto& row : rows.rows) {
    json.begin_object();
    for (std::size_t i = 0; i < row.size(); ++i) json.field(rows.columns[i].name, row[i]);
    json.end_object();
  }
  json.end_list().end_object();
  return json.take();
}

Result<std::vector<DailyRow>> read_daily(Connection& warehouse) {
  const Rows rows = TRY(query_table(
      warehouse, "marts_stocks", "stock_analytics",
      fmt::format("select symbol, price_date, daily_open, daily_high, daily_low, daily_close, "
                  "cast(total_volume as bigint) from marts_stocks.stock_analytics "
                  "qualify row_number() over (partition by symbol order by price_date desc) <= {}",
                  kDailyRows)));
  std::vector<DailyRow> daily;
  for (const auto& row : rows.rows) {
    const auto* symbol = std::get_if<std::string>(&row[0]);
    const auto* date = std::get_if<Date>(&row[1]);
    const auto close = price_of(row[5]);
    if (!symbol || !date || !close) continue;
    const auto* volume = std::get_if<std::int64_t>(&row[6]);
    daily.push_back({*symbol, *date, price_of(row[2]), price_of(row[3]), price_of(row[4]), *close,
                     volume ? std::optional(*volume) : std::nullopt});
  }
  return daily;
}

Result<std::vector<std::string>> read_symbols(Connection& warehouse) {
  const Rows rows =
      TRY(query_table(warehouse, "raw_stocks", "stock_prices",
                      "select distinct symbol from raw_stocks.stock_prices order by symbol"));
  std::vector<std::string> symbols;
  for (const auto& row : rows.rows) symbols.push_back(warehouse::to_text(row[0]));
  return symbols;
}

}  // namespace tapeline::serve
