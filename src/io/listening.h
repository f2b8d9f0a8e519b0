// Listening: a TCP socket that takes connections.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tapeline::io {

struct Listening {
  int fd = -1;  // the caller's to close
  std::uint16_t port = 0;
  bool is_ipv6 = false;
};

/// Binds and listens on an IP address; port 0 takes any free one.
/// errors: invalid_argument (no IP address), already_exists (the port is taken), unavailable
Result<Listening> listen_tcp(const std::string& address, std::uint16_t port);

/// The error of binding or listening on `where`; `number` is errno's.
Error listen_error(const std::string& where, int number);

}  // namespace tapeline::io
