#include "serve/access.h"

#include <gtest/gtest.h>

namespace tapeline::serve {
namespace {

io::HttpRequest request(io::HttpHeaders headers) {
  io::HttpRequest made;
  made.method = "POST";
  made.headers = std::move(headers);
  made.headers.emplace_back("Host", "localhost:8787");
  return made;
}

int status(const Access& access, const io::HttpRequest& of, Need need) {
  const auto refusal = access.refusal(of, need);
  return refusal ? refusal->status : 0;
}

/// "name=value", as a browser sends what it was given.
std::string cookie_of(const io::HttpResponse& answer) {
  const std::string cookie = *io::find_header(answer.headers, "Set-Cookie");
  return cookie.substr(0, cookie.find(';'));
}

const io::HttpHeaders kJson = {{"Content-Type", "application/json"}};

io::HttpHeaders json_and(std::string name, std::string value) {
  io::HttpHeaders headers = kJson;
  headers.emplace_back(std::move(name), std::move(value));
  return headers;
}

TEST(Access, on_loopback_anyone_reads_and_nobody_writes_without_a_token) {
  const Access access({.local = "secret"});
  EXPECT_EQ(status(access, request({}), Need::read), 0);
  EXPECT_EQ(status(access, request(kJson), Need::write), 401);
  EXPECT_EQ(status(access, request(json_and("Authorization", "Bearer wrong!")), Need::write), 401);
  EXPECT_EQ(status(access, request(json_and("Authorization", "Bearer secret")), Need::write), 0);
  EXPECT_EQ(
      status(access,
             request(json_and("Cookie", "a=b; " + cookie_of(access.login_by_token("secret")))),
             Need::write),
      0);
}

TEST(Access, without_any_token_nothing_is_written_over_tcp) {
  const Access access({});
  EXPECT_EQ(status(access, request(json_and("Authorization", "Bearer ")), Need::write), 401);
  Access open({});
  open.allow_once("code");
  EXPECT_EQ(status(access, request(json_and("Cookie", cookie_of(open.login_by_code("code")))),
                   Need::write),
            401);
}

TEST(Access, an_api_token_makes_readers_log_in) {
  const Access access({.local = "secret", .api = "api", .view = "view"});
  EXPECT_EQ(status(access, request({}), Need::read), 401);
  EXPECT_EQ(status(access, request({{"Authorization", "Bearer view"}}), Need::read), 0);
  EXPECT_EQ(status(access, request(json_and("Authorization", "Bearer view")), Need::write), 403);
  EXPECT_EQ(status(access, request(json_and("Authorization", "bearer api")), Need::write), 0);
}

TEST(Access, a_page_of_another_site_cannot_write_whatever_it_knows) {
  const Access access({.local = "secret"});
  for (const auto& [name, value] : io::HttpHeaders{{"Origin", "http://evil.example"},
                                                   {"Origin", "null"},
                                                   {"Origin", "http://localhost:9999"},
                                                   {"Sec-Fetch-Site", "cross-site"},
                                                   {"Sec-Fetch-Site", "same-site"}}) {
    auto headers = json_and("Cookie", cookie_of(access.login_by_token("secret")));
    headers.emplace_back(name, value);
    EXPECT_EQ(status(access, request(headers), Need::write), 403) << name << value;
  }
  auto own = json_and("Cookie", cookie_of(access.login_by_token("secret")));
  own.emplace_back("Origin", "http://localhost:8787");
  own.emplace_back("Sec-Fetch-Site", "same-origin");
  EXPECT_EQ(status(access, request(own), Need::write), 0);
}

TEST(Access, a_form_cannot_write) {
  const Access access({.local = "secret"});
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
    EXPECT_EQ(status(access, request({{"Content-Type", type}, {"Authorization", "Bearer secret"}}),
                     Need::write),
              415);
  EXPECT_EQ(status(access,
                   request({{"Content-Type", "application/x-ndjson; charset=utf-8"},
                            {"Authorization", "Bearer secret"}}),
                   Need::write),
            0);
}

TEST(Access, the_socket_is_trusted_and_some_things_are_served_there_only) {
  const Access access({.local = "secret", .api = "api"});
  io::HttpRequest local;
  local.over_socket = true;
  EXPECT_EQ(status(access, local, Need::write), 0);
  EXPECT_EQ(status(access, local, Need::socket), 0);
  EXPECT_EQ(status(access, request(json_and("Authorization", "Bearer secret")), Need::socket), 403);
}

TEST(Access, a_link_logs_in_once) {
  Access access({.local = "s;cret"});
  EXPECT_EQ(access.login_by_code("").status, 401);
  access.allow_once("code");
  EXPECT_EQ(access.login_by_code("other").status, 401);
  const auto logged_in = access.login_by_code("code");
  EXPECT_EQ(logged_in.status, 303);
  const std::string cookie = *io::find_header(logged_in.headers, "Set-Cookie");
  EXPECT_NE(cookie.find("HttpOnly; SameSite=Strict"), std::string::npos);
  EXPECT_EQ(status(access, request(json_and("Cookie", cookie_of(logged_in))), Need::write), 0);
  EXPECT_EQ(access.login_by_code("code").status, 401);
  EXPECT_EQ(access.take_code(), "");
  access.allow_once("next");
  EXPECT_EQ(access.take_code(), "next");
  EXPECT_EQ(access.login_by_code("next").status, 401);
}

TEST(Access, two_directories_on_one_machine_leave_each_others_cookies_alone) {
  const Access one({.local = "secret", .api = "api"});
  const Access other({.local = "another", .api = "api"});
  const std::string first = cookie_of(one.login_by_token("secret"));
  const std::string second = cookie_of(other.login_by_token("another"));
  EXPECT_NE(first.substr(0, first.find('=')), second.substr(0, second.find('=')));
  for (const std::string& both : {first + "; " + second, second + "; " + first}) {
    EXPECT_EQ(status(one, request(json_and("Cookie", both)), Need::write), 0);
    EXPECT_EQ(status(other, request(json_and("Cookie", both)), Need::write), 0);
  }
  EXPECT_EQ(status(other, request(json_and("Cookie", first)), Need::write), 401);
}

TEST(Access, a_token_logs_in_as_what_it_allows) {
  const Access access({.api = "api", .view = "view"});
  EXPECT_EQ(access.login_by_token("view").status, 204);
  EXPECT_EQ(access.login_by_token("").status, 401);
  EXPECT_EQ(access.login_by_token("nope").status, 401);
}

}  // namespace
}  // namespace tapeline::serve
