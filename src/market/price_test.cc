#include "market/price.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tapeline {
namespace {

std::int64_t units(std::string_view text) {
  const auto price = Price::parse(text);
  EXPECT_TRUE(price) << text;
  return price ? price->units() : -1;
}

TEST(Price, reads_decimals_as_json_and_csv_write_them) {
  EXPECT_EQ(units("189.12"), 189'120'000);
  EXPECT_EQ(units("-3"), -3'000'000);
  EXPECT_EQ(units("1.5e2"), 150'000'000);
  EXPECT_EQ(units("15000E-2"), 150'000'000);
  EXPECT_EQ(units("1e+2"), 100'000'000);
  EXPECT_EQ(units("0.000001"), 1);
  EXPECT_EQ(units("-0.0"), 0);
  EXPECT_EQ(units("007.5"), 7'500'000);
  EXPECT_EQ(units("999999999999.999999"), Price::kUnitsMax);
  EXPECT_EQ(units("-999999999999.999999"), -Price::kUnitsMax);
  EXPECT_EQ(units("0e999999999999999999999"), 0);
}

TEST(Price, what_lies_past_six_decimals_is_rounded_half_to_even_and_told) {
  struct Case {
    std::string_view text;
    std::int64_t units;
    bool was_rounded;
  };
  for (const Case& one : {Case{"0.0000005", 0, true},
                          {"0.0000015", 2, true},
                          {"0.0000025", 2, true},
                          {"-0.0000015", -2, true},
                          {"0.00000250000000000000000000000000001", 3, true},
                          {"0.0000024999999999999999999999999999", 2, true},
                          {"1.1234560000000000000000000000", 1'123'456, false},
                          {"429.54000899999998", 429'540'009, true},
                          {"1e-7", 0, true},
                          {"1e-400", 0, true},
                          {"12345678901234567890e-14", 123'456'789'012, true},
                          {"189.12", 189'120'000, false}}) {
    bool was_rounded = !one.was_rounded;
    const auto price = Price::parse(one.text, &was_rounded);
    ASSERT_TRUE(price) << one.text;
    EXPECT_EQ(price->units(), one.units) << one.text;
    EXPECT_EQ(was_rounded, one.was_rounded) << one.text;
  }
}

TEST(Price, what_is_no_price_is_an_error) {
  for (const std::string_view text : {"",
                                      "-",
                                      "+1",
                                      ".5",
                                      "5.",
                                      "1e",
                                      "1e+",
                                      "1.5.2",
                                      "1,5",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "NaN",
                                      "inf",
                                      "1000000000000",
                                      "999999999999.9999995",
                                      "1e12",
                                      "1e300",
                                      "99999999999999999999999999",
                                      "-1e99999999999999999999"}) {
    const auto price = Price::parse(text);
    ASSERT_FALSE(price) << text;
    EXPECT_EQ(price.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(price.error().hint.empty());
  }
}

TEST(Price, text_is_plain_and_comes_back) {
  EXPECT_EQ(Price::from_units(189'120'000).text(), "189.12");
  EXPECT_EQ(Price::from_units(25'000'000).text(), "25");
  EXPECT_EQ(Price::from_units(100).text(), "0.0001");
  EXPECT_EQ(Price::from_units(-1).text(), "-0.000001");
  EXPECT_EQ(Price().text(), "0");
  EXPECT_EQ(Price::from_units(INT64_MIN).text(), "-9223372036854.775808");
  Rng rng(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto magnitude = static_cast<std::int64_t>(rng.next() >> (4 + rng.below(58)));
    const auto price =
        Price::from_units(magnitude % (Price::kUnitsMax + 1) * (i % 2 == 0 ? 1 : -1));
    EXPECT_EQ(units(price.text()), price.units());
  }
}

}  // namespace
}  // namespace tapeline
