// Pipeline: everything that works on one data directory, opened in order and closed in reverse.
//
// `up` opens one and gives its parts threads; a command opens one for as long as it runs, where no
// other process owns the directory. Both then run the same code.

#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "app/config.h"
#include "app/data_directory.h"
#include "app/feeding/followed_symbols.h"
#include "app/log_engine.h"
#include "app/loop.h"
#include "app/members/members.h"
#include "app/tasks/ingestion_tasks.h"
#include "base/aside.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/wakeup.h"
#include "dag/scheduler.h"
#include "ingest/loader.h"
#include "io/file_system.h"
#include "market/calendar.h"
#include "state/database.h"
#include "state/run_store.h"
#include "state/settings.h"
#include "telemetry/metrics.h"
#include "transform/engine.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::app {

constexpr std::string_view kTopic = "stock_prices";
constexpr std::string_view kIngestionDag = "stock_data_ingestion";

/// The DAGs that the program carries, and those of the folder dag.folder.
/// errors: those of the folder and its files
Result<std::vector<dag::Dag>> load_dags(io::FileSystem& files, const Config& config);

/// What a pipeline takes from its process. Outlives it.
struct Surroundings {
  Clock& clock;
  io::FileSystem& files;
  telemetry::Metrics& metrics;
  Wakeup& appended;  // told of each sync of the log
  Aside& aside;      // of the loader
};

/// threads:  the parts' own; this only holds them
class Pipeline {
 public:
  /// Says what is being opened, for a page that waits.
  using OnProgress = std::function<void(std::string_view)>;

  /// Opens log, warehouse, state and models of a directory.
  /// errors: those of the parts; corrupt where log and warehouse do not belong together
  static Result<std::unique_ptr<Pipeline>> open(const Surroundings& surroundings,
                                                const Config& config, DataDirectory directory,
                                                const OnProgress& on_progress = {});
  ~Pipeline();

  Clock& clock() { return its_.clock; }
  io::FileSystem& files() { return its_.files; }
  const Config& config() const { return config_; }
  DataDirectory& directory() { return directory_; }
  const Calendar& calendar() const { return *calendar_; }
  telemetry::Metrics& metrics() { return its_.metrics; }
  msglog::MessageLog& log() { return log_->log(); }
  LogEngine& log_engine() { return *log_; }
  warehouse::DuckDbWarehouse& warehouse() { return *warehouse_; }
  state::Database& state() { return *state_; }
  state::Settings& settings() { return *settings_; }
  const FollowedSymbols& symbols() const { return *symbols_; }

  /// Follows symbols, or follows them no longer.
  /// errors: unsupported in a simulated directory; those of FollowedSymbols
  Status change_symbols(const std::vector<std::string>& names, bool add);
  IngestionTasks& tasks() { return *tasks_; }
  dag::Scheduler& scheduler() { return *scheduler_; }
  transform::Engine& engine() { return *engine_; }

  /// Told of each sync of the log.
  Wakeup& appended() { return its_.appended; }

  dag::TaskQueues& queues() { return queues_; }

  /// The processes that work on this directory, this one among them.
  Members& members() { return members_; }
  const Members& members() const { return members_; }

  /// Of the topic; while Kafka is away, as last known, at first 1.
  std::int32_t partitions();

  /// [{"symbol","path"}]: the symbols that are followed, and which way their prices come.
  text::Value followed() const;

  /// Threads drive the scheduler from now on: commands wait for runs instead of driving them.
  void set_driven() { driven_ = true; }
  bool driven() const { return driven_; }

  /// Whether runs are made here by the DAGs' schedules, not by a scheduler outside.
  bool makes_runs() const;

  bool paused(std::string_view dag) const;

  /// Pauses a DAG or lets it go on. While that of the topic is paused, retention may delete what
  /// it has not loaded.
  /// errors: not_found
  Status set_paused(const std::string& dag, bool paused);

  /// Triggers a run and waits for its end.
  /// errors: not_found, unavailable (the DAG is paused), cancelled
  Result<state::RunRow> run_dag(const std::string& dag, std::stop_token stop);

  /// Waits for the end of a run that was triggered.
  Result<state::RunRow> wait_for_run(const std::string& dag, const std::string& run_id,
                                     std::stop_token stop);

 private:
  Pipeline(const Surroundings& surroundings, Config config, DataDirectory directory);
  Status open_parts(const OnProgress& on_progress);

  const Surroundings its_;
  const Config config_;
  DataDirectory directory_;
  std::atomic<bool> driven_{false};
  Rng rng_;
  std::shared_ptr<const Calendar> calendar_;
  std::unique_ptr<state::Database> state_;
  std::unique_ptr<state::Settings> settings_;
  std::unique_ptr<FollowedSymbols> symbols_;
  std::unique_ptr<state::RunStore> runs_;
  std::unique_ptr<LogEngine> log_;
  std::unique_ptr<warehouse::DuckDbWarehouse> warehouse_;
  std::unique_ptr<transform::Engine> engine_;
  std::unique_ptr<IngestionTasks> tasks_;
  dag::TaskQueues queues_;
  Members members_{its_.clock};
  std::atomic<std::int32_t> partitions_{1};
  dag::SchedulerProbe scheduler_probe_{its_.metrics};
  std::unique_ptr<dag::Scheduler> scheduler_;
};

/// The threads that log and warehouse need whatever is done: Kafka's, and those that help with
/// statements that take long.
void start_engines(Pipeline& pipeline, std::deque<Loop>& loops);

}  // namespace tapeline::app
