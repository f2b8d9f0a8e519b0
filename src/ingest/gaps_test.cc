#include "ingest/gaps.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::ingest {
namespace {

using namespace std::chrono_literals;

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

TEST(GapsTest, a_gap_is_one_row_however_often_it_is_told) {
  const auto clock = make_system_clock();
  const auto warehouse = std::move(*warehouse::DuckDbWarehouse::open(*clock, {}));
  const auto connection = std::move(*warehouse->connect());
  const auto rows = [&] {
    std::string text;
    const auto all = connection->query(
        "select concat_ws(' ', feed, symbol, strftime(gap_start, '%H:%M'), strftime(gap_end, "
        "'%H:%M'), cause, strftime(healed_at, '%H:%M')) from raw_stocks.gaps order by all");
    for (const auto& row : all->rows) text += std::get<std::string>(row[0]) + "\n";
    return text;
  };

  feeds::Gap gap{.feed = "finnhub",
                 .symbol = *Symbol::parse("AAPL"),
                 .begin = at("2025-01-06T15:00:00Z"),
                 .end = at("2025-01-06T15:01:00Z"),
                 .cause = "it's mute"};
  const auto tell = [&] {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(record_gap(*connection, gap));
  };
  tell();
  EXPECT_EQ(rows(), "finnhub AAPL 15:00 15:01 it's mute\n");
  gap.end += 4min;
  tell();
  EXPECT_EQ(rows(), "finnhub AAPL 15:00 15:05 it's mute\n");
  gap.healed_at = gap.end;
  tell();
  EXPECT_EQ(rows(), "finnhub AAPL 15:00 15:05 it's mute 15:05\n");
  gap.begin = gap.end + 1h;
  gap.end = gap.begin + 1min;
  gap.symbol = std::nullopt;
  gap.healed_at = std::nullopt;
  tell();
  EXPECT_EQ(rows(), "finnhub * 16:05 16:06 it's mute\nfinnhub AAPL 15:00 15:05 it's mute 15:05\n");
}

}  // namespace
}  // namespace tapeline::ingest
