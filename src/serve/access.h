// Who may do what: the one place that decides whether a request is served.
//
// The unix socket is trusted, its file mode is the login. Over TCP a reader needs no login
// unless an API token is set; a writer always needs a token or the cookie, and may not come
// from another site's page.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/guarded.h"
#include "io/http_message.h"

namespace tapeline::serve {

enum class Need : std::uint8_t {
  nothing,  // health, the page, the login itself
  read,
  write,
  socket,  // the unix socket only
};

/// threads: any
class Access {
 public:
  struct Tokens {
    std::string local;  // the content of <data-dir>/token: writes
    std::string api;    // TAPELINE_API_TOKEN: reads and writes; where set, reading needs a login
    std::string view;   // TAPELINE_VIEW_TOKEN: reads
  };
  explicit Access(Tokens tokens);

  /// The answer that refuses `request`; none where it may go on.
  std::optional<io::HttpResponse> refusal(const io::HttpRequest& request, Need need) const;

  /// From now on `code` logs one browser in, once. For the link that `up` prints.
  void allow_once(std::string code);

  /// That code where it was not used, else empty; from now on it logs nobody in.
  std::string take_code();

  /// Answers GET /-/login?code=...: the cookie and the way to the page, or a refusal.
  io::HttpResponse login_by_code(std::string_view code);

  /// Answers POST /api/v1/login with {"token"}: the cookie, or a refusal.
  io::HttpResponse login_by_token(std::string_view token) const;

 private:
  enum class Grant : std::uint8_t { nothing, read, write };
  Grant grant_of(std::string_view token) const;
  Grant grant_of(const io::HttpRequest& request) const;

  io::HttpHeaders cookie_header(std::string_view token) const;

  const Tokens tokens_;
  /// A browser sends a host's cookies to all of its ports: each directory has a name of its own.
  const std::string cookie_;
  Guarded<std::string> code_;
};

/// The headers that every answer carries: what a page may load and do, and who may frame it.
const io::HttpHeaders& security_headers();

}  // namespace tapeline::serve
