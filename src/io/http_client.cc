#include "io/http_client.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <memory>
#include <optional>

namespace tapeline::io {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;

constexpr std::size_t kLineBytesMax = 16 << 20;
constexpr std::uint32_t kHeaderBytesMax = 64 << 10;

/// One exchange: each step starts one operation and runs the loop until it is done.
class Exchange {
 public:
  Exchange(HttpAddress address, std::stop_token stop)
      : address_(std::move(address)), on_stop_(std::move(stop), [this] {
          asio::post(io_, [this] { cancel(ErrorCode::cancelled); });
        }) {}

  Status send(const HttpCall& call);

  /// Reads status and headers.
  Result<HttpResponse> read_head();

  /// The next bytes of the body; none at its end.
  Result<std::string_view> read_some();

  void set_deadline(Duration from_now) {
    timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(from_now));
    timer_.async_wait([this](error_code error) {
      if (!error) cancel(ErrorCode::timed_out);
    });
  }

 private:
  void cancel(ErrorCode why) {
    if (!cancelled_) cancelled_ = why;
    error_code ignored;
    socket_.close(ignored);
  }

  /// Runs the loop until the operation that `start` begins has reported.
  template <typename Start>
  error_code run(Start start) {
    if (cancelled_) return asio::error::operation_aborted;
    std::optional<error_code> outcome;
    start([&outcome](error_code error, auto&&...) { outcome = error; });
    io_.restart();
    while (!outcome && io_.run_one() > 0) {
    }
    return outcome.value_or(asio::error::operation_aborted);
  }

  std::string name() const {
    return address_.socket_path.empty() ? fmt::format("{}:{}", address_.host, address_.port)
                                        : address_.socket_path;
  }

  Error failed(const error_code& error, std::string_view doing) const {
    if (cancelled_ == ErrorCode::cancelled)
      return Error{ErrorCode::cancelled, fmt::format("{} '{}' was stopped", doing, name()), ""};
    if (cancelled_ == ErrorCode::timed_out)
      return Error{ErrorCode::timed_out, fmt::format("{} '{}' took too long", doing, name()), ""};
    if (error == http::error::partial_message || error == http::error::end_of_stream ||
        error == asio::error::connection_reset)
      return Error{ErrorCode::unavailable, fmt::format("'{}' ended before its answer did", name()),
                   "tapeline was stopped there, or died; start it and give the command again."};
    const bool not_http = error.category() == make_error_code(http::error::bad_method).category();
    if (not_http)
      return Error{ErrorCode::corrupt, fmt::format("'{}' does not answer in HTTP/1.1", name()), ""};
    return Error{ErrorCode::unavailable,
                 fmt::format("{} '{}' failed: {}", doing, name(), error.message()),
                 "Check that tapeline runs there."};
  }

  const HttpAddress address_;
  asio::io_context io_{1};
  Socket socket_{io_};
  asio::steady_timer timer_{io_};
  std::optional<ErrorCode> cancelled_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 16 << 10> chunk_;
  std::stop_callback<std::function<void()>> on_stop_;
};

Status Exchange::send(const HttpCall& call) {
  Socket::endpoint_type endpoint;
  if (address_.socket_path.empty()) {
    error_code error;
    const auto host = asio::ip::make_address(address_.host, error);
    if (error)
      return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no IP address", address_.host),
                   ""};
    endpoint = asio::ip::tcp::endpoint(host, address_.port);
  } else {
    if (address_.socket_path.size() > 107)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the path '{}' is too long for a socket", address_.socket_path), ""};
    endpoint = asio::local::stream_protocol::endpoint(address_.socket_path);
  }
  error_code error = run([&](auto done) { socket_.async_connect(endpoint, done); });
  if (error) return failed(error, "connecting to");

  const bool ipv6 = address_.host.find(':') != std::string::npos;
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", call.method, call.target,
                  !address_.socket_path.empty() ? "localhost"
                  : ipv6 ? fmt::format("[{}]:{}", address_.host, address_.port)
                         : name());
  for (const auto& [key, value] : call.headers) head += fmt::format("{}: {}\r\n", key, value);
  if (!call.body.empty() || call.method != "GET")
    head += fmt::format("Content-Length: {}\r\n", call.body.size());
  head += "\r\n";
  const std::array<asio::const_buffer, 2> all = {asio::buffer(head), asio::buffer(call.body)};
  error = run([&](auto done) { asio::async_write(socket_, all, done); });
  // A server that refuses early stops reading; its answer says why.
  if (error &&
      (cancelled_ || (error != asio::error::broken_pipe && error != asio::error::connection_reset)))
    return failed(error, "sending to");
  if (call.method == "HEAD") parser_.skip(true);
  return Ok{};
}

Result<HttpResponse> Exchange::read_head() {
  parser_.header_limit(kHeaderBytesMax);
  parser_.body_limit(boost::none);
  const error_code error =
      run([&](auto done) { http::async_read_header(socket_, buffer_, parser_, done); });
  if (error) return failed(error, "reading from");
  HttpResponse response;
  response.status = static_cast<int>(parser_.get().result_int());
  for (const auto& field : parser_.get())
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  return response;
}

Result<std::string_view> Exchange::read_some() {
  while (!parser_.is_done()) {
    auto& body = parser_.get().body();
    body.data = chunk_.data();
    body.size = chunk_.size();
    const error_code error =
        run([&](auto done) { http::async_read_some(socket_, buffer_, parser_, done); });
    if (error && error != http::error::need_buffer) return failed(error, "reading from");
    const std::string_view got(chunk_.data(), chunk_.size() - body.size);
    if (!got.empty()) return got;
  }
  return std::string_view();
}

}  // namespace

Result<HttpResponse> http_call(const HttpAddress& address, const HttpCall& call, Duration time_max,
                               std::stop_token stop) {
  const auto exchange = std::make_unique<Exchange>(address, std::move(stop));
  exchange->set_deadline(time_max);
  TRY_STATUS(exchange->send(call));
  HttpResponse response = TRY(exchange->read_head());
  for (;;) {
    const std::string_view more = TRY(exchange->read_some());
    if (more.empty()) return response;
    response.body += more;
  }
}

Result<HttpResponse> http_lines(const HttpAddress& address, const HttpCall& call, Duration idle_max,
                                std::stop_token stop,
                                const std::function<bool(std::string_view line)>& on_line) {
  const Error ended{ErrorCode::cancelled, "the reader of the answer ended it", ""};
  const auto exchange = std::make_unique<Exchange>(address, std::move(stop));
  exchange->set_deadline(idle_max);
  TRY_STATUS(exchange->send(call));
  HttpResponse response = TRY(exchange->read_head());
  std::string waiting;
  for (;;) {
    exchange->set_deadline(idle_max);
    const std::string_view more = TRY(exchange->read_some());
    if (more.empty()) {
      if (!waiting.empty() && !on_line(waiting)) return ended;
      return response;
    }
    std::size_t searched = waiting.size();
    waiting += more;
    std::size_t begin = 0;
    for (std::size_t end; (end = waiting.find('\n', searched)) != std::string::npos;) {
      if (!on_line(std::string_view(waiting).substr(begin, end - begin))) return ended;
      begin = searched = end + 1;
    }
    waiting.erase(0, begin);
    if (waiting.size() > kLineBytesMax)
      return Error{ErrorCode::corrupt, "a line of the answer is longer than 16 MiB", ""};
  }
}

}  // namespace tapeline::io
