// Copying out of the warehouse: all tables into a database file, a query's rows into Parquet.
//
// The rows leave through the warehouse's own handle, a chunk at a time, into a second DuckDB
// instance that owns the new file. So nobody opens the warehouse's file twice, its transaction is
// an ordinary reader that loads do not wait for, and its settings stay locked.

#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "warehouse/duckdb/chunk.h"

namespace tapeline::warehouse {

/// Told how many rows were copied so far; an error ends the copying.
using OnCopied = std::function<Status(std::int64_t rows)>;

/// Copies every schema, table and view that the open transaction of `from` sees into `file`,
/// which is not there yet. No write-ahead log is left beside it; it is not synced.
/// errors: unavailable (disk), those of `on_copied`
Status copy_tables(duckdb_connection from, const std::filesystem::path& file,
                   const OnCopied& on_copied);

/// Writes the rows of one SELECT to a Parquet file, replacing it. It is not synced.
/// errors: invalid_argument (the SQL), unavailable (disk), those of `on_copied`
Status copy_parquet(duckdb_connection from, std::string_view select,
                    const std::filesystem::path& file, const OnCopied& on_copied);

}  // namespace tapeline::warehouse
