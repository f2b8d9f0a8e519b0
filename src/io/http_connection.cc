#include "io/http_connection.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

namespace tapeline::io {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kDroppedBytesMax = 16 << 20;  // a refused upload's rest, read and dropped
constexpr Duration kLinger = std::chrono::seconds(2);

}  // namespace

// Reading.

void HttpServer::Connection::arm(Duration limit) {
  timed_out_ = false;
  timer_.expires_after(limit);
  timer_.async_wait([self = shared_from_this(), turn = ++timer_turn_](error_code error) {
    if (error || turn != self->timer_turn_) return;
    self->timed_out_ = true;
    if (self->phase_ == Phase::reading) {
      error_code ignored;
      self->socket_.cancel(ignored);
    } else {
      self->close();
    }
  });
}

void HttpServer::Connection::disarm() {
  ++timer_turn_;
  timer_.cancel();
}

void HttpServer::Connection::wait_for_request() {
  if (shared_->stopping) return close();
  phase_ = Phase::idle;
  head_.clear();
  body_ = {};
  request_ = {};
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(shared_->options.header_bytes_max));
  parser_->body_limit(boost::none);
  if (buffer_.size() > 0) return read_header();
  buffer_ = boost::beast::flat_buffer(buffer_.max_size());
  arm(shared_->options.idle_max);
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
    if (error || self->phase_ != Phase::idle) return self->close();
    self->read_header();
  });
}

void HttpServer::Connection::read_header() {
  phase_ = Phase::reading;
  arm(shared_->options.header_max);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

void HttpServer::Connection::on_header(error_code error) {
  if (phase_ != Phase::reading) return;
  if (timed_out_)
    return refuse(http_error(408, "timed_out", "the request header came too slowly", ""));
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refuse(http_error(431, "invalid_argument", "the request header is too large", ""));
  if (error == http::error::bad_version)
    return refuse(http_error(505, "unsupported", "the request is not in HTTP/1.1", ""));
  if (error && error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return refuse(http_error(400, "invalid_argument", "the request breaks HTTP/1.1",
                             "Check the request line and the headers."));
  if (error) return close();

  HttpResponse refusal;
  auto target = check_head(refusal);
  if (!target) return refuse(std::move(refusal));
  const auto& head = parser_->get();
  keep_alive_ = head.keep_alive();
  is_head_ = head.method() == http::verb::head;
  chunked_ = head.version() >= 11;
  request_.method = std::string(head.method_string());
  request_.target = *std::move(target);
  request_.over_socket = over_socket_;
  for (const auto& field : head)
    request_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));

  HttpHandler::Admission admission = shared_->handler.admit(request_);
  if (admission.refusal && !parser_->is_done()) return refuse(*std::move(admission.refusal));
  if (admission.refusal) {
    phase_ = Phase::answering;
    disarm();
    return send(*std::move(admission.refusal));
  }
  const std::size_t limit = admission.body_bytes_max;
  const auto length = parser_->content_length();
  if (length && *length > limit)
    return refuse(http_error(413, "invalid_argument", "the request body is too large",
                             fmt::format("Send at most {} bytes at once.", limit)));
  parser_->body_limit(limit);
  if (parser_->is_done()) return dispatch();
  arm(shared_->options.body_max);
  const auto read_body = [self = shared_from_this()] {
    http::async_read(self->socket_, self->buffer_, *self->parser_,
                     [self](error_code failed, std::size_t) { self->on_body(failed); });
  };
  const std::string* expect = request_.header("Expect");
  if (!expect || !equal_ignoring_case(*expect, "100-continue")) return read_body();
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(kContinue),
                    [self = shared_from_this(), read_body](error_code failed, std::size_t) {
                      if (failed) return self->close();
                      read_body();
                    });
}

Result<HttpTarget> HttpServer::Connection::check_head(HttpResponse& refusal) {
  const auto& head = parser_->get();
  auto target = parse_target(head.target());
  if (!target) {
    const Error& why = target.error();
    refusal = http_error(400, "invalid_argument", why.message, why.hint);
    return target;
  }
  // A body whose end cannot be told would be read as the next request.
  const std::size_t encodings = head.count(http::field::transfer_encoding);
  if (encodings > 0 &&
      (encodings > 1 || head.version() < 11 ||
       !equal_ignoring_case(std::string_view(head.at(http::field::transfer_encoding)),
                            "chunked"))) {
    refusal = http_error(501, "unsupported", "the request has a Transfer-Encoding but chunked",
                         "Send the body chunked, or with its Content-Length.");
    return Error{ErrorCode::unsupported, "refused", ""};
  }
  if (over_socket_) return target;
  // A page of another site can point its own name at 127.0.0.1; its requests still carry that name.
  const std::size_t hosts = head.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && head.version() >= 11)) {
    refusal = http_error(400, "invalid_argument", "the request needs exactly one Host header", "");
  } else if (hosts == 1 && !host_is_one_of(head.at(http::field::host), shared_->hosts)) {
    refusal = http_error(421, "invalid_argument", "the Host header names another machine",
                         "Open the dashboard by the address that tapeline printed at its start.");
  } else {
    return target;
  }
  return Error{ErrorCode::invalid_argument, "refused", ""};
}

void HttpServer::Connection::on_body(error_code error) {
  if (phase_ != Phase::reading) return;
  if (timed_out_)
    return refuse(http_error(408, "timed_out", "the request body came too slowly", ""));
  if (error == http::error::body_limit)
    return refuse(http_error(413, "invalid_argument", "the request body is too large", ""));
  if (error && error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::partial_message && error != http::error::end_of_stream)
    return refuse(http_error(400, "invalid_argument", "the request body breaks HTTP/1.1", ""));
  if (error) return close();
  dispatch();
}

void HttpServer::Connection::dispatch() {
  phase_ = Phase::answering;
  disarm();
  request_.body = std::move(parser_->get().body());
  shared_->handler.handle(std::move(request_), HttpPeer::reply_to(weak_from_this()));
}

// Answering.

template <typename Buffers, typename Then>
void HttpServer::Connection::write(const Buffers& buffers, Then then) {
  arm(shared_->options.stall_max);
  std::size_t seen = 0;
  const auto progress = [self = shared_from_this(), seen](error_code error,
                                                          std::size_t done) mutable {
    if (done != std::exchange(seen, done)) self->arm(self->shared_->options.stall_max);
    return error ? std::size_t{0} : std::size_t{256 << 10};
  };
  asio::async_write(socket_, buffers, progress,
                    [self = shared_from_this(), then](error_code error, std::size_t) {
                      if (!self->socket_.is_open()) return;  // closed while this was queued
                      self->disarm();
                      then(error);
                    });
}

void HttpServer::Connection::post_send(HttpResponse response) {
  asio::post(shared_->io, [self = shared_from_this(), response = std::move(response)]() mutable {
    if (self->phase_ == Phase::answering) self->send(std::move(response));
  });
}

void HttpServer::Connection::refuse(HttpResponse response) {
  keep_alive_ = false;
  phase_ = Phase::answering;
  disarm();
  send(std::move(response));
}

void HttpServer::Connection::refuse_for_load() {
  refuse(http_error(503, "unavailable", "too many connections are open",
                    "Close some, or try again shortly."));
}

std::string HttpServer::Connection::head_text(int status, const HttpHeaders& headers,
                                              std::string_view framing) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nConnection: {}\r\n{}", status,
                                 reason_phrase(status), format_http_date(shared_->clock.now()),
                                 keep_alive_ ? "keep-alive" : "close", framing);
  for (const auto& [name, value] : headers) {
    head += name;
    head += ": ";
    // A line break in a value would begin another header.
    for (const char c : value) head += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    head += "\r\n";
  }
  head += "\r\n";
  return head;
}

void HttpServer::Connection::send(HttpResponse response) {
  if (shared_->stopping) keep_alive_ = false;
  const bool bodiless = response.status == 204 || response.status == 304;
  head_ = head_text(
      response.status, response.headers,
      bodiless ? std::string() : fmt::format("Content-Length: {}\r\n", response.body.size()));
  body_ = bodiless || is_head_ ? std::string() : std::move(response.body);
  write(std::array<asio::const_buffer, 2>{asio::buffer(head_), asio::buffer(body_)},
        [this](error_code error) { after_write(error); });
}

void HttpServer::Connection::after_write(error_code error) {
  if (error) return close();
  if (keep_alive_) return wait_for_request();
  linger();
}

/// Closing with input unread would reset the connection, and the answer might be lost with it.
void HttpServer::Connection::linger() {
  if (shared_->stopping) return close();
  phase_ = Phase::closing;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  arm(kLinger);
  if (!dropping_) drop_input();
}

/// Nothing is expected from a reader of a stream, or after the last answer, but its end.
void HttpServer::Connection::drop_input() {
  dropping_ = true;
  socket_.async_read_some(asio::buffer(dropped_),
                          [self = shared_from_this()](error_code error, std::size_t size) {
                            self->dropped_bytes_ += size;
                            if (error || self->dropped_bytes_ > kDroppedBytesMax)
                              return self->close();
                            self->drop_input();
                          });
}

void HttpServer::Connection::post_stream(std::shared_ptr<HttpStream::State> stream,
                                         HttpStream::Options options) {
  asio::post(shared_->io, [self = shared_from_this(), stream = std::move(stream),
                           options = std::move(options)] { self->begin_stream(stream, options); });
}

void HttpServer::Connection::begin_stream(std::shared_ptr<HttpStream::State> stream,
                                          const HttpStream::Options& options) {
  stream_ = std::move(stream);
  if (phase_ != Phase::answering || shared_->stopping) return close();
  keep_alive_ = false;
  phase_ = Phase::streaming;
  parser_.reset();
  buffer_ = {};
  if (options.send_buffer_bytes > 0) {
    error_code ignored;
    socket_.set_option(asio::socket_base::send_buffer_size(options.send_buffer_bytes), ignored);
  }
  head_ =
      head_text(options.status, options.headers, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  if (is_head_) {
    phase_ = Phase::answering;
    if (const auto on_closed = end_stream()) on_closed();
    return write(asio::buffer(head_), [this](error_code error) { after_write(error); });
  }
  drop_input();
  write(asio::buffer(head_), [this](error_code error) {
    if (error) return close();
    flush();
  });
}

void HttpServer::Connection::post_flush() {
  asio::post(shared_->io, [self = shared_from_this()] {
    if (self->phase_ == Phase::streaming) self->flush();
  });
}

std::string HttpServer::Connection::chunk_of(const std::string& bytes) const {
  return chunked_ ? fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes) : bytes;
}

/// Until a stream is closed, under its lock, its socket is open; and it is nobody's while nothing
/// is scheduled.
bool HttpServer::Connection::send_now(HttpStream::State& stream) {
  std::string framed = chunk_of(stream.pending);
  const ssize_t sent =
      ::send(socket_.native_handle(), framed.data(), framed.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent <= 0) return false;  // a full buffer is waited for and an error met by the next write
  stream.pending = {};
  stream.framed = framed.substr(static_cast<std::size_t>(sent));
  return stream.framed.empty();
}

/// Writes what waits; where nothing does, says so to whoever feeds the stream.
void HttpServer::Connection::flush() {
  bool ended = false;
  {
    std::lock_guard lock(stream_->mutex);
    body_ = std::exchange(stream_->framed, {});
    if (!stream_->pending.empty()) body_ += chunk_of(std::exchange(stream_->pending, {}));
    ended = stream_->ended;
    if (body_.empty() && !ended) stream_->scheduled = false;
  }
  if (!body_.empty()) {
    return write(asio::buffer(body_), [this](error_code error) {
      if (error) return close();
      flush();
    });
  }
  if (!ended) {
    if (stream_->events.on_writable) stream_->events.on_writable();
    return;
  }
  stream_->events = {};
  head_ = chunked_ ? "0\r\n\r\n" : "";
  write(asio::buffer(head_), [this](error_code error) {
    if (error) return close();
    linger();
  });
}

void HttpServer::Connection::stop() {
  if (phase_ != Phase::reading && phase_ != Phase::answering) close();
}

/// Refuses further writes; answers who is to be told.
std::function<void()> HttpServer::Connection::end_stream() {
  const auto stream = std::exchange(stream_, nullptr);
  if (!stream) return {};
  {
    std::lock_guard lock(stream->mutex);
    stream->closed = true;
    stream->pending = {};
    stream->framed = {};
  }
  return std::exchange(stream->events, {}).on_closed;
}

void HttpServer::Connection::close() {
  phase_ = Phase::closing;
  const auto on_closed = end_stream();  // before its socket is: another thread may write to it
  error_code ignored;
  socket_.close(ignored);
  disarm();
  if (on_closed) on_closed();
  if (shared_->connections.erase(shared_from_this()) == 0) return;
  shared_->connections_count = shared_->connections.size();
  if (shared_->stopping && shared_->connections.empty()) shared_->drain.cancel();
}

}  // namespace tapeline::io
