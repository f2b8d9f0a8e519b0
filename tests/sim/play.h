// Play: one seed. It steps the parts of a World in an order that the seed picks, breaks things in
// between, checks what must hold after each step and after each recovery, and lets it come to rest.

#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "reader.h"
#include "world.h"

namespace tapeline::sim {

/// What a seed's play came to.
struct Outcome {
  Problems problems;
  std::uint64_t trace = 0;  // a hash of all that happened
  std::int64_t steps = 0;
  std::int64_t records = 0;  // in the log at the end
  std::int64_t loads = 0;
  std::int64_t runs = 0;  // of models
  std::int64_t crashes = 0;
  bool had_models = false;
};

class Play final : private dag::TaskRunner {
 public:
  struct Options {
    std::uint64_t seed = 0;
    std::filesystem::path folder;
    int steps = 150;
    bool tell = false;  // each step to stderr
  };
  explicit Play(Options options);

  Outcome run();

 private:
  Result<dag::TaskOutcome> run(const dag::TaskContext& context) override;

  void step();
  void trace(std::string_view what, std::int64_t more = 0);
  void differ(std::string problem) { world_.problems.push_back(std::move(problem)); }
  void expect(const Status& status, std::string_view what);

  // What a step can be.
  void produce();
  void schedule();
  void work();
  void follow();
  void post();
  void read_streams();
  void move_clock();
  void break_disk();
  void mend_disk();
  void load_as_rival();
  void checkpoint();
  void lose_worker();
  void pause_or_trigger();
  void crash_somehow();
  void restart();

  void start();
  void look();  // after each step
  void check();
  void check_live();
  void come_to_rest();
  void check_at_rest();

  World::Process& process() { return world_.process(); }
  app::IngestionTasks& tasks() { return process().pipeline->tasks(); }

  const Options options_;
  Rng rng_;
  const bool simulated_;
  const bool models_;  // whether models and data tests run too
  World world_;
  std::vector<std::shared_ptr<Reader>> readers_;
  bool disk_broken_ = false;
  bool faulted_ = false;      // this process has met a fault that a task may fail of
  bool worker_lost_ = false;  // only a restart helps
  bool at_rest_ = false;
  std::string action_;
  Offset live_first_ = 0;  // what the live table began with, at the last start
  Offset log_end_ = 0;
  Offset loaded_to_ = 0;
  std::int64_t load_id_ = 0;
  Outcome outcome_;
};

}  // namespace tapeline::sim
