#include "app/feeding/feed_report.h"

#include <gtest/gtest.h>

#include "app/feeding/feed_ground.h"

namespace tapeline::app {
namespace {

using namespace std::chrono_literals;

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

FeedReport finnhub() {
  return {.name = "finnhub",
          .feed_class = "live",
          .state = "reconnecting",
          .error = "it's \"mute\"",
          .faults = "",
          .records = 12,
          .last_frame_at = at("2025-01-06T15:00:00.123456Z"),
          .alive_at = at("2025-01-06T15:00:00.5Z"),
          .backoff_seconds = 2.5,
          .symbols = {{"AAPL", "stream"}, {"IBM", "over_limit"}}};
}

TEST(FeedReportTest, a_report_comes_back_from_another_process_as_it_was) {
  EXPECT_EQ(feed_report(*text::parse_json(text::to_json(to_value(finnhub())))), finnhub());
  EXPECT_EQ(feed_report(to_value(FeedReport())), FeedReport());
  EXPECT_EQ(feed_report(text::Value()), FeedReport());
}

TEST(FeedReportTest, several_feeds_are_one_and_what_is_wrong_with_any_is_wrong) {
  FeedReport other = {
      .name = "finnhub", .state = "live", .records = 3, .symbols = {{"MSFT", "rest"}}};
  const FeedReport standby = {.name = "finnhub", .state = "standby", .records = 5};
  for (const auto& reports :
       {std::vector{finnhub(), standby, other}, std::vector{standby, other, finnhub()}}) {
    const FeedReport all = together(reports);
    EXPECT_EQ(all.name, "finnhub");
    EXPECT_EQ(all.state, "reconnecting");
    EXPECT_EQ(all.error, finnhub().error);
    EXPECT_EQ(all.records, 20);
    EXPECT_EQ(all.symbols.size(), 3U);
    EXPECT_EQ(all.over_limit(), 1);
    EXPECT_EQ(all.last_frame_at, finnhub().last_frame_at);
  }
  EXPECT_EQ(together({standby}).state, "stopped");
  EXPECT_EQ(together({}), FeedReport());
  other.name = "simulator";
  EXPECT_EQ(together({finnhub(), other}).name, "finnhub+simulator");
}

TEST(FeedReportTest, a_gap_comes_back_and_what_is_none_is_refused) {
  feeds::Gap gap{.feed = "finnhub",
                 .symbol = *Symbol::parse("AAPL"),
                 .begin = at("2025-01-06T15:00:00.000001Z"),
                 .end = at("2025-01-06T15:01:00Z"),
                 .cause = "mute",
                 .healed_at = at("2025-01-06T15:02:00Z")};
  EXPECT_EQ(*gap_of(to_value(gap)), gap);
  gap.symbol = std::nullopt;
  gap.healed_at = std::nullopt;
  EXPECT_EQ(*gap_of(to_value(gap)), gap);
  for (const char* wrong : {"{}", "[]", R"({"begin":"2025-01-06T15:00:00Z"})",
                            R"({"begin":"2025-01-06T15:00:00Z","end":"soon"})"}) {
    EXPECT_EQ(gap_of(*text::parse_json(wrong)).error().code, ErrorCode::invalid_argument) << wrong;
  }
}

TEST(FeedGroundTest, what_a_feed_goes_on_from_comes_back_as_it_was) {
  const FeedGround ground{
      .start = "2025-01-06T05:00:00Z",
      .seed = "18446744073709551615",
      .last_event_times = {{*Symbol::parse("AAPL"), at("2025-01-06T15:00:00.5Z")},
                           {*Symbol::parse("BRK.B"), at("2025-01-06T14:00:00Z")}},
      .open_gaps = {{.feed = "finnhub",
                     .symbol = std::nullopt,
                     .begin = at("2025-01-06T15:00:00Z"),
                     .end = at("2025-01-06T15:01:00Z"),
                     .cause = "restart"}},
      .alive_until = at("2025-01-06T15:00:00.000001Z")};
  EXPECT_EQ(*feed_ground(*text::parse_json(text::to_json(to_value(ground)))), ground);
  EXPECT_EQ(*feed_ground(to_value(FeedGround())), FeedGround());
  EXPECT_FALSE(feed_ground(*text::parse_json(R"({"last_event_times":{"AAPL":3}})")));
  EXPECT_FALSE(feed_ground(*text::parse_json(R"({"open_gaps":[{}]})")));
}

}  // namespace
}  // namespace tapeline::app
