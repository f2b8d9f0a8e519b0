#include <fmt/format.h>

#include "base/time_text.h"
#include "serve/api.h"
#include "serve/base64.h"
#include "serve/marts.h"
#include "serve/produce.h"

namespace tapeline::serve {
namespace {

constexpr std::int64_t kRecordsDefault = 100;
constexpr std::int64_t kRecordBytesMax = 4 << 20;
constexpr std::size_t kCommandPendingMax = 1 << 20;
constexpr std::size_t kCommandFrameMax = 64 << 10;
constexpr Duration kCommandRoomWait = std::chrono::seconds(1);

text::Value instant_or_null(const std::optional<Timestamp>& at) {
  return at ? text::Value(format_rfc3339(*at)) : text::Value();
}

text::Value market_status(const Calendar& calendar, Timestamp now) {
  const Date today = Calendar::new_york_date(now);
  const auto hours = calendar.hours(today);
  std::optional<Timestamp> next_open;
  if (hours && now < hours->open)
    next_open = hours->open;
  else if (const auto next = calendar.hours(calendar.next_session(today)))
    next_open = next->open;
  return text::Object{
      {"calendar", calendar.name()},
      {"session", to_string(calendar.session_at(now))},
      {"open", instant_or_null(hours ? std::optional(hours->open) : std::nullopt)},
      {"close", instant_or_null(hours ? std::optional(hours->close) : std::nullopt)},
      {"next_open", instant_or_null(next_open)}};
}

/// A member that is text where it can be, and base64 under another name where it cannot.
void write_bytes(JsonWriter& json, std::string_view name, std::string_view bytes) {
  if (io::is_utf8(bytes))
    json.field(name, bytes);
  else
    json.field(fmt::format("{}_base64", name), base64_encode(bytes));
}

}  // namespace

std::string Api::status_json(bool with_time) const {
  text::Value status{text::Object{}};
  const Timestamp now = clock_.now();
  status.set("version", TAPELINE_VERSION);
  if (with_time) status.set("now", format_rfc3339(now));
  status.set("ready", ready());
  const text::Value parts = commands_.status();
  if (parts.is_object())
    for (const auto& [name, value] : parts.as_object()) status.set(name, value);
  status.set("market", market_status(backend_->calendar, now));
  if (const text::Value* feed = status.find("feed"); feed && !feed->find("last_event_time")) {
    text::Value whole = *feed;
    whole.set("last_event_time", instant_or_null(live_->last_event_time()));
    status.set("feed", std::move(whole));
  }
  return text::to_json(status);
}

void Api::open_stream(Call call, io::HttpReply reply) {
  SseQueue::Options options;
  options.symbols = call.set("symbols");
  options.interval = std::chrono::milliseconds(call.integer("interval_ms", 0));
  const std::string* last = call.request.header("Last-Event-ID");
  // After a restart the day is read again: what the reader has seen of it is not sent once more.
  auto since = last ? StreamPosition::parse(*last) : std::nullopt;
  if (since && !live_->knows(*since)) since.reset();
  options.since = since;
  hub_.add(std::move(reply), std::move(options), [&] {
    SseHub::Beginning beginning;
    beginning.quotes = live_->events_since(since);
    if (last) beginning.runs_missed = hub_.runs_since(since ? since->total() : 0);
    beginning.status = status_json(true);
    return beginning;
  });
}

/// Kept as answers are: all of a version have the same.
Result<std::string> Api::newest_load_id(Call& call) {
  const std::uint64_t version = backend_->warehouse.version();
  if (auto kept = answers_.find("load_id", version)) return *std::move(kept);
  std::string load_id = TRY(read_load_id(*call.warehouse));
  answers_.keep("load_id", version, load_id);
  return load_id;
}

/// The same for gaps, of which there are few: a query takes longer than they do.
Result<std::shared_ptr<const warehouse::Rows>> Api::all_gaps(Call& call) {
  const std::uint64_t version = backend_->warehouse.version();
  const Gaps kept = gaps_.copy();
  if (kept.too_many || (kept.all && kept.version == version)) return kept.all;
  const auto all = TRY(read_all_gaps(*call.warehouse));
  gaps_.with([&](Gaps& its) { its = {version, all, all == nullptr}; });
  return all;
}

Result<io::HttpResponse> Api::append(Call& call) {
  const auto records = TRY(records_of_lines(call.request.body));
  const auto positions = TRY(backend_->log.append(call.text("topic"), records));
  JsonWriter json;
  json.begin_object().key("records").begin_list();
  for (const auto& position : positions)
    json.begin_object()
        .field("partition", std::int64_t{position.partition})
        .field("offset", position.offset)
        .end_object();
  json.end_list().end_object();
  return json_response(json.take());
}

Result<io::HttpResponse> Api::records(Call& call) {
  if (call.find("offset") && call.find("from"))
    return Error{ErrorCode::invalid_argument, "both 'offset' and 'from' say where to begin",
                 "Give one of them."};
  const msglog::TopicPartition at{call.text("topic"),
                                  static_cast<std::int32_t>(call.integer("partition", 0))};
  const auto topics = TRY(backend_->log.topics());
  const auto topic = std::find_if(topics.begin(), topics.end(),
                                  [&](const auto& one) { return one.name == at.topic; });
  if (topic == topics.end())
    return Error{ErrorCode::not_found, fmt::format("there is no topic '{}'", at.topic),
                 "GET /api/v1/topics lists them."};
  if (static_cast<std::size_t>(at.partition) >= topic->partitions.size())
    return Error{ErrorCode::not_found,
                 fmt::format("topic '{}' has no partition {}", at.topic, at.partition), ""};
  const auto& partition = topic->partitions[static_cast<std::size_t>(at.partition)];

  const std::string from = call.text("from", "beginning");
  msglog::Offset start = call.integer("offset", partition.earliest);
  if (from == "end") {
    start = partition.end;
  } else if (from != "beginning") {
    const auto instant = TRY(parse_rfc3339(from));
    start = TRY(backend_->log.offset_at(at, instant.at));
  }
  const auto fetched = TRY(backend_->log.fetch(
      at, start,
      {.records_max = call.integer("limit", kRecordsDefault), .bytes_max = kRecordBytesMax}));

  JsonWriter json;
  json.begin_object()
      .field("topic", at.topic)
      .field("partition", std::int64_t{at.partition})
      .key("records")
      .begin_list();
  for (const auto& record : fetched.records) {
    json.begin_object().field("offset", record.offset).field("appended_at", record.appended_at);
    if (record.key.empty())
      json.field("key", nullptr);
    else
      write_bytes(json, "key", record.key);
    write_bytes(json, "value", record.value);
    json.end_object();
  }
  json.end_list()
      .field("next", fetched.next)
      .field("earliest", partition.earliest)
      .field("end", partition.end)
      .end_object();
  return json_response(json.take());
}

/// Frames of output go out as they come; a reader who takes none makes the command wait.
void Api::run_command(Job& job, std::stop_token stop) {
  const auto gone = std::make_shared<std::stop_source>();
  const auto room = std::make_shared<Wakeup>();
  const std::stop_callback on_stop(std::move(stop), [gone] { gone->request_stop(); });
  io::HttpStream stream = job.reply.stream(
      {.headers = {{"Content-Type", "application/x-ndjson"}, {"Cache-Control", "no-store"}},
       .pending_bytes_max = kCommandPendingMax},
      {.on_writable = [room] { room->notify(); }, .on_closed = [gone] { gone->request_stop(); }});

  const auto send = [&](const std::string& frame) {
    for (;;) {
      const auto seen = room->count();
      if (stream.write(frame) != io::HttpStream::Written::refused) return true;
      if (stream.closed() || gone->stop_requested()) return false;
      room->wait(seen, kCommandRoomWait, gone->get_token());
    }
  };
  const CommandOutput output = [&](bool is_error, std::string_view bytes) {
    while (!bytes.empty()) {
      JsonWriter json;
      json.begin_object();
      write_bytes(json, is_error ? "err" : "out", bytes.substr(0, kCommandFrameMax));
      json.end_object();
      bytes.remove_prefix(std::min(kCommandFrameMax, bytes.size()));
      if (!send(json.take() + "\n")) return false;
    }
    return true;
  };
  const auto exit = commands_.run(job.command, output, gone->get_token());
  if (exit)
    send(fmt::format("{{\"exit\":{}}}\n", *exit));
  else
    send(error_response(exit.error()).body + "\n");
  stream.end();
}

}  // namespace tapeline::serve
