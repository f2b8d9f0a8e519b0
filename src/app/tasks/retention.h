// Retention: raw and staging rows of old days are given up, their marts kept.
//
// The cut is a New York date, a row of raw_stocks.retention, committed in the transaction that
// deletes the rows. From then on it is part of the contract: the loader takes no message of a day
// at or before it, so that no model ever touches one, and a full refresh keeps what the models
// have of them (dbt/macros/retention.sql).

#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/time_text.h"
#include "io/file_system.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::app {

struct RetentionPolicy {
  std::int64_t raw_days = 0;  // how many New York dates stay, today's included; 0: all
  std::string archive;        // where the raw rows go as Parquet; empty: nowhere
};

struct RetentionReport {
  Date cut;                     // the last day that is given up
  std::optional<Date> earlier;  // the cut before
  std::int64_t days = 0;        // with raw rows, up to the cut
  std::int64_t raw_rows = 0;
  std::int64_t staging_rows = 0;
};

/// What a cut would give up now.
/// errors: invalid_argument (the policy keeps everything)
Result<RetentionReport> plan_retention(warehouse::DuckDbWarehouse& warehouse,
                                       const RetentionPolicy& policy, Timestamp now);

/// Gives it up: the raw rows first go to the archive, a file a day, synced. Nothing is done where
/// there is nothing to give up.
/// holds:   nobody loads or builds models meanwhile, and the models have seen every load
/// promise: all or nothing in the warehouse; a file of the archive that a crash has left is
///          written again by the next cut
/// errors:  invalid_argument, unavailable (disk)
Result<RetentionReport> cut_old_days(warehouse::DuckDbWarehouse& warehouse, io::FileSystem& files,
                                     const RetentionPolicy& policy, Timestamp now);

}  // namespace tapeline::app
