#include "io/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

namespace tapeline::io {
namespace {

constexpr int kLookMs = 50;  // how soon a stop is noticed
constexpr std::size_t kLineMax = 64 << 10;

/// Both ends of a pipe, closed when it goes.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  void close_end(std::size_t which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
};

/// Null-ended pointers into texts that stay where they are.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (std::string& text : texts) found.push_back(text.data());
  found.push_back(nullptr);
  return found;
}

std::vector<std::string> environment_of(const Program& program) {
  std::vector<std::string> all;
  for (const auto& [name, value] : program.environment) all.push_back(name + "=" + value);
  return all;
}

/// What the new process does before it is the program: nothing that takes a lock. Which step failed
/// goes to `failed` with its errno.
[[noreturn]] void become(char* const* words, char* const* environment, const char* folder,
                         int output, int failed) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  // A lock of ours would be held for as long as the program has its file.
  if (failed != 3) ::dup3(failed, 3, O_CLOEXEC);
  ::close_range(4, ~0U, 0);
  std::array<int, 2> why{0, 0};
  if (::chdir(folder) != 0) {
    why = {1, errno};
  } else {
    ::execvpe(words[0], words, environment);
    why = {2, errno};
  }
  [[maybe_unused]] const auto written = ::write(3, why.data(), sizeof(why));
  ::_exit(127);
}

/// Cuts what comes into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}
  void take(std::string_view bytes) {
    rest_ += bytes;
    for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      on_line_(std::string_view(rest_).substr(0, end));
      rest_.erase(0, end + 1);
    }
    if (rest_.size() > kLineMax) flush();
  }
  void flush() {
    if (!rest_.empty()) on_line_(rest_);
    rest_.clear();
  }

 private:
  const std::function<void(std::string_view)>& on_line_;
  std::string rest_;
};

/// Ends the program once a stop is asked for: kindly first.
class Ending {
 public:
  Ending(Clock& clock, const Program& program, pid_t pid)
      : clock_(clock), grace_(program.grace), pid_(pid) {}
  /// True once it was killed.
  bool look(const std::stop_token& stop) {
    if (!stop.stop_requested()) return false;
    if (!until_) {
      until_ = clock_.uptime() + grace_;
      ::kill(-pid_, SIGTERM);
    } else if (clock_.uptime() >= *until_) {
      ::kill(-pid_, SIGKILL);
      return true;
    }
    return false;
  }

 private:
  Clock& clock_;
  const Duration grace_;
  const pid_t pid_;
  std::optional<Duration> until_;
};

/// Why the program did not start; none where it did.
std::optional<Error> start_error(int failed, const Program& program) {
  std::array<int, 2> why{0, 0};
  ssize_t got = 0;
  do got = ::read(failed, why.data(), sizeof(why));
  while (got < 0 && errno == EINTR);
  if (got != sizeof(why)) return std::nullopt;
  if (why[0] == 1) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no folder to run in: {}", program.folder, strerror(why[1])),
                 ""};
  }
  return Error{why[1] == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable,
               fmt::format("'{}' did not start: {}", program.words[0], strerror(why[1])), ""};
}

}  // namespace

Result<int> run_program(Clock& clock, const Program& program,
                        const std::function<void(std::string_view line)>& on_line,
                        std::stop_token stop) {
  if (program.words.empty()) {
    return Error{ErrorCode::invalid_argument, "there is no program to run", ""};
  }
  std::vector<std::string> words = program.words;
  std::vector<std::string> environment = environment_of(program);
  const auto word_pointers = pointers(words);
  const auto environment_pointers = pointers(environment);
  Pipe output;
  Pipe failed;
  if (!output.open() || !failed.open()) {
    return Error{ErrorCode::unavailable, fmt::format("no pipe: {}", strerror(errno)), ""};
  }
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error{ErrorCode::unavailable, fmt::format("no fork: {}", strerror(errno)), ""};
  if (pid == 0) {
    become(word_pointers.data(), environment_pointers.data(), program.folder.c_str(),
           output.ends[1], failed.ends[1]);
  }
  ::setpgid(pid, pid);  // here too: it may be stopped before it has run at all
  output.close_end(1);
  failed.close_end(1);
  std::optional<Error> not_started = start_error(failed.ends[0], program);

  Lines lines(on_line);
  Ending ending(clock, program, pid);
  for (;;) {
    if (ending.look(stop)) break;  // who still has its output has left its group
    pollfd wanted{output.ends[0], POLLIN, 0};
    if (::poll(&wanted, 1, kLookMs) <= 0) continue;
    std::array<char, 8192> bytes;
    const ssize_t got = ::read(output.ends[0], bytes.data(), bytes.size());
    if (got > 0) lines.take({bytes.data(), static_cast<std::size_t>(got)});
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  lines.flush();
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {  // it may have closed its output before its end
    ending.look(stop);
    clock.wait_for(std::chrono::milliseconds(kLookMs), {});
  }
  ::kill(-pid, SIGKILL);  // what it left in its group
  if (not_started) return *std::move(not_started);
  if (stop.stop_requested()) {
    return Error{ErrorCode::cancelled, fmt::format("'{}' was stopped", program.words[0]), ""};
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace tapeline::io
