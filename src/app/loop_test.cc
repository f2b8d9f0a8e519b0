// Goal: work that was handed aside is done when wait() returns, each time, and an idle helper ends.

#include "app/loop.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tapeline::app
