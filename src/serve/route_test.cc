#include "serve/route.h"

#include <gtest/gtest.h>

#include "io/http_message.h"

namespace tapeline::serve {
namespace {

const std::vector<Route> kRoutes = {
    {.method = "GET",
     .path = "/api/v1/bars",
     .summary = "Bars.",
     .params = {{.name = "symbol",
                 .type = ParamType::symbol,
                 .description = "The symbol",
                 .required = true},
                {.name = "limit",
                 .type = ParamType::integer,
                 .description = "How many",
                 .min = 1,
                 .max = 10},
                {.name = "from", .type = ParamType::time, .description = "The beginning"},
                {.name = "symbols", .type = ParamType::symbols, .description = "Which"},
                {.name = "unit",
                 .type = ParamType::choice,
                 .description = "The unit",
                 .choices = {"1m", "1d"}},
                {.name = "note", .type = ParamType::text, .description = "Any text"}},
     .success = {200, "application/json", "Bars"}},
    {.method = "GET", .path = "/api/v1/dags/{dag}", .summary = "A DAG."},
    {.method = "POST",
     .path = "/api/v1/dags/{dag}",
     .summary = "Changes a DAG.",
     .need = Need::write,
     .body_bytes_max = 10,
     .body_type = "application/json",
     .body_schema = "Object"},
};

Status check(std::string_view query) {
  const auto target = io::parse_target("/api/v1/bars?" + std::string(query));
  std::map<std::string, std::string, std::less<>> params;
  return check_params(kRoutes[0], *target, params);
}

TEST(Route, is_found_by_method_and_path_and_braces_stand_for_a_segment) {
  const auto target = *io::parse_target("/api/v1/dags/a%2Fb");
  const auto match = find_route(kRoutes, "HEAD", target);
  ASSERT_EQ(match.route, &kRoutes[1]);
  EXPECT_EQ(match.params.at("dag"), "a/b");
  EXPECT_EQ(find_route(kRoutes, "POST", target).route, &kRoutes[2]);
  const auto wrong = find_route(kRoutes, "DELETE", target);
  EXPECT_EQ(wrong.route, nullptr);
  EXPECT_EQ(wrong.allow, "GET, HEAD, POST");
  EXPECT_EQ(find_route(kRoutes, "GET", *io::parse_target("/api/v1/dags")).route, nullptr);
}

TEST(Route, parameters_of_the_right_form_pass) {
  EXPECT_TRUE(check("symbol=BINANCE%3ABTCUSDT"));
  EXPECT_TRUE(check("symbol=A&limit=10&from=2025-01-04&symbols=A,B&unit=1d&unknown=x"));
  EXPECT_TRUE(check("symbol=A&from=2025-01-04T10:00:00.123Z"));
}

TEST(Route, parameters_of_another_form_are_named_with_what_is_wanted) {
  for (const char* query :
       {"", "symbol=", "symbol=aapl", "symbol=A'--", "symbol=A&limit=0", "symbol=A&limit=11",
        "symbol=A&limit=1x", "symbol=A&limit=99999999999999999999", "symbol=A&from=yesterday",
        "symbol=A&from=2025-02-30", "symbol=A&symbols=", "symbol=A&symbols=A,,B",
        "symbol=A&unit=2m"}) {
    const auto checked = check(query);
    ASSERT_FALSE(checked) << query;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(checked.error().hint.empty()) << query;
  }
}

TEST(Route, text_is_counted_and_shown_in_whole_characters) {
  std::string most;
  for (int i = 0; i < 200; ++i) most += "\u00e9";
  EXPECT_TRUE(check("symbol=A&note=" + most));
  const auto checked = check("symbol=A&note=x" + most);
  ASSERT_FALSE(checked);
  EXPECT_TRUE(io::is_utf8(checked.error().message)) << checked.error().message;
}

TEST(Route, the_description_is_made_of_the_same_table) {
  const text::Value description = describe(kRoutes);
  const auto* paths = description.find("paths");
  ASSERT_EQ(paths->as_object().size(), 2U);
  const auto* get = paths->find("/api/v1/bars")->find("get");
  EXPECT_EQ(get->find("parameters")->as_list().size(), 6U);
  EXPECT_EQ(get->find("parameters")->as_list()[0].find("in")->as_string(), "query");
  EXPECT_NE(get->find("responses")->find("200"), nullptr);
  const auto* post = paths->find("/api/v1/dags/{dag}")->find("post");
  for (const char* status : {"401", "403", "413", "415"})
    EXPECT_NE(post->find("responses")->find(status), nullptr) << status;
  EXPECT_TRUE(post->find("requestBody"));
}

}  // namespace
}  // namespace tapeline::serve
