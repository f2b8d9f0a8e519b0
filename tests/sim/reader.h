// Reader: a page at the other end of an event stream, without a socket. What is written to it waits
// until it takes it, so it can be as slow as a seed wants.

#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "io/http_peer.h"
#include "model.h"
#include "serve/api.h"

namespace tapeline::sim {

/// The answer to one request that is no stream.
class Caller final : public io::HttpPeer {
 public:
  void post_send(io::HttpResponse its_response) override { response = std::move(its_response); }
  void post_stream(std::shared_ptr<StreamState>, io::HttpStream::Options) override {}
  void post_flush() override {}

  std::optional<io::HttpResponse> response;
};

class Reader final : public io::HttpPeer, public std::enable_shared_from_this<Reader> {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}

  /// Opens the stream, from the last event on where there was one.
  void connect(serve::Api& api);

  /// The connection ends, by whichever side.
  void close();

  bool connected() const { return stream_ != nullptr; }

  /// Takes what waits; false where nothing did.
  bool take();

  /// What it showed last of each symbol: price and event time as the API writes them.
  const std::map<std::string, std::string>& shown() const { return shown_; }

  void post_send(io::HttpResponse response) override;
  void post_stream(std::shared_ptr<StreamState> stream, io::HttpStream::Options options) override;
  void post_flush() override {}

 private:
  void read_event(std::string_view event);

  Problems& problems_;
  std::shared_ptr<StreamState> stream_;
  std::string last_id_;
  std::map<std::string, std::string> shown_;
  std::set<std::string> in_one_take_;  // symbols; a second value would be an older one
};

/// "price of event time", as a live quote says them.
std::string seen_of(const text::Value& quote);

}  // namespace tapeline::sim
