// The console: dbt's lines, with its times, dots and endings (of dbt-core 1.11).

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace tapeline::transform {

/// Where printed lines go, without their newline; one call may hold several lines.
using ConsoleSink = std::function<void(std::string_view)>;

/// owns: nothing; clock and sink must outlive it
class Console {
 public:
  Console(const Clock& clock, const ConsoleSink& sink, bool quiet)
      : clock_(clock), sink_(sink), quiet_(quiet) {}

  /// "HH:MM:SS  text"; nothing where quiet.
  void info(std::string_view text) const;
  /// As `info`, but even where quiet.
  void error(std::string_view text) const;
  /// The text alone, even where quiet: what was asked for.
  void raw(std::string_view text) const;

  /// "3 of 7 START …  [RUN]", padded with dots.
  void progress(std::size_t index, std::size_t total, std::string_view label,
                std::string_view status, bool is_error = false) const;

 private:
  const Clock& clock_;
  const ConsoleSink& sink_;
  bool quiet_;
};

/// "1 model", "2 models".
std::string counted(std::size_t count, std::string_view noun);

/// "OK in 0.08s".
std::string timed(std::string_view word, Duration took);

}  // namespace tapeline::transform
