#include "ingest/producer.h"

#include <gtest/gtest.h>

#include <deque>

namespace tapeline::ingest {
namespace {

/// A log that keeps what it is given, and refuses when told to.
class FakeLog final : public msglog::MessageLog {
 public:
  Status create_topic(const std::string&, std::int32_t) override { return Ok{}; }
  Result<std::vector<msglog::TopicInfo>> topics() override {
    return std::vector<msglog::TopicInfo>{};
  }
  Result<std::vector<msglog::Position>> append(const std::string& topic,
                                               std::span<const msglog::Record> given) override {
    EXPECT_EQ(topic, "stock_prices");
    EXPECT_FALSE(given.empty());
    EXPECT_LE(given.size(), 10'000U);
    if (full) return Error{ErrorCode::unavailable, "the disk is full", ""};
    records.insert(records.end(), given.begin(), given.end());
    return std::vector<msglog::Position>(given.size());
  }
  Result<msglog::FetchedRecords> fetch(const msglog::TopicPartition&, msglog::Offset,
                                       msglog::FetchLimits) override {
    return msglog::FetchedRecords{};
  }
  Result<msglog::Offset> offset_at(const msglog::TopicPartition&, Timestamp) override { return 0; }
  Status commit(const std::string&, const msglog::TopicPartition&, msglog::Offset) override {
    return Ok{};
  }
  Result<std::optional<msglog::Offset>> committed(const std::string&,
                                                  const msglog::TopicPartition&) override {
    return std::optional<msglog::Offset>();
  }
  Result<std::vector<msglog::GroupOffset>> groups(const std::string&) override {
    return std::vector<msglog::GroupOffset>();
  }

  bool full = false;
  std::vector<msglog::Record> records;
};

/// A feed that plays the batches it was given.
class ScriptedFeed final : public feeds::Feed {
 public:
  std::string_view name() const override { return "scripted"; }
  std::string_view data_source() const override { return "replay"; }
  feeds::FeedClass feed_class() const override { return feeds::FeedClass::replay; }
  Result<feeds::FeedBatch> poll(std::size_t) override {
    ++polls;
    if (batches.empty()) return feeds::FeedBatch{};
    auto batch = batches.front();
    batches.pop_front();
    return batch;
  }
  bool finished() const override { return batches.empty(); }

  std::deque<Result<feeds::FeedBatch>> batches;
  int polls = 0;
};

const Timestamp kNow = parse_rfc3339("2024-01-03T00:00:00Z")->at;
const Timestamp kNoon = parse_rfc3339("2024-01-02T17:00:00Z")->at;
const Symbol kSymbol = *Symbol::parse("IBM");

std::string encode(const Quote& quote) {
  EXPECT_EQ(quote.received_at, kNow);
  return quote.price.text() + (quote.history ? " history" : "");
}

class ProducerTest : public testing::Test {
 protected:
  Producer make(Producer::Options options = {}) {
    return Producer(clock_, *calendar_, feed_, log_, probe_, encode, options);
  }
  Trade trade(std::int64_t price) {
    return {kSymbol, Price::from_units(price * Price::kUnitsPerDollar), 1, kNoon};
  }
  Quote quote(std::int64_t price) {
    Quote made;
    made.symbol = kSymbol;
    made.price = Price::from_units(price * Price::kUnitsPerDollar);
    made.event_time = kNoon;
    return made;
  }
  std::vector<std::string> values() const {
    std::vector<std::string> found;
    for (const auto& record : log_.records) found.push_back(record.value);
    return found;
  }
  using Values = std::vector<std::string>;

  ManualClock clock_{kNow};
  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  ScriptedFeed feed_;
  FakeLog log_;
  telemetry::Metrics metrics_;
  ProducerProbe probe_{metrics_, "scripted"};
};

TEST_F(ProducerTest, quotes_trades_bars_and_raw_bytes_all_reach_the_topic) {
  feeds::FeedBatch batch;
  batch.bars = {{kSymbol, kNoon, BarLength::m1, {}, {}, {}, Price::from_units(1'000'000), 5}};
  batch.trades = {trade(2), trade(3)};
  batch.quotes = {quote(4)};
  batch.raw = {{kSymbol, "{broken"}};
  batch.settled = Timestamp::max();
  batch.gaps = {{"scripted", kSymbol, kNoon, kNow, "told to"}};
  feed_.batches.emplace_back(batch);
  auto producer = make();
  int gaps = 0;
  producer.on_gap([&](const feeds::Gap& gap) { gaps += gap == batch.gaps[0]; });
  EXPECT_FALSE(producer.finished());
  const auto report = producer.step();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->rows, 5);
  EXPECT_EQ(report->records, 4);
  EXPECT_EQ(values(), (Values{"1", "3", "4", "{broken"}));
  EXPECT_EQ(log_.records[3].key, "IBM");
  EXPECT_EQ(gaps, 1);
  EXPECT_TRUE(producer.finished());
  EXPECT_TRUE(producer.step()->idle());
  EXPECT_EQ(probe_.records_appended.value(), 4);
}

TEST_F(ProducerTest, a_refused_batch_is_offered_again_before_anything_new_is_polled) {
  feeds::FeedBatch batch;
  batch.quotes = {quote(1), quote(2)};
  feed_.batches.emplace_back(batch);
  batch.quotes = {quote(3)};
  feed_.batches.emplace_back(batch);
  auto producer = make();
  log_.full = true;
  for (int i = 0; i < 3; ++i) {
    const auto refused = producer.step();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "appending to stock_prices: the disk is full");
  }
  EXPECT_EQ(feed_.polls, 1);
  EXPECT_EQ(probe_.append_errors.value(), 3);
  log_.full = false;
  EXPECT_EQ(producer.step()->records, 2);
  EXPECT_FALSE(producer.finished());
  ASSERT_TRUE(producer.step());
  EXPECT_EQ(values(), (Values{"1", "2", "3"}));
  EXPECT_TRUE(producer.finished());
}

TEST_F(ProducerTest, while_the_log_takes_nothing_of_a_live_feed_there_is_a_gap) {
  feeds::FeedBatch batch;
  batch.quotes = {quote(1)};
  feed_.batches.emplace_back(batch);
  auto producer = make({.stamps = StampRange::live});
  std::vector<feeds::Gap> gaps;
  producer.on_gap([&](const feeds::Gap& gap) { gaps.push_back(gap); });
  log_.full = true;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(producer.step());
  EXPECT_FALSE(producer.flushed());
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].cause, "log_refused");
  EXPECT_EQ(gaps[0].begin, kNow);
  EXPECT_FALSE(gaps[0].healed_at);
  clock_.advance(std::chrono::minutes(2));
  log_.full = false;
  EXPECT_TRUE(producer.step());
  EXPECT_TRUE(producer.flushed());
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_EQ(gaps[1].begin, kNow);
  EXPECT_EQ(gaps[1].end, kNow + std::chrono::minutes(2));
  EXPECT_EQ(gaps[1].healed_at, gaps[1].end);
  EXPECT_EQ(probe_.gaps.value(), 1);
}

TEST_F(ProducerTest, what_import_sends_is_history_and_large_polls_are_cut) {
  feeds::FeedBatch batch;
  batch.bars.assign(25'000, {kSymbol, kNoon, BarLength::m1, {}, {}, {}, {}, 5});
  feed_.batches.emplace_back(batch);
  auto producer = make({.history = true});
  EXPECT_EQ(producer.step()->records, 25'000);
  EXPECT_EQ(log_.records[24'999].value, "0 history");
}

TEST_F(ProducerTest, with_an_aside_one_batch_is_polled_ahead_and_the_order_holds) {
  feeds::FeedBatch batch;
  for (const std::int64_t price : {1, 3, 5}) {
    batch.quotes = {quote(price), quote(price + 1)};
    feed_.batches.emplace_back(batch);
  }
  feed_.batches.emplace_back(Error{ErrorCode::unavailable, "no answer", ""});
  NobodyAside aside;
  auto producer = make({.records_skipped = 1, .aside = &aside});
  EXPECT_EQ(producer.step()->rows, 2);
  log_.full = true;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(producer.step());
  EXPECT_EQ(feed_.polls, 2);
  log_.full = false;
  EXPECT_EQ(producer.step()->records, 1);
  EXPECT_EQ(values(), (Values{"2"}));
  EXPECT_EQ(producer.step()->records, 2);  // and the third is polled
  EXPECT_EQ(producer.step()->records, 2);  // and the poll fails
  EXPECT_FALSE(producer.finished());
  const auto failed = producer.step();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "reading feed scripted: no answer");
  EXPECT_EQ(values(), (Values{"2", "3", "4", "5", "6"}));
  EXPECT_TRUE(producer.finished());
}

TEST_F(ProducerTest, an_error_of_the_feed_comes_up_with_its_name) {
  feed_.batches.emplace_back(Error{ErrorCode::unavailable, "no answer", ""});
  auto producer = make();
  const auto failed = producer.step();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "reading feed scripted: no answer");
  EXPECT_EQ(probe_.poll_errors.value(), 1);
}

}  // namespace
}  // namespace tapeline::ingest
