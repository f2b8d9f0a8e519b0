#include "io/url.h"

#include <gtest/gtest.h>

namespace tapeline::io {
namespace {

TEST(Url, is_taken_apart_and_put_together) {
  struct Case {
    const char* text;
    const char* host;
    int port;
    const char* path;
    const char* whole;
  };
  for (const Case& c : {
           Case{"https://finnhub.io/api/v1", "finnhub.io", 443, "/api/v1",
                "https://finnhub.io:443/api/v1"},
           Case{"https://localhost:8443/", "localhost", 8443, "", "https://localhost:8443"},
           Case{"https://[::1]:7/x", "::1", 7, "/x", "https://[::1]:7/x"},
           Case{"http://127.0.0.1:80", "127.0.0.1", 80, "", "http://127.0.0.1:80"},
       }) {
    const auto url = parse_url(c.text, "https", "http");
    ASSERT_TRUE(url) << c.text << ": " << url.error().message;
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->path, c.path);
    EXPECT_EQ(url->text(), c.whole);
  }
}

TEST(Url, what_is_none_is_refused) {
  for (const char* text :
       {"", "finnhub.io", "ftp://finnhub.io", "https://", "https://:80",
        "https://a:", "https://a:0", "https://a:65536", "https://a:8x", "https://[::1",
        "https://[::1]8", "https://u:p@a/", "https://a/?token=x", "https://a b/", "wss://a"}) {
    EXPECT_FALSE(parse_url(text, "https", "http")) << text;
  }
}

TEST(Url, unencrypted_stays_on_this_machine) {
  for (const char* text : {"ws://localhost:1", "ws://127.0.0.53:1", "ws://[::1]:1"}) {
    EXPECT_TRUE(parse_url(text, "wss", "ws")) << text;
  }
  for (const char* text : {"ws://ws.finnhub.io", "ws://127.evil.example", "ws://0.0.0.0:1"}) {
    EXPECT_FALSE(parse_url(text, "wss", "ws")) << text;
  }
}

TEST(Url, what_may_hold_a_secret_is_not_repeated) {
  const auto url = parse_url("https://a/?token=verysecret", "https", "http");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message.find("verysecret"), std::string::npos);
}

}  // namespace
}  // namespace tapeline::io
