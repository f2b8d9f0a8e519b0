// When a bar's quote is stamped: in the bar's last millisecond, at a microsecond that only bars
// of its length use, so that it cannot meet a trade or a bar of another length.
//
//   1d .999999   1h .999998   30m .999997   15m .999996   5m .999995   1m .999994   4h .999993

#pragma once

#include "market/calendar.h"
#include "market/quote.h"

namespace tapeline::feeds {

/// The first microsecond of a millisecond that bars use; trades stay below.
constexpr int kBarMicrosecondFirst = 993;

/// The instant that a bar's quote carries. A day's bar ends with its session; on a date without
/// one 23 hours after its start, which is the same New York date whatever the clocks do.
Timestamp bar_stamp(const Calendar& calendar, Timestamp start, BarLength length);

}  // namespace tapeline::feeds
