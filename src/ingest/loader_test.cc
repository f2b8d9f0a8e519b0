#include "ingest/loader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <map>

#include "base/rng.h"
#include "ingest/raw_audit.h"
#include "io/file_system.h"
#include "msglog/embedded/embedded_log.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::ingest {
namespace {

namespace fs = std::filesystem;

/// A log in a folder, a warehouse in memory, and a loader between them.
struct Bench {
  fs::path folder = fs::path(testing::TempDir()) /
                    fmt::format("loader_{}_{}", ::getpid(),
                                testing::UnitTest::GetInstance()->current_test_info()->name());
  ManualClock clock{parse_rfc3339("2025-01-06T20:00:00Z")->at};
  std::unique_ptr<io::FileSystem> files = io::make_file_system();
  std::unique_ptr<msglog::EmbeddedLog> log;
  std::unique_ptr<warehouse::DuckDbWarehouse> warehouse;
  std::unique_ptr<warehouse::Connection> connection;
  std::unique_ptr<warehouse::Connection> reader;
  std::shared_ptr<const Calendar> calendar = *make_calendar("XNYS");
  telemetry::Metrics metrics;
  LoaderProbe probe{metrics};
  NobodyAside aside;
  std::unique_ptr<Loader> loader;
  Loader::Options options;

  explicit Bench(Loader::Options its = {}) : options(std::move(its)) {
    fs::remove_all(folder);
    fs::create_directories(folder);
    log = std::move(*msglog::EmbeddedLog::open(
        *files, clock, {.directory = (folder / "log").string(), .seed = 7}));
    EXPECT_TRUE(log->create_topic("stock_prices", 1));
    warehouse = std::move(*warehouse::DuckDbWarehouse::open(clock, {}));
    connection = std::move(*warehouse->connect());
    reader = std::move(*warehouse->connect());
    restart();
  }
  ~Bench() { fs::remove_all(folder); }

  void restart() {
    loader = std::make_unique<Loader>(clock, *log, *connection, *calendar, probe, aside, options);
  }

  void append(const std::vector<std::string>& values) {
    std::vector<msglog::Record> records;
    for (const auto& value : values) records.push_back({"", value});
    for (std::span<const msglog::Record> rest = records; !rest.empty();) {
      const auto some = rest.first(std::min<std::size_t>(rest.size(), 10'000));
      const auto done = log->append("stock_prices", some);
      ASSERT_TRUE(done) << done.error().message;
      rest = rest.subspan(some.size());
    }
  }

  OffsetRange all() {
    const auto topic = log->topics()->at(0);
    return {{"stock_prices", 0}, topic.id, 0, topic.partitions.at(0).end};
  }

  LoadCounts load(const OffsetRange& range) {
    const auto counts = loader->load(range, "test");
    EXPECT_TRUE(counts) << counts.error().message;
    return counts ? *counts : LoadCounts{};
  }

  std::vector<std::string> findings() {
    const auto report = audit_raw(*log, *reader, *calendar, options, log->topics()->at(0), 0);
    return report ? report->findings : std::vector<std::string>{report.error().message};
  }

  std::string ask(const std::string& sql) {
    const auto rows = reader->query(sql);
    if (!rows) return rows.error().message;
    std::string out;
    for (const auto& row : rows->rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        out += (i ? "|" : "") + warehouse::to_text(row[i]);
      }
      out += "\n";
    }
    return out;
  }
};

std::string message(std::string_view symbol, std::string_view time, double price,
                    std::string_view more = "") {
  return fmt::format(R"({{"symbol":"{}","price":{},"high":null,"low":null,"open":null,)"
                     R"("volume":10,"timestamp":"{}","data_source":"replay"{}}})",
                     symbol, price, time, more);
}

TEST(Loader, messages_become_rows_with_all_that_is_derived) {
  Bench bench;
  bench.append({message("AAPL", "2025-01-06T15:00:00.000500Z", 150.25),
                message("AAPL", "2025-01-06T23:30:00Z", 151, R"(,"session":"post")"),
                message("AAPL", "2025-01-05T03:00:00Z", 149)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{3, 3, 0, 0, 0}));
  EXPECT_EQ(bench.ask("select symbol, price, volume, \"timestamp\", open, data_source, session, "
                      "bar_length, price_date, price_hour, topic_offset, load_id from "
                      "raw_stocks.stock_prices order by topic_offset"),
            "AAPL|150.250000|10|2025-01-06T15:00:00.000500Z||replay|regular||2025-01-06|10|0|1\n"
            "AAPL|151.000000|10|2025-01-06T23:30:00Z||replay|post||2025-01-06|18|1|1\n"
            "AAPL|149.000000|10|2025-01-05T03:00:00Z||replay|closed||2025-01-04|22|2|1\n");
}

TEST(Loader, finnhubs_last_quote_just_after_the_close_is_regular) {
  Bench bench;
  bench.append(
      {R"({"symbol":"A","price":1,"timestamp":"2025-01-06T21:04:00Z","volume":0,"data_source":"finnhub"})",
       R"({"symbol":"B","price":1,"timestamp":"2025-01-06T21:11:00Z","volume":0,"data_source":"finnhub"})"});
  bench.load(bench.all());
  EXPECT_EQ(bench.ask("select symbol, session, volume from raw_stocks.stock_prices order by 1"),
            "A|regular|\nB|post|\n");
}

TEST(Loader, the_equation_balances_over_every_fate) {
  Bench bench;
  bench.append(
      {message("AAPL", "2025-01-06T15:00:00Z", 1), message("AAPL", "2025-01-06T15:00:00Z", 1),
       message("AAPL", "2025-01-06T15:00:00Z", 2), message("AAPL", "2025-01-06T15:00:00Z", 1),
       "not json", message("AAPL", "2025-01-06T14:59:00Z", 3),
       message("MSFT", "2025-01-06T15:00:00Z", 4)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{7, 3, 1, 2, 1}));
  EXPECT_EQ(bench.ask("select symbol, price, topic_offset from raw_stocks.stock_prices order by "
                      "topic_offset"),
            "AAPL|1.000000|3\nAAPL|3.000000|5\nMSFT|4.000000|6\n");
  EXPECT_EQ(bench.ask("select topic_offset, payload, reason from raw_stocks.dead_letters"),
            "4|not json|not_json: 'not json'\n");
  EXPECT_EQ(bench.ask("select consumed, loaded, duplicate, superseded, dead, first_offset, "
                      "next_offset from raw_stocks.loads"),
            "7|3|1|2|1|0|7\n");
}

TEST(Loader, a_later_load_replaces_or_skips_what_raw_has) {
  Bench bench;
  bench.append(
      {message("AAPL", "2025-01-06T15:00:00Z", 1), message("AAPL", "2025-01-06T15:01:00Z", 1)});
  bench.load(bench.all());
  bench.restart();
  bench.append(
      {message("AAPL", "2025-01-06T15:00:00Z", 1), message("AAPL", "2025-01-06T15:01:00Z", 9),
       message("AAPL", "2025-01-06T15:01:00Z", 9), message("AAPL", "2025-01-06T15:00:30Z", 5)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{6, 3, 2, 1, 0}));
  EXPECT_EQ(
      bench.ask("select \"timestamp\", price, load_id from raw_stocks.stock_prices order by 1"),
      "2025-01-06T15:00:00Z|1.000000|1\n2025-01-06T15:00:30Z|5.000000|2\n"
      "2025-01-06T15:01:00Z|9.000000|2\n");
}

TEST(Loader, a_start_knows_what_raw_has_of_older_days) {
  Bench bench;
  bench.append({message("OLD", "2025-01-02T15:00:00Z", 1),
                message("OLD", "2025-01-02T15:01:00Z", 1),
                message("NEW", "2025-01-06T15:00:00Z", 1)});
  bench.load(bench.all());
  bench.restart();
  bench.append(
      {message("OLD", "2025-01-02T15:00:00Z", 1), message("OLD", "2025-01-02T15:01:00Z", 2),
       message("OLD", "2025-01-02T15:02:00Z", 3), message("ELSE", "2025-01-02T15:00:00Z", 4),
       message("OLD", "2025-01-06T15:00:00Z", 5)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{8, 6, 1, 1, 0}));
  bench.append({message("OLD", "2025-01-02T15:02:00Z", 3),
                message("ELSE", "2025-01-02T15:01:00Z", 4),
                message("OLD", "2025-01-06T15:00:00Z", 6)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{11, 7, 2, 2, 0}));
  EXPECT_EQ(bench.findings(), std::vector<std::string>{});
}

TEST(Loader, what_a_load_repeats_of_its_own_earlier_slices_is_settled) {
  Bench bench;
  std::vector<std::string> values;
  const auto time_of = [](int i) {
    return format_rfc3339_micros(Timestamp(std::chrono::seconds(1'736'175'600 + i)));
  };
  for (int i = 0; i < 40'000; ++i) values.push_back(message("AAPL", time_of(i), 150));
  for (int i = 0; i < 40'000; i += 2) values.push_back(message("AAPL", time_of(i), 150));
  for (int i = 0; i < 40'000; i += 4) values.push_back(message("AAPL", time_of(i), 151));
  values.push_back(message("AAPL", time_of(0), 152));
  bench.append(values);
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{70'001, 40'000, 20'000, 10'001, 0}));
  EXPECT_EQ(bench.ask("select price, count(*), count(distinct \"timestamp\"), min(load_id), "
                      "max(load_id) from raw_stocks.stock_prices group by price order by price"),
            "150.000000|30000|30000|1|1\n151.000000|9999|9999|1|1\n152.000000|1|1|1|1\n");
  EXPECT_EQ(bench.findings(), std::vector<std::string>());
}

TEST(Loader, a_range_loads_once_however_often_it_is_asked_for) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1), message("B", "2025-01-06T15:00:00Z", 1),
                message("C", "2025-01-06T15:00:00Z", 1)});
  OffsetRange two = bench.all();
  two.next = 2;
  EXPECT_EQ(bench.load(two).loaded, 2);
  EXPECT_EQ(bench.load(two), (LoadCounts{2, 2, 0, 0, 0}));          // below: the stored counts
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{3, 3, 0, 0, 0}));  // overlaps: only the rest
  EXPECT_EQ(bench.ask("select count(*) from raw_stocks.stock_prices"), "3\n");
  EXPECT_EQ(bench.ask("select load_id, consumed from raw_stocks.loads order by 1"), "1|2\n2|1\n");
}

TEST(Loader, what_another_loader_loaded_meanwhile_is_known) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1)});
  bench.load(bench.all());
  bench.append({message("A", "2025-01-06T15:01:00Z", 1)});
  const auto connection = *bench.warehouse->connect();
  Loader other(bench.clock, *bench.log, *connection, *bench.calendar, bench.probe, bench.aside, {});
  ASSERT_TRUE(other.load(bench.all(), "other"));
  bench.append({message("A", "2025-01-06T15:01:00Z", 1)});
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{3, 2, 1, 0, 0}));
  EXPECT_EQ(bench.findings(), std::vector<std::string>{});
}

TEST(Loader, the_first_load_of_all_may_leave_nothing_out_either) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1), message("B", "2025-01-06T15:00:00Z", 1)});
  OffsetRange range = bench.all();
  range.first = 1;
  const auto refused = bench.loader->load(range, "test");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the range begins at offset 1, but 0 is the next one to load");
}

TEST(Loader, a_hole_is_an_error_that_loads_nothing) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1), message("B", "2025-01-06T15:00:00Z", 1),
                message("C", "2025-01-06T15:00:00Z", 1)});
  OffsetRange first = bench.all();
  first.next = 1;
  bench.load(first);
  OffsetRange last = bench.all();
  last.first = 2;
  const auto refused = bench.loader->load(last, "test");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the range begins at offset 2, but 1 is the next one to load");
  EXPECT_EQ(bench.ask("select count(*) from raw_stocks.stock_prices"), "1\n");
}

TEST(Loader, of_two_loaders_one_loads_and_the_other_sees_it) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1)});
  auto other_connection = std::move(*bench.warehouse->connect());
  Loader other(bench.clock, *bench.log, *other_connection, *bench.calendar, bench.probe,
               bench.aside, {});
  // The other is in the middle of its transaction when this one comes.
  ASSERT_TRUE(other_connection->execute(
      "begin; update raw_stocks.load_counter set last_load_id = last_load_id + 1"));
  const auto lost = bench.loader->load(bench.all(), "test");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::unavailable) << lost.error().message;
  ASSERT_TRUE(other_connection->execute("rollback"));
  EXPECT_EQ(other.load(bench.all(), "other")->loaded, 1);
  EXPECT_EQ(bench.load(bench.all()), (LoadCounts{1, 1, 0, 0, 0}));
  EXPECT_EQ(bench.ask("select count(*) from raw_stocks.stock_prices"), "1\n");
}

TEST(Loader, a_log_that_was_exchanged_is_found) {
  Bench bench;
  bench.append({message("A", "2025-01-06T15:00:00Z", 1), message("B", "2025-01-06T15:00:00Z", 1)});
  bench.load(bench.all());
  EXPECT_TRUE(bench.loader->check(bench.log->topics()->at(0)));
  auto changed = bench.log->topics()->at(0);
  changed.partitions[0].end = 1;
  EXPECT_EQ(bench.loader->check(changed).error().message,
            "the warehouse has loaded 'stock_prices' up to offset 2, where the log does not reach");
  changed = bench.log->topics()->at(0);
  changed.id = std::string(32, 'f');
  EXPECT_EQ(bench.loader->check(changed).error().code, ErrorCode::corrupt);
  ASSERT_TRUE(
      bench.connection->execute("update raw_stocks.consumer_offsets set fingerprint = 'x'"));
  EXPECT_EQ(bench.loader->check(bench.log->topics()->at(0)).error().message,
            "record 1 of 'stock_prices' is not the one that was loaded");
}

// Goal: whatever comes in whatever batches, raw is what a plain map says, and counts add up.
// Method: by seed, few symbols and instants so that keys repeat a lot; loads of random size, a
// new loader at random; a map from key to payload plays the rules of design §4.2.
TEST(Loader, any_batches_give_what_a_map_gives) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng rng(seed);
    Bench bench({.records_per_load = static_cast<std::int64_t>(1 + rng.below(40))});
    std::map<std::pair<std::string, std::string>, double> want;
    LoadCounts counts;
    std::vector<std::string> values;
    for (int i = 0; i < 400; ++i) {
      const std::string symbol = fmt::format("S{}", rng.below(3));
      const std::string time =
          fmt::format("2025-01-{:02}T15:{:02}:00Z", 3 + rng.below(4), rng.below(6));
      const double price = static_cast<double>(1 + rng.below(3));
      ++counts.consumed;
      if (rng.below(20) == 0) {
        values.push_back("{}");
        ++counts.dead;
        continue;
      }
      values.push_back(message(symbol, time, price));
      const auto [found, is_new] = want.try_emplace({symbol, time}, price);
      if (is_new)
        ++counts.loaded;
      else if (found->second == price)
        ++counts.duplicate;
      else
        ++counts.superseded;
      found->second = price;
    }
    bench.append(values);
    OffsetRange range = bench.all();
    for (msglog::Offset next = 0; next < range.next;) {
      next = std::min<msglog::Offset>(range.next,
                                      next + 1 + static_cast<msglog::Offset>(rng.below(100)));
      OffsetRange part = range;
      part.next = next;
      bench.load(part);
      if (rng.below(3) == 0) bench.restart();
    }
    EXPECT_EQ(bench.load(range), counts);
    EXPECT_EQ(bench.findings(), std::vector<std::string>{});
    std::string wanted;
    for (const auto& [key, price] : want) {
      wanted += fmt::format("{}|{}|{:.6f}\n", key.first, key.second, price);
    }
    EXPECT_EQ(bench.ask("select symbol, \"timestamp\", price from raw_stocks.stock_prices order by "
                        "1, 2"),
              wanted);
  }
}

TEST(RawAudit, whatever_is_changed_behind_the_loader_is_found) {
  const std::map<std::string, std::string> changes = {
      {"delete from raw_stocks.stock_prices where symbol = 'A'",
       "in the topic, not in raw: A 2025-01-06T15:00:00Z offset 0"},
      {"update raw_stocks.stock_prices set volume = null where symbol = 'A'",
       "raw has another payload than the topic's last message: A 2025-01-06T15:00:00Z offset 0"},
      {"insert into raw_stocks.stock_prices select * replace ('C' as symbol) from "
       "raw_stocks.stock_prices where symbol = 'A'",
       "in raw, not in the topic: C 2025-01-06T15:00:00Z offset 0"},
      {"insert into raw_stocks.stock_prices select * from raw_stocks.stock_prices where symbol = "
       "'A'",
       "a key stands in raw more than once: A 2025-01-06T15:00:00Z 2"},
      {"delete from raw_stocks.dead_letters", "dead letters differ at offset: 2"},
      {"update raw_stocks.loads set loaded = 1, duplicate = 1",
       "messages counted as loaded and rows of raw, with those that were cut, differ: 1 2 0"},
      {"update raw_stocks.loads set dead = 0", "the equation does not balance in load: 1"}};
  for (const auto& [change, finding] : changes) {
    Bench bench;
    bench.append(
        {message("A", "2025-01-06T15:00:00Z", 1), message("B", "2025-01-06T15:00:00Z", 1), "[]"});
    bench.load(bench.all());
    EXPECT_EQ(bench.findings(), std::vector<std::string>{});
    ASSERT_TRUE(bench.connection->execute(change)) << change;
    const auto findings = bench.findings();
    ASSERT_FALSE(findings.empty()) << change;
    EXPECT_NE(std::find(findings.begin(), findings.end(), finding), findings.end())
        << change << "\n"
        << findings[0];
  }
}

/// What a cut of retention does to the tables.
void cut(Bench& bench, const std::string& date) {
  const auto done = bench.reader->query(fmt::format(
      "begin; update raw_stocks.load_counter set last_load_id = last_load_id + 1; insert into "
      "raw_stocks.retention select (select last_load_id from raw_stocks.load_counter), date '{0}', "
      "count(*), 0, '', now()::timestamp from raw_stocks.stock_prices where price_date <= date "
      "'{0}'; delete from raw_stocks.stock_prices where price_date <= date '{0}'; commit",
      date));
  EXPECT_TRUE(done) << done.error().message;
}

TEST(Loader, a_message_of_a_day_that_was_cut_is_a_dead_letter) {
  Bench bench;
  const auto first = message("A", "2025-01-03T15:00:00Z", 1);
  bench.append({first, message("A", "2025-01-06T15:00:00Z", 2)});
  bench.load(bench.all());
  cut(bench, "2025-01-03");
  EXPECT_EQ(bench.findings(), std::vector<std::string>{});
  // The loader that goes on, then one that begins; New York's day ends at five in the morning.
  for (int round = 0; round < 2; ++round) {
    bench.append({first, message("A", "2025-01-04T04:59:59.999999Z", 3 + round),
                  message("A", fmt::format("2025-01-04T05:00:00.00000{}Z", round), 4),
                  message("NEW", "2025-01-02T15:00:00Z", 5)});
    EXPECT_EQ(bench.load(bench.all()), (LoadCounts{6 + 4 * round, 3 + round, 0, 0, 3 + 3 * round}));
    EXPECT_EQ(bench.findings(), std::vector<std::string>{});
    bench.restart();
  }
  EXPECT_EQ(
      bench.ask("select topic_offset, reason from raw_stocks.dead_letters order by 1 limit 1"),
      "2|before_retention: the days up to 2025-01-03 were given up\n");
  cut(bench, "2025-01-04");  // a second one: the dead letters stay what they were
  EXPECT_EQ(bench.findings(), std::vector<std::string>{});
  EXPECT_EQ(bench.ask("select symbol, price_date from raw_stocks.stock_prices"), "A|2025-01-06\n");
}

TEST(RawAudit, what_a_cut_does_not_explain_is_found) {
  const std::map<std::string, std::string> changes = {
      {"update raw_stocks.retention set raw_rows = 2",
       "messages counted as loaded and rows of raw, with those that were cut, differ: 2 1 2"},
      {"insert into raw_stocks.stock_prices select * replace (date '2025-01-03' as price_date, 'B' "
       "as symbol) from raw_stocks.stock_prices",
       "raw has a row of a day that retention has cut: B 2025-01-06T15:00:00Z"},
      {"delete from raw_stocks.dead_letters", "dead letters differ at offset: 2"},
      {"update raw_stocks.retention set load_id = 9", "dead letters differ at offset: 2"},
      {"delete from raw_stocks.retention",
       "in the topic, not in raw: A 2025-01-03T15:00:00Z offset 0"}};
  for (const auto& [change, finding] : changes) {
    Bench bench;
    bench.append(
        {message("A", "2025-01-03T15:00:00Z", 1), message("A", "2025-01-06T15:00:00Z", 2)});
    bench.load(bench.all());
    cut(bench, "2025-01-03");
    bench.append({message("A", "2025-01-03T16:00:00Z", 1)});
    bench.load(bench.all());
    EXPECT_EQ(bench.findings(), std::vector<std::string>{});
    ASSERT_TRUE(bench.connection->execute(change)) << change;
    const auto findings = bench.findings();
    EXPECT_NE(std::find(findings.begin(), findings.end(), finding), findings.end())
        << change << "\n"
        << (findings.empty() ? "nothing" : findings[0]);
  }
}

}  // namespace
}  // namespace tapeline::ingest
