#include "msglog/spooled_log.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "../../tests/contract/message_log_contract.h"
#include "io/faulty_file_system.h"

namespace tapeline::msglog {
namespace {

using namespace std::chrono_literals;

/// A log that is away when told to be: the embedded one, on other files, behind a switch.
class RemoteLog final : public MessageLog {
 public:
  explicit RemoteLog(MessageLog& log) : log_(log) {}
  std::optional<Error> failure;       // of every append
  bool takes_before_failing = false;  // what fails is there all the same
  std::string refuses;                // a value that is never taken
  std::string away_at;                // when this value comes alone

  Status create_topic(const std::string& name, std::int32_t partitions) override {
    return log_.create_topic(name, partitions);
  }
  Result<std::vector<TopicInfo>> topics() override { return log_.topics(); }
  Result<std::vector<Position>> append(const std::string& topic,
                                       std::span<const Record> records) override {
    for (const Record& record : records) {
      if (record.value == refuses && !refuses.empty()) {
        return Error{ErrorCode::invalid_argument, "too large for this topic", ""};
      }
    }
    const bool alone = records.size() == 1 && !away_at.empty() && records[0].value == away_at;
    if (alone) return Error{ErrorCode::unavailable, "no broker answers", ""};
    if (!failure) return log_.append(topic, records);
    if (takes_before_failing) TRY(log_.append(topic, records));
    return *failure;
  }
  Result<FetchedRecords> fetch(const TopicPartition& from, Offset start,
                               FetchLimits limits) override {
    return log_.fetch(from, start, limits);
  }
  Result<Offset> offset_at(const TopicPartition& from, Timestamp at) override {
    return log_.offset_at(from, at);
  }
  Status commit(const std::string& group, const TopicPartition& at, Offset next) override {
    return log_.commit(group, at, next);
  }
  Result<std::optional<Offset>> committed(const std::string& group,
                                          const TopicPartition& at) override {
    return log_.committed(group, at);
  }
  Result<std::vector<GroupOffset>> groups(const std::string& topic) override {
    return log_.groups(topic);
  }

 private:
  MessageLog& log_;
};

const Error kAway{ErrorCode::unavailable, "no broker answers", ""};

struct SpoolWorld {
  SpoolWorld() {
    there = std::move(*EmbeddedLog::open(elsewhere, clock, {.directory = "/there"}));
    remote = std::make_unique<RemoteLog>(*there);
    open();
  }
  void open() {
    auto opened = SpooledLog::open(files, clock, *remote, options);
    ASSERT_TRUE(opened) << opened.error().message;
    log = *std::move(opened);
  }
  void kill_and_open() {
    files.kill();
    log.reset();
    files.start_again(true);
    open();
  }

  io::FaultyFileSystem elsewhere{1};
  io::FaultyFileSystem files{2};
  ManualClock clock{Timestamp(1'700'000'000s)};
  telemetry::Metrics metrics;
  SpooledLog::Options options{
      .directory = "/spool", .size_bytes_max = 8 << 20, .topics = {"prices"}, .metrics = &metrics};
  std::unique_ptr<EmbeddedLog> there;
  std::unique_ptr<RemoteLog> remote;
  std::unique_ptr<SpooledLog> log;
};

LogUnderTest make_spooled() {
  auto world = std::make_shared<SpoolWorld>();
  auto* const log = world->log.get();
  return {world, log};
}

INSTANTIATE_TEST_SUITE_P(Spooled, MessageLogContract, testing::Values(&make_spooled));

class SpooledLogTest : public testing::Test, protected SpoolWorld {
 protected:
  SpooledLogTest() { EXPECT_TRUE(there->create_topic("prices", 1)); }

  Result<std::vector<Position>> append(const std::string& value) {
    const std::vector<Record> records{{"A", value}};
    return log->append("prices", records);
  }
  std::vector<std::string> arrived() {
    std::vector<std::string> values;
    const auto fetched = there->fetch({"prices", 0}, 0, {});
    for (const auto& record : fetched->records) values.emplace_back(record.value);
    return values;
  }
  void drain() {
    while (true) {
      const auto more = log->step();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
  }
  using Values = std::vector<std::string>;
};

TEST_F(SpooledLogTest, what_comes_while_the_other_side_is_away_arrives_in_order_once_it_is_back) {
  ASSERT_TRUE(append("1"));
  remote->failure = kAway;
  ASSERT_TRUE(append("2"));
  EXPECT_EQ(log->spool().records, 1);
  EXPECT_FALSE(log->step());
  remote->failure.reset();
  // It is back, but what waits goes first: 3 may not overtake 2.
  const auto third = append("3");
  ASSERT_TRUE(third);
  EXPECT_EQ(third->front().offset, SpooledLog::kWaits.offset);
  EXPECT_EQ(arrived(), Values({"1"}));
  drain();
  EXPECT_FALSE(log->waiting());
  ASSERT_TRUE(append("4"));
  EXPECT_EQ(arrived(), Values({"1", "2", "3", "4"}));
}

TEST_F(SpooledLogTest, what_is_spooled_survives_a_crash_of_the_machine) {
  remote->failure = kAway;
  for (const char* value : {"1", "2", "3"}) ASSERT_TRUE(append(value));
  kill_and_open();
  EXPECT_TRUE(log->waiting());
  EXPECT_EQ(log->spool().records, 3);
  remote->failure.reset();
  drain();
  EXPECT_EQ(arrived(), Values({"1", "2", "3"}));
}

TEST_F(SpooledLogTest, what_timed_out_and_was_there_all_the_same_comes_twice_and_in_order) {
  remote->failure = Error{ErrorCode::timed_out, "no report came", ""};
  remote->takes_before_failing = true;
  ASSERT_TRUE(append("1"));
  remote->failure.reset();
  ASSERT_TRUE(append("2"));
  drain();
  EXPECT_EQ(arrived(), Values({"1", "1", "2"}));
}

TEST_F(SpooledLogTest, its_files_go_when_all_is_carried_over) {
  remote->failure = kAway;
  ASSERT_TRUE(append("1"));
  EXPECT_TRUE(*files.info("/spool"));
  remote->failure.reset();
  drain();
  EXPECT_FALSE(*files.info("/spool"));
  EXPECT_EQ(log->spool().size_bytes, 0);
}

TEST_F(SpooledLogTest, what_comes_while_its_files_go_is_not_mixed_with_them) {
  remote->failure = kAway;
  for (const char* value : {"1", "2"}) ASSERT_TRUE(append(value));
  remote->failure.reset();
  ASSERT_TRUE(*log->step());
  std::thread late;
  std::atomic<bool> begun = false;
  files.before_change([&] {
    if (begun.exchange(true)) return;
    std::latch running(1);
    late = std::thread([&] {
      running.count_down();
      EXPECT_TRUE(append("3"));
    });
    running.wait();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // it gets as far as it can
  });
  EXPECT_FALSE(*log->step());
  late.join();
  files.before_change({});
  EXPECT_FALSE(log->waiting());  // it had no reason to wait here
  kill_and_open();
  drain();
  EXPECT_EQ(arrived(), Values({"1", "2", "3"}));
}

TEST_F(SpooledLogTest, killed_while_its_files_go_it_sends_nothing_again) {
  Values expected;
  bool done = false;
  for (int kill_at = 0; !done; ++kill_at) {
    SCOPED_TRACE(kill_at);
    ASSERT_LT(kill_at, 100);
    remote->failure = kAway;
    for (const char* value : {"1", "2"}) {
      ASSERT_TRUE(append(value));
      expected.emplace_back(value);
    }
    remote->failure.reset();
    ASSERT_TRUE(*log->step());
    int changes = 0;
    files.before_change([&] {
      if (changes++ == kill_at) files.kill();
    });
    done = log->step().has_value();
    (void)log->step().has_value();  // what went wrong in the first may not be the second's end
    files.before_change({});
    files.kill();
    log.reset();
    files.start_again(kill_at % 2 == 0);
    open();
    EXPECT_EQ(log->spool().records, 0);
    ASSERT_TRUE(append("next"));
    expected.emplace_back("next");
    drain();
    EXPECT_EQ(arrived(), expected);
    EXPECT_FALSE(*files.info("/spool"));
    EXPECT_FALSE(*files.info("/spool.emptied"));
  }
}

TEST_F(SpooledLogTest, a_full_spool_takes_no_more_and_drops_nothing) {
  remote->failure = kAway;
  std::int64_t taken = 0;
  while (taken < 100 && append(std::string(1 << 20, 'x'))) ++taken;
  EXPECT_GT(taken, 2);
  EXPECT_LT(taken, 9);
  const auto refused = append(std::string(1 << 20, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_NE(refused.error().hint.find("log.spool_bytes"), std::string::npos);
  EXPECT_EQ(refused.error().hint.find("DAG"), std::string::npos);
  remote->failure.reset();
  drain();
  EXPECT_EQ(std::ssize(arrived()), taken);
}

TEST_F(SpooledLogTest, a_record_that_is_never_taken_stands_in_no_ones_way) {
  remote->failure = kAway;
  for (const char* value : {"1", "poison", "2"}) ASSERT_TRUE(append(value));
  remote->failure.reset();
  remote->refuses = "poison";
  drain();
  EXPECT_EQ(arrived(), Values({"1", "2"}));
  EXPECT_EQ(log->spool().refused, 1);
  ASSERT_TRUE(append("3"));
  EXPECT_EQ(arrived(), Values({"1", "2", "3"}));
}

TEST_F(SpooledLogTest, what_was_refused_is_kept_across_starts_when_the_spool_is_gone) {
  remote->failure = kAway;
  ASSERT_TRUE(append("poison"));
  remote->failure.reset();
  remote->refuses = "poison";
  drain();
  EXPECT_FALSE(*files.info("/spool"));
  kill_and_open();
  EXPECT_FALSE(log->waiting());
  EXPECT_EQ(log->spool().refused, 1);
}

TEST_F(SpooledLogTest, a_topic_may_have_any_name_that_topics_have) {
  for (const std::string& topic : {std::string("prices.refused"), std::string(249, 'n')}) {
    ASSERT_TRUE(there->create_topic(topic, 1));
    const std::vector<Record> records{{"A", "1"}, {"A", "poison"}, {"A", "2"}};
    remote->refuses.clear();
    remote->failure = kAway;
    ASSERT_TRUE(log->append(topic, records));
    remote->failure.reset();
    remote->refuses = "poison";
    drain();
    EXPECT_EQ(there->fetch({topic, 0}, 0, {})->records.size(), 2U);
  }
  EXPECT_EQ(log->spool().refused, 2);
}

TEST_F(SpooledLogTest, a_full_spool_of_records_that_are_refused_gets_empty) {
  remote->failure = kAway;
  const std::string poison(1 << 20, 'x');
  std::int64_t taken = 0;
  while (taken < 100 && append(poison)) ++taken;
  remote->failure.reset();
  remote->refuses = poison;
  drain();
  EXPECT_FALSE(log->waiting());
  EXPECT_EQ(log->spool().refused, taken);
}

TEST_F(SpooledLogTest, what_went_before_the_other_side_was_away_again_is_not_sent_again) {
  remote->failure = kAway;
  for (const char* value : {"1", "poison", "2", "3"}) ASSERT_TRUE(append(value));
  remote->failure.reset();
  remote->refuses = "poison";
  remote->away_at = "3";
  EXPECT_FALSE(log->step());
  remote->away_at.clear();
  drain();
  EXPECT_EQ(arrived(), Values({"1", "2", "3"}));
  EXPECT_EQ(log->spool().refused, 1);
}

TEST_F(SpooledLogTest, a_mistake_of_the_caller_is_not_spooled) {
  remote->refuses = "poison";
  EXPECT_EQ(append("poison").error().code, ErrorCode::invalid_argument);
  const std::vector<Record> records{{"A", "1"}};
  EXPECT_EQ(log->append("nothing", records).error().code, ErrorCode::not_found);
  EXPECT_FALSE(log->waiting());
}

TEST_F(SpooledLogTest, size_and_age_of_what_waits_are_told) {
  remote->failure = kAway;
  ASSERT_TRUE(append("1"));
  clock.advance(90s);
  EXPECT_FALSE(log->step());  // tells, too
  const std::string text = metrics.text();
  EXPECT_NE(text.find("\ntapeline_msglog_spool_records 1\n"), text.npos);
  EXPECT_NE(text.find("\ntapeline_msglog_spool_oldest_seconds 90\n"), text.npos);
}

}  // namespace
}  // namespace tapeline::msglog
