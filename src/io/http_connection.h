// One connection of the HTTP server, and what it shares with the server.
//
// http_connection.cc reads requests and writes answers and streams; http_server.cc listens, accepts
// and stops. Asio's types stand here, so only these two files include it.

#pragma once

#include <array>
#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "io/http_peer.h"
#include "io/http_server.h"

namespace tapeline::io {

/// What the server's thread, its connections and their handles share.
struct HttpServer::Shared {
  Shared(Clock& clock_of, HttpHandler& handler_of, Options options_of)
      : clock(clock_of), handler(handler_of), options(std::move(options_of)) {}

  Clock& clock;
  HttpHandler& handler;
  const Options options;
  boost::asio::io_context io{1};
  std::optional<boost::asio::ip::tcp::acceptor> tcp;
  std::optional<boost::asio::local::stream_protocol::acceptor> local;
  boost::asio::steady_timer drain{io};
  std::unordered_set<std::shared_ptr<Connection>> connections;
  std::atomic<std::size_t> connections_count{0};
  std::vector<std::string> hosts;
  std::uint16_t port = 0;
  bool stopping = false;

  template <typename Acceptor>
  void accept(Acceptor& acceptor, bool over_socket, const std::shared_ptr<Shared>& self);
  void stop();
  void close_all();
};

/// One connection, and the one request on it that is being read or answered.
/// threads: the server's; the `post_` functions and `send_now` from any
class HttpServer::Connection final : public HttpPeer,
                                     public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  Connection(std::shared_ptr<Shared> shared, Socket socket, bool over_socket)
      : shared_(std::move(shared)),
        socket_(std::move(socket)),
        timer_(shared_->io),
        buffer_(shared_->options.header_bytes_max + kReadAhead),
        over_socket_(over_socket) {}

  void wait_for_request();
  void refuse_for_load();
  void stop();
  void close();

  void post_send(HttpResponse response) override;
  void post_stream(std::shared_ptr<HttpStream::State> stream, HttpStream::Options options) override;
  void post_flush() override;
  bool send_now(HttpStream::State& stream) override;

 private:
  static constexpr std::size_t kReadAhead = 64 << 10;

  enum class Phase { idle, reading, answering, streaming, closing };

  void read_header();
  void on_header(boost::system::error_code error);
  void on_body(boost::system::error_code error);
  Result<HttpTarget> check_head(HttpResponse& refusal);
  void dispatch();
  void refuse(HttpResponse response);
  void send(HttpResponse response);
  std::string head_text(int status, const HttpHeaders& headers, std::string_view framing);
  void after_write(boost::system::error_code error);
  void begin_stream(std::shared_ptr<HttpStream::State> stream, const HttpStream::Options& options);
  void flush();
  std::string chunk_of(const std::string& bytes) const;
  std::function<void()> end_stream();
  void linger();
  void drop_input();
  void arm(Duration limit);
  void disarm();

  template <typename Buffers, typename Then>
  void write(const Buffers& buffers, Then then);

  const std::shared_ptr<Shared> shared_;
  Socket socket_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  const bool over_socket_;
  Phase phase_ = Phase::idle;
  std::uint64_t timer_turn_ = 0;  // which wait counts; one that was overtaken may still report
  bool timed_out_ = false;
  bool keep_alive_ = false;
  bool is_head_ = false;
  bool chunked_ = false;
  bool dropping_ = false;
  HttpRequest request_;
  std::string head_;
  std::string body_;
  std::shared_ptr<HttpStream::State> stream_;
  std::size_t dropped_bytes_ = 0;
  std::array<char, 512> dropped_;
};

}  // namespace tapeline::io
