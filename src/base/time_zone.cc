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
  return {clamped(info.begin), clamped(info.end), info.offset};
}

LocalTime TimeZone::to_local(Timestamp at) const {
  const Timestamp local = at + stretch_at(at).offset;
  const auto date = std::chrono::floor<std::chrono::days>(local);
  return {date, local - date};
}

Timestamp TimeZone::to_utc(Date date, std::chrono::microseconds time_of_day) const {
  const auto local =
      date::local_time<std::chrono::microseconds>(date.time_since_epoch() + time_of_day);
  const auto info = as_zone(zone_).get_info(local);
  return Timestamp(local.time_since_epoch()) - info.first.offset;
}

}  // namespace tapeline
