#include "warehouse/duckdb/query.h"

#include <fmt/format.h>

namespace tapeline::warehouse {

ErrorCode to_error_code(duckdb_error_type type) {
  switch (type) {
    case DUCKDB_ERROR_INTERRUPT:
      return ErrorCode::cancelled;
    case DUCKDB_ERROR_IO:
    case DUCKDB_ERROR_HTTP:
    case DUCKDB_ERROR_NETWORK:
    case DUCKDB_ERROR_OUT_OF_MEMORY:
    case DUCKDB_ERROR_TRANSACTION:
      return ErrorCode::unavailable;
    case DUCKDB_ERROR_NOT_IMPLEMENTED:
    case DUCKDB_ERROR_MISSING_EXTENSION:
      return ErrorCode::unsupported;
    case DUCKDB_ERROR_INTERNAL:
    case DUCKDB_ERROR_FATAL:
      return ErrorCode::corrupt;
    default:
      return ErrorCode::invalid_argument;  // the SQL, or the rows it met
  }
}

Error sql_error(const char* why) {
  return Error{ErrorCode::invalid_argument, why ? why : "no reason given", ""};
}

Error result_error(duckdb_result* result) {
  const char* why = duckdb_result_error(result);
  return Error{to_error_code(duckdb_result_error_type(result)), why ? why : "no reason given", ""};
}

Status check_parameters(duckdb_prepared_statement prepared) {
  if (duckdb_nparams(prepared) == 0) return Ok{};
  return Error{ErrorCode::invalid_argument, "a parameter has no value",
               "Write the value where '?' or '$1' stands."};
}

std::vector<Column> columns_of(duckdb_result* result) {
  std::vector<Column> columns;
  for (idx_t i = 0; i < duckdb_column_count(result); ++i) {
    const LogicalType type(duckdb_column_logical_type(result, i));
    columns.push_back(describe(duckdb_column_name(result, i), type.get()));
  }
  return columns;
}

Status run(duckdb_connection connection, const std::string& sql) {
  OwnedResult result;
  if (duckdb_query(connection, sql.c_str(), result.get()) == DuckDBSuccess) return Ok{};
  return result_error(result.get());
}

Status StreamedQuery::start(duckdb_connection connection, const std::string& sql) {
  Prepared prepared;
  if (duckdb_prepare(connection, sql.c_str(), prepared.out()) == DuckDBError) {
    return sql_error(duckdb_prepare_error(prepared.get()));
  }
  Owned<duckdb_pending_result, duckdb_destroy_pending> pending;
  if (duckdb_pending_prepared_streaming(prepared.get(), pending.out()) == DuckDBError) {
    return sql_error(duckdb_pending_error(pending.get()));
  }
  if (duckdb_execute_pending(pending.get(), result_.get()) == DuckDBError) {
    return result_error(result_.get());
  }
  return Ok{};
}

Status StreamedQuery::start_with_casts(duckdb_connection connection, std::string_view sql) {
  std::string text(sql.substr(0, sql.find_last_not_of("; \t\r\n") + 1));
  {
    Prepared prepared;
    if (duckdb_prepare(connection, text.c_str(), prepared.out()) == DuckDBError) {
      return sql_error(duckdb_prepare_error(prepared.get()));
    }
    TRY_STATUS(check_parameters(prepared.get()));
    if (auto casts = with_casts(prepared.get(), text)) text = *std::move(casts);
  }
  return start(connection, text);
}

Result<DataChunk> StreamedQuery::next() {
  if (ended_) return DataChunk();
  DataChunk chunk(duckdb_fetch_chunk(result_.value()));
  if (chunk.get() && duckdb_data_chunk_get_size(chunk.get()) > 0) return chunk;
  ended_ = true;
  // The end and an error look alike.
  if (duckdb_result_error_type(result_.get()) != DUCKDB_ERROR_INVALID) {
    return result_error(result_.get());
  }
  return DataChunk();
}

std::string sql_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::optional<std::string> with_casts(duckdb_prepared_statement prepared, std::string_view sql) {
  const idx_t columns = duckdb_prepared_statement_column_count(prepared);
  std::string names;
  std::string items;
  bool needed = false;
  for (idx_t i = 0; i < columns; ++i) {
    const bool plain = is_plain(duckdb_prepared_statement_column_type(prepared, i));
    needed = needed || !plain;
    const char* name = duckdb_prepared_statement_column_name(prepared, i);
    const std::string quoted = sql_name(name ? name : "");
    duckdb_free(const_cast<char*>(name));
    names += fmt::format("{}c{}", i ? ", " : "", i);
    items += fmt::format("{}c{}{} as {}", i ? ", " : "", i, plain ? "" : "::varchar", quoted);
  }
  if (!needed) return std::nullopt;
  return fmt::format("select {} from (\n{}\n) as t({})", items, sql, names);
}

}  // namespace tapeline::warehouse
