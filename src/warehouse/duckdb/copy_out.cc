#include "warehouse/duckdb/copy_out.h"

#include <fmt/format.h>

#include <vector>

#include "warehouse/duckdb/query.h"

namespace tapeline::warehouse {
namespace {

Error failed(const char* why) {
  return Error{ErrorCode::unavailable, why ? why : "no reason given", ""};
}

/// The rows of a query whose columns are texts.
Result<std::vector<std::vector<std::string>>> texts(duckdb_connection connection,
                                                    const std::string& sql) {
  StreamedQuery query;
  TRY_STATUS(query.start(connection, sql));
  std::vector<std::vector<std::string>> rows;
  std::vector<Value> row;
  for (;;) {
    const DataChunk chunk = TRY(query.next());
    if (!chunk.get()) return rows;
    give_rows(chunk.get(), row, [&](const std::vector<Value>& values) {
      auto& added = rows.emplace_back();
      for (const Value& value : values) added.push_back(to_text(value));
      return true;
    });
  }
}

/// Appends the rows of a query of one connection to a table of another, in their order.
Status append_rows(duckdb_connection from, const std::string& select, duckdb_connection to,
                   const std::string& schema, const std::string& table, const OnCopied& on_copied,
                   std::int64_t& copied) {
  StreamedQuery rows;
  TRY_STATUS(rows.start(from, select));
  Appender appender;
  if (duckdb_appender_create_ext(to, nullptr, schema.c_str(), table.c_str(), appender.out()) ==
      DuckDBError) {
    return failed(duckdb_appender_error(appender.get()));
  }
  for (;;) {
    const DataChunk chunk = TRY(rows.next());
    if (!chunk.get()) break;
    if (duckdb_append_data_chunk(appender.get(), chunk.get()) == DuckDBError) {
      return failed(duckdb_appender_error(appender.get()));
    }
    copied += static_cast<std::int64_t>(duckdb_data_chunk_get_size(chunk.get()));
    TRY_STATUS(on_copied(copied));
  }
  if (duckdb_appender_close(appender.get()) == DuckDBError) {
    return failed(duckdb_appender_error(appender.get()));
  }
  return Ok{};
}

/// The instance that has the other file: one thread and little memory, for the pipeline goes on.
class Taker {
 public:
  static Result<Taker> open(const std::string& path) {
    Taker taker;
    Config config;
    duckdb_create_config(config.out());
    const auto set = [&](const char* name, const std::string& value) {
      duckdb_set_config(config.get(), name, value.c_str());
    };
    set("threads", "1");
    set("memory_limit", "256MB");
    set("autoinstall_known_extensions", "false");
    set("autoload_known_extensions", "false");
    if (!path.empty()) set("temp_directory", path + ".tmp");
    char* why = nullptr;
    if (duckdb_open_ext(path.empty() ? ":memory:" : path.c_str(), taker.database_.out(),
                        config.get(), &why) == DuckDBError) {
      Error error = failed(why);
      duckdb_free(why);
      return error;
    }
    if (duckdb_connect(taker.database_.get(), taker.session_.out()) == DuckDBError) {
      return failed("the new database gave no connection");
    }
    return taker;
  }

  Status run(const std::string& sql) { return warehouse::run(session_.get(), sql); }

  /// Appends the rows of a query of `from` to a table, in their order, as one transaction.
  Status take(duckdb_connection from, const std::string& select, const std::string& schema,
              const std::string& table, const OnCopied& on_copied, std::int64_t& copied) {
    TRY_STATUS(run("begin transaction"));
    TRY_STATUS(append_rows(from, select, session_.get(), schema, table, on_copied, copied));
    return run("commit");
  }

  duckdb_connection raw() const { return session_.get(); }

 private:
  Database database_;
  Session session_;
};

constexpr std::string_view kOurs = "database_name = current_database() and not internal";

/// Schema, name and statement of each table; of each view, in the order in which they were made.
Result<std::vector<std::vector<std::string>>> tables_of(duckdb_connection connection,
                                                        std::string_view where = "true") {
  return texts(connection, fmt::format("select schema_name, table_name, sql from duckdb_tables() "
                                       "where {} and not temporary and {} order by 1, 2",
                                       kOurs, where));
}
Result<std::vector<std::vector<std::string>>> views_of(duckdb_connection connection,
                                                       std::string_view where = "true") {
  return texts(connection, fmt::format("select schema_name, view_name, sql from duckdb_views() "
                                       "where {} and not temporary and {} order by view_oid",
                                       kOurs, where));
}

/// Creates what one statement each creates. What needs another is tried again after it.
Status create_all(Taker& taker, std::vector<std::vector<std::string>> statements) {
  while (!statements.empty()) {
    std::vector<std::vector<std::string>> left;
    Status first = Ok{};
    for (const auto& statement : statements) {
      Status created = taker.run(statement[2]);
      if (created) continue;
      if (left.empty()) first = std::move(created);
      left.push_back(statement);
    }
    if (left.size() == statements.size()) return first;
    statements = std::move(left);
  }
  return Ok{};
}

/// The statement that creates `rows`, with the columns of a SELECT.
Result<std::string> table_of(duckdb_connection from, const std::string& select) {
  std::string columns;
  const auto described =
      TRY(texts(from, fmt::format("select column_name, column_type from (describe {})", select)));
  for (const auto& column : described) {
    columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", sql_name(column[0]), column[1]);
  }
  return fmt::format("create or replace table rows ({})", columns);
}

}  // namespace

Status copy_tables(duckdb_connection from, const std::filesystem::path& file,
                   const OnCopied& on_copied) {
  Taker taker = TRY(Taker::open(file.string()));
  const auto schemas = TRY(texts(
      from, fmt::format("select schema_name from duckdb_schemas() where {} order by 1", kOurs)));
  for (const auto& schema : schemas) {
    TRY_STATUS(taker.run("create schema if not exists " + sql_name(schema[0])));
  }
  std::int64_t copied = 0;
  for (const auto& table : TRY(tables_of(from))) {
    TRY_STATUS(taker.run(table[2]));
    TRY_STATUS(taker.take(from, fmt::format("from {}.{}", sql_name(table[0]), sql_name(table[1])),
                          table[0], table[1], on_copied, copied));
  }
  auto views = TRY(views_of(from));
  TRY_STATUS(create_all(taker, std::move(views)));
  return taker.run("checkpoint");
}

Status copy_back(const std::filesystem::path& file, duckdb_connection to, std::string_view kept,
                 const OnCopied& on_copied) {
  Taker giver = TRY(Taker::open(file.string()));
  const std::string others = fmt::format("schema_name <> {}", sql_text(kept));
  const auto go = [&](const std::string& sql) { return run(to, sql); };
  auto old_views = TRY(views_of(to, others));
  for (const auto& view : old_views) {
    TRY_STATUS(go(fmt::format("drop view {}.{}", sql_name(view[0]), sql_name(view[1]))));
  }
  for (const auto& table : TRY(tables_of(to, others))) {
    TRY_STATUS(go(fmt::format("drop table {}.{}", sql_name(table[0]), sql_name(table[1]))));
  }
  std::int64_t copied = 0;
  for (const auto& table : TRY(tables_of(giver.raw(), others))) {
    TRY_STATUS(go("create schema if not exists " + sql_name(table[0])));
    TRY_STATUS(go(table[2]));
    TRY_STATUS(append_rows(giver.raw(),
                           fmt::format("from {}.{}", sql_name(table[0]), sql_name(table[1])), to,
                           table[0], table[1], on_copied, copied));
  }
  for (const auto& view : TRY(views_of(giver.raw(), others))) {
    TRY_STATUS(go("create schema if not exists " + sql_name(view[0])));
    TRY_STATUS(go(view[2]));
  }
  return Ok{};
}

Status copy_parquet(duckdb_connection from,
                    const std::vector<DuckDbWarehouse::ParquetFile>& files) {
  Taker taker = TRY(Taker::open(""));
  std::int64_t copied = 0;
  for (const auto& [select, file] : files) {
    if (copied == 0) {
      const auto create = TRY(table_of(from, select));
      TRY_STATUS(taker.run(create));
    }
    TRY_STATUS(taker.run("truncate rows"));
    TRY_STATUS(taker.take(
        from, select, "main", "rows", [](std::int64_t) { return Status(Ok{}); }, copied));
    TRY_STATUS(taker.run(fmt::format("copy rows to {} (format parquet, compression zstd)",
                                     sql_text(file.string()))));
  }
  return Ok{};
}

}  // namespace tapeline::warehouse
