// StreamClient: the one WebSocket to Finnhub: opened, lost, opened again with growing pauses.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/rng.h"
#include "io/websocket_client.h"

namespace tapeline::feeds::finnhub {

/// threads:  one at a time
/// lifetime: the clock must outlive it
class StreamClient {
 public:
  struct Options {
    io::Url url;
    std::string key;
    std::string ca_file;
    Duration time_max;  // of real time: connecting, sending
  };

  struct Event {
    enum class Kind : std::uint8_t { opened, message, signal, lost };
    Kind kind = Kind::lost;
    std::string text;   // of a message
    std::string cause;  // lost: refused, unauthorized or disconnect
    std::string why;    // lost: for people, without the key
  };

  /// The first connection is opened `first_pause` from now.
  StreamClient(Clock& clock, Options options, Rng rng, Duration first_pause);

  /// Closes in good order where that goes quickly.
  ~StreamClient();

  /// What happens next; opens the connection where its time has come. None means that nothing of
  /// the connection lies unread.
  /// blocks: at most `wait`, of real time, and as long as it takes to read what is there
  std::optional<Event> next(Duration wait);

  void send(std::string text);

  /// Gives the connection up and opens another after a pause.
  void drop();

  bool is_open() const { return open_; }
  bool connecting() const { return socket_ && !open_; }

  /// How long until the next try; zero where there is a connection.
  Duration waiting() const;

 private:
  void pause_before_next(bool refused_key);
  Event lost(std::string cause, std::string why);

  Clock& clock_;
  const Options options_;
  Rng rng_;
  std::unique_ptr<io::WebSocketClient> socket_;
  bool open_ = false;
  int failures_ = 0;  // in a row
  Duration opened_at_{0};
  Duration next_at_{0};
};

}  // namespace tapeline::feeds::finnhub
