#include "jinja/value.h"

#include <gtest/gtest.h>

namespace tapeline::jinja {
namespace {

TEST(Value, prints_as_python_does) {
  EXPECT_EQ(Value().text(), "None");
  EXPECT_EQ(Value(true).text(), "True");
  EXPECT_EQ(Value(1.0).text(), "1.0");
  EXPECT_EQ(Value(1e16).text(), "1e+16");
  EXPECT_EQ(Value(1e-5).text(), "1e-05");
  EXPECT_EQ(Value("it's").repr(), "\"it's\"");
  EXPECT_EQ(Value::undefined("x").text(), "");
  EXPECT_EQ(Value::tuple({Value(1)}).text(), "(1,)");
  EXPECT_EQ(Value::list({Value("a"), Value()}).text(), "['a', None]");
  EXPECT_EQ(Value::dict({{Value("k"), Value(1)}}).text(), "{'k': 1}");
}

TEST(Value, a_list_inside_itself_prints_dots) {
  const Value list = Value::list();
  list.as_list().push_back(list);
  EXPECT_EQ(list.text(), "[[...]]");
  list.as_list().clear();
}

TEST(Value, numbers_are_equal_across_types) {
  EXPECT_TRUE(Value(1).equals(Value(1.0)));
  EXPECT_TRUE(Value(1).equals(Value(true)));
  EXPECT_FALSE(Value(1).equals(Value("1")));
  EXPECT_FALSE(Value().equals(Value(false)));
  EXPECT_FALSE(Value::list({}).equals(Value::tuple({})));
}

TEST(Value, a_large_dict_finds_what_was_set_and_forgets_what_was_taken_out) {
  const Value dict = Value::dict();
  for (int i = 0; i < 1000; ++i) dict.set("key" + std::to_string(i), Value(i));
  EXPECT_EQ(dict.find("key999")->as_int(), 999);
  dict.as_dict().erase(dict.as_dict().begin() + 10);
  EXPECT_FALSE(dict.find("key10"));
  EXPECT_EQ(dict.find("key999")->as_int(), 999);
  dict.set("new", Value("x"));
  dict.set("key5", Value("five"));
  EXPECT_EQ(dict.find("new")->as_string(), "x");
  EXPECT_EQ(dict.find("key5")->as_string(), "five");
  EXPECT_EQ(dict.as_dict().size(), 1000U);
}

TEST(Value, copies_share_lists) {
  const Value a = Value::list();
  const Value b = a;
  b.as_list().push_back(Value(1));
  EXPECT_EQ(a.as_list().size(), 1U);
  EXPECT_TRUE(a.same_as(b));
  EXPECT_FALSE(a.same_as(Value::list({Value(1)})));
}

TEST(Value, an_object_without_an_attribute_gives_undefined) {
  class Thing : public HostObject {
   public:
    std::string type_name() const override { return "Thing"; }
  };
  const Value thing(std::static_pointer_cast<HostObject>(std::make_shared<Thing>()));
  const auto attribute = thing.as_object()->attribute("x");
  ASSERT_TRUE(attribute);
  EXPECT_EQ(attribute->undefined_message(), "'Thing object' has no attribute 'x'");
  EXPECT_FALSE(thing.as_object()->call({}));
  EXPECT_FALSE(thing.as_object()->call_method("x", {}));
}

}  // namespace
}  // namespace tapeline::jinja
