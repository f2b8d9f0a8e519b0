#include "serve/sse.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/whole_number.h"

namespace tapeline::serve {
namespace {

constexpr Duration kHeartbeat = std::chrono::seconds(5);
constexpr std::size_t kRunPositionsMax = 1024;
constexpr std::size_t kPendingBytesMax = 16 << 20;  // one lot: every symbol once
constexpr int kSendBufferBytes = 64 << 10;  // what is stale by the time a slow reader gets to it

}  // namespace

std::string StreamPosition::text() const {
  std::string out = fmt::format("{}:{}", topic_id, next.empty() ? 0 : next[0]);
  for (std::size_t i = 1; i < next.size(); ++i) out += fmt::format(",{}={}", i, next[i]);
  return out;
}

std::optional<StreamPosition> StreamPosition::parse(std::string_view text) {
  constexpr std::size_t kPartitionsMax = 1024;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  StreamPosition position{std::string(text.substr(0, colon)), {}};
  text.remove_prefix(colon + 1);
  while (position.next.size() < kPartitionsMax) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    if (!position.next.empty()) {
      const std::string lead = fmt::format("{}=", position.next.size());
      if (!part.starts_with(lead)) return std::nullopt;
      part.remove_prefix(lead.size());
    }
    const auto next = whole_number(part);
    if (!next || *next < 0) return std::nullopt;
    position.next.push_back(*next);
    if (comma == text.size()) return position;
    text.remove_prefix(comma + 1);
  }
  return std::nullopt;
}

bool StreamPosition::is_before(std::int32_t partition, std::int64_t offset) const {
  const auto index = static_cast<std::size_t>(partition);
  return index >= next.size() || offset >= next[index];
}

std::int64_t StreamPosition::total() const {
  return std::accumulate(next.begin(), next.end(), std::int64_t{0},
                         [](std::int64_t sum, std::int64_t one) {
                           std::int64_t all = 0;  // a stranger's id may hold any number
                           return __builtin_add_overflow(sum, one, &all) ? INT64_MAX : all;
                         });
}

std::string sse_event(std::string_view name, std::string_view json, std::string_view id) {
  if (id.empty()) return fmt::format("event: {}\ndata: {}\n\n", name, json);
  return fmt::format("event: {}\nid: {}\ndata: {}\n\n", name, id, json);
}

int SseQueue::offer(const QuoteEvent& event) {
  if (!options_.symbols.empty() && !options_.symbols.contains(event.symbol)) return 0;
  if (options_.since && !options_.since->is_before(event.partition, event.offset)) return 0;
  const auto waiting = waiting_.find(event.symbol);
  if (waiting == waiting_.end()) {
    waiting_.emplace(event.symbol, event.sequence);
    quotes_.emplace(event.sequence, event);
    return 0;
  }
  if (event.sequence <= waiting->second) return 1;
  quotes_.erase(waiting->second);
  waiting->second = event.sequence;
  quotes_.emplace(event.sequence, event);
  return 1;
}

void SseQueue::offer_run(const std::shared_ptr<const std::string>& text) {
  if (runs_.size() == kRunEventsMax) {
    runs_.pop_front();
    ++runs_missed_;
  }
  runs_.push_back(text);
}

std::string SseQueue::take(Duration now) {
  std::string out;
  if (runs_missed_ > 0)
    out += sse_event("gap", fmt::format(R"({{"stream":"run","missed":{}}})", runs_missed_));
  runs_missed_ = 0;
  for (const auto& run : runs_) out += *run;
  runs_.clear();
  if (status_) out += *status_;
  status_.reset();
  if (now >= quotes_from_ && !quotes_.empty()) {
    for (const auto& [sequence, event] : quotes_) out += *event.text;
    quotes_.clear();
    waiting_.clear();
    quotes_from_ = now + options_.interval;
  }
  return out;
}

std::optional<Duration> SseQueue::due() const {
  if (!runs_.empty() || runs_missed_ > 0 || status_) return Duration{0};
  if (!quotes_.empty()) return quotes_from_;
  return std::nullopt;
}

SseHub::SseHub(Clock& clock, Wakeup& wakeup, telemetry::Metrics& metrics)
    : clock_(clock),
      wakeup_(wakeup),
      coalesced_(metrics.counter("tapeline_serve_sse_values_coalesced_total",
                                 "Quote values that a newer one of their symbol overtook while "
                                 "a reader was busy.")),
      sent_(metrics.counter("tapeline_serve_sse_bytes_total",
                            "Bytes of events handed to readers' sockets.")) {
  metrics.gauge_from("tapeline_serve_sse_readers", "Open event streams.", {},
                     [this] { return static_cast<double>(readers()); });
}

void SseHub::pump(Reader& reader, Duration now) {
  if (!reader.writable) return;
  std::string text = reader.queue.take(now);
  if (text.empty()) return;
  sent_.add(static_cast<std::int64_t>(text.size()));
  write(reader, std::move(text));
}

void SseHub::write(Reader& reader, std::string text) {
  reader.writable = reader.stream.write(std::move(text)) == io::HttpStream::Written::sent;
}

void SseHub::on_writable(std::uint64_t id) {
  const bool waits = state_.with([&](State& state) {
    const auto found = state.readers.find(id);
    if (found == state.readers.end()) return false;
    Reader& reader = *found->second;
    reader.writable = true;
    pump(reader, clock_.uptime());
    return reader.writable && reader.queue.due().has_value();
  });
  if (waits) wakeup_.notify();  // whoever steps may sleep past the moment when it is due
}

void SseHub::add(io::HttpReply reply, SseQueue::Options options,
                 const std::function<Beginning()>& begin) {
  const std::uint64_t id = state_.with([&](State& state) {
    const std::uint64_t next = state.next_reader++;
    state.readers.emplace(next, std::make_unique<Reader>(std::move(options)));
    return next;
  });
  const Beginning beginning = begin();
  io::HttpStream::Options head;
  head.headers = {{"Content-Type", "text/event-stream"},
                  {"Cache-Control", "no-store"},
                  {"X-Accel-Buffering", "no"},
                  {"X-Content-Type-Options", "nosniff"}};
  head.pending_bytes_max = kPendingBytesMax;
  head.send_buffer_bytes = kSendBufferBytes;
  io::HttpStream stream = reply.stream(
      std::move(head),
      {.on_writable = [this, id] { on_writable(id); },
       .on_closed = [this, id] { state_.with([&](State& state) { state.readers.erase(id); }); }});
  state_.with([&](State& state) {
    const auto found = state.readers.find(id);
    if (found == state.readers.end()) return;
    Reader& reader = *found->second;
    reader.stream = std::move(stream);
    if (reader.stream.closed()) {
      state.readers.erase(found);
      return;
    }
    for (const auto& event : beginning.quotes) reader.queue.offer(event);
    reader.queue.add_gap(beginning.runs_missed);
    if (!beginning.status.empty())
      reader.queue.offer_status(
          std::make_shared<const std::string>(sse_event("status", beginning.status)));
    pump(reader, clock_.uptime());
  });
}

void SseHub::publish(const std::vector<QuoteEvent>& events) {
  const Duration now = clock_.uptime();
  state_.with([&](State& state) {
    for (auto& [id, reader] : state.readers) {
      int coalesced = 0;
      for (const auto& event : events) coalesced += reader->queue.offer(event);
      if (coalesced > 0) coalesced_.add(coalesced);
      pump(*reader, now);
    }
  });
}

void SseHub::publish_event(std::string_view name, std::string_view json, std::int64_t position) {
  const auto text = std::make_shared<const std::string>(sse_event(name, json));
  const Duration now = clock_.uptime();
  state_.with([&](State& state) {
    state.runs.push_back(position);
    if (state.runs.size() > kRunPositionsMax) state.runs.pop_front();
    for (auto& [id, reader] : state.readers) {
      reader->queue.offer_run(text);
      pump(*reader, now);
    }
  });
}

void SseHub::publish_status(std::string_view json) {
  const auto text = std::make_shared<const std::string>(sse_event("status", json));
  const Duration now = clock_.uptime();
  state_.with([&](State& state) {
    for (auto& [id, reader] : state.readers) {
      reader->queue.offer_status(text);
      pump(*reader, now);
    }
  });
}

std::int64_t SseHub::runs_since(std::int64_t position) const {
  return state_.with([&](const State& state) {
    return std::int64_t{std::count_if(state.runs.begin(), state.runs.end(),
                                      [&](std::int64_t at) { return at >= position; })};
  });
}

void SseHub::step() {
  const Duration now = clock_.uptime();
  state_.with([&](State& state) {
    const bool beat = now >= state.heartbeat_at;
    if (beat) state.heartbeat_at = now + kHeartbeat;
    for (auto& [id, reader] : state.readers) {
      pump(*reader, now);
      if (beat && reader->writable) write(*reader, ": heartbeat\n\n");
    }
  });
}

Duration SseHub::next_step() const {
  return state_.with([](const State& state) {
    Duration next = state.heartbeat_at;
    for (const auto& [id, reader] : state.readers)
      if (const auto due = reader->queue.due(); due && reader->writable)
        next = std::min(next, *due);
    return next;
  });
}

std::size_t SseHub::readers() const {
  return state_.with([](const State& state) { return state.readers.size(); });
}

}  // namespace tapeline::serve
