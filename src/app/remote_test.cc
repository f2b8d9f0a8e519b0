// Goal: what the owner says went wrong is what its member hears, and whether trying again can help.
// Method: a server on a real socket that gives one answer to everything.

#include "app/remote.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "app/members/owner_link.h"
#include "io/http_testing.h"
#include "serve/route.h"

namespace tapeline::app {
namespace {

using namespace std::chrono_literals;

class OneAnswer final : public io::HttpHandler {
 public:
  Admission admit(const io::HttpRequest&) override { return {1 << 20}; }
  void handle(io::HttpRequest, io::HttpReply reply) override { reply.send(answer); }

  io::HttpResponse answer;
};

class RemoteTest : public testing::Test {
 protected:
  const std::unique_ptr<Clock> clock_ = make_system_clock();
  const std::string socket_ = testing::TempDir() + "tl_remote.sock";
  OneAnswer owner_;
  io::RunningServer server_{*clock_, owner_, {.socket_path = socket_}};
  OwnerLink link_{Owner{.socket = socket_}, 2s, {}};
};

TEST_F(RemoteTest, an_owners_error_comes_through_whole) {
  const msglog::Record record{"A", "{}"};
  for (const ErrorCode code :
       {ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::already_exists,
        ErrorCode::corrupt, ErrorCode::unavailable, ErrorCode::timed_out, ErrorCode::unsupported}) {
    owner_.answer = serve::error_response(Error{code, "no \"such\" thing", "Look elsewhere."});
    const auto loaded = link_.load("load-1");
    const auto appended = link_.append("stock_prices", {&record, 1});
    ASSERT_FALSE(loaded || appended) << to_string(code);
    for (const Error& error : {loaded.error(), appended.error()}) {
      EXPECT_EQ(error.code, code) << to_string(error.code);
      EXPECT_EQ(error.message, "no \"such\" thing");
      EXPECT_EQ(error.hint, "Look elsewhere.");
    }
  }
}

// It stops, or an error of a later version: another owner, or the same one later, may do it.
TEST_F(RemoteTest, what_is_the_owners_own_affair_can_be_tried_again) {
  owner_.answer = serve::error_response(Error{ErrorCode::cancelled, "stopped", ""});
  EXPECT_TRUE(link_.load("load-1").error().retryable());
  owner_.answer = io::http_error(500, "strange", "nobody knows", "");
  EXPECT_TRUE(link_.load("load-1").error().retryable());
}

TEST_F(RemoteTest, a_request_that_ended_badly_says_what_the_owner_said) {
  owner_.answer = serve::json_response(R"({"err":"error: no room for it\n"})"
                                       "\n"
                                       R"({"exit":2})");
  const auto loaded = link_.load("load-1");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "the owner answered with exit code 2: error: no room for it");
  EXPECT_EQ(loaded.error().hint, "");
}

}  // namespace
}  // namespace tapeline::app
