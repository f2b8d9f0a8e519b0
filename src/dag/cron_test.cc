#include "dag/cron.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "base/time_text.h"

namespace tapeline::dag {
namespace {

TimeZone new_york() { return *TimeZone::find("America/New_York"); }
Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

std::string next(std::string_view schedule, std::string_view after) {
  const auto cron = Cron::parse(schedule, new_york());
  return cron ? format_rfc3339(*cron->next_fire(at(after))) : cron.error().message;
}

/// The next fires as the case file writes them.
std::string fires(std::string_view schedule, std::string_view zone, std::string_view after,
                  std::size_t count) {
  const auto cron = Cron::parse(schedule, *TimeZone::find(zone));
  std::string text;
  if (!cron) return "none";
  for (auto fire = cron->next_fire(at(after)); fire && count > 0; --count) {
    text += (text.empty() ? "" : " ") + format_rfc3339(*fire);
    fire = cron->next_fire(*fire);
  }
  return text.empty() ? "none" : text;
}

TEST(Cron, fires_when_airflow_does_and_refuses_what_airflow_refuses) {
  std::ifstream cases(TAPELINE_SOURCE_DIR "/tests/cases/dag/cron.txt");
  int count = 0;
  for (std::string line; std::getline(cases, line);) {
    if (line.starts_with("#")) continue;
    std::array<std::string, 4> parts;
    std::istringstream in(line);
    for (auto& part : parts) std::getline(in, part, '|');
    const auto wanted = std::ranges::count(parts[3], ' ') + 1;
    EXPECT_EQ(fires(parts[0], parts[1], parts[2], static_cast<std::size_t>(wanted)), parts[3])
        << line;
    ++count;
  }
  EXPECT_GT(count, 600);
}

TEST(Cron, a_skipped_time_fires_after_the_jump_and_a_doubled_one_the_second_time) {
  EXPECT_EQ(next("30 2 * * *", "2026-03-08T05:00:00Z"), "2026-03-08T07:30:00Z");
  EXPECT_EQ(next("30 1 * * *", "2026-11-01T04:30:00Z"), "2026-11-01T06:30:00Z");
  EXPECT_EQ(next("30 1 * * *", "2026-11-01T06:30:00Z"), "2026-11-02T06:30:00Z");
  EXPECT_EQ(next("30 * * * *", "2026-11-01T05:30:00Z"), "2026-11-01T06:30:00Z");
}

TEST(Cron, presets_names_and_sunday_twice) {
  EXPECT_EQ(next("@daily", "2026-01-01T12:00:00Z"), "2026-01-02T05:00:00Z");
  EXPECT_EQ(next("@yearly", "2026-01-01T12:00:00Z"), "2027-01-01T05:00:00Z");
  EXPECT_EQ(next("0 0 * * 7", "2026-01-01T12:00:00Z"), next("0 0 * * SUN", "2026-01-01T12:00:00Z"));
}

TEST(Cron, a_rare_day_is_found_and_a_step_past_the_end_is_no_step) {
  EXPECT_EQ(next("0 0 * 2 4#5", "2024-03-01T00:00:00Z"), "2052-02-29T05:00:00Z");
  EXPECT_EQ(next("0 0 * 2 1#5", "2072-03-01T00:00:00Z"), "2112-02-29T05:00:00Z");
  EXPECT_EQ(next("7/2147483647 0 * * *", "2026-01-01T12:00:00Z"), "2026-01-02T05:07:00Z");
}

TEST(Cron, what_cannot_be_read_is_named) {
  for (const char* schedule : {"61 * * * *",
                               "* 24 * * *",
                               "* * 0 * *",
                               "* * * 13 *",
                               "* * * * 8",
                               "*/0 * * * *",
                               "1-2-3 * * * *",
                               "a * * * *",
                               "* * * *",
                               "* * * * * * * *",
                               "",
                               "@often",
                               "0 0 30 2 *",
                               "5#6 * * * *",
                               "0 0 * * 5#6",
                               "0 0 15W,3 * *",
                               "0 0 15W * 6",
                               "1,,2 * * * *",
                               "-1 * * * *",
                               "0 0 * * 1#1,2"}) {
    const auto cron = Cron::parse(schedule, new_york());
    ASSERT_FALSE(cron) << schedule;
    EXPECT_EQ(cron.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(cron.error().hint.empty());
  }
}

TEST(Cron, values_that_are_drawn_are_refused) {
  for (const char* schedule : {"H * * * *", "H/5 * * * *", "R * * * *", "0 r(1-5) * * *"}) {
    EXPECT_EQ(Cron::parse(schedule, new_york()).error().code, ErrorCode::unsupported);
  }
}

TEST(Cron, seconds_and_years) {
  EXPECT_EQ(next("0 0 1 1 * 30 2030", "2026-01-01T12:00:00Z"), "2030-01-01T05:00:30Z");
  const auto over = Cron::parse("0 0 1 1 * 0 2020", new_york());
  EXPECT_FALSE(over->next_fire(at("2026-01-01T12:00:00Z")));
  EXPECT_EQ(over->last_fire(at("2026-01-01T12:00:00Z")), at("2020-01-01T05:00:00Z"));
}

TEST(Cron, the_last_fire_is_the_one_before_the_next) {
  for (const char* schedule : {"*/5 * * * *", "@daily", "@monthly", "@yearly", "0 0 29 2 *"}) {
    const auto cron = *Cron::parse(schedule, new_york());
    const Timestamp now = at("2026-11-22T16:42:38Z");
    const Timestamp last = *cron.last_fire(now);
    EXPECT_LE(last, now);
    EXPECT_GT(cron.next_fire(last), now);
    EXPECT_EQ(cron.last_fire(last), last);
  }
}

}  // namespace
}  // namespace tapeline::dag
