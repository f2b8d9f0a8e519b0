#include "dag/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/check.h"

namespace tapeline::dag {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

// A leap day on a given day of the week (4#5 in February) comes within 40 years, 1900 and 2100
// being none.
constexpr days kSearchSpan{366 * 41};

struct Field {
  std::string_view name;
  int first;
  int last;
  std::array<std::string_view, 12> words;  // of first, first + 1, ...
};
constexpr Field kMinute{"minute", 0, 59, {}};
constexpr Field kHour{"hour", 0, 23, {}};
constexpr Field kDay{"day of month", 1, 31, {}};
constexpr Field kMonth{
    "month",
    1,
    12,
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}};
constexpr Field kWeekday{"day of week", 0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find_first_of(separators);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Error wrong(const Field& field, std::string_view part) {
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' is no {}: it goes from {} to {}", part, field.name, field.first,
                           field.last),
               "A schedule is 'minute hour day-of-month month day-of-week', as in '*/5 * * * *'."};
}

std::optional<int> whole(std::string_view text) {
  int number = 0;
  const auto [at, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || at != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

Result<int> number_of(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.words.size() && !field.words[i].empty(); ++i) {
    if (field.words[i] == text) return field.first + static_cast<int>(i);
  }
  const auto number = whole(text);
  if (number && field.last == 6 && *number == 7) return 0;
  if (!number || *number < field.first || *number > field.last) return wrong(field, text);
  return *number;
}

/// The values of one item of a list: *, 5, 1-5, each with /step.
template <std::size_t N>
Status add_item(const Field& field, std::string_view item, std::bitset<N>& values) {
  const auto parts = split(item, "/");
  int step = 1;
  if (parts.size() == 2) {
    const auto given = whole(parts[1]);
    if (!given || *given == 0) return wrong(field, item);
    step = *given;
  } else if (parts.size() > 2) {
    return wrong(field, item);
  }
  const int size = field.last - field.first + 1;
  step = std::min(step, size);
  int first = field.first;
  int last = field.last;
  if (parts[0] != "*" && parts[0] != "?") {
    const auto ends = split(parts[0], "-");
    if (ends.size() > 2) return wrong(field, item);
    first = TRY(number_of(field, ends[0]));
    if (ends.size() == 2) {
      last = TRY(number_of(field, ends[1]));
      if (ends[1] == "7" && field.last == 6 && first > 0) last = 7;  // 1-7: to Sunday
      if (last < first) last += size;                                // 22-2, fri-mon
    } else if (parts.size() == 1) {
      last = first;
    }
  }
  for (int value = first; value <= last; value += step) {
    values.set(static_cast<std::size_t>((value - field.first) % size + field.first));
  }
  return Ok{};
}

template <std::size_t N>
Status add_list(const Field& field, std::string_view list, std::bitset<N>& values) {
  for (const std::string_view item : split(list, ",")) {
    TRY_STATUS(add_item(field, item, values));
  }
  return Ok{};
}

std::string_view preset(std::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
  return text;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text, TimeZone zone) {
  std::string lower(preset(text));
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::vector<std::string_view> fields = split(lower, " \t");
  std::erase(fields, "");
  if (fields.size() != 5) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the schedule '{}' has {} fields, not five", text, fields.size()),
                 "Write 'minute hour day-of-month month day-of-week', or one of @once @hourly "
                 "@daily @weekly @monthly @yearly @continuous."};
  }
  Cron cron(zone);
  TRY_STATUS(add_list(kMinute, fields[0], cron.minutes_));
  TRY_STATUS(add_list(kHour, fields[1], cron.hours_));
  for (const std::string_view item : split(fields[2], ",")) {
    if (item == "l") {
      cron.last_day_ = true;
    } else {
      TRY_STATUS(add_item(kDay, item, cron.days_));
    }
  }
  TRY_STATUS(add_list(kMonth, fields[3], cron.months_));
  for (const std::string_view item : split(fields[4], ",")) {
    if (const auto parts = split(item, "#"); parts.size() == 2) {
      const int day = TRY(number_of(kWeekday, parts[0]));
      const auto nth = whole(parts[1]);
      if (!nth || *nth < 1 || *nth > 5) return wrong(kWeekday, item);
      cron.nth_weekdays_[day].set(static_cast<std::size_t>(*nth));
    } else if (item.size() > 1 && item.front() == 'l') {
      const int day = TRY(number_of(kWeekday, item.substr(1)));
      cron.last_weekdays_.set(static_cast<std::size_t>(day));
    } else {
      TRY_STATUS(add_item(kWeekday, item, cron.weekdays_));
    }
  }
  cron.any_day_ = cron.days_.count() == 31;
  cron.any_weekday_ = cron.weekdays_.all();
  const Timestamp leap_day_to_come = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
  if (!cron.next_local(leap_day_to_come)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the schedule '{}' names a date that never comes", text),
                 "Look at its day of month and month."};
  }
  return cron;
}

bool Cron::day_matches(std::chrono::year_month_day day) const {
  if (!months_.test(unsigned(day.month()))) return false;
  if (any_day_ && any_weekday_) return true;
  const auto number = static_cast<unsigned>(day.day());
  const auto last = static_cast<unsigned>((day.year() / day.month() / std::chrono::last).day());
  const unsigned weekday = std::chrono::weekday(day).c_encoding();
  const bool by_day = days_.test(number) || (last_day_ && number == last);
  const bool by_weekday = weekdays_.test(weekday) ||
                          (last_weekdays_.test(weekday) && number + 7 > last) ||
                          nth_weekdays_[weekday].test((number + 6) / 7);
  if (any_day_) return by_weekday;
  if (any_weekday_) return by_day;
  return by_day || by_weekday;
}

/// The first local time after `local` that matches, as clocks show it. A Timestamp stands for
/// that local time here.
std::optional<Timestamp> Cron::next_local(Timestamp local) const {
  const auto start = std::chrono::floor<minutes>(local) + minutes(1);
  const auto first_day = std::chrono::floor<days>(start);
  for (auto day = first_day; day < first_day + kSearchSpan; day += days(1)) {
    if (!day_matches(day)) continue;
    const auto from = day == first_day ? (start - day).count() : 0;
    for (auto at = from; at < 24 * 60; ++at) {
      if (!hours_.test(static_cast<std::size_t>(at / 60))) {
        at = (at / 60) * 60 + 59;  // to the next hour
      } else if (minutes_.test(static_cast<std::size_t>(at % 60))) {
        return Timestamp(day + minutes(at));
      }
    }
  }
  return std::nullopt;
}

Timestamp Cron::next_fire(Timestamp after) const {
  if (hours_.all()) {
    while (true) {
      const auto stretch = zone_.stretch_at(after);
      const auto local = next_local(after + stretch.offset);
      TL_ASSERT(local.has_value());  // parse has seen to it
      const Timestamp fire = *local - stretch.offset;
      if (fire < stretch.end) return fire;
      const auto next = zone_.stretch_at(stretch.end);
      // The new stretch's own first minute may match.
      const auto there = next_local(stretch.end + next.offset - std::chrono::microseconds(1));
      TL_ASSERT(there.has_value());
      if (*there - next.offset < next.end) return *there - next.offset;
      after = next.end - std::chrono::microseconds(1);
    }
  }
  const auto local = next_local(after + zone_.stretch_at(after).offset);
  TL_ASSERT(local.has_value());
  const auto date = std::chrono::floor<days>(*local);
  const Timestamp fire = zone_.to_utc(date, *local - date);
  // Of a local time that comes twice, the second: past the change, if it shows the same there.
  const auto stretch = zone_.stretch_at(fire);
  const Timestamp second = *local - zone_.stretch_at(stretch.end).offset;
  return second >= stretch.end && second > fire ? second : fire;
}

Timestamp Cron::last_fire(Timestamp at) const {
  for (days back{0};; back = back * 8 + days(1)) {
    const Timestamp from = at - back - hours(1);
    Timestamp fire = next_fire(from);
    if (fire > at) continue;
    for (Timestamp next = next_fire(fire); next <= at; next = next_fire(next)) fire = next;
    return fire;
  }
}

}  // namespace tapeline::dag
