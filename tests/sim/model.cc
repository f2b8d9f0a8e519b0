#include "model.h"

#include <algorithm>

#include "base/time_text.h"

namespace tapeline::sim {
namespace {

using warehouse::Value;

constexpr Offset kBegin = 0;

std::int64_t whole(const Value& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  return number ? *number : 0;
}

std::string units(const std::optional<Price>& price) {
  return price ? fmt::format("{}", price->units()) : "";
}

std::string hex_of(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02X}", static_cast<unsigned char>(byte));
  return hex;
}

/// The staging model's rules.
bool is_valid(const Quote& quote) {
  return quote.price.units() > 0 && quote.volume.value_or(0) >= 0 &&
         !(quote.high && quote.low && *quote.high < *quote.low) &&
         !(quote.open && quote.open->units() < 0);
}

}  // namespace

void Model::offer(const std::string& value, std::optional<Quote> meaning) {
  meanings_.insert_or_assign(value, std::move(meaning));
}

void Model::acknowledge(Offset offset, const std::string& value) { know(offset, value, {}); }

void Model::know(Offset offset, std::string_view value, std::optional<Timestamp> appended_at) {
  if (!meanings_.contains(value)) differ("nobody sent record {}: {:.60}", offset, value);
  const auto [entry, fresh] = records_.try_emplace(offset, Record{std::string(value), appended_at});
  if (entry->second.value != value) {
    differ("record {} was '{:.60}' and is '{:.60}' now", offset, entry->second.value, value);
  }
  auto& known = entry->second.appended_at;
  if (!known) known = appended_at;
  if (appended_at && known != appended_at) differ("record {} has another append time", offset);
}

void Model::read(msglog::MessageLog& log) {
  Offset at = kBegin;
  for (auto known = records_.rbegin(); known != records_.rend(); ++known) {
    if (!known->second.appended_at) continue;
    at = known->first + 1;
    break;
  }
  for (;;) {
    const auto fetched = log.fetch({options_.topic, 0}, at, {});
    if (!fetched) return differ("reading the log at {}: {}", at, fetched.error().message);
    if (fetched->next == at) break;
    for (const auto& record : fetched->records)
      know(record.offset, record.value, record.appended_at);
    at = fetched->next;
  }
  if (at < end()) differ("the log ends at {}, and acknowledged what is before {}", at, end());
}

void Model::check_log(msglog::EmbeddedLog& log) {
  const auto topics = log.topics();
  if (!topics || topics->empty()) return differ("there is no topic");
  Offset at = topics->at(0).partitions.at(0).earliest;
  Timestamp last;
  while (true) {
    const auto fetched = log.fetch({options_.topic, 0}, at, {});
    if (!fetched) return differ("reading the log at {}: {}", at, fetched.error().message);
    if (fetched->next == at) break;
    for (const auto& record : fetched->records) {
      if (record.offset != at++) differ("the log skips to offset {}", record.offset);
      if (record.appended_at < last) differ("append times go back at offset {}", record.offset);
      last = record.appended_at;
      know(record.offset, record.value, record.appended_at);
    }
  }
  if (at < end()) differ("the log ends at {}, and acknowledged what is before {}", at, end());
  const auto report = log.verify("");
  if (!report) return differ("verifying the log: {}", report.error().message);
  for (const auto& finding : report->findings) {
    if (finding.is_damage) differ("the log finds damage: {}", finding.what);
  }
}

std::optional<Quote> Model::meaning(const Record& record) const {
  const auto found = meanings_.find(record.value);
  if (found == meanings_.end() || !found->second || !record.appended_at) return std::nullopt;
  const Quote& quote = *found->second;
  const bool too_far_ahead = quote.event_time > *record.appended_at + std::chrono::hours(24);
  if (too_far_ahead || options_.simulated != (quote.data_source == "simulator"))
    return std::nullopt;
  return quote;
}

std::string Model::payload_of(const Quote& quote) const {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}", quote.price.units(), units(quote.open),
                     units(quote.high), units(quote.low),
                     quote.volume ? fmt::format("{}", *quote.volume) : "",
                     units(quote.previous_close),
                     to_string(quote.session.value_or(calendar_.session_at(quote.event_time))),
                     quote.bar_length ? to_string(*quote.bar_length) : "", quote.data_source);
}

/// What a load of these records does to the rows.
Model::Counts Model::load(Offset first, Offset next, std::int64_t load_id) {
  Counts counts;
  for (auto at = records_.lower_bound(first); at != records_.end() && at->first < next; ++at) {
    const auto quote = meaning(at->second);
    if (!quote) {
      ++counts.dead;
      dead_.emplace_back(at->first, load_id);
      continue;
    }
    Row row{*quote, payload_of(*quote), at->first, load_id};
    const auto [entry, fresh] =
        rows_.try_emplace({std::string(quote->symbol.text()), quote->event_time}, row);
    if (fresh) {
      ++counts.loaded;
    } else if (entry->second.payload == row.payload) {
      ++counts.duplicate;
    } else {
      ++counts.superseded;
      entry->second = std::move(row);
    }
  }
  return counts;
}

void Model::check_warehouse(warehouse::Connection& connection) {
  rows_.clear();
  dead_.clear();
  const auto loads = connection.query(
      "select load_id, first_offset, next_offset, consumed, loaded, duplicate, superseded, dead "
      "from raw_stocks.loads order by load_id");
  if (!loads) return differ("reading loads: {}", loads.error().message);
  Offset next = kBegin;
  std::int64_t last_id = 0;
  for (const auto& row : loads->rows) {
    const std::int64_t id = whole(row[0]);
    if (id <= last_id) differ("load {} comes after load {}", id, last_id);
    last_id = id;
    if (whole(row[1]) != next) differ("load {} begins at {}, not at {}", id, whole(row[1]), next);
    next = whole(row[2]);
    if (next > end()) differ("load {} ends at {}, past the log's end at {}", id, next, end());
    const Counts wanted = load(whole(row[1]), next, id);
    const Counts got{whole(row[4]), whole(row[5]), whole(row[6]), whole(row[7])};
    if (got != wanted) {
      differ(
          "load {} of {} to {} counts {} loaded, {} duplicate, {} superseded, {} dead; it is "
          "{}, {}, {}, {}",
          id, whole(row[1]), next, got.loaded, got.duplicate, got.superseded, got.dead,
          wanted.loaded, wanted.duplicate, wanted.superseded, wanted.dead);
    }
    if (whole(row[3]) != got.loaded + got.duplicate + got.superseded + got.dead) {
      differ("load {} does not balance", id);
    }
  }
  const auto offsets = connection.query("select next_offset from raw_stocks.consumer_offsets");
  if (!offsets) return differ("reading offsets: {}", offsets.error().message);
  if (offsets->rows.size() > 1) differ("there are {} offsets", offsets->rows.size());
  const Offset stored = offsets->rows.empty() ? kBegin : whole(offsets->rows[0][0]);
  if (stored != next) differ("the next offset is {}, the loads end at {}", stored, next);
  check_raw(connection);
}

void Model::check_raw(warehouse::Connection& connection) {
  const auto units_of = [](std::string_view column) {
    return fmt::format("coalesce(cast(cast({} * 1000000 as bigint) as varchar), '')", column);
  };
  const auto rows = connection.query(fmt::format(
      "select symbol, \"timestamp\", {} || '|' || {} || '|' || {} || '|' || {} || '|' || "
      "coalesce(volume::varchar, '') || '|' || {} || '|' || session::varchar || '|' || "
      "coalesce(bar_length::varchar, '') || '|' || data_source, topic_offset, load_id from "
      "raw_stocks.stock_prices order by symbol, \"timestamp\", topic_offset",
      units_of("price"), units_of("open"), units_of("high"), units_of("low"),
      units_of("previous_close")));
  if (!rows) return differ("reading raw: {}", rows.error().message);
  if (rows->rows.size() != rows_.size()) {
    differ("raw has {} rows, the topic's loaded records have {} keys", rows->rows.size(),
           rows_.size());
  }
  for (const auto& row : rows->rows) {
    const Key key{std::get<std::string>(row[0]), std::get<Timestamp>(row[1])};
    const auto found = rows_.find(key);
    const std::string where = fmt::format("{} {}", key.first, format_rfc3339_micros(key.second));
    if (found == rows_.end()) {
      differ("raw has {}, which nobody sent", where);
    } else if (found->second.payload != std::get<std::string>(row[2])) {
      differ("raw has {} as {}, its last payload is {}", where, std::get<std::string>(row[2]),
             found->second.payload);
    } else if (found->second.offset != whole(row[3]) || found->second.load_id != whole(row[4])) {
      differ("raw has {} of offset {} and load {}, it is of offset {} and load {}", where,
             whole(row[3]), whole(row[4]), found->second.offset, found->second.load_id);
    }
  }
  const auto letters = connection.query(
      "select topic_offset, hex(payload), load_id from raw_stocks.dead_letters order by "
      "topic_offset");
  if (!letters) return differ("reading dead letters: {}", letters.error().message);
  if (letters->rows.size() != dead_.size()) {
    return differ("there are {} dead letters, and {} records that cannot be read",
                  letters->rows.size(), dead_.size());
  }
  for (std::size_t i = 0; i < dead_.size(); ++i) {
    const auto& row = letters->rows[i];
    if (whole(row[0]) != dead_[i].first || whole(row[2]) != dead_[i].second ||
        std::get<std::string>(row[1]) != hex_of(records_.at(dead_[i].first).value)) {
      differ("dead letter {} is not record {}", whole(row[0]), dead_[i].first);
    }
  }
}

void Model::check_marts(warehouse::Connection& connection) {
  struct Day {
    std::int64_t count = 0;
    Price close;
    std::optional<Price> open, high, low;
    std::optional<std::int64_t> volume;
    bool has_bars = false;
  };
  std::map<std::pair<std::string, Date>, Day> days;
  for (const auto& [key, row] : rows_) {  // by symbol and time
    const Quote& quote = row.quote;
    const auto session = quote.session.value_or(calendar_.session_at(quote.event_time));
    if (!is_valid(quote) || session != Session::regular) continue;
    Day& day = days[{key.first, Calendar::new_york_date(quote.event_time)}];
    day.has_bars = day.has_bars || quote.bar_length;
    ++day.count;
    day.close = quote.price;
    if (!day.open) day.open = quote.open;
    if (quote.high) day.high = std::max(day.high.value_or(*quote.high), *quote.high);
    if (quote.low) day.low = std::min(day.low.value_or(*quote.low), *quote.low);
    if (quote.volume) day.volume = day.volume.value_or(0) + *quote.volume;
  }
  const auto rows = connection.query(
      "select symbol, price_date, data_points_count, cast(daily_close * 1000000 as bigint), "
      "cast(daily_open * 1000000 as bigint), cast(daily_high * 1000000 as bigint), cast(daily_low "
      "* 1000000 as bigint), cast(total_volume as bigint) from "
      "int_stocks.int_stock_daily_aggregates");
  if (!rows) return differ("reading daily aggregates: {}", rows.error().message);
  if (rows->rows.size() != days.size()) {
    differ("there are {} daily rows of {} days", rows->rows.size(), days.size());
  }
  const auto price = [](const std::optional<Price>& of) { return of ? of->units() : 0; };
  for (const auto& row : rows->rows) {
    const std::pair key{std::get<std::string>(row[0]), std::get<Date>(row[1])};
    const auto found = days.find(key);
    const std::string where = fmt::format("{} {}", key.first, format_date(key.second));
    if (found == days.end()) {
      differ("there is a daily row of {}", where);
      continue;
    }
    const Day& day = found->second;
    if (day.has_bars) continue;  // which origin counts there is the audit's to say
    if (whole(row[2]) != day.count || whole(row[3]) != day.close.units() ||
        whole(row[4]) != price(day.open) || whole(row[5]) != price(day.high) ||
        whole(row[6]) != price(day.low) || whole(row[7]) != day.volume.value_or(0)) {
      differ("the daily row of {} differs", where);
    }
  }
}

Offset Model::first_at(Timestamp since) const {
  for (const auto& [offset, record] : records_) {
    if (record.appended_at && *record.appended_at >= since) return offset;
  }
  return end();
}

void Model::check_live(const text::Value& quotes, Offset first) {
  std::map<std::string, std::pair<Timestamp, Price>> newest;
  std::map<std::string, bool> is_history;
  for (const auto& [offset, record] : records_) {
    if (offset < first) continue;
    const auto quote = meaning(record);
    if (!quote || !is_valid(*quote)) continue;
    const std::string symbol(quote->symbol.text());
    const auto [entry, fresh] =
        newest.try_emplace(symbol, std::pair(quote->event_time, quote->price));
    bool& history = is_history.try_emplace(symbol, quote->history).first->second;
    const bool newer = (history && !quote->history) ||
                       (history == quote->history && quote->event_time >= entry->second.first);
    if (fresh || !newer) continue;
    entry->second = {quote->event_time, quote->price};
    history = quote->history;
  }
  const text::Value* list = quotes.find("quotes");
  if (!list || !list->is_list()) return differ("the live table is {}", text::to_json(quotes));
  std::size_t from_messages = 0;
  for (const text::Value& item : list->as_list()) {
    const std::string symbol = item.string_or("symbol", "");
    const text::Value* price = item.find("price");
    const text::Value* source = item.find("data_source");
    if (!source || source->is_null()) continue;  // from the marts alone
    ++from_messages;
    const auto wanted = newest.find(symbol);
    if (wanted == newest.end()) {
      differ("the live table has {}", symbol);
      continue;
    }
    const auto at = parse_rfc3339(item.string_or("event_time", ""));
    const auto got = price ? Price::parse(text::to_json(*price)) : Result<Price>(Price());
    if (!at || at->at != wanted->second.first || !got || *got != wanted->second.second) {
      differ("the live price of {} is {} of {}, the newest is {} of {}", symbol,
             price ? text::to_json(*price) : "none", item.string_or("event_time", ""),
             wanted->second.second.text(), format_rfc3339_micros(wanted->second.first));
    }
  }
  if (from_messages != newest.size()) {
    differ("the live table has {} symbols of {}", from_messages, newest.size());
  }
}

std::map<Symbol, Timestamp> Model::last_event_times() const {
  std::map<Symbol, Timestamp> last;
  for (const auto& [offset, record] : records_) {
    const auto quote = meaning(record);
    if (!quote) continue;
    auto& known = last.try_emplace(quote->symbol, quote->event_time).first->second;
    known = std::max(known, quote->event_time);
  }
  return last;
}

}  // namespace tapeline::sim
