// What the API reads from the warehouse: bars, analytics, daily closes, and the messages behind
// them.
//
// Every query is bounded in rows and time, and names only what was checked before. Tables
// that no run has made yet read as empty.

#pragma once

#include <memory>
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

/// The answer of /api/v1/bars, as JSON. Buckets of minutes begin at multiples of their length since
/// New York's midnight. `gaps` is what `read_all_gaps` gave, if it gave them.
/// errors: those of the query; timed_out after ten seconds
Result<std::string> read_bars(warehouse::Connection& warehouse, const BarsRequest& request,
                              const warehouse::Rows* gaps = nullptr);

/// Every stretch that a feed did not deliver, for `read_bars`; null where they are more than an
/// answer may have, so that each request is better off with a query for its own.
Result<std::shared_ptr<const warehouse::Rows>> read_all_gaps(warehouse::Connection& warehouse);

struct AnalyticsRequest {
  std::optional<std::string> symbol;  // none: the latest row of each
  std::optional<TimeParam> from;
  std::optional<TimeParam> to;
  std::string columns = {};  // their names with commas between; empty: all
};

/// The newest load that the daily mart has rows of, as JSON: a number, or null.
Result<std::string> read_load_id(warehouse::Connection& warehouse);

/// The answer of /api/v1/analytics, as JSON.
Result<std::string> read_analytics(warehouse::Connection& warehouse,
                                   const AnalyticsRequest& request, std::string_view load_id);

constexpr std::int64_t kMessagesMax = 1000;
constexpr std::int64_t kMessagesDefault = 100;

struct MessagesRequest {
  std::string symbol;
  std::optional<TimeParam> from;  // an instant, or a New York date
  std::optional<TimeParam> to;    // an instant: exclusive; a date: inclusive
  std::int64_t limit = kMessagesDefault;
};

/// The answer of /api/v1/messages, as JSON: the raw rows of a stretch, oldest first, each with the
/// place of its message in the log.
Result<std::string> read_messages(warehouse::Connection& warehouse, const MessagesRequest& request);

/// The newest daily rows of each symbol, for LiveTable::set_daily: a reference, and a sparkline
/// for who has no minutes.
Result<std::vector<DailyRow>> read_daily(warehouse::Connection& warehouse);

/// The symbols that raw has, sorted.
Result<std::vector<std::string>> read_symbols(warehouse::Connection& warehouse);

}  // namespace tapeline::serve
