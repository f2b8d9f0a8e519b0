#include "io/http_message.h"

#include <gtest/gtest.h>

namespace tapeline::io {
namespace {

TEST(HttpMessage, a_target_is_split_before_it_is_decoded) {
  const auto target = parse_target("/api/v1/topics/a%2Fb/records?from=2025-01-04T10%3A00Z&x=a+b&y");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"api", "v1", "topics", "a/b", "records"}));
  ASSERT_EQ(target->query.size(), 3U);
  EXPECT_EQ(target->query[0].second, "2025-01-04T10:00Z");
  EXPECT_EQ(target->query[1].second, "a b");
  EXPECT_EQ(target->query[2].second, "");
}

TEST(HttpMessage, the_root_has_no_segments_and_a_last_slash_is_dropped) {
  EXPECT_TRUE(parse_target("/")->segments.empty());
  EXPECT_EQ(parse_target("/a/")->segments, std::vector<std::string>{"a"});
}

TEST(HttpMessage, paths_that_climb_or_hide_are_refused) {
  for (const char* target :
       {"", "x", "*", "http://x/", "/..", "/a/../b", "/%2e%2e/b", "/a//b", "//", "/%00", "/a%0db",
        "/%", "/%4", "/%zz", "/%ff", "/%c0%ae", "/%ed%a0%80", "/?a=%f8"})
    EXPECT_FALSE(parse_target(target)) << target;
}

TEST(HttpMessage, encoding_and_decoding_are_inverse) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "ü€😀";
  EXPECT_EQ(*percent_decode(percent_encode(all), true), all);
}

TEST(HttpMessage, a_host_header_is_compared_by_name_without_its_port) {
  const std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  for (const char* host : {"localhost", "LOCALHOST:8787", "127.0.0.1:1", "[::1]:80", "[::1]"})
    EXPECT_TRUE(host_is_one_of(host, names)) << host;
  for (const char* host : {"", "evil.example", "localhost.evil.example:80", "127.0.0.1.x", "[::1",
                           "localhost:80:1", "localhost:x", "[::1]x"})
    EXPECT_FALSE(host_is_one_of(host, names)) << host;
}

TEST(HttpMessage, dates_have_the_form_of_rfc_9110) {
  EXPECT_EQ(format_http_date(Timestamp(std::chrono::seconds(784111777))),
            "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(HttpMessage, an_error_is_json_whatever_its_message_holds) {
  EXPECT_EQ(http_error(400, "invalid_argument", "no \"x\"\\\n", "").body,
            R"({"error":{"code":"invalid_argument","message":"no \"x\"\\\u000a","hint":""}})");
  EXPECT_TRUE(is_utf8(http_error(400, "invalid_argument", "\xcf\x1a", "\xff").body));
}

}  // namespace
}  // namespace tapeline::io
