#include <algorithm>

#include "dag/scheduler_testing.h"

namespace tapeline::dag {
namespace {

constexpr std::string_view kManual = R"(dag_id: pipeline
default_args: {retries: 1, retry_delay: 10s}
params: {days: touched, symbol: AAPL}
tasks:
  consume: {params: {symbol: MSFT}}
  load: {upstream: [consume]}
  transform: {upstream: [load]}
  log_stats: {upstream: [transform], trigger_rule: all_done}
)";

constexpr std::string_view kHourly = R"(dag_id: pipeline
schedule: "@hourly"
tasks: {a: , b: {upstream: [a]}}
)";

Result<TaskOutcome> failed() {
  return TaskOutcome::failed(Error{ErrorCode::unavailable, "no", ""}, false);
}

class SchedulerChanges : public SchedulerFixture {
 protected:
  void trigger(const std::string& run_id) {
    ASSERT_TRUE(scheduler_->trigger("pipeline", {}, run_id));
  }
  std::string state(const std::string& run_id) {
    return scheduler_->run("pipeline", run_id)->state;
  }
  /// Lets time pass and work be done until nothing is left to do.
  void finish() {
    for (int i = 0; i < 30; ++i) {
      settle();
      clock_.advance(seconds(5));
    }
  }
};

TEST_F(SchedulerChanges, a_cleared_task_runs_again_with_new_retries_and_the_values_before_it) {
  start(kManual);
  bool broken = true;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.task == "consume") return TaskOutcome::success(text::Value(42));
    EXPECT_EQ(context.values.at("consume"), text::Value(42));
    if (context.task == "load" && (broken || context.try_number == 3)) {
      return Error{ErrorCode::unavailable, "disk", ""};
    }
    return TaskOutcome::success();
  };
  trigger("run");
  finish();
  EXPECT_EQ(state("run"), "failed");  // although the all_done leaf ran
  EXPECT_EQ(states("run"),
            "consume1=success load1=up_for_retry load2=failed transform0=upstream_failed "
            "log_stats1=success");
  broken = false;
  const auto cleared = scheduler_->clear("pipeline", "run", {.task = "load", .downstream = true});
  ASSERT_TRUE(cleared) << cleared.error().message;
  EXPECT_EQ(*cleared, (std::vector<std::string>{"load", "transform", "log_stats"}));
  EXPECT_EQ(state("run"), "queued");
  EXPECT_FALSE(scheduler_->run("pipeline", "run")->end_at);
  restart();  // it is in the store
  finish();
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->error, "");
  EXPECT_EQ(states("run"),
            "consume1=success load1=up_for_retry load2=failed load3=up_for_retry load4=success "
            "transform0=upstream_failed transform1=success log_stats1=success log_stats2=success");
}

TEST_F(SchedulerChanges, a_whole_run_is_cleared_or_only_what_failed) {
  start(kManual);
  int batch = 0;
  bool broken = true;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.task == "consume") return TaskOutcome::success(text::Value(++batch));
    if (context.task == "transform" && broken) return failed();
    return TaskOutcome::success(context.values.at("consume"));
  };
  trigger("run");
  finish();
  broken = false;
  EXPECT_EQ(*scheduler_->clear("pipeline", "run", {.failed = true}),
            (std::vector<std::string>{"transform"}));
  finish();
  EXPECT_EQ(states("run"),
            "consume1=success load1=success transform1=failed transform2=success "
            "log_stats1=success");
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(scheduler_->clear("pipeline", "run", {.failed = true})->size(), 0U);
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(scheduler_->clear("pipeline", "run", {})->size(), 4U);
  finish();
  EXPECT_EQ(batch, 2);
  EXPECT_EQ(scheduler_->clear("pipeline", "run", {.task = "load", .upstream = true})->size(), 2U);
  finish();
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(batch, 3);
}

TEST_F(SchedulerChanges, what_cannot_be_cleared_is_refused_and_nothing_changes) {
  start(kManual);
  const auto refusal = [&](const std::string& run, TaskChoice choice) {
    const auto done = scheduler_->clear("pipeline", run, choice);
    EXPECT_FALSE(done);
    EXPECT_FALSE(done.error().hint.empty());
    return done.error().code;
  };
  runner_.script = [&](const TaskContext& context) {
    if (context.task == "load") {
      EXPECT_EQ(refusal("run", {}), ErrorCode::invalid_argument);  // it runs
      EXPECT_EQ(*scheduler_->clear("pipeline", "run", {.task = "transform"}),
                (std::vector<std::string>{"transform"}));
    }
    return TaskOutcome::success();
  };
  trigger("run");
  finish();
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(refusal("none", {}), ErrorCode::not_found);
  EXPECT_EQ(refusal("run", {.task = "lod"}), ErrorCode::not_found);
  EXPECT_EQ(refusal("run", {.downstream = true}), ErrorCode::invalid_argument);
  EXPECT_EQ(scheduler_->clear("none", "run", {}).error().code, ErrorCode::not_found);
}

TEST_F(SchedulerChanges, a_task_marked_success_lets_what_waited_for_it_go_on) {
  start(kManual);
  runner_.script = [](const TaskContext& context) -> Result<TaskOutcome> {
    return context.task == "load" ? failed() : TaskOutcome::success();
  };
  trigger("run");
  finish();
  const auto marked = scheduler_->mark("pipeline", "run", TaskState::success, "load");
  ASSERT_TRUE(marked) << marked.error().message;
  EXPECT_EQ(marked->state, "queued");
  finish();
  EXPECT_EQ(states("run"),
            "consume1=success load1=success transform0=upstream_failed transform1=success "
            "log_stats1=success");
  EXPECT_EQ(state("run"), "success");
  EXPECT_EQ(scheduler_->mark("pipeline", "run", TaskState::failed, "transform")->state, "failed");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->error, "transform: marked failed");
  EXPECT_EQ(scheduler_->mark("pipeline", "run", TaskState::success)->state, "success");
}

TEST_F(SchedulerChanges, a_cancelled_run_stops_its_task_and_skips_the_others) {
  start(kManual);
  bool asked = false;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.run_id != "run" || context.task != "load") return TaskOutcome::success();
    EXPECT_FALSE(context.stop.stop_requested());
    EXPECT_EQ(scheduler_->cancel("pipeline", "run")->state, "failed");
    asked = context.stop.stop_requested();
    // It is stopping still: the task cannot run twice at a time.
    EXPECT_EQ(scheduler_->clear("pipeline", "run", {}).error().code, ErrorCode::invalid_argument);
    return Error{ErrorCode::cancelled, "stopped", ""};
  };
  trigger("run");
  trigger("next");
  finish();
  EXPECT_TRUE(asked);
  EXPECT_EQ(state("run"), "failed");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->error, "cancelled");
  EXPECT_EQ(states("run"), "consume1=success load1=failed transform0=skipped log_stats0=skipped");
  EXPECT_EQ(state("next"), "success");
  EXPECT_EQ(told_, (std::vector<std::string>{"dag run stopped"}));
  EXPECT_EQ(scheduler_->cancel("pipeline", "run").error().code, ErrorCode::invalid_argument);
  const auto log = *scheduler_->task_log("pipeline", "run", "load", 1);
  ASSERT_EQ(log.size(), 3U);
  EXPECT_EQ(log[1].line, "stopped: the run, or this task of it, got another state");
  ASSERT_TRUE(scheduler_->clear("pipeline", "run", {}));
  runner_.script = [](const TaskContext&) { return TaskOutcome::success(); };
  finish();
  EXPECT_EQ(state("run"), "success");
}

TEST_F(SchedulerChanges, a_queued_run_is_cancelled_before_it_begins) {
  start(kManual);
  trigger("run");
  ASSERT_TRUE(scheduler_->cancel("pipeline", "run"));
  finish();
  EXPECT_TRUE(runner_.ran.empty());
  EXPECT_EQ(state("run"), "failed");
}

TEST_F(SchedulerChanges, a_try_past_its_execution_timeout_failed_and_is_tried_again) {
  start("dag_id: pipeline\ntasks: {a: {execution_timeout: 4s, retries: 1, retry_delay: 1s}}\n");
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    clock_.advance(milliseconds(4000));
    step();
    EXPECT_FALSE(context.stop.stop_requested());
    clock_.advance(milliseconds(1));
    step();
    EXPECT_TRUE(context.stop.stop_requested());
    // Who is done before it looks has done it.
    if (context.try_number == 2) return TaskOutcome::success();
    return Error{ErrorCode::cancelled, "stopped", ""};
  };
  trigger("run");
  finish();
  EXPECT_EQ(states("run"), "a1=up_for_retry a2=success");
  const auto first = scheduler_->tasks("pipeline", "run")->at(0);
  EXPECT_EQ(first.error_code, "timed_out");
  EXPECT_EQ(first.error_message, "took longer than its execution_timeout (4.0 s)");
}

TEST_F(SchedulerChanges, a_run_past_its_dagrun_timeout_failed_and_the_rest_is_skipped) {
  start("dag_id: pipeline\ndagrun_timeout: 10s\ntasks: {a: , b: {upstream: [a]}}\n");
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    clock_.advance(seconds(11));
    step();
    EXPECT_TRUE(context.stop.stop_requested());
    return TaskOutcome::success();
  };
  trigger("run");
  finish();
  EXPECT_EQ(state("run"), "failed");
  EXPECT_EQ(states("run"), "a1=skipped b0=skipped");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->error,
            "took longer than its dagrun_timeout (10 s)");
  EXPECT_EQ(told_, (std::vector<std::string>{"dag run failed"}));
}

TEST_F(SchedulerChanges, params_of_the_dag_are_replaced_by_the_tasks_and_those_by_the_runs) {
  start(kManual);
  text::Value conf;
  conf.set("days", "all");
  conf.set("more", 7);
  ASSERT_TRUE(scheduler_->trigger("pipeline", conf, "run"));
  finish();
  EXPECT_EQ(text::to_json(runner_.contexts.at(0).params),
            R"({"days":"all","symbol":"MSFT","more":7})");
  EXPECT_EQ(text::to_json(runner_.contexts.at(1).params),
            R"({"days":"all","symbol":"AAPL","more":7})");
}

TEST_F(SchedulerChanges, a_backfill_makes_what_is_missing_within_its_own_limit) {
  start(kHourly);
  settle();  // the fire of 16:00
  ASSERT_EQ(runs().size(), 1U);
  Backfill wanted{.from = at("2026-11-22T12:00:00Z"), .to = at("2026-11-22T16:30:00Z")};
  wanted.active_max = 2;
  wanted.dry_run = true;
  const auto plan = scheduler_->backfill("pipeline", wanted);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->items.size(), 5U);
  EXPECT_EQ(plan->runs(), 4);
  EXPECT_EQ(plan->items[0].run_id, "backfill__2026-11-22T12:00:00+00:00");
  EXPECT_EQ(plan->items[4].state, "success");
  EXPECT_TRUE(plan->usual_length);
  EXPECT_EQ(runs().size(), 1U);
  wanted.dry_run = false;
  ASSERT_TRUE(scheduler_->backfill("pipeline", wanted));
  restart();
  step();
  const auto all = runs();
  EXPECT_EQ(std::ranges::count(all, "running", &state::RunRow::state), 2);  // not the DAG's one
  EXPECT_EQ(std::ranges::count(all, "queued", &state::RunRow::state), 2);
  finish();
  for (const auto& run : runs()) EXPECT_EQ(run.state, "success");
  EXPECT_EQ(scheduler_->backfill("pipeline", wanted)->runs(), 0);
  EXPECT_EQ(runs().size(), 5U);
}

TEST_F(SchedulerChanges, a_backfill_runs_failed_ones_or_all_again) {
  start(kHourly);
  bool broken = true;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (broken && context.logical_date == at("2026-11-22T13:00:00Z")) return failed();
    return TaskOutcome::success();
  };
  Backfill wanted{.from = at("2026-11-22T12:00:00Z"), .to = at("2026-11-22T14:00:00Z")};
  ASSERT_TRUE(scheduler_->backfill("pipeline", wanted));
  finish();
  broken = false;
  wanted.which = Backfill::Which::failed;
  EXPECT_EQ(scheduler_->backfill("pipeline", wanted)->runs(), 1);
  finish();
  EXPECT_EQ(state("backfill__2026-11-22T13:00:00+00:00"), "success");
  wanted.which = Backfill::Which::all;
  EXPECT_EQ(scheduler_->backfill("pipeline", wanted)->runs(), 3);
  finish();
  EXPECT_EQ(states("backfill__2026-11-22T13:00:00+00:00"),
            "a1=failed a2=success a3=success b0=upstream_failed b1=success b2=success");
}

TEST_F(SchedulerChanges, the_schedule_makes_no_second_run_for_a_date_that_was_backfilled) {
  start(kHourly);
  ASSERT_TRUE(scheduler_->set_paused("pipeline", true));
  Backfill wanted{.from = at("2026-11-22T16:00:00Z"), .to = at("2026-11-22T16:00:00Z")};
  ASSERT_TRUE(scheduler_->backfill("pipeline", wanted));
  finish();
  EXPECT_TRUE(runner_.ran.empty());
  ASSERT_TRUE(scheduler_->set_paused("pipeline", false));
  finish();
  ASSERT_EQ(runs().size(), 1U);
  EXPECT_EQ(runs()[0].run_type, "backfill");
}

TEST_F(SchedulerChanges, a_backfill_that_makes_no_sense_is_refused) {
  start(kHourly);
  const auto refused = [&](std::string_view from, std::string_view to) {
    const auto plan = scheduler_->backfill("pipeline", {.from = at(from), .to = at(to)});
    return !plan && plan.error().code == ErrorCode::invalid_argument && !plan.error().hint.empty();
  };
  EXPECT_TRUE(refused("2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z"));
  EXPECT_TRUE(refused("2026-11-22T12:00:00Z", "2026-11-23T11:00:00Z"));
  EXPECT_TRUE(refused("2000-11-22T12:00:00Z", "2026-11-22T11:00:00Z"));
  start(kPipeline);  // @continuous: its batch is what is new
  EXPECT_TRUE(refused("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"));
}

TEST_F(SchedulerChanges, a_process_killed_at_any_move_keeps_a_clear_a_cancel_and_a_backfill) {
  // Kills the process after `k` moves (a step or a task) of a history with all three in it.
  for (int k = 0; k < 24; ++k) {
    remove_files();
    runner_.script = [](const TaskContext& context) -> Result<TaskOutcome> {
      if (context.task == "b" && context.try_number == 1) return failed();
      return TaskOutcome::success();
    };
    start(kHourly);
    ASSERT_TRUE(scheduler_->set_paused("pipeline", true));
    trigger("cleared");
    trigger("cancelled");
    ASSERT_TRUE(scheduler_->set_paused("pipeline", false));
    settle();
    ASSERT_EQ(state("cleared"), "failed");
    Backfill wanted{.from = at("2026-11-22T13:00:00Z"), .to = at("2026-11-22T15:00:00Z")};
    ASSERT_TRUE(scheduler_->clear("pipeline", "cleared", {.failed = true}));
    ASSERT_TRUE(scheduler_->clear("pipeline", "cancelled", {}));
    ASSERT_TRUE(scheduler_->backfill("pipeline", wanted));
    ASSERT_TRUE(scheduler_->cancel("pipeline", "cancelled"));
    for (int move = 0; move < k; ++move) {
      if (move % 2 == 0) {
        step();
      } else {
        worker_->try_step({});
      }
    }
    restart();
    finish();
    EXPECT_EQ(state("cleared"), "success") << k;
    EXPECT_EQ(states("cleared"), "a1=success b1=failed b2=success") << k;
    EXPECT_EQ(state("cancelled"), "failed") << k;
    for (const char* date : {"13", "14", "15"}) {
      const std::string id = std::string("backfill__2026-11-22T") + date + ":00:00+00:00";
      EXPECT_EQ(states(id), "a1=success b1=failed") << k;
    }
    stop_process();
  }
}

}  // namespace
}  // namespace tapeline::dag
