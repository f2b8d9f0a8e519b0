// What travels over HTTP/1.1: requests, responses, and the pure rules about them.
//
// Nothing here opens a socket; http_server.h and http_client.h do.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::io {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The first header called `name` in any case; nullptr where there is none.
const std::string* find_header(const HttpHeaders& headers, std::string_view name);

/// True for equal ASCII texts in any case.
bool equal_ignoring_case(std::string_view a, std::string_view b);

bool is_utf8(std::string_view text);

/// The part of a request line between method and version, taken apart.
struct HttpTarget {
  std::string path;                   // as sent, without the query
  std::vector<std::string> segments;  // percent-decoded, after splitting at /; "/" has none
  std::vector<std::pair<std::string, std::string>> query;  // percent-decoded, in order
};

/// Takes an origin-form target apart ("/a/b?x=1").
///
/// holds:  no segment is empty, "." or "..", and none holds a control character; only the
///         last may be dropped because it was empty ("/a/" reads as "/a")
/// errors: invalid_argument
Result<HttpTarget> parse_target(std::string_view target);

/// `text` without percent escapes; `+` becomes a blank if `plus_is_blank`.
/// errors: invalid_argument for an escape that is none, or what is no UTF-8
Result<std::string> percent_decode(std::string_view text, bool plus_is_blank);

/// `text` so that it can stand in a path segment or a query value.
std::string percent_encode(std::string_view text);

struct HttpRequest {
  std::string method;  // upper case, as sent
  HttpTarget target;
  HttpHeaders headers;
  std::string body;
  bool over_socket = false;  // came over the unix socket, whose file mode is its login

  const std::string* header(std::string_view name) const { return find_header(headers, name); }

  /// The first query value called `name`; nullptr where there is none.
  const std::string* query(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // Content-Length, Connection and Date are the server's to write
  std::string body;
};

/// "Not Found" for 404.
std::string_view reason_phrase(int status);

/// {"error":{"code","message","hint"}} with a status.
HttpResponse http_error(int status, std::string_view code, std::string_view message,
                        std::string_view hint);

/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string format_http_date(Timestamp at);

/// True where a Host header names one of `names`, with any port. "[::1]:80" names "::1".
bool host_is_one_of(std::string_view host, const std::vector<std::string>& names);

}  // namespace tapeline::io
