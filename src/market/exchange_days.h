// The New York Stock Exchange's rules: which dates have a session, from when to when.
//
// The schedule that the exchange announced, with its special closures. A halt or a late
// opening that an event of the day forced does not move the hours.

#pragma once

#include <chrono>

#include "market/calendar.h"

namespace tapeline {

/// A date as the exchange's own clock sees it.
///
/// units: since the date's midnight in New York; meaningless without a session
struct ExchangeDay {
  DayKind kind = DayKind::holiday;
  std::chrono::minutes open{0};
  std::chrono::minutes close{0};
};

/// Exact from 1990 to 2040, as far as announced; outside, the nearest years' rules.
ExchangeDay xnys_day(Date date);

}  // namespace tapeline
