// RawColumns: decoded rows as the columns of raw_stocks.stock_prices.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "market/calendar.h"
#include "warehouse/warehouse.h"
#include "wire/message.h"

namespace tapeline::ingest {

/// The columns that make up a row's payload: two messages of one key that agree in all of them
/// say the same (design §4.2).
inline constexpr std::string_view kPayloadColumns[] = {"price",   "open",       "high",
                                                       "low",     "volume",     "previous_close",
                                                       "session", "bar_length", "data_source"};

/// Appends a column for each of kPayloadColumns, of the rows `which` of `rows`.
/// holds: each row has a session
void add_payload_columns(const std::vector<wire::QuoteView>& rows,
                         const std::vector<std::size_t>& which,
                         std::vector<warehouse::ColumnData>& columns);

/// The session of a message that names none: by the calendar, but Finnhub's /quote knows regular
/// prices only, the last stamped up to ten minutes after the close.
Session derived_session(const Calendar& calendar, const wire::QuoteView& row);

/// A nullable column of integers, filled row by row.
struct NullableColumn {
  std::vector<std::int64_t> values;
  std::vector<bool> valid;
  bool has_null = false;

  void add(std::optional<std::int64_t> value);
  void add(const std::optional<Price>& price);
  warehouse::ColumnData take();
};

}  // namespace tapeline::ingest
