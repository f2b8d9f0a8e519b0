// Time zones by their IANA name, read from the machine's own tables.

#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_text.h"

namespace tapeline {

/// What clocks in a zone show at an instant.
struct LocalTime {
  Date date;
  std::chrono::microseconds time_of_day{0};  // since that date's midnight, as a wall clock shows it
};

/// A zone, for ever: copy it freely.
///
/// threads: any
class TimeZone {
 public:
  /// errors: not_found for a name that the tables do not have
  static Result<TimeZone> find(std::string_view name);

  /// A stretch of time over which the offset from UTC does not change.
  struct Stretch {
    Timestamp begin;
    Timestamp end;
    std::chrono::seconds offset{0};  // local time less UTC
  };

  /// The stretch that holds `at`. Callers on a hot path keep it until `at` leaves it.
  Stretch stretch_at(Timestamp at) const;

  LocalTime to_local(Timestamp at) const;

  /// The instant at which the zone's clocks show this. Of two (clocks go back) the
  /// first; of none (clocks go forward) the one as far after the jump.
  Timestamp to_utc(Date date, std::chrono::microseconds time_of_day) const;

 private:
  explicit TimeZone(const void* zone) : zone_(zone) {}
  const void* zone_;  // the library's own, which lives as long as the process
};

}  // namespace tapeline
