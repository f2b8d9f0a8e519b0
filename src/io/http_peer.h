// What an answer's handles share with the connection that they belong to.
//
// The handles, HttpReply and HttpStream, are used from any thread and live in http_reply.cc. The
// connection lives on the server's thread, in http_connection.cc, with all that knows sockets.
// Between the two stand this port and the states below.

#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "io/http_server.h"

namespace tapeline::io {

/// A connection as its handles see it: each call is passed to the server's thread.
///
/// threads: any
class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  virtual void post_send(HttpResponse response) = 0;
  virtual void post_stream(std::shared_ptr<HttpStream::State> stream,
                           HttpStream::Options options) = 0;
  virtual void post_flush() = 0;

  /// Gives the kernel what it takes of the bytes that wait; true where those were all. Called from
  /// any thread, under the stream's lock and while nothing else of it is being written.
  virtual bool send_now(HttpStream::State& /*stream*/) { return false; }

  /// The right to answer one request of `peer`'s.
  static HttpReply reply_to(std::weak_ptr<HttpPeer> peer);

 protected:
  using StreamState = HttpStream::State;  // for those that are no server: a test's reader
};

struct HttpStream::State {
  std::mutex mutex;
  std::string pending;
  std::string framed;     // goes first and as it is: the rest of what the kernel took a part of
  bool scheduled = true;  // a write or a flush is under way; the head is the first
  bool ended = false;
  bool closed = false;
  std::size_t pending_bytes_max = 0;
  Events events;
  std::weak_ptr<HttpPeer> peer;
};

struct HttpReply::State {
  ~State();

  std::weak_ptr<HttpPeer> peer;
  bool answered = false;
};

}  // namespace tapeline::io
