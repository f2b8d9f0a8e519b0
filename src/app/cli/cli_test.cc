#include "app/cli/cli.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "app/cli/completion.h"

namespace tapeline::app {
namespace {

std::string why(const std::vector<std::string>& words) {
  const auto parsed = parse_command_line(words);
  return parsed ? "ok" : parsed.error().message + " / " + parsed.error().hint;
}

TEST(Cli, flags_take_values_in_both_forms_and_words_stay_in_order) {
  const auto call = parse_command_line({"import", "a.csv", "--bar-length=1d", "b.csv", "--json"});
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->command->name, "import");
  EXPECT_EQ(call->words, (std::vector<std::string>{"a.csv", "b.csv"}));
  EXPECT_EQ(call->value("bar-length"), "1d");
  EXPECT_TRUE(call->has("json"));
  EXPECT_EQ(parse_command_line({"export", "t", "--symbol", "A", "--symbol=B,C"})->value("symbol"),
            "A,B,C");
  EXPECT_EQ(parse_command_line({"sql", "-c", "select 1"})->value("query"), "select 1");
}

TEST(Cli, a_near_miss_is_named) {
  EXPECT_EQ(why({"improt", "a"}), "tapeline has no command `improt` / Did you mean `import`?");
  EXPECT_EQ(why({"topic", "tial"}), "`topic` has no command `tial` / Did you mean `tail`?");
  EXPECT_EQ(why({"up", "--sede", "1"}), "`up` has no flag `--sede` / Did you mean `--seed`?");
  EXPECT_EQ(why({"up", "--seed"}), "`--seed` needs a value / Write --seed N.");
  EXPECT_EQ(why({"up", "--json=1"}), "`--json` takes no value / ");
  EXPECT_EQ(why({"-v"}), "tapeline has no command `-v` / `tapeline --help` lists them.");
}

TEST(Cli, a_command_of_a_later_release_says_so) {
  EXPECT_EQ(why({"explain"}), "`explain` is not there yet / A later release brings it.");
}

TEST(Cli, too_few_and_too_many_words_are_named) {
  EXPECT_EQ(why({"import"}), "`import` needs FILE... / `tapeline import --help` has an example.");
  EXPECT_EQ(why({"dag", "tasks", "d"}),
            "`dag tasks` needs DAG RUN / `tapeline dag tasks --help` has an example.");
  EXPECT_EQ(
      why({"status", "x"}),
      "`status` does not know what to do with 'x' / `tapeline status --help` has an example.");
  EXPECT_EQ(why({"topic", "verify"}), "ok");
}

TEST(Cli, a_group_of_commands_says_what_they_do) {
  for (const auto& words : {std::vector<std::string>{"topic", "--help"}, {"help", "topic"}}) {
    const auto call = parse_command_line(words);
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_TRUE(call->help && !call->command);
    EXPECT_EQ(call->words, std::vector<std::string>{"topic"});
  }
  const std::string text = help_of_group("topic");
  EXPECT_NE(text.find("topic tail TOPIC"), std::string::npos) << text;
  EXPECT_EQ(text.find("dag list"), std::string::npos) << text;
  EXPECT_EQ(why({"backup"}),
            "`backup` needs one of: create, verify, restore / `tapeline backup --help` says what "
            "each does.");
  const auto one = parse_command_line({"help", "topic", "tail"});
  ASSERT_TRUE(one && one->command);
  EXPECT_EQ(one->command->name, "topic tail");
}

TEST(Cli, words_after_dbt_are_dbts_own) {
  const auto call = parse_command_line({"dbt", "run", "--select", "x+", "--data-dir", "d"});
  ASSERT_TRUE(call);
  EXPECT_EQ(call->words, (std::vector<std::string>{"run", "--select", "x+"}));
  EXPECT_EQ(call->value("data-dir"), "d");
}

TEST(Cli, every_command_has_help_with_an_example_that_parses) {
  for (const Command& command : commands()) {
    const std::string text = help(command);
    EXPECT_NE(text.find("examples:\n  tapeline " + std::string(command.name)), std::string::npos)
        << text;
  }
}

TEST(Cli, the_reference_page_is_what_the_program_says) {
  const std::string file = std::string(TAPELINE_SOURCE_DIR) + "/docs/cli.md";
  if (std::getenv("TAPELINE_UPDATE")) std::ofstream(file) << cli_reference();
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(text.str(), cli_reference()) << "run with TAPELINE_UPDATE=1 to write it";
}

TEST(Cli, the_man_page_is_what_the_program_says) {
  const std::string file = std::string(TAPELINE_SOURCE_DIR) + "/docs/tapeline.1";
  if (std::getenv("TAPELINE_UPDATE")) std::ofstream(file) << man_page();
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(text.str(), man_page()) << "run with TAPELINE_UPDATE=1 to write it";
}

}  // namespace
}  // namespace tapeline::app
