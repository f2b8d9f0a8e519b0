#include "app/members/leases.h"

#include <gtest/gtest.h>

namespace tapeline::app {
namespace {

using namespace std::chrono_literals;
using Partitions = std::vector<std::int32_t>;

class LeasesTest : public testing::Test {
 protected:
  Partitions renew(const std::string& name, std::int32_t partitions = 4,
                   const std::string& exclusive = "") {
    return leases_.renew({"load", name, exclusive}, partitions, now_, now_ + 5s);
  }
  std::string holders(std::int32_t partitions = 4) const {
    std::string all;
    for (std::int32_t i = 0; i < partitions; ++i) {
      all += leases_.holder("load", i, now_).value_or("-");
    }
    return all;
  }
  Duration now_{100s};
  Leases leases_;
};

TEST_F(LeasesTest, one_member_has_all_and_two_share_once_the_first_has_heard) {
  EXPECT_EQ(holders(), "----");
  EXPECT_EQ(renew("a"), (Partitions{0, 1, 2, 3}));
  EXPECT_EQ(renew("b"), Partitions{});  // a still works on all of them
  EXPECT_EQ(holders(), "aaaa");
  EXPECT_EQ(renew("a"), (Partitions{0, 2}));
  EXPECT_EQ(holders(), "a-a-");
  EXPECT_EQ(renew("b"), (Partitions{1, 3}));
  EXPECT_EQ(holders(), "abab");
  EXPECT_EQ(renew("a"), (Partitions{0, 2}));
}

TEST_F(LeasesTest, what_a_silent_member_had_goes_on_elsewhere_when_its_lease_is_over) {
  renew("a");
  renew("b");
  renew("a");
  renew("b");
  now_ += 5s;
  EXPECT_EQ(renew("a"), (Partitions{0, 2}));  // b's lease ends now, not before
  now_ += 1us;
  EXPECT_EQ(holders(), "a-a-");
  EXPECT_EQ(renew("a"), (Partitions{0, 1, 2, 3}));
  EXPECT_EQ(renew("b"), Partitions{});  // it was only slow
  EXPECT_EQ(renew("a"), (Partitions{0, 2}));
  EXPECT_EQ(renew("b"), (Partitions{1, 3}));
}

TEST_F(LeasesTest, who_leaves_leaves_at_once) {
  renew("a");
  renew("b");
  leases_.leave("load", "a");
  EXPECT_EQ(holders(), "----");
  EXPECT_EQ(renew("b"), (Partitions{0, 1, 2, 3}));
  leases_.leave("load", "nobody");
  leases_.leave("nothing", "b");
  EXPECT_EQ(holders(), "bbbb");
}

TEST_F(LeasesTest, more_members_than_partitions_stand_by) {
  EXPECT_EQ(renew("a", 1), Partitions{0});
  EXPECT_EQ(renew("b", 1), Partitions{});
  EXPECT_EQ(renew("a", 1), Partitions{0});
  EXPECT_EQ(renew("b", 1), Partitions{});
  now_ += 6s;
  EXPECT_EQ(renew("b", 1), Partitions{0});
}

TEST_F(LeasesTest, of_members_that_exclude_each_other_the_first_works) {
  renew("a", 4, "one key");
  renew("b", 4, "one key");
  renew("c", 4, "another key");
  EXPECT_EQ(renew("a", 4, "one key"), (Partitions{0, 2}));
  EXPECT_EQ(renew("b", 4, "one key"), Partitions{});
  EXPECT_EQ(renew("c", 4, "another key"), (Partitions{1, 3}));
}

TEST_F(LeasesTest, partitions_come_and_go_and_groups_do_not_see_each_other) {
  EXPECT_EQ(renew("a", 2), (Partitions{0, 1}));
  EXPECT_EQ(renew("a", 3), (Partitions{0, 1, 2}));
  EXPECT_EQ(renew("a", 1), (Partitions{0}));
  EXPECT_EQ(leases_.holder("load", 1, now_), std::nullopt);
  EXPECT_EQ(leases_.holder("produce", 0, now_), std::nullopt);
  EXPECT_EQ(leases_.renew({"produce", "p", ""}, 1, now_, now_ + 1s), Partitions{0});
  EXPECT_EQ(renew("a", 1), (Partitions{0}));
}

}  // namespace
}  // namespace tapeline::app
