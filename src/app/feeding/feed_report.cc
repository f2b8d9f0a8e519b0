#include "app/feeding/feed_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/values.h"

namespace tapeline::app {
namespace {

std::optional<Timestamp> instant(const text::Value& value, std::string_view key) {
  const auto parsed = parse_rfc3339(value.string_or(key, ""));
  return parsed ? std::optional(parsed->at) : std::nullopt;
}

text::Value micros_value(const std::optional<Timestamp>& at) {
  return at ? text::Value(format_rfc3339_micros(*at)) : text::Value();
}

text::Value text_or_null(const std::string& text) {
  return text.empty() ? text::Value() : text::Value(text);
}

}  // namespace

std::int64_t FeedReport::over_limit() const {
  return std::ranges::count(symbols, "over_limit", [](const auto& one) { return one.second; });
}

FeedReport together(const std::vector<FeedReport>& reports) {
  FeedReport all;
  bool first = true;
  for (const FeedReport& one : reports) {
    all.records += one.records;
    if (one.state == "standby") continue;
    if (first) {
      const auto records = all.records;
      all = one;
      all.records = records;
      first = false;
      continue;
    }
    if (all.name != one.name) all.name += "+" + one.name;
    if (all.state == "live") all.state = one.state;
    if (all.error.empty()) all.error = one.error;
    if (all.faults.empty()) all.faults = one.faults;
    all.last_frame_at = std::max(all.last_frame_at, one.last_frame_at);
    all.backoff_seconds = std::max(all.backoff_seconds, one.backoff_seconds);
    all.symbols.insert(all.symbols.end(), one.symbols.begin(), one.symbols.end());
  }
  return all;
}

text::Value state_value(const FeedReport& report) {
  text::List symbols;
  for (const auto& [symbol, path] : report.symbols) {
    symbols.emplace_back(text::Object{{"symbol", symbol}, {"path", path}});
  }
  text::Value value;
  value.set("state", report.state);
  value.set("error", text_or_null(report.error));
  value.set("last_frame_at", time_value(report.last_frame_at));
  value.set("backoff_seconds", std::round(report.backoff_seconds * 10) / 10);
  value.set("over_limit", report.over_limit());
  value.set("symbols", text::Value(std::move(symbols)));
  return value;
}

text::Value to_value(const FeedReport& report) {
  text::Value value = state_value(report);
  value.set("last_frame_at", micros_value(report.last_frame_at));
  value.set("name", report.name);
  value.set("class", report.feed_class);
  value.set("faults", report.faults);
  value.set("records", report.records);
  value.set("alive_at", micros_value(report.alive_at));
  return value;
}

FeedReport feed_report(const text::Value& value) {
  FeedReport report{.name = value.string_or("name", "none"),
                    .feed_class = value.string_or("class", "none"),
                    .state = value.string_or("state", "stopped"),
                    .error = value.string_or("error", ""),
                    .faults = value.string_or("faults", ""),
                    .records = value.int_or("records", 0),
                    .last_frame_at = instant(value, "last_frame_at"),
                    .alive_at = instant(value, "alive_at")};
  if (const auto* seconds = value.find("backoff_seconds"); seconds && seconds->is_number()) {
    report.backoff_seconds = seconds->as_double();
  }
  const text::Value* symbols = value.find("symbols");
  for (const text::Value& one : symbols && symbols->is_list() ? symbols->as_list() : text::List{}) {
    report.symbols.emplace_back(one.string_or("symbol", ""), one.string_or("path", ""));
  }
  return report;
}

text::Value to_value(const feeds::Gap& gap) {
  text::Value value;
  value.set("feed", gap.feed);
  value.set("symbol", gap.symbol ? text::Value(gap.symbol->text()) : text::Value());
  value.set("begin", micros_value(gap.begin));
  value.set("end", micros_value(gap.end));
  value.set("cause", gap.cause);
  value.set("healed_at", micros_value(gap.healed_at));
  return value;
}

Result<feeds::Gap> gap_of(const text::Value& value) {
  const auto begin = instant(value, "begin");
  const auto end = instant(value, "end");
  if (!begin || !end) {
    return Error{ErrorCode::invalid_argument, fmt::format("{} is no gap", text::to_json(value)),
                 ""};
  }
  feeds::Gap gap{.feed = value.string_or("feed", ""),
                 .symbol = std::nullopt,
                 .begin = *begin,
                 .end = *end,
                 .cause = value.string_or("cause", ""),
                 .healed_at = instant(value, "healed_at")};
  if (const std::string symbol = value.string_or("symbol", ""); !symbol.empty()) {
    gap.symbol = TRY(Symbol::parse(symbol));
  }
  return gap;
}

}  // namespace tapeline::app
