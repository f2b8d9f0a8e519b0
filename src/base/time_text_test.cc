#include "base/time_text.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/time_zone.h"

namespace tapeline {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST(TimeText, an_instant_survives_the_way_to_text_and_back) {
  for (const char* text : {"2025-01-04T14:30:00Z", "2025-01-04T14:30:00.412Z",
                           "2025-01-04T14:30:00.412345Z", "1969-12-31T23:59:59.999999Z"}) {
    const auto parsed = parse_rfc3339(text);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(format_rfc3339(parsed->at), text);
  }
}

TEST(TimeText, offsets_blanks_and_missing_zones_are_read) {
  EXPECT_EQ(format_rfc3339(parse_rfc3339("2025-01-04 09:30:00-05:00")->at), "2025-01-04T14:30:00Z");
  const auto bare = parse_rfc3339("2025-01-04T14:30:00.5");
  EXPECT_FALSE(bare->had_zone);
  EXPECT_EQ(format_rfc3339(bare->at), "2025-01-04T14:30:00.500Z");
  EXPECT_TRUE(parse_rfc3339("2025-01-04T14:30:00.1234567Z")->was_rounded);
}

TEST(TimeText, what_is_no_instant_is_named) {
  for (const char* text :
       {"", "2025", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z", "2025-01-04T24:00:00Z",
        "2025-01-04T14:30:00ZZ", "2025-01-04T14:30:00.", "2025-01-04T14:30:00+25:00"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_EQ(parse_rfc3339("x").error().message, "'x' is not an RFC 3339 time");
}

TEST(TimeText, lengths_have_units) {
  EXPECT_EQ(*parse_duration("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(*parse_duration("2m"), minutes(2));
  EXPECT_FALSE(parse_duration("2"));
  EXPECT_FALSE(parse_duration("-2s"));
}

TEST(TimeZone, clocks_change_after_the_last_year_of_the_tables_too) {
  const auto offset = [](std::string_view zone, std::string_view at) {
    const auto stretch = TimeZone::find(zone)->stretch_at(parse_rfc3339(at)->at);
    EXPECT_LE(stretch.begin, parse_rfc3339(at)->at);
    EXPECT_GT(stretch.end, parse_rfc3339(at)->at);
    return std::chrono::duration_cast<std::chrono::minutes>(stretch.offset).count();
  };
  EXPECT_EQ(offset("America/New_York", "2041-03-10T06:59:59Z"), -300);
  EXPECT_EQ(offset("America/New_York", "2041-03-10T07:00:00Z"), -240);
  EXPECT_EQ(offset("Australia/Lord_Howe", "2050-01-01T00:00:00Z"), 660);
  EXPECT_EQ(offset("Australia/Lord_Howe", "2050-07-01T00:00:00Z"), 630);
  EXPECT_EQ(offset("Asia/Kathmandu", "2050-07-01T00:00:00Z"), 345);
  EXPECT_EQ(offset("Africa/Casablanca", "2090-07-01T00:00:00Z"), 60);
}

TEST(TimeZone, new_york_changes_its_clocks) {
  const auto zone = TimeZone::find("America/New_York");
  ASSERT_TRUE(zone) << zone.error().message;
  EXPECT_EQ(zone->stretch_at(parse_rfc3339("2025-01-04T14:30:00Z")->at).offset, hours(-5));
  EXPECT_EQ(zone->stretch_at(parse_rfc3339("2025-07-04T14:30:00Z")->at).offset, hours(-4));
  const auto open = zone->to_utc(*parse_date("2025-07-07"), hours(9) + minutes(30));
  EXPECT_EQ(format_rfc3339(open), "2025-07-07T13:30:00Z");
  EXPECT_EQ(zone->to_local(open).time_of_day, hours(9) + minutes(30));
  EXPECT_FALSE(TimeZone::find("Mars/Olympus"));
}

TEST(Crc32c, known_values_hold_and_parts_add_up) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c("56789", crc32c("1234")), 0xe3069283U);
}

}  // namespace
}  // namespace tapeline
