// Goal: what was written of runs is read back, by whoever asks, in order; what is old is folded.

#include "state/run_store.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tapeline::state {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Timestamp kNoon{std::chrono::hours(24 * 20'000 + 12)};

class RunStoreTest : public testing::Test {
 protected:
  RunStoreTest() { open(); }
  ~RunStoreTest() override {
    store_.reset();
    database_.reset();
    remove_files();
  }
  void remove_files() {
    for (const char* end : {"", "-wal", "-shm"}) std::remove((path_ + end).c_str());
  }
  void open() {
    store_.reset();
    database_.reset();
    database_ = *Database::open(path_);
    store_ = *RunStore::open(*database_);
  }
  RunRow run(const std::string& run_id, const std::string& state, Timestamp start) {
    RunRow row{.id = store_->new_id(), .dag = "d", .run_id = run_id, .run_type = "continuous"};
    row.state = state;
    row.logical_at = row.queued_at = start;
    row.start_at = start;
    if (state == "success" || state == "failed") {
      row.end_at = start + seconds(1);
      row.busy = seconds(1);
    }
    return row;
  }
  std::vector<std::string> ids(const std::vector<RunRow>& rows) {
    std::vector<std::string> ids;
    for (const auto& row : rows) ids.push_back(row.run_id);
    return ids;
  }

  const std::string path_ = testing::TempDir() + "run_store_test.sqlite";
  std::unique_ptr<Database> database_;
  std::unique_ptr<RunStore> store_;
};

using Ids = std::vector<std::string>;

TEST_F(RunStoreTest, a_wave_is_there_at_once_and_after_the_process_synced_or_not) {
  for (const Sync sync : {Sync::later, Sync::now}) {
    Wave wave{.sync = sync};
    wave.runs.push_back(run(sync == Sync::now ? "synced" : "not", "running", kNoon));
    const auto id = wave.runs[0].id;
    wave.tries.push_back({.run = id, .task = "load", .try_number = 1, .state = "queued"});
    wave.log.push_back({id, "load", 1, 0, kNoon, "a line"});
    ASSERT_TRUE(store_->write(wave));
    EXPECT_EQ(store_->tries(id)->at(0).state, "queued");
  }
  open();
  EXPECT_EQ(ids(*store_->active()), (Ids{"not", "synced"}));
  const auto id = (*store_->find("d", "not"))->id;
  EXPECT_EQ(store_->log(id, "load", 1)->at(0).line, "a line");
  EXPECT_GT(store_->new_id(), id + 1);
}

TEST_F(RunStoreTest, a_row_written_again_replaces_the_first_and_keeps_its_tries) {
  Wave wave;
  wave.runs.push_back(run("r", "running", kNoon));
  wave.tries.push_back(
      {.run = wave.runs[0].id, .task = "load", .try_number = 1, .state = "queued"});
  ASSERT_TRUE(store_->write(wave));
  wave.runs[0].state = "failed";
  wave.runs[0].error = "load: no disk";
  wave.runs[0].end_at = kNoon + seconds(2);
  wave.tries[0].state = "failed";
  wave.tries[0].error_code = "unavailable";
  ASSERT_TRUE(store_->write(wave));
  const auto found = *store_->find("d", "r");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->error, "load: no disk");
  EXPECT_EQ(found->end_at, kNoon + seconds(2));
  const auto tries = *store_->tries(found->id);
  ASSERT_EQ(tries.size(), 1U);
  EXPECT_EQ(tries[0].error_code, "unavailable");
  EXPECT_TRUE(store_->active()->empty());
}

TEST_F(RunStoreTest, runs_are_newest_first_and_limited) {
  for (const char* id : {"a", "b", "c"}) {
    Wave wave;
    wave.runs.push_back(run(id, "success", kNoon));
    ASSERT_TRUE(store_->write(wave));
  }
  EXPECT_EQ(ids(*store_->runs("d", 2)), (Ids{"c", "b"}));
  EXPECT_EQ(ids(*store_->runs("", 10)), (Ids{"c", "b", "a"}));
  EXPECT_TRUE(store_->runs("other", 10)->empty());
}

TEST_F(RunStoreTest, runs_of_a_stretch_are_oldest_first_and_know_their_backfill) {
  Wave wave;
  wave.runs = {run("late", "success", kNoon + minutes(2)), run("early", "failed", kNoon),
               run("middle", "success", kNoon + minutes(1))};
  wave.runs[1].backfill = 7;
  wave.runs[1].backfill_active_max = 2;
  for (auto& row : wave.runs) row.logical_at = *row.start_at;
  ASSERT_TRUE(store_->write(wave));
  const auto found = *store_->between("d", kNoon, kNoon + minutes(1), 10);
  EXPECT_EQ(ids(found), (Ids{"early", "middle"}));
  EXPECT_EQ(found[0].backfill, 7);
  EXPECT_EQ(found[0].backfill_active_max, 2);
  EXPECT_EQ(store_->between("d", kNoon, kNoon + minutes(2), 1)->size(), 1U);
  EXPECT_EQ(store_->usual_length("d", 20)->value(), wave.runs[0].busy);
  EXPECT_FALSE(store_->usual_length("other", 20)->has_value());
}

TEST_F(RunStoreTest, pausing_leaves_what_the_schedule_remembers_and_the_other_way_round) {
  Wave wave;
  wave.dags.push_back({.dag = "d", .failures = 3, .failing_task = "load", .reported = "x"});
  wave.dags[0].held_until = kNoon;
  ASSERT_TRUE(store_->write(wave));
  ASSERT_TRUE(store_->set_paused("d", true));
  ASSERT_TRUE(store_->write(wave));
  const auto dags = *store_->dags();
  ASSERT_EQ(dags.size(), 1U);
  EXPECT_TRUE(dags[0].paused);
  EXPECT_EQ(dags[0].failures, 3);
  EXPECT_EQ(dags[0].held_until, kNoon);
  EXPECT_FALSE(dags[0].last_fire);
}

TEST_F(RunStoreTest, old_successes_of_a_minute_become_one_row_and_failures_stay) {
  Wave wave;
  wave.runs = {run("a", "success", kNoon), run("b", "failed", kNoon + seconds(10)),
               run("c", "success", kNoon + seconds(20)),
               run("next minute", "success", kNoon + minutes(1))};
  for (const auto& row : wave.runs)
    wave.tries.push_back({.run = row.id, .task = "load", .try_number = 1, .state = "success"});
  ASSERT_TRUE(store_->write(wave));
  ASSERT_TRUE(store_->fold(kNoon + minutes(1), kNoon - minutes(1), {}));
  EXPECT_EQ(ids(*store_->runs("d", 10)), (Ids{"next minute", "b", "a"}));
  const auto kept = **store_->find("d", "a");
  EXPECT_EQ(kept.run_count, 2);
  EXPECT_EQ(kept.busy, seconds(2));
  EXPECT_EQ(kept.end_at, kNoon + seconds(21));
  EXPECT_TRUE(store_->tries(kept.id)->empty());
  EXPECT_EQ(store_->tries(wave.runs[1].id)->size(), 1U);
  ASSERT_TRUE(store_->fold(kNoon + minutes(1), kNoon + seconds(12), {}));
  EXPECT_EQ(ids(*store_->runs("d", 10)), (Ids{"next minute", "a"}));
}

}  // namespace
}  // namespace tapeline::state
