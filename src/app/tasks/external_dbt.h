// A dbt that is a program of its own (dbt-core with dbt-duckdb) as a task of a DAG.
//
// DuckDB lets one process write a file, and that is this one. So the program gets a copy of the
// warehouse, and what it made there comes back in one transaction: nobody waits for it, and a run
// that fails changes nothing.

#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dag/task_runner.h"
#include "io/file_system.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::app {

/// What the parameters of a task with `action: dbt` say.
struct ExternalDbt {
  std::vector<std::string> words;  // dbt's own: build, say
  std::string program;             // its path, or a name of PATH
  std::string project;             // its folder; empty: the shipped one
  std::string profiles;            // empty: as the project's folder

  /// Whether the data tests run too.
  bool tests() const;

  /// dbt's words, as the parameter `args` has them, if it is there.
  /// errors: invalid_argument
  static Result<std::vector<std::string>> words_of(const text::Value* args);

  /// errors: invalid_argument; also where the run's conf names one of them, for who may trigger a
  ///         run may not say which program it starts
  static Result<ExternalDbt> parse(const dag::TaskContext& context);
};

/// Runs it. Everything but raw_stocks is taken back from the copy; after a `test` nothing is.
///
/// shape:  `scratch` is a folder of its own, which it makes and removes
/// errors: unavailable (the program failed, disk), not_found (no such program), cancelled
/// blocks: until the program has ended
Status run_external_dbt(const ExternalDbt& dbt, Clock& clock, io::FileSystem& files,
                        warehouse::DuckDbWarehouse& warehouse, const std::string& scratch,
                        dag::TaskLog& log, std::stop_token stop);

}  // namespace tapeline::app
