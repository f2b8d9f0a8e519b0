#include "serve/produce.h"

#include <gtest/gtest.h>

#include "msglog/rules.h"
#include "serve/base64.h"

namespace tapeline::serve {
namespace {

TEST(Base64, every_byte_reads_back_at_every_length) {
  std::string bytes;
  for (int i = 0; i < 260; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
}

TEST(Base64, what_is_no_encoding_is_none) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zm9v=", "====", "Zg==Zg==", "Z===", "Zh==", "Zm 8", "!!!!"})
    EXPECT_FALSE(base64_decode(text)) << text;
  EXPECT_EQ(base64_decode(""), "");
}

TEST(Produce, a_lines_bytes_are_the_value_and_its_symbol_the_key) {
  const auto records = records_of_lines(
      "{\"symbol\":\"AAPL\", \"price\" : 1.50}\n"
      "\n"
      "not json\r\n"
      "{\"symbol\":7}\n"
      "{\"key\":\"k\",\"value_base64\":\"AAE=\"}\n"
      "{\"value_base64\":\"\"}");
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_EQ(records->size(), 5U);
  EXPECT_EQ((*records)[0].key, "AAPL");
  EXPECT_EQ((*records)[0].value, "{\"symbol\":\"AAPL\", \"price\" : 1.50}");
  EXPECT_EQ((*records)[1].value, "not json");
  EXPECT_EQ((*records)[2].key, "");
  EXPECT_EQ((*records)[3].key, "k");
  EXPECT_EQ((*records)[3].value, std::string("\0\1", 2));
  EXPECT_EQ((*records)[4].value, "");
}

TEST(Produce, a_message_as_it_is_written_here_has_its_key_too) {
  const std::string line =
      R"({"symbol":"BRK.B","price":1.5,"timestamp":"2026-03-02T15:00:00Z","data_source":"replay"})";
  EXPECT_EQ(records_of_lines(line)->front().key, "BRK.B");
  EXPECT_EQ(records_of_lines(line)->front().value, line);
  const std::string other =
      R"({"symbol":"A","price":1,"timestamp":"2026-03-02T15:00:00Z","value_base64":"AAE="})";
  EXPECT_EQ(records_of_lines(other)->front().value.size(), 2U);
}

TEST(Produce, what_cannot_be_taken_is_named_by_its_line) {
  EXPECT_FALSE(records_of_lines(""));
  EXPECT_FALSE(records_of_lines("\n\r\n"));
  for (const char* line :
       {R"({"value_base64":"x"})", R"({"value_base64":1})", R"({"key":1,"value_base64":""})"}) {
    const auto records = records_of_lines(std::string("a\n") + line);
    ASSERT_FALSE(records);
    EXPECT_NE(records.error().message.find("line 2"), std::string::npos);
  }
}

TEST(Produce, ten_thousand_lines_are_taken_and_one_more_is_not) {
  std::string body;
  for (std::size_t i = 0; i < msglog::kRecordsMax; ++i) body += "x\n";
  EXPECT_TRUE(records_of_lines(body));
  EXPECT_TRUE(records_of_lines(body + "\n\r\n"));
  EXPECT_FALSE(records_of_lines(body + "x"));
}

TEST(Produce, more_lines_than_one_append_takes_come_in_several_parts) {
  std::string lines;
  for (std::size_t i = 0; i < msglog::kRecordsMax; ++i) lines += "x\n";
  lines += "\ny\n";
  std::string_view rest = lines;
  std::size_t number = 0;
  EXPECT_EQ(next_records(rest, number)->size(), msglog::kRecordsMax);
  const auto last = next_records(rest, number);
  ASSERT_EQ(last->size(), 1U);
  EXPECT_EQ(last->front().value, "y");
  EXPECT_EQ(number, msglog::kRecordsMax + 2);
  EXPECT_TRUE(next_records(rest, number)->empty());
}

}  // namespace
}  // namespace tapeline::serve
