#include "app/cli/rows_text.h"

#include <gtest/gtest.h>

namespace tapeline::app {
namespace {

using warehouse::Column;
using warehouse::Decimal;
using warehouse::Kind;
using warehouse::Value;

std::string written(RowsFormat format, const std::vector<std::vector<Value>>& rows) {
  std::string out;
  RowsWriter writer(format, [&](std::string_view text) { out += text; });
  writer.columns({{"symbol", "VARCHAR", Kind::text}, {"price", "DECIMAL(18,6)", Kind::decimal}});
  for (const auto& row : rows) writer.row(row);
  writer.end();
  return out;
}

const std::vector<std::vector<Value>> kRows = {{std::string("A,\"B\""), Decimal{"1.500000"}},
                                               {std::string("é\n|"), Value()}};

TEST(RowsText, each_format_says_the_same) {
  EXPECT_EQ(written(RowsFormat::csv, kRows), "symbol,price\n\"A,\"\"B\"\"\",1.500000\n\"é\n|\",\n");
  EXPECT_EQ(
      written(RowsFormat::ndjson, kRows),
      "{\"symbol\":\"A,\\\"B\\\"\",\"price\":1.500000}\n{\"symbol\":\"é\\n|\",\"price\":null}\n");
  EXPECT_EQ(written(RowsFormat::table, kRows),
            "symbol     price\n──────  ────────\nA,\"B\"   1.500000\né |\n");
  EXPECT_EQ(written(RowsFormat::markdown, {kRows[0]}),
            "| symbol |    price |\n| ------ | -------: |\n| A,\"B\"  | 1.500000 |\n");
}

TEST(RowsText, nothing_in_a_cell_or_a_name_breaks_a_table_up) {
  const auto table = [](RowsFormat format) {
    std::string out;
    RowsWriter writer(format, [&](std::string_view text) { out += text; });
    writer.columns({{"a\n|b", "VARCHAR", Kind::text}});
    writer.row({std::string("\x1b[31m||\x7f")});
    writer.end();
    return out;
  };
  EXPECT_EQ(table(RowsFormat::table), "a |b\n────────\n [31m||\n");
  EXPECT_EQ(table(RowsFormat::markdown), "| a \\|b      |\n| ---------- |\n|  [31m\\|\\|  |\n");
}

TEST(RowsText, no_rows_are_still_a_whole_document) {
  EXPECT_EQ(written(RowsFormat::json, {}), "[]\n");
  EXPECT_EQ(written(RowsFormat::json, {kRows[0]}),
            "[\n  {\"symbol\":\"A,\\\"B\\\"\",\"price\":1.500000}\n]\n");
  EXPECT_EQ(written(RowsFormat::csv, {}), "symbol,price\n");
}

TEST(RowsText, an_unknown_format_is_named) {
  EXPECT_EQ(parse_rows_format("xml").error().message, "there is no format 'xml'");
}

}  // namespace
}  // namespace tapeline::app
