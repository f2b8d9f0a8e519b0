// Relay: passes the connections of one TCP address on to another, byte by byte.
//
// For a process that keeps an address while who serves it changes. It reads nothing of what it
// passes on: logins, hosts and origins are judged where the request is answered.

#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"

namespace tapeline::io {

/// threads: set_target any; run one
class Relay {
 public:
  struct Options {
    std::string address = "127.0.0.1";  // an IP address
    std::uint16_t port = 0;             // 0: any free one
    std::string refusal;                // sent, as it is, where the target takes no connection
    std::size_t connections_max = 4096;
  };

  /// Binds and listens; connections wait until `run`.
  /// errors: invalid_argument (address), already_exists (the port is taken), unavailable
  static Result<std::unique_ptr<Relay>> open(Options options);
  ~Relay();

  std::uint16_t port() const;

  /// Where connections made from now on go.
  void set_target(std::string address, std::uint16_t port);

  /// Passes on.
  /// blocks: until `stop` is requested; open connections are closed then
  void run(std::stop_token stop);

 private:
  struct Shared;
  class Pair;
  explicit Relay(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace tapeline::io
