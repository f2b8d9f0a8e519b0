#include "serve/sse.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tapeline::serve {
namespace {

using namespace std::chrono_literals;

QuoteEvent event(std::string symbol, std::uint64_t sequence) {
  auto text = std::make_shared<const std::string>(symbol + std::to_string(sequence) + ";");
  return {std::move(symbol), sequence, 0, static_cast<std::int64_t>(sequence), std::move(text)};
}

std::shared_ptr<const std::string> run(int number) {
  return std::make_shared<const std::string>("run" + std::to_string(number) + ";");
}

TEST(StreamPosition, its_text_reads_back) {
  const StreamPosition position{"abc", {5, 0, 17}};
  EXPECT_EQ(position.text(), "abc:5,1=0,2=17");
  const auto back = StreamPosition::parse(position.text());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->topic_id, "abc");
  EXPECT_EQ(back->next, position.next);
  EXPECT_EQ(position.total(), 22);
  EXPECT_FALSE(position.is_before(0, 4));
  EXPECT_TRUE(position.is_before(0, 5));
  EXPECT_TRUE(position.is_before(3, 0));
}

TEST(StreamPosition, what_has_another_form_is_none) {
  for (const char* text : {"", "abc", "abc:", "abc:-1", "abc:x", "abc:1,", "abc:1,2=3", "abc:1,1",
                           "abc:1,1=", "abc:99999999999999999999"})
    EXPECT_FALSE(StreamPosition::parse(text)) << text;
  const auto huge = StreamPosition::parse("a:9223372036854775807,1=9223372036854775807");
  ASSERT_TRUE(huge);
  EXPECT_EQ(huge->total(), INT64_MAX);
}

TEST(SseQueue, keeps_only_the_newest_value_of_each_symbol_in_the_order_of_change) {
  SseQueue queue({});
  EXPECT_EQ(queue.offer(event("A", 1)), 0);
  EXPECT_EQ(queue.offer(event("B", 2)), 0);
  EXPECT_EQ(queue.offer(event("A", 3)), 1);
  EXPECT_EQ(queue.take(0s), "B2;A3;");
  EXPECT_EQ(queue.take(0s), "");
}

TEST(SseQueue, an_older_value_never_replaces_a_newer_one) {
  SseQueue queue({});
  queue.offer(event("A", 3));
  EXPECT_EQ(queue.offer(event("A", 1)), 1);
  EXPECT_EQ(queue.take(0s), "A3;");
}

TEST(SseQueue, however_much_comes_no_more_than_one_value_a_symbol_waits) {
  SseQueue queue({});
  for (std::uint64_t i = 1; i <= 10'000; ++i) queue.offer(event(i % 2 != 0 ? "A" : "B", i));
  EXPECT_EQ(queue.take(0s), "A9999;B10000;");
}

TEST(SseQueue, passes_only_the_symbols_that_were_asked_for) {
  SseQueue queue({.symbols = {"A"}});
  queue.offer(event("A", 1));
  queue.offer(event("B", 2));
  EXPECT_EQ(queue.take(0s), "A1;");
}

TEST(SseQueue, a_reader_that_comes_back_gets_nothing_that_is_older_than_what_it_has) {
  SseQueue queue({.since = StreamPosition{"topic", {3}}});
  queue.offer(event("A", 2));
  queue.offer(event("B", 3));
  EXPECT_EQ(queue.take(0s), "B3;");
}

TEST(SseQueue, an_interval_holds_quotes_back_and_nothing_else) {
  SseQueue queue({.interval = 1s});
  queue.offer(event("A", 1));
  EXPECT_EQ(queue.take(10s), "A1;");
  queue.offer(event("A", 2));
  queue.offer_run(run(1));
  EXPECT_EQ(queue.due(), Duration(0));
  EXPECT_EQ(queue.take(10'500ms), "run1;");
  EXPECT_EQ(queue.due(), Duration(11s));
  queue.offer(event("A", 3));
  EXPECT_EQ(queue.take(11s), "A3;");
  EXPECT_EQ(queue.due(), std::nullopt);
}

TEST(SseQueue, too_many_run_events_become_a_gap_that_says_how_many) {
  SseQueue queue({});
  const int extra = 3;
  for (int i = 0; i < static_cast<int>(SseQueue::kRunEventsMax) + extra; ++i)
    queue.offer_run(run(i));
  const std::string text = queue.take(0s);
  EXPECT_TRUE(text.starts_with("event: gap\ndata: {\"stream\":\"run\",\"missed\":3}\n\nrun3;"))
      << text;
  EXPECT_EQ(queue.take(0s), "");
}

TEST(SseQueue, only_the_newest_status_waits) {
  SseQueue queue({});
  queue.offer_status(run(1));
  queue.offer_status(run(2));
  EXPECT_EQ(queue.take(0s), "run2;");
}

}  // namespace
}  // namespace tapeline::serve
