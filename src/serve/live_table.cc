#include "serve/live_table.h"

#include <algorithm>

namespace tapeline::serve {
namespace {

constexpr std::size_t kSparkPointsMax = 60;

/// The staging model's rules, so that a zero price shows nowhere.
bool is_valid(const wire::QuoteView& message) {
  return message.price.units() > 0 && !(message.volume && *message.volume < 0) &&
         !(message.high && message.low && *message.high < *message.low) &&
         !(message.open && message.open->units() < 0);
}

void add(std::optional<std::int64_t>& sum, std::optional<std::int64_t> more) {
  if (more) sum = sum.value_or(0) + *more;
}

template <typename T>
void keep_known(std::optional<T>& old, const std::optional<T>& found) {
  if (found) old = found;
}

void add_spark(LiveSymbol& symbol, Timestamp at, Price price) {
  auto& points = symbol.spark;
  const auto step = [&](Timestamp time) {
    return Timestamp(time.time_since_epoch() - time.time_since_epoch() % symbol.spark_step);
  };
  const auto put = [&](std::vector<std::pair<Timestamp, Price>>& to, Timestamp time, Price of) {
    if (!to.empty() && to.back().first == step(time))
      to.back().second = of;
    else
      to.emplace_back(step(time), of);
  };
  if (!points.empty() && at < points.back().first) return;
  put(points, at, price);
  while (points.size() > kSparkPointsMax) {
    symbol.spark_step *= 2;
    std::vector<std::pair<Timestamp, Price>> fewer;
    for (const auto& [time, of] : points) put(fewer, time, of);
    points = std::move(fewer);
  }
}

/// Whether a message of the newest one's time would change nothing that is shown.
bool says_the_same(const LiveSymbol& symbol, const wire::QuoteView& message) {
  const auto keeps = [](const std::optional<Price>& shown, const std::optional<Price>& found) {
    return !found || found == shown;
  };
  return symbol.history == message.history && message.price == symbol.price &&
         keeps(symbol.open, message.open) && keeps(symbol.high, message.high) &&
         keeps(symbol.low, message.low) && keeps(symbol.previous_close, message.previous_close);
}

std::string_view class_of(const LiveSymbol& symbol) {
  if (symbol.history) return "history";
  if (symbol.data_source == "simulator") return "simulated";
  if (symbol.data_source == "replay") return "replay";
  return "live";
}

void begin_day(LiveSymbol& symbol, Date day) {
  symbol.day = day;
  symbol.open = symbol.high = symbol.low = symbol.previous_close = std::nullopt;
  symbol.volume = std::nullopt;
  symbol.minute = std::nullopt;
  symbol.minute_times.clear();
  symbol.spark.clear();
  symbol.spark_step = std::chrono::minutes(1);
}

}  // namespace

/// Adds a message to the day's volume, the open minute and the sparkline. One from before the
/// open minute is not counted: it may be a repeat, and only the warehouse can tell.
void LiveTable::count(LiveSymbol& symbol, const wire::QuoteView& message) {
  if (message.bar_length && *message.bar_length != BarLength::m1) return;
  const auto start = std::chrono::floor<std::chrono::minutes>(message.event_time);
  if (symbol.minute && start < symbol.minute->start) return;
  if (!symbol.minute || start > symbol.minute->start) {
    symbol.minute = OpenMinute{start, message.price, message.price, message.price, message.price};
    symbol.minute_times.clear();
  }
  const bool newest =
      symbol.minute_times.empty() || message.event_time > *symbol.minute_times.rbegin();
  const bool oldest =
      symbol.minute_times.empty() || message.event_time < *symbol.minute_times.begin();
  symbol.minute_times.insert(message.event_time);
  OpenMinute& minute = *symbol.minute;
  if (oldest) minute.open = message.price;
  if (newest) minute.close = message.price;
  minute.high = std::max(minute.high, message.price);
  minute.low = std::min(minute.low, message.price);
  add(minute.volume, message.volume);
  ++minute.quote_count;
  add(symbol.volume, message.volume);
  add_spark(symbol, message.event_time, message.price);
}

/// Takes the newest message of the open minute once more, with another price. Its volume stands
/// counted, and a high or low that it made stays until the warehouse has put it right.
void LiveTable::correct(LiveSymbol& symbol, const wire::QuoteView& message) {
  if (!symbol.minute || message.event_time != *symbol.minute_times.rbegin()) return;
  OpenMinute& minute = *symbol.minute;
  if (minute.quote_count == 1) minute.open = minute.high = minute.low = message.price;
  minute.close = message.price;
  minute.high = std::max(minute.high, message.price);
  minute.low = std::min(minute.low, message.price);
  add_spark(symbol, message.event_time, message.price);
}

const LiveSymbol* LiveTable::apply(const wire::QuoteView& message, std::int32_t partition,
                                   std::int64_t offset) {
  if (!is_valid(message)) return nullptr;
  auto found = symbols_.find(message.symbol);
  const bool fresh = found == symbols_.end();
  if (fresh) found = symbols_.emplace(std::string(message.symbol), LiveSymbol{}).first;
  LiveSymbol& symbol = found->second;
  if (fresh) symbol.symbol = std::string(message.symbol);

  const Date day = Calendar::new_york_date(message.event_time);
  if (!fresh && day < symbol.day) return nullptr;
  // The price that is shown is of the live one's day: another day's numbers do not go with it.
  if (!fresh && day > symbol.day && message.history && !symbol.history) return nullptr;
  if (fresh || day > symbol.day) begin_day(symbol, day);

  const bool repeats = symbol.minute_times.contains(message.event_time);
  if (repeats && (message.event_time != symbol.event_time || says_the_same(symbol, message)))
    return nullptr;
  if (repeats)
    correct(symbol, message);
  else
    count(symbol, message);

  const bool newer = fresh || (symbol.history && !message.history) ||
                     (symbol.history == message.history && message.event_time >= symbol.event_time);
  if (newer) {
    symbol.price = message.price;
    symbol.event_time = message.event_time;
    symbol.received_at = message.received_at;
    symbol.data_source = std::string(message.data_source);
    symbol.history = message.history;
    symbol.session = message.session.value_or(calendar_.session_at(message.event_time));
    keep_known(symbol.open, message.open);
    keep_known(symbol.high, message.high);
    keep_known(symbol.low, message.low);
    keep_known(symbol.previous_close, message.previous_close);
  }
  if (!message.history)
    last_event_time_ = std::max(last_event_time_.value_or(message.event_time), message.event_time);
  symbol.sequence = ++sequence_;
  symbol.partition = partition;
  symbol.offset = offset;
  return &symbol;
}

void LiveTable::set_daily(const std::vector<DailyRow>& rows) {
  daily_.clear();
  for (const auto& row : rows) daily_[row.symbol].push_back(row);
  for (auto& [symbol, of] : daily_)
    std::sort(of.begin(), of.end(),
              [](const DailyRow& a, const DailyRow& b) { return a.date > b.date; });
}

std::optional<Reference> LiveTable::reference(const LiveSymbol& symbol) const {
  if (symbol.previous_close) return Reference{"previous_close", *symbol.previous_close};
  const auto daily = daily_.find(symbol.symbol);
  if (daily == daily_.end()) return std::nullopt;
  for (const auto& row : daily->second)
    if (row.date < symbol.day) return Reference{"daily_close", row.close};
  return std::nullopt;
}

const LiveSymbol* LiveTable::find(std::string_view symbol) const {
  const auto found = symbols_.find(symbol);
  return found == symbols_.end() ? nullptr : &found->second;
}

std::vector<const LiveSymbol*> LiveTable::changed_since(std::uint64_t sequence) const {
  std::vector<const LiveSymbol*> changed;
  for (const auto& [name, symbol] : symbols_)
    if (symbol.sequence > sequence) changed.push_back(&symbol);
  std::ranges::sort(changed, {}, &LiveSymbol::sequence);
  return changed;
}

LiveSymbol LiveTable::from_daily(const DailyRow& row) const {
  LiveSymbol symbol;
  symbol.symbol = row.symbol;
  symbol.price = row.close;
  symbol.open = row.open;
  symbol.high = row.high;
  symbol.low = row.low;
  symbol.volume = row.volume;
  symbol.day = row.date;
  const auto hours = calendar_.hours(row.date);
  symbol.event_time = hours ? hours->close : Timestamp(row.date);
  return symbol;
}

void LiveTable::each(const std::function<void(const LiveSymbol&)>& visit) const {
  auto daily = daily_.begin();
  const auto visit_daily_before = [&](const std::string* name) {
    for (; daily != daily_.end() && (!name || daily->first < *name); ++daily)
      visit(from_daily(daily->second.front()));
    if (name && daily != daily_.end() && daily->first == *name) ++daily;
  };
  for (const auto& [name, symbol] : symbols_) {
    visit_daily_before(&name);
    visit(symbol);
  }
  visit_daily_before(nullptr);
}

/// The day's prices; where only days are known, their closes.
void LiveTable::write_spark(const LiveSymbol& symbol, JsonWriter& json) const {
  const auto daily = daily_.find(symbol.symbol);
  const bool days = symbol.spark.empty() && daily != daily_.end();
  json.field("spark_of", days ? "days" : "minutes").key("spark").begin_list();
  for (const auto& [at, price] : symbol.spark) json.value(price);
  if (days)
    for (auto row = daily->second.rbegin(); row != daily->second.rend(); ++row)
      json.value(row->close);
  json.end_list();
}

void LiveTable::write(const LiveSymbol& symbol, bool with_spark, JsonWriter& json) const {
  const auto against = reference(symbol);
  json.begin_object().field("symbol", symbol.symbol).field("price", symbol.price);
  if (against && against->price.units() != 0) {
    const auto change = Price::from_units(symbol.price.units() - against->price.units());
    json.field("change", change)
        .field("change_pct", 100.0 * static_cast<double>(change.units()) /
                                 static_cast<double>(against->price.units()))
        .field("reference", against->kind)
        .field("reference_price", against->price);
  } else {
    for (const char* name : {"change", "change_pct", "reference", "reference_price"})
      json.field(name, nullptr);
  }
  json.field("previous_close", symbol.previous_close)
      .field("open", symbol.open)
      .field("high", symbol.high)
      .field("low", symbol.low)
      .field("volume", symbol.volume)
      .field("session", to_string(symbol.session))
      .field("event_time", symbol.event_time)
      .field("received_at", symbol.received_at);
  json.key("data_source");
  if (symbol.data_source.empty())
    json.value(nullptr);
  else
    json.value(symbol.data_source);
  json.field("class", class_of(symbol)).key("bar");
  if (const auto& minute = symbol.minute) {
    json.begin_object()
        .field("bar_start", minute->start)
        .field("open", minute->open)
        .field("high", minute->high)
        .field("low", minute->low)
        .field("close", minute->close)
        .field("volume", minute->volume)
        .field("quote_count", minute->quote_count)
        .end_object();
  } else {
    json.value(nullptr);
  }
  if (with_spark) write_spark(symbol, json);
  json.end_object();
}

}  // namespace tapeline::serve
