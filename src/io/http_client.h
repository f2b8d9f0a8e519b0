// A small blocking HTTP/1.1 client for talking to a tapeline process on this machine.
//
// Plain HTTP over loopback or a unix socket, one request a connection. Not for the
// internet: no TLS, no proxies, no redirects.

#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "io/http_message.h"

namespace tapeline::io {

/// Where a local server listens.
struct HttpAddress {
  std::string host = "127.0.0.1";  // an IP address
  std::uint16_t port = 0;
  std::string socket_path;  // where set, the unix socket there instead
};

struct HttpCall {
  std::string method = "GET";
  std::string target = "/";
  HttpHeaders headers;  // Host, Content-Length and Connection are the client's to write
  std::string body;
};

/// Sends `call` and reads the whole answer, whatever its status is.
///
/// errors: unavailable (nobody listens, the connection broke), timed_out, corrupt (no HTTP
///         came back), cancelled (`stop`)
/// blocks: until the answer is complete, `time_max` is over, or `stop` is requested
Result<HttpResponse> http_call(const HttpAddress& address, const HttpCall& call, Duration time_max,
                               std::stop_token stop = {});

/// Sends `call` and hands on the answer's body line by line, without the line breaks, as it
/// comes; a last line without a break too. The returned response has status and headers, and
/// no body.
///
/// units:  `idle_max` is the longest silence that it bears
/// shape:  a line holds at most 16 MiB
/// errors: as `http_call`; cancelled too where `on_line` answered false
/// blocks: until the answer ends
Result<HttpResponse> http_lines(const HttpAddress& address, const HttpCall& call, Duration idle_max,
                                std::stop_token stop,
                                const std::function<bool(std::string_view line)>& on_line);

}  // namespace tapeline::io
