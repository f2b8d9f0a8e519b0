// Runs another program, and reads what it prints.

#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::io {

struct Program {
  std::vector<std::string> words;  // the program, looked for in PATH where it has no slash
  std::string folder;              // where it runs
  std::map<std::string, std::string, std::less<>> environment;  // all that it has
  Duration grace = std::chrono::seconds(10);  // from SIGTERM to SIGKILL, once it is stopped
};

/// Runs a program to its end; its exit code, 128 and the signal where one ended it. `on_line` gets
/// each line of stdout and stderr, as it comes.
///
/// promise: nothing of it is left when this returns, its own children apart that left its group; it
///          gets SIGKILL when the calling thread dies; of this process's files it has none
/// errors:  not_found (no such program), invalid_argument (`folder`), cancelled (`stop` was
///          requested: it was ended), unavailable
/// blocks:  until it has ended
Result<int> run_program(Clock& clock, const Program& program,
                        const std::function<void(std::string_view line)>& on_line,
                        std::stop_token stop);

}  // namespace tapeline::io
