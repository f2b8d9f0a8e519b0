// Url: where a server is, taken apart. Only what a client of ours is configured with.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tapeline::io {

struct Url {
  std::string scheme;  // "https", "wss", "http", "ws"
  std::string host;    // without the brackets of an IPv6 address
  std::uint16_t port = 0;
  std::string path;  // "/api/v1", without a slash at its end; may be empty

  bool encrypted() const { return scheme == "https" || scheme == "wss"; }

  /// "host:port", as a Host header has it.
  std::string authority() const;

  /// The whole, without the path's end.
  std::string text() const { return scheme + "://" + authority() + path; }
};

/// Takes "https://host[:port][/path]" apart. `secure` is the scheme that goes anywhere; `plain`
/// goes to this machine only.
///
/// errors: invalid_argument: another scheme, user or query in it, no host, a port that is none,
///         a plain one that would leave this machine
Result<Url> parse_url(std::string_view text, std::string_view secure, std::string_view plain);

/// "localhost", 127.0.0.0/8, ::1.
bool is_loopback(std::string_view host);

}  // namespace tapeline::io
