#include "ingest/gaps.h"

#include <fmt/format.h>

#include "base/time_text.h"

namespace tapeline::ingest {

Status record_gap(warehouse::Connection& connection, const feeds::Gap& gap) {
  const std::string feed = warehouse::sql_text(gap.feed);
  const std::string symbol =
      warehouse::sql_text(gap.symbol ? gap.symbol->text() : std::string_view("*"));
  const auto instant = [](Timestamp at) {
    return fmt::format("timestamp '{}'", format_rfc3339_micros(at));
  };
  const std::string healed = gap.healed_at ? instant(*gap.healed_at) : "null";
  const auto grown = TRY(connection.query(
      fmt::format("update raw_stocks.gaps set gap_end = {}, healed_at = {} where feed = {} and "
                  "symbol = {} and gap_start = {} and (healed_at is null or healed_at = {})",
                  instant(gap.end), healed, feed, symbol, instant(gap.begin), healed)));
  if (grown.changed > 0) return Ok{};
  return connection.execute(
      fmt::format("insert into raw_stocks.gaps values ({}, {}, {}, {}, {}, {})", feed, symbol,
                  instant(gap.begin), instant(gap.end), warehouse::sql_text(gap.cause), healed));
}

}  // namespace tapeline::ingest
