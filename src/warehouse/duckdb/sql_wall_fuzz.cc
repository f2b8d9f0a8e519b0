// Statements put together from words: whatever a user asks, the database, its folder and its
// settings stay as they were, and what lies outside the catalog does not come out.
//
// The library is not instrumented; the words steer instead. Each byte is one of kWords, so that
// bytes that change, move and repeat make statements.

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "warehouse/duckdb/duckdb_warehouse.h"

namespace {

using namespace tapeline;
using namespace tapeline::warehouse;
namespace fs = std::filesystem;

// In a file, in the name of the folder and in the environment: it must never be in an answer.
constexpr std::string_view kCanary = "canary7f3a";

constexpr auto kWords =
    std::to_array<std::string_view>({"select ",
                                     "from ",
                                     "* ",
                                     "1 ",
                                     "42",
                                     "'x' ",
                                     "null ",
                                     "as ",
                                     "a",
                                     "b",
                                     "t ",
                                     "(",
                                     ")",
                                     ", ",
                                     "; ",
                                     ";",
                                     "\n",
                                     " ",
                                     "--",
                                     "-- \n",
                                     "/*",
                                     "*/",
                                     "/* /* */ */",
                                     "$$",
                                     "$$ $$",
                                     "'",
                                     "\"",
                                     ".",
                                     "::varchar ",
                                     "::json ",
                                     "::variant ",
                                     "\\",
                                     "\xc2\xa0",
                                     "\xe2\x80\xa8",
                                     "\xff",
                                     "?",
                                     "$1",
                                     "gaps ",
                                     "raw_stocks.gaps ",
                                     "stocks_fin.raw_stocks.gaps ",
                                     "loads ",
                                     "load_counter ",
                                     "raw_stocks.load_counter ",
                                     "symbol ",
                                     "where ",
                                     "group by all ",
                                     "order by 1 ",
                                     "limit 1 ",
                                     "limit 0 ",
                                     "union all ",
                                     "except ",
                                     "join ",
                                     "on true ",
                                     "cross join ",
                                     "lateral ",
                                     "with x as (",
                                     "with x as materialized (",
                                     "x ",
                                     "exists (",
                                     "in (",
                                     "case when ",
                                     "then ",
                                     "else ",
                                     "end ",
                                     "values (1) ",
                                     "table ",
                                     "explain ",
                                     "explain analyze ",
                                     "explain (format json) ",
                                     "explain (analyze, format json) ",
                                     "describe ",
                                     "summarize ",
                                     "show ",
                                     "show tables ",
                                     "show all tables ",
                                     "pivot ",
                                     "unpivot ",
                                     "using sum(1) ",
                                     "insert into ",
                                     "update ",
                                     "set ",
                                     "last_load_id = 9 ",
                                     "delete from ",
                                     "returning * ",
                                     "merge into ",
                                     "truncate ",
                                     "create ",
                                     "or replace ",
                                     "temp ",
                                     "table y as ",
                                     "view y as ",
                                     "macro y() as ",
                                     "sequence y ",
                                     "schema y ",
                                     "type y as enum ('q') ",
                                     "secret (type s3) ",
                                     "index i on gaps (symbol) ",
                                     "drop ",
                                     "table gaps ",
                                     "schema raw_stocks cascade ",
                                     "alter table gaps ",
                                     "rename to gone ",
                                     "add column z int ",
                                     "comment on table gaps is 'x' ",
                                     "copy ",
                                     "to 'out.csv' ",
                                     "from 's.csv' ",
                                     "copy (select 42) to 'stocks_fin.duckdb' ",
                                     "export database 'dump' ",
                                     "import database 'dump' ",
                                     "attach 'other.duckdb' as o ",
                                     "attach 'stocks_fin.duckdb' as o ",
                                     "detach stocks_fin ",
                                     "use memory ",
                                     "install httpfs ",
                                     "load httpfs ",
                                     "begin ",
                                     "commit ",
                                     "rollback ",
                                     "begin transaction ",
                                     "checkpoint ",
                                     "force checkpoint ",
                                     "vacuum ",
                                     "analyze ",
                                     "pragma ",
                                     "call ",
                                     "reset ",
                                     "global ",
                                     "set enable_external_access = true ",
                                     "set lock_configuration = false ",
                                     "variable v = 1 ",
                                     "set threads = 1 ",
                                     "set schema = 'main' ",
                                     "prepare p as ",
                                     "execute p ",
                                     "deallocate p ",
                                     "read_text('s.csv') ",
                                     "read_blob('stocks_fin.duckdb') ",
                                     "read_csv('s.csv') ",
                                     "read_csv_auto('s.csv') ",
                                     "read_json('s.csv') ",
                                     "read_parquet('s.csv') ",
                                     "read_duckdb('stocks_fin.duckdb') ",
                                     "parquet_metadata('s.csv') ",
                                     "sniff_csv('s.csv') ",
                                     "glob('*') ",
                                     "'s.csv' ",
                                     "\"s.csv\" ",
                                     "query('select 1') ",
                                     "query_table('gaps') ",
                                     "query('create table y (a int)') ",
                                     "duckdb_settings() ",
                                     "duckdb_secrets() ",
                                     "duckdb_databases() ",
                                     "duckdb_tables() ",
                                     "duckdb_logs() ",
                                     "pragma_database_size() ",
                                     "pragma_table_info('gaps') ",
                                     "which_secret('s3://x', 's3') ",
                                     "force_checkpoint() ",
                                     "enable_logging() ",
                                     "checkpoint() ",
                                     "arrow_scan(1::ubigint, 2::ubigint, 3::ubigint) ",
                                     "seq_scan(1) ",
                                     "test_all_types() ",
                                     "json_execute_serialized_sql('{}') ",
                                     "json_serialize_sql('select 1') ",
                                     "json_each('[1]') ",
                                     "histogram('s.csv', 'a') ",
                                     "getenv('CANARY') ",
                                     "current_setting('temp_directory') ",
                                     "getvariable('v') ",
                                     "nextval('raw_stocks.counter') ",
                                     "currval('raw_stocks.counter') ",
                                     "write_log('x') ",
                                     "setseed(0.5) ",
                                     "pg_sleep(0) ",
                                     "error('x') ",
                                     "current_query() ",
                                     "txid_current() ",
                                     "range(3) ",
                                     "generate_series(1, 3) ",
                                     "unnest([1, 2]) ",
                                     "repeat_row(1, num_rows := 2) ",
                                     "count(*) ",
                                     "max(a) ",
                                     "max(last_load_id) ",
                                     "row_number() over () ",
                                     "list_transform([1], a -> a) ",
                                     "columns(*) ",
                                     "struct_pack(a := 1) ",
                                     "[1, 2] ",
                                     "{'a': 1} ",
                                     "{'sample': 1, 'type': 'X'} ",
                                     "information_schema.tables ",
                                     "pg_catalog.pg_class ",
                                     "sqlite_master ",
                                     "duckdb_settings ",
                                     "main.duckdb_settings ",
                                     "system.main.duckdb_databases ",
                                     "temp.main.y ",
                                     "memory.main.y ",
                                     "raw_stocks.evil() ",
                                     "tablesample 10% ",
                                     "at (version => 1) ",
                                     "positional join ",
                                     "asof join ",
                                     "qualify true ",
                                     "window w as () ",
                                     "filter (where true) "});

void require(bool holds, std::string_view what, std::string_view sql, std::string_view detail) {
  if (holds) return;
  fmt::print(stderr, "{}\n--- the statement:\n{}\n--- \n{}\n", what, sql, detail);
  std::abort();
}

std::string text_of(const Rows& rows) {
  std::string out;
  for (const auto& row : rows.rows) {
    for (const auto& value : row) out += (is_null(value) ? "null" : to_text(value)) + "|";
  }
  return out;
}

class World {
 public:
  World() {
    folder_ = fs::temp_directory_path() / fmt::format("{}_{}", kCanary, ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::current_path(folder_);
    ::setenv("CANARY", std::string(kCanary).c_str(), 1);
    std::ofstream("s.csv") << "a\n" << kCanary << "\n";
    clock_ = make_system_clock();
    warehouse_ = *DuckDbWarehouse::open(*clock_, {.file = folder_ / "stocks_fin.duckdb"});
    watcher_ = *warehouse_->connect();
    const auto made = watcher_->execute(
        "insert into raw_stocks.gaps values ('f', 'AAPL', now(), now(), 'c', null); create "
        "sequence raw_stocks.counter; create macro raw_stocks.evil() as table select 1; "
        "checkpoint");
    require(made.has_value(), "no set-up", "", made ? "" : made.error().message);
    before_ = state();
  }
  ~World() {
    fs::current_path("/");
    fs::remove_all(folder_);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void ask(const std::string& sql) {
    std::string answer;
    const auto done = warehouse_->query_as_user(
        sql, {.rows_max = 100}, [](const std::vector<Column>&) {},
        [&](const std::vector<Value>& row) {
          for (const auto& value : row) answer += is_null(value) ? "null" : to_text(value);
          return true;
        });
    require(answer.find(kCanary) == std::string::npos, "it reached outside", sql, answer);
    // What was refused never ran; now and then it is looked at too.
    if (!done && ++refused_ % 64 != 0) return;
    const std::string now = state();
    require(now == before_, "something changed", sql, before_ + "\n---\n" + now);
  }

 private:
  /// All that no user may change, as text.
  std::string state() {
    std::string out;
    for (
        const auto* query :
        {"select * from raw_stocks.load_counter", "select * from raw_stocks.gaps",
         "select count(*) from raw_stocks.loads",
         "select md5(string_agg(name || value, ',' order by name)) from duckdb_settings()",
         "select database_name, path from duckdb_databases() order by 1",
         "select string_agg(schema_name || table_name || sql, ',' order by 1) from duckdb_tables()",
         "select string_agg(schema_name || view_name, ',' order by 1) from duckdb_views() where "
         "not internal",
         "select string_agg(sequence_name || coalesce(last_value, 0), ',') from duckdb_sequences()",
         "select count(*) from duckdb_types()", "select count(*) from duckdb_functions()",
         "select count(*) from duckdb_variables()",
         "select count(*) from duckdb_prepared_statements()"}) {
      const auto rows = watcher_->query(query, {});
      out += (rows ? text_of(*rows) : rows.error().message) + "\n";
    }
    std::set<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const auto name = entry.path().filename().string();
      if (name != "stocks_fin.duckdb.wal" && name != "stocks_fin.duckdb.tmp") files.insert(name);
    }
    for (const auto& name : files) out += name + " ";
    return out;
  }

  fs::path folder_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<DuckDbWarehouse> warehouse_;
  std::unique_ptr<Connection> watcher_;
  std::string before_;
  std::int64_t refused_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static_assert(kWords.size() <= 256);
  std::string sql;
  for (std::size_t i = 0; i < size && i < 60; ++i) sql += kWords[data[i] % kWords.size()];
  world.ask(sql);
  return 0;
}
