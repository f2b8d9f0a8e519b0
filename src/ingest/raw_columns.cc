#include "ingest/raw_columns.h"

namespace tapeline::ingest {

using warehouse::ColumnData;
using wire::QuoteView;

void NullableColumn::add(std::optional<std::int64_t> value) {
  values.push_back(value.value_or(0));
  valid.push_back(value.has_value());
  has_null = has_null || !value;
}

void NullableColumn::add(const std::optional<Price>& price) {
  add(price ? std::optional(price->units()) : std::nullopt);
}

ColumnData NullableColumn::take() {
  return {std::move(values), has_null ? std::move(valid) : std::vector<bool>()};
}

void add_payload_columns(const std::vector<QuoteView>& rows, const std::vector<std::size_t>& which,
                         std::vector<ColumnData>& columns) {
  std::vector<std::int64_t> price;
  NullableColumn open, high, low, volume, previous_close, bar_length;
  std::vector<std::int64_t> session;
  std::vector<std::string_view> source;
  for (const std::size_t i : which) {
    const QuoteView& row = rows[i];
    price.push_back(row.price.units());
    open.add(row.open);
    high.add(row.high);
    low.add(row.low);
    volume.add(row.volume);
    previous_close.add(row.previous_close);
    session.push_back(static_cast<std::int64_t>(*row.session));
    bar_length.add(row.bar_length ? std::optional(static_cast<std::int64_t>(*row.bar_length))
                                  : std::nullopt);
    source.push_back(row.data_source);
  }
  columns.push_back({std::move(price), {}});
  columns.push_back(open.take());
  columns.push_back(high.take());
  columns.push_back(low.take());
  columns.push_back(volume.take());
  columns.push_back(previous_close.take());
  columns.push_back({std::move(session), {}});
  columns.push_back(bar_length.take());
  columns.push_back({std::move(source), {}});
}

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

}  // namespace tapeline::ingest
