#include "io/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tapeline::io {

std::string Url::authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(ipv6 ? "[{}]:{}" : "{}:{}"), host, port);
}

bool is_loopback(std::string_view host) {
  const bool ipv4 = host.starts_with("127.") && std::ranges::all_of(host, [](char c) {
                      return (c >= '0' && c <= '9') || c == '.';
                    });
  return host == "localhost" || host == "::1" || ipv4;
}

Result<Url> parse_url(std::string_view text, std::string_view secure, std::string_view plain) {
  // The text is not repeated where it may hold a secret: behind an @ or a ?.
  const auto refuse = [&](std::string why) {
    return Error{ErrorCode::invalid_argument, std::move(why),
                 fmt::format("Write it like {}://host/path.", secure)};
  };
  if (text.find_first_of("@?# \t\r\n") != std::string_view::npos) {
    return refuse("an address holds neither user, query nor blank");
  }
  Url url;
  const auto colon = text.find("://");
  url.scheme = std::string(text.substr(0, colon));
  if (colon == std::string_view::npos || (url.scheme != secure && url.scheme != plain)) {
    return refuse(fmt::format("'{}' is no address of {}://", text, secure));
  }
  std::string_view rest = text.substr(colon + 3);
  const auto slash = std::min(rest.find('/'), rest.size());
  url.path = std::string(rest.substr(slash));
  while (url.path.ends_with('/')) url.path.pop_back();
  std::string_view authority = rest.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return refuse(fmt::format("'{}' has no host", text));
    url.host = std::string(authority.substr(1, end - 1));
    port = authority.substr(end + 1);
  } else {
    const auto end = std::min(authority.find(':'), authority.size());
    url.host = std::string(authority.substr(0, end));
    port = authority.substr(end);
  }
  url.port = url.encrypted() ? 443 : 80;
  if (!port.empty()) {
    const char* last = port.data() + port.size();
    const auto [at, failed] = std::from_chars(port.data() + 1, last, url.port);
    if (port[0] != ':' || failed != std::errc() || at != last || url.port == 0) {
      return refuse(fmt::format("'{}' has no port that can be", text));
    }
  }
  if (url.host.empty()) return refuse(fmt::format("'{}' has no host", text));
  if (!url.encrypted() && !is_loopback(url.host)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' would send the key unencrypted beyond this machine", text),
                 fmt::format("Use {}://.", secure)};
  }
  return url;
}

}  // namespace tapeline::io
