#include "base/wakeup.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/bounded_queue.h"

namespace tapeline {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLong = 1min;  // a test that waits it out has failed

TEST(Wakeup, who_waits_goes_on_at_a_notify_and_at_a_stop) {
  const auto began = std::chrono::steady_clock::now();
  Wakeup wakeup;
  std::stop_source stop;
  EXPECT_EQ(wakeup.wait(1, kLong, stop.get_token()), 0U);  // it differs already
  for (std::uint64_t seen = 0; seen < 100; ++seen) {
    std::jthread other([&] { wakeup.notify(); });
    EXPECT_EQ(wakeup.wait(seen, kLong, stop.get_token()), seen + 1);
  }
  std::jthread other([&] { stop.request_stop(); });
  EXPECT_EQ(wakeup.wait(100, kLong, stop.get_token()), 100U);
  EXPECT_EQ(wakeup.wait(100, kLong, stop.get_token()), 100U);  // stopped before it waits
  EXPECT_EQ(wakeup.wait(100, 1us, {}), 100U);                  // its time is over
  EXPECT_LT(std::chrono::steady_clock::now() - began, kLong);
}

TEST(BoundedQueue, gives_what_it_took_in_order_until_it_is_stopped) {
  BoundedQueue<int> queue(1000);
  std::stop_source stop;
  std::jthread other([&] {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(queue.push(i));
    stop.request_stop();
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(queue.pop({}), i);
  other.join();
  EXPECT_EQ(queue.pop(stop.get_token()), std::nullopt);
  std::jthread late([&] { (void)queue.push(7); });
  EXPECT_EQ(queue.pop({}), 7);
}

}  // namespace
}  // namespace tapeline
