#include "app/feeding/feed_ground.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/feeding/feed_report.h"
#include "app/feeding/finnhub.h"
#include "app/feeding/unloaded.h"
#include "base/crc32c.h"
#include "serve/live.h"
#include "wire/message.h"

namespace tapeline::app {
namespace {

constexpr std::string_view kAliveAt = "finnhub.alive_at";
constexpr std::string_view kOurSources = "('finnhub', 'finnhub-ws')";

/// Producers that share nothing know nothing of each other's holes.
std::string alive_key(const std::string& group) {
  return group == kFinnhubGroup ? std::string(kAliveAt)
                                : fmt::format("{}.{:08x}", kAliveAt, crc32c(group));
}

/// The greatest event time of each symbol that the topic ever held: raw, and what is not loaded.
Result<std::map<Symbol, Timestamp>> last_event_times(Pipeline& pipeline) {
  std::map<Symbol, Timestamp> last;
  const auto see = [&](std::string_view symbol, Timestamp at) {
    const auto parsed = Symbol::parse(symbol);
    if (!parsed) return;
    auto& known = last.try_emplace(*parsed, at).first->second;
    known = std::max(known, at);
  };
  auto connection = TRY(pipeline.warehouse().connect());
  const auto rows = TRY(connection->query(
      "select symbol, max(\"timestamp\") from raw_stocks.stock_prices group by symbol"));
  for (const auto& row : rows.rows) {
    see(std::get<std::string>(row[0]), std::get<Timestamp>(row[1]));
  }
  TRY_STATUS(each_unloaded(pipeline,
                           [&](const wire::QuoteView& row) { see(row.symbol, row.event_time); }));
  return last;
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

Status add_finnhub(Pipeline& pipeline, const GroundRequest& request, FeedGround& ground) {
  auto connection = TRY(pipeline.warehouse().connect());
  // What the log refused before the end of the run before, it takes now; what was not appended any
  // more lies in the gap that begins where all was well.
  TRY_STATUS(connection->execute(
      "update raw_stocks.gaps set healed_at = gap_end where feed = 'finnhub' and healed_at is null "
      "and cause = 'log_refused'"));
  ground.open_gaps = TRY(open_gaps(*connection));
  ground.alive_until = TRY(newest_row(*connection));
  const auto later = [&](Timestamp at) {
    ground.alive_until = std::max(ground.alive_until.value_or(at), at);
  };
  TRY_STATUS(
      each_of_ours_unloaded(pipeline, [&](const wire::QuoteView& row) { later(row.event_time); }));
  if (const auto kept = TRY(pipeline.settings().get(alive_key(request.group)))) {
    if (const auto at = parse_rfc3339(*kept)) later(at->at);
  }
  // With a clock that runs through another day there is no run before this one.
  if (ground.alive_until && *ground.alive_until > request.now) ground.alive_until.reset();
  return Ok{};
}

}  // namespace

Result<FeedGround> feed_ground(Pipeline& pipeline, const GroundRequest& request) {
  FeedGround ground;
  if (request.feed == "simulator") {
    // Seed and start belong to the data: a restart goes on with those of the first time.
    ground.start = TRY(pipeline.settings().get_or_set("simulator.start", request.start));
    ground.seed = TRY(pipeline.settings().get_or_set("simulator.seed", request.seed));
    ground.last_event_times = TRY(last_event_times(pipeline));
  } else if (request.feed == "finnhub") {
    TRY_STATUS(add_finnhub(pipeline, request, ground));
  }
  return ground;
}

Status each_of_today(Pipeline& pipeline, Timestamp now,
                     const std::function<void(const Quote&)>& use) {
  const Timestamp since = serve::live_since(pipeline.calendar(), now);
  auto connection = TRY(pipeline.warehouse().connect());
  const auto on_row = [&](const std::vector<warehouse::Value>& row) {
    const auto symbol = Symbol::parse(warehouse::to_text(row[0]));
    const auto price = price_of(row[2]);
    if (!symbol || !price) return true;
    use({.symbol = *symbol,
         .price = *price,
         .open = price_of(row[3]),
         .high = price_of(row[4]),
         .low = price_of(row[5]),
         .previous_close = price_of(row[6]),
         .session = session_from_text(warehouse::to_text(row[7])),
         .event_time = std::get<Timestamp>(row[1]),
         .data_source = warehouse::to_text(row[8])});
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
    if (row.event_time >= since && !row.history) unloaded.push_back(wire::quote_of(row));
  }));
  std::ranges::stable_sort(unloaded, {}, &Quote::event_time);
  for (const Quote& quote : unloaded) use(quote);
  return Ok{};
}

Status keep_alive_at(Pipeline& pipeline, const std::string& group, Timestamp alive_at,
                     state::Sync sync) {
  return pipeline.settings().set(alive_key(group), format_rfc3339_micros(alive_at), sync);
}

text::Value to_value(const FeedGround& ground) {
  text::Value value;
  value.set("start", ground.start);
  value.set("seed", ground.seed);
  text::Object last;
  for (const auto& [symbol, at] : ground.last_event_times) {
    last.emplace_back(symbol.text(), format_rfc3339_micros(at));
  }
  value.set("last_event_times", std::move(last));
  text::List gaps;
  for (const feeds::Gap& gap : ground.open_gaps) gaps.push_back(to_value(gap));
  value.set("open_gaps", std::move(gaps));
  if (ground.alive_until) value.set("alive_until", format_rfc3339_micros(*ground.alive_until));
  return value;
}

Result<FeedGround> feed_ground(const text::Value& value) {
  FeedGround ground{.start = value.string_or("start", ""), .seed = value.string_or("seed", "")};
  const text::Value* last = value.find("last_event_times");
  for (const auto& [symbol, at] : last && last->is_object() ? last->as_object() : text::Object{}) {
    const std::string when = at.is_string() ? at.as_string() : "";
    ground.last_event_times.emplace(TRY(Symbol::parse(symbol)), TRY(parse_rfc3339(when)).at);
  }
  const text::Value* gaps = value.find("open_gaps");
  for (const text::Value& gap : gaps && gaps->is_list() ? gaps->as_list() : text::List{}) {
    ground.open_gaps.push_back(TRY(gap_of(gap)));
  }
  if (const std::string alive = value.string_or("alive_until", ""); !alive.empty()) {
    ground.alive_until = TRY(parse_rfc3339(alive)).at;
  }
  return ground;
}

text::Value to_value(const GroundRequest& request) {
  text::Value value;
  value.set("feed", request.feed);
  value.set("group", request.group);
  value.set("now", format_rfc3339_micros(request.now));
  value.set("start", request.start);
  value.set("seed", request.seed);
  return value;
}

Result<GroundRequest> ground_request(const text::Value& value) {
  return GroundRequest{.feed = value.string_or("feed", ""),
                       .group = value.string_or("group", ""),
                       .now = TRY(parse_rfc3339(value.string_or("now", ""))).at,
                       .start = value.string_or("start", ""),
                       .seed = value.string_or("seed", "")};
}

}  // namespace tapeline::app
