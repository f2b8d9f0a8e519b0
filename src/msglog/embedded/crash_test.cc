// Goal: whatever crashes, fills up or fails, what was acknowledged is there afterwards, in order,
// at its offset; what was never offered is not; and none of it is taken for damage.
// Method: a seed plays some hundred appends, reads, commits, full disks, failed syncs, kills and
// power cuts, between appends and in the middle of them, against a log of tiny segments on a
// FaultyFileSystem, and a model checks each read.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/rng.h"
#include "io/faulty_file_system.h"
#include "msglog/embedded/embedded_log.h"

namespace tapeline::msglog {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t kPartitions = 2;

class Play {
 public:
  explicit Play(std::uint64_t seed) : rng_(seed), files_(seed) {
    files_.before_change([this] {
      if (changes_to_kill_ == 0 || --changes_to_kill_ > 0) return;
      files_.kill();
      killed_ = true;
    });
  }

  void run(int steps) {
    open();
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
    files_.set_space_bytes(1 << 30);
    files_.fail_syncs(0);
    changes_to_kill_ = 0;
    restart(false);
    check();
    EXPECT_GT(acknowledged_, 0);
  }

 private:
  void open() {
    files_.set_space_bytes(1 << 30);
    files_.fail_syncs(0);
    auto opened =
        EmbeddedLog::open(files_, clock_,
                          {.directory = "/data/log",
                           .seed = rng_.next(),
                           .segment_bytes = 600,
                           .preallocate_bytes = static_cast<std::int64_t>(rng_.below(2) * 300)});
    if (killed_) return restart(rng_.below(2) == 0);
    ASSERT_TRUE(opened) << opened.error().message;
    log_ = *std::move(opened);
    if (log_->topics()->empty()) {
      EXPECT_EQ(acknowledged_, 0);
      const auto created = log_->create_topic("t", kPartitions);
      if (killed_) return restart(rng_.below(2) == 0);
      ASSERT_TRUE(created) << created.error().message;
    }
  }

  void restart(bool machine_went_down) {
    files_.kill();
    log_.reset();
    files_.start_again(machine_went_down);
    killed_ = false;
    if (rng_.below(3) > 0) changes_to_kill_ = 0;
    open();
    check();
  }

  void step() {
    clock_.advance(std::chrono::milliseconds(rng_.below(10)));
    if (killed_) return restart(rng_.below(2) == 0);
    switch (rng_.below(24)) {
      case 0:
        return restart(true);
      case 1:
        return restart(false);
      case 2:
        log_.reset();
        return open();  // stopped as it should be
      case 3:
        return files_.fail_syncs(static_cast<int>(rng_.below(3)));
      case 4:
        return files_.set_space_bytes(static_cast<std::int64_t>(rng_.below(30'000)));
      case 5:
        return files_.set_space_bytes(1 << 30);
      case 6:
        return check();
      case 7:
        return commit();
      case 8:
        changes_to_kill_ = 1 + static_cast<int>(rng_.below(12));
        return;
      default:
        return append();
    }
  }

  void append() {
    std::vector<Record> records;
    const auto count = 1 + rng_.below(rng_.below(8) == 0 ? 20 : 3);
    for (std::uint64_t i = 0; i < count; ++i)
      records.push_back({std::to_string(rng_.below(5)),
                         std::to_string(next_value_++) + std::string(rng_.below(60), '.')});
    for (const auto& record : records) offered_.insert(record.value);
    const auto positions = log_->append("t", records);
    if (!positions) {
      EXPECT_EQ(positions.error().code, ErrorCode::unavailable) << positions.error().message;
      EXPECT_TRUE(killed_ || !log_->health());
      return;
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
      ++acknowledged_;
      know((*positions)[i].partition, (*positions)[i].offset, records[i].value);
    }
  }

  void commit() {
    const auto next = static_cast<Offset>(rng_.below(1000));
    attempted_.insert(next);
    if (log_->commit("g", {"t", 0}, next)) attempted_ = {next};
  }

  void know(std::int32_t partition, Offset offset, std::string_view value) {
    EXPECT_TRUE(offered_.contains(std::string(value))) << "nobody appended " << value;
    const auto [entry, fresh] = known_[partition].emplace(offset, value);
    EXPECT_EQ(entry->second, value) << "partition " << partition << " offset " << offset;
  }

  /// Reads everything; what was seen once stays for good.
  void check() {
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
      Offset next = 0;
      Timestamp at;
      while (true) {
        const auto fetched = log_->fetch(
            {"t", partition}, next, {.records_max = static_cast<std::int64_t>(1 + rng_.below(30))});
        if (killed_) return restart(rng_.below(2) == 0);
        ASSERT_TRUE(fetched) << fetched.error().message;
        if (fetched->records.empty()) break;
        for (const auto& record : fetched->records) {
          EXPECT_EQ(record.offset, next++);
          EXPECT_GE(record.appended_at, at);
          at = record.appended_at;
          know(partition, record.offset, record.value);
        }
      }
      const auto& known = known_[partition];
      EXPECT_GE(next, known.empty() ? 0 : known.rbegin()->first + 1);
    }
    const auto report = log_->verify("");
    if (killed_) return restart(rng_.below(2) == 0);
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& finding : report->findings) EXPECT_FALSE(finding.is_damage) << finding.what;
    const auto committed = log_->committed("g", {"t", 0});
    if (killed_) return restart(rng_.below(2) == 0);
    ASSERT_TRUE(committed);
    if (*committed) {
      EXPECT_TRUE(attempted_.contains(**committed));
      attempted_ = {**committed};
    } else {
      EXPECT_FALSE(was_committed_);
    }
    was_committed_ = committed->has_value();
  }

  Rng rng_;
  io::FaultyFileSystem files_;
  ManualClock clock_{Timestamp(1'700'000'000s)};
  std::unique_ptr<EmbeddedLog> log_;
  int changes_to_kill_ = 0;  // so many writes, syncs and changes of a name from now; 0: not
  bool killed_ = false;
  int next_value_ = 0;
  std::int64_t acknowledged_ = 0;
  std::set<std::string> offered_;
  std::map<std::int32_t, std::map<Offset, std::string>> known_;
  std::set<Offset> attempted_;  // commits, of which any may be the one that counts
  bool was_committed_ = false;
};

TEST(EmbeddedLogCrash, nothing_acknowledged_is_lost_whatever_goes_wrong) {
  for (std::uint64_t seed = 0; seed < 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Play(seed).run(300);
  }
}

}  // namespace
}  // namespace tapeline::msglog
