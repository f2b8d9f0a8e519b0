#include "app/feeding/feeding.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "wire/message.h"

namespace tapeline::app {
namespace {

using namespace std::chrono_literals;

const Timestamp kStart = parse_rfc3339("2025-01-06T15:00:00Z")->at;

/// An owner of two partitions that knows nothing of the past.
class FakeHost final : public FeedHost, public msglog::RecordSink {
 public:
  Result<std::vector<msglog::Position>> append(const std::string&,
                                               std::span<const msglog::Record> records) override {
    if (!takes) return Error{ErrorCode::unavailable, "the owner is away", ""};
    for (const auto& record : records) values.push_back(record.value);
    return std::vector<msglog::Position>(records.size());
  }
  msglog::RecordSink& log() override { return *this; }
  Result<FeedGround> ground(const GroundRequest& request) override {
    ++grounds;
    return FeedGround{.start = request.start, .seed = request.seed, .last_event_times = last};
  }
  Status each_of_today(Timestamp, const std::function<void(const Quote&)>&) override {
    return Ok{};
  }
  Result<FeedShare> renew(const Leases::Member& member, const FeedReport& report) override {
    group = member.group;
    told = report;
    return FeedShare{.partitions = partitions, .of = 2, .followed = {}};
  }
  Status on_gap(const feeds::Gap& gap) override {
    if (!takes) return Error{ErrorCode::unavailable, "the owner is away", ""};
    gaps.push_back(gap);
    return Ok{};
  }

  /// Symbol and time of what was appended, in order of these.
  std::vector<std::string> keys() const {
    std::vector<std::string> all;
    wire::Decoder decoder(DirectoryKind::simulated);
    for (const std::string& value : values) {
      wire::QuoteView row;
      EXPECT_FALSE(decoder.decode(value, kStart + 24h, row)) << value;
      all.push_back(fmt::format("{} {}", row.symbol, format_rfc3339_micros(row.event_time)));
    }
    std::ranges::sort(all);
    return all;
  }

  std::vector<std::int32_t> partitions = {0, 1};
  std::map<Symbol, Timestamp> last;
  bool takes = true;
  std::vector<std::string> values;
  std::vector<feeds::Gap> gaps;
  std::string group;
  FeedReport told;
  int grounds = 0;
};

class FeedingTest : public testing::Test {
 protected:
  std::unique_ptr<Feeding> make(FakeHost& host, Feeding::Carried carried = {}) {
    auto made = Feeding::make({clock_, *files_, metrics_, config_, *calendar_}, host,
                              {.feed = "simulator", .name = "me", .carried = std::move(carried)});
    EXPECT_TRUE(made) << made.error().message;
    return *std::move(made);
  }
  /// Lets the feed give all that is due.
  static Status feed(Feeding& feeding) {
    for (auto pause = feeding.step();; pause = feeding.step()) {
      if (!pause) return pause.error();
      if (*pause > 0s) return Ok{};
    }
  }
  void pass(Duration time) { clock_.advance(time); }

  ManualClock clock_{kStart};
  std::unique_ptr<io::FileSystem> files_ = io::make_file_system();
  telemetry::Metrics metrics_;
  const Config config_ = *Config::load(*files_, "/nowhere", {}, {{"rate", "40"}});
  std::shared_ptr<const Calendar> calendar_ = *make_calendar("SIM");
};

TEST_F(FeedingTest, two_shares_make_the_whole_feed) {
  FakeHost all, left, right;
  left.partitions = {0};
  right.partitions = {1};
  const auto whole = make(all);
  const auto first = make(left);
  const auto second = make(right);
  for (int i = 0; i < 5; ++i) {
    for (Feeding* one : {whole.get(), first.get(), second.get()}) ASSERT_TRUE(feed(*one));
    pass(1s);
  }
  auto both = left.keys();
  const auto more = right.keys();
  EXPECT_FALSE(both.empty());
  EXPECT_FALSE(more.empty());
  both.insert(both.end(), more.begin(), more.end());
  std::ranges::sort(both);
  EXPECT_EQ(both, all.keys());
  EXPECT_EQ(all.told.symbols.size(), 10U);
  EXPECT_EQ(left.told.symbols.size() + right.told.symbols.size(), 10U);
}

TEST_F(FeedingTest, who_has_no_partition_stands_by_and_starts_when_it_gets_one) {
  FakeHost host;
  host.partitions = {};
  const auto feeding = make(host);
  EXPECT_GT(*feeding->step(), 0s);
  EXPECT_EQ(host.told.state, "standby");
  EXPECT_EQ(host.grounds, 0);
  host.partitions = {1};
  pass(1s);
  ASSERT_TRUE(feed(*feeding));
  EXPECT_FALSE(host.values.empty());
  pass(1s);
  ASSERT_TRUE(feed(*feeding));
  EXPECT_EQ(host.told.state, "live");
  // More of it: the feed begins anew from what the owner knows.
  host.partitions = {0, 1};
  pass(1s);
  ASSERT_TRUE(feed(*feeding));
  EXPECT_EQ(host.grounds, 2);
  host.partitions = {};
  pass(1s);
  ASSERT_TRUE(feed(*feeding));
  const auto before = host.values.size();
  pass(1s);
  ASSERT_TRUE(feed(*feeding));
  EXPECT_EQ(host.values.size(), before);
}

TEST_F(FeedingTest, what_no_owner_has_taken_the_next_one_gets_first) {
  FakeHost gone;
  auto feeding = make(gone);
  ASSERT_TRUE(feed(*feeding));
  const auto before = gone.values.size();
  pass(500ms);
  gone.takes = false;
  EXPECT_EQ(feed(*feeding).error().code, ErrorCode::unavailable);
  Feeding::Carried carried = feeding->take_carried();
  EXPECT_FALSE(carried.records.empty());
  EXPECT_EQ(gone.values.size(), before);
  const auto first = carried.records[0].value;
  const auto count = carried.records.size();
  carried.gaps.push_back({.feed = "simulator", .begin = kStart, .end = kStart + 1s, .cause = "x"});

  FakeHost next;
  next.takes = false;
  feeding = make(next, std::move(carried));
  EXPECT_EQ(feed(*feeding).error().code, ErrorCode::unavailable);
  next.takes = true;
  next.partitions = {};
  ASSERT_TRUE(feed(*feeding));
  EXPECT_EQ(next.gaps.size(), 1U);
  ASSERT_EQ(next.values.size(), count);
  EXPECT_EQ(next.values[0], first);
  EXPECT_TRUE(feeding->take_carried().records.empty());
}

TEST_F(FeedingTest, a_configuration_that_cannot_feed_is_refused_before_it_has_to) {
  FakeHost host;
  const auto why = [&](const std::string& feed, const Config& config, Environment = {}) {
    const auto made = Feeding::make({clock_, *files_, metrics_, config, *calendar_}, host,
                                    {.feed = feed, .name = "me"});
    return made ? "ok" : made.error().message;
  };
  EXPECT_EQ(why("simulator", config_), "ok");
  EXPECT_NE(why("simulator", *Config::load(*files_, "/nowhere", {}, {{"rate", "0"}})), "ok");
  EXPECT_NE(why("simulator", *Config::load(*files_, "/nowhere", {}, {{"faults", "gremlin=1"}})),
            "ok");
  EXPECT_NE(why("finnhub", config_), "ok");
}

TEST_F(FeedingTest, producers_of_other_symbols_are_another_group) {
  FakeHost host;
  const Config two = *Config::load(*files_, "/nowhere", {}, {{"symbols", "AAPL,MSFT"}});
  const auto feeding = *Feeding::make({clock_, *files_, metrics_, two, *calendar_}, host,
                                      {.feed = "simulator", .name = "me", .own_symbols = true});
  ASSERT_TRUE(feeding->begin());
  EXPECT_EQ(host.group, "simulator AAPL MSFT");
}

}  // namespace
}  // namespace tapeline::app
