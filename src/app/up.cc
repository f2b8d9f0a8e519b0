#include "app/up.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <deque>
#include <utility>

#include "app/finnhub.h"
#include "app/loop.h"
#include "app/unloaded.h"
#include "app/up_status.h"
#include "base/embedded_file.h"
#include "feeds/replay/replay_feed.h"
#include "feeds/simulator/simulator.h"
#include "ingest/gaps.h"
#include "ingest/producer.h"
#include "serve/api.h"
#include "telemetry/logging.h"
#include "warehouse/duckdb/duckdb_columnar.h"

namespace tapeline::app {
namespace {

using telemetry::Level;

constexpr rlim_t kFilesWanted = 8192;  // 4,096 connections, and the rest
constexpr Duration kRecoveryEvery = std::chrono::seconds(1);
constexpr int kOpenAnew = SIGUSR1;                  // what the keeper tells the main thread
constexpr std::int64_t kRoomToOpenAnew = 64 << 20;  // bytes of disk, beside what is to be folded
constexpr Duration kTidyEvery = std::chrono::seconds(1);
constexpr std::int64_t kWalBytesMax = 16 << 20;          // a start after a crash reads it again
constexpr std::int64_t kCacheBytesMax = 64 << 20;        // of the warehouse, between runs
constexpr Duration kDrainMax = std::chrono::seconds(6);  // of the ten that a stop may take

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

Result<Address> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  Address address;
  int port = -1;
  if (colon != std::string::npos) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto [at, failed] = std::from_chars(text.data() + colon + 1, end, port);
    if (failed != std::errc() || at != end) port = -1;
  }
  if (address.host.empty() || port < 0 || port > 65535) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no address", text),
                 "Write it like 127.0.0.1:8787."};
  }
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (!address.host.starts_with("127.") && address.host != "::1") {
    return Error{
        ErrorCode::unsupported,
        fmt::format("listening on '{}' would show the dashboard beyond this machine", address.host),
        "That needs TLS, which comes with a later release. Until then listen on 127.0.0.1 and put "
        "a reverse proxy with TLS before it, or open a tunnel: ssh -L 8787:127.0.0.1:8787 HOST."};
  }
  address.port = static_cast<std::uint16_t>(port);
  return address;
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

/// As `state_value` says it of Finnhub: every symbol comes from the simulator.
text::Value simulator_state(const std::vector<Symbol>& symbols) {
  text::List paths;
  for (const Symbol& symbol : symbols) {
    paths.emplace_back(text::Object{{"symbol", std::string(symbol.text())}, {"path", "simulator"}});
  }
  return text::Object{{"state", "live"}, {"error", text::Value()}, {"symbols", std::move(paths)}};
}

/// The simulator, going on where the topic ends.
Result<std::unique_ptr<feeds::Feed>> make_simulator(Pipeline& pipeline, Clock& clock) {
  const Config& config = pipeline.config();
  feeds::Simulator::Options options;
  options.rate = TRY(config.real("simulator.rate"));
  options.faults = TRY(feeds::parse_faults(config.list("simulator.faults")));
  options.symbols.clear();
  for (const std::string& name : config.list("symbols")) {
    options.symbols.push_back(TRY(Symbol::parse(name)));
  }
  // Seed and start belong to the data: a restart goes on with those of the first time.
  const std::string& start = config.text("simulator.start");
  const Timestamp first = start.empty() ? clock.now() : TRY(parse_rfc3339(start)).at;
  const std::int64_t seed = TRY(config.integer("simulator.seed"));
  const std::string kept_start =
      TRY(pipeline.settings().get_or_set("simulator.start", format_rfc3339_micros(first)));
  const std::string kept_seed =
      TRY(pipeline.settings().get_or_set("simulator.seed", fmt::format("{}", seed)));
  options.start = TRY(parse_rfc3339(kept_start)).at;
  options.seed = std::strtoull(kept_seed.c_str(), nullptr, 10);
  if (config.value("simulator.seed").origin != "default" && kept_seed != fmt::format("{}", seed)) {
    telemetry::log(Level::warn, "seed of the data kept",
                   {{"seed", kept_seed}, {"asked", fmt::format("{}", seed)}});
  }
  auto simulator = TRY(feeds::Simulator::make(clock, options));
  pipeline.set_feed_state(simulator_state(options.symbols));
  simulator.resume(TRY(last_event_times(pipeline)));
  return std::unique_ptr<feeds::Feed>(std::make_unique<feeds::Simulator>(std::move(simulator)));
}

Result<std::unique_ptr<feeds::Feed>> make_replay(Pipeline& pipeline, const Call& call,
                                                 text::Columnar& columnar) {
  const auto conditions = TRY(condition_rule(call.line));
  feeds::ReplayFeed::Options options;
  options.rows = TRY(file_rows_options(call.line, conditions));
  options.speed = TRY(feeds::parse_speed(call.line.value("speed").value_or("60x")));
  options.rows.columnar = &columnar;
  const auto inputs = TRY(input_files(pipeline, call));
  auto feed = TRY(feeds::ReplayFeed::open(pipeline.clock(), pipeline.calendar(), inputs.files,
                                          std::move(options)));
  for (const auto* notes : {&inputs.notes, &feed.notes()}) {
    for (const std::string& note : *notes) call.terminal.err("note: " + note + "\n");
  }
  return std::unique_ptr<feeds::Feed>(std::make_unique<feeds::ReplayFeed>(std::move(feed)));
}

/// What `up` is asked for.
struct Plan {
  std::string feed;  // simulator, finnhub, replay, none
  Address address;
  std::string path;
  DirectoryKind kind = DirectoryKind::market;
  std::string lock_folder;  // where the user's processes agree on who uses a key
};

Result<Plan> make_plan(const Environment& environment, const Config& config, const Call& call) {
  Plan plan;
  const bool is_replay = call.line.command->name == "replay";
  plan.feed = is_replay ? "replay" : config.text("feed");
  const bool has_key = !config.text("finnhub.api_key").empty();
  if (!is_replay && has_key && config.value("feed").origin == "default") plan.feed = "finnhub";
  if (plan.feed == "replay" && !is_replay) {
    return Error{ErrorCode::invalid_argument, "the feed 'replay' needs files",
                 "Write tapeline replay FILE..."};
  }
  if (plan.feed != "simulator" && plan.feed != "finnhub" && plan.feed != "replay" &&
      plan.feed != "none") {
    return Error{ErrorCode::invalid_argument, fmt::format("there is no feed '{}'", plan.feed),
                 "Feeds are simulator, finnhub, replay and none."};
  }
  plan.address = TRY(parse_address(config.text("listen")));
  plan.kind = plan.feed == "simulator" ? DirectoryKind::simulated : DirectoryKind::market;
  plan.path = config.text("data_dir").empty()
                  ? default_directory(environment, plan.kind)
                  : std::filesystem::absolute(config.text("data_dir")).lexically_normal().string();
  const std::filesystem::path market = default_directory(environment, DirectoryKind::market);
  plan.lock_folder = market.parent_path() / "keys";
  return plan;
}

/// A thousand streams need more open files than a shell allows by default.
void raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = std::max(files.rlim_cur, std::min<rlim_t>(files.rlim_max, kFilesWanted));
  ::setrlimit(RLIMIT_NOFILE, &files);
}

void log_error(const Error& error) {
  telemetry::log(Level::warn, "step failed", telemetry::error_fields(error));
}

/// All parts of a running pipeline, in the order in which they start.
class Running {
 public:
  Running(Clock& clock, io::FileSystem& files, const Config& config, const Call& call, Plan plan)
      : clock_(clock),
        files_(files),
        config_(config),
        call_(call),
        plan_(std::move(plan)),
        status_(clock) {}

  /// `again`: one before it in this process stopped so that everything is opened anew.
  Status start(bool again) {
    if (!again && config_.text("log.engine") == "embedded" &&
        !config_.text("log.brokers").empty()) {
      call_.terminal.err(fmt::format(
          "note: the topics stay in the embedded log, though Kafka's brokers are named (from {}); "
          "add TAPELINE_LOG=kafka or --log kafka to use them\n",
          config_.value("log.brokers").origin));
    }
    std::optional<DirectoryKind> kind;
    // Without a feed any directory may be looked at.
    if (plan_.feed != "none" || !TRY(DataDirectory::exists(files_, plan_.path))) kind = plan_.kind;
    auto directory = TRY(DataDirectory::open(files_, clock_, plan_.path, kind));
    TRY_STATUS(listen(directory));
    pipeline_ = TRY(Pipeline::open(
        {clock_, files_, metrics_, appended_, reader_}, config_, std::move(directory),
        [&](std::string_view what) { api_->set_starting(std::string(what), std::nullopt); }));
    const Status fits = pipeline_->tasks().check_log();
    if (!fits) {
      telemetry::log(Level::error, "log and warehouse differ",
                     telemetry::error_fields(fits.error()));
    }
    TRY_STATUS(serve_directory());
    TRY_STATUS(start_feed());
    if (!again) greet();
    return Ok{};
  }

  std::uint16_t port() const { return server_->port(); }

  /// Stops feeds first, lets what they gave be loaded, then everything else.
  void stop() {
    feed_.clear();
    if (finnhub_) (void)keep_alive_at(*pipeline_, finnhub_->state(), state::Sync::now);
    if (pipeline_) pipeline_->scheduler().hurry();
    const Duration deadline = clock_.uptime() + kDrainMax;
    while (pipeline_ && !is_lost_ && clock_.uptime() < deadline && pipeline_->makes_runs() &&
           !pipeline_->paused(kIngestionDag) &&
           pipeline_->tasks().has_work(std::string(kIngestionDag)) != dag::Work::none) {
      pipeline_->queues().changed.notify();
      clock_.wait_for(std::chrono::milliseconds(20), {});
    }
    for (auto& loop : loops_) loop.request_stop();
    loops_.clear();
    if (pipeline_) (void)pipeline_->warehouse().checkpoint(0);
  }

 private:
  Status listen(DataDirectory& directory) {
    serve::Api::Options options;
    options.tokens.local = TRY(directory.token());
    options.tokens.api = config_.text("api.token");
    options.tokens.view = config_.text("api.view_token");
    api_ = std::make_unique<serve::Api>(clock_, appended_, metrics_, status_, shipped_web(),
                                        std::move(options));
    server_ = TRY(io::HttpServer::open(clock_, *api_,
                                       {.address = plan_.address.host,
                                        .port = plan_.address.port,
                                        .socket_path = directory.socket_path()}));
    url_ = fmt::format("http://{}:{}", plan_.address.host, server_->port());
    TRY_STATUS(directory.announce(url_));
    if (!config_.text("api.token").empty()) {
      const std::string code = TRY(random_token());
      api_->access().allow_once(code);
      login_ = fmt::format("  log in      {}/-/login?code={} (once)\n", url_, code);
    }
    loops_.emplace_back(
        "http-0", [this](std::stop_token stop) { server_->run(stop); }, Turns::soon);
    return Ok{};
  }

  Status serve_directory() {
    pipeline_->set_driven();
    pipeline_->tasks().on_transformed([this](const std::string& run_id, const Touched& touched) {
      serve::RunEvent event{.dag = std::string(kIngestionDag),
                            .run_id = run_id,
                            .state = "success",
                            .symbols = touched.symbols};
      if (!touched.days.empty()) {
        event.from = touched.days.front();
        event.to = touched.days.back();
      }
      api_->publish_run(event);
      if (daily_) {
        if (auto done = api_->refresh_daily(*daily_); !done) log_error(done.error());
      }
    });
    daily_ = TRY(pipeline_->warehouse().connect());
    backend_ = std::make_unique<serve::Backend>(
        serve::Backend{pipeline_->log(),
                       pipeline_->warehouse(),
                       pipeline_->calendar(),
                       {.topic = std::string(kTopic),
                        .kind = pipeline_->directory().kind(),
                        .since = serve::live_since(pipeline_->calendar(), clock_.now())}});
    api_->set_ready(*backend_);
    status_.set_pipeline(*pipeline_);
    TRY_STATUS(api_->refresh_daily(*daily_));

    if (pipeline_->log_engine().is_kafka()) {
      loops_.emplace_back(
          "kafka", clock_, [this](std::stop_token) { return pipeline_->log_engine().step(); },
          note_kafka_error);
    }
    loops_.emplace_back(
        "http-1", clock_, [this](std::stop_token stop) { return follow(stop); }, log_error,
        Turns::soon);
    for (int i = 2; i < 4; ++i) {
      loops_.emplace_back(fmt::format("http-{}", i), [this](std::stop_token stop) {
        serve::ApiWorker worker(*api_);
        while (worker.step(stop)) {
        }
      });
    }
    for (int i = 0; i < 4; ++i) {  // tasks of a scheduler outside may take long
      loops_.emplace_back(fmt::format("command-{}", i), [this](std::stop_token stop) {
        serve::ApiWorker worker(*api_);
        while (worker.step_command(stop)) {
        }
      });
    }
    loops_.emplace_back(
        "scheduler", clock_, [this](std::stop_token stop) { return schedule(stop); }, log_error);
    for (int i = 0; i < 2; ++i) {
      loops_.emplace_back(fmt::format("task-{}", i), [this](std::stop_token stop) {
        dag::Worker worker(clock_, pipeline_->queues(), pipeline_->tasks());
        while (!stop.stop_requested()) {
          worker.step(stop);
          // What follows is handed out here, without waiting until another thread has woken. That
          // one is told too: an error is met there again.
          (void)pipeline_->scheduler().step();
        }
      });
    }
    for (int i = 0; i < pipeline_->warehouse().helpers(); ++i) {
      loops_.emplace_back(fmt::format("helper-{}", i), [this](std::stop_token stop) {
        pipeline_->warehouse().help(std::move(stop));
      });
    }
    loops_.emplace_back(
        "keeper", clock_, [this](std::stop_token) { return keep(); }, log_error);
    return Ok{};
  }

  /// Follows the topic for the page, and wakes the scheduler when there is something new.
  Result<Duration> follow(std::stop_token stop) {
    const auto seen = pipeline_->appended().count();
    if (TRY(api_->step())) {
      pipeline_->queues().changed.notify();
      return Duration(0);
    }
    const Duration pause = std::clamp(api_->next_step() - clock_.uptime(), Duration(0),
                                      Duration(std::chrono::milliseconds(200)));
    pipeline_->appended().wait(seen, pause, stop);
    return Duration(0);
  }

  Result<Duration> schedule(std::stop_token stop) {
    const auto seen = pipeline_->queues().changed.count();
    const Duration pause = TRY(pipeline_->scheduler().step());
    pipeline_->queues().changed.wait(
        seen, std::min(pause, Duration(std::chrono::milliseconds(250))), stop);
    return Duration(0);
  }

  /// Watches queries; finds out that a disk takes writes again; once a second, between
  /// runs, folds the warehouse's log into its file and drops what nobody reads.
  Result<Duration> keep() {
    auto& warehouse = pipeline_->warehouse();
    warehouse.watch();
    if (clock_.uptime() >= next_recovery_) {
      (void)pipeline_->log_engine().recover().has_value();  // what is still wrong, /-/ready tells
      next_recovery_ = clock_.uptime() + kRecoveryEvery;
      open_anew_if_lost();
    }
    if (is_lost_) return Duration(kRecoveryEvery);
    const auto tidy = [&]() -> Status {
      TRY_STATUS(warehouse.checkpoint(std::exchange(fold_from_, kWalBytesMax)));
      return warehouse.drop_cache(kCacheBytesMax);
    };
    if (clock_.uptime() >= next_tidying_ && TRY(pipeline_->tasks().between_runs(tidy))) {
      next_tidying_ = clock_.uptime() + kTidyEvery;
    }
    return Duration(std::chrono::milliseconds(50));
  }

  /// Where the disk was full as DuckDB wrote its file, only another opening helps, and room.
  void open_anew_if_lost() {
    if (is_lost_ || !pipeline_->warehouse().is_lost()) return;
    const auto free = files_.free_bytes(plan_.path);
    if (!free || *free < kRoomToOpenAnew + pipeline_->warehouse().wal_bytes()) return;
    is_lost_ = true;
    ::kill(::getpid(), kOpenAnew);
  }

  Status start_feed() {
    if (plan_.feed == "none") return Ok{};
    const bool is_replay = plan_.feed == "replay";
    feed_clock_ = TRY(debug_clock(clock_, config_));
    if (plan_.feed == "finnhub") {
      auto finnhub = TRY(make_finnhub(*pipeline_, feed_clock(), plan_.lock_folder));
      finnhub_ = finnhub.get();
      feed_source_ = std::move(finnhub);
    } else if (is_replay) {
      columnar_ = TRY(warehouse::make_columnar());
      feed_source_ = TRY(make_replay(*pipeline_, call_, *columnar_));
    } else {
      feed_source_ = TRY(make_simulator(*pipeline_, feed_clock()));
    }
    gap_connection_ = TRY(pipeline_->warehouse().connect());
    producer_probe_ =
        std::make_unique<ingest::ProducerProbe>(pipeline_->metrics(), feed_source_->name());
    ingest::Producer::Options options{.topic = std::string(kTopic)};
    if (is_replay) options.conditions = TRY(condition_rule(call_.line));
    if (finnhub_) options.stamps = ingest::StampRange::live;
    producer_ = std::make_unique<ingest::Producer>(feed_clock(), pipeline_->calendar(),
                                                   *feed_source_, pipeline_->log(),
                                                   *producer_probe_, wire::encode, options);
    producer_->on_gap([this](const feeds::Gap& gap) {
      if (auto done = ingest::record_gap(*gap_connection_, gap); !done) log_error(done.error());
      api_->publish_gap({.feed = gap.feed,
                         .symbol = gap.symbol ? std::string(gap.symbol->text()) : "*",
                         .start = gap.begin,
                         .end = gap.end,
                         .cause = gap.cause,
                         .healed_at = gap.healed_at});
    });
    if (finnhub_) {
      TRY_STATUS(restore_finnhub(*pipeline_, feed_clock(), *finnhub_, *producer_));
    }
    feed_status_ = {.name = std::string(feed_source_->name()),
                    .feed_class = std::string(feeds::to_string(feed_source_->feed_class())),
                    .state = "live",
                    .symbols = static_cast<std::int64_t>(config_.list("symbols").size())};
    if (is_replay) feed_status_.symbols = 0;
    if (!is_replay) feed_status_.faults = config_.text("simulator.faults");
    status_.set_feed(feed_status_);
    feed_.emplace_back(
        "feed-" + plan_.feed, clock_, [this](std::stop_token) { return produce(); }, log_error,
        Turns::soon);
    return Ok{};
  }

  Result<Duration> produce() {
    if (producer_->finished()) {
      if (feed_status_.state == "live") {
        feed_status_.state = "stopped";
        status_.set_feed({feed_status_});
        telemetry::log(Level::info, "feed ended", {{"feed", feed_status_.name}});
      }
      return Duration(std::chrono::seconds(1));
    }
    // Told before the step: it may fail, and what it says of itself is wanted then above all.
    if (finnhub_) TRY_STATUS(tell_finnhub());
    const auto step = TRY(producer_->step());
    status_.add_records(step.records);
    // Finnhub's feed waits for its sockets by itself.
    const Duration pause = finnhub_ ? std::chrono::microseconds(200) : std::chrono::milliseconds(5);
    return step.idle() ? pause : Duration(0);
  }

  /// Ten times a second: how the feed is; once a second: until when nothing is missing.
  Status tell_finnhub() {
    const Duration uptime = clock_.uptime();
    if (uptime < tell_at_) return Ok{};
    tell_at_ = uptime + std::chrono::milliseconds(100);
    const auto state = finnhub_->state();
    pipeline_->set_feed_state(state_value(state));
    feed_status_.state = state.state;
    feed_status_.symbols = std::ssize(state.symbols);
    feed_status_.over_limit = std::ranges::count(state.symbols, feeds::finnhub::Path::over_limit,
                                                 [](const auto& one) { return one.second; });
    feed_status_.error = state.error;
    status_.set_feed(feed_status_);
    if (uptime < keep_at_) return Ok{};
    keep_at_ = uptime + std::chrono::seconds(1);
    return keep_alive_at(*pipeline_, state, state::Sync::later);
  }

  Clock& feed_clock() { return feed_clock_ ? *feed_clock_ : clock_; }

  void greet() {
    const bool simulated = pipeline_->directory().kind() == DirectoryKind::simulated;
    const std::string feed =
        plan_.feed == "none"        ? "none: nothing new comes in"
        : plan_.feed == "simulator" ? "simulator: a made-up exchange, prices are not real"
        : plan_.feed == "finnhub"   ? "finnhub: live prices; `tapeline symbols list` shows which"
                                    : "replay: files played as if they were live";
    const std::string& path = pipeline_->directory().path();
    std::string next = call_.program + " sql -c 'select * from stock_analytics limit 5'";
    if (!config_.text("data_dir").empty()) next += " --data-dir " + path;
    call_.terminal.out(
        fmt::format("\n  tapeline {}\n\n"
                    "  dashboard   {}\n{}"
                    "  feed        {}\n"
                    "  data        {}{}\n"
                    "  warehouse   {}\n"
                    "  try         {}\n"
                    "  stop        Ctrl-C\n\n",
                    TAPELINE_VERSION, url_, login_, feed, path, simulated ? " (simulated)" : "",
                    pipeline_->directory().file("stocks_fin.duckdb"), next));
  }

  Clock& clock_;
  io::FileSystem& files_;
  const Config& config_;
  const Call& call_;
  const Plan plan_;
  UpStatus status_;
  telemetry::Metrics metrics_;
  Wakeup appended_;
  AsideLoop reader_{"load-reader"};
  std::string url_;
  std::string login_;  // the line that tells how to log in, where reading needs it
  std::unique_ptr<serve::Api> api_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<serve::Backend> backend_;
  std::unique_ptr<warehouse::Connection> daily_;
  std::unique_ptr<warehouse::Connection> gap_connection_;
  std::unique_ptr<text::Columnar> columnar_;  // what a replay reads Parquet with
  std::atomic<bool> is_lost_{false};          // the warehouse answers nothing more
  std::int64_t fold_from_ = 0;  // bytes of the warehouse's log; at first all that a crash has left
  Duration next_recovery_{};    // when the disk is tried again, if it failed
  Duration next_tidying_{};     // of the warehouse
  std::unique_ptr<Clock> feed_clock_;  // where the feed has one of its own
  std::unique_ptr<feeds::Feed> feed_source_;
  feeds::finnhub::FinnhubFeed* finnhub_ = nullptr;  // feed_source_, where it is that
  Duration tell_at_{0};
  Duration keep_at_{0};
  std::unique_ptr<ingest::ProducerProbe> producer_probe_;
  std::unique_ptr<ingest::Producer> producer_;
  FeedStatus feed_status_;
  std::deque<Loop> loops_;  // stop before what they use goes
  std::deque<Loop> feed_;
};

}  // namespace

ExitCode up(Clock& clock, io::FileSystem& files, const Environment& environment,
            const Config& config, const Call& call) {
  Plan plan = TRY(make_plan(environment, config, call));
  const auto owner = TRY(DataDirectory::owner(files, plan.path));
  if (owner) {
    return Error{ErrorCode::already_exists,
                 fmt::format("'{}' is in use by process {}{}", plan.path, owner->pid,
                             owner->address.empty() ? "" : ", which serves " + owner->address),
                 "Stop that one first, or name another directory with --data-dir."};
  }
  // Signals are waited for below; every thread made from here on leaves them to that.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, kOpenAnew);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  raise_file_limit();
  for (bool again = false;; again = true) {
    Running running(clock, files, config, call, plan);
    const Status started = running.start(again);
    if (!started) {
      running.stop();
      return started.error();
    }
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != kOpenAnew) {
      pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends the process at once
      call.terminal.err("stopping\n");
      running.stop();
      return 0;
    }
    telemetry::log(Level::warn, "opening everything anew");
    plan.address.port = running.port();
    running.stop();
  }
}

}  // namespace tapeline::app
