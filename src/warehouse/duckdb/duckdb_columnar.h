// Parquet through DuckDB: an instance of its own, in memory, with one thread.
//
// It opens the files that it is told to and no other. Never give it a file of the warehouse: as
// any close of that file in this process, its own would drop the warehouse's lock.

#pragma once

#include "text/columnar.h"

namespace tapeline::warehouse {

/// errors: unavailable
Result<std::unique_ptr<text::Columnar>> make_columnar();

}  // namespace tapeline::warehouse
