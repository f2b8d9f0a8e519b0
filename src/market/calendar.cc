#include "market/calendar.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "market/exchange_days.h"

namespace tapeline {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::year;

constexpr int kYearFirst = 1970;
constexpr int kYearLast = 2100;
constexpr auto kYears = static_cast<std::size_t>(kYearLast - kYearFirst + 1);

/// When New York's clocks stand at UTC-4.
struct SummerTime {
  Timestamp begin;
  Timestamp end;
};

/// source: Uniform Time Act 1966 with its changes of 1973, 1974, 1986 and 2005
constexpr SummerTime summer_time_of(int number) {
  using std::chrono::April;
  using std::chrono::February;
  using std::chrono::January;
  using std::chrono::last;
  using std::chrono::March;
  using std::chrono::November;
  using std::chrono::October;
  using std::chrono::Sunday;
  const year y{number};
  const Date begin = number >= 2007   ? Date(y / March / Sunday[2])
                     : number >= 1987 ? Date(y / April / Sunday[1])
                     : number == 1975 ? Date(y / February / 23)
                     : number == 1974 ? Date(y / January / 6)
                                      : Date(y / April / Sunday[last]);
  const Date end =
      number >= 2007 ? Date(y / November / Sunday[1]) : Date(y / October / Sunday[last]);
  return {begin + hours(7), end + hours(6)};  // both at 02:00 of the clock that ends
}

constexpr auto kSummerTimes = [] {
  std::array<SummerTime, kYears> table{};
  for (std::size_t i = 0; i < kYears; ++i) {
    table[i] = summer_time_of(kYearFirst + static_cast<int>(i));
  }
  return table;
}();

/// New York's time less UTC. A mean year may be off by two days at New Year; in
/// the first five days of January and the last of December no summer time begins,
/// ends or lasts, so the neighbour's row answers the same.
hours new_york_offset(Timestamp at) {
  const auto index =
      static_cast<std::uint64_t>(at.time_since_epoch() / microseconds(std::chrono::years(1)));
  if (at.time_since_epoch().count() < 0 || index >= kYears) return hours(-5);
  const SummerTime& summer = kSummerTimes[index];
  return hours(summer.begin <= at && at < summer.end ? -4 : -5);
}

/// The instant at which New York's clocks show it; no session begins or ends
/// inside a change of the clocks.
Timestamp from_new_york(Date date, minutes time_of_day) {
  const Timestamp as_if_winter = date + time_of_day + hours(5);
  const Timestamp as_if_summer = as_if_winter - hours(1);
  return new_york_offset(as_if_summer) == hours(-4) ? as_if_summer : as_if_winter;
}

/// A calendar as a table of days, so that each answer is one look; outside it, by the rule.
class TableCalendar final : public Calendar {
 public:
  using Rule = ExchangeDay (*)(Date);

  TableCalendar(std::string_view name, Rule rule) : name_(name), rule_(rule) {
    days_.reserve(static_cast<std::size_t>((kEnd - kBegin).count()));
    for (Date date = kBegin; date < kEnd; date += days(1))
      days_.push_back(day_of(date, rule(date)));
  }

  std::string_view name() const override { return name_; }

  DayKind kind(Date date) const override { return at(date).kind; }

  std::optional<SessionHours> hours(Date date) const override {
    const Day day = at(date);
    if (day.open == day.close) return std::nullopt;
    return SessionHours{date + minutes(day.open), date + minutes(day.close)};
  }

 private:
  /// units: minutes since the date's midnight in UTC; equal where there is no session
  struct Day {
    std::int16_t open = 0;
    std::int16_t close = 0;
    DayKind kind = DayKind::holiday;
  };

  static constexpr Date kBegin{year(kYearFirst) / 1 / 1};
  static constexpr Date kEnd{year(kYearLast + 1) / 1 / 1};

  Day at(Date date) const {
    const auto index = static_cast<std::size_t>((date - kBegin).count());
    return index < days_.size() ? days_[index] : day_of(date, rule_(date));
  }

  static Day day_of(Date date, const ExchangeDay& local) {
    const bool is_open = local.kind == DayKind::regular || local.kind == DayKind::early_close;
    if (!is_open) return {0, 0, local.kind};
    const auto utc = [&](minutes time_of_day) {
      return static_cast<std::int16_t>(
          floor<minutes>(from_new_york(date, time_of_day) - date).count());
    };
    // Midnight ends a session as the next date's first instant, whatever the clocks did.
    const auto close =
        local.close < days(1)
            ? utc(local.close)
            : static_cast<std::int16_t>(
                  floor<minutes>(from_new_york(date + days(1), minutes(0)) - date).count());
    return {utc(local.open), close, local.kind};
  }

  const std::string_view name_;
  const Rule rule_;
  std::vector<Day> days_;
};

ExchangeDay simulated_day(Date) { return {DayKind::regular, minutes(0), days(1)}; }

}  // namespace

Session Calendar::session_at(Timestamp at) const {
  const Timestamp local = at + new_york_offset(at);
  const Date date = floor<days>(local);
  const auto session = hours(date);
  if (!session) return Session::closed;
  if (session->open <= at && at < session->close) return Session::regular;
  const microseconds time_of_day = local - date;
  if (at < session->open) {
    return time_of_day >= std::chrono::hours(4) ? Session::pre : Session::closed;
  }
  const std::chrono::hours end(kind(date) == DayKind::early_close ? 17 : 20);
  return time_of_day < end ? Session::post : Session::closed;
}

Date Calendar::new_york_date(Timestamp at) { return floor<days>(at + new_york_offset(at)); }

int Calendar::new_york_hour(Timestamp at) {
  const Timestamp local = at + new_york_offset(at);
  return static_cast<int>(floor<std::chrono::hours>(local - floor<days>(local)).count());
}

Timestamp Calendar::new_york_midnight(Date date) {
  const Timestamp in_summer = Timestamp(date) + std::chrono::hours(4);
  return new_york_date(in_summer) == date ? in_summer : in_summer + std::chrono::hours(1);
}

Date Calendar::next_session(Date date) const {
  do date += days(1);
  while (!hours(date));
  return date;
}

Date Calendar::previous_session(Date date) const {
  do date -= days(1);
  while (!hours(date));
  return date;
}

Result<std::shared_ptr<const Calendar>> make_calendar(std::string_view name) {
  if (name == "XNYS") {
    return std::shared_ptr<const Calendar>(std::make_shared<TableCalendar>("XNYS", xnys_day));
  }
  if (name == "SIM") {
    return std::shared_ptr<const Calendar>(std::make_shared<TableCalendar>("SIM", simulated_day));
  }
  return Error{ErrorCode::not_found, fmt::format("no calendar is called '{}'", name.substr(0, 40)),
               "The calendars are XNYS and SIM."};
}

}  // namespace tapeline
