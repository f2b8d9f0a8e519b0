#include "market/exchange_days.h"

#include <algorithm>
#include <array>
#include <span>

namespace tapeline {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::year;
using std::chrono::year_month_day;

/// Days of mourning, attacks and storms.
constexpr std::array kSpecialClosures{
    Date(1994y / 4 / 27),  Date(2001y / 9 / 11), Date(2001y / 9 / 12), Date(2001y / 9 / 13),
    Date(2001y / 9 / 14),  Date(2004y / 6 / 11), Date(2007y / 1 / 2),  Date(2012y / 10 / 29),
    Date(2012y / 10 / 30), Date(2018y / 12 / 5), Date(2025y / 1 / 9),
};

/// 13:00 on the Fridays beside a holiday, and on the last day of the century.
constexpr std::array kSpecialEarlyCloses{
    Date(1997y / 12 / 26),
    Date(1999y / 12 / 31),
    Date(2003y / 12 / 26),
};

constexpr bool holds(std::span<const Date> dates, Date date) {
  return std::find(dates.begin(), dates.end(), date) != dates.end();
}

/// A holiday on a Saturday is kept on Friday, one on a Sunday on Monday.
constexpr Date nearest_weekday(Date date) {
  const std::chrono::weekday day(date);
  if (day == std::chrono::Saturday) return date - days(1);
  if (day == std::chrono::Sunday) return date + days(1);
  return date;
}

/// source: the anonymous Gregorian computus (Nature, 1876)
constexpr Date easter_sunday(int y) {
  const int a = y % 19;
  const int b = y / 100;
  const int c = y % 100;
  const int h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
  const int l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
  const int m = (a + 11 * h + 22 * l) / 451;
  const int n = h + l - 7 * m + 114;
  return Date(year(y) / (n / 31) / (n % 31 + 1));
}

constexpr Date thanksgiving(year y) { return Date(y / 11 / std::chrono::Thursday[4]); }

/// New Year's Day alone is not kept when it falls on a Saturday.
constexpr Date new_years_day(year y) {
  const Date first(y / 1 / 1);
  return std::chrono::weekday(first) == std::chrono::Sunday ? first + days(1) : first;
}

bool is_holiday(Date date, year y) {
  using std::chrono::last;
  using std::chrono::Monday;
  return date == new_years_day(y) ||
         (y >= 1998y && date == Date(y / 1 / Monday[3])) ||  // Martin Luther King
         date == Date(y / 2 / Monday[3]) ||                  // Washington's birthday
         date == easter_sunday(static_cast<int>(y)) - days(2) ||
         date == Date(y / 5 / Monday[last]) ||                         // Memorial Day
         (y >= 2022y && date == nearest_weekday(Date(y / 6 / 19))) ||  // Juneteenth
         date == nearest_weekday(Date(y / 7 / 4)) || date == Date(y / 9 / Monday[1]) ||
         date == thanksgiving(y) || date == nearest_weekday(Date(y / 12 / 25)) ||
         holds(kSpecialClosures, date);
}

/// 3 July before a holiday on Tuesday to Friday. Where the holiday is a Thursday, the
/// exchange closed early on the Friday after it until 2012, since then on Wednesday.
bool is_early_before_independence_day(Date date, year y) {
  if (y < 1995y) return false;
  const Date third(y / 7 / 3);
  const std::chrono::weekday day(third);
  if (day == std::chrono::Wednesday && y < 2013y) return date == third + days(2);
  return date == third && day != std::chrono::Friday && day.iso_encoding() < 6;
}

bool is_early_close(Date date, year y) {
  const Date christmas_eve(y / 12 / 24);
  return (date == christmas_eve && std::chrono::weekday(date) != std::chrono::Friday) ||
         (y >= 1992y && date == thanksgiving(y) + days(1)) ||
         is_early_before_independence_day(date, y) || holds(kSpecialEarlyCloses, date);
}

}  // namespace

ExchangeDay xnys_day(Date date) {
  const year y = year_month_day(date).year();
  constexpr minutes kOpen = hours(9) + minutes(30);
  if (std::chrono::weekday(date).iso_encoding() >= 6) return {DayKind::weekend};
  if (is_holiday(date, y)) return {DayKind::holiday};
  if (is_early_close(date, y)) return {DayKind::early_close, kOpen, hours(y < 1993y ? 14 : 13)};
  return {DayKind::regular, kOpen, hours(16)};
}

}  // namespace tapeline
