#include "app/cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace tapeline::app {

void Terminal::error(const Error& error) {
  err(fmt::format("error: {}\n", error.message));
  if (!error.hint.empty()) err(fmt::format("hint: {}\n", error.hint));
}

void Terminal::progress(std::string_view what, double part) {
  if (!look_.progress) return;
  constexpr int kWidth = 24;
  std::string line = fmt::format("\r\x1b[K{}", what);
  if (part >= 0) {
    const int done = static_cast<int>(std::clamp(part, 0.0, 1.0) * kWidth);
    std::string bar;
    for (int i = 0; i < kWidth; ++i) bar += i < done ? "━" : "─";
    line += fmt::format("  {} {:3.0f} %", bar, part * 100);
  }
  err_(line);
  in_progress_ = true;
}

void Terminal::end_progress() {
  if (in_progress_) err_("\r\x1b[K");
  in_progress_ = false;
}

Terminal process_terminal(bool no_colour) {
  const auto write_to = [](FILE* file) {
    return [file](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), file);
      std::fflush(file);
    };
  };
  return Terminal(
      write_to(stdout), write_to(stderr),
      {.colour = !no_colour && isatty(STDOUT_FILENO) != 0, .progress = isatty(STDERR_FILENO) != 0});
}

}  // namespace tapeline::app
