#include "serve/live.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "serve/memory_log_testing.h"

namespace tapeline::serve {
namespace {

class LiveTest : public testing::Test {
 protected:
  void SetUp() override { log_.appended_at = clock_.now(); }
  void append(std::string value) {
    const msglog::Record record{"AAPL", std::move(value)};
    ASSERT_TRUE(log_.append("stock_prices", {&record, 1}));
  }
  void append_price(int price, int second) {
    append(fmt::format(
        R"({{"symbol":"AAPL","price":{},"timestamp":"2025-01-06T15:00:{:02}Z","data_source":"x"}})",
        price, second));
  }
  std::int64_t skipped() {
    return metrics_.counter("tapeline_serve_live_records_skipped_total", "").value();
  }

  ManualClock clock_{parse_rfc3339("2025-01-06T15:00:00Z")->at};
  Wakeup wakeup_;
  telemetry::Metrics metrics_;
  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  MemoryLog log_;
  SseHub hub_{clock_, wakeup_, metrics_};
  Live live_{log_, *calendar_, hub_, metrics_, {}};
};

TEST_F(LiveTest, waits_for_a_topic_that_is_not_there_yet) {
  const auto nothing = live_.step();
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  ASSERT_TRUE(log_.create_topic("stock_prices", 1));
  append_price(1, 0);
  EXPECT_TRUE(*live_.step());
  EXPECT_FALSE(*live_.step());
  EXPECT_EQ(live_.symbols(), std::vector<std::string>{"AAPL"});
}

TEST_F(LiveTest, what_is_no_quote_is_counted_and_passed_over) {
  ASSERT_TRUE(log_.create_topic("stock_prices", 1));
  append("no json");
  append_price(5, 0);
  append("{}");
  EXPECT_TRUE(*live_.step());
  EXPECT_EQ(skipped(), 2);
  EXPECT_EQ(live_.position().next, std::vector<std::int64_t>{3});
  EXPECT_NE(live_.quotes_json({}).find(R"("price":5)"), std::string::npos);
  EXPECT_EQ(live_.quotes_json({"MSFT"}), R"({"quotes":[]})");
}

TEST_F(LiveTest, a_symbol_that_changed_often_is_one_event_and_none_where_it_was_seen) {
  ASSERT_TRUE(log_.create_topic("stock_prices", 1));
  for (int i = 0; i < 10; ++i) append_price(100 + i, i);
  EXPECT_TRUE(*live_.step());
  const auto events = live_.events_since(std::nullopt);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(events[0].text->find(R"("price":109)"), std::string::npos);
  EXPECT_TRUE(live_.events_since(live_.position()).empty());
  EXPECT_EQ(live_.events_since(StreamPosition{"another topic", {10}}).size(), 1U);
}

TEST(LiveSince, the_trading_day_begins_at_midnight_in_new_york) {
  const auto calendar = *make_calendar("XNYS");
  const auto since = [&](std::string_view now) {
    return format_rfc3339(live_since(*calendar, parse_rfc3339(now)->at));
  };
  EXPECT_EQ(since("2025-01-06T15:00:00Z"), "2025-01-06T05:00:00Z");
  EXPECT_EQ(since("2025-01-05T15:00:00Z"), "2025-01-03T05:00:00Z");  // a Sunday
  EXPECT_EQ(since("2025-07-07T03:00:00Z"), "2025-07-03T04:00:00Z");  // still the 6th there
}

}  // namespace
}  // namespace tapeline::serve
