// Query: the handles of DuckDB's C interface that free themselves, and its errors in our words.

#pragma once

#include <duckdb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "warehouse/duckdb/chunk.h"

namespace tapeline::warehouse {

using Config = Owned<duckdb_config, duckdb_destroy_config>;
using Database = Owned<duckdb_database, duckdb_close>;
using Session = Owned<duckdb_connection, duckdb_disconnect>;
using Appender =
    Owned<duckdb_appender, +[](duckdb_appender* appender) { duckdb_appender_destroy(appender); }>;
using Statements = Owned<duckdb_extracted_statements, duckdb_destroy_extracted>;
using Prepared = Owned<duckdb_prepared_statement, duckdb_destroy_prepare>;

/// A result that cannot be forgotten.
class OwnedResult {
 public:
  OwnedResult() = default;
  OwnedResult(const OwnedResult&) = delete;
  OwnedResult& operator=(const OwnedResult&) = delete;
  ~OwnedResult() { duckdb_destroy_result(&raw_); }
  duckdb_result* get() { return &raw_; }
  duckdb_result value() const { return raw_; }

 private:
  duckdb_result raw_{};
};

ErrorCode to_error_code(duckdb_error_type type);

/// An error of preparing or parsing.
Error sql_error(const char* why);

/// The error of a result that has one.
Error result_error(duckdb_result* result);

/// errors: invalid_argument: there are parameters. Their columns have no type, so no cast would do.
Status check_parameters(duckdb_prepared_statement prepared);

std::vector<Column> columns_of(duckdb_result* result);

/// Runs statements whose rows nobody wants.
Status run(duckdb_connection connection, const std::string& sql);

/// A query whose chunks come as it runs, so that its answer is never in memory as a whole.
///
/// lifetime: the connection must outlive it
class StreamedQuery {
 public:
  /// Starts one statement.
  Status start(duckdb_connection connection, const std::string& sql);

  /// The same, with the columns that `give_rows` cannot read as text.
  Status start_with_casts(duckdb_connection connection, std::string_view sql);

  std::vector<Column> columns() { return columns_of(result_.get()); }

  /// The next chunk, with rows; a null one at the end.
  Result<DataChunk> next();

 private:
  OwnedResult result_;
  bool ended_ = false;  // fetching once more would be an error
};

/// None where `give_rows` can read every column of a query; else the query that casts the others
/// to text.
std::optional<std::string> with_casts(duckdb_prepared_statement prepared, std::string_view sql);

/// A name in double quotes, for SQL.
std::string sql_name(std::string_view name);

}  // namespace tapeline::warehouse
