// The program: understands the command line, finds the data directory, and runs the command
// where it belongs.

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "app/commands/commands.h"
#include "app/loop.h"
#include "app/remote.h"
#include "app/up.h"
#include "telemetry/logging.h"

namespace tapeline::app {
namespace {

/// Asks for a stop at the first Ctrl-C or SIGTERM; a second one ends the process.
///
/// why: what a stop sets going takes locks, which a signal handler may not do; a thread waits for
///      the signals instead, and every thread that is made after this one leaves them to it
class Interrupts {
 public:
  explicit Interrupts(std::stop_source& source)
      : source_(source), waiting_("signals", [this](std::stop_token done) { wait(done); }) {}

 private:
  static constexpr int kDone = SIGUSR1;  // ends the wait; of this thread's only

  /// Signals that this process ends by, blocked here and in the threads to come.
  static sigset_t block() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM}) {
      std::signal(signal, SIG_DFL);  // for the second one, whatever the parent had said
      sigaddset(&signals, signal);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return signals;
  }

  void wait(const std::stop_token& done) {
    sigset_t waited = signals_;
    sigaddset(&waited, kDone);
    pthread_sigmask(SIG_BLOCK, &waited, nullptr);
    const std::stop_callback wake(done, [self = pthread_self()] { pthread_kill(self, kDone); });
    while (!done.stop_requested()) {
      int signal = 0;
      sigwait(&waited, &signal);
      if (signal == kDone) continue;
      source_.request_stop();
      for (const int one : {SIGINT, SIGTERM}) sigdelset(&waited, one);
      pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    }
  }

  std::stop_source& source_;
  const sigset_t signals_ = block();  // before the thread is made
  Loop waiting_;
};

/// Puts a question to who sits at the terminal; what is secret is not shown as it is typed.
std::optional<std::string> ask(std::string_view question, bool secret) {
  if (isatty(STDIN_FILENO) == 0) return std::nullopt;
  termios shown{};
  tcgetattr(STDIN_FILENO, &shown);
  if (secret) {  // before the question: what is typed from then on must be neither seen nor lost
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::cerr << question << std::flush;
  std::string answer;
  const bool answered = static_cast<bool>(std::getline(std::cin, answer));
  if (secret) {
    tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    std::cerr << '\n';
  }
  return answered ? std::optional(answer) : std::nullopt;
}

ExitCode run_on_directory(Clock& clock, io::FileSystem& files, const Environment& environment,
                          const Config& config, const std::vector<std::string>& words, Call& call) {
  const bool is_import = call.line.command->name == "import";
  const bool writes = is_import || call.line.command->name == "topic produce";
  const std::string path =
      TRY(choose_directory(files, environment, config.text("data_dir"), writes));
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
    if (call.line.value("input") == "-") sent.insert(sent.end(), {"--input", call.input});
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
  std::deque<Loop> loops;
  start_engines(*pipeline, loops);
  // A query may have to be helped, or ended by its time, so even a single command has this thread.
  loops.emplace_back(
      "keeper", clock,
      [&](std::stop_token) -> Result<Duration> {
        pipeline->warehouse().watch();
        return Duration(std::chrono::milliseconds(50));
      },
      [](const Error&) {});
  return run_in_directory(*pipeline, call);
}

ExitCode run(const std::vector<std::string>& words, const Environment& environment,
             Terminal& terminal, const std::string& program) {
  const auto line = TRY(parse_command_line(words));
  if (!line.command || line.help) {
    terminal.out(line.command         ? help(*line.command)
                 : line.words.empty() ? help()
                                      : help_of_group(line.words[0]));
    return 0;
  }
  auto clock = make_system_clock();
  auto files = io::make_file_system();
  const std::string folder = std::filesystem::current_path().string();
  std::stop_source interrupted;
  Call call{line, folder, "", terminal, interrupted.get_token(), program};
  if (line.command->name == "init") return init(*files, environment, ask, call);
  if (line.command->name == "doctor") return doctor(*clock, *files, environment, call);
  const Config config = TRY(Config::load(*files, folder, environment, line.values));
  for (const Setting& setting : settings()) {
    if (setting.secret) telemetry::mask_secret(config.text(setting.key));
  }
  for (const auto& [name, value] : config.kafka()) {
    if (msglog::is_secret_setting(name)) telemetry::mask_secret(value.text);
  }
  const std::string& level = config.text("log_level");
  telemetry::set_log_level(level == "debug"   ? telemetry::Level::debug
                           : level == "warn"  ? telemetry::Level::warn
                           : level == "error" ? telemetry::Level::error
                                              : telemetry::Level::info);
  const bool reads_input = line.command->name == "topic produce" || line.value("input") == "-" ||
                           (line.command->name == "sql" && !line.has("query"));
  if (reads_input) {
    if (isatty(STDIN_FILENO) != 0) terminal.err("reading stdin; end with Ctrl-D\n");
    call.input.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  const std::string_view name = line.command->name;
  if (name == "version") return show_version(call);
  if (name == "calendar") return show_calendar(call);
  if (name == "completion") return show_completion(call);
  if (name == "dag next") return show_next_fires(*clock, TRY(load_dags(*files, config)), call);
  if (name == "generate airflow-dag") {
    return generate_airflow_dag(*files, TRY(load_dags(*files, config)), call);
  }
  if (name == "config show") return show_config(config, call);
  if (line.command->place == Place::owner) return up(*clock, *files, environment, config, call);
  const Interrupts interrupts(interrupted);
  if (name == "backup verify") return verify_backup_command(*clock, *files, config, call);
  if (name == "backup restore") return restore_backup_command(*files, environment, config, call);
  if (name == "compact") {
    return compact(*clock, *files,
                   TRY(choose_directory(*files, environment, config.text("data_dir"), true)), call);
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
  const auto exit = run(words, environment, terminal, argv[0]);
  if (exit) return *exit;
  terminal.error(exit.error());
  return 2;
}
