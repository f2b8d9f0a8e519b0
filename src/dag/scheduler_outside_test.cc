#include "dag/scheduler_testing.h"

namespace tapeline::dag {
namespace {

class SchedulerOutside : public SchedulerFixture {
 protected:
  static OutsideTry asked(std::string task, std::int64_t try_number = 0) {
    return {
        .dag = "pipeline", .run_id = "dag__run", .task = std::move(task), .try_number = try_number};
  }
  Result<OutsideEnd> run(const OutsideTry& asked, std::stop_token stop = {}) {
    return scheduler_->run_outside(asked, runner_, stop);
  }
  void fail(std::string task) {
    runner_.script = [task](const TaskContext& context) -> Result<TaskOutcome> {
      if (context.task == task)
        return Error{ErrorCode::unavailable, "the disk is full", "Make room."};
      return TaskOutcome::success(text::Value(context.task));
    };
  }
  state::RunRow row() { return *scheduler_->run("pipeline", "dag__run"); }
  void expect_error(const OutsideTry& asked, ErrorCode code) {
    const auto end = run(asked);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, code) << end.error().message;
    EXPECT_NE(end.error().hint, "") << end.error().message;
  }
};

TEST_F(SchedulerOutside, tasks_make_a_run_in_the_history_from_which_nothing_follows) {
  start(kPipeline);
  for (const std::string task : {"consume", "load", "transform", "test"}) {
    ASSERT_TRUE(run(asked(task, 1)));
    EXPECT_EQ(row().state, "running");
    settle();  // the scheduler starts none of the tasks after it
    clock_.advance(seconds(3));
  }
  EXPECT_EQ(run(asked("log_stats", 1))->unfinished, "");
  EXPECT_EQ(row().state, "success");
  EXPECT_EQ(row().run_type, "outside");
  EXPECT_EQ(row().busy, seconds(12));
  EXPECT_EQ(runner_.ran.size(), 5U);
  EXPECT_EQ(states("dag__run"),
            "consume1=success load1=success transform1=success test1=success log_stats1=success");
  EXPECT_EQ((*scheduler_->task_log("pipeline", "dag__run", "load", 1)).at(0).line, "ran load");
}

TEST_F(SchedulerOutside, a_try_gets_what_was_handed_on_else_what_the_history_has) {
  start(kPipeline);
  runner_.script = [](const TaskContext&) { return TaskOutcome::success(text::Value(7)); };
  ASSERT_TRUE(run(asked("consume")));
  ASSERT_TRUE(run(asked("load")));
  EXPECT_EQ(runner_.contexts.back().values.at("consume"), text::Value(7));
  OutsideTry handed = asked("load");
  handed.values = {{"consume", text::Value(8)}};
  handed.conf = *text::parse_json(R"({"days": "all"})");
  ASSERT_TRUE(run(handed));
  EXPECT_EQ(runner_.contexts.back().values.at("consume"), text::Value(8));
  EXPECT_EQ(runner_.contexts.back().params.string_or("days", ""), "all");
  EXPECT_EQ(runner_.contexts.back().try_number, 2);
}

TEST_F(SchedulerOutside, a_failure_and_the_try_after_it_are_both_there) {
  start(kPipeline);
  ASSERT_TRUE(run(asked("consume", 1)));
  fail("load");
  const auto end = run(asked("load", 1));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->outcome.state, TaskOutcome::State::failed);
  EXPECT_EQ(end->lines.at(1).text, "unavailable: the disk is full");
  EXPECT_EQ(row().state, "failed");
  EXPECT_EQ(row().error, "load: the disk is full");
  // A task after it that runs all the same learns of it.
  EXPECT_EQ(run(asked("log_stats", 1))->unfinished, "load: the disk is full");
  fail("nothing");
  ASSERT_TRUE(run(asked("load", 2)));
  EXPECT_EQ(row().state, "running");
  EXPECT_EQ(run(asked("log_stats", 2))->unfinished, "transform: it has not succeeded");
  EXPECT_EQ(states("dag__run"),
            "consume1=success load1=failed load2=success transform0=none test0=none "
            "log_stats1=success log_stats2=success");
}

TEST_F(SchedulerOutside, a_number_that_is_taken_is_one_more) {
  start(kPipeline);
  EXPECT_EQ(run(asked("consume", 4))->try_number, 4);
  EXPECT_EQ(run(asked("consume", 1))->try_number, 5);
  EXPECT_EQ(run(asked("consume"))->try_number, 6);
}

TEST_F(SchedulerOutside, a_second_try_waits_for_the_first_and_is_refused_if_that_goes_on) {
  start(kPipeline);
  const Duration began = clock_.uptime();
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.try_number > 1) return TaskOutcome::success();
    // The clock goes on as the second waits; the first is at work all the time.
    const auto second = scheduler_->run_outside(asked("load", 2), runner_, {});
    EXPECT_FALSE(second);
    EXPECT_EQ(second.error().message, "an earlier try of 'load' of the run 'dag__run' still works");
    EXPECT_GE(clock_.uptime() - began, Scheduler::kOutsideWait);
    EXPECT_TRUE(
        scheduler_->run_outside(asked("consume", 1), runner_, {}));  // another task does not wait
    return TaskOutcome::success();
  };
  runner_.script = [&, inner = runner_.script](const TaskContext& context) -> Result<TaskOutcome> {
    return context.task == "load" ? inner(context) : TaskOutcome::success();
  };
  ASSERT_TRUE(run(asked("load", 1)));
  ASSERT_TRUE(run(asked("load", 2)));
  EXPECT_EQ(
      states("dag__run"),
      "consume1=success load1=success load2=success transform0=none test0=none log_stats0=none");
}

TEST_F(SchedulerOutside, one_that_is_called_off_has_failed) {
  start(kPipeline);
  std::stop_source stop;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    stop.request_stop();
    EXPECT_TRUE(context.stop.stop_requested());
    return Error{ErrorCode::cancelled, "the load was stopped", ""};
  };
  EXPECT_EQ(run(asked("load", 1), stop.get_token())->outcome.state, TaskOutcome::State::failed);
  EXPECT_FALSE(run(asked("load", 2), stop.get_token()));  // it never begins
  EXPECT_EQ(runner_.ran.size(), 1U);
}

TEST_F(SchedulerOutside, a_process_that_dies_leaves_a_failed_try) {
  start(kPipeline);
  ASSERT_TRUE(run(asked("consume", 1)));
  runner_.script = [&](const TaskContext&) -> Result<TaskOutcome> {
    // What the next process finds: this try, begun and not ended.
    auto database = *state::Database::open(path_);
    auto store = *state::RunStore::open(*database);
    ScriptedWork work;
    TaskQueues queues;
    std::vector<Dag> dags;
    dags.push_back(*Dag::parse(kPipeline, "pipeline.yml"));
    const auto next = *Scheduler::open(clock_, *store, queues, work, probe_, std::move(dags), {});
    EXPECT_EQ(next->run("pipeline", "dag__run")->state, "failed");
    EXPECT_EQ(next->run("pipeline", "dag__run")->error, "load: the program ended during this try");
    EXPECT_EQ((*next->tasks("pipeline", "dag__run")).at(1).state, "failed");
    ScriptedRunner runner;
    EXPECT_EQ(next->run_outside(asked("load", 1), runner, {})->try_number, 2);
    return TaskOutcome::success();
  };
  ASSERT_TRUE(run(asked("load", 1)));
}

TEST_F(SchedulerOutside, what_cannot_be_run_says_why) {
  start(kPipeline);
  OutsideTry other = asked("load");
  other.dag = "pipelin";
  expect_error(other, ErrorCode::not_found);
  expect_error(asked("laod"), ErrorCode::not_found);
  other = asked("load");
  other.run_id = "";
  expect_error(other, ErrorCode::invalid_argument);
  other = asked("load");
  other.conf = text::Value(1);
  expect_error(other, ErrorCode::invalid_argument);
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "ours"));
  other = asked("load");
  other.run_id = "ours";
  expect_error(other, ErrorCode::already_exists);
  ASSERT_TRUE(scheduler_->set_paused("pipeline", true));
  expect_error(asked("load"), ErrorCode::unavailable);
  EXPECT_TRUE(runner_.ran.empty());
}

TEST_F(SchedulerOutside, its_runs_are_not_ours_to_change) {
  start(kPipeline);
  ASSERT_TRUE(run(asked("consume")));
  for (const auto code :
       {scheduler_->clear("pipeline", "dag__run", {}).error().code,
        scheduler_->cancel("pipeline", "dag__run").error().code,
        scheduler_->mark("pipeline", "dag__run", TaskState::success).error().code}) {
    EXPECT_EQ(code, ErrorCode::invalid_argument);
  }
}

TEST_F(SchedulerOutside, a_run_that_is_worked_on_again_is_not_deleted_however_old_it_is) {
  start(kPipeline);
  fail("consume");
  ASSERT_TRUE(run(asked("consume")));
  clock_.advance(std::chrono::hours(24 * 91));
  runner_.script = [&](const TaskContext&) {
    step();
    return TaskOutcome::success();
  };
  ASSERT_TRUE(run(asked("consume")));
  EXPECT_EQ(states("dag__run").substr(0, 32), "consume1=failed consume2=success");
  step();
}

TEST_F(SchedulerOutside, a_run_that_was_left_is_deleted_in_the_end) {
  start(kPipeline);
  ASSERT_TRUE(run(asked("consume")));
  clock_.advance(std::chrono::hours(24 * 91));
  restart();
  settle();
  EXPECT_TRUE(runs().empty());
}

}  // namespace
}  // namespace tapeline::dag
