// The program: understands the command line, finds the data directory, and runs the command
// where it belongs.

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "app/commands.h"
#include "app/loop.h"
#include "app/remote.h"
#include "app/up.h"
#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

/// The directory that a command works on: the one that is named, else the one that a running
/// tapeline owns, else market's, else, for who only reads, simulated's.
Result<std::string> choose_directory(io::FileSystem& files, const Environment& environment,
                                     const Config& config, const Invocation& line) {
  if (!config.text("data_dir").empty()) {
    return std::filesystem::absolute(config.text("data_dir")).lexically_normal().string();
  }
  const std::string market = default_directory(environment, DirectoryKind::market);
  const std::string simulated = default_directory(environment, DirectoryKind::simulated);
  for (const std::string& path : {market, simulated}) {
    const auto owner = TRY(DataDirectory::owner(files, path));
    if (owner && !owner->socket.empty()) return path;
  }
  const bool writes = line.command->name == "import" || line.command->name == "topic produce";
  if (!writes && !TRY(DataDirectory::exists(files, market)) &&
      TRY(DataDirectory::exists(files, simulated))) {
    return simulated;
  }
  return market;
}

/// Ends a command at the first Ctrl-C; a second one ends the process.
std::stop_source& interrupted() {
  static std::stop_source source;
  return source;
}

void on_interrupt(int) {
  std::signal(SIGINT, SIG_DFL);
  interrupted().request_stop();
}

ExitCode run_on_directory(Clock& clock, io::FileSystem& files, const Environment& environment,
                          const Config& config, const std::vector<std::string>& words, Call& call) {
  const std::string path = TRY(choose_directory(files, environment, config, call.line));
  const bool is_import = call.line.command->name == "import";
  if (!is_import && !TRY(DataDirectory::exists(files, path))) {
    return Error{ErrorCode::not_found, fmt::format("there is no data directory at '{}'", path),
                 "`tapeline up` or `tapeline import FILE...` makes one."};
  }
  const auto owner = TRY(DataDirectory::owner(files, path));
  if (owner && !owner->socket.empty()) {
    call.terminal.err(fmt::format("data directory: {} (running)\n", path));
    if (call.line.command->name == "topic produce") return produce_remotely(*owner, call);
    std::vector<std::string> sent = words;
    if (call.line.command->name == "sql" && !call.line.has("query")) {
      sent.insert(sent.end(), {"--query", call.input});
    }
    return run_remotely(*owner, sent, call.folder, call.terminal, call.stop);
  }
  auto directory = TRY(DataDirectory::open(
      files, clock, path, is_import ? std::optional(DirectoryKind::market) : std::nullopt));
  call.terminal.err(fmt::format("data directory: {} ({})\n", path, to_string(directory.kind())));
  telemetry::Metrics metrics;
  Wakeup appended;
  AsideLoop reader("load-reader");
  auto pipeline =
      TRY(Pipeline::open({clock, files, metrics, appended, reader}, config, std::move(directory)));
  // A query may have to be ended by its time, so even a single command has this one thread.
  const Loop keeper(
      "keeper", clock,
      [&](std::stop_token) -> Result<Duration> {
        pipeline->warehouse().interrupt_overdue();
        return Duration(std::chrono::milliseconds(50));
      },
      [](const Error&) {});
  return run_in_directory(*pipeline, call);
}

ExitCode run(const std::vector<std::string>& words, const Environment& environment,
             Terminal& terminal) {
  const auto line = TRY(parse_command_line(words));
  if (!line.command || line.help) {
    terminal.out(line.command ? help(*line.command) : help());
    return 0;
  }
  auto clock = make_system_clock();
  auto files = io::make_file_system();
  const std::string folder = std::filesystem::current_path().string();
  const Config config = TRY(Config::load(*files, folder, environment, line.values));
  for (const Setting& setting : settings()) {
    if (setting.secret) telemetry::mask_secret(config.text(setting.key));
  }
  const std::string& level = config.text("log_level");
  telemetry::set_log_level(level == "debug"   ? telemetry::Level::debug
                           : level == "warn"  ? telemetry::Level::warn
                           : level == "error" ? telemetry::Level::error
                                              : telemetry::Level::info);
  std::string input;
  const bool reads_input =
      line.command->name == "topic produce" || (line.command->name == "sql" && !line.has("query"));
  if (reads_input) {
    if (isatty(STDIN_FILENO) != 0) terminal.err("reading stdin; end with Ctrl-D\n");
    input.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  Call call{line, folder, std::move(input), terminal, interrupted().get_token()};
  const std::string_view name = line.command->name;
  if (name == "version") return show_version(call);
  if (name == "dag next") return show_next_fires(*clock, call);
  if (name == "config show") return show_config(config, call);
  if (line.command->place == Place::owner) return up(*clock, *files, environment, config, call);
  std::signal(SIGINT, on_interrupt);
  if (name == "backup verify") return verify_backup_command(*clock, *files, config, call);
  if (name == "backup restore") return restore_backup_command(*files, environment, config, call);
  if (name == "doctor") {
    const std::string path = TRY(choose_directory(*files, environment, config, line));
    return doctor(*clock, *files, environment, config, path, call);
  }
  return run_on_directory(*clock, *files, environment, config, words, call);
}

}  // namespace
}  // namespace tapeline::app

int main(int argc, char** argv) {
  using namespace tapeline::app;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const Environment environment = read_environment();
  std::signal(SIGPIPE, SIG_DFL);
  Terminal terminal = process_terminal(environment.contains("NO_COLOR"));
  const auto exit = run(words, environment, terminal);
  if (exit) return *exit;
  terminal.error(exit.error());
  return 2;
}
