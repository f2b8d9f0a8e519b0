// RawColumns: decoded messages as the columns of raw_stocks.stock_prices, a slice at a time.
//
// The buffers are written in place and used again, so that a load of any length takes the
// memory of one slice.

#pragma once

#include <cstdint>
#include <string_view>

#include "market/calendar.h"
#include "msglog/message_log.h"
#include "warehouse/warehouse.h"
#include "wire/message.h"

namespace tapeline::ingest {

/// The columns that make up a row's payload: two messages of one key that agree in all of them
/// say the same (design §4.2).
inline constexpr std::string_view kPayloadColumns[] = {"price",   "open",       "high",
                                                       "low",     "volume",     "previous_close",
                                                       "session", "bar_length", "data_source"};

/// The session of a message that names none: by the calendar, but Finnhub's /quote knows regular
/// prices only, the last stamped up to ten minutes after the close.
Session derived_session(const Calendar& calendar, const wire::QuoteView& row);

/// lifetime: what its rows look into must live until they are appended
class RawColumns {
 public:
  explicit RawColumns(std::size_t rows_max);

  std::size_t rows() const { return batch_.rows; }
  bool is_full() const { return batch_.rows == rows_max_; }

  /// holds: it is not full, and `row` has a session
  void add(const wire::QuoteView& row, Timestamp appended_at, msglog::Offset offset,
           std::int64_t load_id);

  /// Appends the rows to a table that has the columns of raw_stocks.stock_prices, and is empty
  /// again. Nothing is done where there are none.
  Status append_to(warehouse::Connection& connection, std::string_view schema,
                   std::string_view table);

 private:
  const std::size_t rows_max_;
  warehouse::ColumnBatch batch_;
};

}  // namespace tapeline::ingest
