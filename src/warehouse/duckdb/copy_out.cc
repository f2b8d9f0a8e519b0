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

/// The instance that takes the rows: one thread and little memory, for the pipeline goes on.
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
    StreamedQuery rows;
    TRY_STATUS(rows.start(from, select));
    TRY_STATUS(run("begin transaction"));
    Appender appender;
    if (duckdb_appender_create_ext(session_.get(), nullptr, schema.c_str(), table.c_str(),
                                   appender.out()) == DuckDBError) {
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
    return run("commit");
  }

 private:
  Database database_;
  Session session_;
};

/// Creates what one statement each creates. What needs another is tried again after it.
Status create_all(Taker& taker, std::vector<std::vector<std::string>> statements) {
  while (!statements.empty()) {
    std::vector<std::vector<std::string>> left;
    Status first = Ok{};
    for (const auto& statement : statements) {
      Status created = taker.run(statement[0]);
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
  constexpr std::string_view kOurs = "database_name = current_database() and not internal";
  const auto schemas = TRY(texts(
      from, fmt::format("select schema_name from duckdb_schemas() where {} order by 1", kOurs)));
  for (const auto& schema : schemas) {
    TRY_STATUS(taker.run("create schema if not exists " + sql_name(schema[0])));
  }
  const auto tables = TRY(texts(
      from, fmt::format("select schema_name, table_name, sql from duckdb_tables() where {} and "
                        "not temporary order by 1, 2",
                        kOurs)));
  std::int64_t copied = 0;
  for (const auto& table : tables) {
    TRY_STATUS(taker.run(table[2]));
    TRY_STATUS(taker.take(from, fmt::format("from {}.{}", sql_name(table[0]), sql_name(table[1])),
                          table[0], table[1], on_copied, copied));
  }
  auto views = TRY(texts(from, fmt::format("select sql from duckdb_views() where {} and not "
                                           "temporary order by view_oid",
                                           kOurs)));
  TRY_STATUS(create_all(taker, std::move(views)));
  return taker.run("checkpoint");
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
