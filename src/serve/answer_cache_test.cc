#include "serve/answer_cache.h"

#include <gtest/gtest.h>

namespace tapeline::serve {
namespace {

TEST(AnswerCache, an_answer_is_good_for_its_request_and_its_version_only) {
  AnswerCache cache(1'000);
  cache.keep("a", 7, "old");
  EXPECT_EQ(cache.find("a", 7), "old");
  EXPECT_EQ(cache.find("b", 7), std::nullopt);
  EXPECT_EQ(cache.find("a", 6), std::nullopt);
  EXPECT_EQ(cache.find("a", 8), std::nullopt);
}

TEST(AnswerCache, what_was_read_before_the_newest_version_is_not_kept) {
  AnswerCache cache(1'000);
  cache.keep("a", 8, "new");
  cache.keep("a", 7, "old");
  cache.keep("b", 7, "old");
  EXPECT_EQ(cache.find("a", 8), "new");
  EXPECT_EQ(cache.find("b", 7), std::nullopt);
  cache.keep("b", 9, "newer");
  EXPECT_EQ(cache.find("a", 8), std::nullopt);
  EXPECT_EQ(cache.find("b", 9), "newer");
}

TEST(AnswerCache, is_never_fuller_than_its_limit_and_empty_with_each_version) {
  AnswerCache cache(10);
  cache.keep("a", 1, "12345");
  cache.keep("b", 1, "12345");  // would be twelve
  cache.keep("c", 1, "123");
  EXPECT_EQ(cache.find("a", 1), "12345");
  EXPECT_EQ(cache.find("b", 1), std::nullopt);
  EXPECT_EQ(cache.find("c", 1), "123");
  cache.keep("b", 2, "12345");
  EXPECT_EQ(cache.find("b", 2), "12345");
}

}  // namespace
}  // namespace tapeline::serve
