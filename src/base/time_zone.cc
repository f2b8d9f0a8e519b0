// The only file that includes the time-zone library.

#include "base/time_zone.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tapeline {
namespace {

const date::time_zone& as_zone(const void* zone) {
  return *static_cast<const date::time_zone*>(zone);
}

/// The library's first and last stretch reach past what microseconds can hold.
Timestamp clamped(date::sys_seconds at) {
  constexpr std::chrono::seconds kReach{200'000'000'000};
  return Timestamp(std::clamp(at.time_since_epoch(), -kReach, kReach));
}

// The machine's tables list each change up to this year. Where they end within it, the changes of
// the years before go on for ever.
constexpr int kTablesEnd = 2037;

int year_of(Timestamp at) {
  return static_cast<int>(
      std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(at)).year());
}

/// A month of the tables' last eleven years that begins on the same day of the week, which is all
/// that a rule such as "the last Sunday" looks at. Eleven years have every day for every month;
/// February's length may differ, and no rule minds that.
std::chrono::sys_days like(std::chrono::year_month month) {
  const std::chrono::weekday first{std::chrono::sys_days(month / 1)};
  std::chrono::year year{kTablesEnd};
  while (std::chrono::weekday(std::chrono::sys_days(year / month.month() / 1)) != first) --year;
  return year / month.month() / 1;
}

/// The stretch of `at`, which is later than the tables, whose last stretch is `last`.
TimeZone::Stretch repeated(const date::time_zone& zone, TimeZone::Stretch last, Timestamp at) {
  constexpr Timestamp kNever = Timestamp(std::chrono::seconds(200'000'000'000));
  TimeZone::Stretch found{last.begin, kNever, last.offset};
  const auto now = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(at));
  // Whoever changes clocks does so at least once in thirteen months.
  for (std::chrono::months ahead{-13}; ahead < std::chrono::months(14); ++ahead) {
    const auto month = now.year() / now.month() + ahead;
    const std::chrono::sys_days start = month / 1;
    const auto shift = start - like(month);
    for (Timestamp past = start;
         past < std::chrono::sys_days((month + std::chrono::months(1)) / 1);) {
      const auto info = zone.get_info(past - shift);
      const Timestamp change = clamped(info.end) + shift;
      if (change >= std::chrono::sys_days((month + std::chrono::months(1)) / 1)) break;
      past = change;
      if (change <= last.begin) continue;
      if (change > at) {
        found.end = change;
        return found;
      }
      found = {change, kNever, zone.get_info(info.end).offset};
    }
  }
  return found;
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  try {
    return TimeZone(date::locate_zone(std::string(name)));
  } catch (const std::exception&) {
    return Error{ErrorCode::not_found, fmt::format("no time zone is called '{}'", name),
                 "Names are like America/New_York; the package tzdata holds them."};
  }
}

TimeZone::Stretch TimeZone::stretch_at(Timestamp at) const {
  const auto info = as_zone(zone_).get_info(at);
  const Stretch stretch{clamped(info.begin), clamped(info.end), info.offset};
  const bool is_last = info.end > date::sys_days{date::year{kTablesEnd + 1} / 1 / 1};
  if (!is_last || year_of(stretch.begin) != kTablesEnd) return stretch;
  return repeated(as_zone(zone_), stretch, at);
}

LocalTime TimeZone::to_local(Timestamp at) const {
  const Timestamp local = at + stretch_at(at).offset;
  const auto date = std::chrono::floor<std::chrono::days>(local);
  return {date, local - date};
}

Timestamp TimeZone::to_utc(Date date, std::chrono::microseconds time_of_day) const {
  const Timestamp local = date + time_of_day;
  Stretch stretch = stretch_at(local - std::chrono::hours(26));
  while (local - stretch.offset >= stretch.end) {
    const Stretch next = stretch_at(stretch.end);
    if (local - next.offset < stretch.end) break;  // no clock shows it
    stretch = next;
  }
  return local - stretch.offset;
}

}  // namespace tapeline
