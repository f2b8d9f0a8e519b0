// Cursor: a DuckDB query that runs as its rows are taken.

#pragma once

#include <duckdb.h>

#include <memory>
#include <stop_token>
#include <string_view>

#include "warehouse/warehouse.h"

namespace tapeline::warehouse {

/// Starts one SELECT or EXPLAIN. `keeps` is what has to live as long as the cursor: the connection.
/// errors: those of preparing
Result<std::unique_ptr<Cursor>> open_cursor(duckdb_connection connection, std::string_view sql,
                                            std::shared_ptr<void> keeps, std::stop_token stop);

}  // namespace tapeline::warehouse
