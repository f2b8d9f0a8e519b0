#include "msglog/embedded/commit_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace tapeline::msglog {
namespace {

TEST(CommitQueue, what_arrives_while_one_group_is_carried_out_goes_together_in_the_next) {
  constexpr int kFollowers = 5;
  CommitQueue<int> queue;
  std::atomic<int> submitted = 0;
  std::vector<std::size_t> groups;  // only a leader touches it
  std::vector<std::jthread> followers;
  const auto carry_out = [&](const CommitQueue<int>::Group& group) {
    groups.push_back(group.size());
  };
  queue.submit(std::make_shared<int>(0), [&](const CommitQueue<int>::Group& group) {
    carry_out(group);
    for (int i = 0; i < kFollowers; ++i)
      followers.emplace_back([&] {
        queue.submit(std::make_shared<int>(1), carry_out);
        ++submitted;
      });
    while (queue.waiting() < kFollowers) std::this_thread::yield();
  });
  followers.clear();
  EXPECT_EQ(submitted, kFollowers);
  EXPECT_EQ(groups, (std::vector<std::size_t>{1, kFollowers}));
}

TEST(CommitQueue, every_request_is_carried_out_once_whoever_leads) {
  CommitQueue<int> queue;
  int carried_out = 0;  // only a leader touches it
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread)
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const auto request = std::make_shared<int>(0);
          queue.submit(request, [&](const CommitQueue<int>::Group& group) {
            for (const auto& each : group) {
              ++*each;
              ++carried_out;
            }
          });
          EXPECT_EQ(*request, 1);
        }
      });
  }
  EXPECT_EQ(carried_out, 2000);
}

}  // namespace
}  // namespace tapeline::msglog
