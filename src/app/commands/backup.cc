#include <fmt/format.h>

#include <filesystem>

#include "app/backup.h"
#include "app/commands/commands.h"

namespace tapeline::app {
namespace {

OnBackupProgress show(const Call& call) {
  return [&call](std::string_view what, double part) {
    call.terminal.progress(std::string(what), part);
  };
}

/// "backup-market-20261123T010500Z"
std::string name_of_new(Pipeline& pipeline) {
  std::string name = fmt::format("backup-{}-", to_string(pipeline.directory().kind()));
  for (const char c :
       format_rfc3339(std::chrono::floor<std::chrono::seconds>(pipeline.clock().now()))) {
    if (c != '-' && c != ':') name += c;
  }
  return name;
}

std::string normal(std::string path) {
  path = std::filesystem::path(path).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

text::Value to_value(const std::string& path, const BackupManifest& manifest) {
  text::Value value;
  value.set("backup", path);
  value.set("created", manifest.created);
  value.set("kind", to_string(manifest.kind));
  value.set("files", static_cast<std::int64_t>(manifest.files.size()));
  value.set("bytes", manifest.size_bytes());
  value.set("load_id", manifest.load_id);
  value.set("waiting", manifest.waiting());
  return value;
}

std::string sizes(const BackupManifest& manifest) {
  return fmt::format("{} files, {:.1f} MB, {} data up to load {}, {} messages to load after it",
                     manifest.files.size(), static_cast<double>(manifest.size_bytes()) / 1e6,
                     to_string(manifest.kind), manifest.load_id, manifest.waiting());
}

/// Opens the copy of a backup and proves its log and tables.
ExitCode prove(const Surroundings& surroundings, const Config& config, const std::string& scratch,
               const Call& call) {
  auto directory =
      TRY(DataDirectory::open(surroundings.files, surroundings.clock, scratch, std::nullopt));
  auto pipeline = TRY(Pipeline::open(surroundings, config, std::move(directory)));
  auto* const log = TRY(pipeline->log_engine().embedded("proving a backup", ""));
  bool damaged = false;
  call.terminal.progress("reading the topics", -1);
  for (const auto& finding : TRY(log->verify("")).findings) {
    if (!finding.is_damage) continue;
    damaged = true;
    call.terminal.err(fmt::format("damage: {} partition {} offset {}: {}\n", finding.where.topic,
                                  finding.where.partition, finding.offset, finding.what));
  }
  const int audited = TRY(audit(*pipeline, call));
  return damaged ? 1 : audited;
}

}  // namespace

ExitCode create_backup_command(Pipeline& pipeline, const Call& call) {
  const std::string to =
      normal(call.path(call.line.words.empty() ? name_of_new(pipeline) : call.line.words[0]));
  const Duration began = pipeline.clock().uptime();
  const auto made = create_backup(pipeline, to, show(call), call.stop);
  call.terminal.end_progress();
  if (!made) return made.error();
  if (call.json()) {
    call.terminal.out(text::to_json(to_value(to, *made), 2) + "\n");
    return 0;
  }
  call.terminal.out(
      fmt::format("backup    {}\nholds     {}\ntook      {}\n"
                  "prove it  tapeline backup verify {}\n",
                  to, sizes(*made), format_duration(pipeline.clock().uptime() - began), to));
  return 0;
}

ExitCode verify_backup_command(Clock& clock, io::FileSystem& files, const Config& config,
                               const Call& call) {
  const std::string from = normal(call.path(call.line.words[0]));
  const auto manifest = TRY(read_backup(files, from));
  // Proving a warehouse opens it, and what is opened is written to: a copy is.
  const auto given = call.line.value("scratch");
  const std::string scratch = given ? normal(call.path(*given)) : from + ".verify";
  if (!given) TRY_STATUS(io::remove_all(files, scratch));  // left by one that was interrupted
  Status copied = restore_backup(files, manifest, from, scratch, show(call), call.stop);
  call.terminal.end_progress();
  if (!copied && copied.error().code == ErrorCode::corrupt) {
    call.terminal.error(copied.error());
    return 1;
  }
  TRY_STATUS(std::move(copied));
  call.terminal.err(
      fmt::format("backup of {}: {}\nevery file has the size and digest that it had\n",
                  manifest.created, sizes(manifest)));
  telemetry::Metrics metrics;
  Wakeup appended;
  NobodyAside aside;
  auto proved = prove({clock, files, metrics, appended, aside}, config, scratch, call);
  call.terminal.end_progress();
  TRY_STATUS(io::remove_all(files, scratch));
  if (proved && *proved == 0) call.terminal.err("the backup is whole\n");
  return proved;
}

ExitCode restore_backup_command(io::FileSystem& files, const Environment& environment,
                                const Config& config, const Call& call) {
  const std::string from = normal(call.path(call.line.words[0]));
  const auto manifest = TRY(read_backup(files, from));
  const auto named = call.line.value("to");
  const std::string to =
      normal(named                              ? call.path(*named)
             : !config.text("data_dir").empty() ? call.path(config.text("data_dir"))
                                                : default_directory(environment, manifest.kind));
  Status restored = restore_backup(files, manifest, from, to, show(call), call.stop);
  call.terminal.end_progress();
  TRY_STATUS(std::move(restored));
  if (call.json()) {
    text::Value value = to_value(from, manifest);
    value.set("data_directory", to);
    call.terminal.out(text::to_json(value, 2) + "\n");
    return 0;
  }
  call.terminal.out(fmt::format("restored  {}\nholds     {}\nstart it  tapeline up --data-dir {}\n",
                                to, sizes(manifest), to));
  return 0;
}

}  // namespace tapeline::app
