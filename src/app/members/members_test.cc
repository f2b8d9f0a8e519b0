#include "app/members/members.h"

#include <gtest/gtest.h>

#include "app/members/requests.h"

namespace tapeline::app {
namespace {

using namespace std::chrono_literals;

class MembersTest : public testing::Test {
 protected:
  std::vector<std::int32_t> load(const std::string& name) {
    return members_.renew({std::string(kLoadGroup), name, ""}, 4, 5s);
  }
  ManualClock clock_{parse_rfc3339("2025-01-06T15:00:00Z")->at};
  Members members_{clock_};
};

using Loaded = std::set<std::int32_t>;

TEST_F(MembersTest, the_owner_loads_what_no_loader_has) {
  EXPECT_EQ(members_.loaded_here(4, ""), (Loaded{0, 1, 2, 3}));
  load("a");
  EXPECT_EQ(members_.loaded_here(4, ""), Loaded{});
  clock_.advance(5s + 1us);
  EXPECT_EQ(members_.loaded_here(4, ""), (Loaded{0, 1, 2, 3}));
}

TEST_F(MembersTest, an_owner_that_takes_part_shares_with_the_loaders) {
  EXPECT_EQ(members_.loaded_here(4, "up"), (Loaded{0, 1, 2, 3}));
  EXPECT_TRUE(load("a").empty());
  EXPECT_EQ(members_.loaded_here(4, "up"), (Loaded{0, 2}));
  EXPECT_EQ(load("a"), (std::vector<std::int32_t>{1, 3}));
  EXPECT_EQ(members_.loaded_here(4, "up"), (Loaded{0, 2}));
  members_.leave(kLoadGroup, "a");
  EXPECT_EQ(members_.loaded_here(4, "up"), (Loaded{0, 1, 2, 3}));
}

TEST_F(MembersTest, feeds_are_forgotten_with_their_lease_but_not_what_they_gave) {
  members_.report("p1", {.name = "simulator", .state = "live", .records = 7}, 5s);
  members_.report("own", {.name = "simulator", .state = "live", .records = 2}, Members::kForever);
  EXPECT_EQ(members_.feed().records, 9);
  clock_.advance(6s);
  EXPECT_EQ(members_.feed().records, 9);
  members_.report("p2", {.name = "simulator", .state = "live", .records = 1}, 5s);
  EXPECT_EQ(members_.feed().records, 10);
  members_.leave("simulator", "p2");
  EXPECT_EQ(members_.feed().records, 10);
  EXPECT_EQ(members_.feed().state, "live");
}

TEST_F(MembersTest, who_works_on_what_is_listed) {
  load("b");
  load("a");
  clock_.advance(3s);
  load("b");
  EXPECT_EQ(members_.list().size(), 2U);
  EXPECT_EQ(members_.list()[1].partitions, (std::vector<std::int32_t>{0, 2}));
  clock_.advance(3s);
  ASSERT_EQ(members_.list().size(), 1U);
  EXPECT_EQ(members_.list()[0].name, "b");
}

TEST_F(MembersTest, an_answer_without_partitions_is_of_another_version) {
  for (const char* wrong : {"{}", "null", R"({"partitions":[0]})", R"({"partitions":0,"of":1})",
                            R"({"partitions":[],"of":0})"}) {
    EXPECT_EQ(feed_share(*text::parse_json(wrong)).error().code, ErrorCode::unsupported) << wrong;
    EXPECT_EQ(load_share(*text::parse_json(wrong)).error().code, ErrorCode::unsupported) << wrong;
  }
  const auto share = load_share(
      *text::parse_json(R"({"partitions":[1,3],"of":4,"consumed":3,"loaded":2,"duplicate":1})"));
  EXPECT_EQ(share->partitions, (std::vector<std::int32_t>{1, 3}));
  EXPECT_EQ(share->counts, (ingest::LoadCounts{3, 2, 1, 0, 0}));
}

}  // namespace
}  // namespace tapeline::app
