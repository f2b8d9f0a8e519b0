#include "app/tasks/touched.h"

#include <fmt/format.h>

#include <algorithm>

namespace tapeline::app {
namespace {

/// The values of a column of the raw rows that loads after this one wrote, each once.
template <typename Value>
Result<std::vector<Value>> written_since(warehouse::Connection& connection, std::string_view column,
                                         std::int64_t load_id) {
  const auto rows = TRY(connection.query(
      fmt::format("select distinct {} from raw_stocks.stock_prices where load_id > {} order by 1",
                  column, load_id)));
  std::vector<Value> values;
  for (const auto& row : rows.rows) values.push_back(std::get<Value>(row[0]));
  return values;
}

}  // namespace

Result<std::vector<Date>> days_since(warehouse::Connection& connection, std::int64_t load_id) {
  return written_since<Date>(connection, "price_date", load_id);
}

Result<Touched> touched_since(warehouse::Connection& connection, std::int64_t load_id) {
  return Touched{.days = TRY(days_since(connection, load_id)),
                 .symbols = TRY(written_since<std::string>(connection, "symbol", load_id))};
}

Result<std::int64_t> before_loads_of(warehouse::Connection& connection, const std::string& run_id,
                                     std::int64_t fallback) {
  const auto rows = TRY(connection.query(fmt::format(
      "select min(load_id) from raw_stocks.loads where run_id = {}", warehouse::sql_text(run_id))));
  const auto* first = std::get_if<std::int64_t>(&rows.rows.at(0)[0]);
  return first ? std::min(*first - 1, fallback) : fallback;
}

}  // namespace tapeline::app
