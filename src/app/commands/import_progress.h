// ImportProgress: how far an import is: for the person who waits, and for the next one that has to
// go on where this one was interrupted.
//
// What an import sends follows from its files and flags alone, message for message. So the number
// of messages that the log has taken says where to go on. It is kept in state.sqlite, under a name
// made of the topic, the files (names, sizes, times of change) and the flags, and forgotten once
// all is loaded. It is written behind each append, so after a kill it may lack the newest lot;
// those messages are sent once more and count as duplicates.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/commands/commands.h"
#include "app/pipeline.h"

namespace tapeline::app {

/// The number of an interrupted import's messages.
///
/// lifetime: the settings must outlive it
class ImportProgress {
 public:
  ImportProgress(state::Settings& settings, std::string key)
      : settings_(settings), key_(std::move(key)) {}

  /// The name of an import in the settings.
  static std::string key_of(std::string_view topic_id, const feeds::InputFiles& files,
                            const Invocation& line);

  /// How many messages are in the log already; 0 for an import that begins.
  Result<std::int64_t> sent() const;
  Status keep(std::int64_t sent);
  Status forget() { return settings_.remove(key_); }

 private:
  state::Settings& settings_;
  std::string key_;
};

/// Tells a person how far it is: a bar with the time that is left where stderr is a terminal, a
/// line now and then where it is not, nothing with --json.
class ProgressReport {
 public:
  ProgressReport(Clock& clock, const Call& call);

  /// `part` of the work is done, from 0 to 1; `what` says which.
  void show(const std::function<std::string()>& what, double part);

  /// A whole line, above the bar.
  void line(std::string_view text);

  /// "about 12 s left", from the time that it took so far; empty where nobody can tell.
  std::string time_left(double part) const;

 private:
  Clock& clock_;
  const Call& call_;
  const Duration began_;
  Duration next_;
};

}  // namespace tapeline::app
