// The warehouse on one DuckDB file: the embedded default.
//
// This object owns the database's handle, and nothing else in the process may open that
// file: DuckDB's lock is a POSIX record lock, which any other close of the file drops.

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "warehouse/warehouse.h"

namespace tapeline::warehouse {

/// "v1.5.6": the library's own word.
std::string duckdb_version();

class DuckDbWarehouse final : public Warehouse {
 public:
  struct Options {
    std::filesystem::path file;  // empty: in memory
    int threads = 2;             // of one query: the caller's, the others from `help`
    std::int64_t memory_bytes_max = std::int64_t{2} << 30;  // the process takes about 150 MB more
    std::int64_t wal_bytes_max = 128 << 20;  // a commit that finds more of it checkpoints
  };

  /// Opens the file, creating it if it is not there, and brings its tables up to date.
  /// errors: unavailable (another process has it, or the path cannot be written), corrupt,
  ///         unsupported (a newer tapeline wrote it)
  static Result<std::unique_ptr<DuckDbWarehouse>> open(const Clock& clock, Options options);

  ~DuckDbWarehouse() override;
  DuckDbWarehouse(const DuckDbWarehouse&) = delete;
  DuckDbWarehouse& operator=(const DuckDbWarehouse&) = delete;

  std::string_view dialect() const override { return "duckdb"; }
  Result<std::unique_ptr<Connection>> connect() override;
  std::uint64_t version() const override;
  Status query_as_user(std::string_view sql, QueryLimits limits,
                       const std::function<void(const std::vector<Column>&)>& on_columns,
                       const std::function<bool(const std::vector<Value>&)>& on_row) override;
  Result<std::unique_ptr<Cursor>> open_as_user(std::string_view sql, std::stop_token stop) override;

  /// Ends queries that are past their time, and calls the helpers to those that take long. Call it
  /// some times a second, from one thread.
  void watch();

  /// Lends the calling thread to statements that take long; as many may as `helpers` says.
  ///
  /// why:    handed to a thread of DuckDB's at once, a short statement is waited for in a loop that
  ///         uses the processor up: a tenth of a load, a quarter of a small run was that
  /// blocks: until `stop`
  void help(std::stop_token stop);
  int helpers() const;

  /// Writes the log of recent commits into the database file, so that a restart after a
  /// crash is fast. For a quiet moment; does nothing below `wal_bytes_min`.
  Status checkpoint(std::int64_t wal_bytes_min = 64 << 20);

  /// Whether DuckDB has given the database up, as it does where a checkpoint cannot be written: it
  /// answers nothing more until it is opened anew. What was committed is in its files.
  bool is_lost();

  /// Keeps no more than `bytes_max` of the file in memory, what was read last; without this,
  /// what was ever read stays there up to the limit of memory. For a quiet moment.
  Status drop_cache(std::int64_t bytes_max);

  /// Told how many rows were copied so far; an error ends the copying.
  using OnCopied = std::function<Status(std::int64_t rows)>;

  /// Copies all tables into a new database file, as one transaction sees them. `look`, which is
  /// asked first, sees the same. Loads go on meanwhile.
  /// errors: unavailable (disk), those of `look` and `on_copied`
  Status copy_to(const std::filesystem::path& file, const std::function<Status(Connection&)>& look,
                 const OnCopied& on_copied);

  /// Takes tables and views from a database file, in one transaction: all that the warehouse has
  /// outside the schema `kept` is replaced. Loads go on meanwhile; models may not be built.
  /// errors: as copy_to
  Status take_from(const std::filesystem::path& file, std::string_view kept,
                   const OnCopied& on_copied);

  /// The rows of a SELECT of ours, and the Parquet file that they go to.
  struct ParquetFile {
    std::string select;
    std::filesystem::path file;
  };

  /// Writes Parquet files, one after another, replacing those that are there. All SELECTs have
  /// the same columns. Nothing is synced.
  /// errors: invalid_argument (the SQL), unavailable (disk)
  Status write_parquet(const std::vector<ParquetFile>& files);

  /// units: bytes; 0 in memory
  std::int64_t file_bytes() const;
  std::int64_t wal_bytes() const;

  struct State;

 private:
  explicit DuckDbWarehouse(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with its connections, which may outlive a request
};

}  // namespace tapeline::warehouse
