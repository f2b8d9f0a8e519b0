#include "dag/dag.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace tapeline::dag {
namespace {

std::string wrong(std::string_view text) {
  const auto dag = Dag::parse(text, "x.yml");
  return dag ? "no error" : dag.error().message + " / " + dag.error().hint;
}

TEST(Dag, the_shipped_files_can_be_read) {
  for (const char* name : {"stock_data_ingestion", "full_tests", "retention"}) {
    std::ifstream file(std::string(TAPELINE_SOURCE_DIR "/dags/") + name + ".yml");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto dag = Dag::parse(text, std::string(name) + ".yml");
    ASSERT_TRUE(dag) << dag.error().message;
    EXPECT_EQ(dag->id, name);
    for (const Task& task : dag->tasks) EXPECT_EQ(task.retries, 2);
  }
}

TEST(Dag, errors_name_file_line_and_fix) {
  EXPECT_EQ(wrong("shedule: '@daily'\ntasks: {a: }\n"),
            "x.yml:1: the key 'shedule' is unknown / Did you mean 'schedule'?");
  EXPECT_EQ(wrong("tasks:\n  a: {upstream: [b]}\n  b:\n    upstream: [a]\n"),
            "x.yml:2: tasks wait for each other: a <- b <- a / "
            "Take one of them out of another's 'upstream'.");
  EXPECT_EQ(wrong("schedule: 61 * * * *\ntasks: {a: }\n").substr(0, 25),
            "x.yml:1: '61' is no minut");
  EXPECT_NE(wrong("tasks:\n  a: {trigger_rule: one_failed}\n").find("not supported"),
            std::string::npos);
  EXPECT_NE(wrong("schedule: '@continuous'\nmax_active_runs: 2\ntasks: {a: }\n").find("1 only"),
            std::string::npos);
  for (const char* text :
       {"", "3", "[]", "tasks: 3", "tasks: {}", "tasks: {a: 3}", "tasks: {a: {retries: -1}}",
        "tasks: {a: {retry_delay: 5}}", "timezone: Mars\ntasks: {a: }",
        "catchup: true\ntasks: {a: }", "tasks: {a: {upstream: [c]}}", "tasks: {a: {upstream: [a]}}",
        "start_date: 3\ntasks: {a: }", "pool: x\ntasks: {a: }", "dag_id: 'a b'\ntasks: {a: }",
        "tasks: {a: {params: 3}}"}) {
    EXPECT_EQ(wrong(text).substr(0, 5), "x.yml") << text;
  }
}

}  // namespace
}  // namespace tapeline::dag
