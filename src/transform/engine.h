// Engine: runs a dbt project inside this process.
//
//   files -> parse -> manifest -> select -> compile -> run -> artifacts
//
// A project is parsed once; invocations reuse the manifest for as long as the files, the
// target and the variables that parsing read stay the same, late ones apart. What a materialization
// or a test sends to the warehouse stands in macros, never here.

#pragma once

#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "transform/project_files.h"
#include "transform/runner.h"
#include "warehouse/warehouse.h"

namespace tapeline::transform {

struct Invocation {
  std::string command;  // run, test, build, compile, parse, ls, debug
  std::vector<std::string> select;
  std::vector<std::string> exclude;
  text::Value vars{text::Object{}};
  std::set<std::string> late_vars;  // no reference or config depends on them: not parsed again
  bool full_refresh = false;
  bool fail_fast = false;
  bool quiet = false;
  bool store_failures = false;
  std::string output;  // of ls: json, name, path or selector; empty: selector
  std::vector<std::string> resource_types;
  std::string indirect_selection = "eager";  // or cautious, buildable, empty
};

struct InvocationResult {
  int exit_code = 0;  // 0 all well, 1 something that ran failed, 2 anything else
  std::vector<NodeResult> nodes;
};

/// threads: one at a time
/// owns:    nothing it is given but the files; warehouse, clock and sinks must outlive it
class Engine {
 public:
  /// Takes one artifact: "target/manifest.json". Empty: none are written.
  using ArtifactSink = Runner::Sink;

  struct Options {
    std::string profile;        // empty: the project's own
    std::string target;         // empty: the profile's own
    std::string target_path;    // where artifacts go; empty: where the project says
    std::string profiles_yaml;  // empty: the profiles.yml among the files
    Environment environment;
    ArtifactSink artifacts;
    bool artifacts_json = true;  // manifest.json and run_results.json
  };

  /// errors: invalid_argument (project or profile), unavailable (warehouse)
  static Result<std::unique_ptr<Engine>> open(ProjectFiles files, Options options,
                                              warehouse::Warehouse& warehouse, Clock& clock,
                                              Rng& rng);
  ~Engine();

  /// Takes the project's files as they are now; parsed again only if they differ.
  void set_files(ProjectFiles files);

  /// Runs one command. Failures of the project (parsing, a node, a test) are printed and end in
  /// an exit code, as with dbt.
  /// errors: cancelled (stop was requested), unavailable (no connection to the warehouse)
  Result<InvocationResult> invoke(const Invocation& invocation, const ConsoleSink& sink,
                                  std::stop_token stop = {});

  /// As above, on a connection of the caller's, which has no open transaction. Temporary tables
  /// of the models stay on it until it closes.
  Result<InvocationResult> invoke(const Invocation& invocation, warehouse::Connection& connection,
                                  const ConsoleSink& sink, std::stop_token stop = {});

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tapeline::transform
