#include "ingest/raw_columns.h"

#include "base/check.h"

namespace tapeline::ingest {
namespace {

using wire::QuoteView;

// In the table's order.
enum Column : std::size_t {
  kSymbol,
  kPrice,
  kVolume,
  kTimestamp,
  kHigh,
  kLow,
  kOpen,
  kDataSource,
  kPreviousClose,
  kSession,
  kBarLength,
  kPriceDate,
  kPriceHour,
  kReceivedAt,
  kAppendedAt,
  kTopicOffset,
  kLoadId,
  kColumns
};

std::int64_t number(std::int64_t value) { return value; }
std::int64_t number(Price price) { return price.units(); }
std::int64_t number(Timestamp at) { return at.time_since_epoch().count(); }
std::int64_t number(BarLength length) { return static_cast<std::int64_t>(length); }

}  // namespace

Session derived_session(const Calendar& calendar, const QuoteView& row) {
  if (row.data_source == "finnhub") {
    const auto hours = calendar.hours(Calendar::new_york_date(row.event_time));
    if (hours && row.event_time >= hours->open &&
        row.event_time <= hours->close + std::chrono::minutes(10)) {
      return Session::regular;
    }
  }
  return calendar.session_at(row.event_time);
}

RawColumns::RawColumns(std::size_t rows_max) : rows_max_(rows_max) {
  batch_.columns.resize(kColumns);
  for (std::size_t i = 0; i < kColumns; ++i) {
    auto& column = batch_.columns[i];
    if (i == kSymbol || i == kDataSource) {
      column.values.emplace<std::vector<std::string_view>>(rows_max);
    } else {
      column.values.emplace<std::vector<std::int64_t>>(rows_max);
    }
  }
  for (const std::size_t i :
       {kVolume, kHigh, kLow, kOpen, kPreviousClose, kBarLength, kReceivedAt}) {
    batch_.columns[i].valid.resize(rows_max);
  }
}

void RawColumns::add(const QuoteView& row, Timestamp appended_at, msglog::Offset offset,
                     std::int64_t load_id) {
  TL_ASSERT(!is_full());
  const std::size_t at = batch_.rows++;
  const auto put = [&](Column column, std::int64_t value) {
    (*std::get_if<std::vector<std::int64_t>>(&batch_.columns[column].values))[at] = value;
  };
  const auto put_text = [&](Column column, std::string_view text) {
    (*std::get_if<std::vector<std::string_view>>(&batch_.columns[column].values))[at] = text;
  };
  const auto put_optional = [&](Column column, const auto& value) {
    put(column, value ? number(*value) : 0);
    batch_.columns[column].valid[at] = value.has_value();
  };
  put_text(kSymbol, row.symbol);
  put(kPrice, row.price.units());
  put_optional(kVolume, row.volume);
  put(kTimestamp, number(row.event_time));
  put_optional(kHigh, row.high);
  put_optional(kLow, row.low);
  put_optional(kOpen, row.open);
  put_text(kDataSource, row.data_source);
  put_optional(kPreviousClose, row.previous_close);
  put(kSession, static_cast<std::int64_t>(*row.session));
  put_optional(kBarLength, row.bar_length);
  put(kPriceDate, Calendar::new_york_date(row.event_time).time_since_epoch().count());
  put(kPriceHour, Calendar::new_york_hour(row.event_time));
  put_optional(kReceivedAt, row.received_at);
  put(kAppendedAt, number(appended_at));
  put(kTopicOffset, offset);
  put(kLoadId, load_id);
}

Status RawColumns::append_to(warehouse::Connection& connection, std::string_view schema,
                             std::string_view table) {
  if (batch_.rows == 0) return Ok{};
  TRY_STATUS(connection.append(schema, table, batch_));
  batch_.rows = 0;
  return Ok{};
}

}  // namespace tapeline::ingest
