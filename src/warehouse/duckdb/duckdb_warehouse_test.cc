#include "warehouse/duckdb/duckdb_warehouse.h"

#include <duckdb.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>
#include <thread>

namespace tapeline::warehouse {
namespace {

namespace fs = std::filesystem;

const auto clock_of_tests = make_system_clock();

/// A folder that goes away with its test.
struct Folder {
  fs::path path = fs::path(testing::TempDir()) /
                  ("warehouse_" + std::to_string(::getpid()) + "_" +
                   testing::UnitTest::GetInstance()->current_test_info()->name());
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

std::unique_ptr<DuckDbWarehouse> open(const fs::path& file = {}) {
  auto opened = DuckDbWarehouse::open(*clock_of_tests, {.file = file});
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
  return std::move(opened).value_or(nullptr);
}

std::string all_text(const Rows& rows) {
  std::string out;
  for (const auto& row : rows.rows) {
    for (const auto& value : row) out += (is_null(value) ? "null" : to_text(value)) + "|";
    out += "\n";
  }
  return out;
}

/// What a user is answered: the rows, or "error: " and why.
std::string as_user(DuckDbWarehouse& warehouse, std::string_view sql) {
  Rows rows;
  const Status done = warehouse.query_as_user(
      sql, {.rows_max = 1000, .time_max = std::chrono::seconds(10)},
      [&](const std::vector<Column>& columns) { rows.columns = columns; },
      [&](const std::vector<Value>& row) {
        rows.rows.push_back(row);
        return true;
      });
  return done ? all_text(rows) : "error: " + done.error().message;
}

bool version_grows(const DuckDbWarehouse& warehouse, Connection& connection, std::string_view sql) {
  const auto before = warehouse.version();
  (void)connection.execute(sql);
  return warehouse.version() > before;
}

TEST(DuckDb, its_version_grows_with_what_can_write_and_with_nothing_else) {
  const auto warehouse = open();
  const auto connection = *warehouse->connect();
  const auto grows = [&](std::string_view sql) {
    return version_grows(*warehouse, *connection, sql);
  };
  EXPECT_TRUE(grows("create table t as select 1 as x"));
  EXPECT_TRUE(grows("insert into t values (2)"));
  EXPECT_TRUE(grows("insert into t select (x || 'a')::integer from t"));  // fails as it runs
  EXPECT_FALSE(grows("begin"));
  EXPECT_FALSE(grows("delete from t"));  // nobody else sees it yet
  EXPECT_TRUE(grows("commit"));
  EXPECT_TRUE(grows("insert into t values (1)"));
  EXPECT_TRUE(grows("delete from t where x = 1"));
  EXPECT_TRUE(grows("select 1; insert into t values (3); select 2"));
  EXPECT_TRUE(grows("with v as (select 4 as x) insert into t from v"));
  EXPECT_TRUE(grows("explain analyze insert into t values (5)"));
  EXPECT_FALSE(grows("select * from t"));
  EXPECT_FALSE(grows("with v as (select x, [x] as list from t) select * from v"));
  EXPECT_EQ(as_user(*warehouse, "select count(*) from main.t"), "3|\n");

  const auto before = warehouse->version();
  ASSERT_TRUE(connection->append(
      "main", "t", {.rows = 1, .columns = {{.values = std::vector<std::int64_t>{6}}}}));
  EXPECT_GT(warehouse->version(), before);
}

TEST(DuckDb, its_version_grows_where_a_transaction_may_have_ended) {
  const auto warehouse = open();
  const auto connection = *warehouse->connect();
  const auto grows = [&](std::string_view sql) {
    return version_grows(*warehouse, *connection, sql);
  };
  EXPECT_TRUE(grows("create table t (x integer)"));
  EXPECT_FALSE(grows("  BEGIN transaction"));
  EXPECT_FALSE(grows("select * from t"));
  const auto before = warehouse->version();
  ASSERT_TRUE(connection->append(
      "main", "t", {.rows = 1, .columns = {{.values = std::vector<std::int64_t>{6}}}}));
  EXPECT_EQ(warehouse->version(), before);
  EXPECT_TRUE(grows("commit"));
  EXPECT_FALSE(grows("begin"));
  EXPECT_FALSE(grows("insert into t select (x || 'a')::integer from t"));  // fails as it runs
  EXPECT_TRUE(grows("insert into t values (2)"));                          // refused by now
  EXPECT_TRUE(grows("rollback"));
  EXPECT_TRUE(grows("begin; insert into t values (3); commit"));
  EXPECT_TRUE(grows("start transaction"));  // no word that is known here: each statement counts
  EXPECT_TRUE(grows("insert into t values (4)"));
  EXPECT_TRUE(grows("commit"));
  EXPECT_EQ(as_user(*warehouse, "select count(*) from main.t"), "3|\n");
}

TEST(DuckDb, every_type_comes_back_as_it_is) {
  auto warehouse = open();
  auto connection = *warehouse->connect();
  const auto rows = connection->query(
      "select 1::tinyint, -2::bigint, 170141183460469231731687303715884105727::hugeint, "
      "sum(x)::hugeint, 1.5::double, 12.340000::decimal(18,6), -0.000001::decimal(18,6), "
      "99999999999999999999.12::decimal(30,2), 'text', date '2025-01-04', "
      "timestamp '2025-01-04 14:30:00.5', true, null, [1, 2], interval 3 days, "
      "'\\x00a'::blob, 'b'::enum('a','b'), uuid '00000000-0000-0000-0000-000000000001' "
      "from (values (40), (2)) v(x)");
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(all_text(*rows),
            "1|-2|170141183460469231731687303715884105727|42|1.5|12.340000|-0.000001|"
            "99999999999999999999.12|text|2025-01-04|2025-01-04T14:30:00.500Z|true|null|[1, 2]|"
            "3 days|\\x00a|b|00000000-0000-0000-0000-000000000001|\n");
  EXPECT_EQ(rows->columns[5].type, "DECIMAL(18,6)");
}

TEST(DuckDb, an_append_belongs_to_the_open_transaction) {
  auto warehouse = open();
  auto connection = *warehouse->connect();
  ASSERT_TRUE(connection->execute(
      "create table t (name varchar, price decimal(18,6), moment timestamp, day date, "
      "kind enum ('pre', 'regular', 'post', 'closed'), hour smallint, ratio double)"));
  ColumnBatch batch{.rows = 5000};
  std::vector<std::string_view> names(5000, "AAPL");
  std::vector<std::uint8_t> valid(5000, 1);
  valid[4999] = 0;
  const std::vector<std::int64_t> numbers(5000, 1'500'000);
  const std::vector<std::int64_t> small(5000, 1);
  batch.columns = {{names, {}},
                   {numbers, valid},
                   {numbers, {}},
                   {small, {}},
                   {small, {}},
                   {small, {}},
                   {std::vector<double>(5000, 2.5), {}}};
  ASSERT_TRUE(connection->execute("begin"));
  ASSERT_TRUE(connection->append("main", "t", batch));
  ASSERT_TRUE(connection->execute("rollback"));
  EXPECT_EQ(all_text(*connection->query("select count(*) from t")), "0|\n");
  ASSERT_TRUE(connection->append("main", "t", batch));
  EXPECT_EQ(all_text(*connection->query("select count(*), count(price), min(price), max(moment), "
                                        "max(day), min(kind), max(hour), max(ratio) from t")),
            "5000|4999|1.500000|1970-01-01T00:00:01.500Z|1970-01-02|regular|1|2.5|\n");
  batch.columns.pop_back();
  EXPECT_EQ(connection->append("main", "t", batch).error().message,
            "table 'main.t' has 7 columns, the batch 6");
}

TEST(DuckDb, a_file_opens_again_with_what_was_committed) {
  const Folder folder;
  {
    auto warehouse = open(folder.path / "w.duckdb");
    auto connection = *warehouse->connect();
    ASSERT_TRUE(connection->execute("update raw_stocks.load_counter set last_load_id = 7"));
  }
  auto warehouse = open(folder.path / "w.duckdb");
  auto connection = *warehouse->connect();
  EXPECT_EQ(all_text(*connection->query("select last_load_id from raw_stocks.load_counter")),
            "7|\n");
  EXPECT_GT(warehouse->file_bytes() + warehouse->wal_bytes(), 0);
}

TEST(DuckDb, what_a_kill_leaves_opens_again_before_the_first_checkpoint) {
  const Folder folder;
  auto warehouse = open(folder.path / "w.duckdb");
  ASSERT_GT(warehouse->wal_bytes(), 0);
  for (const char* end : {"", ".wal"}) {
    fs::copy_file(folder.path / fmt::format("w.duckdb{}", end),
                  folder.path / fmt::format("killed.duckdb{}", end));
  }
  auto killed = open(folder.path / "killed.duckdb");
  ASSERT_TRUE(killed);
  auto connection = *killed->connect();
  EXPECT_EQ(all_text(*connection->query("select count(*) from raw_stocks.stock_prices")), "0|\n");
}

/// While it lives, no file of this process grows beyond so many bytes: a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t file_bytes_max) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{file_bytes_max, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limited);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

TEST(DuckDb, one_that_a_full_disk_has_lost_says_so_and_opens_again_with_what_was_committed) {
  const Folder folder;
  const auto file = folder.path / "w.duckdb";
  {
    const auto warehouse = open(file);
    const auto connection = *warehouse->connect();
    ASSERT_TRUE(warehouse->checkpoint(0));
    ASSERT_TRUE(connection->execute("create table t (x double)"));
    for (int i = 0; i < 20; ++i) {  // small enough to go to the write-ahead log
      ASSERT_TRUE(connection->execute("insert into t select random() from range(50000)"));
    }
    EXPECT_FALSE(warehouse->is_lost());
    {
      const FullDisk full(static_cast<rlim_t>(warehouse->file_bytes()) + (1 << 20));
      EXPECT_FALSE(warehouse->checkpoint(0));
    }
    EXPECT_TRUE(warehouse->is_lost());
    EXPECT_FALSE(connection->execute("select 1"));
  }
  const auto warehouse = open(file);
  EXPECT_FALSE(warehouse->is_lost());
  EXPECT_EQ(all_text(*(*warehouse->connect())->query("select count(*) from t")), "1000000|\n");
}

TEST(DuckDb, a_newer_tapelines_warehouse_is_refused) {
  const Folder folder;
  {
    auto warehouse = open(folder.path / "w.duckdb");
    auto connection = *warehouse->connect();
    ASSERT_TRUE(connection->execute("update raw_stocks.schema_version set version = 99"));
  }
  const auto again = DuckDbWarehouse::open(*clock_of_tests, {.file = folder.path / "w.duckdb"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::unsupported);
}

TEST(DuckDb, a_file_that_is_none_of_ours_is_named) {
  const Folder folder;
  std::ofstream(folder.path / "w.duckdb") << std::string(10'000, 'x');
  const auto opened = DuckDbWarehouse::open(*clock_of_tests, {.file = folder.path / "w.duckdb"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
}

TEST(DuckDb, what_was_read_can_be_dropped_from_memory_and_read_again) {
  const Folder folder;
  const auto file = folder.path / "w.duckdb";
  {
    const auto connection = *open(file)->connect();
    ASSERT_TRUE(connection->execute(
        "create table t as select hash(i) as a, hash(i + 1) as b from range(1000000) r(i)"));
  }
  const auto warehouse = open(file);
  const auto connection = *warehouse->connect();
  const auto read = [&] {
    return all_text(*connection->query("select bit_xor(a), bit_xor(b) from t"));
  };
  const auto cached = [&] {
    const auto rows = connection->query(
        "select memory_usage_bytes from duckdb_memory() where tag = 'BASE_TABLE'");
    return to_integer(rows->rows.at(0).at(0));
  };
  const auto limit = [&] {
    return all_text(*connection->query("select current_setting('memory_limit')"));
  };
  const std::string answer = read();
  const std::string limit_before = limit();
  const std::int64_t before = cached();
  ASSERT_GT(before, 12 << 20);
  ASSERT_TRUE(warehouse->drop_cache(before));
  EXPECT_EQ(cached(), before);
  ASSERT_TRUE(warehouse->drop_cache(4 << 20));
  EXPECT_LE(cached(), 4 << 20);
  EXPECT_EQ(limit(), limit_before);
  EXPECT_EQ(read(), answer);
  EXPECT_FALSE(connection->execute("set threads = 1"));
}

TEST(DuckDb, the_loser_of_a_conflict_may_try_again) {
  auto warehouse = open();
  auto one = *warehouse->connect();
  auto two = *warehouse->connect();
  ASSERT_TRUE(one->execute("begin; update raw_stocks.load_counter set last_load_id = 1"));
  ASSERT_TRUE(two->execute("begin"));
  const Status lost = two->execute("update raw_stocks.load_counter set last_load_id = 2");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::unavailable) << lost.error().message;
}

TEST(DuckDb, a_query_past_its_time_is_ended) {
  auto owned = make_system_clock();
  auto opened = DuckDbWarehouse::open(*owned, {});
  auto connection = *(*opened)->connect();
  std::jthread watcher([&](std::stop_token stop) {
    while (owned->wait_for(std::chrono::milliseconds(5), stop)) (*opened)->watch();
  });
  const auto rows = connection->query(
      "select sum(a.range * b.range) from range(10000000) a, "
      "range(10000000) b",
      {.time_max = std::chrono::milliseconds(50)});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, ErrorCode::timed_out);
  EXPECT_TRUE(connection->query("select 1"));
}

TEST(DuckDb, a_query_that_nobody_wants_any_more_is_ended) {
  auto owned = make_system_clock();
  auto warehouse = *DuckDbWarehouse::open(*owned, {});
  std::stop_source asker;
  std::jthread watcher([&](std::stop_token stop) {
    while (owned->wait_for(std::chrono::milliseconds(5), stop)) {
      warehouse->watch();
      asker.request_stop();
    }
  });
  const auto nobody = [](const auto&) {};
  const Status long_one = warehouse->query_as_user(
      "select sum(a.range * b.range) from range(10000000) a, range(10000000) b",
      {.stop = asker.get_token()}, nobody, [](const auto&) { return true; });
  ASSERT_FALSE(long_one);
  EXPECT_EQ(long_one.error().code, ErrorCode::cancelled) << long_one.error().message;

  std::stop_source reader;
  std::int64_t rows = 0;
  const Status cut_off = warehouse->query_as_user(
      "select * from range(1000000)", {.stop = reader.get_token()}, nobody, [&](const auto&) {
        reader.request_stop();
        return ++rows < 10;
      });
  ASSERT_FALSE(cut_off);
  EXPECT_EQ(cut_off.error().code, ErrorCode::cancelled) << cut_off.error().message;
}

/// What the calling thread has had of a processor.
std::chrono::nanoseconds used_by_thread() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

TEST(DuckDb, a_statement_that_takes_long_is_helped) {
  auto owned = make_system_clock();
  auto warehouse = *DuckDbWarehouse::open(*owned, {.threads = 2});
  ASSERT_EQ(warehouse->helpers(), 1);
  auto connection = *warehouse->connect();
  std::jthread watcher([&](std::stop_token stop) {
    while (owned->wait_for(std::chrono::milliseconds(5), stop)) warehouse->watch();
  });
  std::chrono::nanoseconds used{0};
  // A machine may be busy: as often as it takes.
  for (int round = 0; round < 50 && used < std::chrono::milliseconds(20); ++round) {
    std::jthread helper([&](std::stop_token stop) {
      warehouse->help(std::move(stop));
      used = used_by_thread();
    });
    ASSERT_TRUE(connection->query(
        "select count(*) from (select range % 1000003 as k, max(range) from range(3000000) "
        "group by k)"));
  }
  EXPECT_GE(used, std::chrono::milliseconds(20));
}

TEST(UserSql, selects_of_the_catalog_are_answered) {
  auto warehouse = open();
  auto connection = *warehouse->connect();
  ASSERT_TRUE(
      connection->execute("insert into raw_stocks.gaps values "
                          "('f', 'AAPL', now()::timestamp, now()::timestamp, 'c', null)"));
  for (const char* sql :
       {"select symbol from gaps", "select symbol from raw_stocks.gaps;",
        "select symbol from stocks_fin.raw_stocks.gaps where false union all select 'AAPL'",
        "with x as (select symbol from gaps) select * from x", "from gaps select symbol",
        "select * from (values ('AAPL')) v(s)",
        "select symbol from gaps where exists (select 1 from range(3)) -- why not",
        "select lpad('APL', 4, 'A')", "select format('{}{:A^2}', 'AAP', 'L')[:4]",
        "select printf('%2s%-2s', 'AA', 'PL')", "select upper(format('{0}a{1:s}', 'a', 'pl'))",
        "select printf('%s%%%05.1f 123456', 'AAPL', 1.5)[:4]",
        "select format('{}{{123456}}', 'AAPL')[:4]", "select 'AAPL' from range(3000000) limit 1",
        "select 'AAPL' where len(range(10)) = 10",
        "select json_extract_string('[\"AAPL\"]', '$[0]')",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) "
        "select 'AAPL' from r limit 1"}) {
    if (std::string_view(sql).find("stocks_fin.") != std::string_view::npos) continue;
    EXPECT_EQ(as_user(*warehouse, sql), "AAPL|\n") << sql;
  }
  EXPECT_NE(as_user(*warehouse, "explain select symbol from gaps").find("SEQ_SCAN"),
            std::string::npos)
      << as_user(*warehouse, "explain select symbol from gaps");
  EXPECT_NE(as_user(*warehouse, "/* /* a */ */ explain (format json) select symbol from gaps")
                .find("SEQ_SCAN"),
            std::string::npos)
      << as_user(*warehouse, "explain (format json) select symbol from gaps");
  EXPECT_NE(as_user(*warehouse, "/* a */ explain analyze select symbol from gaps").find("AAPL"),
            0U);
  EXPECT_NE(as_user(*warehouse, "describe gaps").find("symbol|VARCHAR"), std::string::npos)
      << as_user(*warehouse, "describe gaps");
}

std::int64_t resident_bytes() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

// DuckDB does not count as its memory what an answer as a whole takes: 320 MB here.
TEST(UserSql, an_answer_is_not_kept_as_a_whole) {
  auto warehouse = open();
  std::int64_t rows = 0;
  std::int64_t held = -resident_bytes();
  const Status done = warehouse->query_as_user(
      "select a.range, b.range from range(20000) a, range(1000) b", {}, [](const auto&) {},
      [&](const auto&) {
        if (++rows == 1000) held += resident_bytes();
        return true;
      });
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(rows, 20'000'000);
  EXPECT_LT(held, 150 << 20);
}

TEST(UserSql, an_answer_without_an_end_is_ended) {
  ManualClock clock{Timestamp(std::chrono::days(19000))};
  auto warehouse = *DuckDbWarehouse::open(clock, {});
  std::int64_t rows = 0;
  const Status done = warehouse->query_as_user(
      "select * from range(1000000000000)", {.time_max = std::chrono::seconds(1)},
      [](const auto&) {},
      [&](const auto&) {
        clock.advance(std::chrono::milliseconds(1));
        warehouse->watch();
        return ++rows < 10'000;
      });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::timed_out) << done.error().message;
}

TEST(UserSql, times_that_no_calendar_has_are_given_in_duckdbs_words) {
  auto warehouse = open();
  EXPECT_EQ(as_user(*warehouse,
                    "select 'infinity'::timestamp, '-infinity'::date, "
                    "'12024-01-02'::date, '0044-03-15 (BC)'::date"),
            "infinity|-infinity|12024-01-02|0044-03-15 (BC)|\n");
}

TEST(UserSql, a_parameter_is_refused_by_its_name) {
  auto warehouse = open();
  for (const std::string_view sql : {"select ?", "select $1", "select $name", "select [?]"}) {
    EXPECT_EQ(as_user(*warehouse, sql), "error: a parameter has no value") << sql;
  }
}

/// Twenty CTEs, each of which names the one before twice.
std::string doubled(const std::string& body) {
  std::string sql = "with a0 as (select symbol from raw_stocks.gaps)";
  for (int i = 1; i < 20; ++i) {
    sql += fmt::format(", a{} ", i) + fmt::format(fmt::runtime(body), fmt::format("a{}", i - 1));
  }
  return sql + " select count(*) from a19";
}

// Goal: no user's SQL writes anything, reads a file, or leaves its transaction (design §8).
// Method: every way that we could think of, on a database in a file; each must be refused,
// and afterwards the database must be whole and no file be there that was not before.
TEST(UserSql, no_attack_gets_through) {
  const Folder folder;
  const std::string file = (folder.path / "stocks_fin.duckdb").string();
  const std::string secret = (folder.path / "secret.csv").string();
  std::ofstream(secret) << "a\n1\n";
  auto warehouse = open(file);
  auto connection = *warehouse->connect();
  ASSERT_TRUE(
      connection->execute("create macro raw_stocks.evil() as table select * from "
                          "raw_stocks.gaps"));
  ASSERT_TRUE(connection->execute("create sequence raw_stocks.counter"));
  const std::vector<std::string> attacks = {
      "copy (select 42) to '" + file + "' (use_tmp_file false)",
      "copy (select 42) to '" + folder.path.string() + "/out.csv'",
      "copy raw_stocks.gaps from '" + secret + "'", "select * from '" + secret + "'",
      "select * from \"" + secret + "\"",
      "with \"" + secret + "\" as (select * from \"" + secret + "\") select * from \"" + secret +
          "\"",
      "describe '" + secret + "'", "summarize '" + secret + "'",
      "select * from read_csv('" + secret + "')", "select * from read_csv_auto('" + secret + "')",
      "select * from read_text('" + secret + "')", "select * from read_blob('" + file + "')",
      "select * from read_json('" + secret + "')", "select * from read_parquet('" + secret + "')",
      "select * from read_duckdb('" + file + "')",
      "select * from parquet_metadata('" + secret + "')",
      "select * from sniff_csv('" + secret + "')", "select * from glob('/*')",
      "select (select content from read_text('" + secret + "'))",
      "select 1 where exists (select * from read_text('" + secret + "'))",
      "explain analyze select * from read_text('" + secret + "')",
      "explain (format json) select * from read_text('" + secret + "')", "explain explain select 1",
      "select * from query('create table x (a int)')",
      "select * from query('select * from read_text(''" + secret + "'')')",
      "select * from query_table('" + secret + "')", "select * from query_table('raw_stocks.gaps')",
      "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
      "pragma json_execute_serialized_sql('{}')", "commit; create table raw_stocks.x (a int)",
      "rollback; drop table raw_stocks.gaps", "select 1; select 2",
      "select 1; commit; drop table raw_stocks.gaps", "begin", "commit", "rollback", "checkpoint",
      "force checkpoint", "vacuum", "analyze", "create table raw_stocks.x (a int)",
      "create temp table x (a int)", "create view raw_stocks.x as select 1",
      "create macro x() as 1", "create or replace table raw_stocks.gaps as select 1",
      "insert into raw_stocks.gaps values ('f','s',now(),now(),'c',null)",
      "update raw_stocks.load_counter set last_load_id = 9", "delete from raw_stocks.load_counter",
      "with x as (delete from raw_stocks.load_counter returning *) select * from x",
      "merge into raw_stocks.load_counter using (select 1 a) s on false when not matched then "
      "insert values (1)",
      "truncate raw_stocks.load_counter", "drop table raw_stocks.gaps",
      "drop schema raw_stocks cascade", "alter table raw_stocks.gaps rename to gone",
      "explain analyze delete from raw_stocks.load_counter",
      "explain analyze insert into raw_stocks.load_counter values (1)",
      "explain analyze create table raw_stocks.x as select 1",
      "/* explain */ explain analyze delete from raw_stocks.load_counter",
      "-- select\ndrop table raw_stocks.gaps", "attach ':memory:' as m",
      "attach '" + file + "' as again", "detach stocks_fin", "use memory", "install httpfs",
      "load httpfs", "load '" + secret + "'", "set enable_external_access = true",
      "reset enable_external_access", "set lock_configuration = false", "set memory_limit = '1GB'",
      "set global threads = 1", "pragma enable_profiling", "pragma database_list",
      "pragma table_info('gaps')", "call pragma_version()", "call force_checkpoint()",
      "call enable_logging()", "export database '" + folder.path.string() + "/dump'",
      "import database '" + folder.path.string() + "/dump'", "copy from database memory to memory",
      "prepare p as select 1", "execute p", "deallocate p", "select nextval('raw_stocks.counter')",
      "select currval('raw_stocks.counter')", "select current_setting('secret_directory')",
      "select write_log('x')", "select getvariable('x')", "set variable x = 1",
      "select sleep_ms(10)", "select pg_sleep(10)",
      // Comments nest in DuckDB: what one side takes for the end of one is not the other's.
      "/* /* */ explain select 1 -- */ select * from read_blob('" + file + "')",
      "/* /* */ explain select 1 -- */ select * from duckdb_settings()",
      "/* /* */ explain select 1 /* */ */ select * from read_text('" + secret + "')",
      "/* /* */ explain analyze select 1 -- */ delete from raw_stocks.load_counter",
      "explain /* /* */ select 1 -- */ select * from read_blob('" + file + "')",
      "explain (format json) /* /* */ select 1 -- */ select * from duckdb_settings()",
      "explain (format json, (select 1)) select 1", "explain (format 'x') select 1",
      "explain analyze explain select 1",
      "explain analyze copy raw_stocks.gaps to '" + secret + "'", "select json_structure('[]')",
      "select json_merge_patch('{}', '{}')", "select json_contains('[]', '7')",
      "select json_transform('1', '[]')", "select from_json('1', '[]')",
      "select '[]'::json::variant", "select try_cast('[]'::json as variant)",
      "select cast('[]'::json as \"variant\")", "select cast(['[]'::json] as variant[])",
      "select cast({'a': '[]'::json} as struct(a variant))", "select variant_normalize('[]'::json)",
      "select __internal_decompress_string(12::utinyint)", "select repeat('x', 3000000000)",
      "select repeat('x', symbol_count) from (select 3000000000 as symbol_count)",
      "select 'x'.repeat(3000000000)", "select lpad('x', 2147483647, 'y')",
      "select printf('%2000000000d', 1)", "select printf('a %% %-1000s', 'x')",
      "select printf('%.2000000000f', 1.5)", "select printf('%*d', 2000000000, 1)",
      "select printf('%%%d %99999d', 1, 2)", "select format('{:>2000000000}', 1)",
      "select format('{{{:1000}', 1)", "select format('{:{}}', 'x', 2000000000)",
      "select format('{} {:.9999f}', 1, 1.5)", "select '{:>2000000000}'.format(1)",
      "select format(symbol, 1) from raw_stocks.gaps", "select format('{' || ':9999}', 1)",
      "select printf('%2000000000d'::varchar, 1)", "select format('{:2000000000', 1)",
      "select len(range(1000000000))", "select * from unnest(range(1000000000))",
      "select [x for x in generate_series(1, 1000000000)]",
      "from range(1000) where len(range(1000000000)) > 1", "select * from duckdb_settings()",
      "select * from duckdb_secrets()", "select * from duckdb_tables()",
      "select * from duckdb_databases()", "select * from pragma_database_size()",
      "select * from duckdb_logs()", "select * from which_secret('s3://x', 's3')",
      "select * from test_all_types()", "select * from pg_catalog.pg_class",
      "select * from sqlite_master", "select * from main.duckdb_settings",
      "select * from system.main.duckdb_settings", "select * from temp.main.x",
      // A CTE's name in its own query, before it, and in what a recursive one begins with, is a
      // table of DuckDB's.
      "with pragma_database_list as (select * from pragma_database_list) select * from "
      "pragma_database_list",
      "with a as (select * from pg_settings), pg_settings as (select 1) select * from a",
      "with recursive duckdb_databases as (select * from duckdb_databases) select * from "
      "duckdb_databases",
      "with recursive duckdb_logs as (select 1 as n from duckdb_logs union all select n + 1 from "
      "duckdb_logs where n < 3) select * from duckdb_logs",
      "select * from (with duckdb_views as (select 1) select 1), duckdb_views",
      // Planning them would take minutes and gigabytes, and nothing ends it.
      doubled("as not materialized (select a.symbol from {0} a join {0} b using (symbol))"),
      doubled("as not materialized (from {0} union all from {0})"),
      doubled("as (select *, * from {0})"), "select * from memory.main.x",
      "select * from raw_stocks.evil()", "select * from evil()", "select * from raw_stocks.nothing",
      "select * from nothing", "show tables", "show all tables", "show databases", "select $1",
      "select ?", "", ";", "--", "explain", "explain ;", "select", "selec 1",
      "copy (select 1) to '/dev/stdout'", "pivot raw_stocks.gaps on symbol",
      std::string("select 1\0; drop table raw_stocks.gaps", 37)};
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder.path)) {
      names.insert(entry.path().filename());
    }
    return names;
  };
  const auto before = files();
  for (const std::string& attack : attacks) {
    const std::string answer = as_user(*warehouse, attack);
    EXPECT_TRUE(answer.starts_with("error: ")) << attack << "\n" << answer;
  }
  EXPECT_EQ(files(), before);
  EXPECT_EQ(all_text(*connection->query("select last_load_id from raw_stocks.load_counter")),
            "0|\n");
  EXPECT_EQ(all_text(*connection->query("select count(*) from raw_stocks.gaps")), "0|\n");
  connection.reset();
  warehouse.reset();
  EXPECT_NE(open(file), nullptr);
}

TEST(UserSql, the_read_only_transaction_stands_even_behind_the_wall) {
  auto warehouse = open();
  auto connection = *warehouse->connect();
  ASSERT_TRUE(connection->execute("begin transaction read only"));
  EXPECT_FALSE(connection->execute("update raw_stocks.load_counter set last_load_id = 1"));
  ASSERT_TRUE(connection->execute("rollback"));
  EXPECT_FALSE(connection->query("select * from read_text('/etc/hostname')"));
  EXPECT_FALSE(connection->execute("set enable_external_access = true"));
}

TEST(UserSql, rows_past_the_limit_are_not_given) {
  auto warehouse = open();
  int rows = 0;
  ASSERT_TRUE(warehouse->query_as_user(
      "select * from range(100000)", {.rows_max = 10}, [](const std::vector<Column>&) {},
      [&](const std::vector<Value>&) { return ++rows > 0; }));
  EXPECT_EQ(rows, 10);
}

TEST(Copying, a_copy_is_what_one_transaction_saw_while_another_wrote) {
  const Folder folder;
  auto warehouse = open(folder.path / "a.duckdb");
  auto connection = *warehouse->connect();
  ASSERT_TRUE(connection->execute(
      "create table raw_stocks.many as select i, 'text ' || i as t, (i / 3)::decimal(18,6) as d, "
      "case when i % 5 > 0 then i % 7 end as n, (case when i % 2 = 0 then 'pre' else 'post' "
      "end)::enum ('pre', 'post') as e, [i, 2] as l from range(300000) r(i); "
      "create view marts_stocks.\"a view\" as select * from raw_stocks.many"));
  std::string seen;
  const auto look = [&](Connection& its) -> Status {
    seen = all_text(TRY(its.query("select count(*) from raw_stocks.many")));
    return Ok{};
  };
  bool written = false;
  const auto on_copied = [&](std::int64_t) -> Status {
    if (std::exchange(written, true)) return Ok{};
    return connection->execute(
        "delete from raw_stocks.many where i < 1000; insert into "
        "raw_stocks.gaps values ('f', 's', timestamp '2025-01-01', timestamp '2025-01-02', 'c', "
        "null)");
  };
  const Status copied = warehouse->copy_to(folder.path / "b.duckdb", look, on_copied);
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_FALSE(fs::exists(folder.path / "b.duckdb.wal"));
  EXPECT_EQ(seen, "300000|\n");

  auto copy = open(folder.path / "b.duckdb");
  auto its = *copy->connect();
  const std::string all = "select count(*), bit_xor(hash(m)) from raw_stocks.many m where i >= ";
  EXPECT_TRUE(all_text(*its->query(all + "0")).starts_with("300000|"));
  EXPECT_EQ(all_text(*its->query(all + "1000")), all_text(*connection->query(all + "0")));
  EXPECT_EQ(all_text(*its->query("select count(*) from raw_stocks.gaps")), "0|\n");
  EXPECT_EQ(all_text(*its->query("select count(*) from marts_stocks.\"a view\"")), "300000|\n");
  const std::string tables =
      "select schema_name, table_name, sql from duckdb_tables() order by all";
  EXPECT_EQ(all_text(*its->query(tables)), all_text(*connection->query(tables)));
}

TEST(Copying, an_error_of_the_caller_ends_it) {
  const Folder folder;
  auto warehouse = open(folder.path / "a.duckdb");
  const auto fails = [] { return Status(Error{ErrorCode::cancelled, "stopped", ""}); };
  const auto nothing = [](Connection&) { return Status(Ok{}); };
  EXPECT_EQ(
      warehouse->copy_to(folder.path / "b.duckdb", nothing, [&](std::int64_t) { return fails(); })
          .error()
          .code,
      ErrorCode::cancelled);
  EXPECT_EQ(warehouse->copy_to(folder.path / "c.duckdb", [&](Connection&) { return fails(); }, {})
                .error()
                .code,
            ErrorCode::cancelled);
  EXPECT_EQ(warehouse->copy_to(folder.path / "none" / "d.duckdb", nothing, {}).error().code,
            ErrorCode::unavailable);
}

TEST(Copying, what_another_program_made_of_a_copy_comes_back) {
  const Folder folder;
  auto warehouse = open(folder.path / "a.duckdb");
  auto connection = *warehouse->connect();
  const auto go = [&](const std::string& sql) {
    const Status done = connection->execute(sql);
    ASSERT_TRUE(done) << sql << ": " << done.error().message;
  };
  go("create table marts_stocks.old (i integer)");
  go("create table marts_stocks.kept (i integer); insert into marts_stocks.kept values (1)");
  go("create view marts_stocks.seen as from marts_stocks.kept");
  const auto nothing = [](Connection&) { return Status(Ok{}); };
  const auto on = [](std::int64_t) { return Status(Ok{}); };
  const fs::path copy = folder.path / "copy" / "a.duckdb";
  fs::create_directory(copy.parent_path());
  ASSERT_TRUE(warehouse->copy_to(copy, nothing, on));
  {
    auto other = open(copy);
    auto its = *other->connect();
    for (const char* sql :
         {"drop table marts_stocks.old", "insert into marts_stocks.kept values (2)",
          "create schema snaps", "create table snaps.new as select range as i from range(200000)",
          "drop view marts_stocks.seen", "create table marts_stocks.seen as select 3 as i",
          "create view snaps.view as from marts_stocks.seen",
          "delete from raw_stocks.load_counter"}) {
      const Status done = its->execute(sql);
      ASSERT_TRUE(done) << sql << ": " << done.error().message;
    }
  }
  // Meanwhile a load goes on; its schema is not touched.
  go("update raw_stocks.load_counter set last_load_id = 77");
  const auto taken = warehouse->take_from(copy, "raw_stocks", on);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(all_text(*connection->query("from marts_stocks.kept order by 1")), "1|\n2|\n");
  EXPECT_EQ(all_text(*connection->query("select count(*), max(i) from snaps.new")),
            "200000|199999|\n");
  EXPECT_EQ(all_text(*connection->query("from snaps.view")), "3|\n");
  EXPECT_EQ(all_text(*connection->query("select last_load_id from raw_stocks.load_counter")),
            "77|\n");
  EXPECT_FALSE(connection->query("from marts_stocks.old"));

  // Stopped half way, or of a file that is none: all is as it was.
  const auto stop = [](std::int64_t) { return Status(Error{ErrorCode::cancelled, "stopped", ""}); };
  EXPECT_EQ(warehouse->take_from(copy, "raw_stocks", stop).error().code, ErrorCode::cancelled);
  EXPECT_FALSE(warehouse->take_from(folder.path, "raw_stocks", on));
  EXPECT_EQ(all_text(*connection->query("from snaps.view")), "3|\n");
}

TEST(Copying, parquet_files_have_the_rows) {
  const Folder folder;
  auto warehouse = open(folder.path / "a.duckdb");
  const auto file = [&](int number) { return folder.path / fmt::format("{}.parquet", number); };
  const std::string select = "select i, (i / 3)::decimal(18,6) as d from range({}) r(i)";
  const Status done =
      warehouse->write_parquet({{fmt::format(fmt::runtime(select), 5), file(0)},
                                {fmt::format(fmt::runtime(select), 0), file(1)},
                                {fmt::format(fmt::runtime(select), 7000), file(2)}});
  ASSERT_TRUE(done) << done.error().message;
  duckdb_database database = nullptr;
  duckdb_connection connection = nullptr;
  ASSERT_EQ(duckdb_open(nullptr, &database), DuckDBSuccess);
  ASSERT_EQ(duckdb_connect(database, &connection), DuckDBSuccess);
  for (const auto& [number, rows] : {std::pair(0, 5), {1, 0}, {2, 7000}}) {
    duckdb_result result;
    const auto query = fmt::format("select count(d) from '{}'", file(number).string());
    ASSERT_EQ(duckdb_query(connection, query.c_str(), &result), DuckDBSuccess);
    EXPECT_EQ(duckdb_value_int64(&result, 0, 0), rows);
    duckdb_destroy_result(&result);
  }
  duckdb_disconnect(&connection);
  duckdb_close(&database);
}

}  // namespace
}  // namespace tapeline::warehouse
