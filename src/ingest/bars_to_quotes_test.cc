#include "ingest/bars_to_quotes.h"

#include <gtest/gtest.h>

namespace tapeline::ingest {
namespace {

Bar bar(std::string_view start, BarLength length, std::int64_t open, std::int64_t high,
        std::int64_t low, std::int64_t close) {
  const auto price = [](std::int64_t dollars) {
    return Price::from_units(dollars * Price::kUnitsPerDollar);
  };
  return {*Symbol::parse("IBM"),
          parse_rfc3339(start)->at,
          length,
          price(open),
          price(high),
          price(low),
          price(close),
          100};
}
std::optional<Price> dollars(std::int64_t amount) {
  return Price::from_units(amount * Price::kUnitsPerDollar);
}

const auto kCalendar = *make_calendar("XNYS");

TEST(BarsToQuotes, the_day_so_far_follows_bars_of_the_regular_session) {
  BarsToQuotes bars(*kCalendar, {.history = true});
  const auto pre = bars.add(bar("2024-01-02T14:28:00Z", BarLength::m1, 90, 99, 80, 95));
  EXPECT_EQ(pre.session, Session::pre);
  EXPECT_FALSE(pre.open || pre.high || pre.low || pre.previous_close);
  EXPECT_TRUE(pre.history);
  // 14:29 ends in the last millisecond before the open.
  EXPECT_EQ(bars.add(bar("2024-01-02T14:29:00Z", BarLength::m1, 1, 1, 1, 1)).session, Session::pre);
  const auto first = bars.add(bar("2024-01-02T14:30:00Z", BarLength::m1, 10, 12, 9, 11));
  EXPECT_EQ(first.session, Session::regular);
  EXPECT_EQ(first.price, *dollars(11));
  EXPECT_EQ(first.volume, 100);
  EXPECT_EQ(first.bar_length, BarLength::m1);
  const auto second = bars.add(bar("2024-01-02T14:31:00Z", BarLength::m1, 11, 15, 10, 14));
  EXPECT_EQ(second.open, dollars(10));
  EXPECT_EQ(second.high, dollars(15));
  EXPECT_EQ(second.low, dollars(9));
  const auto post = bars.add(bar("2024-01-02T21:00:00Z", BarLength::m1, 11, 50, 1, 14));
  EXPECT_EQ(post.session, Session::post);
  EXPECT_EQ(post.high, dollars(15));
  const auto tomorrow = bars.add(bar("2024-01-03T14:30:00Z", BarLength::m1, 20, 21, 19, 20));
  EXPECT_EQ(tomorrow.low, dollars(19));
  const auto back = bars.add(bar("2024-01-02T14:32:00Z", BarLength::m1, 11, 16, 10, 14));
  EXPECT_EQ(back.open, dollars(10));
  EXPECT_EQ(back.high, dollars(16));
}

TEST(BarsToQuotes, an_hour_that_begins_before_the_open_belongs_to_the_session) {
  BarsToQuotes bars(*kCalendar, {});
  const auto quote = bars.add(bar("2024-01-02T14:00:00Z", BarLength::h1, 10, 12, 9, 11));
  EXPECT_EQ(quote.session, Session::regular);
  EXPECT_EQ(format_rfc3339(quote.event_time), "2024-01-02T14:59:59.999998Z");
}

TEST(BarsToQuotes, a_days_bar_is_the_session_and_a_day_without_one_is_closed) {
  BarsToQuotes bars(*kCalendar, {});
  bars.add(bar("2024-01-02T14:30:00Z", BarLength::m1, 1, 99, 1, 1));
  const auto day = bars.add(bar("2024-01-02T05:00:00Z", BarLength::d1, 10, 12, 9, 11));
  EXPECT_EQ(day.session, Session::regular);
  EXPECT_EQ(day.high, dollars(12));  // minute bars are another origin
  EXPECT_EQ(bars.on_closed_dates(), 0);
  const auto saturday = bars.add(bar("2024-01-06T05:00:00Z", BarLength::d1, 10, 12, 9, 11));
  EXPECT_EQ(saturday.session, Session::closed);
  EXPECT_FALSE(saturday.open);
  EXPECT_EQ(bars.on_closed_dates(), 1);
}

}  // namespace
}  // namespace tapeline::ingest
