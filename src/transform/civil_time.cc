#include "transform/civil_time.h"

#include <fmt/format.h>

namespace tapeline::transform {
namespace {

constexpr std::array<const char*, 12> kMonths = {"January",   "February", "March",    "April",
                                                 "May",       "June",     "July",     "August",
                                                 "September", "October",  "November", "December"};
constexpr std::array<const char*, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};

struct Parts {
  std::chrono::year_month_day day;
  std::chrono::weekday weekday;
  int day_of_year = 0;
  std::int64_t micros = 0;  // since midnight
};

Parts parts_of(Timestamp at) {
  const auto midnight = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day day{midnight};
  const auto new_year = std::chrono::sys_days{day.year() / 1 / 1};
  return {day, std::chrono::weekday{midnight}, static_cast<int>((midnight - new_year).count()) + 1,
          (at - midnight).count()};
}

Error no_such_time(std::string message) {
  return Error{ErrorCode::invalid_argument, std::move(message), ""};
}

}  // namespace

CivilFields civil_fields(Timestamp at) {
  const auto parts = parts_of(at);
  const auto seconds = parts.micros / kSecondMicros;
  return {static_cast<int>(parts.day.year()),
          unsigned(parts.day.month()),
          unsigned(parts.day.day()),
          seconds / 3600,
          seconds / 60 % 60,
          seconds % 60,
          parts.micros % kSecondMicros};
}

int iso_weekday(Timestamp at) { return static_cast<int>(parts_of(at).weekday.iso_encoding()); }

Result<Timestamp> civil_instant(const CivilFields& fields) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (fields[i]) continue;
    return no_such_time(
        fmt::format("function missing required argument '{}' (pos {})", kCivilFields[i], i + 1));
  }
  const auto year = *fields[0];
  const auto month = *fields[1];
  const auto day = *fields[2];
  if (year < 1 || year > kLastYear)
    return no_such_time(fmt::format("year {} is out of range", year));
  if (month < 1 || month > 12) return no_such_time("month must be in 1..12");
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day & 0xff))};
  if (day < 1 || day > 31 || !date.ok()) return no_such_time("day is out of range for month");
  constexpr std::array<std::int64_t, 4> kEnds = {24, 60, 60, kSecondMicros};
  std::int64_t micros = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto value = fields[3 + i].value_or(0);
    if (value < 0 || value >= kEnds[i]) {
      return no_such_time(fmt::format("{} must be in 0..{}", kCivilFields[3 + i], kEnds[i] - 1));
    }
    micros = micros * kEnds[i] + value;
  }
  return Timestamp(std::chrono::sys_days(date)) + std::chrono::microseconds(micros);
}

std::string strftime(Timestamp at, std::string_view format) {
  const auto parts = parts_of(at);
  const auto seconds = parts.micros / kSecondMicros;
  const auto year = static_cast<int>(parts.day.year());
  const auto month = static_cast<unsigned>(parts.day.month());
  const auto day = static_cast<unsigned>(parts.day.day());
  const auto hour = seconds / 3600;
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        out += fmt::format("{:04}", year);
        break;
      case 'y':
        out += fmt::format("{:02}", year % 100);
        break;
      case 'm':
        out += fmt::format("{:02}", month);
        break;
      case 'd':
        out += fmt::format("{:02}", day);
        break;
      case 'H':
        out += fmt::format("{:02}", hour);
        break;
      case 'I':
        out += fmt::format("{:02}", hour % 12 == 0 ? 12 : hour % 12);
        break;
      case 'p':
        out += hour < 12 ? "AM" : "PM";
        break;
      case 'M':
        out += fmt::format("{:02}", seconds / 60 % 60);
        break;
      case 'S':
        out += fmt::format("{:02}", seconds % 60);
        break;
      case 'f':
        out += fmt::format("{:06}", parts.micros % kSecondMicros);
        break;
      case 'j':
        out += fmt::format("{:03}", parts.day_of_year);
        break;
      case 'B':
        out += kMonths[month - 1];
        break;
      case 'b':
        out += std::string_view(kMonths[month - 1]).substr(0, 3);
        break;
      case 'A':
        out += kDays[parts.weekday.c_encoding()];
        break;
      case 'a':
        out += std::string_view(kDays[parts.weekday.c_encoding()]).substr(0, 3);
        break;
      case 'w':
        out += fmt::format("{}", parts.weekday.c_encoding());
        break;
      case 'u':
        out += fmt::format("{}", parts.weekday.iso_encoding());
        break;
      case 'z':
      case 'Z':
        break;
      case '%':
        out += '%';
        break;
      default:
        out += {'%', format[i]};
    }
  }
  return out;
}

Result<Timestamp> strptime(const std::string& text, std::string_view format) {
  const Error mismatch{ErrorCode::invalid_argument,
                       fmt::format("time data '{}' does not match format '{}'", text, format), ""};
  CivilFields fields{1900, 1, 1, 0, 0, 0, 0};
  std::size_t at = 0;
  const auto number = [&](std::size_t digits_max) -> std::int64_t {
    std::int64_t value = 0;
    std::size_t digits = 0;
    while (digits < digits_max && at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
      ++digits;
    }
    return digits == 0 ? -1 : value;
  };
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      if (at >= text.size() || text[at++] != format[i]) return mismatch;
      continue;
    }
    const auto field = std::string_view("YmdHMSf").find(format[++i]);
    if (field == std::string_view::npos) return mismatch;
    fields[field] = number(format[i] == 'Y' ? 4 : format[i] == 'f' ? 6 : 2);
    if (*fields[field] < 0) return mismatch;
  }
  const auto instant = civil_instant(fields);
  if (at != text.size() || !instant) return mismatch;
  return *instant;
}

}  // namespace tapeline::transform
