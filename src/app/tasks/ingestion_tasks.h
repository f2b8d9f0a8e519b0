// IngestionTasks: what the tasks of the shipped DAGs do: consume, load, transform, test, log_stats.
//
// `consume` fixes a batch as offset ranges, so that a retry of `load` loads the same batch;
// `load` writes it exactly once; `transform` runs the models and `test` their data tests on the
// days that were touched since the tests ran last; `dbt` lets another dbt do both. `retain`, in a
// DAG of its own, gives up old days.

#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "app/log_engine.h"
#include "app/tasks/reach.h"
#include "app/tasks/retention.h"
#include "app/tasks/touched.h"
#include "base/aside.h"
#include "base/clock.h"
#include "base/guarded.h"
#include "base/rng.h"
#include "dag/scheduler.h"
#include "dag/task_runner.h"
#include "ingest/loader.h"
#include "market/calendar.h"
#include "msglog/message_log.h"
#include "state/settings.h"
#include "telemetry/metrics.h"
#include "transform/engine.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::app {

/// What the pipeline has done so far, for the status of page and command line.
struct IngestionStatus {
  ingest::LoadCounts equation;
  std::int64_t lag = 0;  // messages in the topic that are not loaded
  std::int64_t load_id = 0;
  std::int64_t tested_load_id = 0;
  std::int64_t done_load_id = 0;  // up to this one the DAG's tasks have nothing more to do
  struct Tests {
    std::int64_t pass = 0;
    std::int64_t warn = 0;
    std::int64_t fail = 0;
    Timestamp at;
  };
  std::optional<Tests> tests;
};

/// lifetime: everything given must outlive it
/// threads:  any; what uses the warehouse's target goes one after another
class IngestionTasks final : public dag::TaskRunner, public dag::HasWork {
 public:
  struct Parts {
    Clock& clock;
    io::FileSystem& files;
    LogEngine& log_engine;
    msglog::MessageLog& log;  // its
    warehouse::DuckDbWarehouse& warehouse;
    const Calendar& calendar;
    state::Settings& settings;
    telemetry::Metrics& metrics;
    transform::Engine& engine;
    Aside& aside;
  };
  struct Options {
    std::string topic;
    std::string group = "tapeline";
    wire::DirectoryKind kind = wire::DirectoryKind::market;
    std::int64_t records_per_run = 10'000'000;
    RetentionPolicy retention;
    Reach reach = Reach::tests;  // of the DAG that these tasks are of
    std::string scratch;         // a folder for what an external dbt works on
  };

  /// errors: unavailable (no connection)
  static Result<std::unique_ptr<IngestionTasks>> make(Parts parts, Options options);

  Result<dag::TaskOutcome> run(const dag::TaskContext& context) override;

  /// Whether there is something to load or, as far as the DAG reaches, to transform and test; much
  /// from 10,000 messages on.
  /// blocks: never; it looks at numbers in memory
  dag::Work has_work(const std::string& dag) override;

  /// Whether retention keeps what is not loaded yet. Nobody waits for it while the DAG is paused.
  Status set_hold(bool held);

  IngestionStatus status();

  /// Which partitions the DAG's own runs load, of so many; without it, all. Others are loaded by
  /// load_partitions.
  void set_partitions(std::function<std::set<std::int32_t>(std::int32_t)> ours);

  /// Loads what is new in some partitions, a bounded part of it; the counts. For who shares the
  /// work with the DAG.
  /// errors: as the tasks consume and load
  Result<ingest::LoadCounts> load_partitions(const std::vector<std::int32_t>& partitions,
                                             const std::string& run_id, std::stop_token stop);

  /// Called after each transform that wrote something.
  void on_transformed(std::function<void(const std::string& run_id, const Touched&)> heard);

  /// Whether log and warehouse belong together.
  /// errors: corrupt, as Loader::check says
  Status check_log();

  /// Forgets which log the warehouse was loaded from: the next run loads from the earliest record.
  Status accept_log(const msglog::TopicInfo& topic);

  /// Why nothing is loaded or appended just now; none while all is well.
  std::optional<Error> problem();

  /// Runs something that needs the models to itself: a dbt command of the user's.
  template <typename Use>
  auto with_target(Use&& use) {
    std::lock_guard lock(target_);
    return std::forward<Use>(use)();
  }

  /// Runs something while nothing is loaded and no model is built, with models that have seen
  /// every load: an audit.
  /// errors: those of the models' run
  Status at_rest(const std::function<Status()>& use);

  /// Gives up the days that the retention policy lets go, between loads and models.
  /// errors: invalid_argument (there is no policy), those of the models' run, unavailable
  Result<RetentionReport> give_up_old_days();
  const RetentionPolicy& retention() const { return options_.retention; }

  /// Runs `use` while nothing is loaded or built; false, and nothing done, where something is
  /// just now.
  /// errors: those of `use`
  Result<bool> between_runs(const std::function<Status()>& use);

  const ingest::Loader::Options& loader_options() const { return loader_options_; }

 private:
  IngestionTasks(Parts parts, Options options, std::unique_ptr<warehouse::Connection> connection);
  Status learn_loads();
  Result<ingest::LoadCounts> load_ranges(const std::vector<ingest::OffsetRange>& ranges,
                                         const std::string& run_id, std::stop_token stop);
  Result<dag::TaskOutcome> consume(const dag::TaskContext& context);
  Result<dag::TaskOutcome> load(const dag::TaskContext& context);
  Result<dag::TaskOutcome> transform(const dag::TaskContext& context);
  Result<dag::TaskOutcome> test(const dag::TaskContext& context);
  Result<dag::TaskOutcome> external_dbt(const dag::TaskContext& context);
  Status set_transformed(const std::string& run_id, std::int64_t load_id);
  Result<dag::TaskOutcome> log_stats(const dag::TaskContext& context);
  Result<dag::TaskOutcome> retain(const dag::TaskContext& context);
  Status ready_to_load(const std::string& run_id, const std::function<void(std::string_view)>& say);
  Status note_lost(const std::string& run_id, const std::function<void(std::string_view)>& say);
  enum class Whose : std::uint8_t { ours, all };
  Result<std::vector<ingest::OffsetRange>> pending(std::int64_t records_max, Whose whose);

  const Parts parts_;
  const Options options_;
  const ingest::Loader::Options loader_options_;
  ingest::LoaderProbe probe_;
  const std::unique_ptr<warehouse::Connection> connection_;  // the loader's
  std::mutex loading_;  // one batch at a time: the loader and its connection
  std::mutex target_;   // one dbt invocation at a time
  ingest::Loader loader_;

  struct Known {
    bool learned = false;
    std::vector<msglog::Offset> next;  // by partition
    IngestionStatus status;
    std::int64_t transformed_load_id = 0;
    std::optional<Error> problem;  // of the last look at the log
    std::function<void(const std::string&, const Touched&)> heard;
    std::function<std::set<std::int32_t>(std::int32_t)> ours;
  };
  std::int64_t done_load_id(const Known& known) const;
  Guarded<Known> known_;
};

}  // namespace tapeline::app
