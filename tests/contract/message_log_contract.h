// What every implementation of MessageLog must do, as tests over a way to make one.
//
// An implementation's test file includes this, and says
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, MessageLogContract, testing::Values(&make_embedded));

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "msglog/message_log.h"

namespace tapeline::msglog {

/// A log with no topics, and whatever it needs to live.
struct LogUnderTest {
  std::shared_ptr<void> keeps;
  MessageLog* log = nullptr;
  bool finds_times = true;   // librdkafka's mock cluster answers no question for a time
  bool lists_groups = true;  // nor for the groups
};

class MessageLogContract : public testing::TestWithParam<LogUnderTest (*)()> {
 protected:
  MessageLogContract() : made_(GetParam()()), log_(*made_.log) {}

  void create(const std::string& name, std::int32_t partitions = 1) {
    const auto created = log_.create_topic(name, partitions);
    ASSERT_TRUE(created) << created.error().message;
  }

  std::vector<Position> append(const std::string& topic, std::vector<Record> records) {
    auto positions = log_.append(topic, records);
    if (!positions) {
      ADD_FAILURE() << positions.error().message;
      return {};
    }
    return *std::move(positions);
  }

  FetchedRecords fetch(const TopicPartition& from, Offset start, FetchLimits limits = {}) {
    auto fetched = log_.fetch(from, start, limits);
    if (!fetched) {
      ADD_FAILURE() << fetched.error().message;
      return {};
    }
    return *std::move(fetched);
  }

  LogUnderTest made_;
  MessageLog& log_;
};

TEST_P(MessageLogContract, records_come_back_in_order_with_their_offsets) {
  create("prices");
  const auto positions = append("prices", {{"A", "one"}, {"B", ""}, {"", "three"}});
  ASSERT_EQ(positions.size(), 3U);
  EXPECT_EQ(positions[0].offset, 0);
  EXPECT_EQ(positions[2].offset, 2);
  const auto fetched = fetch({"prices", 0}, 0);
  ASSERT_EQ(fetched.records.size(), 3U);
  EXPECT_EQ(fetched.records[0].key, "A");
  EXPECT_EQ(fetched.records[0].value, "one");
  EXPECT_EQ(fetched.records[1].value, "");
  EXPECT_EQ(fetched.records[2].key, "");
  EXPECT_EQ(fetched.records[2].offset, 2);
  EXPECT_EQ(fetched.next, 3);
}

TEST_P(MessageLogContract, a_fetch_at_the_end_is_empty_and_one_past_it_is_refused) {
  create("prices");
  append("prices", {{"A", "one"}});
  const auto fetched = fetch({"prices", 0}, 1);
  EXPECT_TRUE(fetched.records.empty());
  EXPECT_EQ(fetched.next, 1);
  const auto past = log_.fetch({"prices", 0}, 2, {});
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().code, ErrorCode::invalid_argument);
}

TEST_P(MessageLogContract, limits_are_kept_and_one_record_is_always_given) {
  create("prices");
  std::vector<Record> records;
  for (int i = 0; i < 100; ++i) records.push_back({"A", std::string(100, 'x')});
  append("prices", records);
  EXPECT_EQ(fetch({"prices", 0}, 10, {.records_max = 7}).records.size(), 7U);
  EXPECT_EQ(fetch({"prices", 0}, 10, {.records_max = 7}).next, 17);
  EXPECT_EQ(fetch({"prices", 0}, 0, {.bytes_max = 1}).records.size(), 1U);
  const auto some = fetch({"prices", 0}, 0, {.bytes_max = 1010});
  EXPECT_EQ(some.records.size(), 10U);
}

TEST_P(MessageLogContract, reading_on_from_next_sees_every_record_once) {
  create("prices");
  for (int i = 0; i < 50; ++i)
    append("prices", {{"A", std::to_string(2 * i)}, {"A", std::to_string(2 * i + 1)}});
  for (const std::int64_t step : {1, 3, 1000}) {
    Offset next = 0;
    std::vector<std::string> seen;
    while (true) {
      const auto fetched = fetch({"prices", 0}, next, {.records_max = step});
      if (fetched.records.empty()) break;
      for (const auto& record : fetched.records) seen.emplace_back(record.value);
      next = fetched.next;
    }
    ASSERT_EQ(seen.size(), 100U);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], std::to_string(i));
  }
}

TEST_P(MessageLogContract, one_key_goes_to_one_partition_as_in_kafka) {
  create("prices", 4);
  const auto first = append("prices", {{"foobar", "1"}, {"abc", "2"}, {"foobar", "3"}});
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[0].partition, first[2].partition);
  EXPECT_EQ(first[0].partition, (-790332482 & 0x7fffffff) % 4);
  EXPECT_EQ(first[1].partition, (479470107 & 0x7fffffff) % 4);
  EXPECT_LT(first[0].offset, first[2].offset);
}

TEST_P(MessageLogContract, a_value_of_one_mebibyte_fits_and_a_longer_one_does_not) {
  create("prices");
  append("prices", {{"A", std::string(1 << 20, 'v')}});
  const auto fetched = fetch({"prices", 0}, 0, {.bytes_max = 10});
  ASSERT_EQ(fetched.records.size(), 1U);
  EXPECT_EQ(fetched.records[0].value.size(), 1U << 20);
  const std::vector<Record> longer{{"A", std::string((1 << 20) + 1, 'v')}};
  const auto refused = log_.append("prices", longer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TEST_P(MessageLogContract, an_append_takes_one_to_ten_thousand_records) {
  create("prices");
  EXPECT_EQ(log_.append("prices", {}).error().code, ErrorCode::invalid_argument);
  const std::vector<Record> too_many(10'001, Record{"A", "x"});
  EXPECT_EQ(log_.append("prices", too_many).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(append("prices", std::vector<Record>(10'000, Record{"A", "x"})).back().offset, 9'999);
}

TEST_P(MessageLogContract, what_is_not_there_is_not_found) {
  create("prices");
  const std::vector<Record> records{{"A", "x"}};
  EXPECT_EQ(log_.append("nothing", records).error().code, ErrorCode::not_found);
  EXPECT_EQ(log_.fetch({"nothing", 0}, 0, {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(log_.fetch({"prices", 1}, 0, {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(log_.commit("group", {"nothing", 0}, 0).error().code, ErrorCode::not_found);
}

TEST_P(MessageLogContract, topics_are_created_once_with_names_and_partitions_that_kafka_takes) {
  create("prices", 2);
  EXPECT_EQ(log_.create_topic("prices", 1).error().code, ErrorCode::already_exists);
  for (const char* name : {"", ".", "..", "a b", "a/b", "\xc3\xa9"})
    EXPECT_EQ(log_.create_topic(name, 1).error().code, ErrorCode::invalid_argument) << name;
  EXPECT_EQ(log_.create_topic("other", 0).error().code, ErrorCode::invalid_argument);
  create("another");
  const auto topics = log_.topics();
  ASSERT_TRUE(topics);
  ASSERT_EQ(topics->size(), 2U);
  EXPECT_EQ((*topics)[0].name, "another");
  EXPECT_EQ((*topics)[1].partitions.size(), 2U);
  EXPECT_EQ((*topics)[0].id.size(), 32U);
  EXPECT_NE((*topics)[0].id, (*topics)[1].id);
}

TEST_P(MessageLogContract, a_group_remembers_what_it_committed_last) {
  create("prices", 2);
  append("prices", std::vector<Record>(8, Record{"A", "x"}));
  const auto none = log_.committed("loader", {"prices", 0});
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(log_.commit("loader", {"prices", 0}, 3));
  ASSERT_TRUE(log_.commit("loader", {"prices", 0}, 5));
  ASSERT_TRUE(log_.commit("loader", {"prices", 1}, 1));
  ASSERT_TRUE(log_.commit("other", {"prices", 0}, 1));
  EXPECT_EQ(*log_.committed("loader", {"prices", 0}), std::optional<Offset>(5));
  EXPECT_EQ(*log_.committed("loader", {"prices", 1}), std::optional<Offset>(1));
  EXPECT_EQ(*log_.committed("other", {"prices", 0}), std::optional<Offset>(1));
}

TEST_P(MessageLogContract, a_topic_tells_how_far_each_group_has_got) {
  if (!made_.lists_groups) GTEST_SKIP() << "this cluster does not list its groups";
  create("prices", 2);
  append("prices", std::vector<Record>(8, Record{"A", "x"}));
  EXPECT_EQ(log_.groups("nothing").error().code, ErrorCode::not_found);
  ASSERT_TRUE(log_.commit("one", {"prices", 0}, 3));
  ASSERT_TRUE(log_.commit("one", {"prices", 1}, 1));
  ASSERT_TRUE(log_.commit("two", {"prices", 1}, 2));
  const auto groups = log_.groups("prices");
  ASSERT_TRUE(groups) << groups.error().message;
  std::vector<std::string> said;
  for (const auto& its : *groups) {
    said.push_back(its.group + " " + std::to_string(its.partition) + " " +
                   std::to_string(its.next));
  }
  EXPECT_EQ(said, (std::vector<std::string>{"one 0 3", "one 1 1", "two 1 2"}));
}

TEST_P(MessageLogContract, an_instant_leads_to_the_first_record_appended_then_or_later) {
  if (!made_.finds_times) GTEST_SKIP() << "this cluster does not look for times";
  create("prices");
  append("prices", {{"A", "x"}, {"A", "y"}});
  append("prices", {{"A", "z"}});
  const auto records = fetch({"prices", 0}, 0).records;
  ASSERT_EQ(records.size(), 3U);
  EXPECT_LE(records[0].appended_at, records[2].appended_at);
  EXPECT_EQ(*log_.offset_at({"prices", 0}, Timestamp()), 0);
  EXPECT_LE(*log_.offset_at({"prices", 0}, records[2].appended_at), 2);
  EXPECT_EQ(*log_.offset_at({"prices", 0}, records[2].appended_at + std::chrono::hours(1)), 3);
}

}  // namespace tapeline::msglog
