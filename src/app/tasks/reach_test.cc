#include "app/tasks/reach.h"

#include <gtest/gtest.h>

namespace tapeline::app {
namespace {

TEST(Reach, is_told_by_the_tasks_of_a_dag_and_by_what_dbt_is_asked) {
  const auto reach = [](std::string_view rest) {
    const auto dag = dag::Dag::parse("tasks:\n  load:\n" + std::string(rest), "a.yml");
    EXPECT_TRUE(dag) << (dag ? "" : dag.error().message);
    return reach_of(*dag);
  };
  EXPECT_EQ(reach(""), Reach::raw);
  EXPECT_EQ(reach("  transform:\n"), Reach::models);
  EXPECT_EQ(reach("  transform:\n  check: {action: test}\n"), Reach::tests);
  EXPECT_EQ(reach("  models: {action: dbt}\n"), Reach::tests);  // dbt build
  EXPECT_EQ(reach("  models: {action: dbt, params: {args: run}}\n"), Reach::models);
  EXPECT_EQ(reach("  models: {action: dbt, params: {args: [test, --select, a]}}\n"), Reach::tests);
  EXPECT_EQ(reach("  models: {action: dbt}\nparams: {args: run}\n"), Reach::models);
}

}  // namespace
}  // namespace tapeline::app
