#include "io/process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

namespace tapeline::io {
namespace {

class Process : public testing::Test {
 protected:
  Result<int> shell(const std::string& script, std::stop_token stop = {}) {
    lines_.clear();
    return run_program(
        *clock_,
        {.words = {"sh", "-c", script},
         .folder = "/",
         .environment = {{"WORD", "a b"}, {"ONE", "1"}},
         .grace = grace_},
        [&](std::string_view line) {
          lines_.emplace_back(line);
          if (on_line_) on_line_();
        },
        stop);
  }
  std::unique_ptr<Clock> clock_ = make_system_clock();
  std::vector<std::string> lines_;
  std::function<void()> on_line_;
  Duration grace_ = Program().grace;
};

TEST_F(Process, its_lines_and_its_exit_code) {
  EXPECT_EQ(*shell("echo one; echo two >&2; printf three; exit 7"), 7);
  EXPECT_EQ(lines_, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(*shell("kill -9 $$"), 137);
}

TEST_F(Process, its_environment_is_what_was_given_and_its_input_is_empty) {
  EXPECT_EQ(*shell("echo \"$WORD$ONE$HOME\"; pwd; cat"), 0);
  EXPECT_EQ(lines_, (std::vector<std::string>{"a b1", "/"}));
}

TEST_F(Process, it_has_none_of_our_files) {
  // The shell's own listing is one; what we have open by now is more.
  EXPECT_EQ(*shell("ls /proc/self/fd | wc -l"), 0);
  EXPECT_EQ(lines_, (std::vector<std::string>{"4"}));  // 0 to 2, and the folder that is listed
}

TEST_F(Process, what_does_not_start_says_why) {
  const auto lost = run_program(*clock_, {.words = {"no-such-program"}, .folder = "/"},
                                [](std::string_view) {}, {});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::not_found);
  const auto nowhere =
      run_program(*clock_, {.words = {"sh"}, .folder = "/no/such"}, [](std::string_view) {}, {});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, ErrorCode::invalid_argument);
}

TEST_F(Process, a_stop_ends_it_and_its_children) {
  std::stop_source stop;
  on_line_ = [&] { stop.request_stop(); };
  const auto ended = shell("sleep 600 & echo $!; wait", stop.get_token());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::cancelled);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + lines_.at(0) + "/cwd"));
}

TEST_F(Process, a_stop_does_not_wait_for_who_left_its_group) {
  std::stop_source stop;
  on_line_ = [&] { stop.request_stop(); };
  grace_ = std::chrono::milliseconds(10);
  const auto ended = shell("setsid sleep 60 & echo $!; wait", stop.get_token());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::cancelled);
  EXPECT_EQ(::kill(std::stoi(lines_.at(0)), SIGKILL), 0);  // it goes on
}

TEST_F(Process, who_does_not_heed_a_stop_is_killed) {
  std::stop_source stop;
  on_line_ = [&] { stop.request_stop(); };
  grace_ = std::chrono::milliseconds(10);
  const auto ended = shell("trap '' TERM; echo; while :; do sleep 1; done", stop.get_token());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace tapeline::io
