#include "app/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/embedded_file.h"
#include "io/find_files.h"
#include "transform/project_files.h"

namespace tapeline::app {
namespace {

/// Seeds what must differ from one process to the next: topic ids, invocation ids.
std::uint64_t seed_of(Clock& clock) {
  return mix64(static_cast<std::uint64_t>(clock.now().time_since_epoch().count())) ^
         mix64(static_cast<std::uint64_t>(clock.uptime().count()));
}

}  // namespace

Result<std::vector<dag::Dag>> load_dags(io::FileSystem& files, const Config& config) {
  std::vector<dag::Dag> dags;
  for (const EmbeddedFile& file : shipped_dags()) {
    if (file.path.ends_with(".yml")) {
      dags.push_back(TRY(dag::Dag::parse(file.bytes, file.path)));
    }
  }
  const std::string& folder = config.text("dag.folder");
  if (folder.empty()) return dags;
  const auto is_dag = [](std::string_view name) { return name.ends_with(".yml"); };
  const auto found = io::find_files(files, folder, is_dag, "*.yml");
  if (!found) return Error(found.error()).while_doing("reading the DAG files of dag.folder");
  for (const std::string& path : *found) {
    const std::string text = TRY(io::read_file(files, path));
    dag::Dag dag = TRY(dag::Dag::parse(text, path));
    std::erase_if(dags, [&](const dag::Dag& shipped) { return shipped.id == dag.id; });
    dags.push_back(std::move(dag));
  }
  return dags;
}

Pipeline::Pipeline(const Surroundings& surroundings, Config config, DataDirectory directory)
    : its_(surroundings),
      config_(std::move(config)),
      directory_(std::move(directory)),
      rng_(seed_of(surroundings.clock)) {}

Pipeline::~Pipeline() = default;

Result<std::unique_ptr<Pipeline>> Pipeline::open(const Surroundings& surroundings,
                                                 const Config& config, DataDirectory directory,
                                                 const OnProgress& on_progress) {
  auto pipeline =
      std::unique_ptr<Pipeline>(new Pipeline(surroundings, config, std::move(directory)));
  TRY_STATUS(pipeline->open_parts(on_progress ? on_progress : [](std::string_view) {}));
  return pipeline;
}

Status Pipeline::open_parts(const OnProgress& on_progress) {
  calendar_ = TRY(make_calendar(directory_.calendar()));
  state_ = TRY(state::Database::open(directory_.file("state.sqlite")));
  settings_ = std::make_unique<state::Settings>(*state_);
  symbols_ = TRY(FollowedSymbols::open(*settings_, config_.list("symbols")));
  runs_ = TRY(state::RunStore::open(*state_));

  constexpr std::int64_t kBytesMost = 1LL << 50;
  const auto memory_bytes_max =
      TRY(config_.integer("warehouse.memory_bytes", 64 << 20, kBytesMost));
  const auto threads = TRY(config_.integer("warehouse.threads", 1, 256));
  const std::string& scheduler = config_.text("dag.scheduler");
  if (scheduler != "built-in" && scheduler != "outside") {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no dag.scheduler (from {})", scheduler,
                             config_.value("dag.scheduler").origin),
                 "Write built-in or outside."};
  }
  const std::chrono::milliseconds rest_max(TRY(config_.integer("dag.rest_ms_max", 0, 86'400'000)));

  RetentionPolicy retention{.raw_days = TRY(config_.integer("retention.raw_days", 0, 100'000)),
                            .archive = config_.text("retention.archive_dir")};
  if (!retention.archive.empty() && retention.archive.front() != '/') {
    retention.archive = directory_.file(retention.archive);
  }

  on_progress("opening the message log");
  log_ = TRY(LogEngine::open(
      {its_.clock, its_.files, its_.metrics, its_.appended}, config_,
      {.folder = directory_.path(), .topic = std::string(kTopic), .seed = rng_.next()}));

  on_progress("opening the warehouse");
  warehouse_ = TRY(
      warehouse::DuckDbWarehouse::open(its_.clock, {.file = directory_.file("stocks_fin.duckdb"),
                                                    .threads = static_cast<int>(threads),
                                                    .memory_bytes_max = memory_bytes_max}));

  on_progress("reading the models");
  auto dags = TRY(load_dags(its_.files, config_));
  const auto ours = std::ranges::find(dags, kIngestionDag, &dag::Dag::id);
  engine_ = TRY(transform::Engine::open(transform::ProjectFiles(shipped_dbt()), {}, *warehouse_,
                                        its_.clock, rng_));
  tasks_ = TRY(IngestionTasks::make({its_.clock, its_.files, *log_, log(), *warehouse_, *calendar_,
                                     *settings_, its_.metrics, *engine_, its_.aside},
                                    {.topic = std::string(kTopic),
                                     .group = log_->group(),
                                     .kind = directory_.kind(),
                                     .retention = retention,
                                     .reach = ours == dags.end() ? Reach::raw : reach_of(*ours),
                                     .scratch = directory_.file("dbt/external")}));
  scheduler_ = TRY(dag::Scheduler::open(its_.clock, *runs_, queues_, *tasks_, scheduler_probe_,
                                        std::move(dags),
                                        {.makes_runs = makes_runs(), .rest_max = rest_max}));
  return tasks_->set_hold(!paused(kIngestionDag));
}

std::int32_t Pipeline::partitions() {
  for (const auto& topic : log().topics().value_or({})) {
    if (topic.name == kTopic) partitions_ = static_cast<std::int32_t>(topic.partitions.size());
  }
  return partitions_;
}

Status Pipeline::change_symbols(const std::vector<std::string>& names, bool add) {
  if (directory_.kind() != DirectoryKind::market) {
    return Error{ErrorCode::unsupported,
                 "the simulated exchange's symbols are fixed when its history is made",
                 "Name them with --symbols on a new data directory."};
  }
  return add ? symbols_->add(names) : symbols_->remove(names);
}

text::Value Pipeline::followed() const {
  const FeedReport feed = members_.feed();
  text::List list;
  for (const Symbol& symbol : symbols_->list()) {
    std::string path = driven_ && !feed.symbols.empty() ? "starting" : "not running";
    for (const auto& [name, its] : feed.symbols) {
      if (name == symbol.text()) path = its;
    }
    text::Value row;
    row.set("symbol", symbol.text());
    row.set("path", path);
    list.push_back(std::move(row));
  }
  return text::Value(std::move(list));
}

bool Pipeline::makes_runs() const { return config_.text("dag.scheduler") == "built-in"; }

bool Pipeline::paused(std::string_view dag) const {
  const auto dags = scheduler_->dags();
  return std::ranges::any_of(
      dags, [&](const dag::DagInfo& info) { return info.dag->id == dag && info.paused; });
}

Status Pipeline::set_paused(const std::string& dag, bool paused) {
  TRY_STATUS(scheduler_->set_paused(dag, paused));
  if (dag != kIngestionDag) return Ok{};
  return tasks_->set_hold(!paused);
}

Result<state::RunRow> Pipeline::run_dag(const std::string& dag, std::stop_token stop) {
  if (paused(dag)) {
    return Error{ErrorCode::unavailable, fmt::format("the DAG '{}' is paused", dag),
                 fmt::format("`tapeline dag unpause {}` lets it run.", dag)};
  }
  const std::string run_id = TRY(scheduler_->trigger(dag));
  return wait_for_run(dag, run_id, stop);
}

Result<state::RunRow> Pipeline::wait_for_run(const std::string& dag, const std::string& run_id,
                                             std::stop_token stop) {
  if (!driven_) return scheduler_->run_to_end(dag, run_id, *tasks_, stop);
  queues_.changed.notify();
  for (;;) {
    auto row = TRY(scheduler_->run(dag, run_id));
    if (row.end_at) return row;
    if (!its_.clock.wait_for(std::chrono::milliseconds(20), stop)) {
      return Error{ErrorCode::cancelled, "stopped while a run was going on",
                   fmt::format("The run '{}' goes on.", run_id)};
    }
  }
}

void start_engines(Pipeline& pipeline, std::deque<Loop>& loops) {
  if (pipeline.log_engine().is_kafka()) {
    loops.emplace_back(
        "kafka", pipeline.clock(),
        [&pipeline](std::stop_token) { return pipeline.log_engine().step(); }, note_kafka_error);
  }
  for (int i = 0; i < pipeline.warehouse().helpers(); ++i) {
    loops.emplace_back(fmt::format("helper-{}", i), [&pipeline](std::stop_token stop) {
      pipeline.warehouse().help(std::move(stop));
    });
  }
}

}  // namespace tapeline::app
