// Terminal: where a command's words go: data to stdout, the rest to stderr, here or over the
// socket of the process that runs it.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::app {

/// The two ways out of a command.
///
/// threads: one at a time
class Terminal {
 public:
  struct Look {
    bool colour = false;    // stdout is a terminal and NO_COLOR is not set
    bool progress = false;  // stderr is a terminal
  };
  using Write = std::function<void(std::string_view)>;

  Terminal(Write out, Write err, Look look)
      : out_(std::move(out)), err_(std::move(err)), look_(look) {}

  void out(std::string_view text) { out_(text); }
  void err(std::string_view text) {
    end_progress();
    err_(text);
  }
  const Look& look() const { return look_; }

  /// "error: …" and "hint: …".
  void error(const Error& error);

  /// Shows a line that the next one replaces; nothing where stderr is no terminal. `part` is in
  /// [0, 1], below 0 where nobody knows.
  void progress(std::string_view what, double part);
  void end_progress();

 private:
  Write out_;
  Write err_;
  Look look_;
  bool in_progress_ = false;
};

/// Writes to the process's own stdout and stderr. A reader that went away ends the process, as
/// with any filter.
Terminal process_terminal(bool no_colour);

}  // namespace tapeline::app
