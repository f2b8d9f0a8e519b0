#include "serve/live_table.h"

#include <gtest/gtest.h>

namespace tapeline::serve {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

class LiveTableTest : public testing::Test {
 protected:
  /// Applies a message; whether it changed anything.
  bool apply(std::string_view time, std::string_view price,
             std::optional<std::int64_t> volume = std::nullopt, bool history = false) {
    wire::QuoteView message;
    message.symbol = "AAPL";
    message.data_source = "finnhub";
    message.price = *Price::parse(price);
    message.volume = volume;
    message.event_time = at(time);
    message.history = history;
    return table_.apply(message, 0, next_offset_++) != nullptr;
  }
  const LiveSymbol& aapl() { return *table_.find("AAPL"); }

  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  LiveTable table_{*calendar_};
  std::int64_t next_offset_ = 0;
};

TEST_F(LiveTableTest, the_live_price_has_the_greatest_event_time_not_the_last_offset) {
  EXPECT_TRUE(apply("2025-01-06T15:00:10Z", "100"));
  EXPECT_TRUE(apply("2025-01-06T15:00:05Z", "90"));
  EXPECT_EQ(aapl().price.text(), "100");
  EXPECT_EQ(aapl().offset, 1);
}

TEST_F(LiveTableTest, history_stands_back_behind_everything_else) {
  EXPECT_TRUE(apply("2025-01-06T15:00:10Z", "100", {}, true));
  EXPECT_TRUE(aapl().history);
  EXPECT_TRUE(apply("2025-01-06T14:59:00Z", "90"));
  EXPECT_EQ(aapl().price.text(), "90");
  EXPECT_TRUE(apply("2025-01-06T15:01:00Z", "80", {}, true));
  EXPECT_EQ(aapl().price.text(), "90");
  EXPECT_EQ(table_.last_event_time(), at("2025-01-06T14:59:00Z"));
}

TEST_F(LiveTableTest, the_open_minute_is_made_of_every_message_of_it) {
  apply("2025-01-06T14:59:59Z", "50", 5);
  apply("2025-01-06T15:00:20Z", "100", 10);
  apply("2025-01-06T15:00:40Z", "104");
  apply("2025-01-06T15:00:10Z", "97", 2);  // late, and the first of its minute
  const OpenMinute& minute = *aapl().minute;
  EXPECT_EQ(minute.start, at("2025-01-06T15:00:00Z"));
  EXPECT_EQ(minute.open.text(), "97");
  EXPECT_EQ(minute.high.text(), "104");
  EXPECT_EQ(minute.low.text(), "97");
  EXPECT_EQ(minute.close.text(), "104");
  EXPECT_EQ(minute.volume, 12);
  EXPECT_EQ(minute.quote_count, 3);
  EXPECT_EQ(aapl().volume, 17);
}

TEST_F(LiveTableTest, a_repeated_message_changes_nothing) {
  EXPECT_TRUE(apply("2025-01-06T15:00:20Z", "100", 10));
  EXPECT_FALSE(apply("2025-01-06T15:00:20Z", "100", 10));
  EXPECT_EQ(aapl().volume, 10);
}

TEST_F(LiveTableTest, the_newest_message_can_be_corrected_and_counts_once) {
  apply("2025-01-06T15:00:10Z", "99", 5);
  apply("2025-01-06T15:00:20Z", "100", 10);
  EXPECT_TRUE(apply("2025-01-06T15:00:20Z", "102", 10));
  EXPECT_EQ(aapl().price.text(), "102");
  EXPECT_EQ(aapl().minute->close.text(), "102");
  EXPECT_EQ(aapl().minute->quote_count, 2);
  EXPECT_EQ(aapl().volume, 15);
  EXPECT_EQ(aapl().offset, 2);
  EXPECT_FALSE(apply("2025-01-06T15:00:10Z", "50"));  // of an older one only the warehouse knows
  EXPECT_EQ(aapl().price.text(), "102");
}

TEST_F(LiveTableTest, unknown_volume_stays_unknown) {
  apply("2025-01-06T15:00:20Z", "100");
  EXPECT_EQ(aapl().volume, std::nullopt);
  EXPECT_EQ(aapl().minute->volume, std::nullopt);
}

TEST_F(LiveTableTest, a_price_that_staging_would_refuse_shows_nowhere) {
  EXPECT_FALSE(apply("2025-01-06T15:00:20Z", "0"));
  EXPECT_FALSE(apply("2025-01-06T15:00:21Z", "-1"));
  EXPECT_FALSE(apply("2025-01-06T15:00:22Z", "1", -1));
}

TEST_F(LiveTableTest, a_new_new_york_day_begins_anew_and_an_old_one_is_over) {
  apply("2025-01-06T23:00:00Z", "100", 10);
  apply("2025-01-07T04:59:00Z", "101", 10);  // still the 6th in New York
  EXPECT_EQ(aapl().volume, 20);
  apply("2025-01-07T05:01:00Z", "102", 1);
  EXPECT_EQ(aapl().volume, 1);
  EXPECT_EQ(aapl().spark.size(), 1U);
  EXPECT_FALSE(apply("2025-01-06T23:30:00Z", "99", 10));
}

TEST_F(LiveTableTest, history_of_a_later_day_leaves_a_live_symbol_in_its_own) {
  apply("2025-01-06T15:00:10Z", "100", 10);
  EXPECT_FALSE(apply("2025-01-07T15:00:00Z", "120", 3, true));
  EXPECT_EQ(aapl().day, *parse_date("2025-01-06"));
  EXPECT_EQ(aapl().price.text(), "100");
  EXPECT_EQ(aapl().volume, 10);
  EXPECT_EQ(aapl().minute->close.text(), "100");
  apply("2025-01-06T15:00:20Z", "101", 5);
  EXPECT_EQ(aapl().volume, 15);
  apply("2025-01-07T15:00:10Z", "130", 1);
  EXPECT_EQ(aapl().day, *parse_date("2025-01-07"));
  EXPECT_EQ(aapl().price.text(), "130");
  EXPECT_EQ(aapl().volume, 1);
  EXPECT_EQ(aapl().spark.size(), 1U);
}

TEST_F(LiveTableTest, history_alone_goes_from_day_to_day) {
  apply("2025-01-06T15:00:10Z", "100", 10, true);
  EXPECT_TRUE(apply("2025-01-07T15:00:00Z", "120", 3, true));
  EXPECT_EQ(aapl().price.text(), "120");
  EXPECT_EQ(aapl().volume, 3);
}

TEST_F(LiveTableTest, the_sparkline_never_has_more_than_sixty_points_and_ends_now) {
  for (int minute = 0; minute < 600; ++minute)
    apply(format_rfc3339(at("2025-01-06T09:00:00Z") + std::chrono::minutes(minute)),
          std::to_string(100 + minute));
  EXPECT_LE(aapl().spark.size(), 60U);
  EXPECT_GE(aapl().spark.size(), 30U);
  EXPECT_EQ(aapl().spark.back().second.text(), "699");
}

TEST_F(LiveTableTest, the_reference_is_the_last_close_before_the_day) {
  table_.set_daily({{"AAPL", *parse_date("2025-01-06"), {}, {}, {}, *Price::parse("98"), {}},
                    {"AAPL", *parse_date("2025-01-03"), {}, {}, {}, *Price::parse("80"), {}},
                    {"MSFT", *parse_date("2025-01-03"), {}, {}, {}, *Price::parse("400"), 7}});
  apply("2025-01-06T15:00:20Z", "100");
  EXPECT_EQ(table_.reference(aapl())->kind, "daily_close");
  EXPECT_EQ(table_.reference(aapl())->price.text(), "80");
  JsonWriter json;
  table_.write(aapl(), true, json);
  EXPECT_EQ(json.text(),
            R"({"symbol":"AAPL","price":100,"change":20,"change_pct":25,)"
            R"("reference":"daily_close","reference_price":80,"previous_close":null,)"
            R"("open":null,"high":null,"low":null,"volume":null,"session":"regular",)"
            R"("event_time":"2025-01-06T15:00:20Z","received_at":null,"data_source":"finnhub",)"
            R"("class":"live","bar":{"bar_start":"2025-01-06T15:00:00Z","open":100,"high":100,)"
            R"("low":100,"close":100,"volume":null,"quote_count":1},"spark_of":"minutes",)"
            R"("spark":[100]})");
}

TEST_F(LiveTableTest, where_only_days_are_known_the_sparkline_is_made_of_them) {
  table_.set_daily({{"MSFT", *parse_date("2025-01-06"), {}, {}, {}, *Price::parse("410"), 7},
                    {"MSFT", *parse_date("2025-01-03"), {}, {}, {}, *Price::parse("400"), 7}});
  table_.each([&](const LiveSymbol& symbol) {
    JsonWriter json;
    table_.write(symbol, true, json);
    EXPECT_TRUE(json.text().ends_with(R"("spark_of":"days","spark":[400,410]})")) << json.text();
  });
}

TEST_F(LiveTableTest, a_symbol_without_messages_is_shown_by_its_last_day) {
  table_.set_daily({{"MSFT", *parse_date("2025-01-03"), {}, {}, {}, *Price::parse("400"), 7},
                    {"ZZ", *parse_date("2025-01-03"), {}, {}, {}, *Price::parse("4"), {}}});
  apply("2025-01-06T15:00:20Z", "100");
  std::vector<std::string> names;
  table_.each([&](const LiveSymbol& symbol) {
    names.push_back(symbol.symbol);
    if (symbol.symbol == "MSFT") {
      EXPECT_EQ(symbol.event_time, at("2025-01-03T21:00:00Z"));
      EXPECT_TRUE(symbol.history);
    }
  });
  EXPECT_EQ(names, (std::vector<std::string>{"AAPL", "MSFT", "ZZ"}));
}

}  // namespace
}  // namespace tapeline::serve
