#include "dag/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace tapeline::dag {
namespace {

using std::chrono::days;
using std::chrono::seconds;

constexpr int kYearsAhead = 50;  // how far croniter looks

struct Kind {
  std::string_view name;
  int first;
  int last;
  std::array<std::string_view, 12> words;  // of first, first + 1, ...
};
constexpr Kind kMinute{"minute", 0, 59, {}};
constexpr Kind kHour{"hour", 0, 23, {}};
constexpr Kind kDay{"day of month", 1, 31, {}};
constexpr Kind kMonth{
    "month",
    1,
    12,
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}};
constexpr Kind kWeekday{"day of week", 0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};
constexpr Kind kSecond{"second", 0, 59, {}};
constexpr Kind kYear{"year", 1970, 2099, {}};

constexpr std::string_view kHint =
    "A schedule is 'minute hour day-of-month month day-of-week', as in '*/5 * * * *'.";

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find_first_of(separators);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Error wrong(const Kind& kind, std::string_view part) {
  return Error{
      ErrorCode::invalid_argument,
      fmt::format("'{}' is no {}: it goes from {} to {}", part, kind.name, kind.first, kind.last),
      std::string(kHint)};
}

/// Digits as a number, however many there are: what is too much for a field is too much.
std::optional<int> whole(std::string_view text) {
  constexpr int kMost = 100'000'000;
  if (text.empty()) return std::nullopt;
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = std::min(kMost, number * 10 + (c - '0'));
  }
  return number;
}

Result<int> number_of(const Kind& kind, std::string_view text) {
  for (std::size_t i = 0; i < kind.words.size() && !kind.words[i].empty(); ++i) {
    if (kind.words[i] == text) return kind.first + static_cast<int>(i);
  }
  const auto number = whole(text);
  if (!number || (*number > kind.last && !(&kind == &kWeekday && *number == 7))) {
    return wrong(kind, text);
  }
  return &kind == &kWeekday && *number == 7 ? 0 : *number;
}

/// The values from one to another by steps. A range that ends before it begins goes on at the
/// field's least; where in that second part the step lands is croniter's own rule.
std::vector<int> range(const Kind& kind, int low, int high, int step) {
  std::vector<int> values;
  const auto add = [&](int from, int to) {
    for (int value = from; value <= to; value += step) values.push_back(value);
  };
  add(low, low <= high ? high : kind.last);
  if (low <= high) return values;
  const int size = kind.last - kind.first + 1;
  const int place = values.back() - kind.first;
  const int left = kind.last - values.back();
  const bool skips = place + step > size && left < step;
  add(kind.first + (skips ? step - left : 0), high);
  return values;
}

/// The values of one item of a list: *, 5, 1-5, each with /step.
Result<std::vector<int>> values_of(const Kind& kind, std::string_view item) {
  const auto parts = split(item, "/");
  const auto ends = split(parts[0], "-");
  if (parts.size() > 2 || ends.size() > 2) return wrong(kind, item);
  const int step = parts.size() == 2 ? whole(parts[1]).value_or(0) : 1;
  if (step == 0) return wrong(kind, item);
  int low = kind.first;
  int high = kind.last;
  if (parts[0] != "*") {
    low = TRY(number_of(kind, ends[0]));
    if (ends.size() == 2) {
      const bool to_last_day = &kind == &kDay && ends[1] == "l";
      high = to_last_day ? kind.last : TRY(number_of(kind, ends[1]));
      // 5-5 is the whole field, as croniter has it.
      if (low == high) {
        low = kind.first;
        high = kind.last;
      }
    } else if (parts.size() == 1) {
      high = low;
    }
  }
  if (low < kind.first) return wrong(kind, item);
  return range(kind, low, high, step);
}

/// `others` is the other field of days, as written: as long as it has no *, a list of every
/// value is not the same as *, because either of two fields that are no * will do.
Result<Cron::Field> field_of(const Kind& kind, std::string_view list,
                             std::string_view others = "*") {
  Cron::Field field;
  for (const std::string_view item : split(list, ",")) {
    if (item == "*") {
      field.any = true;
    } else if (item == "l" && &kind == &kDay) {
      field.last_day = true;
    } else {
      for (const int value : TRY(values_of(kind, item))) {
        field.values.set(static_cast<std::size_t>(value - kind.first));
      }
    }
  }
  const auto size =
      static_cast<int>(field.values.count()) + (field.any ? 1 : 0) + (field.last_day ? 1 : 0);
  const bool every =
      size == kind.last - kind.first + 1 && others.find('*') != std::string_view::npos;
  field.all = every || (field.any && size == 1);
  field.any = field.any || every;
  return field;
}

std::string_view preset(std::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@quarterly") return "0 0 1 */3 *";
  if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
  return text;
}

/// H and R, alone or as H(1-5), R/10.
bool is_drawn(std::string_view field) {
  return (field.front() == 'h' || field.front() == 'r') &&
         (field.size() == 1 || field[1] == '(' || field[1] == '/');
}

bool holds(const Cron::Field& field, int index) {
  return field.any || field.values.test(static_cast<std::size_t>(index));
}

/// The weekday nearest to a day, in the same month.
unsigned nearest_weekday(std::chrono::year_month month, unsigned day) {
  const auto last = static_cast<unsigned>((month / std::chrono::last).day());
  day = std::min(day, last);
  const auto weekday = std::chrono::weekday(std::chrono::sys_days(month / std::chrono::day(day)));
  if (weekday == std::chrono::Saturday) return day > 1 ? day - 1 : day + 2;
  if (weekday == std::chrono::Sunday) return day < last ? day + 1 : day - 2;
  return day;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text, TimeZone zone) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool known = lower != "@quarterly" || text == lower;  // Airflow's own; it minds case
  std::vector<std::string_view> fields = split(known ? preset(lower) : lower, " \t\n\r\f\v");
  std::erase(fields, "");
  if (fields.size() < 5 || fields.size() > 7) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the schedule '{}' has {} fields, not five", text, fields.size()),
                 "Write 'minute hour day-of-month month day-of-week', or one of @once @hourly "
                 "@daily @weekly @monthly @quarterly @yearly @continuous."};
  }
  if (std::ranges::any_of(fields, is_drawn)) {
    return Error{ErrorCode::unsupported,
                 fmt::format("the schedule '{}' has a value that is drawn (H or R)", text),
                 "Write the value that it should be."};
  }
  const auto star = [](std::string_view field) { return field == "?" ? "*" : field; };
  const std::string_view day = star(fields[2]);
  const std::string_view weekday = star(fields[4]);

  Cron cron(zone);
  cron.minutes_ = TRY(field_of(kMinute, fields[0]));
  cron.hours_ = TRY(field_of(kHour, fields[1]));
  if (const auto at = day.find('w'); at != std::string_view::npos) {
    const auto near = whole(at == 0 ? day.substr(1) : day.substr(0, day.size() - 1));
    if ((at != 0 && at + 1 != day.size()) || !near || *near < 1 || *near > kDay.last) {
      return wrong(kDay, day);
    }
    cron.near_ = static_cast<unsigned>(*near);
    cron.days_.values.set(static_cast<std::size_t>(*near - 1));
  } else {
    cron.days_ = TRY(field_of(kDay, day, fields[4]));
  }
  cron.months_ = TRY(field_of(kMonth, fields[3]));
  std::string plain;  // the list of weekdays without #3 and L
  for (const std::string_view item : split(weekday, ",")) {
    const auto hash = item.find('#');
    const bool last = item.size() > 1 && item[0] == 'l';
    if (!last && hash == std::string_view::npos) {
      plain += fmt::format("{}{}", plain.empty() ? "" : ",", item);
      continue;
    }
    const auto which = last ? 0 : whole(item.substr(hash + 1)).value_or(0);
    const std::string_view of = last ? item.substr(1) : item.substr(0, hash);
    const bool numbers = of.find_first_of("-/") != std::string_view::npos &&
                         of.find_first_of("0123456789*/") != std::string_view::npos;
    if ((last && !whole(of)) || (!last && (which < 1 || which > 5)) || numbers || of == "*") {
      return wrong(kWeekday, item);
    }
    for (const int value : TRY(values_of(kWeekday, of))) {
      cron.nth_[static_cast<unsigned>(value)].set(static_cast<std::size_t>(which));
      plain += fmt::format("{}{}", plain.empty() ? "" : ",", value);
    }
  }
  cron.weekdays_ = TRY(field_of(kWeekday, plain, fields[2]));
  const auto size = cron.weekdays_.values.count() + (cron.weekdays_.any ? 1 : 0);
  if (!cron.nth_.empty() && !cron.weekdays_.all && size != 7) {
    for (int value = 0; value < 7; ++value) {
      if (!cron.weekdays_.values.test(static_cast<std::size_t>(value))) continue;
      if (cron.nth_.contains(static_cast<unsigned>(value))) continue;
      return Error{ErrorCode::invalid_argument,
                   fmt::format("'{}' mixes plain days of the week with # or L", weekday),
                   "Write all of them one way, or two DAGs."};
    }
  }
  cron.years_.any = true;
  if (fields.size() > 5) {
    cron.seconds_ = TRY(field_of(kSecond, fields[5]));
    cron.grain_ = seconds(1);
  } else {
    cron.seconds_.values.set(0);
  }
  const Timestamp a_leap_year = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
  if (!cron.next_local(a_leap_year)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the schedule '{}' names a date that never comes", text),
                 "Look at its days and its month; with # or W, both days must fit."};
  }
  if (fields.size() > 6) cron.years_ = TRY(field_of(kYear, fields[6]));
  return cron;
}

/// # and W stand beside the two fields of days, and hold whichever of the two is asked for.
bool Cron::day_matches(std::chrono::year_month_day day, bool by_day, bool by_weekday) const {
  const auto number = static_cast<unsigned>(day.day());
  const auto last = static_cast<unsigned>((day.year() / day.month() / std::chrono::last).day());
  const unsigned weekday = std::chrono::weekday(day).c_encoding();
  if (near_ != 0) {
    if (number != nearest_weekday(day.year() / day.month(), near_)) return false;
  } else if (by_day && !holds(days_, static_cast<int>(number) - 1) &&
             !(days_.last_day && number == last)) {
    return false;
  }
  if (nth_.empty()) return !by_weekday || holds(weekdays_, static_cast<int>(weekday));
  const auto nth = nth_.find(weekday);
  return nth != nth_.end() &&
         (nth->second.test((number + 6) / 7) || (nth->second.test(0) && number + 7 > last));
}

/// The first time of day that matches, from `earliest` on.
std::optional<seconds> Cron::time_from(seconds earliest) const {
  const auto start = earliest.count();
  for (auto hour = start / 3600; hour < 24; ++hour) {
    if (!holds(hours_, static_cast<int>(hour))) continue;
    const auto in_hour = std::max<std::int64_t>(0, start - hour * 3600);
    for (auto minute = in_hour / 60; minute < 60; ++minute) {
      if (!holds(minutes_, static_cast<int>(minute))) continue;
      for (auto second = std::max<std::int64_t>(0, in_hour - minute * 60); second < 60; ++second) {
        if (holds(seconds_, static_cast<int>(second))) {
          return seconds(hour * 3600 + minute * 60 + second);
        }
      }
    }
  }
  return std::nullopt;
}

/// The first matching local time from `from` on. A Timestamp stands for a local time here.
std::optional<Timestamp> Cron::search(Timestamp from, bool by_day, bool by_weekday) const {
  const auto first = std::chrono::floor<days>(from);
  const auto last_year =
      std::chrono::year_month_day(first).year() + std::chrono::years(kYearsAhead);
  for (auto date = first;;) {
    const std::chrono::year_month_day day(date);
    if (day.year() > last_year) return std::nullopt;
    const int year = static_cast<int>(day.year());
    const bool year_holds = years_.any || (year >= kYear.first && year <= kYear.last &&
                                           holds(years_, year - kYear.first));
    if (!year_holds || !holds(months_, static_cast<int>(static_cast<unsigned>(day.month())) - 1)) {
      date = (day.year() / day.month() + std::chrono::months(1)) / 1;
      continue;
    }
    if (day_matches(day, by_day, by_weekday)) {
      const auto time =
          time_from(date == first ? std::chrono::floor<seconds>(from - date) : seconds(0));
      if (time) return Timestamp(date + *time);
    }
    date += days(1);
  }
}

/// The first local time after `local` that matches, as clocks show it.
std::optional<Timestamp> Cron::next_local(Timestamp local) const {
  const Timestamp from = grain_ == seconds(1)
                             ? Timestamp(std::chrono::floor<seconds>(local)) + grain_
                             : Timestamp(std::chrono::floor<std::chrono::minutes>(local)) + grain_;
  if (days_.any || weekdays_.any) return search(from, true, true);
  const auto by_day = search(from, true, false);
  const auto by_weekday = search(from, false, true);
  if (by_day && by_weekday) return std::min(*by_day, *by_weekday);
  // One of two days may never come; but # and W hold both sides, and then neither may fail.
  if (near_ != 0 || !nth_.empty()) return std::nullopt;
  return by_day ? by_day : by_weekday;
}

std::optional<Timestamp> Cron::next_fire(Timestamp after) const {
  const auto offset = zone_.stretch_at(after).offset;
  const auto local = next_local(after + offset);
  if (!local) return std::nullopt;
  if (hours_.all) return *local - offset;
  const auto date = std::chrono::floor<days>(*local);
  const Timestamp fire = zone_.to_utc(date, *local - date);
  // Of a local time that comes twice, the second: past the change, if it shows the same there.
  const auto stretch = zone_.stretch_at(fire);
  const Timestamp second = *local - zone_.stretch_at(stretch.end).offset;
  return second >= stretch.end && second > fire ? second : fire;
}

std::optional<Timestamp> Cron::last_fire(Timestamp at) const {
  const auto fires_after = [&](Timestamp from) {
    const auto fire = next_fire(from);
    return fire && *fire <= at;
  };
  for (days back{0}; back < days(36'600 * 2); back = back * 8 + days(1)) {
    Timestamp before = at - back - std::chrono::hours(1);
    if (!fires_after(before)) continue;
    for (Timestamp past = at; past - before > seconds(1);) {
      const Timestamp middle = before + (past - before) / 2;
      (fires_after(middle) ? before : past) = middle;
    }
    return next_fire(before);
  }
  return std::nullopt;
}

}  // namespace tapeline::dag
