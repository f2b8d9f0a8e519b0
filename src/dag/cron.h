// Cron: when a schedule of five fields fires, in a time zone, as Airflow 3.x has it.
//
// minute hour day-of-month month day-of-week. Lists, ranges (also wrapped: 22-2, fri-mon),
// steps, names, 7 for Sunday, ? for *, L in day-of-month (the last day), L5 (the month's last
// Friday) and 5#3 (its third) in day-of-week. Where both days are given, either will do.
//
// At a clock change: where the hour is every hour, a fire is each instant whose local time
// matches, so time goes on evenly. Otherwise a local time that is skipped fires as long after
// the jump (02:30 at 03:30), and one that comes twice fires once, the second time.

#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_text.h"
#include "base/time_zone.h"

namespace tapeline::dag {

class Cron {
 public:
  /// Reads five fields or one of @hourly @daily @weekly @monthly @yearly (@annually, @midnight).
  /// errors: invalid_argument: a field that cannot be read or is out of range, more or fewer
  ///         than five, or a date that never comes (30 February)
  static Result<Cron> parse(std::string_view text, TimeZone zone);

  /// The first fire after `after`.
  Timestamp next_fire(Timestamp after) const;

  /// The newest fire at or before `at`.
  Timestamp last_fire(Timestamp at) const;

 private:
  explicit Cron(TimeZone zone) : zone_(zone) {}
  bool day_matches(std::chrono::year_month_day day) const;
  std::optional<Timestamp> next_local(Timestamp local) const;

  TimeZone zone_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;         // 0 is Sunday
  std::bitset<7> last_weekdays_;    // L5
  std::bitset<6> nth_weekdays_[7];  // 5#3: nth_weekdays_[5][3]
  bool last_day_ = false;           // L
  bool any_day_ = false;            // the field is *
  bool any_weekday_ = false;
};

}  // namespace tapeline::dag
