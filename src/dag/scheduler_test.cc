#include <algorithm>

#include "dag/scheduler_testing.h"

namespace tapeline::dag {
namespace {

class SchedulerTest : public SchedulerFixture {};

TEST_F(SchedulerTest, a_continuous_run_goes_through_its_tasks_in_order) {
  start(kPipeline);
  work_.there = true;
  settle();
  EXPECT_EQ(runner_.ran, (std::vector<std::string>{"consume 1", "load 1", "transform 1", "test 1",
                                                   "log_stats 1"}));
  ASSERT_EQ(runs().size(), 1U);
  EXPECT_EQ(runs()[0].state, "success");
  EXPECT_EQ(runs()[0].run_id, "continuous__2026-11-22T16:42:38+00:00");
  EXPECT_EQ(states(runs()[0].run_id),
            "consume1=success load1=success transform1=success test1=success log_stats1=success");
  EXPECT_TRUE(told_.empty());
}

TEST_F(SchedulerTest, without_work_no_row_is_written) {
  start(kPipeline);
  for (int i = 0; i < 100; ++i) {
    settle();
    clock_.advance(milliseconds(300));
  }
  EXPECT_TRUE(runs().empty());
  EXPECT_EQ(work_.asked, 100);
}

TEST_F(SchedulerTest, continuous_runs_are_at_least_250_ms_apart) {
  start(kPipeline);
  work_.there = true;
  settle();
  clock_.advance(milliseconds(249));
  settle();
  EXPECT_EQ(runs().size(), 1U);
  clock_.advance(milliseconds(1));
  settle();
  EXPECT_EQ(runs().size(), 2U);
}

TEST_F(SchedulerTest, little_work_rests_eleven_times_as_long_as_it_took) {
  start(kPipeline);
  work_.there = true;
  work_.how_much = Work::little;
  Duration took = milliseconds(100);
  runner_.script = [&](const TaskContext& context) {
    if (context.task == "transform") clock_.advance(took);
    if (work_.how_much == Work::much) work_.there = false;
    return TaskOutcome::success();
  };
  settle();
  EXPECT_EQ(runs().size(), 1U);  // after a quiet time it does not wait
  clock_.advance(milliseconds(1099));
  settle();
  EXPECT_EQ(runs().size(), 1U);
  EXPECT_EQ(*scheduler_->step(), milliseconds(1));
  clock_.advance(milliseconds(1));
  took = seconds(3);
  settle();
  EXPECT_EQ(runs().size(), 2U);
  clock_.advance(milliseconds(1499));
  settle();
  EXPECT_EQ(runs().size(), 2U);
  clock_.advance(milliseconds(1));  // the longest rest
  settle();
  EXPECT_EQ(runs().size(), 3U);
  work_.how_much = Work::much;
  settle();
  EXPECT_EQ(runs().size(), 4U);
}

TEST_F(SchedulerTest, triggered_runs_and_a_process_that_ends_do_not_rest) {
  start(kPipeline);
  work_.there = true;
  work_.how_much = Work::little;
  runner_.script = [&](const TaskContext&) {
    clock_.advance(milliseconds(100));
    return TaskOutcome::success();
  };
  settle();
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "asked"));
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "asked")->state, "success");
  EXPECT_EQ(runs().size(), 2U);
  scheduler_->hurry();
  step();
  EXPECT_EQ(runs().size(), 3U);
}

TEST_F(SchedulerTest, a_fire_that_nobody_was_there_to_heed_is_due_from_the_start_on) {
  start(R"(dag_id: pipeline
schedule: "@daily"
tasks: {full_test: }
)");
  settle();
  ASSERT_EQ(runs().size(), 1U);
  EXPECT_EQ(runs()[0].run_id, "scheduled__2026-11-22T00:00:00+00:00");
  EXPECT_EQ(probe_.lag_seconds.sum(), 0);
}

TEST_F(SchedulerTest, a_task_gets_what_earlier_ones_returned_and_what_the_trigger_gave) {
  start(kPipeline);
  runner_.script = [](const TaskContext& context) {
    return TaskOutcome::success(context.task == "consume" ? text::Value(7) : text::Value());
  };
  text::Value conf;
  conf.set("day", "2025-01-31");
  const auto id = scheduler_->trigger("pipeline", conf);
  ASSERT_TRUE(id);
  EXPECT_EQ(runs()[0].state, "queued");
  settle();
  EXPECT_EQ(runner_.contexts.at(1).values.at("consume"), text::Value(7));
  EXPECT_EQ(runner_.contexts.at(1).conf.string_or("day", ""), "2025-01-31");
  EXPECT_EQ(*id, "manual__2026-11-22T16:42:38+00:00");
}

TEST_F(SchedulerTest, failures_back_off_from_one_second_and_the_next_run_waits_too) {
  start(kPipeline);
  work_.there = true;
  runner_.script = [](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.task == "load") return Error{ErrorCode::unavailable, "no disk", ""};
    return TaskOutcome::success();
  };
  std::vector<Duration> tries;
  for (int i = 0; i < 4000; ++i) {
    const auto loads = runner_.ran.size();
    settle();
    if (runner_.ran.size() > loads) tries.push_back(clock_.uptime());
    clock_.advance(milliseconds(100));
  }
  std::vector<Duration> gaps;
  for (std::size_t i = 1; i < tries.size() && i < 9; ++i) gaps.push_back(tries[i] - tries[i - 1]);
  EXPECT_EQ(gaps, (std::vector<Duration>{seconds(1), seconds(2), seconds(4), seconds(8),
                                         seconds(16), seconds(32), seconds(60), seconds(60)}));
  const auto oldest = runs().back();
  EXPECT_EQ(oldest.state, "failed");
  EXPECT_EQ(oldest.error, "load: no disk");
  EXPECT_EQ(states(oldest.run_id),
            "consume1=success load1=up_for_retry load2=up_for_retry load3=failed "
            "transform0=upstream_failed test0=upstream_failed log_stats1=success");
}

TEST_F(SchedulerTest, a_success_ends_the_back_off) {
  start(kPipeline);
  work_.there = true;
  bool broken = true;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (broken && context.task == "consume") return Error{ErrorCode::unavailable, "gone", ""};
    return TaskOutcome::success();
  };
  settle();
  broken = false;
  clock_.advance(seconds(1));
  settle();
  EXPECT_EQ(runs()[0].state, "success");
  clock_.advance(milliseconds(1));
  settle();
  EXPECT_EQ(runs().size(), 2U);
}

TEST_F(SchedulerTest, what_cannot_be_helped_is_not_tried_again) {
  start(kPipeline);
  runner_.script = [](const TaskContext&) -> Result<TaskOutcome> {
    return Error{ErrorCode::invalid_argument, "no such model", "Write it."};
  };
  const auto id = *scheduler_->trigger("pipeline");
  settle();
  EXPECT_EQ(runs()[0].state, "failed");
  EXPECT_EQ(scheduler_->tasks("pipeline", id)->at(0).state, "failed");
  EXPECT_EQ(scheduler_->tasks("pipeline", id)->at(0).error_hint, "Write it.");
}

TEST_F(SchedulerTest, a_failing_data_test_fails_its_run_once_told_and_slows_nothing) {
  start(kPipeline);
  work_.there = true;
  std::string message = "3 rows";
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.task == "test" && !message.empty()) {
      return TaskOutcome::failed(Error{ErrorCode::corrupt, message, ""});
    }
    return TaskOutcome::success();
  };
  const auto cycle = [&] {
    settle();
    clock_.advance(milliseconds(250));
  };
  for (int i = 0; i < 5; ++i) cycle();
  EXPECT_EQ(runs().size(), 5U);
  for (const auto& run : runs()) EXPECT_EQ(run.state, "failed");
  EXPECT_EQ(told_, (std::vector<std::string>{"dag run failed"}));
  restart();
  cycle();
  EXPECT_EQ(told_.size(), 1U);
  message = "4 rows";
  cycle();
  EXPECT_EQ(told_.size(), 2U);
  message = "";
  cycle();
  EXPECT_EQ(told_.back(), "dag run recovered");
  message = "4 rows";
  cycle();
  EXPECT_EQ(told_.size(), 4U);
}

TEST_F(SchedulerTest, skipped_skips_what_needs_success_and_not_an_all_done_leaf) {
  start(kPipeline);
  runner_.script = [](const TaskContext& context) {
    return context.task == "load" ? TaskOutcome::skipped() : TaskOutcome::success();
  };
  const auto id = *scheduler_->trigger("pipeline");
  settle();
  EXPECT_EQ(states(id),
            "consume1=success load1=skipped transform0=skipped test0=skipped "
            "log_stats1=success");
  EXPECT_EQ(runs()[0].state, "success");
}

TEST_F(SchedulerTest, triggers_queue_behind_the_active_run) {
  start(kPipeline);
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "first"));
  step();
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "second"));
  step();
  EXPECT_EQ(scheduler_->run("pipeline", "second")->state, "queued");
  EXPECT_EQ(scheduler_->trigger("pipeline", {}, "second").error().code, ErrorCode::already_exists);
  EXPECT_EQ(scheduler_->trigger("none").error().code, ErrorCode::not_found);
  EXPECT_EQ(scheduler_->trigger("pipeline", text::Value(3)).error().code,
            ErrorCode::invalid_argument);
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "first")->state, "success");
  EXPECT_EQ(scheduler_->run("pipeline", "second")->state, "success");
  EXPECT_EQ(runner_.contexts.at(5).run_id, "second");
}

TEST_F(SchedulerTest, a_paused_dag_starts_nothing_even_after_a_restart) {
  start(kPipeline);
  work_.there = true;
  ASSERT_TRUE(scheduler_->set_paused("pipeline", true));
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "waits"));
  settle();
  restart();
  settle();
  EXPECT_TRUE(runner_.ran.empty());
  EXPECT_TRUE(scheduler_->dags()[0].paused);
  EXPECT_EQ(scheduler_->run_to_end("pipeline", "waits", runner_).error().code,
            ErrorCode::unavailable);
  ASSERT_TRUE(scheduler_->set_paused("pipeline", false));
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "waits")->state, "success");
}

TEST_F(SchedulerTest, run_to_end_waits_out_retries_and_starts_nothing_else) {
  start(kPipeline);
  work_.there = true;
  runner_.script = [](const TaskContext& context) -> Result<TaskOutcome> {
    if (context.task == "load" && context.try_number < 3) {
      return Error{ErrorCode::unavailable, "busy", ""};
    }
    return TaskOutcome::success();
  };
  const auto id = *scheduler_->trigger("pipeline");
  const auto ended = scheduler_->run_to_end("pipeline", id, runner_);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->state, "success");
  EXPECT_EQ(runs().size(), 1U);
  EXPECT_GE(clock_.uptime(), seconds(3));
}

TEST_F(SchedulerTest, a_killed_process_goes_on_where_it_was_at_every_step) {
  // Kills the process after `k` moves (a move is a scheduler step or a task), for every k,
  // before and after the scheduler has seen the task's end; counts effects by stored value.
  for (int k = 0; k < 14; ++k) {
    remove_files();
    runner_.ran.clear();
    runner_.contexts.clear();
    runner_.script = [](const TaskContext& context) -> Result<TaskOutcome> {
      if (context.task == "consume") return TaskOutcome::success(text::Value(42));
      if (context.task == "load" && context.try_number == 1) {
        return Error{ErrorCode::unavailable, "once", ""};
      }
      EXPECT_EQ(context.values.at("consume"), text::Value(42));
      return TaskOutcome::success();
    };
    start(kPipeline);
    ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "run"));
    for (int move = 0; move < k; ++move) {
      if (move % 2 == 0) {
        step();
      } else if (!worker_->try_step({})) {
        clock_.advance(seconds(1));
      }
    }
    const auto before = runner_.ran;
    std::map<std::string, std::string> stored;
    const auto tries = *scheduler_->tasks("pipeline", "run");
    for (const auto& row : tries) {
      stored[row.task + " " + std::to_string(row.try_number)] = row.state;
    }
    restart();
    for (int i = 0; i < 5; ++i) {
      settle();
      clock_.advance(seconds(1));
    }
    EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "success") << k;
    EXPECT_EQ(states("run"),
              "consume1=success load1=up_for_retry load2=success transform1=success "
              "test1=success log_stats1=success")
        << k;
    for (std::size_t i = before.size(); i < runner_.ran.size(); ++i) {
      const std::string was = stored[runner_.ran[i]];
      EXPECT_TRUE(was != "success" && was != "up_for_retry") << k << " " << runner_.ran[i];
    }
    stop_process();
  }
}

TEST_F(SchedulerTest, a_stopped_worker_leaves_its_try_to_the_next_process) {
  start(kPipeline);
  std::stop_source stop;
  runner_.script = [&](const TaskContext& context) -> Result<TaskOutcome> {
    if (stop.stop_requested()) return TaskOutcome::success();
    stop.request_stop();
    context.log->line("stopping");
    return Error{ErrorCode::cancelled, "stopped", ""};
  };
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "run"));
  step();
  worker_->try_step(stop.get_token());
  step();
  restart();
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "success");
  EXPECT_EQ(runner_.ran[0], "consume 1");
  EXPECT_EQ(runner_.ran[1], "consume 1");
  const auto log = *scheduler_->task_log("pipeline", "run", "consume", 1);
  ASSERT_EQ(log.size(), 5U);
  EXPECT_EQ(log[1].line, "stopping");
  EXPECT_EQ(log[3].line, "the program ended during this try, which begins again");
}

TEST_F(SchedulerTest, a_cron_dag_runs_once_for_the_last_fire_and_then_at_each) {
  start("schedule: '*/5 * * * *'\ntasks: {a: }\n");
  settle();
  ASSERT_EQ(runs().size(), 1U);
  EXPECT_EQ(runs()[0].run_id, "scheduled__2026-11-22T16:40:00+00:00");
  restart();
  settle();
  EXPECT_EQ(runs().size(), 1U);
  clock_.advance(seconds(141));
  settle();
  EXPECT_EQ(runs().size(), 1U);
  clock_.advance(seconds(1));
  settle();
  ASSERT_EQ(runs().size(), 2U);
  EXPECT_EQ(runs()[0].logical_at, at("2026-11-22T16:45:00Z"));
  clock_.advance(minutes(60));
  settle();
  EXPECT_EQ(runs().size(), 3U);  // no catching up
}

TEST_F(SchedulerTest, catchup_makes_up_for_each_missed_fire_oldest_first) {
  start("schedule: '@hourly'\ncatchup: true\nstart_date: '2026-11-22'\ntasks: {a: }\n");
  for (int i = 0; i < 30; ++i) settle();
  ASSERT_EQ(runs().size(), 17U);
  EXPECT_EQ(runs().back().logical_at, at("2026-11-22T00:00:00Z"));
  EXPECT_EQ(runs().front().logical_at, at("2026-11-22T16:00:00Z"));
}

TEST_F(SchedulerTest, once_is_once) {
  start("schedule: '@once'\ntasks: {a: }\n");
  settle();
  restart();
  settle();
  EXPECT_EQ(runs().size(), 1U);
}

TEST_F(SchedulerTest, old_successful_continuous_runs_become_one_row_a_minute) {
  start(kPipeline);
  work_.there = true;
  for (int i = 0; i < 300; ++i) {  // five minutes, a run a second
    settle();
    clock_.advance(seconds(1));
  }
  work_.there = false;
  EXPECT_EQ(runs().size(), 300U);
  clock_.advance(minutes(20));
  settle();
  const auto folded = runs();
  EXPECT_EQ(folded.size(), 6U);  // from 16:42:38 on
  std::int64_t count = 0;
  for (const auto& run : folded) count += run.run_count;
  EXPECT_EQ(count, 300);
  clock_.advance(std::chrono::days(91));
  settle();
  EXPECT_TRUE(runs().empty());
}

TEST_F(SchedulerTest, a_failed_run_is_not_folded) {
  start(kPipeline);
  runner_.script = [](const TaskContext&) -> Result<TaskOutcome> {
    return TaskOutcome::failed(Error{ErrorCode::unavailable, "no", ""}, false);
  };
  work_.there = true;
  settle();
  work_.there = false;
  clock_.advance(minutes(20));
  settle();
  ASSERT_EQ(runs().size(), 1U);
  EXPECT_EQ(states(runs()[0].run_id).substr(0, 15), "consume1=failed");
}

TEST_F(SchedulerTest, a_running_try_shows_as_running_with_its_lines) {
  start(kPipeline);
  const auto id = *scheduler_->trigger("pipeline");
  runner_.script = [&](const TaskContext& context) {
    if (context.task == "consume") {
      EXPECT_EQ(scheduler_->tasks("pipeline", id)->at(0).state, "running");
      EXPECT_EQ(scheduler_->tasks("pipeline", id)->at(1).state, "none");
      EXPECT_EQ(scheduler_->task_log("pipeline", id, "consume", 1)->at(0).line, "ran consume");
    }
    return TaskOutcome::success();
  };
  settle();
  EXPECT_EQ(scheduler_->task_log("pipeline", id, "consume", 1)->size(), 1U);
}

TEST_F(SchedulerTest, a_full_log_says_what_it_dropped) {
  TaskLog log(clock_);
  for (int i = 0; i < 10'010; ++i) log.line("x");
  ASSERT_EQ(log.lines().size(), 10'000U);
  EXPECT_EQ(log.lines().back().text, "11 more lines were dropped");
}

TEST_F(SchedulerTest, a_run_whose_dag_is_gone_is_failed_once_dags_run) {
  start(kPipeline);
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "run"));
  start("dag_id: other\ntasks: {a: }\n");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "queued");
  step();
  EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "failed");
  EXPECT_EQ(scheduler_->run("pipeline", "run")->error, "the DAG 'pipeline' is no longer there");
}

TEST_F(SchedulerTest, a_run_of_a_dag_that_was_not_there_for_a_while_goes_on) {
  start(kPipeline);
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "run"));
  step();
  start("dag_id: other\ntasks: {a: }\n");  // by a command that is about something else
  start(kPipeline);
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "success");
}

TEST_F(SchedulerTest, a_try_of_a_task_that_its_file_lost_has_failed_and_the_run_goes_on) {
  start(kPipeline);
  ASSERT_TRUE(scheduler_->trigger("pipeline", {}, "run"));
  step();
  EXPECT_EQ((*scheduler_->tasks("pipeline", "run")).at(0).state, "queued");
  start(
      "dag_id: pipeline\nschedule: \"@continuous\"\ntasks: {fetch: , load: {upstream: [fetch]}}\n");
  settle();
  EXPECT_EQ(scheduler_->run("pipeline", "run")->state, "success");
  EXPECT_EQ(states("run"), "fetch1=success load1=success consume1=failed");
  EXPECT_EQ((*scheduler_->tasks("pipeline", "run")).at(2).error_message,
            "the DAG has no task 'consume' any more");
}

}  // namespace
}  // namespace tapeline::dag
