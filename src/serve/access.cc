#include "serve/access.h"

#include <fmt/format.h>

#include <utility>

#include "io/digest.h"

namespace tapeline::serve {
namespace {

constexpr std::size_t kDigestCharacters = 8;  // of the cookie's name

/// Takes the same time wherever the texts first differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  return difference == 0;
}

bool matches(std::string_view given, std::string_view secret) {
  return !secret.empty() && equal_in_constant_time(given, secret);
}

std::string cookie_of(const io::HttpRequest& request, std::string_view name) {
  const std::string* header = request.header("Cookie");
  if (!header) return "";
  std::string_view rest = *header;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return io::percent_decode(pair.substr(name.size() + 1), false).value_or("");
  }
  return "";
}

/// A browser says where a request comes from; other programs say nothing.
bool from_another_site(const io::HttpRequest& request) {
  const std::string* site = request.header("Sec-Fetch-Site");
  if (site && *site != "same-origin" && *site != "none") return true;
  const std::string* origin = request.header("Origin");
  if (!origin) return false;
  const std::string* host = request.header("Host");
  if (!host) return true;
  return !io::equal_ignoring_case(*origin, "http://" + *host) &&
         !io::equal_ignoring_case(*origin, "https://" + *host);
}

bool has_json_type(const io::HttpRequest& request) {
  const std::string* type = request.header("Content-Type");
  if (!type) return false;
  std::string_view name = std::string_view(*type).substr(0, type->find(';'));
  while (name.ends_with(' ')) name.remove_suffix(1);
  return io::equal_ignoring_case(name, "application/json") ||
         io::equal_ignoring_case(name, "application/x-ndjson");
}

}  // namespace

Access::Access(Tokens tokens)
    : tokens_(std::move(tokens)),
      cookie_(
          fmt::format("tapeline_{}", io::sha256_hex(tokens_.local).substr(0, kDigestCharacters))) {}

io::HttpHeaders Access::cookie_header(std::string_view token) const {
  return {{"Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000",
                                     cookie_, io::percent_encode(token))},
          {"Cache-Control", "no-store"}};
}

Access::Grant Access::grant_of(std::string_view token) const {
  if (matches(token, tokens_.local) || matches(token, tokens_.api)) return Grant::write;
  return matches(token, tokens_.view) ? Grant::read : Grant::nothing;
}

Access::Grant Access::grant_of(const io::HttpRequest& request) const {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string* header = request.header("Authorization");
  if (header && header->size() > kBearer.size() &&
      io::equal_ignoring_case(std::string_view(*header).substr(0, kBearer.size()), kBearer))
    return grant_of(std::string_view(*header).substr(kBearer.size()));
  return grant_of(cookie_of(request, cookie_));
}

std::optional<io::HttpResponse> Access::refusal(const io::HttpRequest& request, Need need) const {
  if (request.over_socket || need == Need::nothing) return std::nullopt;
  if (need == Need::socket)
    return io::http_error(403, "unsupported", "this is served over the unix socket only",
                          "Use the tapeline command on the machine that runs it.");
  const Grant grant = grant_of(request);
  if (need == Need::read) {
    if (tokens_.api.empty() || grant != Grant::nothing) return std::nullopt;
  } else {
    if (from_another_site(request))
      return io::http_error(403, "invalid_argument", "the request comes from another site's page",
                            "Write from the dashboard itself, or from a program.");
    if (!has_json_type(request))
      return io::http_error(415, "invalid_argument", "the Content-Type is no JSON",
                            "Send application/json or application/x-ndjson.");
    if (grant == Grant::write) return std::nullopt;
    if (grant == Grant::read)
      return io::http_error(403, "invalid_argument", "the view token may only read",
                            "Use the API token, or the content of the data directory's token.");
  }
  io::HttpResponse refused = io::http_error(
      401, "invalid_argument", "the request carries no token that is known here",
      "Send 'Authorization: Bearer' with the API token or the content of the data directory's "
      "file token, or open the link that tapeline printed at its start.");
  refused.headers.emplace_back("WWW-Authenticate", "Bearer");
  return refused;
}

void Access::allow_once(std::string code) {
  code_.with([&](std::string& now) { now = std::move(code); });
}

std::string Access::take_code() {
  return code_.with([](std::string& now) { return std::exchange(now, ""); });
}

io::HttpResponse Access::login_by_code(std::string_view code) {
  const bool known = code_.with([&](std::string& now) {
    if (!matches(code, now)) return false;
    now.clear();
    return true;
  });
  if (!known)
    return io::http_error(401, "invalid_argument", "the link was used before, or is none of ours",
                          "Restart tapeline for a new link, or log in with a token.");
  io::HttpResponse response{303, cookie_header(tokens_.local), ""};
  response.headers.emplace_back("Location", "/");
  return response;
}

io::HttpResponse Access::login_by_token(std::string_view token) const {
  if (grant_of(token) == Grant::nothing)
    return io::http_error(401, "invalid_argument", "the token is not known here",
                          "Use TAPELINE_API_TOKEN or TAPELINE_VIEW_TOKEN of this tapeline.");
  return {204, cookie_header(token), ""};
}

const io::HttpHeaders& security_headers() {
  static const io::HttpHeaders headers = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
       "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  return headers;
}

}  // namespace tapeline::serve
