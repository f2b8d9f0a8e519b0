// Instants and dates as text, and back. RFC 3339, UTC, up to microseconds.

#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline {

/// A civil date, in whatever zone the context says.
using Date = std::chrono::sys_days;

/// "2025-01-04T14:30:00Z", with a fraction of three or six digits where there is one.
std::string format_rfc3339(Timestamp at);

/// "2025-01-04T14:30:00.000000Z": always six digits, so that texts sort as times do.
std::string format_rfc3339_micros(Timestamp at);

/// "2025-01-04".
std::string format_date(Date date);

struct ParsedTime {
  Timestamp at;
  bool had_zone = true;      // false: no zone was given, UTC was taken
  bool was_rounded = false;  // more than six digits were given; the rest was cut
};

/// Reads an RFC 3339 instant; `T` may be a blank, the zone may be missing.
/// errors: invalid_argument for anything else
Result<ParsedTime> parse_rfc3339(std::string_view text);

/// Reads "2025-01-04".
/// errors: invalid_argument
Result<Date> parse_date(std::string_view text);

/// Reads a length of time: "250ms", "5s", "2m", "1h", "7d".
/// errors: invalid_argument
Result<Duration> parse_duration(std::string_view text);

/// A length of time for people: "0.4 s", "12 s", "3 min", "2 h", "5 d".
std::string format_duration(Duration length);

}  // namespace tapeline
