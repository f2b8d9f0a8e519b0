// Goal: the project that tapeline ships runs through the engine, unchanged: a full refresh and
// then a delta give the rows that a full refresh of everything gives.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "transform/engine.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::transform {
namespace {

namespace fs = std::filesystem;

ProjectFiles shipped() {
  ProjectFiles files;
  const auto root = fs::path(TAPELINE_SOURCE_DIR) / "dbt";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path()).rdbuf();
    files.set(fs::relative(entry.path(), root).generic_string(), bytes.str());
  }
  return files;
}

constexpr const char* kModels[] = {"stg_stocks.stg_stock_prices",
                                   "int_stocks.int_stock_daily_aggregates",
                                   "marts_stocks.stock_analytics", "marts_stocks.stock_bars_1m"};

class Shipped : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = warehouse::DuckDbWarehouse::open(*clock_, {});
    ASSERT_TRUE(opened) << opened.error().message;
    warehouse_ = *std::move(opened);
    connection_ = *warehouse_->connect();
    auto engine = Engine::open(shipped(), {}, *warehouse_, *clock_, rng_);
    ASSERT_TRUE(engine);
    engine_ = *std::move(engine);
  }

  int run(const std::string& command, bool full_refresh = false, text::Value vars = {}) {
    console_.clear();
    Invocation invocation;
    invocation.command = command;
    invocation.full_refresh = full_refresh;
    if (vars.is_object()) invocation.vars = std::move(vars);
    const auto result = engine_->invoke(invocation, *connection_, [this](std::string_view line) {
      console_ += std::string(line) + "\n";
    });
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? result->exit_code : -1;
  }

  /// Loads `minutes` quotes of two symbols from 14:30 UTC of a January day on.
  void load(int day, int minutes, int load_id) {
    const auto sql = std::string(
                         "insert into raw_stocks.stock_prices by name select symbol, "
                         "(100 + (minute * 7 + day_number) % 13)::decimal(18,6) as price, "
                         "minute + 1 as volume, make_timestamp(2025, 1, day_number, 14, 30, 0) + "
                         "to_minutes(minute::int) as timestamp, 120::decimal(18,6) as high, "
                         "90::decimal(18,6) as low, 100::decimal(18,6) as open, "
                         "'finnhub' as data_source, 99::decimal(18,6) as previous_close, "
                         "'regular' as session, make_date(2025, 1, day_number) as price_date, "
                         "9::smallint as price_hour, timestamp '2025-01-10' as "
                         "appended_at, minute as topic_offset, ") +
                     std::to_string(load_id) +
                     " as load_id from (select unnest(['AAPL', 'MSFT']) "
                     "as symbol, " +
                     std::to_string(day) +
                     " as day_number) as symbols, "
                     "range(" +
                     std::to_string(minutes) + ") as minutes(minute)";
    const auto done = connection_->query(sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  std::string fingerprint(const std::string& table) {
    const auto rows = connection_->query("select count(*), bit_xor(hash(t)) from " + table + " t");
    EXPECT_TRUE(rows) << table << ": " << (rows ? "" : rows.error().message) << console_;
    if (!rows) return "";
    return warehouse::to_text(rows->rows[0][0]) + " " + warehouse::to_text(rows->rows[0][1]);
  }

  std::unique_ptr<Clock> clock_ = make_system_clock();
  Rng rng_{1};
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::unique_ptr<warehouse::Connection> connection_;
  std::unique_ptr<Engine> engine_;
  std::string console_;
};

TEST_F(Shipped, a_delta_equals_a_full_refresh) {
  load(6, 60, 1);
  load(7, 60, 1);
  ASSERT_EQ(run("run"), 0) << console_;
  load(7, 80, 2);  // the first 60 again: late rows of a day that is there
  static_cast<void>(connection_->query(
      "delete from raw_stocks.stock_prices where load_id = 1 and price_date = date '2025-01-07'"));
  load(8, 30, 3);
  ASSERT_EQ(run("run"), 0) << console_;
  std::vector<std::string> after_delta;
  for (const char* model : kModels) after_delta.push_back(fingerprint(model));
  EXPECT_TRUE(after_delta[0].starts_with("340 ")) << after_delta[0];
  ASSERT_EQ(run("run", true), 0) << console_;
  for (std::size_t i = 0; i < after_delta.size(); ++i)
    EXPECT_EQ(fingerprint(kModels[i]), after_delta[i]) << kModels[i];
}

TEST_F(Shipped, its_data_tests_run) {
  load(6, 60, 1);
  ASSERT_EQ(run("run"), 0) << console_;
  text::Value vars{text::Object{}};
  vars.set("touched_after_load_id", 0);
  run("test", false, vars);
  EXPECT_EQ(console_.find("ERROR "), std::string::npos) << console_;
}

TEST_F(Shipped, a_full_refresh_keeps_the_days_that_retention_has_cut) {
  for (int day = 6; day <= 9; ++day) load(day, 60, 1);
  load(10, 30, 2);
  ASSERT_EQ(run("run"), 0) << console_;
  const auto rows_of = [](const char* model, const std::string& where) {
    return "(select * from " + std::string(model) + " where price_date " + where + ")";
  };
  const char* const kept[] = {kModels[1], kModels[2], kModels[3]};
  // What nothing could compute anew: a value that the raw rows do not give.
  ASSERT_TRUE(
      connection_->execute("update marts_stocks.stock_analytics set ma_7_day = 1.5 where "
                           "price_date = date '2025-01-07'"));
  std::vector<std::string> before;
  for (const char* model : kept) before.push_back(fingerprint(rows_of(model, "<= '2025-01-08'")));
  std::vector<std::string> later;
  for (const char* model : kept) later.push_back(fingerprint(rows_of(model, "> '2025-01-08'")));

  ASSERT_TRUE(connection_->execute(
      "delete from raw_stocks.stock_prices where price_date <= '2025-01-08'; "
      "delete from stg_stocks.stg_stock_prices where price_date <= '2025-01-08'; "
      "insert into raw_stocks.retention values (3, '2025-01-08', 360, 360, '', now()::timestamp)"));
  for (const char* command : {"run", "build"}) {
    ASSERT_NE(run(command, true), 2) << console_;
    for (std::size_t i = 0; i < std::size(kept); ++i) {
      EXPECT_TRUE(before[i].starts_with(i == 2 ? "360 " : "6 ")) << before[i];
      EXPECT_EQ(fingerprint(rows_of(kept[i], "<= '2025-01-08'")), before[i]) << kept[i];
      // The days after it see those before: returns, windows.
      EXPECT_EQ(fingerprint(rows_of(kept[i], "> '2025-01-08'")), later[i]) << kept[i];
    }
  }
  EXPECT_TRUE(fingerprint(kModels[0]).starts_with("180 "));
}

}  // namespace
}  // namespace tapeline::transform
