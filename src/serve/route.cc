#include "serve/route.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/time_text.h"
#include "base/whole_number.h"
#include "market/symbol.h"
#include "text/words.h"

namespace tapeline::serve {
namespace {

constexpr std::size_t kTextMax = 200;
constexpr std::size_t kSymbolsMax = 1000;
constexpr std::size_t kColumnsMax = 100;
constexpr std::size_t kColumnMax = 63;  // characters of a name

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// The method that serves `method`: HEAD is GET without the body.
std::string_view effective(std::string_view method) { return method == "HEAD" ? "GET" : method; }

bool is_name(std::string_view segment) { return segment.starts_with('{'); }

std::string_view name_of(std::string_view segment) { return segment.substr(1, segment.size() - 2); }

bool path_matches(const Route& route, const std::vector<std::string>& segments,
                  std::map<std::string, std::string, std::less<>>& params) {
  if (route.path == "/") return segments.empty();
  const auto pattern = split(std::string_view(route.path).substr(1), '/');
  if (pattern.size() != segments.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_name(pattern[i]))
      params.insert_or_assign(std::string(name_of(pattern[i])), segments[i]);
    else if (pattern[i] != segments[i])
      return false;
  }
  return true;
}

/// The beginning of a UTF-8 text, without cutting a character.
std::string_view first_characters(std::string_view text, std::size_t count) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (begins && count-- == 0) return text.substr(0, at);
  }
  return text;
}

/// What the parameter should be, where `value` is not that.
std::optional<std::string> complaint(const Param& param, const std::string& value) {
  switch (param.type) {
    case ParamType::text:
      if (!value.empty() && first_characters(value, kTextMax) == value) return std::nullopt;
      return fmt::format("text of 1 to {} characters", kTextMax);
    case ParamType::symbol:
      if (Symbol::parse(value)) return std::nullopt;
      return "a symbol such as AAPL, in capitals";
    case ParamType::symbols: {
      const auto all = split(value, ',');
      const bool good = all.size() <= kSymbolsMax &&
                        std::all_of(all.begin(), all.end(), [](std::string_view one) {
                          return Symbol::parse(one).has_value();
                        });
      if (good) return std::nullopt;
      return fmt::format("at most {} symbols with commas between them, as AAPL,MSFT", kSymbolsMax);
    }
    case ParamType::columns: {
      auto all = split(value, ',');
      std::ranges::sort(all);
      const auto is_wrong = [](std::string_view one) {
        return one.empty() || one.size() > kColumnMax ||
               one.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != one.npos;
      };
      const bool good = all.size() <= kColumnsMax && std::ranges::none_of(all, is_wrong) &&
                        std::ranges::adjacent_find(all) == all.end();
      if (good) return std::nullopt;
      return fmt::format("at most {} columns, each once, as price_date,ma_7_day", kColumnsMax);
    }
    case ParamType::integer: {
      const auto number = whole_number(value);
      if (number && *number >= param.min && *number <= param.max) return std::nullopt;
      return fmt::format("a whole number from {} to {}", param.min, param.max);
    }
    case ParamType::time:
      if (parse_rfc3339(value) || parse_date(value)) return std::nullopt;
      return "an instant such as 2025-01-04T14:30:00Z, or a date";
    case ParamType::choice:
      if (std::find(param.choices.begin(), param.choices.end(), value) != param.choices.end())
        return std::nullopt;
      return fmt::format("one of {}", fmt::join(param.choices, ", "));
    case ParamType::position:
      if (value == "beginning" || value == "end" || parse_rfc3339(value)) return std::nullopt;
      return "beginning, end, or an instant such as 2025-01-04T14:30:00Z";
  }
  return std::nullopt;
}

}  // namespace

const std::string* Call::find(std::string_view name) const {
  const auto found = params.find(name);
  return found == params.end() ? nullptr : &found->second;
}

std::string Call::text(std::string_view name, std::string_view fallback) const {
  const std::string* found = find(name);
  return found ? *found : std::string(fallback);
}

std::set<std::string> Call::set(std::string_view name) const {
  const auto items = text::comma_list(text(name));
  return {items.begin(), items.end()};
}

std::int64_t Call::integer(std::string_view name, std::int64_t fallback) const {
  const std::string* found = find(name);
  return found ? whole_number(*found).value_or(fallback) : fallback;
}

std::optional<TimeParam> time_param(const Call& call, std::string_view name) {
  const std::string* found = call.find(name);
  if (!found) return std::nullopt;
  if (const auto date = parse_date(*found)) return TimeParam{Timestamp(*date), true};
  if (const auto instant = parse_rfc3339(*found)) return TimeParam{instant->at, false};
  return std::nullopt;
}

Match find_route(const std::vector<Route>& routes, std::string_view method,
                 const io::HttpTarget& target) {
  Match match;
  for (const auto& route : routes) {
    std::map<std::string, std::string, std::less<>> params;
    if (!path_matches(route, target.segments, params)) continue;
    if (route.method == effective(method)) return {&route, std::move(params), {}};
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method;
    if (route.method == "GET") match.allow += ", HEAD";
  }
  return match;
}

Status check_params(const Route& route, const io::HttpTarget& target,
                    std::map<std::string, std::string, std::less<>>& params) {
  for (const auto& param : route.params) {
    for (const auto& [name, value] : target.query)
      if (name == param.name) params.emplace(name, value);
    const auto found = params.find(param.name);
    if (found == params.end()) {
      if (!param.required) continue;
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the parameter '{}' is missing", param.name),
                   param.description + "."};
    }
    if (const auto wanted = complaint(param, found->second))
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the parameter '{}' has the value '{}'", param.name,
                               first_characters(found->second, kTextMax)),
                   fmt::format("It must be {}.", *wanted)};
  }
  return Ok{};
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
      return 409;
    case ErrorCode::corrupt:
      return 500;
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::timed_out:
      return 504;
    case ErrorCode::cancelled:
      return 503;
    case ErrorCode::unsupported:
      return 501;
  }
  return 500;
}

io::HttpResponse error_response(const Error& error) {
  const int status = status_of(error.code);
  auto response = io::http_error(status, to_string(error.code), error.message, error.hint);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

io::HttpResponse json_response(std::string json) {
  return {
      200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, std::move(json)};
}

}  // namespace tapeline::serve
