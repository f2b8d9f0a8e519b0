#include "ingest/trades_to_quotes.h"

#include <gtest/gtest.h>

namespace tapeline::ingest {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }
Price dollars(double amount) {
  return Price::from_units(static_cast<std::int64_t>(amount * Price::kUnitsPerDollar));
}

/// 2024-01-02 at this time in UTC; the session is 14:30 to 21:00.
Trade trade(const std::string& time, double price, std::int64_t size, std::uint32_t bits = 1,
            std::string_view symbol = "IBM") {
  return {*Symbol::parse(symbol), dollars(price), size, at("2024-01-02T" + time + "Z"), bits};
}

class TradesToQuotesTest : public testing::Test {
 protected:
  std::vector<Quote> quotes_of(TradesToQuotes& converter, const std::vector<Trade>& trades) {
    std::vector<Quote> quotes;
    for (const Trade& one : trades) EXPECT_TRUE(converter.add(one, quotes));
    EXPECT_TRUE(converter.settle(Timestamp::max(), quotes));
    return quotes;
  }
  std::vector<Quote> quotes_of(const std::vector<Trade>& trades,
                               TradesToQuotes::Options options = {}) {
    TradesToQuotes converter(*calendar_, options);
    return quotes_of(converter, trades);
  }

  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  const TradesToQuotes::Options algoseek_{.conditions = ConditionRule::algoseek};
};

std::string stamp(const Quote& quote) { return format_rfc3339_micros(quote.event_time).substr(11); }

TEST_F(TradesToQuotesTest, one_millisecond_is_one_quote_with_the_day_so_far) {
  const auto quotes = quotes_of({trade("14:29:59.999", 9, 1), trade("14:30:00.000", 10, 100),
                                 trade("14:30:00.000", 12, 200), trade("14:30:00.000", 11, 300),
                                 trade("14:30:00.001", 8, 5), trade("21:00:00.000", 50, 7)});
  ASSERT_EQ(quotes.size(), 4U);
  EXPECT_EQ(quotes[0].session, Session::pre);
  EXPECT_FALSE(quotes[0].open || quotes[0].high || quotes[0].low);
  EXPECT_EQ(quotes[1].price, dollars(11));
  EXPECT_EQ(quotes[1].volume, 600);
  EXPECT_EQ(quotes[1].open, dollars(10));
  EXPECT_EQ(quotes[1].high, dollars(12));
  EXPECT_EQ(quotes[1].low, dollars(10));
  EXPECT_EQ(stamp(quotes[1]), "14:30:00.000500Z");
  EXPECT_EQ(quotes[1].session, Session::regular);
  EXPECT_EQ(quotes[2].low, dollars(8));
  EXPECT_EQ(quotes[3].session, Session::post);
  EXPECT_EQ(quotes[3].high, dollars(12));  // prints after the close move nothing
  EXPECT_FALSE(quotes[3].history);
  EXPECT_EQ(quotes[3].data_source, "replay");
}

TEST_F(TradesToQuotesTest, symbols_may_alternate_without_splitting_a_millisecond) {
  const auto quotes = quotes_of({trade("15:00:00.000", 1, 1, 1, "A"), trade("15:00:00.000", 2, 2),
                                 trade("15:00:00.000", 1, 4, 1, "A"), trade("15:00:00.000", 2, 8)});
  ASSERT_EQ(quotes.size(), 2U);
  EXPECT_EQ(quotes[0].volume, 5);
  EXPECT_EQ(quotes[1].volume, 10);
}

TEST_F(TradesToQuotesTest, a_stamp_that_was_used_gives_the_next_microsecond) {
  const std::vector<Trade> trades{trade("15:00:00.000", 1, 1), trade("15:00:00.002", 1, 2),
                                  trade("15:00:00.000", 1, 4), trade("15:00:00.001", 1, 8),
                                  trade("15:00:00.000", 1, 16)};
  const auto of_file = quotes_of(trades);
  ASSERT_EQ(of_file.size(), 5U);
  EXPECT_EQ(stamp(of_file[0]), "15:00:00.000500Z");
  EXPECT_EQ(stamp(of_file[2]), "15:00:00.000501Z");
  EXPECT_EQ(stamp(of_file[3]), "15:00:00.001500Z");
  EXPECT_EQ(stamp(of_file[4]), "15:00:00.000502Z");
  const auto live = quotes_of(trades, {.stamps = StampRange::live});
  EXPECT_EQ(stamp(live[0]), "15:00:00.000000Z");
  EXPECT_EQ(stamp(live[4]), "15:00:00.000002Z");
}

TEST_F(TradesToQuotesTest, a_millisecond_without_stamps_left_is_an_error) {
  TradesToQuotes converter(*calendar_, {});
  std::vector<Quote> quotes;
  Status last = Ok{};
  for (int i = 0; i < 2000 && last; ++i)
    last = converter.add(trade(i % 2 == 0 ? "15:00:00.000" : "15:00:00.001", 1, 1), quotes);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().message,
            "'IBM' has more than 493 separate groups of trades at 2024-01-02T15:00:00Z");
  EXPECT_EQ(quotes.size(), 2U * 493);
}

TEST_F(TradesToQuotesTest, of_two_sessions_in_a_millisecond_the_regular_one_comes_first) {
  const auto quotes = quotes_of({trade("15:00:00.000", 20, 1, 0x2000), trade("15:00:00.000", 10, 2),
                                 trade("15:00:00.000", 21, 4, 0x400)},
                                algoseek_);
  ASSERT_EQ(quotes.size(), 2U);
  EXPECT_EQ(quotes[0].session, Session::regular);
  EXPECT_EQ(stamp(quotes[0]), "15:00:00.000500Z");
  EXPECT_EQ(quotes[1].session, Session::post);
  EXPECT_EQ(stamp(quotes[1]), "15:00:00.000501Z");
  EXPECT_EQ(quotes[1].volume, 5);
  EXPECT_EQ(quotes[1].high, dollars(10));  // of the session, which the print is kept out of
}

TEST_F(TradesToQuotesTest, volume_without_a_price_waits_for_the_days_first) {
  TradesToQuotes converter(*calendar_, algoseek_);
  const auto quotes =
      quotes_of(converter, {trade("13:00:00.000", 9, 3), trade("14:30:00.000", 10, 100, 0x200),
                            trade("14:30:00.001", 10, 20, 0x100000), trade("14:30:01.000", 11, 5),
                            trade("14:30:02.000", 99, 7, 0x200)});
  ASSERT_EQ(quotes.size(), 3U);
  EXPECT_EQ(quotes[1].volume, 125);  // the price from before the open is none of the session's
  EXPECT_EQ(stamp(quotes[1]), "14:30:01.000500Z");
  EXPECT_EQ(quotes[2].price, dollars(11));
  EXPECT_EQ(quotes[2].volume, 7);
  EXPECT_EQ(quotes[2].high, dollars(11));
  EXPECT_EQ(converter.counts().shares_without_price, 0);

  TradesToQuotes never(*calendar_, algoseek_);
  EXPECT_TRUE(quotes_of(never, {trade("15:00:00.000", 9, 3, 0x200)}).empty());
  EXPECT_EQ(never.counts().shares_without_price, 3);
}

TEST_F(TradesToQuotesTest, conditions_keep_prints_out_of_the_session_or_in_it) {
  auto bad = trade("15:00:03.000", 1, 1);
  bad.suspicious = true;
  const std::vector<Trade> trades{trade("15:00:00.000", 10, 1),
                                  trade("15:00:01.000", 11, 1, 0x4000000),
                                  trade("15:00:02.000", 12, 1, 0x1000000),
                                  bad,
                                  trade("21:00:05.000", 13, 1),
                                  trade("21:10:00.000", 14, 1, 0x80),
                                  trade("21:10:00.001", 15, 1, 0x80)};
  TradesToQuotes converter(*calendar_, algoseek_);
  const auto quotes = quotes_of(converter, trades);
  ASSERT_EQ(quotes.size(), 4U);
  EXPECT_EQ(quotes[1].session, Session::post);
  EXPECT_EQ(quotes[2].session, Session::regular);
  EXPECT_EQ(quotes[2].high, dollars(14));
  EXPECT_EQ(quotes[3].session, Session::post);
  EXPECT_EQ(converter.counts().suspicious, 1);
  EXPECT_EQ(converter.counts().reports, 2);
  EXPECT_EQ(quotes_of(trades).size(), 7U);  // plain: every print counts
}

TEST_F(TradesToQuotesTest, each_day_of_a_symbol_has_its_own_state) {
  auto yesterday = trade("15:00:00.000", 1, 1);
  yesterday.event_time -= std::chrono::days(4);  // a Friday
  auto later = trade("15:00:01.000", 3, 1);
  later.event_time -= std::chrono::days(4);
  const auto quotes = quotes_of({yesterday, trade("15:00:00.000", 2, 1), later});
  ASSERT_EQ(quotes.size(), 3U);
  EXPECT_EQ(quotes[1].open, dollars(2));
  EXPECT_EQ(quotes[2].open, dollars(1));
  EXPECT_EQ(quotes[2].high, dollars(3));
}

TEST_F(TradesToQuotesTest, a_live_feed_keeps_the_last_days_only_and_a_file_all) {
  for (const auto& [stamps, again] :
       {std::pair{StampRange::live, "15:00:00.000000Z"}, {StampRange::file, "15:00:00.000501Z"}}) {
    TradesToQuotes converter(*calendar_, {.stamps = stamps});
    std::vector<Trade> trades;
    for (int day = 0; day < 4; ++day) {
      trades.push_back(trade("15:00:00.000", 1, 1));
      trades.back().event_time += std::chrono::days(day);
    }
    quotes_of(converter, trades);
    const std::string second = stamps == StampRange::live ? "15:00:00.000001Z" : "15:00:00.000501Z";
    EXPECT_EQ(stamp(quotes_of(converter, {trades[1]})[0]), second);
    EXPECT_EQ(stamp(quotes_of(converter, {trades[0]})[0]), again);
  }
}

TEST_F(TradesToQuotesTest, settling_ends_only_milliseconds_that_are_over) {
  TradesToQuotes converter(*calendar_, {});
  std::vector<Quote> quotes;
  ASSERT_TRUE(converter.add(trade("15:00:00.005", 1, 1), quotes));
  ASSERT_TRUE(converter.settle(at("2024-01-02T15:00:00.005999Z"), quotes));
  EXPECT_TRUE(quotes.empty());
  ASSERT_TRUE(converter.settle(at("2024-01-02T15:00:00.006Z"), quotes));
  EXPECT_EQ(quotes.size(), 1U);
}

TEST_F(TradesToQuotesTest, a_restart_takes_the_day_up_where_it_was) {
  const TradesToQuotes::Options live{.stamps = StampRange::live};
  TradesToQuotes before(*calendar_, live);
  const auto first = quotes_of(before, {trade("15:00:00.000", 10, 1), trade("15:00:01.000", 7, 1)});
  TradesToQuotes after(*calendar_, live);
  for (const auto& quote : first) after.restore(quote);
  const std::vector<Trade> rest{trade("15:00:01.000", 9, 1), trade("15:00:02.000", 11, 1)};
  EXPECT_EQ(quotes_of(after, rest), quotes_of(before, rest));
}

TEST_F(TradesToQuotesTest, who_joins_after_the_open_knows_no_day_until_it_is_told) {
  TradesToQuotes converter(*calendar_, {.stamps = StampRange::live});
  const Symbol ibm = *Symbol::parse("IBM");
  converter.join({ibm, at("2024-01-02T15:00:00Z")});
  auto quotes = quotes_of(converter, {trade("15:00:01.000", 10, 1)});
  EXPECT_FALSE(quotes[0].open || quotes[0].high || quotes[0].low);
  converter.seed({.symbol = ibm,
                  .at = at("2024-01-02T15:00:02Z"),
                  .open = dollars(8),
                  .high = dollars(9.5),
                  .low = dollars(7),
                  .previous_close = dollars(6)});
  quotes = quotes_of(converter, {trade("15:00:03.000", 9, 1)});
  EXPECT_EQ(quotes[0].open, dollars(8));
  EXPECT_EQ(quotes[0].high, dollars(10));  // the stream's own, above what it was told
  EXPECT_EQ(quotes[0].low, dollars(7));
  EXPECT_EQ(quotes[0].previous_close, dollars(6));
}

TEST_F(TradesToQuotesTest, who_saw_the_open_keeps_it_and_a_seed_stretches_high_and_low) {
  TradesToQuotes converter(*calendar_, {.stamps = StampRange::live});
  const Symbol ibm = *Symbol::parse("IBM");
  converter.join({ibm, at("2024-01-02T14:00:00Z")});
  (void)quotes_of(converter, {trade("14:30:00.000", 10, 1)});
  converter.join({ibm, at("2024-01-02T15:00:00Z")});  // a reconnect
  auto quotes = quotes_of(converter, {trade("15:00:01.000", 11, 1)});
  EXPECT_EQ(quotes[0].open, dollars(10));
  EXPECT_EQ(quotes[0].high, dollars(11));
  converter.seed({.symbol = ibm,
                  .at = at("2024-01-02T15:00:02Z"),
                  .open = dollars(9.9),
                  .high = dollars(12),
                  .low = dollars(9.9)});
  quotes = quotes_of(converter, {trade("15:00:03.000", 11, 1)});
  EXPECT_EQ(quotes[0].open, dollars(10));
  EXPECT_EQ(quotes[0].high, dollars(12));
  EXPECT_EQ(quotes[0].low, dollars(9.9));
}

TEST_F(TradesToQuotesTest, a_vendors_own_quote_shares_the_stamps_of_its_trades) {
  TradesToQuotes converter(*calendar_, {.stamps = StampRange::live});
  const auto quotes = quotes_of(converter, {trade("15:00:00.000", 10, 1)});
  EXPECT_EQ(stamp(quotes[0]), "15:00:00.000000Z");
  Quote own{.symbol = *Symbol::parse("IBM"), .event_time = at("2024-01-02T15:00:00Z")};
  EXPECT_TRUE(converter.stamp(own));
  EXPECT_EQ(stamp(own), "15:00:00.000001Z");
  EXPECT_EQ(stamp(quotes_of(converter, {trade("15:00:00.000", 10, 1)})[0]), "15:00:00.000002Z");
}

TEST_F(TradesToQuotesTest, a_stream_that_asks_for_more_stamps_than_there_are_loses_no_shares) {
  TradesToQuotes converter(*calendar_, {.stamps = StampRange::live});
  std::int64_t shares = 0;
  for (int i = 0; i < 600; ++i) {
    for (const Quote& quote : quotes_of(converter, {trade("15:00:00.000", 10, 1)})) {
      shares += *quote.volume;
    }
  }
  EXPECT_EQ(shares, 500);
  EXPECT_EQ(quotes_of(converter, {trade("15:00:00.001", 10, 1)})[0].volume, 101);
}

}  // namespace
}  // namespace tapeline::ingest
