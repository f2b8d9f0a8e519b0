#include "msglog/embedded/embedded_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <set>
#include <thread>

#include "../../../tests/contract/message_log_contract.h"
#include "io/faulty_file_system.h"

namespace tapeline::msglog {
namespace {

using namespace std::chrono_literals;

struct World {
  io::FaultyFileSystem files{1};
  ManualClock clock{Timestamp(1'700'000'000s)};
  std::unique_ptr<EmbeddedLog> log;
};

LogUnderTest make_embedded() {
  auto world = std::make_shared<World>();
  world->log = std::move(*EmbeddedLog::open(world->files, world->clock,
                                            {.directory = "/log", .segment_bytes = 1 << 20}));
  auto* const log = world->log.get();
  return {world, log};
}

INSTANTIATE_TEST_SUITE_P(Embedded, MessageLogContract, testing::Values(&make_embedded));

/// A log in memory that can be killed, filled up, damaged and opened again.
class EmbeddedLogTest : public testing::Test {
 protected:
  EmbeddedLogTest() {
    options_.directory = "/log";
    options_.preallocate_bytes = 0;
    options_.metrics = &metrics_;
    open();
    EXPECT_TRUE(log_->create_topic("t", 1));
  }

  void open() {
    auto opened = EmbeddedLog::open(files_, clock_, options_);
    ASSERT_TRUE(opened) << opened.error().message;
    log_ = *std::move(opened);
  }

  void kill_and_open(bool machine_went_down = false) {
    files_.kill();
    log_.reset();
    files_.start_again(machine_went_down);
    open();
  }

  void stop_and_open() {
    log_.reset();
    open();
  }

  Result<std::vector<Position>> append(const std::string& value) {
    const std::vector<Record> records{{"k", value}};
    return log_->append("t", records);
  }

  /// Every value from the earliest offset on, until the end or an error.
  std::vector<std::string> values() {
    std::vector<std::string> all;
    Offset next = log_->topics()->front().partitions[0].earliest;
    while (true) {
      const auto fetched = log_->fetch(kWhere, next, {});
      if (!fetched || fetched->records.empty()) return all;
      for (const auto& record : fetched->records) all.emplace_back(record.value);
      next = fetched->next;
    }
  }

  PartitionInfo info(std::size_t topic = 0) { return log_->topics()->at(topic).partitions[0]; }

  std::int64_t counted(const std::string& name, const telemetry::Labels& labels = {}) {
    return metrics_.counter(name, "", labels).value();
  }

  const TopicPartition kWhere{"t", 0};
  const std::string kFirst = "/log/t/0/00000000000000000000.segment";
  io::FaultyFileSystem files_{1};
  ManualClock clock_{Timestamp(1'700'000'000s)};
  telemetry::Metrics metrics_;
  EmbeddedLog::Options options_;
  std::unique_ptr<EmbeddedLog> log_;
};

TEST_F(EmbeddedLogTest, a_topic_keeps_its_id_its_records_and_its_offsets_over_a_restart) {
  const auto id = log_->topics()->front().id;
  ASSERT_TRUE(append("one"));
  ASSERT_TRUE(log_->commit("g", kWhere, 1));
  stop_and_open();
  ASSERT_TRUE(append("two"));
  kill_and_open();
  EXPECT_EQ(log_->topics()->front().id, id);
  EXPECT_EQ(values(), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(*log_->committed("g", kWhere), std::optional<Offset>(1));
}

TEST_F(EmbeddedLogTest, time_never_goes_back_even_where_the_clock_does) {
  clock_.advance(1h);
  ASSERT_TRUE(append("one"));
  const auto late = log_->fetch(kWhere, 0, {})->records[0].appended_at;
  kill_and_open();
  ManualClock earlier{Timestamp(5s)};
  log_.reset();
  log_ = std::move(*EmbeddedLog::open(files_, earlier, options_));
  ASSERT_TRUE(append("two"));
  EXPECT_EQ(log_->fetch(kWhere, 1, {})->records[0].appended_at, late);
  log_.reset();
}

TEST_F(EmbeddedLogTest, segments_roll_and_every_offset_and_instant_is_found_in_them) {
  options_.segment_bytes = 1000;
  stop_and_open();
  std::vector<Timestamp> at;
  for (int i = 0; i < 100; ++i) {
    clock_.advance(1s);
    at.push_back(clock_.now());
    ASSERT_TRUE(append(std::to_string(i)));
  }
  for (const bool again : {false, true}) {
    if (again) kill_and_open();
    EXPECT_GT(files_.list("/log/t/0")->size(), 10U);
    for (int i = 0; i < 100; ++i) {
      const auto one = log_->fetch(kWhere, i, {.records_max = 1});
      ASSERT_TRUE(one && one->records.size() == 1);
      EXPECT_EQ(one->records[0].value, std::to_string(i));
      EXPECT_EQ(*log_->offset_at(kWhere, at[static_cast<std::size_t>(i)]), i);
      EXPECT_EQ(*log_->offset_at(kWhere, at[static_cast<std::size_t>(i)] - 1us), i);
    }
    EXPECT_EQ(*log_->offset_at(kWhere, clock_.now() + 1us), 100);
    EXPECT_EQ(values().size(), 100U);
  }
}

TEST_F(EmbeddedLogTest, an_index_that_is_missing_or_odd_is_made_again) {
  options_.segment_bytes = 1000;
  stop_and_open();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(append(std::to_string(i)));
  log_.reset();
  const std::string index = "/log/t/0/00000000000000000000.index";
  files_.damage(index, 30, 1);
  open();
  EXPECT_EQ(log_->verify("t")->findings.size(), 1U);
  EXPECT_FALSE(log_->verify("t")->findings[0].is_damage);
  EXPECT_EQ(values().size(), 30U);
  EXPECT_TRUE(log_->verify("t")->findings.empty());
  log_.reset();
  ASSERT_TRUE(files_.remove(index));
  open();
  EXPECT_EQ(values().size(), 30U);
}

// Each bit of the file is flipped in turn, after a clean stop and after a kill. What is read must
// be a prefix of what was acknowledged; if it is not all of it, either damage is reported or the
// part cut was the very last append, of which nothing written later can tell.
TEST_F(EmbeddedLogTest, every_bit_flip_is_reported_or_hits_the_last_append_after_a_kill) {
  const std::vector<std::string> written{"one", "two", "three"};
  for (const auto& value : written) ASSERT_TRUE(append(value));
  const auto size = files_.info(kFirst)->value().size_bytes;
  for (const bool clean : {true, false}) {
    for (std::int64_t at = 0; at < size; ++at) {
      for (int bit = 0; bit < 8; bit += 3) {
        io::FaultyFileSystem files(1);
        auto log = std::move(
            *EmbeddedLog::open(files, clock_, {.directory = "/log", .preallocate_bytes = 0}));
        ASSERT_TRUE(log->create_topic("t", 1));
        for (const auto& value : written)
          ASSERT_TRUE(log->append("t", std::vector<Record>{{"k", value}}));
        if (!clean) files.kill();
        log.reset();
        files.start_again(false);
        files.damage(kFirst, at, static_cast<char>(1 << bit));
        log = std::move(*EmbeddedLog::open(files, clock_, {.directory = "/log"}));
        std::size_t read = 0;
        Result<FetchedRecords> fetched = FetchedRecords{};
        do {
          fetched = log->fetch({"t", 0}, static_cast<Offset>(read), {});
          for (const auto& record : fetched ? fetched->records : std::vector<RecordView>())
            ASSERT_EQ(record.value, written.at(read++));
        } while (fetched && !fetched->records.empty());
        ASSERT_LT(read, written.size());
        const bool reported = !fetched && fetched.error().code == ErrorCode::corrupt;
        EXPECT_TRUE(reported || (!clean && read == 2)) << "byte " << at << " bit " << bit;
        if (!reported) continue;
        const auto report = log->verify("");
        ASSERT_TRUE(report && report->findings.size() == 1);
        EXPECT_TRUE(report->findings[0].is_damage);
        EXPECT_EQ(report->findings[0].offset, static_cast<Offset>(read));
      }
    }
  }
}

TEST_F(EmbeddedLogTest, every_truncation_is_reported_or_cuts_the_last_append_after_a_kill) {
  for (const bool clean : {true, false}) {
    for (std::int64_t cut = 1;; ++cut) {
      io::FaultyFileSystem files(1);
      auto log = std::move(
          *EmbeddedLog::open(files, clock_, {.directory = "/log", .preallocate_bytes = 0}));
      ASSERT_TRUE(log->create_topic("t", 1));
      for (const char* value : {"one", "two", "three"})
        ASSERT_TRUE(log->append("t", std::vector<Record>{{"k", value}}));
      if (!clean) files.kill();
      log.reset();
      files.start_again(false);
      const auto size = files.info(kFirst)->value().size_bytes;
      if (cut > size) break;
      ASSERT_TRUE((*files.open(kFirst, io::OpenMode::write))->truncate(size - cut));
      log = std::move(*EmbeddedLog::open(files, clock_, {.directory = "/log"}));
      // Without a checkpoint a shorter file is all that is known: it is a prefix, cut and counted.
      EXPECT_EQ(log->health().has_value(), !clean);
      const auto appended = log->append("t", std::vector<Record>{{"k", "x"}});
      EXPECT_EQ(appended.has_value(), !clean);
    }
  }
}

TEST_F(EmbeddedLogTest, a_repair_gives_up_what_is_damaged_and_reuses_no_offset) {
  options_.segment_bytes = 400;
  stop_and_open();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(std::to_string(i)));
  log_.reset();
  files_.damage(kFirst, 90, 1);  // offset 1
  std::string last;
  const auto names = files_.list("/log/t/0");
  for (const auto& file : *names)
    if (file.name.ends_with(".segment")) last = "/log/t/0/" + file.name;
  files_.damage(last, 70, 1);
  open();
  EXPECT_EQ(log_->fetch(kWhere, 1, {}).error().code, ErrorCode::corrupt);
  EXPECT_EQ(log_->verify("t")->findings.size(), 2U);
  const auto repaired = log_->repair("t");
  ASSERT_TRUE(repaired) << repaired.error().message;
  EXPECT_EQ(repaired->segments_rewritten, 2);
  EXPECT_EQ(repaired->records_lost, 2);
  for (const bool again : {false, true}) {
    if (again) kill_and_open(true);
    EXPECT_TRUE(log_->health());
    const auto after = log_->fetch(kWhere, 1, {});
    ASSERT_TRUE(after);
    EXPECT_EQ(after->records[0].offset, 2);
    EXPECT_EQ(after->records[0].value, "2");
    EXPECT_EQ(values().size(), again ? 19U : 18U);
    const auto report = log_->verify("t");
    for (const auto& finding : report->findings) EXPECT_FALSE(finding.is_damage);
    EXPECT_EQ((*append("more"))[0].offset, again ? 21 : 20);
  }
  EXPECT_EQ(log_->repair("t")->segments_rewritten, 0);
}

TEST_F(EmbeddedLogTest, a_segment_that_is_gone_is_damage_and_can_be_given_up) {
  ASSERT_TRUE(append("one"));
  ASSERT_TRUE(append("two"));
  log_.reset();
  ASSERT_TRUE(files_.remove(kFirst));
  open();
  EXPECT_EQ(log_->health().error().code, ErrorCode::corrupt);
  EXPECT_EQ(append("x").error().code, ErrorCode::corrupt);
  EXPECT_EQ(log_->repair("t")->records_lost, 2);
  EXPECT_EQ((*append("three"))[0].offset, 2);
  EXPECT_EQ(values(), std::vector<std::string>{"three"});
}

TEST_F(EmbeddedLogTest, times_are_found_after_a_segment_that_was_begun_and_never_written) {
  const Timestamp before = clock_.now();
  ASSERT_TRUE(append("a"));
  ASSERT_TRUE(append("b"));
  log_.reset();
  ASSERT_TRUE(files_.open("/log/t/0/00000000000000000002.segment", io::OpenMode::write));
  open();
  EXPECT_EQ(*log_->offset_at(kWhere, before), 0);
  EXPECT_EQ(*log_->offset_at(kWhere, clock_.now() + 1h), 2);
}

TEST_F(EmbeddedLogTest, an_open_that_a_broken_disk_ended_leaves_no_trace) {
  ASSERT_TRUE(append("one"));
  files_.kill();
  log_.reset();
  files_.start_again(false);
  files_.fail_syncs(1);  // of the tail, which is written again
  ASSERT_FALSE(EmbeddedLog::open(files_, clock_, options_));
  open();
  EXPECT_TRUE(log_->health());
  EXPECT_EQ(values(), std::vector<std::string>{"one"});
}

TEST_F(EmbeddedLogTest, a_full_disk_stops_appends_and_they_go_on_when_there_is_room) {
  ASSERT_TRUE(append("one"));
  const std::int64_t room = 1000;
  files_.set_space_bytes(room);
  Status failed = Ok{};
  int taken = 1;
  while (failed && taken < 100) {
    const auto appended = append("filler");
    if (appended)
      ++taken;
    else
      failed = Error(appended.error());
  }
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  EXPECT_NE(failed.error().message.find("no space left"), std::string::npos);
  EXPECT_NE(failed.error().hint, "");
  EXPECT_FALSE(log_->health());
  EXPECT_FALSE(append("filler"));
  EXPECT_EQ(values().size(), static_cast<std::size_t>(taken));
  files_.set_space_bytes(1 << 30);
  ASSERT_TRUE(append("last"));
  EXPECT_TRUE(log_->health());
  EXPECT_GE(counted("tapeline_msglog_append_errors_total", {{"reason", "disk"}}), 2);
  kill_and_open(true);
  EXPECT_EQ(values().size(), static_cast<std::size_t>(taken + 1));
  EXPECT_EQ(values().back(), "last");
}

TEST_F(EmbeddedLogTest, a_disk_that_works_again_is_found_without_an_append) {
  ASSERT_TRUE(append("one"));
  files_.fail_syncs(2);
  EXPECT_FALSE(append("lost"));
  EXPECT_FALSE(log_->recover());
  EXPECT_FALSE(log_->health());
  EXPECT_TRUE(log_->recover());
  EXPECT_TRUE(log_->health());
  files_.fail_syncs(1);
  files_.set_space_bytes(0);
  EXPECT_FALSE(append("lost as well"));
  EXPECT_FALSE(log_->recover());
  EXPECT_FALSE(log_->health());
  files_.set_space_bytes(1 << 30);
  EXPECT_TRUE(log_->recover());
  ASSERT_TRUE(append("two"));
  kill_and_open(true);
  EXPECT_EQ(values(), (std::vector<std::string>{"one", "two"}));
}

TEST_F(EmbeddedLogTest, after_a_failed_sync_nothing_unsynced_is_believed) {
  ASSERT_TRUE(append("one"));
  files_.fail_syncs(1);
  EXPECT_EQ(append("lost").error().code, ErrorCode::unavailable);
  EXPECT_FALSE(log_->health());
  EXPECT_EQ(values(), std::vector<std::string>{"one"});
  ASSERT_TRUE(append("two"));
  EXPECT_TRUE(log_->health());
  kill_and_open(true);
  EXPECT_EQ(values(), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(log_->verify("")->findings.empty());
}

TEST_F(EmbeddedLogTest, what_a_kill_leaves_unsynced_is_written_again_before_it_is_believed) {
  ASSERT_TRUE(append("one"));
  files_.fail_syncs(1);
  EXPECT_FALSE(append("two"));  // in the kernel's memory, and for clean there
  kill_and_open();
  const auto seen = values();
  kill_and_open(true);
  EXPECT_EQ(values(), seen);
}

TEST_F(EmbeddedLogTest, retention_drops_the_oldest_segments_and_says_where_to_go_on) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(std::to_string(i) + std::string(100, '.')));
  EXPECT_LE(log_->usage().size_bytes, 20'000);
  EXPECT_GT(log_->usage().size_bytes, 15'000);
  EXPECT_FALSE(log_->usage().is_nearly_full);
  const auto earliest = info().earliest;
  EXPECT_GT(earliest, 100);
  const auto gone = log_->fetch(kWhere, earliest - 1, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(gone.error().hint.find(std::to_string(earliest)), std::string::npos);
  EXPECT_EQ(values().size(), static_cast<std::size_t>(300 - earliest));
  kill_and_open(true);
  EXPECT_EQ(info().earliest, earliest);
}

TEST_F(EmbeddedLogTest, who_reads_what_retention_drops_is_told_where_to_go_on) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  while (log_->usage().size_bytes < 19'000) ASSERT_TRUE(append(std::string(100, '.')));
  bool inside = false;
  int looks = 0;
  files_.before_change([&] {
    if (std::exchange(inside, true)) return;
    const Offset earliest = info().earliest;
    const auto fetched = log_->fetch(kWhere, 0, {});
    EXPECT_EQ(bool(fetched), earliest == 0);
    if (!fetched) {
      EXPECT_EQ(fetched.error().code, ErrorCode::invalid_argument) << fetched.error().message;
      EXPECT_NE(fetched.error().hint.find(std::to_string(earliest)), std::string::npos);
    }
    const auto found = log_->offset_at(kWhere, Timestamp(5s));
    EXPECT_TRUE(found) << found.error().message;
    EXPECT_EQ(found ? *found : -1, earliest);
    ++looks;
    inside = false;
  });
  while (info().earliest == 0) ASSERT_TRUE(append(std::string(100, '.')));
  files_.before_change({});
  EXPECT_GT(looks, 3);
}

TEST_F(EmbeddedLogTest, a_segment_that_is_gone_already_does_not_stop_retention) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  while (log_->usage().size_bytes < 19'000) ASSERT_TRUE(append(std::string(100, '.')));
  ASSERT_TRUE(files_.remove(kFirst));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(std::string(100, '.')));
  EXPECT_LE(log_->usage().size_bytes, 20'000);
}

TEST_F(EmbeddedLogTest, a_segment_that_somebody_removed_is_damage) {
  options_.segment_bytes = 2'000;
  stop_and_open();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(std::string(100, '.')));
  ASSERT_TRUE(files_.remove(kFirst));
  EXPECT_EQ(log_->fetch(kWhere, 0, {}).error().code, ErrorCode::corrupt);
  EXPECT_EQ(log_->fetch(kWhere, 3, {}).error().code, ErrorCode::corrupt);
}

TEST_F(EmbeddedLogTest, an_append_that_the_log_can_never_hold_drops_nothing) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(append(std::string(100, '.')));
  const std::vector<Record> records(300, Record{"k", std::string(100, '.')});
  const auto refused = log_->append("t", records);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_NE(refused.error().hint.find("log.retention_bytes"), std::string::npos);
  EXPECT_EQ(info().earliest, 0);
  EXPECT_EQ(counted("tapeline_msglog_append_errors_total", {{"reason", "full"}}), 1);
  ASSERT_TRUE(append("short"));
}

TEST_F(EmbeddedLogTest, appends_that_only_fit_one_after_the_other_go_so) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  const std::vector<Record> records(80, Record{"k", std::string(100, '.')});
  std::latch running(5);
  std::vector<std::thread> others;
  std::atomic<bool> begun = false;
  files_.before_change([&] {  // on the thread of the first append, until it is let go
    if (begun.exchange(true)) return;
    for (int i = 0; i < 4; ++i) {
      others.emplace_back([&] {
        running.count_down();
        const auto appended = log_->append("t", records);
        EXPECT_TRUE(appended) << appended.error().message;
      });
    }
    running.arrive_and_wait();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // they get as far as they can
  });
  EXPECT_TRUE(log_->append("t", records));
  for (auto& other : others) other.join();
  files_.before_change({});
  EXPECT_EQ(info().end, 5 * 80);
}

TEST_F(EmbeddedLogTest, a_hold_keeps_records_until_they_are_committed) {
  options_.size_bytes_max = 20'000;
  options_.segment_bytes = 2'000;
  stop_and_open();
  ASSERT_TRUE(log_->create_topic("other", 1));
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(log_->append("other", std::vector<Record>{{"", std::string(100, 'o')}}));
  ASSERT_TRUE(log_->set_hold("t", "loader"));
  Result<std::vector<Position>> appended = std::vector<Position>{};
  int taken = 0;
  for (; taken < 1000; ++taken) {
    appended = append(std::string(100, '.'));
    if (!appended) break;
  }
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, ErrorCode::unavailable);
  EXPECT_NE(appended.error().message.find("full"), std::string::npos);
  EXPECT_NE(appended.error().hint.find("log.retention_bytes"), std::string::npos);
  EXPECT_FALSE(log_->health());
  EXPECT_TRUE(log_->usage().is_nearly_full);
  // Topics by name: "other", which nobody holds, and "t".
  EXPECT_GT(info(0).earliest, 0);
  EXPECT_EQ(info(1).earliest, 0);
  ASSERT_TRUE(log_->commit("loader", kWhere, taken / 2));
  ASSERT_TRUE(append(std::string(100, '+')));
  EXPECT_TRUE(log_->health());
  EXPECT_GT(info(1).earliest, 0);
  EXPECT_LE(info(1).earliest, taken / 2);
  EXPECT_GE(counted("tapeline_msglog_append_errors_total", {{"reason", "full"}}), 1);
}

TEST_F(EmbeddedLogTest, a_follower_is_woken_by_each_sync) {
  Wakeup appended;
  options_.appended = &appended;
  stop_and_open();
  const auto before = appended.count();
  ASSERT_TRUE(append("one"));
  EXPECT_GT(appended.count(), before);
  log_.reset();
}

// Appenders and readers at once: each appender's records keep their order, readers see every
// record once and only in order, and there are never more syncs than appends.
TEST_F(EmbeddedLogTest, many_threads_append_and_read_at_once) {
  constexpr int kThreads = 4;
  constexpr int kAppends = 100;
  options_.segment_bytes = 20'000;
  stop_and_open();
  const auto syncs_before = files_.syncs();
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread)
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kAppends; ++i)
          if (!append(std::to_string(thread) + ":" + std::to_string(i))) ++failures;
      });
    for (int reader = 0; reader < 2; ++reader)
      threads.emplace_back([&] {
        std::vector<int> next_of(kThreads, 0);
        Offset next = 0;
        while (next < kThreads * kAppends) {
          const auto fetched = log_->fetch(kWhere, next, {.records_max = 7});
          if (!fetched) {
            ++failures;
            return;
          }
          for (const auto& record : fetched->records) {
            const auto thread = static_cast<std::size_t>(record.value[0] - '0');
            if (record.value.substr(2) != std::to_string(next_of[thread]++)) ++failures;
          }
          next = fetched->next;
        }
      });
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(values().size(), static_cast<std::size_t>(kThreads * kAppends));
  // Rolling a segment may sync once more than there are appends.
  EXPECT_LE(files_.syncs() - syncs_before, kThreads * kAppends + 20);
}

TEST_F(EmbeddedLogTest, a_damaged_topic_file_or_group_file_is_named) {
  ASSERT_TRUE(log_->commit("g", kWhere, 1));
  log_.reset();
  files_.damage("/log/__groups/g", 5, 1);
  auto opened = EmbeddedLog::open(files_, clock_, options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  EXPECT_NE(opened.error().message.find("/log/__groups/g"), std::string::npos);
  files_.damage("/log/__groups/g", 5, 1);
  files_.damage("/log/t/topic", 5, 1);
  opened = EmbeddedLog::open(files_, clock_, options_);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("/log/t/topic"), std::string::npos);
}

/// Copies files of the log, each as far as the list says.
void copy_files(io::FileSystem& files, const std::vector<LogFile>& list, const std::string& to) {
  for (const auto& file : list) {
    const auto bytes = *io::read_file(files, "/log/" + file.path);
    ASSERT_GE(std::ssize(bytes), file.size_bytes) << file.path;
    const std::string path = to + "/" + file.path;
    ASSERT_TRUE(io::make_directories(files, path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(io::write_file_atomically(
        files, path, std::string_view(bytes).substr(0, static_cast<std::size_t>(file.size_bytes))));
  }
}

TEST_F(EmbeddedLogTest, a_copy_of_its_files_is_the_log_at_that_time) {
  options_.segment_bytes = 2'000;
  options_.preallocate_bytes = 4'000;
  stop_and_open();
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(append(std::string(100, 'x')));
  };
  add(50);
  const auto first = *log_->files();
  copy_files(files_, first, "/copy");
  add(50);
  const auto second = *log_->files();
  copy_files(files_, second, "/copy");
  add(50);
  ASSERT_TRUE(log_->commit("g", kWhere, 120));
  const auto end = [](const std::vector<LogFile>& list) {
    Offset next = 0;
    for (const auto& file : list) {
      if (!file.records) continue;
      EXPECT_EQ(file.records->first, next) << file.path;
      next = file.records->end;
    }
    return next;
  };
  EXPECT_EQ(end(first), 50);
  EXPECT_EQ(end(second), 100);
  auto options = options_;
  options.directory = "/copy";
  const auto copy = EmbeddedLog::open(files_, clock_, options);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*copy)->topics()->at(0).id, log_->topics()->at(0).id);
  EXPECT_EQ((*copy)->topics()->at(0).partitions.at(0).end, 100);
  EXPECT_FALSE(*(*copy)->committed("g", kWhere));
  const auto report = *(*copy)->verify("");
  EXPECT_EQ(report.records, 100);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_TRUE((*copy)->append("t", std::vector<Record>{{"", "more"}}));
}

}  // namespace
}  // namespace tapeline::msglog
