#include "base/whole_number.h"

#include <gtest/gtest.h>

namespace tapeline {
namespace {

TEST(WholeNumber, is_all_of_the_text_and_fits) {
  EXPECT_EQ(whole_number("42"), 42);
  EXPECT_EQ(whole_number("-1"), -1);
  for (const char* text :
       {"", " 1", "1 ", "+1", "1.0", "1e3", "10abc", "x", "99999999999999999999"})
    EXPECT_FALSE(whole_number(text)) << text;
}

}  // namespace
}  // namespace tapeline
