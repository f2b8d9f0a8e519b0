#include "io/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace tapeline::io {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char small = lower(c);
  if (small >= 'a' && small <= 'f') return small - 'a' + 10;
  return std::nullopt;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// JSON is UTF-8: in a text that is not, each byte above ASCII becomes a question mark.
std::string json_escaped(std::string_view text) {
  std::string out;
  const bool good = is_utf8(text);
  for (const char c : text) {
    if (!good && static_cast<unsigned char>(c) >= 0x80) {
      out += '?';
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out;
}

Error bad_target(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char lead = byte(i);
    std::size_t more = 0;
    std::uint32_t point = lead;
    if (lead >= 0x80) {
      if (lead >= 0xC2 && lead <= 0xDF)
        more = 1, point = lead & 0x1FU;
      else if ((lead & 0xF0U) == 0xE0)
        more = 2, point = lead & 0x0FU;
      else if (lead >= 0xF0 && lead <= 0xF4)
        more = 3, point = lead & 0x07U;
      else
        return false;
    }
    if (i + more >= text.size()) return false;
    for (std::size_t j = 1; j <= more; ++j) {
      if ((byte(i + j) & 0xC0U) != 0x80) return false;
      point = (point << 6) | (byte(i + j) & 0x3FU);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (equal_ignoring_case(key, name)) return &value;
  return nullptr;
}

const std::string* HttpRequest::query(std::string_view name) const {
  for (const auto& [key, value] : target.query)
    if (key == name) return &value;
  return nullptr;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      out += ' ';
    } else if (text[i] == '%') {
      const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
      if (!high || !low)
        return bad_target("the address holds a '%' that begins no escape",
                          "Write a percent sign as %25.");
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  if (!is_utf8(out))
    return bad_target("the address is no UTF-8", "Percent-encode the UTF-8 bytes of the text.");
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

Result<HttpTarget> parse_target(std::string_view target) {
  if (target.empty() || target[0] != '/')
    return bad_target("the request names no path", "Send a path that begins with '/'.");
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  HttpTarget parsed;
  parsed.path = std::string(target.substr(0, mark));

  std::string_view rest = std::string_view(parsed.path).substr(1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    std::string segment = TRY(percent_decode(rest.substr(0, end), false));
    if (segment.empty() || segment == "." || segment == ".." || has_control(segment))
      return bad_target("the path holds an empty, dotted or control-character segment",
                        "Name the resource by its plain path.");
    parsed.segments.push_back(std::move(segment));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }

  rest = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string key = TRY(percent_decode(pair.substr(0, equals), true));
    std::string value = TRY(percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
    parsed.query.emplace_back(std::move(key), std::move(value));
  }
  return parsed;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

HttpResponse http_error(int status, std::string_view code, std::string_view message,
                        std::string_view hint) {
  return HttpResponse{status,
                      {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
                      fmt::format(R"({{"error":{{"code":"{}","message":"{}","hint":"{}"}}}})", code,
                                  json_escaped(message), json_escaped(hint))};
}

std::string format_http_date(Timestamp at) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(at - day));
  return fmt::format(
      "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
      static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
      static_cast<int>(date.year()), time.hours().count(), time.minutes().count(),
      time.seconds().count());
}

bool host_is_one_of(std::string_view host, const std::vector<std::string>& names) {
  std::size_t end = std::min(host.find(':'), host.size());
  std::string_view name = host.substr(0, end);
  if (!host.empty() && host[0] == '[') {
    const std::size_t bracket = host.find(']');
    if (bracket == std::string_view::npos) return false;
    name = host.substr(1, bracket - 1);
    end = bracket + 1;
  }
  const std::string_view port = host.substr(end);
  if (!port.empty() && (port[0] != ':' || port.find_first_not_of("0123456789", 1) != port.npos))
    return false;
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& allowed) { return equal_ignoring_case(name, allowed); });
}

}  // namespace tapeline::io
