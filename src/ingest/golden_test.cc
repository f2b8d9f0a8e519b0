// Goal: quotes made of real files give the daily numbers that were computed independently.
// Method: read trades, minute, hour and daily bars, make quotes, add them up per symbol and date
// as the models will, compare with every row of golden; again with the days in random order.
// Needs the data folder beside the repository; skips without it.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "feeds/replay/file_feed.h"
#include "ingest/bars_to_quotes.h"
#include "ingest/trades_to_quotes.h"
#include "text/csv.h"

namespace tapeline::ingest {
namespace {

using Path = std::filesystem::path;

std::optional<Path> data_folder() {
  for (const auto* up : {"..", "../.."}) {
    const Path folder = Path(TAPELINE_SOURCE_DIR) / up / "shared/data";
    if (std::filesystem::exists(folder / "golden")) return folder;
  }
  return std::nullopt;
}

std::vector<Path> files_in(const Path& folder) {
  std::set<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.insert(entry.path());
  return {files.begin(), files.end()};
}

std::vector<std::vector<std::string>> rows_of(const Path& file) {
  auto lines = *io::LineReader::open(file);
  std::vector<std::vector<std::string>> rows;
  text::CsvRecord record;
  while (true) {
    const auto line = *lines.next();
    if (!line) return rows;
    EXPECT_TRUE(record.split(*line));
    rows.emplace_back(record.fields().begin(), record.fields().end());
  }
}

class Golden : public testing::Test {
 protected:
  void SetUp() override {
    if (!data_folder()) GTEST_SKIP() << "there is no folder shared/data beside the repository";
    data_ = *data_folder();
  }

  std::vector<Quote> quotes_of(std::vector<Path> files, ConditionRule rule = ConditionRule::plain) {
    auto feed = feeds::FileFeed::open({files.begin(), files.end()},
                                      {.rows = {.with_conditions = rule != ConditionRule::plain}});
    EXPECT_TRUE(feed) << feed.error().message;
    TradesToQuotes trades(*calendar_, {.conditions = rule});
    BarsToQuotes bars(*calendar_, {});
    std::vector<Quote> quotes;
    while (!feed->finished()) {
      const auto batch = feed->poll(5000);
      EXPECT_TRUE(batch) << batch.error().message;
      for (const Trade& trade : batch->trades) EXPECT_TRUE(trades.add(trade, quotes));
      for (const Bar& bar : batch->bars) quotes.push_back(bars.add(bar));
      if (batch->settled) {
        EXPECT_TRUE(trades.settle(*batch->settled, quotes));
      }
    }
    return quotes;
  }

  std::shared_ptr<const Calendar> calendar_ = *make_calendar("XNYS");
  Path data_;
};

/// By symbol and time, which must be a key.
std::vector<const Quote*> sorted(const std::vector<Quote>& quotes) {
  std::vector<const Quote*> order;
  order.reserve(quotes.size());
  for (const Quote& quote : quotes) order.push_back(&quote);
  std::sort(order.begin(), order.end(), [](const Quote* a, const Quote* b) {
    return a->symbol != b->symbol ? a->symbol < b->symbol : a->event_time < b->event_time;
  });
  const auto same_key = [](const Quote* a, const Quote* b) {
    return a->symbol == b->symbol && a->event_time == b->event_time;
  };
  EXPECT_EQ(std::adjacent_find(order.begin(), order.end(), same_key), order.end());
  return order;
}

std::string milliseconds(Timestamp at) { return format_rfc3339_micros(at).substr(0, 23) + "Z"; }

/// Compares daily open, high, low, close, volume, count, first and last with a golden table.
void expect_golden(const std::vector<Quote>& quotes, const Path& golden) {
  struct Daily {
    Quote first, last;
    Price high, low;
    std::int64_t volume = 0, count = 0;
  };
  std::map<std::pair<std::string, std::string>, Daily> days;
  for (const Quote* found : sorted(quotes)) {
    const Quote& quote = *found;
    if (quote.session != Session::regular) continue;
    Daily& day = days[{std::string(quote.symbol.text()),
                       format_date(Calendar::new_york_date(quote.event_time))}];
    if (day.count++ == 0) day.first = quote, day.high = *quote.high, day.low = *quote.low;
    day.last = quote;
    day.high = std::max(day.high, *quote.high);
    day.low = std::min(day.low, *quote.low);
    day.volume += *quote.volume;
  }
  const auto rows = rows_of(golden);
  EXPECT_EQ(days.size(), rows.size() - 1);
  int wrong = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto& row = rows[i];
    const Daily& day = days[{row[0], row[1]}];
    const std::vector<std::string> got{row[0],
                                       row[1],
                                       day.first.open ? day.first.open->text() : "",
                                       day.high.text(),
                                       day.low.text(),
                                       day.last.price.text(),
                                       std::to_string(day.volume),
                                       std::to_string(day.count),
                                       milliseconds(day.first.event_time),
                                       milliseconds(day.last.event_time)};
    const auto number = [](const std::string& text) { return Price::parse(text)->text(); };
    const std::vector<std::string> want{
        row[0],         row[1], number(row[2]), number(row[3]), number(row[4]),
        number(row[5]), row[6], row[10],        row[11],        row[12]};
    if (got == want) continue;
    ++wrong;
    if (wrong <= 3) {
      EXPECT_EQ(got, want);
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(Golden, trades_without_conditions) {
  const auto quotes = quotes_of(files_in(data_ / "trades"));
  expect_golden(quotes, data_ / "golden/trades_plain_daily_aggregates.csv.gz");

  // One day in every quote.
  const auto rows = rows_of(data_ / "golden/trades_plain_quotes_IBM_20131007.csv.gz");
  std::vector<Quote> day;
  for (const Quote& quote : quotes)
    if (quote.symbol.text() == "IBM" && quote.session == Session::regular &&
        format_date(Calendar::new_york_date(quote.event_time)) == "2013-10-07")
      day.push_back(quote);
  ASSERT_EQ(day.size(), rows.size() - 1);
  for (std::size_t i = 0; i < day.size(); ++i) {
    const Quote& quote = day[i];
    const std::vector<std::string> got{milliseconds(quote.event_time),
                                       "IBM",
                                       quote.price.text(),
                                       quote.open->text(),
                                       quote.high->text(),
                                       quote.low->text(),
                                       std::to_string(*quote.volume)};
    ASSERT_EQ(got, rows[i + 1]);
  }
}

TEST_F(Golden, trades_with_conditions) {
  expect_golden(quotes_of(files_in(data_ / "trades"), ConditionRule::algoseek),
                data_ / "golden/trades_conditions_daily_aggregates.csv.gz");
}

TEST_F(Golden, minute_bars) {
  expect_golden(quotes_of(files_in(data_ / "minute")),
                data_ / "golden/minute_daily_aggregates.csv.gz");
}

TEST_F(Golden, hour_bars) {
  expect_golden(quotes_of(files_in(data_ / "hour")), data_ / "golden/hour_daily_aggregates.csv.gz");
}

TEST_F(Golden, daily_bars) {
  for (const std::string name : {"edge", "wiki", "yahoo"})
    expect_golden(quotes_of({data_ / "daily" / (name + ".csv.gz")}),
                  data_ / "golden" / (name + "_daily_aggregates.csv.gz"));
}

TEST_F(Golden, days_in_any_order_over_any_files_give_the_same_quotes) {
  const Path folder = Path(testing::TempDir()) / "golden_shuffled";
  for (const auto* what : {"minute", "daily", "trades"}) {
    std::vector<Path> files = files_in(data_ / what);
    if (what == std::string("trades")) files.resize(2);
    std::filesystem::create_directories(folder);
    std::map<std::string, std::vector<std::string>> days;
    std::string head;
    for (const Path& file : files) {
      auto lines = *io::LineReader::open(file);
      head = **lines.next();
      for (auto line = *lines.next(); line; line = *lines.next()) {
        // A late print has the next UTC date, no day of these files begins before 06:00 UTC.
        std::string day(line->substr(0, 10));
        if (line->size() > 13 && (*line)[10] == 'T' && line->substr(11, 2) < "06")
          day = format_date(*parse_date(day) - std::chrono::days(1));
        days[day].emplace_back(*line);
      }
    }
    std::vector<std::string> order;
    for (const auto& [day, lines] : days) order.push_back(day);
    std::mt19937 random(7);
    std::shuffle(order.begin(), order.end(), random);
    std::vector<Path> parts;
    for (std::size_t part = 0; part < std::min<std::size_t>(10, order.size()); ++part) {
      parts.push_back(folder / ("part" + std::to_string(part) + ".csv"));
      std::ofstream out(parts.back());
      out << head << '\n';
      for (std::size_t i = part; i < order.size(); i += 10)
        for (const auto& line : days[order[i]]) out << line << '\n';
    }
    const auto want = quotes_of(files);
    const auto got = quotes_of(parts);
    const auto same = [](const Quote* a, const Quote* b) { return *a == *b; };
    EXPECT_TRUE(std::ranges::equal(sorted(got), sorted(want), same)) << what;
    std::filesystem::remove_all(folder);
  }
}

}  // namespace
}  // namespace tapeline::ingest
