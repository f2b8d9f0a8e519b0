#include "feeds/bar_stamp.h"

namespace tapeline::feeds {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

microseconds place_in_millisecond(BarLength length) {
  switch (length) {
    case BarLength::d1:
      return microseconds(999);
    case BarLength::h1:
      return microseconds(998);
    case BarLength::m30:
      return microseconds(997);
    case BarLength::m15:
      return microseconds(996);
    case BarLength::m5:
      return microseconds(995);
    case BarLength::m1:
      return microseconds(994);
    case BarLength::h4:
      return microseconds(kBarMicrosecondFirst);
  }
  return microseconds(999);
}

Timestamp end_of(const Calendar& calendar, Timestamp start, BarLength length) {
  if (length != BarLength::d1)
    return start + std::chrono::duration_cast<microseconds>(duration_of(length));
  const auto session = calendar.hours(Calendar::new_york_date(start));
  return session ? session->close : start + std::chrono::hours(23);
}

}  // namespace

Timestamp bar_stamp(const Calendar& calendar, Timestamp start, BarLength length) {
  return std::chrono::floor<milliseconds>(end_of(calendar, start, length)) - milliseconds(1) +
         place_in_millisecond(length);
}

}  // namespace tapeline::feeds
