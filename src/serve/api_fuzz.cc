// Any request, past the reading of HTTP: the API answers it, without a 5xx of its own making and in
// UTF-8. Streams with their queries and Last-Event-ID, logins, records and the command protocol of
// the socket are among them.
//
// The input is a target, then "Name: value" lines, an empty line and the body. A target that begins
// with "!" came over the socket; one that has a body is a POST.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "io/http_peer.h"
#include "serve/api.h"
#include "serve/memory_log_testing.h"
#include "serve/sse.h"

namespace {

using namespace tapeline;
using namespace tapeline::serve;

class NoCommands final : public Commands {
 public:
  text::Value status() override { return text::Object{{"lag", 0}}; }
  std::optional<std::string> problem() override { return std::nullopt; }
  Result<text::Value> dags() override { return text::Value(text::Object{}); }
  Result<text::Value> runs(const std::string&) override { return nothing(); }
  Result<text::Value> tasks(const std::string&, const std::string&) override { return nothing(); }
  Result<text::Value> task_log(const std::string&, const std::string&,
                               const std::string&) override {
    return nothing();
  }
  Result<text::Value> act(const DagRequest&) override { return nothing(); }
  Result<text::Value> followed() override { return nothing(); }
  Result<text::Value> follow(const std::vector<std::string>&) override { return nothing(); }
  Result<text::Value> unfollow(const std::string&) override { return nothing(); }
  Lane lane(const CommandLine&) override { return Lane::command; }
  Result<int> run(const CommandLine& line, const CommandOutput& output, std::stop_token) override {
    TL_ASSERT(!line.argv.empty());
    for (const auto& word : line.argv) output(false, word);
    return 0;
  }

 private:
  static Error nothing() { return {ErrorCode::not_found, "there is no such DAG", ""}; }
};

/// The warehouse of an API that is asked for nothing in it.
class NoWarehouse final : public warehouse::Warehouse {
 public:
  std::string_view dialect() const override { return "none"; }
  Result<std::unique_ptr<warehouse::Connection>> connect() override { return nothing(); }
  std::uint64_t version() const override { return 0; }
  Status query_as_user(std::string_view, warehouse::QueryLimits,
                       const std::function<void(const std::vector<warehouse::Column>&)>&,
                       const std::function<bool(const std::vector<warehouse::Value>&)>&) override {
    return nothing();
  }
  Result<std::unique_ptr<warehouse::Cursor>> open_as_user(std::string_view,
                                                          std::stop_token) override {
    return nothing();
  }

 private:
  static Error nothing() { return {ErrorCode::unsupported, "there is no warehouse here", ""}; }
};

/// Looks at the answer.
class Asker final : public io::HttpPeer {
 public:
  void post_send(io::HttpResponse response) override {
    TL_ASSERT(response.status != 500);
    const auto* type = io::find_header(response.headers, "Content-Type");
    if (type && type->find("json") != std::string::npos) TL_ASSERT(io::is_utf8(response.body));
  }
  void post_stream(std::shared_ptr<StreamState> stream, io::HttpStream::Options) override {
    stream_ = std::move(stream);
  }
  void post_flush() override {}

  void leave() {
    if (stream_ && stream_->events.on_closed) stream_->events.on_closed();
  }

 private:
  std::shared_ptr<StreamState> stream_;
};

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

void try_position(std::string_view text) {
  const auto position = StreamPosition::parse(text);
  if (!position) return;
  const auto again = StreamPosition::parse(position->text());
  TL_ASSERT(again && again->topic_id == position->topic_id && again->next == position->next);
  TL_ASSERT(position->total() >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try_position(text);
  std::string_view first = take_line(text);
  io::HttpRequest request{.method = "GET", .over_socket = first.starts_with('!')};
  if (request.over_socket) first.remove_prefix(1);
  auto target = io::parse_target(first);
  if (!target) return 0;
  request.target = *std::move(target);
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  request.body = text;
  if (!request.body.empty()) request.method = "POST";

  ManualClock clock{Timestamp(std::chrono::days(20'000))};
  Wakeup wakeup;
  telemetry::Metrics metrics;
  NoCommands commands;
  NoWarehouse nowhere;
  MemoryLog log;
  TL_ASSERT(log.create_topic("stock_prices", 2));
  static const auto calendar = *make_calendar("XNYS");
  const std::vector<EmbeddedFile> pages = {{"index.html", "<p>"}};
  Api api(clock, wakeup, metrics, commands, pages, {.tokens = {.local = "token"}});
  api.set_ready({log, nowhere, *calendar, {}});
  const auto asker = std::make_shared<Asker>();
  const auto admission = api.admit(request);
  if (admission.refusal) {
    TL_ASSERT(admission.refusal->status < 500 && io::is_utf8(admission.refusal->body));
    return 0;
  }
  if (request.body.size() > admission.body_bytes_max) return 0;
  api.handle(std::move(request), io::HttpPeer::reply_to(asker));
  std::stop_source over;  // what waits is done, and nothing is waited for
  over.request_stop();
  ApiWorker worker(api);
  static_cast<void>(worker.step(over.get_token()));
  static_cast<void>(worker.step_command(Lane::command, over.get_token()));
  TL_ASSERT(api.step());
  asker->leave();
  return 0;
}
