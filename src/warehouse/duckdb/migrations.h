// Migrations: the warehouse's own tables, version by version.

#pragma once

#include <duckdb.h>

#include "base/result.h"

namespace tapeline::warehouse {

/// Brings the tables of design §4.2 up to the newest version, one transaction a version.
/// errors: unsupported where a newer tapeline has been here
Status migrate(duckdb_connection connection);

}  // namespace tapeline::warehouse
