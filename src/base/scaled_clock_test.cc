#include "base/scaled_clock.h"

#include <gtest/gtest.h>

namespace tapeline {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Timestamp kStart{std::chrono::microseconds(1'381'132'800'000'000)};

TEST(ScaledClock, time_passes_many_times_as_fast_from_its_own_start) {
  ManualClock real(Timestamp{});
  real.advance(hours(3));  // what passed before does not count
  ScaledClock clock(real, kStart, 50);
  EXPECT_EQ(clock.now(), kStart);
  EXPECT_EQ(clock.uptime(), Duration(0));
  real.advance(seconds(2));
  EXPECT_EQ(clock.now(), kStart + seconds(100));
  EXPECT_EQ(clock.uptime(), seconds(100));
}

TEST(ScaledClock, a_wait_takes_its_share_of_real_time_and_is_never_short) {
  ManualClock real(Timestamp{});
  ScaledClock clock(real, kStart, 48);
  for (int i = 1; i <= 100; ++i) {
    const Duration deadline = clock.uptime() + milliseconds(7);
    ASSERT_TRUE(clock.wait_until(deadline, {}));
    ASSERT_GE(clock.uptime(), deadline);
  }
  EXPECT_NEAR(static_cast<double>(real.uptime().count()), 0.7e9 / 48, 1e4);
}

TEST(ScaledClock, a_wait_that_is_stopped_says_so) {
  ManualClock real(Timestamp{});
  ScaledClock clock(real, kStart, 50);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.wait_for(seconds(1), stop.get_token()));
}

}  // namespace
}  // namespace tapeline
