#include "feeds/file_rows.h"

#include <gtest/gtest.h>

#include <fstream>

#include "feeds/bar_stamp.h"
#include "feeds/replay/file_feed.h"
#include "feeds/replay/replay_feed.h"

namespace tapeline::feeds {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

/// Files of one test, gone with it.
class Files : public testing::Test {
 protected:
  Files()
      : folder_(std::filesystem::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(folder_);
  }
  ~Files() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  /// What reading `text` to its end says, without the folder.
  std::string error_of(const std::string& text, FileRowsOptions options = {}) {
    const auto path = file("f.csv", text);
    auto feed = FileFeed::open({path}, {.rows = options});
    std::string message;
    if (!feed) message = feed.error().message;
    while (feed && !feed->finished() && message.empty())
      if (const auto batch = feed->poll(100); !batch) message = batch.error().message;
    const auto place = message.find(path.string());
    if (place != std::string::npos) message.replace(place, path.string().size(), "f.csv");
    return message;
  }

  std::filesystem::path folder_;
};

std::vector<Bar> bars_of(FileFeed feed) {
  std::vector<Bar> bars;
  while (!feed.finished()) {
    const auto batch = *feed.poll(2);
    bars.insert(bars.end(), batch.bars.begin(), batch.bars.end());
  }
  return bars;
}

const std::string kBars = "timestamp,symbol,open,high,low,close,volume\n";

TEST_F(Files, columns_are_found_by_name_in_any_order_and_case) {
  const auto path = file("t.csv",
                         "\xef\xbb\xbfSize,PRICE,other,Time,Ticker,conditions,suspicious\r\n"
                         "100,12.5,x,2024-01-02T14:30:00.123Z,AAPL,80,1\r\n\r\n"
                         "2.0,\"12.75\",,2024-01-02 14:30:01,AAPL,,\r\n");
  auto feed = *FileFeed::open({path}, {.rows = {.with_conditions = true}});
  const auto batch = *feed.poll(10);
  ASSERT_EQ(batch.trades.size(), 2U);
  const Trade first{*Symbol::parse("AAPL"),
                    Price::from_units(12'500'000),
                    100,
                    at("2024-01-02T14:30:00.123Z"),
                    0x80,
                    true};
  EXPECT_EQ(batch.trades[0], first);
  EXPECT_EQ(batch.trades[1].size, 2);
  EXPECT_EQ(batch.trades[1].conditions, 0U);
  EXPECT_EQ(feed.stamps_without_zone(), 1);
  EXPECT_TRUE(feed.finished());
  EXPECT_EQ(batch.settled, Timestamp::max());
}

TEST_F(Files, a_date_means_bars_of_a_day_and_the_name_gives_the_symbol) {
  const auto path = file("aapl_2024.csv",
                         "Date,Open,High,Low,Close,Adj Close,Volume\n"
                         "2024-01-02,1,2,0.5,1.5,9,1000\n2024-07-02,1,2,0.5,1.5,9,\n");
  auto feed = *FileFeed::open({path}, {});
  ASSERT_EQ(feed.notes().size(), 1U);
  EXPECT_TRUE(feed.notes()[0].ends_with("'AAPL' is taken from its name"));
  const auto bars = bars_of(std::move(feed));
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_EQ(bars[0].symbol.text(), "AAPL");
  EXPECT_EQ(bars[0].length, BarLength::d1);
  EXPECT_EQ(bars[0].start, at("2024-01-02T05:00:00Z"));
  EXPECT_EQ(bars[1].start, at("2024-07-02T04:00:00Z"));
  EXPECT_EQ(bars[0].volume, 1000);
  EXPECT_FALSE(bars[1].volume);
}

TEST_F(Files, the_smallest_gap_over_all_files_is_the_bars_length) {
  const auto one = file("one.csv", kBars +
                                       "2024-01-03T14:30:00Z,A,1,1,1,1,1\n"
                                       "2024-01-02T14:30:00Z,A,1,1,1,1,1\n"
                                       "2024-01-03T14:31:00Z,B,1,1,1,1,1\n");
  const auto two = file("two.csv", kBars +
                                       "2024-01-02T15:30:00Z,A,1,1,1,1,1\n"
                                       "2024-01-02T15:45:00Z,A,1,1,1,1,1\n");
  EXPECT_EQ(bars_of(*FileFeed::open({one, two}, {})).at(0).length, BarLength::m15);
  EXPECT_EQ(bars_of(*FileFeed::open({one}, {})).at(0).length, BarLength::d1);
  const FileFeed::Options hour{.rows = {.bar_length = BarLength::h1}};
  EXPECT_EQ(bars_of(*FileFeed::open({one, two}, hour)).at(0).length, BarLength::h1);

  const auto days = file("days.csv", kBars +
                                         "2024-01-05T00:00:00Z,A,1,1,1,1,1\n"
                                         "2024-01-02T00:00:00Z,A,1,1,1,1,1\n"
                                         "2024-01-04T00:00:00Z,A,1,1,1,1,1\n");
  const auto bars = bars_of(*FileFeed::open({days}, {}));
  EXPECT_EQ(bars.at(0).length, BarLength::d1);
  EXPECT_EQ(bars.at(0).start, at("2024-01-05T05:00:00Z"));  // UTC's midnight names the date

  const auto alone = file("alone.csv", kBars + "2024-01-03T14:30:00Z,A,1,1,1,1,1\n");
  const auto unknown = FileFeed::open({alone}, {});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().hint.find("--bar-length"), std::string::npos);
  const auto odd = file("odd.csv", kBars +
                                       "2024-01-03T14:30:00Z,A,1,1,1,1,1\n"
                                       "2024-01-03T14:32:00Z,A,1,1,1,1,1\n");
  const auto two_minutes = FileFeed::open({odd}, {});
  ASSERT_FALSE(two_minutes);
  EXPECT_NE(two_minutes.error().message.find("120 s"), std::string::npos);
}

TEST_F(Files, quotes_are_messages_as_export_writes_them) {
  const auto path = file("q.csv",
                         "symbol,price,volume,timestamp,high,low,open,data_source,previous_close,"
                         "session,bar_length,price_date,load_id\n"
                         "AAPL,1.5,7,2024-01-02T14:30:00.000500Z,2,1,1.25,finnhub-ws,1.1,pre,1m,"
                         "2024-01-02,3\n"
                         "AAPL,-1,,2024-01-02T14:30:01Z,,,,,,,,2024-01-02,3\n");
  auto feed = *FileFeed::open({path}, {});
  const auto batch = *feed.poll(10);
  ASSERT_EQ(batch.quotes.size(), 2U);
  const Quote first{.symbol = *Symbol::parse("AAPL"),
                    .price = Price::from_units(1'500'000),
                    .open = Price::from_units(1'250'000),
                    .high = Price::from_units(2'000'000),
                    .low = Price::from_units(1'000'000),
                    .previous_close = Price::from_units(1'100'000),
                    .volume = 7,
                    .session = Session::pre,
                    .bar_length = BarLength::m1,
                    .event_time = at("2024-01-02T14:30:00.000500Z"),
                    .data_source = "finnhub-ws",
                    .history = true};
  EXPECT_EQ(batch.quotes[0], first);
  const Quote least{.symbol = *Symbol::parse("AAPL"),
                    .price = Price::from_units(-1'000'000),
                    .event_time = at("2024-01-02T14:30:01Z"),
                    .data_source = "replay",
                    .history = true};
  EXPECT_EQ(batch.quotes[1], least);
  EXPECT_EQ(feed.done().size(), 1U);
  EXPECT_EQ(feed.done()[0].kind, RowKind::quotes);
  EXPECT_EQ(feed.part(), 1);
  const std::string head = "timestamp,symbol,price,open,high,low,session,data_source\n";
  const std::string row = "2024-01-02T14:30:01Z,A,1,1,1,1,";
  EXPECT_EQ(error_of(head + row + "lunch,x\n"),
            "'f.csv' line 2: column 'session': 'lunch' is no session");
  EXPECT_EQ(error_of(head + row + "pre,Mine\n"),
            "'f.csv' line 2: column 'data_source': 'Mine' is no name of a source");
  EXPECT_EQ(error_of(head + row + "pre,simulator\n"),
            "'f.csv' line 2: column 'data_source': these prices are made up by the simulator");
}

TEST_F(Files, a_midnight_is_the_date_where_it_was_written) {
  const auto day_of = [&](const std::string& text) {
    const auto bars = bars_of(*FileFeed::open(
        {file("d.csv", "date,symbol,open,high,low,close,volume\n" + text + ",A,1,1,1,1,1\n")}, {}));
    return format_date(Calendar::new_york_date(bars.at(0).start));
  };
  for (const auto* text :
       {"2024-01-02", "2024-01-02 00:00:00", "2024-01-02T00:00:00Z", "2024-01-02 00:00:00-05:00",
        "2024-01-02 00:00:00+01:00", "2024-01-02T05:00:00Z", "2024-01-02T21:00:00-05:00"})
    EXPECT_EQ(day_of(text), "2024-01-02") << text;
  const std::string head = "date,symbol,open,high,low,close,volume\n";
  for (const std::string text : {"01/02/2024", "2024-01-02 09:30:00", "2024-01-02x", "20240102"})
    EXPECT_EQ(error_of(head + text + ",A,1,1,1,1,1\n"),
              "'f.csv' line 2: column 'date': '" + text + "' is not a date");
}

TEST_F(Files, another_separator_and_other_line_ends_are_named) {
  EXPECT_EQ(error_of("timestamp;symbol;price;size\n"),
            "'f.csv' line 1: its fields seem to be separated by ';'");
  EXPECT_EQ(error_of("timestamp\tsymbol\tprice\tsize\n"),
            "'f.csv' line 1: its fields seem to be separated by tabs");
  EXPECT_EQ(error_of("timestamp,symbol,price,size\r2024"),
            "'f.csv' line 1: its lines end with CR alone");
}

TEST_F(Files, what_cannot_be_read_names_file_line_and_column) {
  const std::string head = "timestamp,symbol,price,size,conditions,suspicious\n";
  const FileRowsOptions with{.with_conditions = true};
  EXPECT_EQ(error_of(head + "yesterday,A,1,1,0,0\n"),
            "'f.csv' line 2: column 'timestamp': 'yesterday' is not an RFC 3339 time");
  EXPECT_EQ(error_of(head + "\n2024-01-02T14:30:00Z,A,1,1.5,0,0\n"),
            "'f.csv' line 3: column 'size': '1.5' is not a whole number of shares");
  EXPECT_EQ(error_of(head + "2024-01-02T14:30:00Z,A,1,9223372036854775807,0,0\n"),
            "'f.csv' line 2: column 'size': '9223372036854775807' is more shares than there can "
            "be");
  EXPECT_TRUE(error_of(head + "2024-01-02T14:30:00Z,A,,1,0,0\n")
                  .starts_with("'f.csv' line 2: column 'price': "));
  EXPECT_TRUE(error_of(head + "2024-01-02T14:30:00Z,,1,1,0,0\n")
                  .starts_with("'f.csv' line 2: column 'symbol': "));
  EXPECT_EQ(error_of(head + "2024-01-02T14:30:00Z,A,1,1,@,0\n", with),
            "'f.csv' line 2: column 'conditions': '@' is not a hexadecimal number");
  EXPECT_EQ(error_of(head + "2024-01-02T14:30:00Z,A,1,1,0,maybe\n", with),
            "'f.csv' line 2: column 'suspicious': 'maybe' is neither 0 nor 1");
  EXPECT_EQ(error_of(head + "1989-12-31T14:30:00Z,A,1,1,0,0\n"),
            "'f.csv' line 2: column 'timestamp': '1989-12-31T14:30:00Z' is outside the years "
            "1990 to 2040");
  EXPECT_EQ(error_of(head + "2024-01-02T14:30:00Z,A,1\n"),
            "'f.csv' line 2: there are 3 fields where the header has 6");
  EXPECT_EQ(error_of(head + "2024-01-02T14:30:00Z,\"A,1,1,0,0\n"),
            "'f.csv' line 2: a quote is not closed at character 22");
  EXPECT_EQ(error_of("date,symbol,open,high,low,close,volume\n2041-01-02,A,1,1,1,1,1\n"),
            "'f.csv' line 2: column 'date': '2041-01-02' is outside the years 1990 to 2040");
  EXPECT_EQ(error_of("a,b\n"), "'f.csv' line 1: the header 'a,b' says neither trades nor bars");
  EXPECT_EQ(error_of("price,price\n"), "'f.csv' line 1: column 'price': it is there twice");
  EXPECT_EQ(error_of(""), "'f.csv' is empty");
  EXPECT_EQ(error_of("timestamp,symbol,price,size,open,high,low,close,volume\n"),
            "'f.csv' line 1: the header 'timestamp,symbol,price,size,open,high,low,close,volume' "
            "says both trades and bars");
}

TEST_F(Files, a_replay_merges_files_by_time_and_keeps_to_the_clock) {
  const std::string head = "timestamp,symbol,price,size\n";
  const auto one = file("one.csv", head +
                                       "2024-01-02T14:30:00Z,A,1,1\n"
                                       "2024-01-02T14:31:00Z,A,3,1\n");
  const auto two = file("two.csv", head + "2024-01-02T14:30:30Z,B,2,1\n");
  ManualClock clock(at("2026-01-01T00:00:00Z"));
  const auto calendar = *make_calendar("XNYS");
  auto feed = *ReplayFeed::open(clock, *calendar, {one, two}, {.speed = 60.0});
  const auto played = [](ReplayFeed& from) {
    std::vector<std::int64_t> prices;
    const auto batch = *from.poll(10);
    for (const auto& trade : batch.trades)
      prices.push_back(trade.price.units() / Price::kUnitsPerDollar);
    return prices;
  };
  EXPECT_EQ(played(feed), std::vector<std::int64_t>{1});
  clock.advance(std::chrono::milliseconds(499));
  EXPECT_TRUE(played(feed).empty());
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(feed.poll(10)->settled, at("2024-01-02T14:30:30Z"));
  EXPECT_FALSE(feed.finished());
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(played(feed), std::vector<std::int64_t>{3});
  EXPECT_TRUE(feed.finished());

  auto all = *ReplayFeed::open(clock, *calendar, {one, two}, {.speed = std::nullopt});
  EXPECT_EQ(played(all), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST_F(Files, a_row_that_cannot_be_read_ends_a_replay_and_what_stands_before_it_is_played) {
  const auto bad = file("bad.csv",
                        "timestamp,symbol,price,size\n2024-01-02T14:30:00Z,A,1,1\n"
                        "2024-01-02T14:31:00Z,A,2,1\n2024-01-02T14:32:00Z,A,x,1\n"
                        "2024-01-02T14:33:00Z,A,4,1\n");
  ManualClock clock(at("2026-01-01T00:00:00Z"));
  const auto calendar = *make_calendar("XNYS");
  auto feed = *ReplayFeed::open(clock, *calendar, {bad}, {.speed = std::nullopt});
  const auto played = *feed.poll(10);
  EXPECT_EQ(played.trades.size(), 2U);
  EXPECT_EQ(played.settled, Timestamp::max());
  EXPECT_FALSE(feed.finished());
  EXPECT_TRUE(feed.poll(10).error().message.ends_with("'x' is not a decimal number"));
  EXPECT_TRUE(feed.finished());
  EXPECT_TRUE(feed.poll(10)->empty());
}

TEST(Replay, speeds_are_read) {
  EXPECT_EQ(*parse_speed("60x"), 60.0);
  EXPECT_EQ(*parse_speed("0.5"), 0.5);
  EXPECT_EQ(*parse_speed("max"), std::nullopt);
  for (const auto* text : {"", "x", "0x", "-1x", "1y", "nan", "inf", "1e9x"})
    EXPECT_FALSE(parse_speed(text)) << text;
}

TEST(BarStamp, each_length_has_its_microsecond_and_days_end_with_their_session) {
  const auto calendar = *make_calendar("XNYS");
  const auto stamp = [&](std::string_view start, BarLength length) {
    return format_rfc3339(bar_stamp(*calendar, at(start), length));
  };
  const auto* nine = "2024-01-02T14:00:00Z";
  EXPECT_EQ(stamp(nine, BarLength::m1), "2024-01-02T14:00:59.999994Z");
  EXPECT_EQ(stamp(nine, BarLength::m5), "2024-01-02T14:04:59.999995Z");
  EXPECT_EQ(stamp(nine, BarLength::m15), "2024-01-02T14:14:59.999996Z");
  EXPECT_EQ(stamp(nine, BarLength::m30), "2024-01-02T14:29:59.999997Z");
  EXPECT_EQ(stamp(nine, BarLength::h1), "2024-01-02T14:59:59.999998Z");
  EXPECT_EQ(stamp(nine, BarLength::h4), "2024-01-02T17:59:59.999993Z");
  EXPECT_EQ(stamp("2024-01-02T05:00:00Z", BarLength::d1), "2024-01-02T20:59:59.999999Z");
  EXPECT_EQ(stamp("2024-07-03T04:00:00Z", BarLength::d1), "2024-07-03T16:59:59.999999Z");
  const auto closed = bar_stamp(*calendar, at("2024-01-06T05:00:00Z"), BarLength::d1);
  EXPECT_EQ(format_date(Calendar::new_york_date(closed)), "2024-01-06");
}

}  // namespace
}  // namespace tapeline::feeds
