#include "ingest/bars_to_quotes.h"

#include "feeds/bar_stamp.h"

namespace tapeline::ingest {

Quote BarsToQuotes::add(const Bar& bar) {
  Quote quote;
  quote.symbol = bar.symbol;
  quote.price = bar.close;
  quote.volume = bar.volume;
  quote.bar_length = bar.length;
  quote.event_time = feeds::bar_stamp(calendar_, bar.start, bar.length);
  quote.session = calendar_.session_at(quote.event_time);
  quote.data_source = options_.data_source;
  quote.history = options_.history;

  const Date date = Calendar::new_york_date(quote.event_time);
  if (!calendar_.hours(date)) ++on_closed_dates_;
  DaySoFar whole_day;
  DaySoFar& day = bar.length == BarLength::d1 ? whole_day : days_[bar.symbol][date];
  if (quote.session == Session::regular) day.add(bar.open, bar.high, bar.low);
  day.write_to(quote);
  return quote;
}

}  // namespace tapeline::ingest
