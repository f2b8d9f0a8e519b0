#include "text/nearest.h"

#include <gtest/gtest.h>

namespace tapeline::text {
namespace {

TEST(Nearest, is_the_name_with_the_fewest_edits) {
  const std::vector<std::string> names = {"status", "start", "stop", "simulator.rate"};
  EXPECT_EQ(nearest("statsu", names), "status");
  EXPECT_EQ(nearest("strat", names), "start");
  EXPECT_EQ(nearest("stp", names), "stop");
  EXPECT_EQ(nearest("simulatorate", names), "simulator.rate");  // two too few
  EXPECT_EQ(nearest("stat", {"stet", "stit"}), "stet");         // the first of two
}

TEST(Nearest, is_none_where_more_would_change_than_stays) {
  const std::vector<std::string> names = {"up", "topic", "dag"};
  EXPECT_EQ(nearest("import", names), "");
  EXPECT_EQ(nearest("xy", names), "");  // two edits of two letters
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest("status", {}), "");
  EXPECT_EQ(nearest(std::string(1'000'000, 'x'), {std::string(100, 'x')}), "");
}

}  // namespace
}  // namespace tapeline::text
