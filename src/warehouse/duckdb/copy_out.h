// Copying out of the warehouse: all tables into a database file, a query's rows into Parquet. And
// back into it: what another program made of such a file.
//
// The rows leave through the warehouse's own handle, a chunk at a time, into a second DuckDB
// instance that owns the new file. So nobody opens the warehouse's file twice, its transaction is
// an ordinary reader that loads do not wait for, and its settings stay locked.

#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "warehouse/duckdb/chunk.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::warehouse {

using OnCopied = DuckDbWarehouse::OnCopied;

/// Copies every schema, table and view that the open transaction of `from` sees into `file`,
/// which is not there yet. No write-ahead log is left beside it; it is not synced.
/// errors: unavailable (disk), those of `on_copied`
Status copy_tables(duckdb_connection from, const std::filesystem::path& file,
                   const OnCopied& on_copied);

/// Puts the tables and views of `file` into the open transaction of `to`, in the place of all that
/// it has, but for those of the schema `kept`.
/// errors: invalid_argument (a view that cannot be made), unavailable, those of `on_copied`
Status copy_back(const std::filesystem::path& file, duckdb_connection to, std::string_view kept,
                 const OnCopied& on_copied);

/// As DuckDbWarehouse::write_parquet.
Status copy_parquet(duckdb_connection from, const std::vector<DuckDbWarehouse::ParquetFile>& files);

}  // namespace tapeline::warehouse
