#include "market/calendar.h"

#include <gtest/gtest.h>

#include "base/time_zone.h"

namespace tapeline {
namespace {

using std::chrono::days;

Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }
Date date(std::string_view text) { return *parse_date(text); }

std::string_view session(const Calendar& calendar, std::string_view time) {
  return to_string(calendar.session_at(at(time)));
}

TEST(Calendar, a_new_york_date_begins_at_its_midnight) {
  for (Date date = *parse_date("1999-12-20"); date < *parse_date("2027-01-10");
       date += std::chrono::days(1)) {
    const Timestamp begin = Calendar::new_york_midnight(date);
    EXPECT_EQ(Calendar::new_york_date(begin), date);
    EXPECT_LT(Calendar::new_york_date(begin - std::chrono::microseconds(1)), date);
  }
}

TEST(Calendar, only_xnys_and_sim_are_known) {
  EXPECT_EQ((*make_calendar("XNYS"))->name(), "XNYS");
  EXPECT_EQ((*make_calendar("SIM"))->name(), "SIM");
  const auto other = make_calendar("XLON");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::not_found);
}

TEST(Calendar, xnys_hours_are_new_yorks_in_utc) {
  const auto xnys = *make_calendar("XNYS");
  const auto winter = *xnys->hours(date("2026-01-05"));
  EXPECT_EQ(winter.open, at("2026-01-05T14:30:00Z"));
  EXPECT_EQ(winter.close, at("2026-01-05T21:00:00Z"));
  const auto summer = *xnys->hours(date("2026-03-09"));
  EXPECT_EQ(summer.open, at("2026-03-09T13:30:00Z"));
  EXPECT_EQ(summer.close, at("2026-03-09T20:00:00Z"));
  const auto early = *xnys->hours(date("2026-11-27"));
  EXPECT_EQ(early.close, at("2026-11-27T18:00:00Z"));
  EXPECT_EQ(xnys->hours(date("2026-11-26")), std::nullopt);
  EXPECT_EQ(xnys->kind(date("2026-11-26")), DayKind::holiday);
  EXPECT_EQ(xnys->kind(date("2026-11-28")), DayKind::weekend);
}

TEST(Calendar, the_rules_answer_for_dates_outside_the_table_too) {
  const auto xnys = *make_calendar("XNYS");
  EXPECT_EQ(xnys->kind(date("1929-10-29")), DayKind::regular);
  const auto far = xnys->hours(date("2150-07-08"));
  ASSERT_TRUE(far);
  EXPECT_EQ(far->open, at("2150-07-08T14:30:00Z"));
  EXPECT_EQ(xnys->kind(date("9999-12-25")), DayKind::weekend);
  EXPECT_TRUE((*make_calendar("SIM"))->hours(date("9999-12-25")));
}

TEST(Calendar, a_session_begins_with_its_first_instant_and_ends_before_its_last) {
  const auto xnys = *make_calendar("XNYS");
  EXPECT_EQ(session(*xnys, "2026-11-20T08:59:59.999999Z"), "closed");
  EXPECT_EQ(session(*xnys, "2026-11-20T09:00:00Z"), "pre");
  EXPECT_EQ(session(*xnys, "2026-11-20T14:29:59.999999Z"), "pre");
  EXPECT_EQ(session(*xnys, "2026-11-20T14:30:00Z"), "regular");
  EXPECT_EQ(session(*xnys, "2026-11-20T20:59:59.999999Z"), "regular");
  EXPECT_EQ(session(*xnys, "2026-11-20T21:00:00Z"), "post");
  EXPECT_EQ(session(*xnys, "2026-11-21T00:59:59.999999Z"), "post");
  EXPECT_EQ(session(*xnys, "2026-11-21T01:00:00Z"), "closed");
  EXPECT_EQ(session(*xnys, "2026-11-27T18:00:00Z"), "post");
  EXPECT_EQ(session(*xnys, "2026-11-27T22:00:00Z"), "closed") << "an early close ends at 17:00";
  EXPECT_EQ(session(*xnys, "2026-11-26T16:00:00Z"), "closed") << "a holiday";
}

TEST(Calendar, every_simulated_instant_is_in_a_regular_session) {
  const auto sim = *make_calendar("SIM");
  for (Date day = date("2025-01-01"); day < date("2027-01-01"); day += days(1)) {
    ASSERT_EQ(sim->kind(day), DayKind::regular);
    const auto hours = *sim->hours(day);
    ASSERT_EQ(hours.close, sim->hours(day + days(1))->open) << format_date(day);
    ASSERT_EQ(Calendar::new_york_date(hours.open), day);
    ASSERT_EQ(Calendar::new_york_hour(hours.open), 0);
    ASSERT_EQ(sim->session_at(hours.open), Session::regular);
    ASSERT_EQ(sim->session_at(hours.close - std::chrono::microseconds(1)), Session::regular);
  }
}

TEST(Calendar, new_york_time_is_that_of_the_zone_tables) {
  const auto new_york = *TimeZone::find("America/New_York");
  const auto check = [&](Timestamp time) {
    const LocalTime local = new_york.to_local(time);
    ASSERT_EQ(Calendar::new_york_date(time), local.date) << format_rfc3339(time);
    ASSERT_EQ(Calendar::new_york_hour(time), local.time_of_day / std::chrono::hours(1))
        << format_rfc3339(time);
  };
  Timestamp time = at("1970-01-01T00:00:00Z");
  while (time < at("2037-01-01T00:00:00Z")) {
    const auto stretch = new_york.stretch_at(time);
    for (const Timestamp edge : {time, stretch.end, time + std::chrono::hours(30)}) {
      check(edge);
      check(edge - std::chrono::microseconds(1));
    }
    time = stretch.end;
  }
  for (Timestamp day = at("1970-01-01T04:30:00Z"); day < at("2037-01-01T00:00:00Z");
       day += days(1)) {
    check(day);
  }
}

TEST(Calendar, the_nearest_sessions_step_over_dates_without_one) {
  const auto xnys = *make_calendar("XNYS");
  EXPECT_EQ(xnys->next_session(date("2001-09-10")), date("2001-09-17"));
  EXPECT_EQ(xnys->previous_session(date("2001-09-17")), date("2001-09-10"));
  EXPECT_EQ((*make_calendar("SIM"))->next_session(date("2026-11-21")), date("2026-11-22"));
}

}  // namespace
}  // namespace tapeline
