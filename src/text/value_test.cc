#include "text/value.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tapeline::text {
namespace {

TEST(Json, a_document_survives_the_way_there_and_back) {
  const std::string text =
      R"({"b":1,"a":[true,null,-2,1.5,"x\"\n\u00e9"],"c":{"d":9007199254740993}})";
  const auto value = parse_json(text);
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(to_json(*value),
            R"({"b":1,"a":[true,null,-2,1.5,"x\"\né"],"c":{"d":9007199254740993}})");
  EXPECT_EQ(value->int_or("b", 0), 1);
  EXPECT_EQ(value->find("nothing"), nullptr);
}

TEST(Json, what_is_none_is_an_error_with_its_place) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "nul", "\"\xff\"", "1 2"}) {
    EXPECT_FALSE(parse_json(text)) << text;
  }
  EXPECT_NE(parse_json("[1,]").error().message.find("byte 4"), std::string::npos)
      << parse_json("[1,]").error().message;
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
}

TEST(Json, read_exactly_a_number_is_what_was_written) {
  const auto value = parse_json_exactly("[0.1,1e2,-7,9007199254740993,18446744073709551615,\"x\"]");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(to_json(*value), R"(["0.1","1e2",-7,9007199254740993,"18446744073709551615","x"])");
}

TEST(Json, of_a_key_that_comes_again_the_last_value_counts_however_many_there_are) {
  std::string text = "{";
  for (const int value : {1, 2}) {  // looked for one by one, so many keys would take an hour
    for (int i = 0; i < 400'000; ++i) text += fmt::format("\"key {}\":{},", i, value * i);
  }
  const auto value = parse_json(text + "\"key 7\":\"x\"}");
  ASSERT_TRUE(value) << value.error().message;
  const Object& object = value->as_object();
  ASSERT_EQ(object.size(), 400'000U);
  EXPECT_EQ(object[7], (Object::value_type{"key 7", "x"}));
  EXPECT_EQ(object[399'999], (Object::value_type{"key 399999", 799'998}));
  EXPECT_EQ(to_json(*parse_json(R"({"a":1,"b":2,"a":3})")), R"({"a":3,"b":2})");
}

TEST(Json, bytes_that_are_no_text_are_replaced) {
  EXPECT_EQ(json_string("a\xff\x01"), "\"a\xef\xbf\xbd\\u0001\"");
  EXPECT_EQ(json_string("\xc3\xa9\xed\xa0\x80"),
            "\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(Yaml, scalars_have_the_core_types_and_quotes_keep_text) {
  const auto value =
      parse_yaml("a: 1\nb: 1.5\nc: yes\nd: 'true'\ne: true\nf: ~\ng: 007x\nh: \"5\"\n");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(to_json(*value),
            R"({"a":1,"b":1.5,"c":true,"d":"true","e":true,"f":null,"g":"007x","h":"5"})");
  EXPECT_EQ(value->find("c")->line, 3);
}

// What yaml.safe_load of PyYAML 6 gives for each of these.
TEST(Yaml, plain_scalars_are_what_dbt_takes_them_for) {
  const auto read = [](std::string_view text) {
    const auto value = parse_yaml(text);
    return value ? to_json(*value) : value.error().message;
  };
  EXPECT_EQ(read("[yes, No, ON, off, y, n, 'no', yEs]"),
            R"([true,false,true,false,"y","n","no","yEs"])");
  EXPECT_EQ(read("[-12, +12, 1_000, 014, 0x1F, 0b11, 08, 0, -0]"),
            R"([-12,12,1000,12,31,3,"08",0,0])");
  EXPECT_EQ(read("[1e5, 1.5e5, 1.5e+5, 1., .5, 1.5.2, +-5, --5, 1-2, _1, 0xg, 1:2x]"),
            R"(["1e5","1.5e5",150000,1,0.5,"1.5.2","+-5","--5","1-2","_1","0xg","1:2x"])");
  EXPECT_EQ(read("[2024-01-02, 123456789012345678901]"),
            R"(["2024-01-02","123456789012345678901"])");
}

TEST(Yaml, anchors_and_merge_keys_work) {
  const auto value = parse_yaml("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(to_json(*value->find("use")), R"({"y":3,"x":1})");
}

TEST(Yaml, problems_have_their_place) {
  EXPECT_NE(parse_yaml("a: 1\nb: [1,\n").error().message.find("line"), std::string::npos);
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n").error().message,
            "text is no YAML: line 2, column 1: the key 'a' stands twice");
}

TEST(Yaml, aliases_cannot_multiply_a_small_file) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += "*a" + std::to_string(i - 1) + (j < 9 ? ", " : "]\n");
  }
  EXPECT_FALSE(parse_yaml(text));
}

TEST(Toml, tables_and_dates_are_read) {
  const auto value = parse_toml("rate = 10\n[feed]\nname = \"simulator\"\nday = 2025-01-04\n");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->find("feed")->string_or("name", ""), "simulator");
  EXPECT_EQ(value->find("feed")->string_or("day", ""), "2025-01-04");
  EXPECT_NE(parse_toml("rate = \n").error().message.find("line 1"), std::string::npos);
}

}  // namespace
}  // namespace tapeline::text
