#include "base/time_text.h"

#include <fmt/format.h>

#include <charconv>

namespace tapeline {
namespace {

using std::chrono::microseconds;

/// Reads exactly `count` digits at `at` and steps over them; -1 if they are not there.
int digits(std::string_view text, std::size_t& at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text[at + i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  at += count;
  return value;
}

bool literal(std::string_view text, std::size_t& at, char wanted) {
  if (at >= text.size() || text[at] != wanted) return false;
  ++at;
  return true;
}

Error not_a_time(std::string_view text) {
  return Error{ErrorCode::invalid_argument, fmt::format("'{}' is not an RFC 3339 time", text),
               "Write it like 2025-01-04T14:30:00Z."};
}

/// Year, month, day at the front of `text`; false if there is no such date.
bool read_date(std::string_view text, std::size_t& at, Date& date) {
  const int year = digits(text, at, 4);
  if (year < 0 || !literal(text, at, '-')) return false;
  const int month = digits(text, at, 2);
  if (month < 0 || !literal(text, at, '-')) return false;
  const int day = digits(text, at, 2);
  if (day < 0) return false;
  const std::chrono::year_month_day ymd{std::chrono::year(year),
                                        std::chrono::month(static_cast<unsigned>(month)),
                                        std::chrono::day(static_cast<unsigned>(day))};
  if (!ymd.ok()) return false;
  date = Date(ymd);
  return true;
}

/// `count` digits of `value`, led by zeros: what answers have thousands of.
void append_digits(std::string& text, std::int64_t value, std::size_t count) {
  const std::size_t end = text.size() + count;
  text.resize(end, '0');
  for (std::size_t i = 1; i <= count; ++i, value /= 10) text[end - i] = char('0' + value % 10);
}

}  // namespace

std::string format_date(Date date) {
  const std::chrono::year_month_day ymd(date);
  const int year = static_cast<int>(ymd.year());
  std::string text;
  if (year < 0 || year > 9999)
    text = fmt::format("{:04}", year);
  else
    append_digits(text, year, 4);
  text += '-';
  append_digits(text, static_cast<unsigned>(ymd.month()), 2);
  text += '-';
  append_digits(text, static_cast<unsigned>(ymd.day()), 2);
  return text;
}

namespace {

std::string format_at(Timestamp at, int fraction_digits) {
  const auto date = std::chrono::floor<std::chrono::days>(at);
  const auto micros = (at - date).count();
  const auto seconds = micros / 1'000'000;
  std::string text = format_date(date);
  text.reserve(sizeof "2025-01-04T14:30:00.000000Z");
  const auto part = [&](char before, std::int64_t value, std::size_t digits) {
    text += before;
    append_digits(text, value, digits);
  };
  part('T', seconds / 3600, 2);
  part(':', seconds / 60 % 60, 2);
  part(':', seconds % 60, 2);
  if (fraction_digits == 3) part('.', micros / 1000 % 1000, 3);
  if (fraction_digits == 6) part('.', micros % 1'000'000, 6);
  return text += 'Z';
}

}  // namespace

std::string format_rfc3339(Timestamp at) {
  const auto micros = at.time_since_epoch().count();
  return format_at(at, micros % 1'000'000 == 0 ? 0 : micros % 1000 == 0 ? 3 : 6);
}

std::string format_rfc3339_micros(Timestamp at) { return format_at(at, 6); }

Result<Date> parse_date(std::string_view text) {
  std::size_t at = 0;
  Date date;
  if (!read_date(text, at, date) || at != text.size()) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is not a date", text),
                 "Write it like 2025-01-04."};
  }
  return date;
}

Result<ParsedTime> parse_rfc3339(std::string_view text) {
  std::size_t at = 0;
  Date date;
  if (!read_date(text, at, date)) return not_a_time(text);
  if (at >= text.size() || (text[at] != 'T' && text[at] != 't' && text[at] != ' ')) {
    return not_a_time(text);
  }
  ++at;
  const int hour = digits(text, at, 2);
  if (hour < 0 || hour > 23 || !literal(text, at, ':')) return not_a_time(text);
  const int minute = digits(text, at, 2);
  if (minute < 0 || minute > 59 || !literal(text, at, ':')) return not_a_time(text);
  const int second = digits(text, at, 2);
  if (second < 0 || second > 59) return not_a_time(text);

  ParsedTime parsed;
  std::int64_t micros = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    const std::size_t first = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      if (at - first < 6)
        micros = micros * 10 + (text[at] - '0');
      else if (text[at] != '0')
        parsed.was_rounded = true;
    }
    if (at == first || at - first > 18) return not_a_time(text);
    for (std::size_t have = at - first; have < 6; ++have) micros *= 10;
  }

  std::chrono::minutes offset{0};
  if (at == text.size()) {
    parsed.had_zone = false;
  } else if (text[at] == 'Z' || text[at] == 'z') {
    ++at;
  } else if (text[at] == '+' || text[at] == '-') {
    const int sign = text[at] == '+' ? 1 : -1;
    ++at;
    const int hours = digits(text, at, 2);
    if (hours < 0 || hours > 23) return not_a_time(text);
    literal(text, at, ':');
    const int minutes = digits(text, at, 2);
    if (minutes < 0 || minutes > 59) return not_a_time(text);
    offset = std::chrono::minutes(sign * (hours * 60 + minutes));
  }
  if (at != text.size()) return not_a_time(text);
  parsed.at = Timestamp(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
              std::chrono::seconds(second) + microseconds(micros) - offset;
  return parsed;
}

Result<Duration> parse_duration(std::string_view text) {
  double count = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  double nanos = 0;
  if (unit == "ms")
    nanos = 1e6;
  else if (unit == "s")
    nanos = 1e9;
  else if (unit == "m" || unit == "min")
    nanos = 60e9;
  else if (unit == "h")
    nanos = 3600e9;
  else if (unit == "d")
    nanos = 86400e9;
  if (failed != std::errc() || nanos == 0 || !(count >= 0) || count * nanos > 9e18) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is not a length of time", text),
                 "Write it like 250ms, 5s, 2m, 1h or 7d."};
  }
  return Duration(static_cast<std::int64_t>(count * nanos));
}

std::string format_duration(Duration length) {
  const double seconds = std::chrono::duration<double>(length).count();
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} d", seconds / 86400);
}

}  // namespace tapeline
