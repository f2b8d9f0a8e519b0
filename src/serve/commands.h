// Commands: what a page, or the command line, may ask of rooms that serve does not know.
//
// app implements it over the scheduler, the loader and the subcommands.

#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/value.h"

namespace tapeline::serve {

enum class DagAction : std::uint8_t { trigger, pause, unpause, clear, mark, cancel };

struct DagRequest {
  std::string dag;
  DagAction action;
  std::string run;    // of the last three; for a trigger what the run is to be called, or empty
  std::string task;   // clear, mark: that one only
  std::string state;  // mark: success or failed
  std::string conf;   // trigger: JSON, or empty
  bool upstream = false;
  bool downstream = false;
  bool failed = false;
};

/// A command line as another process sends it.
struct CommandLine {
  std::vector<std::string> argv;  // without the program's name
  std::string cwd;
  bool progress = false;  // its stderr is a terminal: show how far it is
};

/// Which threads do a command, so that no long one keeps those waiting whom that would harm.
enum class Lane : std::uint8_t {
  command,  // what people and other schedulers ask for
  endless,  // the same, but it goes on until it is stopped: few at a time
  member,   // of a process that shares the directory, and waits for a quick answer
  load,     // the same, and it takes as long as its piece of work
};

/// Takes what a command prints. False: nobody reads any more, stop.
using CommandOutput = std::function<bool(bool is_error, std::string_view bytes)>;

/// threads: any, several at a time
class Commands {
 public:
  virtual ~Commands() = default;

  /// The members of /api/v1/status that serve does not know itself: feed, data, equation, lag,
  /// dag, tests, in the shape that the API has. Asked about once a second. `ready` false, with a
  /// `reason`, where there is a problem.
  /// blocks: for one small read of the run history; all else is in memory
  virtual text::Value status() = 0;

  /// Why nothing is loaded although everything is open; none where all is well.
  /// blocks: never
  virtual std::optional<std::string> problem() = 0;

  /// {"dags":[{"id",...}]}
  virtual Result<text::Value> dags() = 0;

  /// {"runs":[{"run_id","state",...}]}, newest first.
  /// errors: not_found, as in the next two
  virtual Result<text::Value> runs(const std::string& dag) = 0;

  /// {"tasks":[{"task_id","state",...}]}
  virtual Result<text::Value> tasks(const std::string& dag, const std::string& run) = 0;

  /// {"log":"..."}
  virtual Result<text::Value> task_log(const std::string& dag, const std::string& run,
                                       const std::string& task) = 0;

  /// What became of it: {"run_id"} for a trigger, {"paused"} for pause and unpause, else the run
  /// as `runs` has it; for a clear with "cleared", the names of tasks.
  /// errors: not_found, already_exists (that run id), invalid_argument
  virtual Result<text::Value> act(const DagRequest& request) = 0;

  /// {"followed":[{"symbol","path"}]}: which symbols the feed follows, and which way they come.
  virtual Result<text::Value> followed() = 0;

  /// Changes which; as followed() then.
  /// errors: invalid_argument, unsupported (they are fixed); not_found for one to unfollow
  virtual Result<text::Value> follow(const std::vector<std::string>& symbols) = 0;
  virtual Result<text::Value> unfollow(const std::string& symbol) = 0;

  /// Which lane a command belongs in.
  /// blocks: never
  virtual Lane lane(const CommandLine& line) = 0;

  /// Runs a command of the command line inside this process; the exit code.
  /// errors: unsupported (a command that cannot run here)
  /// blocks: until it is done, or shortly after `stop` is requested
  virtual Result<int> run(const CommandLine& line, const CommandOutput& output,
                          std::stop_token stop) = 0;
};

}  // namespace tapeline::serve
