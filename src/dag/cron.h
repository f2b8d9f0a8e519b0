// Cron: when a schedule fires, in a time zone, exactly as Airflow 3.x has it (CronTriggerTimetable
// over croniter 7). tests/compat/cron_equals_airflow.py compares the two.
//
// minute hour day-of-month month day-of-week [second [year]]. Lists, ranges, steps, names, 7 for
// Sunday, ? for *; day of month also L (the last) and 15W (the weekday nearest to the 15th), day
// of week also L5 (the month's last Friday) and 5#3 (its third). Where both days are given,
// either will do. docs/how-to/schedule.md has the corners: what a range that wraps, or that
// begins where it ends, means.
//
// At a clock change: where the hour is *, fires are as far apart as the times on the wall would
// be, so time goes on evenly. Otherwise a local time that is skipped fires as long after the jump
// (02:30 at 03:30), and one that comes twice fires once, the second time. What comes next is
// looked for behind the time that the wall shows: nothing fires twice, and of several times that
// are skipped only the first fires.

#pragma once

#include <bitset>
#include <map>
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
  /// Reads five to seven fields or one of @hourly @daily @midnight @weekly @monthly @quarterly
  /// @yearly @annually.
  /// errors: invalid_argument: a field that cannot be read or is out of range, another number of
  ///         fields, or a date that never comes (30 February); unsupported: H and R, which
  ///         croniter draws by a hash or at random
  static Result<Cron> parse(std::string_view text, TimeZone zone);

  /// The first fire after `after`; none in the 50 years that Airflow looks ahead.
  std::optional<Timestamp> next_fire(Timestamp after) const;

  /// The newest fire at or before `at`; none in the hundred years before.
  std::optional<Timestamp> last_fire(Timestamp at) const;

  /// The values of one field.
  struct Field {
    std::bitset<130> values;  // counted from the field's least
    bool any = false;         // a * is among them
    bool all = false;         // it is * and nothing else, however that is written
    bool last_day = false;    // L in day of month
  };

 private:
  explicit Cron(TimeZone zone) : zone_(zone) {}
  bool day_matches(std::chrono::year_month_day day, bool by_day, bool by_weekday) const;
  std::optional<std::chrono::seconds> time_from(std::chrono::seconds earliest) const;
  std::optional<Timestamp> search(Timestamp from, bool by_day, bool by_weekday) const;
  std::optional<Timestamp> next_local(Timestamp local) const;

  TimeZone zone_;
  Field minutes_, hours_, days_, months_, weekdays_, seconds_, years_;  // Sunday is 0
  std::map<unsigned, std::bitset<7>> nth_;  // of a weekday: 1 to 5; 0 for its last
  unsigned near_ = 0;                       // 15W: the weekday nearest to this day; 0 for none
  std::chrono::seconds grain_{60};          // 1 where seconds are given
};

}  // namespace tapeline::dag
