#include "app/up.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <utility>

#include "app/feeding/feeding.h"
#include "app/loop.h"
#include "app/members/follow.h"
#include "app/members/requests.h"
#include "app/plan.h"
#include "app/up_status.h"
#include "base/embedded_file.h"
#include "feeds/replay/replay_feed.h"
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
constexpr Duration kFinnhubToldEvery = std::chrono::milliseconds(100);  // it says much of itself
constexpr Duration kTidyEvery = std::chrono::seconds(1);
constexpr std::int64_t kWalBytesMax = 16 << 20;          // a start after a crash reads it again
constexpr std::int64_t kCacheBytesMax = 64 << 20;        // of the warehouse, between runs
constexpr Duration kDrainMax = std::chrono::seconds(6);  // of the ten that a stop may take

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
  /// What its own feed has of it.
  class OwnHost final : public FeedHost {
   public:
    explicit OwnHost(Running& running) : its_(running) {}
    msglog::RecordSink& log() override { return its_.pipeline_->log(); }
    Result<FeedGround> ground(const GroundRequest& request) override {
      return feed_ground(*its_.pipeline_, request);
    }
    Status each_of_today(Timestamp now, const std::function<void(const Quote&)>& use) override {
      return app::each_of_today(*its_.pipeline_, now, use);
    }
    Result<FeedShare> renew(const Leases::Member& member, const FeedReport& report) override {
      if (its_.clock_.uptime() >= keep_at_) {
        TRY_STATUS(keep_alive(member.group, report, state::Sync::later));
        keep_at_ = its_.clock_.uptime() + std::chrono::seconds(1);
      }
      return renew_feed(*its_.pipeline_, member, report, Members::kForever);
    }
    Status on_gap(const feeds::Gap& gap) override { return its_.take_gap(gap); }

    Status keep_alive(const std::string& group, const FeedReport& report, state::Sync sync) {
      if (!report.alive_at) return Ok{};
      return keep_alive_at(*its_.pipeline_, group, *report.alive_at, sync);
    }

   private:
    Running& its_;
    Duration keep_at_{0};
  };

 public:
  /// `login_code`: of the one before it in this process.
  Running(Clock& clock, io::FileSystem& files, const Config& config, const Call& call, Plan plan,
          std::optional<std::string> login_code)
      : clock_(clock),
        files_(files),
        config_(config),
        call_(call),
        plan_(std::move(plan)),
        login_code_(std::move(login_code)),
        status_(clock) {}

  /// `again`: one before it in this process stopped so that everything is opened anew.
  Status start(DataDirectory directory, bool again, Feeding::Carried carried) {
    if (!again && config_.text("log.engine") == "embedded" &&
        !config_.text("log.brokers").empty()) {
      call_.terminal.err(fmt::format(
          "note: the topics stay in the embedded log, though Kafka's brokers are named (from {}); "
          "add TAPELINE_LOG=kafka or --log kafka to use them\n",
          config_.value("log.brokers").origin));
    }
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
    TRY_STATUS(start_feed(std::move(carried)));
    if (!again) {
      greet();
    } else if (!login_.empty()) {
      call_.terminal.out(login_);
    }
    return Ok{};
  }

  std::uint16_t port() const { return server_->port(); }

  /// The directory, its lock with it, once stopped; nullopt where the pipeline was not opened.
  std::optional<DataDirectory> take_directory() {
    if (!pipeline_) return std::nullopt;
    return std::move(pipeline_->directory());
  }

  /// What the feed has given and the log has not taken, once stopped.
  Feeding::Carried take_carried() {
    return feeding_ ? feeding_->take_carried() : Feeding::Carried();
  }

  /// What is left of the link that logs in once, so that it stays true: empty where it was used.
  std::optional<std::string> take_login_code() {
    if (login_code_) login_code_ = api_->access().take_code();
    return login_code_;
  }

  /// Stops feeds first, lets what they gave be loaded, then everything else.
  void stop() {
    feed_.clear();
    if (feeding_) (void)feeding_->flush();
    if (feeding_) (void)host_.keep_alive(feeding_->group(), feeding_->report(), state::Sync::now);
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
    server_.reset();  // before the lock goes: the next owner's socket has the same name
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
      if (!login_code_) {
        login_code_ = TRY(random_token());
        login_ = fmt::format("  log in      {}/-/login?code={} (once)\n", url_, *login_code_);
      }
      api_->access().allow_once(*login_code_);
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
    pipeline_->tasks().set_partitions([this](std::int32_t partitions) {
      const bool takes_part = plan_.role != Role::produce && plan_.role != Role::serve;
      return pipeline_->members().loaded_here(partitions, takes_part ? plan_.name : "");
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

    start_engines(*pipeline_, loops_);
    loops_.emplace_back(
        "http-1", clock_, [this](std::stop_token stop) { return follow(stop); },
        pipeline_->log_engine().is_kafka() ? note_kafka_error : log_error, Turns::soon);
    for (int i = 2; i < 4; ++i) {
      loops_.emplace_back(fmt::format("http-{}", i), [this](std::stop_token stop) {
        serve::ApiWorker worker(*api_);
        while (worker.step(stop)) {
        }
      });
    }
    const auto add_command_loop = [this](std::string name, serve::Lane lane) {
      loops_.emplace_back(std::move(name), [this, lane](std::stop_token stop) {
        serve::ApiWorker worker(*api_);
        while (worker.step_command(lane, stop)) {
        }
      });
    };
    // Those that never end leave two; tasks of a scheduler outside may take long.
    for (int i = 0; i < serve::Api::Options().endless_max + 2; ++i) {
      add_command_loop(fmt::format("command-{}", i), serve::Lane::command);
    }
    add_command_loop("member-0", serve::Lane::member);
    add_command_loop("member-1", serve::Lane::load);
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

  Status start_feed(Feeding::Carried carried) {
    auto connection = TRY(pipeline_->warehouse().connect());
    gap_connection_.with([&](auto& its) { its = std::move(connection); });
    pipeline_->members().on_gap([this](const feeds::Gap& gap) { return take_gap(gap); });
    if (plan_.feed == "none") return Ok{};
    Feeding::Options options{.feed = plan_.feed,
                             .name = plan_.name,
                             .own_symbols = plan_.own_symbols,
                             .lock_folder = plan_.lock_folder,
                             .carried = std::move(carried)};
    if (plan_.feed == "finnhub") options.renew_every = kFinnhubToldEvery;
    if (plan_.role == Role::replay) {
      columnar_ = TRY(warehouse::make_columnar());
      options.replay = TRY(make_replay(*pipeline_, call_, *columnar_));
      options.conditions = TRY(condition_rule(call_.line));
    }
    feeding_ = TRY(Feeding::make({clock_, files_, metrics_, config_, pipeline_->calendar()}, host_,
                                 std::move(options)));
    // What may get better is tried again by its steps.
    if (auto begun = feeding_->begin(); !begun && !begun.error().retryable()) return begun;
    feed_.emplace_back(
        "feed-" + plan_.feed, clock_, [this](std::stop_token) { return feeding_->step(); },
        log_error, Turns::soon);
    return Ok{};
  }

  /// Of this process's feed, or of another's.
  Status take_gap(const feeds::Gap& gap) {
    TRY_STATUS(gap_connection_.with(
        [&](auto& connection) { return ingest::record_gap(*connection, gap); }));
    api_->publish_gap({.feed = gap.feed,
                       .symbol = gap.symbol ? std::string(gap.symbol->text()) : "*",
                       .start = gap.begin,
                       .end = gap.end,
                       .cause = gap.cause,
                       .healed_at = gap.healed_at});
    return Ok{};
  }

  void greet() {
    const bool simulated = pipeline_->directory().kind() == DirectoryKind::simulated;
    const std::string feed =
        plan_.feed == "none"        ? "none: nothing new comes in"
        : plan_.feed == "simulator" ? "simulator: a made-up exchange, prices are not real"
        : plan_.feed == "finnhub"   ? "finnhub: live prices; `tapeline symbols list` shows which"
                                    : "replay: files played as if they were live";
    const std::string& path = pipeline_->directory().path();
    const std::string log = pipeline_->log_engine().is_kafka()
                                ? "  log         Kafka at " + config_.text("log.brokers") + "\n"
                                : "";
    std::string next = call_.program + " sql -c 'select * from stock_analytics limit 5'";
    if (!config_.text("data_dir").empty()) next += " --data-dir " + path;
    call_.terminal.out(fmt::format(
        "\n  tapeline {}\n\n"
        "  dashboard   {}\n{}"
        "  feed        {}\n{}"
        "  data        {}{}\n"
        "  warehouse   {}\n"
        "  try         {}\n"
        "  stop        Ctrl-C\n\n",
        TAPELINE_VERSION, url_, login_, feed, log, path, simulated ? " (simulated)" : "",
        pipeline_->directory().file("stocks_fin.duckdb"), next));
  }

  Clock& clock_;
  io::FileSystem& files_;
  const Config& config_;
  const Call& call_;
  const Plan plan_;
  std::optional<std::string> login_code_;
  UpStatus status_;
  telemetry::Metrics metrics_;
  Wakeup appended_;
  AsideLoop reader_{"load-reader"};
  std::string url_;
  std::string login_;  // the line that tells how to log in, where reading needs it and it is new
  std::unique_ptr<serve::Api> api_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<serve::Backend> backend_;
  std::unique_ptr<warehouse::Connection> daily_;
  Guarded<std::unique_ptr<warehouse::Connection>> gap_connection_;
  std::unique_ptr<text::Columnar> columnar_;  // what a replay reads Parquet with
  std::atomic<bool> is_lost_{false};          // the warehouse answers nothing more
  std::int64_t fold_from_ = 0;  // bytes of the warehouse's log; at first all that a crash has left
  Duration next_recovery_{};    // when the disk is tried again, if it failed
  Duration next_tidying_{};     // of the warehouse
  OwnHost host_{*this};
  std::unique_ptr<Feeding> feeding_;
  std::deque<Loop> loops_;  // stop before what they use goes
  std::deque<Loop> feed_;
};

Result<DataDirectory> open_directory(Clock& clock, io::FileSystem& files, const Plan& plan) {
  std::optional<DirectoryKind> kind;
  // Without a feed any directory may be looked at.
  if (plan.feed != "none" || !TRY(DataDirectory::exists(files, plan.path))) kind = plan.kind;
  return DataDirectory::open(files, clock, plan.path, kind);
}

}  // namespace

ExitCode up(Clock& clock, io::FileSystem& files, const Environment& environment,
            const Config& config, const Call& call) {
  Plan plan = TRY(make_plan(files, environment, config, call));
  if (!joins(plan.role)) {
    if (const auto owner = TRY(DataDirectory::owner(files, plan.path))) {
      return Error{ErrorCode::already_exists,
                   fmt::format("'{}' is in use by process {}{}", plan.path, owner->pid,
                               owner->address.empty() ? "" : ", which serves " + owner->address),
                   "Stop that one first, or name another directory with --data-dir."};
    }
  }
  // Signals are waited for below; every thread made from here on leaves them to that.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, kOpenAnew);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  raise_file_limit();
  Feeding::Carried carried;
  std::optional<DataDirectory> directory;
  std::optional<std::string> login_code;
  for (bool again = false;; again = true) {
    if (!directory) {
      auto opened = open_directory(clock, files, plan);
      const bool is_taken = !opened && opened.error().code == ErrorCode::already_exists;
      if (is_taken && joins(plan.role)) {
        auto followed = TRY(follow(clock, files, config, call, plan, std::move(carried)));
        if (followed.stopped) return 0;
        carried = std::move(followed.carried);
        continue;
      }
      directory = TRY(std::move(opened));
      if (again)
        call.terminal.err(fmt::format("'{}' was free: it is this process's now\n", plan.path));
    }
    Running running(clock, files, config, call, plan, std::move(login_code));
    const Status started = running.start(*std::exchange(directory, {}), again, std::move(carried));
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
    carried = running.take_carried();
    directory = running.take_directory();
    login_code = running.take_login_code();
  }
}

}  // namespace tapeline::app
