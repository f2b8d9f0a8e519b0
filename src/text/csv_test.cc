#include "text/csv.h"

#include <gtest/gtest.h>

namespace tapeline::text {
namespace {

std::vector<std::string> fields(std::string_view line) {
  CsvRecord record;
  const auto status = record.split(line);
  if (!status) return {"!" + status.error().message};
  return {record.fields().begin(), record.fields().end()};
}
using Fields = std::vector<std::string>;

TEST(Csv, a_plain_line_is_split_at_its_commas) {
  EXPECT_EQ(fields("a,b,c"), (Fields{"a", "b", "c"}));
  EXPECT_EQ(fields("a,,\r"), (Fields{"a", "", ""}));
  EXPECT_EQ(fields(""), (Fields{""}));
}

TEST(Csv, quotes_hide_commas_and_quotes) {
  EXPECT_EQ(fields(R"("a,1",b)"), (Fields{"a,1", "b"}));
  EXPECT_EQ(fields(R"(x,"say ""hi""","")"), (Fields{"x", "say \"hi\"", ""}));
  EXPECT_EQ(fields("\"a\",b,\r"), (Fields{"a", "b", ""}));
}

TEST(Csv, a_misplaced_quote_names_its_character) {
  EXPECT_EQ(fields(R"(a,"b)"), (Fields{"!a quote is not closed at character 3"}));
  EXPECT_EQ(fields(R"("a"b,c)"), (Fields{"!text follows a closed quote at character 4"}));
  EXPECT_EQ(fields(R"(a"b,c)"), (Fields{"!a quote stands inside a field at character 2"}));
}

TEST(Csv, a_record_is_used_again) {
  CsvRecord record;
  ASSERT_TRUE(record.split(R"("a","b")"));
  ASSERT_TRUE(record.split("c"));
  ASSERT_EQ(record.fields().size(), 1U);
  EXPECT_EQ(record.fields()[0], "c");
  EXPECT_EQ(without_byte_order_mark("\xef\xbb\xbfx"), "x");
  EXPECT_EQ(without_byte_order_mark("x"), "x");
}

}  // namespace
}  // namespace tapeline::text
