#include "io/relay.h"

#include <gtest/gtest.h>

#include "io/http_testing.h"

namespace tapeline::io {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRefusal = "HTTP/1.1 503 nobody\r\nContent-Length: 0\r\n\r\n";

/// Answers with what was sent.
class Echo final : public HttpHandler {
 public:
  Admission admit(const HttpRequest&) override { return {.body_bytes_max = 64 << 20}; }
  void handle(HttpRequest request, HttpReply reply) override {
    reply.send({.status = 200, .body = std::move(request.body)});
  }
};

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    auto opened = Relay::open({.refusal = kRefusal});
    EXPECT_TRUE(opened);
    relay_ = *std::move(opened);
    thread_ = std::jthread([this](std::stop_token stop) { relay_->run(std::move(stop)); });
  }
  Result<HttpResponse> send(const std::string& body) {
    return http_call({.port = relay_->port()}, {"POST", "/", {}, body}, 10s);
  }
  std::unique_ptr<Clock> clock_ = make_system_clock();
  Echo echo_;
  std::unique_ptr<Relay> relay_;
  std::jthread thread_;
};

TEST_F(RelayTest, bytes_go_there_and_come_back) {
  RunningServer server(*clock_, echo_);
  relay_->set_target("127.0.0.1", server.address.port);
  EXPECT_EQ(send("hello")->body, "hello");
  const std::string much(20 << 20, 'x');
  EXPECT_EQ(send(much)->body, much);
}

TEST(HttpClient, an_answer_that_ends_too_early_is_said_to) {
  for (const char* bytes : {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf"}) {
    auto relay = *Relay::open({.refusal = bytes});
    const std::jthread thread([&](std::stop_token stop) { relay->run(std::move(stop)); });
    const auto got = http_call({.port = relay->port()}, {}, 10s);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, ErrorCode::unavailable);
    EXPECT_NE(got.error().message.find("ended before its answer did"), std::string::npos)
        << bytes << ": " << got.error().message;
  }
}

TEST_F(RelayTest, without_a_target_the_refusal_comes_and_a_new_target_answers) {
  EXPECT_EQ(send("anybody?")->status, 503);
  std::uint16_t gone = 0;
  {
    RunningServer server(*clock_, echo_);
    gone = server.address.port;
    relay_->set_target("127.0.0.1", gone);
    EXPECT_EQ(send("one")->body, "one");
  }
  EXPECT_EQ(send("two")->status, 503);
  RunningServer server(*clock_, echo_);
  relay_->set_target("127.0.0.1", server.address.port);
  EXPECT_EQ(send("three")->body, "three");
}

TEST_F(RelayTest, the_port_is_free_again_and_open_connections_end_with_it) {
  RunningServer server(*clock_, echo_);
  relay_->set_target("127.0.0.1", server.address.port);
  const std::uint16_t port = relay_->port();
  RawConnection open(port);
  open.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(Relay::open({.port = port}).error().code, ErrorCode::already_exists);
  thread_.request_stop();
  thread_.join();
  relay_.reset();
  EXPECT_EQ(open.read_all(), "");
  EXPECT_TRUE(Relay::open({.port = port}));
  EXPECT_EQ(Relay::open({.address = "here"}).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace tapeline::io
