#include "world.h"

#include "base/embedded_file.h"
#include "wire/message.h"

namespace tapeline::sim {
namespace {

namespace fs = std::filesystem;

// The files that DuckDB and SQLite write; each has a log beside it.
constexpr const char* kDatabases[] = {"stocks_fin.duckdb", "state.sqlite"};
constexpr const char* kLogs[] = {"stocks_fin.duckdb.wal", "state.sqlite-wal"};
constexpr const char* kCopies = "copies";

// A Monday noon in New York: sessions, and a weekend behind them.
const Timestamp kMarketStart = parse_rfc3339("2025-01-06T17:00:00Z")->at;
// Shortly after midnight in New York: little history.
const Timestamp kSimulatedStart = parse_rfc3339("2025-01-06T05:20:00Z")->at;

}  // namespace

Result<std::vector<msglog::Position>> WatchedLog::append(const std::string& topic,
                                                         std::span<const msglog::Record> records) {
  auto positions = log_.append(topic, records);
  for (std::size_t i = 0; positions && i < records.size(); ++i) {
    model_.acknowledge(positions->at(i).offset, records[i].value);
  }
  return positions;
}

World::World(Options options)
    : clock(options.simulated ? kSimulatedStart : kMarketStart),
      files(mix64(options.seed)),
      calendar(*make_calendar(options.simulated ? "SIM" : "XNYS")),
      model(*calendar, problems,
            {.topic = std::string(app::kTopic), .simulated = options.simulated}),
      exchange(mix64(options.seed + 1), clock, model),
      options_(std::move(options)),
      rng_(mix64(options_.seed + 2)) {
  fs::remove_all(options_.folder);
  fs::create_directories(options_.folder / kCopies);
  clock.on_reading = [this] { moment(true); };
  files.before_change([this] { moment(false); });
}

World::~World() {
  disarm();
  stop();
  fs::remove_all(options_.folder);
}

Status World::start() {
  auto process = std::make_unique<Process>();
  const Status started = start_parts(*process);
  if (started) process_ = std::move(process);
  return started;
}

Status World::start_parts(Process& process) {
  const app::Environment environment = {
      {"TAPELINE_LOG_SEGMENT_BYTES", std::to_string(options_.segment_bytes)},
      {"TAPELINE_WAREHOUSE_THREADS", "1"}};
  const auto config = TRY(app::Config::load(files, "/config", environment, {}));
  const auto kind = options_.simulated ? app::DirectoryKind::simulated : app::DirectoryKind::market;
  auto directory = TRY(app::DataDirectory::open(files, clock, options_.folder.string(), kind));
  process.pipeline =
      TRY(app::Pipeline::open({clock, files, process.metrics, process.appended, process.aside},
                              config, std::move(directory)));
  app::Pipeline& pipeline = *process.pipeline;
  TRY_STATUS(pipeline.tasks().check_log());
  pipeline.set_driven();
  process.log = std::make_unique<WatchedLog>(pipeline.log(), model);
  if (!crashed_) model.read(*process.log);
  process.connection = TRY(pipeline.warehouse().connect());

  process.status = std::make_unique<app::UpStatus>(clock);
  process.api = std::make_unique<serve::Api>(clock, process.appended, process.metrics,
                                             *process.status, shipped_web(), serve::Api::Options{});
  process.backend = std::make_unique<serve::Backend>(
      serve::Backend{*process.log,
                     pipeline.warehouse(),
                     pipeline.calendar(),
                     {.topic = std::string(app::kTopic),
                      .kind = kind,
                      .since = serve::live_since(pipeline.calendar(), clock.now())}});
  process.api->set_ready(*process.backend);
  process.status->set_pipeline(pipeline);
  TRY_STATUS(process.api->refresh_daily(*process.connection));
  pipeline.tasks().on_transformed([&process](const std::string& run_id, const app::Touched& of) {
    process.api->publish_run({.dag = std::string(app::kIngestionDag),
                              .run_id = run_id,
                              .state = "success",
                              .symbols = of.symbols});
    (void)process.api->refresh_daily(*process.connection);
  });
  make_feed(process);
  return Ok{};
}

void World::make_feed(Process& process) {
  if (options_.simulated) {
    auto simulator = *feeds::Simulator::make(
        clock, {.seed = options_.seed,
                .start = kSimulatedStart,
                .symbols = {*Symbol::parse("A"), *Symbol::parse("BB")},
                .rate = 4,
                .daily_bars = 2,
                .minute_bar_days = 0,
                .faults = {.drop = 0.05, .duplicate = 0.1, .malformed = 0.05}});
    simulator.resume(model.last_event_times());
    process.feed = std::make_unique<ToldSimulator>(std::move(simulator), model);
  } else {
    process.feed = std::make_unique<MisbehavingFeed>(rng_.next(), clock, exchange);
  }
  process.probe = std::make_unique<ingest::ProducerProbe>(process.metrics, process.feed->name());
  process.producer = std::make_unique<ingest::Producer>(
      clock, *calendar, *process.feed, *process.log, *process.probe,
      [this](const Quote& quote) { return exchange.message(quote); },
      ingest::Producer::Options{.topic = std::string(app::kTopic), .rows_per_step = 200});
}

void World::stop_feed() {
  if (auto* feed = dynamic_cast<MisbehavingFeed*>(process_->feed.get())) feed->stopped = true;
  if (auto* feed = dynamic_cast<ToldSimulator*>(process_->feed.get())) feed->stopped = true;
}

void World::stop() { process_.reset(); }

void World::moment(bool is_reading) {
  if (crashed_) return;
  if (moments_left_ > 0 && --moments_left_ <= 1) {
    if (moments_left_ == 0) return crash(armed_for_machine_);
    for (const char* log : kLogs) wal_bytes_before_[log] = wal_bytes(log);
  }
  if (is_reading && readings_left_ > 0 && --readings_left_ == 0) {
    const auto what = std::exchange(at_reading_, nullptr);
    what();
  }
}

void World::crash_at(std::int64_t moments, bool machine_went_down) {
  moments_left_ = moments;
  armed_for_machine_ = machine_went_down;
  wal_bytes_before_.clear();
}

void World::call_at(std::int64_t readings, std::function<void()> what) {
  readings_left_ = readings;
  at_reading_ = std::move(what);
}

void World::disarm() {
  moments_left_ = 0;
  readings_left_ = 0;
  at_reading_ = nullptr;
}

std::int64_t World::wal_bytes(const char* name) const {
  std::error_code none;
  const auto size = fs::file_size(options_.folder / name, none);
  return none ? 0 : static_cast<std::int64_t>(size);
}

void World::crash(bool machine_went_down) {
  if (crashed_) return;
  disarm();
  crashed_ = true;
  machine_went_down_ = machine_went_down;
  copy_files();
  files.kill();
}

/// As a crash at this instant leaves them. Where one of the two logs has grown since the moment
/// before, its commit may have been half written.
void World::copy_files() {
  const fs::path copies = options_.folder / kCopies;
  fs::remove_all(copies);
  fs::create_directories(copies);
  for (const auto& names : {kDatabases, kLogs}) {
    for (int i = 0; i < 2; ++i) {
      if (fs::exists(options_.folder / names[i])) {
        fs::copy_file(options_.folder / names[i], copies / names[i]);
      }
    }
  }
  std::vector<std::pair<const char*, std::int64_t>> grown;
  for (const auto& [log, before] : wal_bytes_before_) {
    if (wal_bytes(log.c_str()) > before) grown.emplace_back(log.c_str(), before);
  }
  if (grown.size() != 1 || rng_.below(2) == 0) return;
  const auto [log, before] = grown[0];
  const std::int64_t kept =
      before +
      static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(wal_bytes(log) - before)));
  fs::resize_file(copies / log, static_cast<std::uintmax_t>(kept));
}

void World::bury() {
  process_.reset();
  for (const auto& entry : fs::directory_iterator(options_.folder)) {
    if (entry.path().filename() != kCopies) fs::remove_all(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(options_.folder / kCopies)) {
    fs::rename(entry.path(), options_.folder / entry.path().filename());
  }
  files.start_again(machine_went_down_);
  crashed_ = false;
  wal_bytes_before_.clear();
}

}  // namespace tapeline::sim
