// RunStore: DAG runs, their tasks' tries and logs, and what is known of each DAG.
//
// Plain rows in and out. What the states mean and when a row changes is dag's to say.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "state/database.h"

namespace tapeline::state {

/// One run of a DAG, or several that were folded into one row.
struct RunRow {
  std::int64_t id = 0;
  std::string dag;
  std::string run_id;    // scheduled__2026-11-22T16:45:00+00:00
  std::string run_type;  // scheduled, manual, continuous, backfill, outside
  std::string state;     // queued, running, success, failed
  Timestamp logical_at;
  Timestamp queued_at;
  std::optional<Timestamp> start_at;
  std::optional<Timestamp> end_at;
  std::string conf = "{}";               // JSON
  std::string error;                     // of a failed run: "task: message"
  std::int64_t run_count = 1;            // how many runs this row stands for
  Duration busy{0};                      // the sum of their lengths, once ended
  std::int64_t backfill = 0;             // which backfill makes it run now; 0 for none
  std::int64_t backfill_active_max = 0;  // how many of that one may go on at a time
};

/// One try of a task. Try 0 is a task that never began (upstream_failed, skipped, none). The newest
/// is what the task is now: in state none, with a number, it was cleared and that try comes next.
struct TryRow {
  std::int64_t run = 0;
  std::string task;
  std::int64_t try_number = 0;
  std::string state;
  std::optional<Timestamp> start_at;
  std::optional<Timestamp> end_at;
  std::optional<Timestamp> retry_at;  // up_for_retry: when the next try begins
  std::string value = "null";         // what it returned, JSON
  std::string error_code;             // empty where it did not fail
  std::string error_message;
  std::string error_hint;
  std::int64_t tries_max = 0;  // the last number that a try may have; 0: as many as the DAG says
};

struct LogRow {
  std::int64_t run = 0;
  std::string task;
  std::int64_t try_number = 0;
  std::int64_t number = 0;  // from 0
  Timestamp at;
  std::string line;
};

/// What a DAG's schedule must remember.
struct DagRow {
  std::string dag;
  bool paused = false;
  std::int64_t failures = 0;            // tries that failed in a row
  std::string failing_task;             // the last of them
  std::optional<Timestamp> held_until;  // no continuous run before
  std::string reported;                 // the failure of a report_only task that was reported
  std::optional<Timestamp> last_fire;   // the newest logical date that got its run
};

/// Rows that are written together. Each replaces the one of its key.
struct Wave {
  std::vector<RunRow> runs;
  std::vector<TryRow> tries;
  std::vector<LogRow> log;
  std::vector<DagRow> dags;  // all but `paused`
  Sync sync = Sync::later;

  bool empty() const { return runs.empty() && tries.empty() && log.empty() && dags.empty(); }
};

/// lifetime: the database must outlive it
/// threads:  any
class RunStore {
 public:
  static Result<std::unique_ptr<RunStore>> open(Database& database);

  /// An id that no run has.
  std::int64_t new_id() { return next_id_.fetch_add(1); }

  /// Commits a wave: one transaction, synced as the wave says.
  Status write(const Wave& wave);

  /// Adds one run, durable when this returns.
  /// errors: already_exists where the DAG has a run of that run_id
  Status add(const RunRow& run);

  Status set_paused(const std::string& dag, bool paused);

  /// Runs that have not ended, oldest first.
  Result<std::vector<RunRow>> active() const;

  /// The newest runs of a DAG (of all, where `dag` is empty), newest first.
  Result<std::vector<RunRow>> runs(const std::string& dag, std::int64_t limit) const;
  Result<std::optional<RunRow>> find(const std::string& dag, const std::string& run_id) const;

  /// Runs whose logical date lies from `from` to `to`, both included, oldest first.
  Result<std::vector<RunRow>> between(const std::string& dag, Timestamp from, Timestamp to,
                                      std::int64_t limit) const;

  /// How long the newest successful runs of a DAG took on average; none where there are none.
  Result<std::optional<Duration>> usual_length(const std::string& dag, std::int64_t runs) const;

  /// Every try of a run, by task and number.
  Result<std::vector<TryRow>> tries(std::int64_t run) const;
  Result<std::vector<LogRow>> log(std::int64_t run, const std::string& task,
                                  std::int64_t try_number) const;
  Result<std::vector<DagRow>> dags() const;

  /// Folds successful continuous runs that ended before `fold_before` into one row for each
  /// minute of their start, and deletes what ended before `delete_before`. Those that are
  /// `in_use`, by id, stay as they are: tries of theirs are still to be written.
  Status fold(Timestamp fold_before, Timestamp delete_before, const std::set<std::int64_t>& in_use);

 private:
  RunStore(Database& database, std::int64_t next_id) : database_(database), next_id_(next_id) {}

  Database& database_;
  std::atomic<std::int64_t> next_id_;
};

}  // namespace tapeline::state
