#include "play.h"

#include "app/commands/commands.h"
#include "base/crc32c.h"
#include "ingest/loader.h"
#include "serve/base64.h"
#include "telemetry/logging.h"

namespace tapeline::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kPlenty = std::int64_t{1} << 40;
const std::string kDag(app::kIngestionDag);
const std::string kTopicName(app::kTopic);

constexpr std::uint64_t kAuditEvery = 8;  // of the seeds with models

}  // namespace

Play::Play(Options options)
    : options_(std::move(options)),
      rng_(mix64(options_.seed ^ 0x5eed)),
      simulated_(rng_.below(5) == 0),
      models_(rng_.below(4) == 0),
      world_({.seed = options_.seed,
              .folder = options_.folder,
              .simulated = simulated_,
              .segment_bytes = std::int64_t{2048} << rng_.below(5)}) {
  outcome_.had_models = models_;
  for (int i = 0; i < 3; ++i) readers_.push_back(std::make_shared<Reader>(world_.problems));
}

Outcome Play::run() {
  start();
  // Seeds with models have fewer steps: a run of them costs as much as all else.
  const int steps = models_ ? options_.steps / 2 : options_.steps;
  for (int i = 0; i < steps && world_.problems.empty(); ++i) step();
  if (world_.problems.empty()) come_to_rest();
  if (world_.problems.empty()) check_at_rest();
  for (auto& reader : readers_) reader->close();
  outcome_.problems = world_.problems;
  outcome_.records = world_.model.end();
  outcome_.loads = load_id_;
  return outcome_;
}

void Play::trace(std::string_view what, std::int64_t more) {
  outcome_.trace = mix64(outcome_.trace ^ crc32c(what) ^ mix64(static_cast<std::uint64_t>(more)));
  if (options_.tell) fmt::print(stderr, "{:5} {} {}\n", outcome_.steps, what, more);
}

/// An error that a broken disk explains is none.
void Play::expect(const Status& status, std::string_view what) {
  if (status || world_.crashed()) return;
  trace(to_string(status.error().code));
  const bool may_be = faulted_ && status.error().code == ErrorCode::unavailable;
  if (!may_be) differ(fmt::format("{}: {}", what, status.error().message));
}

// What a process goes through.

void Play::start() {
  for (int attempt = 0; attempt < 20; ++attempt) {
    faulted_ = disk_broken_;
    worker_lost_ = false;
    const Status started = world_.start();
    if (started) {
      // Another day, or a wall clock that jumped, and the live table begins elsewhere: a page that
      // remembers more or less than it begins anew.
      const Offset first = world_.model.first_at(process().backend->live.since);
      if (first != std::exchange(live_first_, first)) {
        for (auto& reader : readers_) reader = std::make_shared<Reader>(world_.problems);
      }
      for (auto& reader : readers_) {
        if (rng_.below(2) == 0 && !world_.crashed()) reader->connect(*process().api);
      }
      if (!world_.crashed()) return check();
    }
    if (world_.crashed()) {
      ++outcome_.crashes;
      for (auto& reader : readers_) reader->close();
      world_.bury();
      continue;
    }
    trace("no start");
    if (options_.tell) fmt::print(stderr, "      {}\n", started.error().message);
    if (started.error().code != ErrorCode::unavailable) {
      return differ(fmt::format("starting: {}", started.error().message));
    }
    mend_disk();
  }
  differ("it does not start");
}

void Play::restart() {
  trace("restart", world_.crashed());
  for (auto& reader : readers_) reader->close();
  if (world_.crashed()) {
    ++outcome_.crashes;
    world_.bury();
  } else {
    world_.stop();
  }
  start();
}

void Play::step() {
  ++outcome_.steps;
  world_.clock.advance(std::chrono::milliseconds(rng_.below(60)));
  const auto choice = rng_.below(100);
  if (choice < 20)
    produce();
  else if (choice < 40)
    schedule();
  else if (choice < 58)
    work();
  else if (choice < 68)
    follow();
  else if (choice < 73)
    post();
  else if (choice < 79)
    read_streams();
  else if (choice < 85)
    move_clock();
  else if (choice < 89)
    break_disk();
  else if (choice < 92)
    load_as_rival();
  else if (choice < 93)
    checkpoint();
  else if (choice < 94)
    lose_worker();
  else if (choice < 95)
    pause_or_trigger();
  else if (choice < 98)
    crash_somehow();
  else if (choice < 99) {
    action_ = "stop";
    restart();
  } else {
    action_ = "check";
    check();
  }
  if (world_.crashed() || (worker_lost_ && rng_.below(10) == 0)) restart();
  look();
  trace(action_, log_end_ * 1000 + load_id_);
}

void Play::produce() {
  action_ = "produce";
  const auto done = process().producer->step();
  if (done) return trace("records", done->records);
  // A feed may be away at any time.
  if (done.error().message.find("reading feed") == std::string::npos)
    expect(done.error(), "producing");
}

void Play::schedule() {
  action_ = "schedule";
  const auto pause = process().pipeline->scheduler().step();
  if (!pause) return expect(pause.error(), "scheduling");
  if (rng_.below(3) == 0) world_.clock.advance(std::min(*pause, Duration(90s)));
}

void Play::work() {
  action_ = "work";
  dag::Worker worker(world_.clock, process().pipeline->queues(), *this);
  worker.try_step({});
}

/// A task, with what can happen to one.
Result<dag::TaskOutcome> Play::run(const dag::TaskContext& context) {
  trace(context.action, context.try_number);
  const bool is_model = context.action == "transform" || context.action == "test";
  if (is_model && !models_) return dag::TaskOutcome::success();
  if (!at_rest_ && rng_.below(30) == 0) {
    faulted_ = true;
    return Error{ErrorCode::unavailable, "told to fail", ""};
  }
  if (!at_rest_ && context.action == "load" && rng_.below(8) == 0) {
    world_.call_at(1 + static_cast<std::int64_t>(rng_.below(4)), [this] { load_as_rival(); });
  }
  auto outcome = tasks().run(context);
  world_.call_at(0, nullptr);  // a load too short for the rival to come
  if (world_.crashed()) return outcome;
  if (context.action == "transform") ++outcome_.runs;
  if (!outcome) {
    expect(outcome.error(), context.action);
  } else if (outcome->state == dag::TaskOutcome::State::failed) {
    differ(fmt::format("{} failed: {}", context.action, outcome->error.message));
  }
  return outcome;
}

void Play::follow() {
  action_ = "follow";
  const auto more = process().api->step();
  if (!more) expect(more.error(), "following the topic");
}

/// Another producer's records, over the API.
void Play::post() {
  action_ = "post";
  io::HttpRequest request{.method = "POST",
                          .target = *io::parse_target("/api/v1/topics/stock_prices/records"),
                          .headers = {{"Content-Type", "application/x-ndjson"}},
                          .over_socket = true};
  std::vector<std::string> sent;
  for (auto lines = 1 + rng_.below(4); lines > 0; --lines) {
    const bool is_text = rng_.below(4) != 0;
    sent.push_back(is_text ? world_.exchange.message(world_.exchange.quote())
                           : world_.exchange.garbage());
    request.body += is_text ? sent.back()
                            : fmt::format(R"({{"key":"A","value_base64":"{}"}})",
                                          serve::base64_encode(sent.back()));
    request.body += "\n";
  }
  const auto caller = std::make_shared<Caller>();
  process().api->handle(std::move(request), io::HttpPeer::reply_to(caller));
  if (!caller->response) serve::ApiWorker(*process().api).step({});
  if (!caller->response) return differ("a request was not answered");
  if (world_.crashed()) return;
  trace("answer", caller->response->status);
  if (caller->response->status == 503 && faulted_) return;
  if (caller->response->status != 200) {
    return differ(fmt::format("appending was answered {}: {}", caller->response->status,
                              caller->response->body));
  }
  const auto answer = text::parse_json(caller->response->body);
  const text::Value* records = answer ? answer->find("records") : nullptr;
  if (!records || records->as_list().size() != sent.size())
    return differ("an answer has other records");
  for (std::size_t i = 0; i < sent.size(); ++i) {
    world_.model.acknowledge(records->as_list()[i].int_or("offset", -1), sent[i]);
  }
}

void Play::read_streams() {
  action_ = "read";
  auto& reader = readers_[rng_.below(readers_.size())];
  if (!reader->connected()) return reader->connect(*process().api);
  if (rng_.below(8) == 0) return reader->close();
  for (auto takes = rng_.below(4); takes > 0; --takes) reader->take();
}

void Play::move_clock() {
  action_ = "clock";
  switch (rng_.below(6)) {
    case 0:
      return world_.clock.jump(std::chrono::seconds(rng_.below(100'000)));
    case 1:
      return world_.clock.jump(-std::chrono::seconds(rng_.below(100'000)));
    case 2:
      return world_.clock.advance(std::chrono::minutes(rng_.below(simulated_ ? 3 : 300)));
    default:
      return world_.clock.advance(std::chrono::milliseconds(rng_.below(3000)));
  }
}

void Play::break_disk() {
  action_ = "disk";
  switch (rng_.below(4)) {
    case 0:
      faulted_ = disk_broken_ = true;
      return world_.files.fail_syncs(1 + static_cast<int>(rng_.below(2)));
    case 1:
      faulted_ = disk_broken_ = true;
      return world_.files.set_space_bytes(world_.files.used_bytes() +
                                          static_cast<std::int64_t>(rng_.below(3000)));
    default:
      return mend_disk();
  }
}

void Play::mend_disk() {
  disk_broken_ = false;
  world_.files.fail_syncs(0);
  world_.files.set_space_bytes(kPlenty);
}

/// Another loader, at any range, perhaps in the middle of a load.
void Play::load_as_rival() {
  action_ = "rival";
  faulted_ = true;  // one of two loaders fails
  auto& pipeline = *process().pipeline;
  const auto topics = pipeline.log().topics();
  const auto connection = pipeline.warehouse().connect();
  if (!topics || !connection) return;
  ingest::LoaderProbe probe(process().metrics);
  ingest::Loader rival(world_.clock, pipeline.log(), **connection, *world_.calendar, probe,
                       process().aside, tasks().loader_options());
  const auto first = std::max<Offset>(0, loaded_to_ + 2 - static_cast<Offset>(rng_.below(10)));
  const auto next =
      std::min(topics->at(0).partitions.at(0).end, first + 1 + static_cast<Offset>(rng_.below(20)));
  if (next <= first) return;
  const auto counts = rival.load({{kTopicName, 0}, topics->at(0).id, first, next}, "rival");
  trace("rival", counts ? counts->consumed : -1);
  if (counts || world_.crashed()) return;
  const bool is_hole = counts.error().code == ErrorCode::invalid_argument && first > loaded_to_;
  if (!is_hole && counts.error().code != ErrorCode::unavailable) {
    differ(fmt::format("a second loader of {} to {}: {}", first, next, counts.error().message));
  }
}

void Play::checkpoint() {
  action_ = "checkpoint";
  expect(process().pipeline->warehouse().checkpoint(0), "folding the warehouse's log");
}

/// A worker takes a task and is never heard of again, before or after its work.
void Play::lose_worker() {
  action_ = "lose worker";
  auto lost = process().pipeline->queues().work.try_pop();
  if (!lost) return;
  worker_lost_ = true;
  if (rng_.below(2) == 0) return;
  lost->context.log = lost->log.get();
  (void)run(lost->context);
}

void Play::pause_or_trigger() {
  action_ = "command";
  auto& pipeline = *process().pipeline;
  if (rng_.below(2) == 0) {
    return expect(pipeline.set_paused(kDag, !pipeline.paused(kDag)), "pausing");
  }
  const auto run = pipeline.scheduler().trigger(kDag);
  if (!run) expect(run.error(), "triggering a run");
}

void Play::crash_somehow() {
  action_ = "crash";
  const bool machine = rng_.below(2) == 0;
  if (rng_.below(3) == 0) return world_.crash(machine);
  world_.crash_at(1 + static_cast<std::int64_t>(rng_.below(rng_.below(2) == 0 ? 30 : 1000)),
                  machine);
}

// What must hold.

void Play::look() {
  if (!world_.problems.empty() || world_.crashed()) return;
  world_.model.read(*process().log);
  const Offset end = world_.model.end();
  if (end < log_end_) differ(fmt::format("the log's end goes back from {} to {}", log_end_, end));
  log_end_ = end;
  const auto status = tasks().status();
  const auto& counts = status.equation;
  if (!counts.balances()) differ("the equation does not balance");
  if (counts.consumed + status.lag > end) {
    differ(
        fmt::format("{} consumed and {} behind, of {} records", counts.consumed, status.lag, end));
  }
}

void Play::check() {
  if (!world_.problems.empty()) return;
  world_.disarm();
  world_.model.read(*process().log);
  world_.model.check_log(**process().pipeline->log_engine().embedded("the simulation", ""));
  world_.model.check_warehouse(*process().connection);
  const auto rows =
      process().connection->query("select max(load_id), max(next_offset) from raw_stocks.loads");
  if (!rows) return differ(rows.error().message);
  const auto number = [&](std::size_t column) {
    const auto* at = std::get_if<std::int64_t>(&rows->rows.at(0).at(column));
    return at ? *at : 0;
  };
  if (number(0) < load_id_)
    differ(fmt::format("the last load was {}, it is {}", load_id_, number(0)));
  if (number(1) < loaded_to_)
    differ(fmt::format("offset {} goes back to {}", loaded_to_, number(1)));
  load_id_ = number(0);
  loaded_to_ = number(1);
  const auto committed = process().pipeline->log().committed("tapeline", {kTopicName, 0});
  if (committed && *committed && **committed > loaded_to_) {
    differ(fmt::format("{} is committed, {} is loaded", **committed, loaded_to_));
  }
}

void Play::check_live() {
  for (int i = 0; i < 100; ++i) {
    const auto more = process().api->step();
    if (!more) return differ(fmt::format("following the topic: {}", more.error().message));
    if (!*more) break;
  }
  io::HttpRequest request{.method = "GET", .target = *io::parse_target("/api/v1/quotes")};
  const auto caller = std::make_shared<Caller>();
  process().api->handle(std::move(request), io::HttpPeer::reply_to(caller));
  if (!caller->response) serve::ApiWorker(*process().api).step({});
  const auto quotes = text::parse_json(caller->response ? caller->response->body : "");
  if (!quotes) return differ("the live table cannot be read");
  world_.model.check_live(*quotes, live_first_);

  for (auto& reader : readers_) {
    if (!reader->connected()) reader->connect(*process().api);
    for (int i = 0; i < 100 && (reader->take() || i < 3); ++i) continue;
    for (const text::Value& quote : quotes->find("quotes")->as_list()) {
      const text::Value* source = quote.find("data_source");
      const std::string symbol = quote.string_or("symbol", "");
      const auto shown = reader->shown().find(symbol);
      if (!source || source->is_null()) continue;
      if (shown == reader->shown().end() || shown->second != seen_of(quote)) {
        differ(fmt::format("a reader shows {} as {}, it is {}", symbol,
                           shown == reader->shown().end() ? "nothing" : shown->second,
                           seen_of(quote)));
      }
    }
  }
}

/// Everything works again, and the feed is silent: what is there is loaded and modelled.
void Play::come_to_rest() {
  at_rest_ = true;
  world_.disarm();
  mend_disk();
  if (worker_lost_ || rng_.below(2) == 0) restart();
  if (!world_.problems.empty()) return;
  auto& pipeline = *process().pipeline;
  if (pipeline.paused(kDag)) expect(pipeline.set_paused(kDag, false), "unpausing");
  world_.stop_feed();
  action_ = "rest";
  for (int turn = 0; turn < 500 && world_.problems.empty(); ++turn) {
    ++outcome_.steps;
    const auto produced = process().producer->step();
    if (!produced) {
      trace(produced.error().message);
    }
    const auto pause = pipeline.scheduler().step();
    if (!pause) return differ(fmt::format("scheduling: {}", pause.error().message));
    dag::Worker worker(world_.clock, pipeline.queues(), *this);
    const bool worked = worker.try_step({});
    look();
    const bool loaded = tasks().status().lag == 0 && process().producer->finished();
    const bool done = models_ ? tasks().has_work(kDag) == dag::Work::none : loaded;
    if (loaded && done && !worked) return;
    if (!worked) world_.clock.advance(std::min(*pause, Duration(90s)) + 1ms);
  }
  if (world_.problems.empty()) differ("it does not come to rest");
}

void Play::check_at_rest() {
  check();
  check_live();
  trace("rest", loaded_to_);
  if (loaded_to_ != world_.model.end()) {
    differ(fmt::format("{} of {} records are loaded", loaded_to_, world_.model.end()));
  }
  if (!models_ || load_id_ == 0 || !world_.problems.empty()) return;
  world_.model.check_marts(*process().connection);
  if (options_.seed % kAuditEvery != 0) return;
  const auto line = app::parse_command_line({"audit"});
  std::string said;
  app::Terminal terminal([&](std::string_view text) { said += text; }, [](std::string_view) {}, {});
  const auto exit = app::audit(*process().pipeline, {.line = *line, .terminal = terminal});
  if (!exit || *exit != 0) differ(fmt::format("audit: {}", exit ? said : exit.error().message));
}

}  // namespace tapeline::sim
