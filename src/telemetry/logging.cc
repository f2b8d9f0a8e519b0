// The only file that includes the logging library.

#include "telemetry/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/guarded.h"

namespace tapeline::telemetry {
namespace {

using Sink = std::function<void(Level, std::string_view, const Fields&)>;

struct Destination {
  std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        "tapeline", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::warn);
    return made;
  }();
  Sink sink;
  Level level = Level::info;
  std::vector<std::string> secrets;
};

Guarded<Destination>& destination() {
  static Guarded<Destination> one;
  return one;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// A field's value, in quotes where a blank or a quote would break the line up.
std::string quoted(std::string_view value) {
  if (!value.empty() && value.find_first_of(" \"\n\r\t=") == std::string_view::npos) {
    return std::string(value);
  }
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c != '\r')
      out += c;
  }
  return out + '"';
}

void mask(std::string& line, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    for (std::size_t at = 0; (at = line.find(secret, at)) != std::string::npos; at += 3) {
      line.replace(at, secret.size(), "***");
    }
  }
}

}  // namespace

void log(Level level, std::string_view event, const Fields& fields) {
  destination().with([&](Destination& to) {
    if (level < to.level) return;
    if (to.sink) {
      to.sink(level, event, fields);
      return;
    }
    std::string line(event);
    for (const auto& [name, value] : fields) {
      line += ' ';
      line += name;
      line += '=';
      line += quoted(value);
    }
    mask(line, to.secrets);
    to.logger->set_level(spdlog_level(to.level));
    to.logger->log(spdlog_level(level), line);
  });
}

Fields error_fields(const Error& error) {
  Fields fields = {{"code", std::string(to_string(error.code))}, {"error", error.message}};
  if (!error.hint.empty()) fields.emplace_back("hint", error.hint);
  return fields;
}

void set_log_level(Level level) {
  destination().with([&](Destination& to) { to.level = level; });
}

void set_log_sink(Sink sink) {
  destination().with([&](Destination& to) { to.sink = std::move(sink); });
}

void mask_secret(std::string secret) {
  if (secret.empty()) return;
  destination().with([&](Destination& to) { to.secrets.push_back(std::move(secret)); });
}

}  // namespace tapeline::telemetry
