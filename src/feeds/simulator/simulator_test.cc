#include "feeds/simulator/simulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace tapeline::feeds {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }
Symbol symbol(std::string_view text) { return *Symbol::parse(text); }

const Timestamp kStart = at("2026-11-20T15:30:20.250Z");
const Timestamp kMidnight = at("2026-11-20T05:00:00Z");

/// Two symbols and a short history, so that a test takes no time.
Simulator::Options small() {
  Simulator::Options options;
  options.start = kStart;
  options.symbols = {symbol("AAPL"), symbol("ZZTOP")};
  options.rate = 4;
  options.daily_bars = 8;
  options.minute_bar_days = 2;
  return options;
}

/// Everything that is due now.
void drain(Simulator& simulator, FeedBatch& into, std::size_t rows_max = 1000) {
  for (;;) {
    auto batch = *simulator.poll(rows_max);
    if (batch.empty()) return;
    into.quotes.insert(into.quotes.end(), batch.quotes.begin(), batch.quotes.end());
    into.raw.insert(into.raw.end(), batch.raw.begin(), batch.raw.end());
    into.gaps.insert(into.gaps.end(), batch.gaps.begin(), batch.gaps.end());
  }
}

/// Runs from the start for `length`, polling every 10 s.
FeedBatch run(const Simulator::Options& options, Duration length) {
  ManualClock clock(options.start);
  auto simulator = *Simulator::make(clock, options);
  FeedBatch all;
  for (Duration passed{0}; passed < length; passed += seconds(10)) {
    drain(simulator, all);
    clock.advance(seconds(10));
  }
  drain(simulator, all);
  return all;
}

std::vector<Quote> of(const std::vector<Quote>& quotes, std::string_view text) {
  std::vector<Quote> found;
  for (const auto& quote : quotes)
    if (quote.symbol.text() == text) found.push_back(quote);
  return found;
}

std::map<Symbol, Timestamp> last_times(const std::vector<Quote>& quotes) {
  std::map<Symbol, Timestamp> last;
  for (const auto& quote : quotes)
    last[quote.symbol] = std::max(last[quote.symbol], quote.event_time);
  return last;
}

TEST(Simulator, history_ends_at_midnight_and_minutes_lead_to_the_start) {
  const auto all = of(run(small(), seconds(10)).quotes, "AAPL");
  std::size_t daily = 0, minute = 0, filled = 0, live = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Quote& quote = all[i];
    if (i > 0) {
      ASSERT_LT(all[i - 1].event_time, quote.event_time);
    }
    EXPECT_EQ(quote.history, quote.event_time < kMidnight);
    EXPECT_EQ(quote.history, quote.bar_length.has_value());
    EXPECT_EQ(quote.session, Session::regular);
    daily += quote.bar_length == BarLength::d1;
    minute += quote.bar_length == BarLength::m1;
    filled += !quote.history && quote.event_time < kStart;
    live += quote.event_time >= kStart;
  }
  EXPECT_EQ(daily, 8U);
  EXPECT_EQ(minute, 2U * 24 * 60);
  EXPECT_EQ(filled, 630U);  // 00:00 to 10:30 in New York
  EXPECT_EQ(live, 21U);     // 2 a second, the first one at the start itself
  EXPECT_EQ(all[0].event_time, at("2026-11-13T04:59:59.999999Z"));
}

TEST(Simulator, prices_are_continuous_and_the_day_so_far_fits_them) {
  const auto all = of(run(small(), minutes(30)).quotes, "ZZTOP");
  std::map<Date, Quote> newest;  // of each date
  std::map<Date, std::int64_t> volume;
  for (const Quote& quote : all) {
    const Date date = Calendar::new_york_date(quote.event_time);
    ASSERT_TRUE(quote.open && quote.high && quote.low && quote.previous_close && quote.volume);
    EXPECT_GT(quote.low->units(), 0);
    EXPECT_LE(*quote.low, std::min(quote.price, *quote.open));
    EXPECT_GE(*quote.high, std::max(quote.price, *quote.open));
    EXPECT_GE(*quote.volume, 0);
    EXPECT_EQ(quote.price.units() % 10'000, 0);
    if (const auto before = newest.find(date); before != newest.end()) {
      EXPECT_EQ(before->second.open, quote.open);
      EXPECT_LE(*before->second.high, *quote.high);
      EXPECT_GE(*before->second.low, *quote.low);
      EXPECT_LE(quote.price, *quote.high);
    }
    if (const auto yesterday = newest.find(date - days(1)); yesterday != newest.end()) {
      EXPECT_EQ(quote.previous_close, yesterday->second.price);
      EXPECT_LT(std::abs(quote.open->dollars() / yesterday->second.price.dollars() - 1), 0.01);
    }
    if (quote.bar_length == BarLength::d1 && volume.contains(date)) {
      // The date's minute bars add up to its daily bar.
      const Quote& last_minute = newest.at(date);
      EXPECT_EQ(volume.at(date), *quote.volume);
      EXPECT_EQ(last_minute.price, quote.price);
      EXPECT_EQ(last_minute.high, quote.high);
      EXPECT_EQ(last_minute.low, quote.low);
      EXPECT_EQ(last_minute.open, quote.open);
    }
    volume[date] += *quote.volume;
    newest[date] = quote;
  }
  EXPECT_EQ(newest.size(), 9U);
}

TEST(Simulator, a_restart_anywhere_goes_on_as_if_nothing_had_happened) {
  auto options = small();
  options.faults = {.drop = 0.1, .duplicate = 0.1, .zero = 0.1, .spike = 0.1};
  const auto whole = run(options, seconds(40)).quotes;
  for (const std::size_t batch_rows : {1UL, 500UL}) {
    ManualClock clock(kStart);
    FeedBatch all;
    // Each poll is a new process that knows the log only.
    for (int turn = 0; turn < 2000 && all.quotes.size() < whole.size(); ++turn) {
      auto again = *Simulator::make(clock, options);
      again.resume(last_times(all.quotes));
      // A pair of duplicates is taken together; the log may hold the first alone.
      const auto before = all.quotes.size();
      const auto rows = turn < 12 ? batch_rows : 700;
      auto batch = *again.poll(rows);
      all.quotes.insert(all.quotes.end(), batch.quotes.begin(), batch.quotes.end());
      if (all.quotes.size() == before) clock.advance(seconds(5));
    }
    ASSERT_EQ(all.quotes.size(), whole.size());
    EXPECT_TRUE(all.quotes == whole);
  }
}

TEST(Simulator, a_quote_does_not_depend_on_how_often_the_feed_is_polled) {
  ManualClock clock(kStart + seconds(50));
  auto late = *Simulator::make(clock, small());
  FeedBatch all;
  drain(late, all, 3);
  EXPECT_TRUE(all.quotes == run(small(), seconds(50)).quotes);
}

TEST(Simulator, a_pause_is_filled_once_a_minute_for_five_days_and_the_rest_is_a_gap) {
  const auto before = run(small(), seconds(10));
  const auto last = last_times(before.quotes);
  std::int64_t volume = 0;

  ManualClock short_pause(kStart + hours(3));
  auto simulator = *Simulator::make(short_pause, small());
  simulator.resume(last);
  FeedBatch filled;
  drain(simulator, filled);
  EXPECT_TRUE(filled.gaps.empty());
  const auto quotes = of(filled.quotes, "AAPL");
  EXPECT_NEAR(static_cast<double>(quotes.size()), 180 + 40, 60);  // then live ones to catch up
  for (const auto& quote : quotes) {
    EXPECT_FALSE(quote.history);
    volume += *quote.volume;
  }
  // The pause's volume is told whole: as much as from one quote a second.
  const VolumePath path(42, symbol("AAPL"));
  const SessionHours day{kMidnight, kMidnight + hours(24)};
  EXPECT_EQ(volume, path.since_open(day, quotes.back().event_time) -
                        path.since_open(day, last.at(symbol("AAPL"))));

  ManualClock long_pause(kStart + days(9));
  auto later = *Simulator::make(long_pause, small());
  later.resume(last);
  FeedBatch rest;
  drain(later, rest);
  ASSERT_EQ(rest.gaps.size(), 2U);
  EXPECT_EQ(rest.gaps[0].begin, last.at(symbol("AAPL")));
  EXPECT_EQ(rest.gaps[0].end, at("2026-11-24T15:30:00Z"));
  EXPECT_EQ(rest.quotes.front().event_time, at("2026-11-24T15:30:59.999Z"));
  EXPECT_NEAR(static_cast<double>(of(rest.quotes, "AAPL").size()), 5 * 1440, 150);
}

TEST(Simulator, faults_drop_double_and_spoil_live_messages_only) {
  const auto clean = run(small(), minutes(5));
  auto options = small();
  options.faults = {.drop = 0.3};
  const auto dropped = run(options, minutes(5));
  options.faults = {.duplicate = 1};
  const auto doubled = run(options, minutes(5));
  options.faults = {.malformed = 1};
  const auto spoilt = run(options, minutes(5));
  const auto history = static_cast<std::size_t>(
      std::count_if(clean.quotes.begin(), clean.quotes.end(), [](auto& q) { return q.history; }));
  const auto live = clean.quotes.size() - history;
  EXPECT_NEAR(static_cast<double>(clean.quotes.size() - dropped.quotes.size()),
              0.3 * static_cast<double>(live), 0.05 * static_cast<double>(live));
  EXPECT_EQ(doubled.quotes.size(), history + 2 * live);
  EXPECT_EQ(spoilt.quotes.size(), history);
  ASSERT_EQ(spoilt.raw.size(), live);
  EXPECT_TRUE(spoilt.raw[0].bytes.starts_with("{\"symbol\":\"AAPL\",\"price\":"));
}

TEST(Simulator, prices_that_are_zero_or_off_spoil_the_price_alone) {
  const auto clean = run(small(), minutes(5));
  auto options = small();
  options.faults = {.zero = 1};
  const auto zero = run(options, minutes(5));
  options.faults = {.spike = 1};
  const auto off = run(options, minutes(5));
  ASSERT_EQ(zero.quotes.size(), clean.quotes.size());
  ASSERT_EQ(off.quotes.size(), clean.quotes.size());
  int down = 0;
  for (std::size_t i = 0; i < clean.quotes.size(); ++i) {
    Quote expected = clean.quotes[i];
    if (expected.history) {
      EXPECT_EQ(zero.quotes[i], expected);
      EXPECT_EQ(off.quotes[i], expected);
      continue;
    }
    const double change = off.quotes[i].price.dollars() / expected.price.dollars() - 1;
    EXPECT_GT(std::abs(change), 0.24);
    EXPECT_LT(std::abs(change), 0.61);
    down += change < 0;
    expected.price = off.quotes[i].price;
    EXPECT_EQ(off.quotes[i], expected);
    expected.price = Price();
    EXPECT_EQ(zero.quotes[i], expected);
  }
  EXPECT_GT(down, 100);
}

TEST(Simulator, reordered_messages_come_behind_the_symbols_next_one) {
  const auto clean = of(run(small(), minutes(5)).quotes, "AAPL");
  auto options = small();
  options.faults = {.reorder = 0.3};
  auto mixed = of(run(options, minutes(5)).quotes, "AAPL");
  std::size_t late = 0;
  for (std::size_t i = 1; i < mixed.size(); ++i)
    late += mixed[i].event_time < mixed[i - 1].event_time;
  EXPECT_GT(late, mixed.size() / 20);
  std::sort(mixed.begin(), mixed.end(),
            [](const Quote& a, const Quote& b) { return a.event_time < b.event_time; });
  // The last one may still be held back.
  EXPECT_GE(mixed.size() + 1, clean.size());
  EXPECT_TRUE(std::equal(mixed.begin(), mixed.end(), clean.begin()));
}

TEST(Simulator, a_stall_holds_everything_back_until_it_is_over) {
  const auto clean = run(small(), minutes(10)).quotes;
  auto options = small();
  options.faults = {.stall = 0.5};
  ManualClock clock(options.start);
  auto simulator = *Simulator::make(clock, options);
  FeedBatch all;
  int silent = 0;
  for (int second = 0; second <= 600; ++second) {
    const auto before = all.quotes.size();
    drain(simulator, all);
    silent += all.quotes.size() == before;
    if (all.quotes.size() > before && second > 0) {
      EXPECT_GT(all.quotes.back().event_time, clock.now() - seconds(1));
    }
    clock.advance(seconds(1));
  }
  EXPECT_GT(silent, 200);
  EXPECT_LT(silent, 400);
  ASSERT_LE(all.quotes.size(), clean.size());
  EXPECT_TRUE(std::equal(all.quotes.begin(), all.quotes.end(), clean.begin()));
}

TEST(Simulator, a_halt_is_a_gap_without_messages_and_nothing_else_is_missing) {
  const auto clean = run(small(), hours(3));
  auto options = small();
  options.faults = {.halt = 0.3};
  const auto halted = run(options, hours(3));
  ASSERT_GT(halted.gaps.size(), 10U);
  const auto in_gap = [&](const Quote& quote) {
    return std::any_of(halted.gaps.begin(), halted.gaps.end(), [&](const Gap& gap) {
      return gap.symbol == quote.symbol && gap.begin <= quote.event_time &&
             quote.event_time < gap.end;
    });
  };
  // A halt is told of when it is over, so each symbol is compared up to the end of its last one.
  for (const auto* name : {"AAPL", "ZZTOP"}) {
    Timestamp last_end;
    for (const Gap& gap : halted.gaps)
      if (gap.symbol == symbol(name)) last_end = std::max(last_end, gap.end);
    std::vector<Quote> expected;
    for (const Quote& quote : of(clean.quotes, name))
      if (!in_gap(quote) && quote.event_time < last_end) expected.push_back(quote);
    std::vector<Quote> got;
    for (const Quote& quote : of(halted.quotes, name))
      if (quote.event_time < last_end) got.push_back(quote);
    EXPECT_TRUE(got == expected) << name;
  }
  EXPECT_EQ(halted.gaps[0].cause, "trading halt");
}

TEST(Simulator, a_split_halves_the_price_at_midnight_and_doubles_the_volume) {
  auto options = small();
  options.symbols.pop_back();
  const auto clean = run(options, hours(24 * 2));
  options.faults = {.split = 1};
  const auto split = run(options, hours(24 * 2));
  ASSERT_EQ(split.quotes.size(), clean.quotes.size());
  std::set<int> factors;
  for (std::size_t i = 0; i < clean.quotes.size(); ++i) {
    const Quote& before = clean.quotes[i];
    const Quote& after = split.quotes[i];
    const auto days_passed = std::max(days(0), Calendar::new_york_date(before.event_time) -
                                                   Calendar::new_york_date(options.start));
    const int factor = 1 << days_passed.count();
    factors.insert(factor);
    for (const auto& [a, b] : {std::pair{before.price, after.price},
                               {*before.open, *after.open},
                               {*before.high, *after.high},
                               {*before.low, *after.low}})
      ASSERT_NEAR(a.dollars() / factor, b.dollars(), 0.006);
    ASSERT_EQ(*before.volume * factor, *after.volume);
    // Nobody adjusts yesterday's close: the fall is in the data, as with a real feed.
    ASSERT_NEAR(before.previous_close->dollars() / std::max(1, factor / 2),
                after.previous_close->dollars(), 0.006);
  }
  EXPECT_EQ(factors, (std::set<int>{1, 2, 4}));
}

TEST(Simulator, seeds_differ_and_returns_have_the_profiles_size) {
  auto options = small();
  options.symbols = {symbol("TSLA")};
  options.daily_bars = 504;
  options.minute_bar_days = 0;
  double sum = 0;
  const int seeds = 8;
  for (int seed = 0; seed < seeds; ++seed) {
    options.seed = static_cast<std::uint64_t>(seed);
    ManualClock clock(at("2026-11-20T05:00:00Z"));
    options.start = clock.now();
    auto simulator = *Simulator::make(clock, options);
    FeedBatch all;
    drain(simulator, all);
    ASSERT_EQ(all.quotes.size(), 505U);
    for (const auto& quote : all.quotes) {
      const double change = std::log(quote.price.dollars() / quote.previous_close->dollars());
      sum += change * change;
    }
  }
  EXPECT_NEAR(std::sqrt(sum / (504 * seeds)), 0.035, 0.007);
}

TEST(Simulator, days_of_23_and_25_hours_have_as_many_minutes) {
  for (const auto& [start, minutes_of_day] :
       {std::pair{"2026-03-09T04:00:00Z", 23 * 60}, std::pair{"2026-11-02T05:00:00Z", 25 * 60}}) {
    auto options = small();
    options.symbols.pop_back();
    options.start = at(start);
    options.daily_bars = options.minute_bar_days = 1;
    ManualClock clock(options.start - microseconds(1));
    auto simulator = *Simulator::make(clock, options);
    FeedBatch all;
    drain(simulator, all);
    EXPECT_EQ(std::ssize(all.quotes), minutes_of_day + 1);
    EXPECT_EQ(all.quotes.back().bar_length, BarLength::d1);
  }
}

TEST(Simulator, the_last_live_price_of_a_day_is_the_next_days_previous_close) {
  auto options = small();
  options.start = at("2026-11-21T04:59:50.100Z");
  const auto all = of(run(options, seconds(20)).quotes, "ZZTOP");
  std::size_t checked = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i].event_time < at("2026-11-21T05:00:00Z") ||
        all[i - 1].event_time >= at("2026-11-21T05:00:00Z"))
      continue;
    EXPECT_EQ(all[i - 1].event_time, at("2026-11-21T04:59:59.999Z"));
    EXPECT_EQ(*all[i].previous_close, all[i - 1].price);
    ++checked;
  }
  EXPECT_EQ(checked, 1U);
}

TEST(Simulator, faults_are_read_from_their_list) {
  const auto faults = *parse_faults(std::vector<std::string>{"halt=0.25", "zero=1"});
  EXPECT_EQ(faults.halt, 0.25);
  EXPECT_EQ(faults.zero, 1);
  EXPECT_EQ(faults.drop, 0);
  EXPECT_TRUE(faults.any());
  EXPECT_FALSE(parse_faults({})->any());
  for (const std::string wrong :
       {"halt", "halt=", "halt=2", "halt=-1", "halt=nan", "halt=1x", "hal=1", ""})
    EXPECT_FALSE(parse_faults(std::vector<std::string>{wrong})) << wrong;
}

TEST(Simulator, options_that_make_no_sense_are_refused) {
  ManualClock clock(kStart);
  const auto refused = [&](auto change) {
    auto options = small();
    change(options);
    return !Simulator::make(clock, options).has_value();
  };
  EXPECT_TRUE(refused([](auto& o) { o.symbols.clear(); }));
  EXPECT_TRUE(refused([](auto& o) { o.symbols.push_back(o.symbols[0]); }));
  EXPECT_TRUE(refused([](auto& o) { o.rate = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.rate = std::nan(""); }));
  EXPECT_TRUE(refused([](auto& o) { o.rate = 1e9; }));
  EXPECT_TRUE(refused([](auto& o) { o.faults.drop = 1.5; }));
  EXPECT_FALSE(refused([](auto&) {}));
}

}  // namespace
}  // namespace tapeline::feeds
