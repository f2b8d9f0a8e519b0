#include "text/words.h"

#include <gtest/gtest.h>

namespace tapeline::text {
namespace {

using List = std::vector<std::string>;

TEST(CommaList, is_what_stands_between_commas_without_blanks_around_it) {
  EXPECT_EQ(comma_list("AAPL"), List({"AAPL"}));
  EXPECT_EQ(comma_list("AAPL, MSFT\t,BRK.B\r"), List({"AAPL", "MSFT", "BRK.B"}));
  EXPECT_EQ(comma_list("New York, Rome"), List({"New York", "Rome"}));
}

TEST(CommaList, leaves_out_what_is_empty) {
  EXPECT_EQ(comma_list(""), List());
  EXPECT_EQ(comma_list(" , ,"), List());
  EXPECT_EQ(comma_list(",A,,B,"), List({"A", "B"}));
}

}  // namespace
}  // namespace tapeline::text
