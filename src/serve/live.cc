#include "serve/live.h"

#include <algorithm>
#include <map>

#include "base/time_zone.h"

namespace tapeline::serve {

Live::Live(msglog::MessageLog& log, const Calendar& calendar, SseHub& hub,
           telemetry::Metrics& metrics, Options options)
    : log_(log),
      hub_(hub),
      records_(metrics.counter("tapeline_serve_live_records_total",
                               "Records of the topic that the live table has read.")),
      skipped_(metrics.counter("tapeline_serve_live_records_skipped_total",
                               "Records that hold no quote, or that retention removed unread.")),
      options_(std::move(options)),
      decoder_(options_.kind),
      state_(State(calendar)) {}

Result<bool> Live::find_topic() {
  for (const auto& topic : TRY(log_.topics())) {
    if (topic.name != options_.topic) continue;
    StreamPosition position{topic.id, {}};
    std::vector<std::int64_t> ends;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const msglog::TopicPartition partition{topic.name, static_cast<std::int32_t>(i)};
      position.next.push_back(TRY(log_.offset_at(partition, options_.since)));
      ends.push_back(topic.partitions[i].end);
    }
    state_.with([&](State& state) {
      state.position = position;
      state.ends = ends;
    });
    return true;
  }
  return false;
}

Result<bool> Live::step() {
  StreamPosition position = this->position();
  if (position.next.empty()) {
    if (!TRY(find_topic())) return false;
    position = this->position();
  }
  bool any = false;
  for (std::size_t i = 0; i < position.next.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    // A partition whose broker is away holds up no other.
    auto fetched =
        log_.fetch({options_.topic, partition}, position.next[i], {.wait_max = Duration(0)});
    if (!fetched && fetched.error().code == ErrorCode::invalid_argument) {
      // Retention was faster. The present is what counts here, so go on with what is left.
      const msglog::Offset left = TRY(log_.offset_at({options_.topic, partition}, options_.since));
      skipped_.add(std::max<std::int64_t>(0, left - position.next[i]));
      state_.with([&](State& state) { state.position.next[i] = left; });
      any = true;
      continue;
    }
    const msglog::FetchedRecords records = TRY(std::move(fetched));
    if (records.next == position.next[i]) continue;
    any = true;
    records_.add(static_cast<std::int64_t>(records.records.size()));

    std::vector<QuoteEvent> events;
    state_.with([&](State& state) {
      const std::uint64_t before = state.table.sequence();
      wire::QuoteView message;
      for (const auto& record : records.records) {
        state.position.next[i] = record.offset + 1;
        if (decoder_.decode(record.value, record.appended_at, message) ||
            !state.table.apply(message, partition, record.offset))
          skipped_.add();
      }
      decoder_.forget();
      state.position.next[i] = records.next;
      StreamPosition after = state.position;
      for (const LiveSymbol* symbol : state.table.changed_since(before))
        events.push_back(event(state, *symbol, after));
    });
    if (!events.empty()) hub_.publish(events);
  }
  return any;
}

QuoteEvent Live::event(const State& state, const LiveSymbol& symbol, StreamPosition& after) const {
  after.next[static_cast<std::size_t>(symbol.partition)] = symbol.offset + 1;
  JsonWriter json;
  state.table.write(symbol, false, json);
  return {symbol.symbol, symbol.sequence, symbol.partition, symbol.offset,
          std::make_shared<const std::string>(sse_event("quote", json.text(), after.text()))};
}

void Live::set_daily(const std::vector<DailyRow>& rows) {
  state_.with([&](State& state) { state.table.set_daily(rows); });
}

std::string Live::quotes_json(const std::set<std::string>& symbols) const {
  JsonWriter json;
  json.begin_object().key("quotes").begin_list();
  state_.with([&](const State& state) {
    state.table.each([&](const LiveSymbol& symbol) {
      if (symbols.empty() || symbols.contains(symbol.symbol)) state.table.write(symbol, true, json);
    });
  });
  json.end_list().end_object();
  return json.take();
}

std::vector<std::string> Live::symbols() const {
  std::vector<std::string> names;
  state_.with([&](const State& state) {
    state.table.each([&](const LiveSymbol& symbol) { names.push_back(symbol.symbol); });
  });
  return names;
}

bool Live::State::knows(const StreamPosition& since) const {
  if (since.topic_id != position.topic_id || since.next.size() != ends.size()) return false;
  for (std::size_t i = 0; i < ends.size(); ++i)
    if (since.next[i] > std::max(ends[i], position.next[i])) return false;
  return true;
}

bool Live::knows(const StreamPosition& since) const {
  return state_.with([&](const State& state) { return state.knows(since); });
}

std::vector<QuoteEvent> Live::events_since(const std::optional<StreamPosition>& since) const {
  std::vector<QuoteEvent> events;
  state_.with([&](const State& state) {
    const bool known = since && state.knows(*since);
    std::map<std::uint64_t, LiveSymbol> changed;
    state.table.each([&](const LiveSymbol& symbol) {
      if (symbol.sequence == 0) return;
      if (!known || since->is_before(symbol.partition, symbol.offset))
        changed.emplace(symbol.sequence, symbol);
    });
    StreamPosition after = state.position;
    if (known)
      after.next = since->next;
    else
      std::fill(after.next.begin(), after.next.end(), 0);
    for (const auto& [sequence, symbol] : changed) events.push_back(event(state, symbol, after));
  });
  return events;
}

StreamPosition Live::position() const {
  return state_.with([](const State& state) { return state.position; });
}

std::optional<Timestamp> Live::last_event_time() const {
  return state_.with([](const State& state) { return state.table.last_event_time(); });
}

Timestamp live_since(const Calendar& calendar, Timestamp now) {
  Date date = Calendar::new_york_date(now);
  if (!calendar.hours(date)) date = calendar.previous_session(date);
  const auto zone = TimeZone::find("America/New_York");
  return zone ? zone->to_utc(date, {}) : Timestamp(date);
}

}  // namespace tapeline::serve
