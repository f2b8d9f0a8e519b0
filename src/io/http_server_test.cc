// Goal: what the server promises about any bytes and any pace, over real sockets.
// Method: a handler that echoes, streams, or keeps the reply for the test's own thread.

#include "io/http_server.h"

#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "io/http_testing.h"

namespace tapeline::io {
namespace {

using namespace std::chrono_literals;

class EchoHandler final : public HttpHandler {
 public:
  Admission admit(const HttpRequest& head) override {
    if (head.target.path == "/forbidden") return {0, http_error(403, "no", "not here", "")};
    return {1000};
  }

  void handle(HttpRequest request, HttpReply reply) override {
    const std::string& path = request.target.path;
    if (path == "/drop") return;
    if (path == "/keep" || path == "/stream" || path == "/large") {
      std::lock_guard lock(mutex_);
      if (path == "/keep") {
        kept_ = std::move(reply);
      } else {
        stream_ = reply.stream(
            {.headers = {{"Content-Type", "text/plain"}},
             .pending_bytes_max = path == "/large" ? 16U << 20 : 1000U},
            {.on_writable = [this] { ++writable; }, .on_closed = [this] { note_closed(); }});
      }
      changed_.notify_all();
      return;
    }
    reply.send({200, {{"X-Path", path}}, request.method + " " + path + " " + request.body});
  }

  HttpReply wait_for_reply() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return kept_.has_value(); }));
    return *std::exchange(kept_, std::nullopt);
  }
  HttpStream wait_for_stream() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return stream_.has_value(); }));
    return *std::exchange(stream_, std::nullopt);
  }
  bool wait_for_close() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return closed_; });
  }

  std::atomic<int> writable{0};

 private:
  void note_closed() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<HttpReply> kept_;
  std::optional<HttpStream> stream_;
  bool closed_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServer::Options options = {}) {
    server_.emplace(*clock_, handler_, std::move(options));
  }
  std::uint16_t port() const { return server_->address.port; }

  /// Sends `bytes` on a connection of their own; everything that comes until it closes.
  std::string exchange(std::string_view bytes) {
    RawConnection connection(port());
    connection.send(bytes);
    return connection.read_all();
  }

  std::unique_ptr<Clock> clock_ = make_system_clock();
  EchoHandler handler_;
  std::optional<RunningServer> server_;
};

constexpr std::string_view kHost = "Host: localhost\r\n";

std::string request(std::string_view line, std::string_view headers = "") {
  return std::string(line) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(headers) + "\r\n";
}

TEST_F(HttpServerTest, answers_and_keeps_the_connection) {
  start();
  RawConnection connection(port());
  for (int i = 0; i < 3; ++i) {
    connection.forget();
    connection.send(request("GET /a"));
    const std::string& got = connection.read_until("GET /a ");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
    EXPECT_NE(got.find("Connection: keep-alive"), std::string::npos);
    EXPECT_NE(got.find("Date: "), std::string::npos);
  }
}

TEST_F(HttpServerTest, pipelined_requests_are_answered_in_order_and_bodies_stay_apart) {
  start();
  const std::string got =
      exchange(request("POST /1", "Content-Length: 3\r\n") + "abc" + request("GET /2") +
               request("POST /3", "Transfer-Encoding: chunked\r\n") + "2\r\nde\r\n0\r\n\r\n" +
               request("GET /4", "Connection: close\r\n"));
  const auto one = got.find("POST /1 abc");
  const auto two = got.find("GET /2 HTTP");
  const auto three = got.find("POST /3 de");
  const auto four = got.find("GET /4 ");
  EXPECT_LT(one, two) << got;
  EXPECT_LT(two, three) << got;
  EXPECT_LT(three, four) << got;
  EXPECT_NE(four, std::string::npos) << got;
}

TEST_F(HttpServerTest, head_has_the_length_and_no_body) {
  start();
  const std::string got = exchange(request("HEAD /abc", "Connection: close\r\n"));
  EXPECT_NE(got.find("Content-Length: 10\r\n"), std::string::npos) << got;
  EXPECT_TRUE(got.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, wrong_requests_get_a_json_answer_that_says_why) {
  start({.header_bytes_max = 2000});
  const std::string long_header = "X: " + std::string(5000, 'x') + "\r\n";
  const struct {
    std::string bytes;
    std::string status;
  } cases[] = {
      {"nonsense\r\n\r\n", "400"},
      {"GET / HTTP/9.9\r\n\r\n", "505"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"},
      {request("GET /../etc/passwd"), "400"},
      {request("GET /%2e%2e/etc/passwd"), "400"},
      {request("GET http://x/"), "400"},
      {request("GET /", long_header), "431"},
      {request("POST /", "Content-Length: 1001\r\n"), "413"},
      {request("POST /", "Content-Length: x\r\n"), "400"},
      {request("POST /", "Transfer-Encoding: chunked\r\n") + "zz\r\n", "400"},
      {request("POST /", "Transfer-Encoding: chunked\r\n") + "7d0\r\n" + std::string(2000, 'x'),
       "413"},
      {request("POST /", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
       "400"},
      {request("POST /", "Transfer-Encoding: xchunked\r\n") + request("GET /a"), "501"},
      {request("POST /", "Transfer-Encoding: chunked, identity\r\n") + request("GET /a"), "501"},
  };
  for (const auto& wrong : cases) {
    const std::string got = exchange(wrong.bytes);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 " + wrong.status)) << wrong.bytes << "\n" << got;
    EXPECT_NE(got.find(R"({"error":{"code":)"), std::string::npos) << got;
    EXPECT_NE(got.find("Connection: close"), std::string::npos) << got;
  }
}

TEST_F(HttpServerTest, a_refused_upload_still_reads_its_answer) {
  start();
  const std::string got =
      exchange(request("POST /", "Content-Length: 4000000\r\n") + std::string(4'000'000, 'x'));
  EXPECT_TRUE(got.starts_with("HTTP/1.1 413")) << got.substr(0, 100);
}

TEST_F(HttpServerTest, what_is_not_admitted_is_refused_before_its_body) {
  start();
  EXPECT_TRUE(
      exchange(request("POST /forbidden", "Content-Length: 5\r\n")).starts_with("HTTP/1.1 403"));
  RawConnection connection(port());
  connection.send(request("GET /forbidden") + request("GET /a"));
  EXPECT_TRUE(connection.read_until("GET /a ").starts_with("HTTP/1.1 403"));
}

TEST_F(HttpServerTest, a_body_is_asked_for_where_the_client_waits) {
  start();
  RawConnection connection(port());
  connection.send(request("POST /a", "Content-Length: 3\r\nExpect: 100-continue\r\n"));
  connection.read_until("100 Continue\r\n\r\n");
  connection.send("abc");
  EXPECT_NE(connection.read_until("abc").find("POST /a abc"), std::string::npos);
}

TEST_F(HttpServerTest, a_header_that_trickles_in_is_answered_with_408) {
  start({.header_max = 50ms});
  RawConnection connection(port());
  connection.send("GET / HTT");
  const std::string& got = connection.read_all();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 408")) << got;
}

TEST_F(HttpServerTest, a_body_that_never_comes_is_answered_with_408) {
  start({.body_max = 50ms});
  EXPECT_TRUE(exchange(request("POST /", "Content-Length: 3\r\n")).starts_with("HTTP/1.1 408"));
}

TEST_F(HttpServerTest, an_idle_connection_is_closed_without_a_word) {
  start({.idle_max = 50ms});
  EXPECT_EQ(exchange(""), "");
}

TEST_F(HttpServerTest, connections_past_the_limit_are_told_so) {
  start({.connections_max = 1});
  RawConnection first(port());
  first.send(request("GET /a"));
  first.read_until("GET /a ");
  EXPECT_TRUE(exchange(request("GET /b")).starts_with("HTTP/1.1 503"));
}

TEST_F(HttpServerTest, a_reply_may_come_from_another_thread_or_not_at_all) {
  start();
  RawConnection connection(port());
  connection.send(request("GET /keep"));
  handler_.wait_for_reply().send({202, {{"X-Name", "a\r\nX-Evil: b"}}, "later"});
  const std::string& got = connection.read_until("later");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 202 Accepted")) << got;
  EXPECT_EQ(got.find("\r\nX-Evil"), std::string::npos) << got;
  EXPECT_TRUE(exchange(request("GET /drop", "Connection: close\r\n")).starts_with("HTTP/1.1 500"));
}

TEST_F(HttpServerTest, a_stream_is_fed_from_another_thread_until_it_ends) {
  start();
  RawConnection connection(port());
  connection.send(request("GET /stream"));
  HttpStream stream = handler_.wait_for_stream();
  EXPECT_NE(stream.write("one"), HttpStream::Written::refused);
  connection.read_until("one");
  while (handler_.writable == 0) std::this_thread::yield();
  EXPECT_NE(stream.write("two"), HttpStream::Written::refused);
  connection.read_until("two");
  stream.end();
  EXPECT_EQ(stream.write("three"), HttpStream::Written::refused);
  const std::string& got = connection.read_all();
  EXPECT_NE(got.find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_TRUE(got.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")) << got;
}

TEST_F(HttpServerTest, a_stream_to_an_old_client_is_not_chunked) {
  start();
  RawConnection connection(port());
  connection.send("GET /stream HTTP/1.0\r\n\r\n");
  HttpStream stream = handler_.wait_for_stream();
  stream.write("one");
  stream.end();
  EXPECT_TRUE(connection.read_all().ends_with("\r\n\r\none"));
}

TEST_F(HttpServerTest, what_the_kernel_takes_a_part_of_goes_on_where_it_ended) {
  start();
  RawConnection connection(port());
  connection.send(request("GET /large"));
  HttpStream stream = handler_.wait_for_stream();
  while (handler_.writable == 0) std::this_thread::yield();
  std::string expected;
  for (char letter = 'a'; letter <= 'c'; ++letter) {  // more than the buffers take; nobody reads
    const std::string text(4 << 20, letter);
    EXPECT_NE(stream.write(text), HttpStream::Written::refused);
    expected += text;
  }
  stream.end();
  const std::string& got = connection.read_all();
  std::string texts;
  for (std::size_t at = got.find("\r\n\r\n") + 4; at < got.size();) {
    const std::size_t size = std::stoul(got.substr(at, 16), nullptr, 16);
    at = got.find("\r\n", at) + 2;
    texts += got.substr(at, size);
    at += size + 2;
  }
  EXPECT_TRUE(texts == expected) << texts.size() << " of " << expected.size();
}

TEST_F(HttpServerTest, a_stream_learns_that_its_reader_went) {
  start();
  std::optional<RawConnection> connection(port());
  connection->send(request("GET /stream"));
  HttpStream stream = handler_.wait_for_stream();
  connection.reset();
  EXPECT_TRUE(handler_.wait_for_close());
  EXPECT_TRUE(stream.closed());
  EXPECT_EQ(stream.write("x"), HttpStream::Written::refused);
}

TEST_F(HttpServerTest, who_asks_for_the_head_of_a_stream_gets_no_stream) {
  start();
  RawConnection connection(port());
  connection.send(request("HEAD /stream"));
  EXPECT_TRUE(connection.read_all().ends_with("\r\n\r\n"));
  EXPECT_TRUE(handler_.wait_for_close());
  EXPECT_EQ(handler_.wait_for_stream().write("x"), HttpStream::Written::refused);
}

TEST_F(HttpServerTest, a_stalled_reader_is_refused_more_and_then_closed) {
  start({.stall_max = 100ms});
  RawConnection connection(port());
  connection.send(request("GET /stream"));
  HttpStream stream = handler_.wait_for_stream();
  EXPECT_EQ(stream.write(std::string(1001, 'x')), HttpStream::Written::refused);
  while (!stream.closed()) stream.write(std::string(1000, 'x'));
  EXPECT_TRUE(handler_.wait_for_close());
}

TEST_F(HttpServerTest, stopping_answers_what_is_open_and_ends_streams) {
  start();
  RawConnection idle(port());
  idle.send(request("GET /a"));
  idle.read_until("GET /a ");
  RawConnection waiting(port());
  waiting.send(request("GET /keep"));
  HttpReply reply = handler_.wait_for_reply();
  RawConnection streaming(port());
  streaming.send(request("GET /stream"));
  HttpStream stream = handler_.wait_for_stream();
  std::jthread stopper([&] { server_->stop(); });
  EXPECT_TRUE(handler_.wait_for_close());
  reply.send({200, {}, "answered"});
  EXPECT_NE(waiting.read_all().find("answered"), std::string::npos);
  stopper.join();
  EXPECT_EQ((*server_)->connections(), 0U);
}

TEST_F(HttpServerTest, the_unix_socket_is_private_and_needs_no_host) {
  const std::string path = testing::TempDir() + "tl_http_server.sock";
  start({.socket_path = path});
  struct stat file {};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  const auto got =
      http_call({.socket_path = path}, {.method = "POST", .target = "/x", .body = "hello"}, 10s);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->body, "POST /x hello");
  server_.reset();
  EXPECT_NE(::stat(path.c_str(), &file), 0);
}

TEST_F(HttpServerTest, a_taken_port_and_a_long_path_are_said_plainly) {
  start();
  const auto second = HttpServer::open(*clock_, handler_, {.port = port()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  const auto path = HttpServer::open(*clock_, handler_,
                                     {.address = "", .socket_path = "/" + std::string(200, 'x')});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(HttpServer::open(*clock_, handler_, {.address = "nowhere", .port = 0}));
}

// The client, against the same server.

TEST_F(HttpServerTest, the_client_reads_lines_as_they_come) {
  start();
  std::vector<std::string> lines;
  HttpStream stream;
  std::jthread feeder([&] {
    stream = handler_.wait_for_stream();
    stream.write("one\ntw");
  });
  const auto got =
      http_lines(server_->address, {.target = "/stream"}, 10s, {}, [&](std::string_view line) {
        lines.emplace_back(line);
        if (lines.size() == 1) {
          feeder.join();
          stream.write("o\n\nlast");
          stream.end();
        }
        return true;
      });
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "last"}));
}

TEST_F(HttpServerTest, the_client_gives_up_in_time_and_when_told) {
  start({.drain_max = 50ms});
  const auto late = http_call(server_->address, {.target = "/keep"}, 50ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::timed_out);
  std::stop_source stop;
  std::jthread stopper([&] {
    handler_.wait_for_stream();
    stop.request_stop();
  });
  const auto stopped = http_lines(server_->address, {.target = "/stream"}, 10s, stop.get_token(),
                                  [](std::string_view) { return true; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(handler_.wait_for_close());
}

TEST_F(HttpServerTest, the_client_says_that_nobody_listens) {
  start();
  const HttpAddress address = server_->address;
  server_.reset();
  const auto got = http_call(address, {}, 10s);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::unavailable);
  EXPECT_EQ(http_call({.socket_path = "/nowhere/x.sock"}, {}, 10s).error().code,
            ErrorCode::unavailable);
}

}  // namespace
}  // namespace tapeline::io
