#include "feeds/simulator/price_path.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tapeline::feeds {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

const Symbol kSymbol = *Symbol::parse("AAPL");
const Timestamp kAnchor = parse_rfc3339("2026-11-20T05:00:00Z")->at;

TEST(PricePath, the_price_at_an_instant_does_not_depend_on_the_way_there) {
  PricePath walked(7, kSymbol, kAnchor);
  for (int i = 0; i < 500; ++i) {
    const Timestamp at = kAnchor + i * milliseconds(777);
    PricePath fresh(7, kSymbol, kAnchor);
    EXPECT_EQ(walked.log_of(at), fresh.log_of(at));
    if (i % 50 == 0) {
      EXPECT_EQ(walked.at(kAnchor).units(), 230 * Price::kUnitsPerDollar);
    }
  }
}

TEST(PricePath, extremes_hold_for_every_millisecond) {
  PricePath path(7, kSymbol, kAnchor);
  const Timestamp last = kAnchor + milliseconds(61'003);
  const auto found = path.extremes(kAnchor, last, 1);
  double high = -1e9, low = 1e9;
  for (Timestamp at = kAnchor; at <= last; at += milliseconds(1)) {
    high = std::max(high, path.log_of(at));
    low = std::min(low, path.log_of(at));
  }
  EXPECT_EQ(found.high, high);
  EXPECT_EQ(found.low, low);
}

TEST(PricePath, prices_stay_positive_even_for_a_penny) {
  EXPECT_EQ(PricePath::to_price(-100).units(), 10'000);
}

TEST(VolumePath, volume_never_falls_and_is_u_shaped) {
  const VolumePath path(7, kSymbol);
  const SessionHours day{kAnchor, kAnchor + hours(24)};
  std::int64_t before = 0;
  for (Timestamp at = day.open; at < day.close; at += std::chrono::seconds(7)) {
    const auto volume = path.since_open(day, at);
    ASSERT_GE(volume, before);
    before = volume;
  }
  EXPECT_EQ(path.since_open(day, day.close), path.of_day(day));
  EXPECT_EQ(path.since_open(day, day.open), 0);
  const auto between = [&](int from, int to) {
    return path.since_open(day, day.open + hours(to)) -
           path.since_open(day, day.open + hours(from));
  };
  EXPECT_GT(between(0, 2), 2 * between(11, 13));
  EXPECT_GT(between(22, 24), 2 * between(11, 13));
}

TEST(Profile, a_symbol_that_nobody_knows_has_one_too) {
  const auto profile = profile_of(*Symbol::parse("ZZTOP"));
  EXPECT_GT(profile.price, 10);
  EXPECT_LT(profile.volatility, 0.05);
  EXPECT_GT(profile.volume, 1e5);
}

}  // namespace
}  // namespace tapeline::feeds
