// What tests of the scheduler stand on: a process that can be killed, and tasks by script.

#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time_text.h"
#include "dag/scheduler.h"
#include "telemetry/logging.h"

namespace tapeline::dag {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kPipeline = R"(dag_id: pipeline
schedule: "@continuous"
default_args: {retries: 2}
tasks:
  consume:
  load: {upstream: [consume]}
  transform: {upstream: [load]}
  test: {upstream: [transform], report_only: true}
  log_stats: {upstream: [test], trigger_rule: all_done}
)";

inline Timestamp at(std::string_view text) { return parse_rfc3339(text)->at; }

struct ScriptedRunner final : TaskRunner {
  std::vector<std::string> ran;  // "task try"
  std::vector<TaskContext> contexts;
  std::function<Result<TaskOutcome>(const TaskContext&)> script = [](const TaskContext&) {
    return TaskOutcome::success();
  };
  Result<TaskOutcome> run(const TaskContext& context) override {
    ran.push_back(context.task + " " + std::to_string(context.try_number));
    contexts.push_back(context);
    context.log->line("ran " + context.task);
    return script(context);
  }
};

struct ScriptedWork final : HasWork {
  bool there = false;
  Work how_much = Work::much;
  int asked = 0;
  Work has_work(const std::string&) override {
    ++asked;
    return there ? how_much : Work::none;
  }
};

/// A process: database, scheduler, worker. restart() kills it and begins another on the file.
class SchedulerFixture : public testing::Test {
 protected:
  SchedulerFixture() {
    path_ = testing::TempDir() + "scheduler_test.sqlite";
    remove_files();
    telemetry::set_log_sink([this](telemetry::Level, std::string_view event, const auto&) {
      told_.emplace_back(event);
    });
  }
  ~SchedulerFixture() override {
    stop_process();
    telemetry::set_log_sink({});
    remove_files();
  }
  void remove_files() {
    for (const char* end : {"", "-wal", "-shm"}) std::remove((path_ + end).c_str());
  }
  void stop_process() {
    worker_.reset();
    scheduler_.reset();
    queues_.reset();
    store_.reset();
    database_.reset();
  }
  void start(std::string_view yaml) {
    yaml_ = yaml;
    stop_process();
    database_ = *state::Database::open(path_);
    store_ = *state::RunStore::open(*database_);
    queues_ = std::make_unique<TaskQueues>();
    std::vector<Dag> dags;
    auto dag = Dag::parse(yaml_, "pipeline.yml");
    ASSERT_TRUE(dag) << dag.error().message;
    dags.push_back(*std::move(dag));
    scheduler_ = *Scheduler::open(clock_, *store_, *queues_, work_, probe_, std::move(dags),
                                  {.rest_max = milliseconds(1500)});
    worker_ = std::make_unique<Worker>(clock_, *queues_, runner_);
  }
  void restart() { start(std::string(yaml_)); }
  void step() {
    const auto done = scheduler_->step();
    ASSERT_TRUE(done) << done.error().message;
  }
  /// Steps and works, without time going on, until nothing moves.
  void settle() {
    do step();
    while (worker_->try_step({}));
  }
  std::vector<state::RunRow> runs() { return *scheduler_->runs("pipeline", 1000); }
  std::string states(const std::string& run_id) {
    std::string text;
    const auto tries = *scheduler_->tasks("pipeline", run_id);
    for (const auto& row : tries) {
      text +=
          (text.empty() ? "" : " ") + row.task + std::to_string(row.try_number) + "=" + row.state;
    }
    return text;
  }

  ManualClock clock_{at("2026-11-22T16:42:38Z")};
  telemetry::Metrics metrics_;
  SchedulerProbe probe_{metrics_};
  ScriptedWork work_;
  ScriptedRunner runner_;
  std::string path_;
  std::string yaml_;
  std::vector<std::string> told_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<state::RunStore> store_;
  std::unique_ptr<TaskQueues> queues_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace tapeline::dag
