// Touched: what loads changed, as their rows in the warehouse say.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time_text.h"
#include "warehouse/warehouse.h"

namespace tapeline::app {

/// What a run changed, for pages that have to draw it again.
struct Touched {
  std::vector<Date> days;  // in order
  std::vector<std::string> symbols;
};

/// The days of the raw rows that loads after this one wrote, in order.
Result<std::vector<Date>> days_since(warehouse::Connection& connection, std::int64_t load_id);

Result<Touched> touched_since(warehouse::Connection& connection, std::int64_t load_id);

/// The load before the first that a run made; `fallback` where it made none.
Result<std::int64_t> before_loads_of(warehouse::Connection& connection, const std::string& run_id,
                                     std::int64_t fallback);

}  // namespace tapeline::app
