// WebSocketClient: one connection of RFC 6455, encrypted or on this machine.
//
// Nothing here blocks beyond the wait that next() is given: connecting, sending and closing go on
// inside next(), each with a deadline of real time. What the other side says comes out as events.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "io/url.h"

namespace tapeline::io {

struct WebSocketEvent {
  enum class Kind : std::uint8_t {
    opened,
    text,    // a whole message
    signal,  // a ping or pong of the protocol; answered already
    closed,  // the last event
  };
  Kind kind = Kind::closed;
  std::string text;            // of the message
  int code = 0;                // closed: the close code, or the HTTP status of a refused handshake
  std::optional<Error> error;  // closed: why; none where the other side closed it in good order
};

/// threads: one at a time
class WebSocketClient {
 public:
  struct Options {
    Url url;
    std::string target;   // the request's path and query; never in a message of ours
    std::string ca_file;  // PEM: trusted beside the system's own
    Duration time_max = std::chrono::seconds(10);  // of connecting, of each send, of closing
    std::size_t message_bytes_max = 1 << 20;
  };

  /// Begins to connect.
  /// errors: those of a `ca_file` that cannot be used
  static Result<std::unique_ptr<WebSocketClient>> connect(Options options);

  virtual ~WebSocketClient() = default;

  /// Sends a text message, after those before; once opened.
  virtual void send(std::string text) = 0;

  /// The next event; none where nothing came in time, and nothing lies unread: a caller that was
  /// held up for long finds what came meanwhile.
  /// blocks: at most `wait`, and as long as it takes to read what is there
  virtual std::optional<WebSocketEvent> next(Duration wait) = 0;

  /// Begins to close; next() goes on until it says closed.
  virtual void close() = 0;
};

}  // namespace tapeline::io
