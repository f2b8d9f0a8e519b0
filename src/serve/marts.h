// What the API reads from the warehouse: bars, analytics, daily closes.
//
// Every query is bounded in rows and time, and names only what was checked before. Tables
// that no run has made yet read as empty.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "serve/live_table.h"
#include "serve/route.h"
#include "warehouse/warehouse.h"

namespace tapeline::serve {

constexpr std::int64_t kBarsMax = 20'000;
constexpr std::int64_t kBarsDefault = 5'000;

struct BarsRequest {
  std::string symbol;
  std::string interval;               // 1m 5m 15m 30m 1h 4h 1d 1w 1M
  std::optional<TimeParam> from;      // the bucket that holds it is whole
  std::optional<TimeParam> to;        // an instant: exclusive; a date: inclusive
  std::int64_t limit = kBarsDefault;  // the oldest from `from` on; without `from` the newest
};

/// The answer of /api/v1/bars, as JSON.
/// errors: those of the query; timed_out after ten seconds
Result<std::string> read_bars(warehouse::Connection& warehouse, const BarsRequest& request);

struct AnalyticsRequest {
  std::optional<std::string> symbol;  // none: the latest row of each
  std::optional<TimeParam> from;
  std::optional<TimeParam> to;
};

/// The answer of /api/v1/analytics, as JSON.
Result<std::string> read_analytics(warehouse::Connection& warehouse,
                                   const AnalyticsRequest& request);

/// The two newest daily rows of each symbol, for LiveTable::set_daily.
Result<std::vector<DailyRow>> read_daily(warehouse::Connection& warehouse);

/// The symbols that raw has, sorted.
Result<std::vector<std::string>> read_symbols(warehouse::Connection& warehouse);

}  // namespace tapeline::serve
