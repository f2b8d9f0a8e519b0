// An HTTP/1.1 server on a TCP address and a unix socket at once.
//
// One thread, the caller's, runs all connections; a handler answers at once or hands the
// reply to another thread. A response is whole (HttpReply::send) or a stream that others
// feed (HttpReply::stream): thousands of idle streams cost neither threads nor much memory.
// Boost.Beast reads the requests; no type of it shows here.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/http_message.h"

namespace tapeline::io {

/// A response that is still being written: chunked, then the connection closes.
///
/// threads: any
/// lifetime: may outlive its connection and its server's run; writes are refused then
class HttpStream {
 public:
  struct Options {
    int status = 200;
    HttpHeaders headers;
    std::size_t pending_bytes_max = 1 << 20;  // what may wait in this process
    int send_buffer_bytes = 0;                // what may wait in the kernel; 0: its default
  };
  /// Called on the server's thread, without locks.
  struct Events {
    std::function<void()> on_writable;  // the head, or all that waited, is with the kernel
    std::function<void()> on_closed;    // once, last; not after `end`
  };

  HttpStream() = default;

  /// Takes `bytes` to be sent in order. What the kernel takes at once is sent on the calling
  /// thread: waking the server's would be a part of each event's way that can be felt.
  enum class Written : std::uint8_t {
    refused,  // nothing was taken: it is closed, or `pending_bytes_max` would be passed
    waits,    // `on_writable` will be called
    sent,     // it will not: all is with the kernel
  };
  Written write(std::string bytes);

  /// Sends what waits, then closes the connection.
  void end();

  bool closed() const;

 private:
  friend class HttpPeer;
  friend class HttpReply;
  friend class HttpServer;
  struct State;
  std::shared_ptr<State> state_;
};

/// The right to answer one request, once. Letting go of it unanswered sends a 500.
///
/// threads: any; one at a time
class HttpReply {
 public:
  void send(HttpResponse response);
  HttpStream stream(HttpStream::Options options, HttpStream::Events events);

 private:
  friend class HttpPeer;
  struct State;
  std::shared_ptr<State> state_;
};

/// What a server serves. Called on the server's thread: what takes long belongs elsewhere.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  /// What becomes of a request, decided by its header, before any of its body is read.
  struct Admission {
    std::size_t body_bytes_max = 0;
    std::optional<HttpResponse> refusal = {};  // sent in place of an answer
  };
  virtual Admission admit(const HttpRequest& head) = 0;

  virtual void handle(HttpRequest request, HttpReply reply) = 0;
};

/// owns: nothing; clock and handler outlive it
class HttpServer {
 public:
  struct Options {
    std::string address = "127.0.0.1";  // an IP address; empty: no TCP
    std::uint16_t port = 8787;          // 0: any free one
    std::string socket_path;            // empty: no unix socket; a file of that name is replaced
    std::vector<std::string> hosts;     // further names that a Host header may hold over TCP
    std::size_t header_bytes_max = 16 << 10;
    std::size_t connections_max = 4096;
    Duration idle_max = std::chrono::seconds(60);    // between requests
    Duration header_max = std::chrono::seconds(10);  // from a header's first byte to its last
    Duration body_max = std::chrono::seconds(60);    // the same for a body
    Duration stall_max = std::chrono::seconds(60);   // a reader that takes nothing
    Duration drain_max = std::chrono::seconds(2);    // for open requests after a stop
  };

  /// Binds and listens; connections wait until `run`.
  /// errors: invalid_argument (address, length of the socket's path), already_exists (the
  ///         port is taken), unavailable (anything else)
  static Result<std::unique_ptr<HttpServer>> open(Clock& clock, HttpHandler& handler,
                                                  Options options);
  ~HttpServer();

  /// The TCP port that it listens on; 0 without TCP.
  std::uint16_t port() const;

  /// Open connections, streams included.
  std::size_t connections() const;

  /// Serves.
  /// blocks: until `stop` is requested and open requests are answered or `drain_max` is over
  void run(std::stop_token stop);

 private:
  friend class HttpStream;
  friend class HttpReply;
  struct Shared;
  class Connection;
  explicit HttpServer(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace tapeline::io
