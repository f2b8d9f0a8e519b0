#include <fmt/format.h>

#include "app/commands/commands.h"
#include "state/database.h"
#include "warehouse/duckdb/duckdb_warehouse.h"

namespace tapeline::app {
namespace {

std::int64_t size_of(io::FileSystem& files, const std::string& path) {
  const auto there = files.info(path).value_or(std::nullopt);
  return there ? there->size_bytes : 0;
}

/// Copies the warehouse's tables into a new file, and puts that in its place.
Status compact_warehouse(Clock& clock, io::FileSystem& files, const std::string& file,
                         const Call& call) {
  const std::string made = file + ".compact";
  for (const char* end : {"", ".wal", ".tmp"}) TRY_STATUS(io::remove_all(files, made + end));
  {
    const auto warehouse = TRY(warehouse::DuckDbWarehouse::open(clock, {.file = file}));
    TRY_STATUS(warehouse->checkpoint(0));
    const auto nothing = [](warehouse::Connection&) { return Status(Ok{}); };
    const auto on_copied = [&](std::int64_t rows) -> Status {
      call.terminal.progress(fmt::format("copying: {} rows", rows), -1);
      if (!call.stop.stop_requested()) return Ok{};
      return Error{ErrorCode::cancelled, "stopped before it was done", ""};
    };
    if (Status copied = warehouse->copy_to(made, nothing, on_copied); !copied) {
      (void)io::remove_all(files, made);
      return copied;
    }
  }
  // A log beside the old file would be read into the new one.
  if (size_of(files, file + ".wal") > 0) {
    return Error{ErrorCode::unavailable,
                 fmt::format("'{}.wal' did not go into the warehouse", file), "Try again."};
  }
  const auto copy = TRY(files.open(made, io::OpenMode::write));
  TRY_STATUS(copy->sync_data());
  TRY_STATUS(files.rename(made, file));
  return files.sync_directory(io::parent_of(file));
}

}  // namespace

ExitCode compact(Clock& clock, io::FileSystem& files, const std::string& path, const Call& call) {
  if (!TRY(DataDirectory::exists(files, path))) {
    return Error{ErrorCode::not_found, fmt::format("there is no data directory at '{}'", path),
                 "Name one with --data-dir."};
  }
  auto directory = TRY(DataDirectory::open(files, clock, path, std::nullopt));
  call.terminal.err(fmt::format("data directory: {} ({})\n", path, to_string(directory.kind())));
  std::vector<text::Value> rows;
  const auto tell = [&](std::string_view name, std::int64_t before, std::int64_t after) {
    text::Value row;
    row.set("file", name);
    row.set("bytes_before", before);
    row.set("bytes_after", after);
    rows.push_back(std::move(row));
  };
  const std::string file = directory.file("stocks_fin.duckdb");
  const auto before = size_of(files, file) + size_of(files, file + ".wal");
  Status done = compact_warehouse(clock, files, file, call);
  call.terminal.end_progress();
  TRY_STATUS(std::move(done));
  tell("stocks_fin.duckdb", before, size_of(files, file));

  const std::string state = directory.file("state.sqlite");
  const auto state_before = size_of(files, state) + size_of(files, state + "-wal");
  const auto database = TRY(state::Database::open(state));
  TRY_STATUS(database->shrink());
  tell("state.sqlite", state_before, size_of(files, state));
  print_objects(call, rows);
  return 0;
}

}  // namespace tapeline::app
