#include "app/finnhub.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/unloaded.h"
#include "app/values.h"
#include "base/scaled_clock.h"
#include "serve/live.h"
#include "wire/message.h"

namespace tapeline::app {
namespace {

using feeds::finnhub::FeedState;
using feeds::finnhub::FinnhubFeed;
using feeds::finnhub::Path;

constexpr std::string_view kAliveAt = "finnhub.alive_at";
constexpr std::string_view kOurSources = "('finnhub', 'finnhub-ws')";

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

/// The holes that a run before left open.
Result<std::vector<feeds::Gap>> open_gaps(warehouse::Connection& connection) {
  const auto rows = TRY(
      connection.query("select symbol, gap_start, gap_end, cause from raw_stocks.gaps where feed = "
                       "'finnhub' and healed_at is null"));
  std::vector<feeds::Gap> gaps;
  for (const auto& row : rows.rows) {
    feeds::Gap gap{.feed = "finnhub",
                   .symbol = std::nullopt,
                   .begin = std::get<Timestamp>(row[1]),
                   .end = std::get<Timestamp>(row[2]),
                   .cause = std::get<std::string>(row[3])};
    const auto& name = std::get<std::string>(row[0]);
    if (name != "*") gap.symbol = TRY(Symbol::parse(name));
    gaps.push_back(std::move(gap));
  }
  return gaps;
}

/// The newest event time that raw has of this feed.
Result<std::optional<Timestamp>> newest_row(warehouse::Connection& connection) {
  const auto rows = TRY(connection.query(
      fmt::format("select max(\"timestamp\") from raw_stocks.stock_prices where data_source in {}",
                  kOurSources)));
  const auto& cell = rows.rows.at(0).at(0);
  if (warehouse::is_null(cell)) return std::optional<Timestamp>();
  return std::optional(std::get<Timestamp>(cell));
}

std::optional<Price> price_of(const warehouse::Value& cell) {
  if (warehouse::is_null(cell)) return std::nullopt;
  const auto price = Price::parse(warehouse::to_text(cell));
  return price ? std::optional(*price) : std::nullopt;
}

/// Calls `use` with each message of this feed that the topic holds and raw does not.
Status each_of_ours_unloaded(Pipeline& pipeline,
                             const std::function<void(const wire::QuoteView&)>& use) {
  return each_unloaded(pipeline, [&](const wire::QuoteView& row) {
    if (row.data_source == "finnhub" || row.data_source == "finnhub-ws") use(row);
  });
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

Result<std::unique_ptr<FinnhubFeed>> make_finnhub(Pipeline& pipeline, Clock& clock,
                                                  const std::string& lock_folder) {
  TRY_STATUS(check_servers(pipeline.config()));
  auto options = TRY(read_options(pipeline.config()));
  options.lock_folder = lock_folder;
  options.symbols = [&pipeline] { return pipeline.symbols().list(); };
  options.seed = static_cast<std::uint64_t>(pipeline.clock().now().time_since_epoch().count());

  auto connection = TRY(pipeline.warehouse().connect());
  // What the log refused before the end of the run before, it takes now.
  TRY_STATUS(connection->execute(
      "update raw_stocks.gaps set healed_at = gap_end where feed = 'finnhub' and healed_at is null "
      "and cause = 'log_refused'"));
  options.open_gaps = TRY(open_gaps(*connection));
  options.alive_until = TRY(newest_row(*connection));
  const auto later = [&](Timestamp at) {
    options.alive_until = std::max(options.alive_until.value_or(at), at);
  };
  TRY_STATUS(
      each_of_ours_unloaded(pipeline, [&](const wire::QuoteView& row) { later(row.event_time); }));
  if (const auto kept = TRY(pipeline.settings().get(kAliveAt))) {
    if (const auto at = parse_rfc3339(*kept)) later(at->at);
  }
  // With a clock that runs through another day there is no run before this one.
  if (options.alive_until && *options.alive_until > clock.now()) options.alive_until.reset();
  return FinnhubFeed::make(clock, pipeline.calendar(), pipeline.files(), pipeline.metrics(),
                           std::move(options));
}

Status restore_finnhub(Pipeline& pipeline, Clock& clock, FinnhubFeed& feed,
                       ingest::Producer& producer) {
  const auto restore = [&](const Quote& quote) {
    feed.restore(quote);
    producer.restore(quote);
  };
  const Timestamp since = serve::live_since(pipeline.calendar(), clock.now());
  auto connection = TRY(pipeline.warehouse().connect());
  Quote quote;
  const auto on_row = [&](const std::vector<warehouse::Value>& row) {
    const auto symbol = Symbol::parse(warehouse::to_text(row[0]));
    const auto price = price_of(row[2]);
    if (!symbol || !price) return true;
    quote.symbol = *symbol;
    quote.event_time = std::get<Timestamp>(row[1]);
    quote.price = *price;
    quote.open = price_of(row[3]);
    quote.high = price_of(row[4]);
    quote.low = price_of(row[5]);
    quote.previous_close = price_of(row[6]);
    quote.session = session_from_text(warehouse::to_text(row[7]));
    quote.data_source = warehouse::to_text(row[8]);
    restore(quote);
    return true;
  };
  TRY_STATUS(connection->stream(
      fmt::format("select symbol, \"timestamp\", price, open, high, low, previous_close, session, "
                  "data_source from raw_stocks.stock_prices where \"timestamp\" >= timestamp '{}' "
                  "and data_source in {} and bar_length is null order by \"timestamp\"",
                  format_rfc3339_micros(since), kOurSources),
      {}, [](const std::vector<warehouse::Column>&) {}, on_row));
  std::vector<Quote> unloaded;
  TRY_STATUS(each_of_ours_unloaded(pipeline, [&](const wire::QuoteView& row) {
    const auto symbol = Symbol::parse(row.symbol);
    if (!symbol || row.event_time < since || row.history) return;
    unloaded.push_back({.symbol = *symbol,
                        .price = row.price,
                        .open = row.open,
                        .high = row.high,
                        .low = row.low,
                        .previous_close = row.previous_close,
                        .session = row.session,
                        .event_time = row.event_time,
                        .data_source = std::string(row.data_source)});
  }));
  std::ranges::stable_sort(unloaded, {}, &Quote::event_time);
  for (const Quote& one : unloaded) restore(one);
  return Ok{};
}

Status keep_alive_at(Pipeline& pipeline, const FeedState& state, state::Sync sync) {
  if (!state.alive_at) return Ok{};
  return pipeline.settings().set(kAliveAt, format_rfc3339_micros(*state.alive_at), sync);
}

text::Value state_value(const FeedState& state) {
  text::List symbols;
  std::int64_t over_limit = 0;
  for (const auto& [symbol, path] : state.symbols) {
    if (path == Path::over_limit) ++over_limit;
    text::Value one;
    one.set("symbol", symbol.text());
    one.set("path", to_string(path));
    symbols.push_back(std::move(one));
  }
  text::Value value;
  value.set("state", state.state);
  value.set("error", state.error.empty() ? text::Value() : text::Value(state.error));
  value.set("last_frame_at", time_value(state.last_frame_at));
  value.set("backoff_seconds", std::round(state.backoff_seconds * 10) / 10);
  value.set("over_limit", over_limit);
  value.set("symbols", text::Value(std::move(symbols)));
  return value;
}

}  // namespace tapeline::app
