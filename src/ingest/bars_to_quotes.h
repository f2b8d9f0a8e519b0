// Bars to quotes: a bar is one quote with its length, stamped in the bar's last millisecond at a
// microsecond that only its length uses (feeds/bar_stamp.h).

#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "ingest/day_so_far.h"
#include "market/calendar.h"
#include "market/quote.h"

namespace tapeline::ingest {

/// Makes quotes of bars. Price and volume are the bar's; open, high and low are the day's so far
/// over bars of the regular session. A bar belongs to the session where open <= stamp < close. A
/// day's bar is the whole regular session; on a date without one it is `closed`.
///
/// holds:    the day so far of each symbol and date that had a bar shorter than a day
/// threads:  one at a time
/// lifetime: the calendar must outlive it
class BarsToQuotes {
 public:
  struct Options {
    std::string data_source = "replay";
    bool history = false;
  };

  BarsToQuotes(const Calendar& calendar, Options options)
      : calendar_(calendar), options_(std::move(options)) {}

  Quote add(const Bar& bar);

  /// How many bars fell on a date without a session, and so have no daily row.
  std::int64_t on_closed_dates() const { return on_closed_dates_; }

 private:
  const Calendar& calendar_;
  const Options options_;
  std::unordered_map<Symbol, std::map<Date, DaySoFar>> days_;
  std::int64_t on_closed_dates_ = 0;
};

}  // namespace tapeline::ingest
