#include "app/commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/rows_text.h"

namespace tapeline::app {

std::string Call::path(const std::string& name) const {
  return name.starts_with("/") ? name : folder + "/" + name;
}

ExitCode run_in_directory(Pipeline& pipeline, const Call& call) {
  const std::string_view name = call.line.command->name;
  if (name == "import") return import_files(pipeline, call);
  if (name == "status") return show_status(pipeline, call);
  if (name == "audit") return audit(pipeline, call);
  if (name == "sql") return sql_command(pipeline, call);
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
  print_objects(call, rows);
  return 0;
}

ExitCode show_version(const Call& call) {
  text::Value value;
  value.set("tapeline", TAPELINE_VERSION);
  value.set("duckdb", warehouse::duckdb_version());
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

namespace {

/// One thing that doctor looks at.
struct Finding {
  std::string what;
  bool good = true;
  std::string says;
  std::string fix;
};

Finding check_directory(io::FileSystem& files, const std::string& directory) {
  const auto owner = DataDirectory::owner(files, directory);
  if (!owner) return {"data directory", false, owner.error().message, owner.error().hint};
  if (*owner) {
    return {"data directory", true,
            fmt::format("{} belongs to process {}{}", directory, (*owner)->pid,
                        (*owner)->address.empty() ? "" : " at " + (*owner)->address),
            ""};
  }
  const auto there = DataDirectory::exists(files, directory);
  return {"data directory", true,
          there && *there ? directory + " is there, nobody uses it"
                          : directory + " is not there yet; the first start makes it",
          ""};
}

Finding check_writing(io::FileSystem& files, const std::string& directory) {
  std::string parent = directory;
  while (!parent.empty() && !files.info(parent).value_or(std::nullopt)) {
    parent = parent.substr(0, parent.find_last_of('/'));
  }
  const std::string probe = (parent.empty() ? "/" : parent) + "/.tapeline-doctor";
  const Status written = io::write_file_atomically(files, probe, "x");
  (void)files.remove(probe);
  if (!written) return {"disk", false, written.error().message, written.error().hint};
  return {"disk", true, fmt::format("'{}' takes files and syncs them", parent), ""};
}

Finding check_clock(Clock& clock) {
  const Timestamp now = clock.now();
  const bool sane = now > parse_rfc3339("2024-01-01T00:00:00Z")->at;
  return {"clock", sane, format_rfc3339(now),
          sane ? "" : "Set the machine's clock; quotes from the future are dead letters."};
}

Finding check_zone() {
  const auto zone = TimeZone::find("America/New_York");
  if (zone) return {"time zones", true, "America/New_York is known", ""};
  return {"time zones", false, zone.error().message, "Install the package tzdata."};
}

}  // namespace

ExitCode doctor(Clock& clock, io::FileSystem& files, const Environment&, const Config& config,
                const std::string& directory, const Call& call) {
  std::vector<Finding> findings = {check_directory(files, directory),
                                   check_writing(files, directory), check_clock(clock),
                                   check_zone()};
  for (const std::string_view key :
       {"simulator.rate", "log.retention_bytes", "log.segment_bytes", "warehouse.memory_bytes",
        "warehouse.threads", "dag.rest_ms_max"}) {
    const auto number = config.real(key);
    if (!number) findings.push_back({"configuration", false, number.error().message, ""});
  }
  findings.push_back({"Finnhub", true,
                      config.text("finnhub.api_key").empty()
                          ? "no key; not needed for the simulator (the feed comes with the next "
                            "release)"
                          : "a key is configured (the feed comes with the next release)",
                      ""});
  bool all_good = true;
  std::vector<text::Value> rows;
  for (const Finding& finding : findings) {
    all_good = all_good && finding.good;
    text::Value row;
    row.set("check", finding.what);
    row.set("result", finding.good ? "ok" : "FAILED");
    row.set("says", finding.says);
    row.set("fix", finding.fix);
    rows.push_back(std::move(row));
  }
  print_objects(call, rows);
  return all_good ? 0 : 1;
}

}  // namespace tapeline::app
