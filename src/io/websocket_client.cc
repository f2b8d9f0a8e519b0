#include "io/websocket_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>

#include "io/tls.h"

namespace tapeline::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using Plain = beast::tcp_stream;
using Encrypted = beast::ssl_stream<beast::tcp_stream>;

constexpr std::size_t kSendsMax = 10'000;  // that wait: more is a mistake of ours or a dead peer

std::chrono::steady_clock::duration real(Duration length) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(length);
}

/// The connection over either kind of stream. All handlers run inside next().
template <typename Stream>
class Connection final : public WebSocketClient {
 public:
  Connection(Options options, asio::ssl::context tls)
      : options_(std::move(options)), tls_(std::move(tls)), socket_(make_socket()) {
    socket_.read_message_max(options_.message_bytes_max);
    socket_.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
      request.set(http::field::user_agent, "tapeline/" TAPELINE_VERSION);
    }));
    socket_.control_callback([this](websocket::frame_type kind, beast::string_view) {
      if (kind != websocket::frame_type::close) put({WebSocketEvent::Kind::signal, "", 0, {}});
    });
    set_deadline("connecting to");
    resolve();
  }

  ~Connection() override {
    // Handlers that are left hold no more than this: run them off while it is whole.
    drop();
    io_.restart();
    io_.poll();
  }

  void send(std::string text) override {
    if (ended_) return;
    if (sends_.size() >= kSendsMax) {
      fail(Error{ErrorCode::unavailable, fmt::format("'{}' takes nothing", name()), ""}, 0);
      return;
    }
    sends_.push_back(std::move(text));
    if (sends_.size() == 1 && opened_) write();
  }

  std::optional<WebSocketEvent> next(Duration wait) override {
    bool over = false;
    if (events_.empty() && !ended_) {
      asio::steady_timer patience(io_, real(wait));
      patience.async_wait([&over](error_code) { over = true; });
      io_.restart();
      while (events_.empty() && !over && io_.run_one() > 0) {
      }
      patience.cancel();
      while (!over && io_.run_one() > 0) {  // its handler must not outlive this call
      }
      while (events_.empty() && io_.poll_one() > 0) {  // a long message comes in many pieces
      }
    }
    if (events_.empty()) return std::nullopt;
    WebSocketEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  void close() override {
    if (ended_ || closing_) return;
    closing_ = true;
    if (!opened_) {
      fail(Error{ErrorCode::cancelled, "closed before it was open", ""}, 0);
      return;
    }
    set_deadline("closing");
    socket_.async_close(websocket::close_code::normal, [this](error_code) { end({}, 1000); });
  }

 private:
  auto make_socket() {
    if constexpr (std::is_same_v<Stream, Encrypted>)
      return websocket::stream<Stream>(io_, tls_);
    else
      return websocket::stream<Stream>(io_);
  }

  std::string name() const { return options_.url.authority(); }

  void put(WebSocketEvent event) {
    if (!ended_) events_.push_back(std::move(event));
  }

  void drop() {
    ended_ = true;
    deadline_.cancel();
    resolver_.cancel();
    beast::get_lowest_layer(socket_).close();
  }

  void end(std::optional<Error> error, int code) {
    if (ended_) return;
    put({WebSocketEvent::Kind::closed, "", code, std::move(error)});
    drop();
  }

  void fail(Error error, int code) { end(std::move(error), code); }

  void set_deadline(std::string_view doing) {
    doing_ = doing;
    deadline_.expires_after(real(options_.time_max));
    deadline_.async_wait([this](error_code cancelled) {
      if (cancelled || ended_) return;
      fail(Error{ErrorCode::timed_out, fmt::format("{} '{}' took too long", doing_, name()), ""},
           0);
    });
  }

  /// Ends the connection where an operation failed; true then.
  bool failed(error_code error, std::string_view doing) {
    if (ended_) return true;
    if (!error) return false;
    if (error == websocket::error::closed) {
      end({}, socket_.reason().code);
    } else if (error == websocket::error::upgrade_declined) {
      const int status = static_cast<int>(answer_.result_int());
      fail(Error{ErrorCode::unavailable,
                 fmt::format("'{}' refused the WebSocket with HTTP status {}", name(), status), ""},
           status);
    } else if (error == websocket::error::message_too_big) {
      fail(Error{ErrorCode::corrupt, fmt::format("a message of '{}' is too long", name()), ""}, 0);
    } else {
      std::string why = error.message();
      if constexpr (std::is_same_v<Stream, Encrypted>) {
        const auto problem = certificate_problem(socket_.next_layer().native_handle());
        if (!problem.empty()) why = problem;
      }
      fail(Error{ErrorCode::unavailable, fmt::format("{} '{}' failed: {}", doing, name(), why), ""},
           0);
    }
    return true;
  }

  void resolve() {
    resolver_.async_resolve(options_.url.host, std::to_string(options_.url.port),
                            [this](error_code error, const tcp::resolver::results_type& found) {
                              if (failed(error, "finding")) return;
                              beast::get_lowest_layer(socket_).async_connect(
                                  found, [this](error_code refused, const tcp::endpoint&) {
                                    if (failed(refused, "connecting to")) return;
                                    error_code ignored;
                                    beast::get_lowest_layer(socket_).socket().set_option(
                                        tcp::no_delay(true), ignored);
                                    secure();
                                  });
                            });
  }

  void secure() {
    if constexpr (std::is_same_v<Stream, Encrypted>) {
      auto& layer = socket_.next_layer();
      if (auto expected = expect_host(layer.native_handle(), options_.url.host); !expected) {
        fail(std::move(expected).error(), 0);
        return;
      }
      layer.async_handshake(asio::ssl::stream_base::client, [this](error_code error) {
        if (!failed(error, "the TLS handshake with")) shake_hands();
      });
    } else {
      shake_hands();
    }
  }

  void shake_hands() {
    socket_.async_handshake(answer_, name(), options_.target, [this](error_code error) {
      if (failed(error, "the WebSocket handshake with")) return;
      deadline_.cancel();
      opened_ = true;
      put({WebSocketEvent::Kind::opened, "", 0, {}});
      if (!sends_.empty()) write();
      read();
    });
  }

  void read() {
    socket_.async_read(buffer_, [this](error_code error, std::size_t) {
      if (failed(error, "reading from")) return;
      put({WebSocketEvent::Kind::text, beast::buffers_to_string(buffer_.data()), 0, {}});
      buffer_.consume(buffer_.size());
      read();
    });
  }

  void write() {
    if (!closing_) set_deadline("sending to");
    socket_.text(true);
    socket_.async_write(asio::buffer(sends_.front()), [this](error_code error, std::size_t) {
      if (failed(error, "sending to")) return;
      if (!closing_) deadline_.cancel();
      sends_.pop_front();
      if (!sends_.empty()) write();
    });
  }

  const Options options_;
  asio::io_context io_{1};
  asio::ssl::context tls_;
  tcp::resolver resolver_{io_};
  asio::steady_timer deadline_{io_};
  websocket::stream<Stream> socket_;
  websocket::response_type answer_;
  beast::flat_buffer buffer_;
  std::deque<std::string> sends_;  // the first is being written
  std::deque<WebSocketEvent> events_;
  std::string_view doing_;
  bool opened_ = false;
  bool closing_ = false;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<WebSocketClient>> WebSocketClient::connect(Options options) {
  asio::ssl::context tls(asio::ssl::context::tls_client);
  error_code ignored;
  tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, ignored);
  tls.set_default_verify_paths(ignored);
  TRY_STATUS(trust_file(tls.native_handle(), options.ca_file));
  if (options.url.encrypted()) {
    return std::unique_ptr<WebSocketClient>(
        std::make_unique<Connection<Encrypted>>(std::move(options), std::move(tls)));
  }
  return std::unique_ptr<WebSocketClient>(
      std::make_unique<Connection<Plain>>(std::move(options), std::move(tls)));
}

}  // namespace tapeline::io
