#include "app/commands/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/cli/rows_text.h"

namespace tapeline::app {

std::string Call::path(const std::string& name) const {
  return name.starts_with("/") ? name : folder + "/" + name;
}

Status Call::check_output(const std::string& file) const {
  const auto parent = std::filesystem::path(file).parent_path();
  std::error_code none;
  if (!std::filesystem::is_directory(parent, none)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("there is no folder '{}'", parent.string()), "Make it first."};
  }
  const auto there = std::filesystem::status(file, none);
  if (!std::filesystem::exists(there)) return Ok{};
  if (!std::filesystem::is_regular_file(there)) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is there and is no file", file),
                 "Name a file."};
  }
  if (line.has("force")) return Ok{};
  return Error{ErrorCode::already_exists, fmt::format("'{}' is there already", file),
               "Name another file, or replace it with --force."};
}

namespace {

/// As show_status; with --watch again every second, over the last one where that can be done.
ExitCode watch_status(Pipeline& pipeline, const Call& call) {
  while (true) {
    const bool over = call.line.has("watch") && call.terminal.look().colour;
    if (over) call.terminal.out("\x1b[H\x1b[2J");
    const int exit = TRY(show_status(pipeline, call));
    // Where nothing runs nothing changes, and who looks on would keep others out.
    if (!call.line.has("watch") || !pipeline.driven()) return exit;
    if (!pipeline.clock().wait_for(std::chrono::seconds(1), call.stop)) return exit;
    if (!over && !call.json()) call.terminal.out("\n");
  }
}

}  // namespace

ExitCode run_in_directory(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name == "import") return import_files(pipeline, call);
  if (name == "status") return watch_status(pipeline, call);
  if (name == "audit") return audit(pipeline, call);
  if (name == "sql") return sql_command(pipeline, call);
  if (name == "export") return export_rows(pipeline, call);
  if (name == "dbt") return dbt_command(pipeline, call);
  if (name == "backup create") return create_backup_command(pipeline, call);
  if (name == "retention run") return retention_command(pipeline, call);
  if (name.starts_with("symbols ")) return symbols_command(pipeline, call);
  if (name.starts_with("topic ")) return topic_command(pipeline, call);
  if (name.starts_with("dag ")) return dag_command(pipeline, call);
  return Error{ErrorCode::unsupported, fmt::format("`{}` does not run here", name), ""};
}

void print_objects(const Call& call, const std::vector<text::Value>& objects) {
  if (call.json()) {
    call.terminal.out(text::to_json(text::Value(text::List(objects.begin(), objects.end())), 2) +
                      "\n");
    return;
  }
  if (objects.empty()) {
    call.terminal.out("none\n");
    return;
  }
  RowsWriter writer(RowsFormat::table, [&](std::string_view text) { call.terminal.out(text); });
  std::vector<warehouse::Column> columns;
  for (const auto& [key, value] : objects[0].as_object()) {
    columns.push_back(
        {key, "", value.is_number() ? warehouse::Kind::integer : warehouse::Kind::text});
  }
  writer.columns(columns);
  for (const auto& object : objects) {
    std::vector<warehouse::Value> row;
    for (const auto& [key, value] : object.as_object()) {
      if (value.is_null())
        row.emplace_back();
      else if (value.is_string())
        row.emplace_back(value.as_string());
      else if (value.is_int())
        row.emplace_back(value.as_int());
      else if (value.is_bool())
        row.emplace_back(std::string(value.as_bool() ? "yes" : "no"));
      else
        row.emplace_back(text::to_json(value));
    }
    writer.row(row);
  }
  writer.end();
}

ExitCode show_config(const Config& config, const Call& call) {
  const bool origin = call.line.has("origin");
  std::vector<text::Value> rows;
  for (const Setting& setting : settings()) {
    const Config::Value& value = config.value(setting.key);
    text::Value row;
    row.set("key", setting.key);
    row.set("value", setting.secret && !value.text.empty() ? "***" : value.text);
    if (origin) row.set("origin", value.origin);
    row.set("meaning", setting.help);
    rows.push_back(std::move(row));
  }
  for (const auto& [name, value] : config.kafka()) {
    text::Value row;
    row.set("key", "log.kafka." + name);
    row.set("value", msglog::is_secret_setting(name) ? "***" : value.text);
    if (origin) row.set("origin", value.origin);
    row.set("meaning", "librdkafka's own");
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return 0;
}

ExitCode show_version(const Call& call) {
  text::Value value;
  value.set("tapeline", TAPELINE_VERSION);
  value.set("duckdb", warehouse::duckdb_version());
  value.set("librdkafka", msglog::kafka_library_version());
  value.set("dbt", "speaks dbt 1.11");
  value.set("compiler", __VERSION__);
  if (call.json()) {
    call.terminal.out(text::to_json(value, 2) + "\n");
    return 0;
  }
  call.terminal.out(fmt::format("tapeline {} (DuckDB {}, speaks dbt 1.11, built with GCC {})\n",
                                TAPELINE_VERSION, warehouse::duckdb_version(), __VERSION__));
  return 0;
}

}  // namespace tapeline::app
