// Every weekday from 1990 to 2040 against a list of the special ones: what the file
// does not name has the regular hours.

#include "market/exchange_days.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

namespace tapeline {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

struct SpecialDay {
  std::string kind;
  std::string close;
};

std::map<Date, SpecialDay> special_days() {
  std::ifstream file(TAPELINE_SOURCE_DIR "/tests/cases/market/xnys_special_days.csv");
  std::map<Date, SpecialDay> found;
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "date,kind,close");
  while (std::getline(file, line)) {
    const auto kind_end = line.find(',', 11);
    found[*parse_date(line.substr(0, 10))] = {line.substr(11, kind_end - 11),
                                              line.substr(kind_end + 1)};
  }
  return found;
}

TEST(ExchangeDays, from_1990_to_2040_only_the_special_days_differ) {
  const auto special = special_days();
  ASSERT_GT(special.size(), 500U);
  for (Date date{std::chrono::year(1990) / 1 / 1}; date < Date{std::chrono::year(2041) / 1 / 1};
       date += days(1)) {
    const ExchangeDay day = xnys_day(date);
    const auto named = special.find(date);
    if (std::chrono::weekday(date).iso_encoding() >= 6) {
      EXPECT_EQ(day.kind, DayKind::weekend) << format_date(date);
      EXPECT_EQ(named, special.end()) << format_date(date);
      continue;
    }
    const std::string kind = named == special.end() ? "regular" : named->second.kind;
    const std::string close = named == special.end() ? "16:00" : named->second.close;
    ASSERT_EQ(to_string(day.kind), kind) << format_date(date);
    if (kind == "holiday") continue;
    EXPECT_EQ(day.open, hours(9) + minutes(30)) << format_date(date);
    EXPECT_EQ(day.close, hours(std::stoi(close))) << format_date(date);
  }
}

}  // namespace
}  // namespace tapeline
