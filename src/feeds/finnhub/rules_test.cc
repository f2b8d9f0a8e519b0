// Goal: the rules by which the feed asks, drops and judges, each by itself: repeats, silence,
// calls, subscriptions, comparison, the key's lock.

#include <gtest/gtest.h>

#include <filesystem>

#include "base/time_text.h"
#include "feeds/finnhub/call_plan.h"
#include "feeds/finnhub/followed.h"
#include "feeds/finnhub/key_lock.h"
#include "feeds/finnhub/repeats.h"
#include "feeds/finnhub/subscriptions.h"

namespace tapeline::feeds::finnhub {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Symbol symbol(const std::string& name) { return *Symbol::parse(name); }
Timestamp instant(std::string_view text) { return parse_rfc3339(text)->at; }

Trade trade(const std::string& name, std::int64_t dollars, milliseconds at,
            std::int64_t size = 100) {
  return {.symbol = symbol(name),
          .price = Price::from_units(dollars * Price::kUnitsPerDollar),
          .size = size,
          .event_time = instant("2024-03-08T15:00:00Z") + at};
}

using Trades = std::vector<Trade>;

TEST(Repeats, of_each_print_as_many_count_as_the_fullest_message_has) {
  const Trade one = trade("A", 10, milliseconds(5));
  Repeats repeats;
  Trades first = {one, one};  // two equal prints in one message are two trades
  EXPECT_EQ(repeats.drop_repeats(first), 0);
  Trades again = {one};
  EXPECT_EQ(repeats.drop_repeats(again), 1);
  Trades more = {one, trade("A", 11, milliseconds(5)), one, one};  // a third one is new
  EXPECT_EQ(repeats.drop_repeats(more), 2);
  EXPECT_EQ(more.size(), 2U);
}

TEST(Repeats, each_trade_three_times_counts_once) {
  Repeats repeats;
  std::int64_t dropped = 0;
  std::size_t kept = 0;
  for (int i = 0; i < 300; ++i) {
    Trades message = {trade("A", 10 + i / 3 % 5, milliseconds(i / 3))};
    dropped += repeats.drop_repeats(message);
    kept += message.size();
  }
  EXPECT_EQ(kept, 100U);
  EXPECT_EQ(dropped, 200);
}

TEST(Repeats, what_differs_in_anything_is_another_trade) {
  Repeats repeats;
  Trade condition = trade("A", 10, milliseconds(5));
  condition.conditions = 7;
  Trades message = {trade("A", 10, milliseconds(5))};
  EXPECT_EQ(repeats.drop_repeats(message), 0);
  for (const Trade& other :
       {trade("B", 10, milliseconds(5)), trade("A", 11, milliseconds(5)),
        trade("A", 10, milliseconds(6)), trade("A", 10, milliseconds(5), 101), condition}) {
    message = {other};
    EXPECT_EQ(repeats.drop_repeats(message), 0);
  }
}

TEST(Repeats, remembers_a_quarter_of_an_hour_of_each_symbols_own_time) {
  Repeats repeats;
  Trades message = {trade("A", 10, milliseconds(0)), trade("B", 10, milliseconds(0))};
  repeats.drop_repeats(message);
  message = {trade("A", 10, minutes(15) + milliseconds(1))};
  repeats.drop_repeats(message);
  message = {trade("A", 10, milliseconds(0)), trade("B", 10, milliseconds(0))};
  EXPECT_EQ(repeats.drop_repeats(message), 1);  // B's
}

TEST(TradeRate, a_quiet_symbol_is_not_silent_for_long_and_a_busy_one_soon_is) {
  for (const auto& [pause, silent_after] :
       {std::pair{Duration(seconds(1)), Duration(seconds(60))},
        std::pair{Duration(minutes(2)), Duration(minutes(40))}}) {
    TradeRate rate(seconds(60));
    Duration uptime = hours(1);
    for (int i = 0; i < 100; ++i) rate.trade(uptime += pause);
    EXPECT_FALSE(rate.silent_too_long(uptime + silent_after));
    EXPECT_TRUE(rate.silent_too_long(uptime + silent_after + milliseconds(1)));
  }
}

TEST(TradeRate, judges_nothing_that_it_has_hardly_seen_and_takes_a_burst_for_one_trade) {
  TradeRate rate(seconds(60));
  for (int i = 0; i < 1000; ++i) rate.trade(hours(1) + milliseconds(i) / 2);
  EXPECT_FALSE(rate.silent_too_long(hours(20)));
  for (int i = 1; i < TradeRate::kPausesMin; ++i) rate.trade(hours(1) + seconds(10 * i));
  EXPECT_FALSE(rate.silent_too_long(hours(20)));
  rate.trade(hours(2));
  EXPECT_TRUE(rate.silent_too_long(hours(20)));
  rate.restart(hours(20));
  EXPECT_FALSE(rate.silent_too_long(hours(20) + minutes(1)));
}

class Calls : public testing::Test {
 protected:
  Calls() { plan_.follow({a_, b_, c_}, Duration(0)); }
  std::string next(Duration at) {
    const auto found = plan_.next(at);
    return found ? std::string(found->text()) : "-";
  }

  const Symbol a_ = symbol("A");
  const Symbol b_ = symbol("B");
  const Symbol c_ = symbol("C");
  CallPlan plan_{{.interval = seconds(60), .spacing = seconds(2), .calls_per_minute = 60}, Rng(1)};
};

TEST_F(Calls, are_spaced_and_each_symbol_comes_again_after_the_interval) {
  EXPECT_EQ(next(seconds(0)), "A");
  EXPECT_EQ(next(milliseconds(1999)), "-");
  EXPECT_EQ(next(seconds(2)), "B");
  plan_.succeeded(a_, seconds(3));
  plan_.succeeded(b_, seconds(3));
  EXPECT_EQ(next(seconds(4)), "C");
  EXPECT_EQ(next(seconds(62)), "-");
  EXPECT_EQ(next(seconds(63)), "A");
  EXPECT_EQ(next(seconds(65)), "B");
  EXPECT_EQ(next(seconds(90)), "-") << "C has not been answered yet";
}

TEST_F(Calls, a_slow_or_failing_symbol_delays_no_other) {
  EXPECT_EQ(next(seconds(0)), "A");  // and never answers
  EXPECT_EQ(next(seconds(2)), "B");
  plan_.failed(b_, seconds(2));
  EXPECT_EQ(next(seconds(4)), "C");
  plan_.succeeded(c_, seconds(4));
  EXPECT_EQ(next(seconds(6)), "-");
  EXPECT_EQ(next(seconds(9)), "B");  // 5 s, and up to a quarter more
  plan_.failed(b_, seconds(9));
  EXPECT_EQ(next(milliseconds(18'900)), "-");
  EXPECT_EQ(next(seconds(22)), "B");
  EXPECT_EQ(next(seconds(64)), "C");
}

TEST_F(Calls, too_many_makes_all_wait_five_ten_twenty_seconds_or_as_told) {
  Duration at(0);
  for (const int least : {5, 10, 20, 20}) {
    const std::string name = next(at);
    ASSERT_NE(name, "-");
    plan_.limited(symbol(name), at, std::nullopt);
    const Duration waits = plan_.waiting(at);
    EXPECT_GE(waits, seconds(least));
    EXPECT_LE(waits, seconds(least) * 5 / 4);
    EXPECT_EQ(next(at + waits - milliseconds(1)), "-");
    at += waits;
  }
  plan_.limited(symbol(next(at)), at, seconds(120));
  EXPECT_EQ(plan_.waiting(at), seconds(120));
  at += seconds(120);
  const std::string name = next(at);
  plan_.succeeded(symbol(name), at);
  plan_.limited(symbol(next(at + seconds(2))), at, std::nullopt);
  EXPECT_LE(plan_.waiting(at), seconds(5) * 5 / 4) << "a call that works begins anew";
}

TEST(CallsOfManySymbols, stay_within_the_bucket_of_the_key) {
  CallPlan plan({.interval = seconds(1), .spacing = Duration(0), .calls_per_minute = 60}, Rng(1));
  std::vector<Symbol> symbols;
  for (int i = 0; i < 200; ++i) symbols.push_back(symbol("S" + std::to_string(i)));
  plan.follow(symbols, Duration(0));
  int calls = 0;
  for (Duration at(0); at <= minutes(10); at += milliseconds(100)) {
    while (const auto called = plan.next(at)) {
      ++calls;
      plan.succeeded(*called, at);
    }
  }
  EXPECT_GE(calls, 600);
  EXPECT_LE(calls, 601);
}

TEST_F(Calls, follow_what_is_followed) {
  EXPECT_EQ(next(seconds(0)), "A");
  plan_.follow({c_, symbol("D")}, seconds(0));
  plan_.succeeded(a_, seconds(1));
  EXPECT_EQ(next(seconds(2)), "C");
  EXPECT_EQ(next(seconds(4)), "D");
  EXPECT_EQ(next(seconds(600)), "-");
}

TEST(Subscriptions, past_the_limit_wait_until_a_slot_is_free) {
  Subscriptions subscriptions(2);
  const std::vector<Symbol> wanted = {symbol("A"), symbol("B"), symbol("C")};
  EXPECT_EQ(subscriptions.follow(wanted).size(), 2U);
  EXPECT_TRUE(subscriptions.follow(wanted).empty());
  EXPECT_FALSE(subscriptions.delivers(symbol("C")));
  const auto messages = subscriptions.follow({symbol("B"), symbol("C")});
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0], subscribe_message(symbol("A"), false));
  EXPECT_EQ(messages[1], subscribe_message(symbol("C"), true));
}

TEST(Subscriptions, the_vendors_own_limit_is_learned_from_errors_that_name_nobody) {
  Subscriptions subscriptions(50);
  const std::vector<Symbol> wanted = {symbol("A"), symbol("B"), symbol("C"), symbol("D")};
  subscriptions.follow(wanted);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(subscriptions.refused("Subscribing to too many symbols"),
              Subscriptions::Refusal::over_limit);
  }
  EXPECT_TRUE(subscriptions.delivers(symbol("B")));
  EXPECT_FALSE(subscriptions.delivers(symbol("C")));
  EXPECT_TRUE(subscriptions.follow(wanted).empty()) << "what was refused is not asked for again";
  EXPECT_EQ(subscriptions.follow({symbol("A"), symbol("D")}).size(), 2U);
  subscriptions.restart();
  EXPECT_EQ(subscriptions.follow(wanted).size(), 4U) << "another connection, another plan";
}

TEST(Subscriptions, an_invalid_symbol_frees_its_slot) {
  Subscriptions subscriptions(2);
  const std::vector<Symbol> wanted = {symbol("A"), symbol("FX:EURUSD"), symbol("C")};
  subscriptions.follow(wanted);
  EXPECT_EQ(subscriptions.refused("Invalid symbol FX:EURUSD"), Subscriptions::Refusal::invalid);
  EXPECT_TRUE(subscriptions.is_invalid(symbol("FX:EURUSD")));
  EXPECT_EQ(subscriptions.follow(wanted),
            std::vector<std::string>{subscribe_message(symbol("C"), true)});
  EXPECT_EQ(subscriptions.refused("API limit reached."), Subscriptions::Refusal::other);
}

TEST(Followed, an_answer_is_compared_with_the_trades_around_its_second) {
  Followed its(seconds(60));
  its.remember(trade("A", 100, milliseconds(1200)));
  its.remember(trade("A", 102, milliseconds(1900)));
  its.remember(trade("A", 200, seconds(60)));
  const auto compare = [&](std::int64_t dollars, seconds at) {
    return its.compare({.price = Price::from_units(dollars * Price::kUnitsPerDollar),
                        .at = instant("2024-03-08T15:00:00Z") + at});
  };
  EXPECT_EQ(compare(101, seconds(2)), Followed::Agreement::agrees);
  EXPECT_EQ(compare(110, seconds(2)), Followed::Agreement::differs);
  EXPECT_EQ(compare(110, seconds(20)), Followed::Agreement::unknown);
}

TEST(Trading, is_known_by_the_calendar) {
  const auto calendar = *make_calendar("XNYS");
  const auto trading = [&](std::string_view begin, std::string_view end) {
    return any_trading(*calendar, instant(begin), instant(end));
  };
  EXPECT_TRUE(trading("2024-03-08T15:00:00Z", "2024-03-08T15:00:01Z"));
  EXPECT_TRUE(trading("2024-03-08T08:59:59Z", "2024-03-08T09:00:01Z"));   // 04:00 New York
  EXPECT_FALSE(trading("2024-03-09T01:00:00Z", "2024-03-11T07:59:00Z"));  // a weekend
  EXPECT_TRUE(trading("2024-03-09T01:00:00Z", "2024-03-11T08:01:00Z"));   // and the clocks change
  EXPECT_FALSE(trading("2023-11-24T22:01:00Z", "2023-11-25T00:30:00Z"));  // after an early close
  EXPECT_EQ(newest_open(*calendar, instant("2024-03-11T13:29:00Z")),
            instant("2024-03-08T14:30:00Z"));
  EXPECT_EQ(newest_open(*calendar, instant("2024-03-11T13:30:00Z")),
            instant("2024-03-11T13:30:00Z"));
}

TEST(Key, one_holder_at_a_time_and_the_next_knows_how_the_last_one_ended) {
  const auto files = io::make_file_system();
  const std::string folder = testing::TempDir() + "/keys_of_test";
  std::filesystem::remove_all(folder);
  {
    auto held = KeyLock::take(*files, folder, "secret-key");
    ASSERT_TRUE(held);
    EXPECT_FALSE((*held)->was_left_open());
    EXPECT_EQ(KeyLock::take(*files, folder, "secret-key").error().code, ErrorCode::already_exists);
    EXPECT_TRUE(KeyLock::take(*files, folder, "another"));
    const auto listed = files->list(folder);
    for (const auto& file : *listed) {
      EXPECT_EQ(file.name.find("secret"), std::string::npos);
    }
    std::filesystem::copy(folder, folder + "_killed",
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  EXPECT_FALSE((*KeyLock::take(*files, folder, "secret-key"))->was_left_open());
  EXPECT_TRUE((*KeyLock::take(*files, folder + "_killed", "secret-key"))->was_left_open());
}

TEST(Key, no_form_of_it_is_left_in_a_text) {
  EXPECT_EQ(redacted("url?token=a/b+c and a%2Fb%2Bc", "a/b+c"), "url?token=*** and ***");
  EXPECT_EQ(redacted("nothing", ""), "nothing");
}

}  // namespace
}  // namespace tapeline::feeds::finnhub
