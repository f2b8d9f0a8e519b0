#include "serve/api.h"

#include <fmt/format.h>

#include "serve/marts.h"
#include "serve/pages.h"

namespace tapeline::serve {
namespace {

constexpr Duration kStatusEvery = std::chrono::seconds(1);

std::size_t bytes_of(const Call& call) { return call.request.body.size(); }

io::HttpResponse with_security(io::HttpResponse response) {
  const auto& headers = security_headers();
  response.headers.insert(response.headers.end(), headers.begin(), headers.end());
  return response;
}

io::HttpResponse no_route(const Match& match) {
  if (match.allow.empty())
    return io::http_error(404, "not_found", "there is nothing at this address",
                          "The API is described at /openapi.json.");
  auto response = io::http_error(405, "invalid_argument", "this address has no such method",
                                 fmt::format("Use {}.", match.allow));
  response.headers.emplace_back("Allow", match.allow);
  return response;
}

/// One text for each request that has another answer.
std::string text_of(const Route& route, const Call& call) {
  std::string text = route.path;
  for (const auto& [name, value] : call.params) text += fmt::format("&{}={}", name, value);
  return text;
}

Result<CommandLine> command_line(const std::string& body) {
  const Error wrong{ErrorCode::invalid_argument, "the body is no command",
                    R"(Send {"argv":["dbt","run"],"cwd":"/folder"}.)"};
  const auto json = TRY(text::parse_json(body));
  const text::Value* argv = json.find("argv");
  if (!argv || !argv->is_list() || argv->as_list().empty()) return wrong;
  CommandLine line{{}, json.string_or("cwd", ""), json.bool_or("progress", false)};
  for (const auto& word : argv->as_list()) {
    if (!word.is_string()) return wrong;
    line.argv.push_back(word.as_string());
  }
  return line;
}

bool may_be_page(const io::HttpRequest& request) {
  const auto& segments = request.target.segments;
  return (request.method == "GET" || request.method == "HEAD") &&
         (segments.empty() || (segments[0] != "api" && segments[0] != "-"));
}

}  // namespace

Api::Api(Clock& clock, Wakeup& wakeup, telemetry::Metrics& metrics, Commands& commands,
         const std::vector<EmbeddedFile>& pages, Options options)
    : clock_(clock),
      wakeup_(wakeup),
      metrics_(metrics),
      cached_(metrics.counter("tapeline_serve_answers_cached_total",
                              "Requests answered with what an earlier one read.")),
      commands_(commands),
      pages_(pages),
      options_(std::move(options)),
      access_(options_.tokens),
      hub_(clock, wakeup, metrics),
      answers_(options_.answer_bytes_max),
      jobs_(options_.jobs_max),
      command_jobs_(options_.commands_max),
      member_jobs_(options_.jobs_max),
      load_jobs_(options_.jobs_max),
      routes_(make_routes()) {
  metrics_.gauge_from("tapeline_serve_jobs_waiting", "Requests that wait for a worker.", {},
                      [this] { return static_cast<double>(jobs_.size()); });
}

void Api::set_starting(std::string reason, std::optional<double> progress) {
  starting_.with([&](Starting& now) { now = {std::move(reason), progress}; });
}

void Api::set_ready(const Backend& backend) {
  backend_.emplace(backend);
  live_ = std::make_unique<Live>(backend.log, backend.calendar, hub_, metrics_, backend.live);
  (void)live_->find_topic();  // a reader that comes back at once is compared with its place
  ready_.store(true, std::memory_order_release);
  wakeup_.notify();
}

Result<bool> Api::step() {
  Result<bool> more = false;
  if (ready()) {
    more = live_->step();
    const Duration now = clock_.uptime();
    if (now >= status_at_) {
      status_at_ = now + kStatusEvery;
      const std::string status = status_json(false);
      const bool changed =
          status_.with([&](std::string& last) { return status != std::exchange(last, status); });
      if (changed) hub_.publish_status(status_json(true));
    }
  }
  hub_.step();
  return more;
}

Duration Api::next_step() const {
  const Duration streams = hub_.next_step();
  return ready() ? std::min(streams, status_at_) : streams;
}

void Api::publish_run(const RunEvent& event) {
  JsonWriter json;
  json.begin_object()
      .field("dag", event.dag)
      .field("run_id", event.run_id)
      .field("state", event.state)
      .field("loaded", event.loaded)
      .field("from", event.from)
      .field("to", event.to)
      .key("symbols")
      .begin_list();
  for (const auto& symbol : event.symbols) json.value(symbol);
  json.end_list().end_object();
  hub_.publish_event("run", json.text(), ready() ? live_->position().total() : 0);
}

void Api::publish_gap(const FeedGapEvent& event) {
  JsonWriter json;
  json.begin_object()
      .field("feed", event.feed)
      .field("symbol", event.symbol)
      .field("start", event.start)
      .field("end", event.end)
      .field("cause", event.cause)
      .field("healed_at", event.healed_at)
      .end_object();
  hub_.publish_event("feed_gap", json.text(), ready() ? live_->position().total() : 0);
}

Status Api::refresh_daily(warehouse::Connection& warehouse) {
  const auto rows = TRY(read_daily(warehouse));
  if (ready()) live_->set_daily(rows);
  return Ok{};
}

Api::Admission Api::admit(const io::HttpRequest& head) {
  Match match = find_route(routes_, head.method, head.target);
  if (!match.route) {
    if (match.allow.empty() && may_be_page(head)) return {};
    return {0, with_security(no_route(match))};
  }
  const Route& route = *match.route;
  if (auto refusal = access_.refusal(head, route.need))
    return {0, with_security(*std::move(refusal))};
  if (!route.before_ready && !ready()) {
    const Starting starting = starting_.copy();
    return {0, with_security(
                   error_response(Error{ErrorCode::unavailable, "not ready yet: " + starting.reason,
                                        "Ask /-/ready how far it is, and try again shortly."}))};
  }
  if (const auto checked = check_params(route, head.target, match.params); !checked)
    return {0, with_security(error_response(checked.error()))};
  return {route.body_bytes_max};
}

void Api::handle(io::HttpRequest request, io::HttpReply reply) {
  Match match = find_route(routes_, request.method, request.target);
  if (!match.route) return finish(nullptr, reply, page_response(pages_, request));
  Call call{std::move(request), std::move(match.params)};
  if (const auto checked = check_params(*match.route, call.request.target, call.params); !checked)
    return finish(match.route, reply, error_response(checked.error()));
  if (match.route->runs == Runs::at_once)
    return answer(*match.route, std::move(call), std::move(reply));
  if (answer_from_cache(*match.route, call, reply)) return;
  Job job{match.route, std::move(call), std::move(reply)};
  if (job.route->runs == Runs::as_command) {
    auto command = command_line(job.call.request.body);
    if (!command) return finish(job.route, job.reply, error_response(command.error()));
    job.command = *std::move(command);
    job.lane = commands_.lane(job.command);
  }
  enqueue(std::move(job));
}

BoundedQueue<Api::Job>& Api::queue_of(Lane lane) {
  if (lane == Lane::member) return member_jobs_;
  return lane == Lane::load ? load_jobs_ : command_jobs_;
}

void Api::enqueue(Job job) {
  const Route* route = job.route;
  io::HttpReply reply = job.reply;
  const bool is_endless = job.lane == Lane::endless;
  if (is_endless && endless_.fetch_add(1) >= options_.endless_max) {
    --endless_;
    return finish(route, reply,
                  error_response(Error{
                      ErrorCode::unavailable,
                      fmt::format("{} commands that go on until they are stopped run already",
                                  options_.endless_max),
                      "Stop one of them, or ask for what ends by itself: --no-follow does, and a "
                      "status without --watch."}));
  }
  const std::size_t bytes = bytes_of(job.call);
  const bool fits = job_bytes_.fetch_add(bytes) + bytes <= options_.job_bytes_max;
  BoundedQueue<Job>& queue = route->runs == Runs::as_command ? queue_of(job.lane) : jobs_;
  if (fits && queue.push(std::move(job))) return;
  job_bytes_ -= bytes;
  endless_ -= is_endless;
  finish(route, reply,
         error_response(Error{ErrorCode::unavailable, "too many requests wait for an answer",
                              "Try again in a second."}));
}

bool Api::answer_from_cache(const Route& route, const Call& call, io::HttpReply& reply) {
  if (!route.from_tables) return false;
  auto kept = answers_.find(text_of(route, call), backend_->warehouse.version());
  if (!kept) return false;
  cached_.add();
  finish(&route, reply, json_response(*std::move(kept)));
  return true;
}

void Api::answer(const Route& route, Call call, io::HttpReply reply) {
  if (route.take_over) return route.take_over(std::move(call), std::move(reply));
  // Another worker may have answered the same while this request waited.
  if (answer_from_cache(route, call, reply)) return;
  const std::uint64_t version = route.from_tables ? backend_->warehouse.version() : 0;
  auto response = route.answer(call);
  if (route.from_tables && response) answers_.keep(text_of(route, call), version, response->body);
  finish(&route, reply,
         response ? *std::move(response) : error_response(std::move(response).error()));
}

void Api::finish(const Route* route, io::HttpReply& reply, io::HttpResponse response) {
  metrics_
      .counter("tapeline_serve_requests_total", "Requests that were answered.",
               {{"route", route ? route->path : "page"},
                {"status", fmt::format("{}xx", response.status / 100)}})
      .add();
  reply.send(with_security(std::move(response)));
}

bool ApiWorker::step(std::stop_token stop) {
  auto job = api_.jobs_.pop(std::move(stop));
  if (!job) return false;
  api_.job_bytes_ -= bytes_of(job->call);
  if (job->route->runs == Runs::with_query) {
    if (!connection_) {
      auto opened = api_.backend_->warehouse.connect();
      if (!opened) {
        api_.finish(job->route, job->reply, error_response(opened.error()));
        return true;
      }
      connection_ = *std::move(opened);
    }
    job->call.warehouse = connection_.get();
  }
  api_.answer(*job->route, std::move(job->call), std::move(job->reply));
  return true;
}

bool ApiWorker::step_command(Lane lane, std::stop_token stop) {
  auto job = api_.queue_of(lane).pop(stop);
  if (!job) return false;
  api_.job_bytes_ -= bytes_of(job->call);
  api_.run_command(*job, std::move(stop));
  api_.endless_ -= job->lane == Lane::endless;
  return true;
}

}  // namespace tapeline::serve
