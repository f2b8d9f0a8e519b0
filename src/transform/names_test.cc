#include "transform/names.h"

#include <gtest/gtest.h>

namespace tapeline::transform {
namespace {

text::Value json(std::string_view source) { return *text::parse_json(source); }

TEST(Names, python_repr_quotes_as_python_does) {
  EXPECT_EQ(python_repr(json(R"({"a":[1,2.5,true,null],"b":"it's"})")),
            R"({'a': [1, 2.5, True, None], 'b': "it's"})");
  EXPECT_EQ(python_repr("both ' and \""), R"('both \' and "')");
  EXPECT_EQ(python_repr("a\\b\n"), R"('a\\b\n')");
  EXPECT_EQ(python_repr(1.0), "1.0");
  EXPECT_EQ(python_repr(1e20), "1e+20");
}

TEST(Names, a_test_is_named_by_its_arguments_in_key_order) {
  const auto name =
      generic_test_name("accepted_values", "a", json(R"({"values":[2,3],"column_name":"id"})"));
  EXPECT_EQ(name.full, "accepted_values_a_id__2__3");
  EXPECT_EQ(name.alias, name.full);
  EXPECT_EQ(
      generic_test_name("relationships", "a",
                        json(R"json({"to":"ref('b')","field":"nofield","column_name":"id"})json"))
          .full,
      "relationships_a_id__nofield__ref_b_");
}

TEST(Names, a_long_name_gets_a_digest_for_its_alias) {
  const auto name = generic_test_name(
      "accepted_values", "stg_stock_prices",
      json(R"({"column_name":"session","values":["pre","regular","post","closed","unknown"]})"));
  EXPECT_EQ(name.alias.substr(0, 31), "accepted_values_stg_stock_pric_");
  EXPECT_EQ(name.alias.size(), 30u + 1 + 32);
}

// The ids are those that dbt-core 1.11.16 wrote into its manifest.
TEST(Names, test_ids_equal_those_of_dbt) {
  EXPECT_EQ(generic_test_id("shop", "accepted_values_a_id__2__3", "accepted_values", "",
                            json(R"json({"column_name":"id","values":[2,3],
                                     "model":"{{ get_where_subquery(ref('a')) }}"})json")),
            "test.shop.accepted_values_a_id__2__3.dce91d4ce0");
  EXPECT_EQ(
      generic_test_id("shop", "not_null_a_id", "not_null", "", json(R"json({"column_name":"id",
                                     "model":"{{ get_where_subquery(ref('a')) }}"})json")),
      "test.shop.not_null_a_id.c1cebc1440");
}

}  // namespace
}  // namespace tapeline::transform
