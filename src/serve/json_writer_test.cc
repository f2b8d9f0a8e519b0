#include "serve/json_writer.h"

#include <gtest/gtest.h>

#include <limits>

namespace tapeline::serve {
namespace {

TEST(JsonWriter, writes_objects_and_lists_with_their_commas) {
  JsonWriter json;
  json.begin_object().field("a", "x\"y").key("b").begin_list();
  json.value(std::int64_t{1}).value(true).begin_object().end_object();
  json.end_list().field("c", nullptr).end_object();
  EXPECT_EQ(json.text(), R"({"a":"x\"y","b":[1,true,{}],"c":null})");
}

TEST(JsonWriter, decimals_stay_exact_and_lose_only_their_zeros) {
  JsonWriter json;
  json.begin_list()
      .value(*Price::parse("123456789012.000001"))
      .value(warehouse::Value(warehouse::Decimal{"189.120000"}))
      .value(warehouse::Value(warehouse::Decimal{"100"}))
      .value(warehouse::Value(warehouse::Decimal{"-0.500"}))
      .end_list();
  EXPECT_EQ(json.text(), "[123456789012.000001,189.12,100,-0.5]");
}

TEST(JsonWriter, what_is_unknown_is_null) {
  JsonWriter json;
  json.begin_list()
      .value(std::optional<Price>())
      .value(warehouse::Value())
      .value(std::numeric_limits<double>::quiet_NaN())
      .value(0.1)
      .end_list();
  EXPECT_EQ(json.text(), "[null,null,null,0.1]");
}

TEST(JsonWriter, cells_have_the_form_of_their_type) {
  JsonWriter json;
  const auto at = parse_rfc3339("2025-01-04T14:30:00.5Z")->at;
  json.begin_list()
      .value(warehouse::Value(at))
      .value(warehouse::Value(*parse_date("2025-01-04")))
      .value(warehouse::Value(std::string("t")))
      .value(warehouse::Value(std::int64_t{7}))
      .value(warehouse::Value(true))
      .end_list();
  EXPECT_EQ(json.text(), R"(["2025-01-04T14:30:00.500Z","2025-01-04","t",7,true])");
}

}  // namespace
}  // namespace tapeline::serve
