#include "dag/plan.h"

#include <gtest/gtest.h>

namespace tapeline::dag {
namespace {

void run(Plan& plan, const std::string& name, TaskState state) {
  ASSERT_EQ(plan.start_next(), name);
  plan.finish(name, state);
}

TEST(Plan, a_failure_reaches_what_depends_on_it_and_nothing_else) {
  auto plan = *Plan::make({{"load", {}},
                           {"staging", {"load"}},
                           {"bars", {"staging"}},
                           {"movers", {"staging"}},
                           {"report", {"bars", "movers"}}});
  run(plan, "load", TaskState::success);
  run(plan, "staging", TaskState::success);
  run(plan, "bars", TaskState::failed);
  EXPECT_EQ(plan.state("report"), TaskState::upstream_failed);
  EXPECT_FALSE(plan.done());
  run(plan, "movers", TaskState::success);
  EXPECT_TRUE(plan.done());
  EXPECT_TRUE(plan.failed());
}

TEST(Plan, an_all_done_leaf_hides_no_failure) {
  auto plan = *Plan::make({{"a", {}}, {"z", {"a"}, TriggerRule::all_done}});
  run(plan, "a", TaskState::failed);
  run(plan, "z", TaskState::success);
  EXPECT_TRUE(plan.failed());
}

TEST(Plan, rules_say_what_a_skipped_task_does) {
  auto plan = *Plan::make({{"a", {}},
                           {"b", {"a"}},
                           {"c", {"a"}, TriggerRule::none_failed},
                           {"d", {"b"}, TriggerRule::all_done}});
  run(plan, "a", TaskState::skipped);
  EXPECT_EQ(plan.state("b"), TaskState::skipped);
  EXPECT_EQ(plan.state("c"), TaskState::queued);
  EXPECT_EQ(plan.state("d"), TaskState::queued);
}

TEST(Plan, a_retry_changes_nothing_after_it) {
  auto plan = *Plan::make({{"a", {}}, {"b", {"a"}}});
  ASSERT_EQ(plan.start_next(), "a");
  plan.retry_later("a");
  EXPECT_EQ(plan.state("b"), TaskState::none);
  plan.retry_now("a");
  run(plan, "a", TaskState::success);
  EXPECT_EQ(plan.state("b"), TaskState::queued);
}

TEST(Plan, a_cycle_is_named) {
  const auto plan = Plan::make({{"a", {"c"}}, {"b", {"a"}}, {"c", {"b"}}, {"free", {}}});
  EXPECT_EQ(plan.error().message, "tasks wait for each other: a <- c <- b <- a");
}

}  // namespace
}  // namespace tapeline::dag
