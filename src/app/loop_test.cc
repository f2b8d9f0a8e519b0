// Goal: work that was handed aside is done when wait() returns, each time, and an idle helper ends;
// a thread gets the turns that it was made for.

#include "app/loop.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace tapeline::app {
namespace {

TEST(AsideLoop, each_work_is_done_once_wait_returns) {
  AsideLoop aside("aside");
  std::thread::id where;
  int done = 0;  // unguarded: start and wait are what orders it
  for (int i = 0; i < 1'000; ++i) {
    aside.start([&] {
      where = std::this_thread::get_id();
      ++done;
    });
    aside.wait();
    ASSERT_EQ(done, i + 1);
  }
  EXPECT_NE(where, std::this_thread::get_id());
}

/// The slice that a loop's thread has, in nanoseconds; 0 where the kernel knows none.
std::uint64_t slice_of_loop(Turns turns) {
  std::array<std::uint64_t, 6> attributes{};  // a sched_attr: the runtime is at byte 24
  Wakeup done;
  const Loop loop(
      "turns",
      [&](std::stop_token) {
        ::syscall(SYS_sched_getattr, 0, attributes.data(), sizeof attributes, 0);
        done.notify();
      },
      turns);
  EXPECT_EQ(done.wait(0, std::chrono::seconds(10), {}), 1U);
  return attributes[3];
}

TEST(Loop, who_wants_turns_soon_asks_for_a_short_slice) {
  const std::uint64_t usual = slice_of_loop(Turns::usual);
  if (usual == 0) GTEST_SKIP() << "before Linux 6.12 nobody can ask";
  EXPECT_EQ(slice_of_loop(Turns::soon), 100'000U);
  EXPECT_GT(usual, 100'000U);
}

}  // namespace
}  // namespace tapeline::app
