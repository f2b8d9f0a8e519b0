#include "app/feeding/finnhub.h"

#include <fmt/format.h>

#include <charconv>

#include "base/scaled_clock.h"

namespace tapeline::app {
namespace {

using feeds::finnhub::FeedState;
using feeds::finnhub::FinnhubFeed;

Result<std::int64_t> number_between(const Config& config, std::string_view key, std::int64_t least,
                                    std::int64_t most) {
  const auto number = TRY(config.integer(key));
  if (number >= least && number <= most) return number;
  return Error{
      ErrorCode::invalid_argument,
      fmt::format("{} is out of range for '{}' (from {})", number, key, config.value(key).origin),
      fmt::format("It goes from {} to {}.", least, most)};
}

Result<io::Url> url_of(const Config& config, std::string_view key, std::string_view secure,
                       std::string_view plain) {
  auto url = io::parse_url(config.text(key), secure, plain);
  if (!url) return Error(url.error()).while_doing(fmt::format("reading '{}'", key));
  return url;
}

Result<FinnhubFeed::Options> read_options(const Config& config) {
  FinnhubFeed::Options options;
  options.key = config.text("finnhub.api_key");
  if (options.key.empty()) {
    return Error{ErrorCode::invalid_argument, "the feed 'finnhub' needs a key",
                 "Put FINNHUB_API_KEY=... into secrets.env (chmod 600), or into the environment. "
                 "finnhub.io gives one for nothing."};
  }
  options.rest_url = TRY(url_of(config, "finnhub.rest_url", "https", "http"));
  options.stream_url = TRY(url_of(config, "finnhub.stream_url", "wss", "ws"));
  options.ca_file = config.text("finnhub.ca_file");
  const std::string& stream = config.text("finnhub.stream");
  if (stream != "true" && stream != "false") {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is neither true nor false for 'finnhub.stream'", stream), ""};
  }
  options.stream = stream == "true";
  constexpr std::int64_t kHour = 3'600'000;
  const auto millis = [&](std::string_view key, std::int64_t least) -> Result<Duration> {
    return Duration(std::chrono::milliseconds(TRY(number_between(config, key, least, kHour))));
  };
  options.calls.interval =
      std::chrono::seconds(TRY(number_between(config, "finnhub.fetch_interval", 1, 86'400)));
  options.calls.spacing = TRY(millis("finnhub.spacing_ms", 0));
  options.calls.calls_per_minute =
      static_cast<int>(TRY(number_between(config, "finnhub.calls_per_minute", 1, 60'000)));
  options.symbols_max =
      static_cast<std::size_t>(TRY(number_between(config, "finnhub.symbols_max", 1, 10'000)));
  options.time_max = TRY(millis("finnhub.timeout_ms", 10));
  options.silence_max = TRY(millis("finnhub.silence_ms", 1000));
  options.mute_min = TRY(millis("finnhub.mute_ms", 1000));
  return options;
}

/// errors: invalid_argument where debug.clock would meet the vendor itself
Status check_servers(const Config& config) {
  if (config.text("debug.clock").empty()) return Ok{};
  const auto rest = TRY(url_of(config, "finnhub.rest_url", "https", "http"));
  const auto stream = TRY(url_of(config, "finnhub.stream_url", "wss", "ws"));
  if (!io::is_loopback(rest.host) || !io::is_loopback(stream.host)) {
    return Error{ErrorCode::invalid_argument,
                 "a made-up clock does not go with a vendor's own servers",
                 "debug.clock is for servers on this machine."};
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<Clock>> debug_clock(Clock& real, const Config& config) {
  const std::string& text = config.text("debug.clock");
  if (text.empty()) return std::unique_ptr<Clock>();
  const auto comma = text.find(',');
  const auto start = parse_rfc3339(text.substr(0, comma));
  double speed = 0;
  std::optional<double> since;
  if (comma != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [at, failed] = std::from_chars(text.data() + comma + 1, end, speed);
    if (failed != std::errc()) speed = 0;
    if (at != end && *at == ',') {
      since = 0;
      std::from_chars(at + 1, end, *since);
    } else if (at != end) {
      speed = 0;
    }
  }
  constexpr double kFastest = 10'000;
  if (!start || !(speed > 0 && speed <= kFastest)) {
    return Error{
        ErrorCode::invalid_argument, fmt::format("'{}' is no clock", text),
        "Write START,SPEED, like 2024-03-08T14:25:00Z,50; a third number says since when, in "
        "seconds since 1970."};
  }
  Timestamp begin = start->at;
  if (since) {
    const std::chrono::duration<double> gone = real.now().time_since_epoch();
    const std::chrono::duration<double> scaled((gone.count() - *since) * speed);
    begin += std::chrono::duration_cast<std::chrono::microseconds>(scaled);
  }
  return std::unique_ptr<Clock>(std::make_unique<ScaledClock>(real, begin, speed));
}

Status check_finnhub(const Config& config) {
  TRY_STATUS(check_servers(config));
  TRY(read_options(config));
  return Ok{};
}

Result<std::unique_ptr<FinnhubFeed>> make_finnhub(const FinnhubParts& parts,
                                                  const FeedGround& ground) {
  TRY_STATUS(check_servers(parts.config));
  auto options = TRY(read_options(parts.config));
  options.lock_folder = parts.lock_folder;
  options.symbols = parts.symbols;
  options.seed = static_cast<std::uint64_t>(parts.clock.now().time_since_epoch().count());
  options.open_gaps = ground.open_gaps;
  options.alive_until = ground.alive_until;
  return FinnhubFeed::make(parts.clock, parts.calendar, parts.files, parts.metrics,
                           std::move(options));
}

void take_state(const FeedState& state, FeedReport& report) {
  report.state = state.state;
  report.error = state.error;
  report.last_frame_at = state.last_frame_at;
  report.alive_at = state.alive_at;
  report.backoff_seconds = state.backoff_seconds;
  report.symbols.clear();
  for (const auto& [symbol, path] : state.symbols) {
    report.symbols.emplace_back(symbol.text(), to_string(path));
  }
}

}  // namespace tapeline::app
