#include "serve/marts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::serve {
namespace {

using warehouse::Connection;

class MartsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = warehouse::DuckDbWarehouse::open(*clock_, {});
    ASSERT_TRUE(opened) << opened.error().message;
    warehouse_ = *std::move(opened);
    connection_ = *warehouse_->connect();
  }

  void run(std::string_view sql) {
    const auto done = connection_->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  void make_bars() {
    run(R"(create schema if not exists marts_stocks;
           create table marts_stocks.stock_bars_1m as
           select t.*, date '2025-01-06' as price_date from (values
             ('A', timestamp '2025-01-06 14:58:00', 1.000000::decimal(18,6), 2::decimal(18,6),
              0.5::decimal(18,6), 1.5::decimal(18,6), 10::bigint, 3::bigint),
             ('A', timestamp '2025-01-06 15:00:00', 2, 3, 1, 2.25, null, 1),
             ('A', timestamp '2025-01-06 15:04:00', 4, 9, 4, 5, 7, 2),
             ('A', timestamp '2025-01-06 15:05:00', 5, 5, 5, 5, 1, 1),
             ('B', timestamp '2025-01-06 15:00:00', 7, 7, 7, 7, 7, 7))
           t(symbol, bar_start, open, high, low, close, volume, quote_count))");
  }
  /// One bar a minute named by its New York date and its instant.
  void make_minutes(std::string_view minutes) {
    run("create schema if not exists marts_stocks");
    run(
        fmt::format("create table marts_stocks.stock_bars_1m as select 'A' as symbol, "
                    "d::date as price_date, t::timestamp as bar_start, 1.0::decimal(18,6) as open, "
                    "1.0::decimal(18,6) as high, 1.0::decimal(18,6) as low, "
                    "1.0::decimal(18,6) as close, 1::bigint as volume, 1::bigint as quote_count "
                    "from (values {}) as v(d, t)",
                    minutes));
  }
  /// When the bars of an answer begin.
  std::vector<std::string> times(const BarsRequest& request) {
    std::vector<std::string> found;
    const std::string json = bars(request);
    constexpr std::string_view kTime = R"("time":")";
    for (auto at = json.find(kTime); at != std::string::npos; at = json.find(kTime, at + 1))
      found.push_back(json.substr(at + kTime.size(), 16));
    return found;
  }
  void make_analytics() {
    run(R"(create schema if not exists marts_stocks;
           create table marts_stocks.stock_analytics as select * from (values
             ('A', date '2025-01-03', 1::decimal(18,6), 2::decimal(18,6), 1::decimal(18,6),
              1.5::decimal(18,6), 100::hugeint, 5::bigint, null::double, 1::bigint),
             ('A', date '2025-01-06', 2, 4, 2, 3, 50, 6, 2.25, 3),
             ('A', date '2025-01-07', 3, 5, 1, 4, null, 7, 0.1, 4),
             ('B', date '2025-01-06', 9, 9, 9, 9, 1, 1, null, 2))
           t(symbol, price_date, daily_open, daily_high, daily_low, daily_close, total_volume,
             data_points_count, ma_7_day, load_id))");
  }

  std::string bars(BarsRequest request) {
    const auto json = read_bars(*connection_, request);
    return json ? *json : json.error().message;
  }
  std::string analytics(const AnalyticsRequest& request) {
    return *read_analytics(*connection_, request, *read_load_id(*connection_));
  }
  static TimeParam instant(std::string_view text) { return {parse_rfc3339(text)->at, false}; }
  static TimeParam date(std::string_view text) { return {Timestamp(*parse_date(text)), true}; }

  std::unique_ptr<Clock> clock_ = make_system_clock();
  std::unique_ptr<warehouse::DuckDbWarehouse> warehouse_;
  std::unique_ptr<warehouse::Connection> connection_;
};

TEST_F(MartsTest, tables_that_no_run_has_made_read_as_empty) {
  EXPECT_EQ(bars({.symbol = "A", .interval = "1m"}),
            R"({"symbol":"A","interval":"1m","bars":[],"gaps":[],"more":false})");
  EXPECT_EQ(bars({.symbol = "A", .interval = "1w"}),
            R"({"symbol":"A","interval":"1w","bars":[],"gaps":[],"more":false})");
  EXPECT_EQ(analytics({}), R"({"columns":[],"rows":[],"load_id":null})");
  EXPECT_TRUE(read_daily(*connection_)->empty());
  EXPECT_TRUE(read_symbols(*connection_)->empty());
}

/// Another's connection makes the table once this one has not found it.
class WhileARunEnds final : public Connection {
 public:
  WhileARunEnds(Connection& real, std::function<void()> make)
      : real_(real), make_(std::move(make)) {}
  Result<warehouse::Rows> query(std::string_view sql, warehouse::QueryLimits limits) override {
    return real_.query(sql, limits);
  }
  Status stream(std::string_view sql, warehouse::QueryLimits limits,
                const std::function<void(const std::vector<warehouse::Column>&)>& on_columns,
                const std::function<bool(const std::vector<warehouse::Value>&)>& on_row) override {
    auto done = real_.stream(sql, limits, on_columns, on_row);
    if (make_) std::exchange(make_, nullptr)();
    return done;
  }
  Status append(std::string_view schema, std::string_view table,
                const warehouse::ColumnBatch& batch) override {
    return real_.append(schema, table, batch);
  }
  void interrupt() override { real_.interrupt(); }

 private:
  Connection& real_;
  std::function<void()> make_;
};

TEST_F(MartsTest, a_table_that_the_first_run_makes_meanwhile_is_read) {
  WhileARunEnds connection(*connection_, [&] { make_bars(); });
  const auto json = read_bars(connection, {.symbol = "B", .interval = "1m"});
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_NE(json->find("2025-01-06T15:00"), std::string::npos) << *json;
}

TEST_F(MartsTest, a_broken_table_is_an_error_not_an_empty_answer) {
  run("create schema if not exists marts_stocks");
  run("create table marts_stocks.stock_bars_1m (symbol varchar)");
  EXPECT_FALSE(read_bars(*connection_, {.symbol = "A", .interval = "1m"}));
}

TEST_F(MartsTest, minute_bars_come_oldest_first_between_from_and_to) {
  make_bars();
  EXPECT_EQ(bars({.symbol = "A",
                  .interval = "1m",
                  .from = instant("2025-01-06T15:00:30Z"),
                  .to = instant("2025-01-06T15:04:00Z")}),
            R"({"symbol":"A","interval":"1m","bars":[{"time":"2025-01-06T15:00:00Z","open":2,)"
            R"("high":3,"low":1,"close":2.25,"volume":null,"count":1}],"gaps":[],"more":false})");
}

TEST_F(MartsTest, without_a_beginning_the_newest_bars_are_given) {
  make_bars();
  const std::string json = bars({.symbol = "A", .interval = "1m", .limit = 2});
  const auto first = json.find("15:04:00");
  const auto second = json.find("15:05:00");
  EXPECT_LT(first, second) << json;
  EXPECT_EQ(json.find("15:00:00"), std::string::npos);
  EXPECT_NE(json.find(R"("more":true)"), std::string::npos);
}

TEST_F(MartsTest, longer_bars_are_made_of_whole_buckets) {
  make_bars();
  EXPECT_EQ(bars({.symbol = "A",
                  .interval = "5m",
                  .from = instant("2025-01-06T15:03:00Z"),
                  .to = instant("2025-01-06T15:05:00Z")}),
            R"({"symbol":"A","interval":"5m","bars":[{"time":"2025-01-06T15:00:00Z","open":2,)"
            R"("high":9,"low":1,"close":5,"volume":7,"count":3}],"gaps":[],"more":false})");
  EXPECT_NE(bars({.symbol = "A", .interval = "4h"})
                .find(R"({"time":"2025-01-06T13:00:00Z","open":1,"high":9,"low":0.5,"close":5,)"
                      R"("volume":18,"count":7})"),
            std::string::npos);
}

TEST_F(MartsTest, four_hours_count_from_new_york_midnight_in_summer_and_winter) {
  // Pre-market, the open and the close of a summer day, then of a winter day.
  make_minutes(
      "('2025-07-07', '2025-07-07 08:00'), ('2025-07-07', '2025-07-07 13:30'), "
      "('2025-07-07', '2025-07-07 19:59'), ('2025-12-08', '2025-12-08 09:00'), "
      "('2025-12-08', '2025-12-08 14:30'), ('2025-12-08', '2025-12-08 20:59')");
  EXPECT_EQ(times({.symbol = "A", .interval = "4h"}),
            (std::vector<std::string>{"2025-07-07T08:00", "2025-07-07T12:00", "2025-07-07T16:00",
                                      "2025-12-08T09:00", "2025-12-08T13:00", "2025-12-08T17:00"}));
  EXPECT_EQ(times({.symbol = "A", .interval = "4h", .from = instant("2025-12-08T14:45:00Z")}),
            (std::vector<std::string>{"2025-12-08T13:00", "2025-12-08T17:00"}));
}

TEST_F(MartsTest, the_days_on_which_clocks_change_have_buckets_of_their_own_midnight) {
  // 9 March 2025 begins at 05:00Z and ends at 04:00Z; 2 November begins at 04:00Z, ends at 05:00Z.
  make_minutes(
      "('2025-03-08', '2025-03-09 04:59'), ('2025-03-09', '2025-03-09 05:00'), "
      "('2025-03-09', '2025-03-10 03:59'), ('2025-03-10', '2025-03-10 04:00'), "
      "('2025-11-02', '2025-11-02 04:00'), ('2025-11-02', '2025-11-03 04:59'), "
      "('2025-11-03', '2025-11-03 05:00')");
  EXPECT_EQ(times({.symbol = "A", .interval = "4h"}),
            (std::vector<std::string>{"2025-03-09T01:00", "2025-03-09T05:00", "2025-03-10T01:00",
                                      "2025-03-10T04:00", "2025-11-02T04:00", "2025-11-03T04:00",
                                      "2025-11-03T05:00"}));
}

TEST_F(MartsTest, weeks_and_months_are_made_of_days) {
  make_analytics();
  const std::string weeks = bars({.symbol = "A", .interval = "1w"});
  EXPECT_NE(weeks.find(R"({"time":"2024-12-30","open":1,"high":2,"low":1,"close":1.5,)"
                       R"("volume":100,"count":5},{"time":"2025-01-06","open":2,"high":5,"low":1,)"
                       R"("close":4,"volume":50,"count":13})"),
            std::string::npos)
      << weeks;
  const std::string months = bars({.symbol = "A", .interval = "1M"});
  EXPECT_NE(months.find(R"([{"time":"2025-01-01","open":1,"high":5,"low":1,"close":4,)"
                        R"("volume":150,"count":18}])"),
            std::string::npos)
      << months;
}

TEST_F(MartsTest, days_are_new_york_dates_whatever_instant_is_asked_for) {
  make_analytics();
  const std::string days = bars({.symbol = "A",
                                 .interval = "1d",
                                 .from = instant("2025-01-07T04:00:00Z"),  // the 6th, 23:00
                                 .to = date("2025-01-06")});
  EXPECT_NE(days.find(R"([{"time":"2025-01-06","open":2,)"), std::string::npos) << days;
  EXPECT_EQ(days.find("2025-01-07"), std::string::npos) << days;
}

TEST_F(MartsTest, gaps_come_with_the_bars_those_of_the_whole_feed_too) {
  run(R"(insert into raw_stocks.gaps values
         ('f', 'A', '2025-01-06 15:00:00', '2025-01-06 15:01:00', 'disconnected', null),
         ('f', '*', '2025-01-06 16:00:00', '2025-01-06 16:01:00', 'mute', now()),
         ('f', 'B', '2025-01-06 15:00:00', '2025-01-06 15:01:00', 'disconnected', null))");
  EXPECT_NE(bars({.symbol = "A", .interval = "1m"})
                .find(R"("gaps":[{"start":"2025-01-06T15:00:00Z","end":"2025-01-06T15:01:00Z",)"
                      R"("cause":"disconnected"},{"start":"2025-01-06T16:00:00Z",)"
                      R"("end":"2025-01-06T16:01:00Z","cause":"mute"}])"),
            std::string::npos);
  EXPECT_NE(bars({.symbol = "A", .interval = "1m", .from = instant("2025-01-06T16:01:00Z")})
                .find(R"("gaps":[])"),
            std::string::npos);
}

TEST_F(MartsTest, gaps_that_were_read_before_are_those_that_a_query_finds) {
  run(R"(insert into raw_stocks.gaps
         select 'f', case i % 3 when 0 then 'A' when 1 then '*' else 'B' end,
           timestamp '2025-01-06 15:00:00' + to_minutes(i * 7 % 500),
           timestamp '2025-01-06 15:02:00' + to_minutes(i * 7 % 500), 'c' || i, null
         from range(1000) t(i))");
  const auto all = *read_all_gaps(*connection_);
  ASSERT_TRUE(all);
  for (const char* from : {"", "2025-01-06T15:02:00Z", "2025-01-06T18:03:00Z"})
    for (const char* to : {"", "2025-01-06T18:03:00Z", "2025-01-06T23:00:00Z"}) {
      BarsRequest request{.symbol = "A", .interval = "1m"};
      if (*from) request.from = instant(from);
      if (*to) request.to = instant(to);
      EXPECT_EQ(*read_bars(*connection_, request, all.get()), bars(request)) << from << to;
    }
  run("insert into raw_stocks.gaps select * from raw_stocks.gaps limit 1");
  EXPECT_FALSE(*read_all_gaps(*connection_));  // more than an answer may have
}

TEST_F(MartsTest, analytics_are_the_latest_row_of_each_symbol_or_the_days_of_one) {
  make_analytics();
  const std::string latest = analytics({});
  EXPECT_NE(latest.find(R"("columns":["symbol","price_date","daily_open")"), std::string::npos);
  EXPECT_NE(latest.find(R"({"symbol":"A","price_date":"2025-01-07","daily_open":3,)"),
            std::string::npos);
  EXPECT_EQ(latest.find("2025-01-03"), std::string::npos);
  EXPECT_TRUE(latest.ends_with(R"("load_id":4})")) << latest;
  const std::string days =
      analytics({.symbol = "A", .from = date("2025-01-03"), .to = date("2025-01-06")});
  EXPECT_LT(days.find("2025-01-03"), days.find("2025-01-06"));
  EXPECT_EQ(days.find("2025-01-07"), std::string::npos);
}

TEST_F(MartsTest, only_the_columns_that_were_asked_for_are_given) {
  make_analytics();
  EXPECT_EQ(analytics({.symbol = "A", .from = date("2025-01-06"), .columns = "ma_7_day,symbol"}),
            R"({"columns":["ma_7_day","symbol"],"rows":[{"ma_7_day":2.25,"symbol":"A"},)"
            R"({"ma_7_day":0.1,"symbol":"A"}],"load_id":4})");
  EXPECT_EQ(analytics({.columns = "symbol"}),
            R"({"columns":["symbol"],"rows":[{"symbol":"A"},{"symbol":"B"}],"load_id":4})");
  const auto unknown = read_analytics(*connection_, {.columns = "nothing"}, "4");
  EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(unknown.error().message.find("nothing"), std::string::npos);
}

TEST_F(MartsTest, a_quote_in_a_symbol_is_only_text) {
  make_bars();
  EXPECT_EQ(bars({.symbol = "A' or '1'='1", .interval = "1m"}).find("time"), std::string::npos);
}

TEST_F(MartsTest, the_newest_days_of_each_symbol_are_its_references_and_its_sparkline) {
  make_analytics();
  run("insert into marts_stocks.stock_analytics select 'C', date '2025-01-06' - i::integer, "
      "1, 1, 1, 1 + i, 1, 1, null, 1 from range(40) t(i)");
  const auto rows = read_daily(*connection_);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->size(), 3U + 1U + 30U);
  for (const auto& row : *rows)
    EXPECT_TRUE(row.symbol != "C" || row.date > *parse_date("2024-12-07"));
}

TEST_F(MartsTest, a_day_and_a_minute_lead_to_their_messages_and_these_to_the_log) {
  run(R"(insert into raw_stocks.loads values
         (7, 'r', 't-id', 'stock_prices', 3, 100, 200, 3, 3, 0, 0, 0, 'f', now()))");
  run(R"(insert into raw_stocks.stock_prices
         (symbol, price, volume, "timestamp", data_source, session, bar_length, price_date,
          price_hour, appended_at, topic_offset, load_id) values
         ('A', 2.5, null, '2025-01-07 01:00:00', 'x', 'post', null, '2025-01-06', 20,
          '2025-01-07 01:00:01', 102, 7),
         ('A', 1.5, 10, '2025-01-06 15:00:00.5', 'x', 'regular', '1m', '2025-01-06', 10,
          '2025-01-06 15:00:01', 101, 7),
         ('B', 1.5, 10, '2025-01-06 15:00:00', 'x', 'regular', null, '2025-01-06', 10,
          '2025-01-06 15:00:01', 100, 7))");
  const auto day = read_messages(
      *connection_, {.symbol = "A", .from = date("2025-01-06"), .to = date("2025-01-06")});
  ASSERT_TRUE(day) << day.error().message;
  EXPECT_TRUE(day->starts_with(R"({"symbol":"A","total":2,"messages":[{"timestamp":)"
                               R"("2025-01-06T15:00:00.500Z","price":1.5,"open":null,)"))
      << *day;
  EXPECT_NE(day->find(R"("session":"regular","bar_length":"1m","data_source":"x")"),
            std::string::npos)
      << *day;
  EXPECT_NE(day->find(R"("load_id":7,"topic":"stock_prices","partition":3,"offset":102}]})"),
            std::string::npos)
      << *day;
  const auto minute = read_messages(*connection_, {.symbol = "A",
                                                   .from = instant("2025-01-06T15:00:00Z"),
                                                   .to = instant("2025-01-06T15:01:00Z")});
  EXPECT_NE(minute->find(R"("total":1,)"), std::string::npos) << *minute;
  EXPECT_EQ(minute->find(R"("offset":102)"), std::string::npos) << *minute;
  const auto first = read_messages(*connection_, {.symbol = "A", .limit = 1});
  EXPECT_NE(first->find(R"("total":2,)"), std::string::npos) << *first;
  EXPECT_EQ(first->find(R"("offset":102)"), std::string::npos) << *first;
}

}  // namespace
}  // namespace tapeline::serve
