// Goal: the forecast's arithmetic, whose two parts end differently: the log is full one day and
// costs no more, the warehouse goes on.

#include "app/commands/forecast.h"

#include <gtest/gtest.h>

namespace tapeline::app {
namespace {

constexpr DailyLoads kDay{.messages = 100, .rows = 80};

TEST(Forecast, log_and_warehouse_share_the_disk) {
  const auto made =
      forecast(kDay, {.free = 2600, .log_max = 1e9, .log_each = 5, .warehouse_each = 10});
  EXPECT_DOUBLE_EQ(made.bytes_per_day, 1300);
  EXPECT_DOUBLE_EQ(made.days_left, 2);
}

TEST(Forecast, a_log_at_its_limit_takes_no_more) {
  const auto made = forecast(
      kDay, {.free = 8500, .log = 500, .log_max = 1000, .log_each = 5, .warehouse_each = 10});
  EXPECT_DOUBLE_EQ(made.days_left, 10);
  EXPECT_DOUBLE_EQ(
      forecast(kDay,
               {.free = 8000, .log = 1000, .log_max = 1000, .log_each = 5, .warehouse_each = 10})
          .days_left,
      10);
}

TEST(Forecast, a_disk_that_nothing_fills_lasts) {
  EXPECT_GE(forecast({}, {.free = 10, .log_each = 5, .warehouse_each = 10}).days_left, 36'500);
  EXPECT_DOUBLE_EQ(forecast(kDay, {.free = 0, .log_each = 5, .warehouse_each = 10}).days_left, 0);
}

}  // namespace
}  // namespace tapeline::app
