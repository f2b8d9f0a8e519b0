#include "app/tasks/external_dbt.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/config.h"
#include "base/embedded_file.h"
#include "io/process.h"

namespace tapeline::app {
namespace {

constexpr std::string_view kRawSchema = "raw_stocks";

/// A project on the disk: the caller's, or the shipped one, written down.
Result<std::string> project_folder(const ExternalDbt& dbt, io::FileSystem& files,
                                   const std::string& scratch) {
  if (!dbt.project.empty()) return dbt.project;
  const std::string folder = scratch + "/project";
  for (const EmbeddedFile& file : shipped_dbt()) {
    const std::string path = fmt::format("{}/{}", folder, file.path);
    TRY_STATUS(io::make_directories(files, io::parent_of(path)));
    TRY_STATUS(io::write_file_atomically(files, path, file.bytes));
  }
  return folder;
}

Status work_on_copy(const ExternalDbt& dbt, Clock& clock, io::FileSystem& files,
                    warehouse::DuckDbWarehouse& warehouse, const std::string& scratch,
                    dag::TaskLog& log, const std::stop_token& stop) {
  // dbt-duckdb calls the database by the file's name.
  const std::string copy = scratch + "/stocks_fin.duckdb";
  const auto copied = [&](std::int64_t) -> Status {
    if (!stop.stop_requested()) return Ok{};
    return Error{ErrorCode::cancelled, "stopped while the warehouse was copied", ""};
  };
  const auto began = clock.uptime();
  const auto look = [](warehouse::Connection&) { return Status(Ok{}); };
  TRY_STATUS(warehouse.copy_to(copy, look, copied));
  const auto copied_at = clock.uptime();

  const std::string project = TRY(project_folder(dbt, files, scratch));
  io::Program program{.words = {dbt.program}, .folder = project};
  program.words.insert(program.words.end(), dbt.words.begin(), dbt.words.end());
  const std::string profiles = dbt.profiles.empty() ? project : dbt.profiles;
  for (const std::string& word :
       {std::string("--project-dir"), project, std::string("--profiles-dir"), profiles}) {
    program.words.push_back(word);
  }
  program.environment = read_environment();
  program.environment["TAPELINE_DUCKDB_PATH"] = copy;
  program.environment["DO_NOT_TRACK"] = "1";
  program.environment["DBT_USE_COLORS"] = "false";
  const auto on_line = [&](std::string_view line) { log.line(line); };
  const int exit = TRY(io::run_program(clock, program, on_line, stop));
  if (exit != 0) {
    return Error{
        ErrorCode::unavailable,
        fmt::format("'{}' ended with exit code {}; the warehouse is as it was", dbt.program, exit),
        "The task's log has dbt's own words."};
  }
  const auto made_at = clock.uptime();
  if (dbt.words[0] != "test") TRY_STATUS(warehouse.take_from(copy, kRawSchema, copied));
  const auto in_seconds = [](Duration length) {
    return std::chrono::duration<double>(length).count();
  };
  log.line(fmt::format("copy {:.1f} s, dbt {:.1f} s, taken back in {:.1f} s",
                       in_seconds(copied_at - began), in_seconds(made_at - copied_at),
                       in_seconds(clock.uptime() - made_at)));
  return Ok{};
}

}  // namespace

bool ExternalDbt::tests() const { return words.at(0) == "build" || words.at(0) == "test"; }

Result<std::vector<std::string>> ExternalDbt::words_of(const text::Value* args) {
  const text::List list = !args             ? text::List{text::Value("build")}
                          : args->is_list() ? args->as_list()
                                            : text::List{*args};
  std::vector<std::string> words;
  for (const text::Value& word : list) {
    if (word.is_string()) words.push_back(word.as_string());
  }
  if (words.size() != list.size() || words.empty() || words[0].starts_with("-")) {
    return Error{ErrorCode::invalid_argument, "params.args is no dbt command",
                 "Write args: build, or args: [run, --select, staging]."};
  }
  return words;
}

Result<ExternalDbt> ExternalDbt::parse(const dag::TaskContext& context) {
  for (const char* key : {"dbt", "args", "project_dir", "profiles_dir"}) {
    if (!context.conf.is_object() || !context.conf.find(key)) continue;
    return Error{ErrorCode::invalid_argument,
                 fmt::format("a run's conf may not set '{}': it says which program runs", key),
                 "Write it in the DAG's file."};
  }
  const text::Value& params = context.params;
  ExternalDbt dbt{.program = params.string_or("dbt", "dbt"),
                  .project = params.string_or("project_dir", ""),
                  .profiles = params.string_or("profiles_dir", "")};
  dbt.words = TRY(words_of(params.find("args")));
  for (const std::string* folder : {&dbt.project, &dbt.profiles}) {
    if (!folder->empty() && folder->front() != '/') {
      return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no absolute path", *folder),
                   "Write project_dir and profiles_dir from the root on."};
    }
  }
  return dbt;
}

Status run_external_dbt(const ExternalDbt& dbt, Clock& clock, io::FileSystem& files,
                        warehouse::DuckDbWarehouse& warehouse, const std::string& scratch,
                        dag::TaskLog& log, std::stop_token stop) {
  TRY_STATUS(io::remove_all(files, scratch));  // what a process that died has left
  TRY_STATUS(io::make_directories(files, scratch));
  Status done = work_on_copy(dbt, clock, files, warehouse, scratch, log, stop);
  const Status removed = io::remove_all(files, scratch);
  if (!done) return done;
  return removed;
}

}  // namespace tapeline::app
