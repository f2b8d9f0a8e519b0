// How fast the embedded log appends and is read, next to what the disk's fdatasync allows.
//
// Every append is synced before it is counted. The disk measured is that of the current folder.

#include <benchmark/benchmark.h>

#include "msglog/embedded/embedded_log.h"

namespace tapeline::msglog {
namespace {

constexpr std::size_t kValueBytes = 137;

const std::string kDirectory = "./bench_msglog";

/// A log in an empty folder, with one topic.
struct Fixture {
  Fixture() {
    static_cast<void>(io::remove_all(*files, kDirectory).has_value());
    auto opened = EmbeddedLog::open(*files, *clock, {.directory = kDirectory});
    log = *std::move(opened);
    static_cast<void>(log->create_topic("prices", 1).has_value());
  }
  ~Fixture() {
    log.reset();
    static_cast<void>(io::remove_all(*files, kDirectory).has_value());
  }
  std::unique_ptr<io::FileSystem> files = io::make_file_system();
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<EmbeddedLog> log;
};

std::vector<Record> batch(std::int64_t records) {
  return std::vector<Record>(static_cast<std::size_t>(records),
                             Record{"AAPL", std::string(kValueBytes, 'x')});
}

void append(benchmark::State& state) {
  Fixture fixture;
  const auto records = batch(state.range(0));
  for (auto _ : state) {
    const auto appended = fixture.log->append("prices", records);
    if (!appended) state.SkipWithError(appended.error().message.c_str());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(append)->Arg(1)->Arg(100)->Arg(1000)->Arg(10'000)->UseRealTime();

/// The floor of append/1: one small write and fdatasync into room reserved beforehand.
void fdatasync_floor(benchmark::State& state) {
  const auto files = io::make_file_system();
  const auto path = kDirectory + ".floor";
  {
    const auto file = std::move(*files->open(path, io::OpenMode::write));
    static_cast<void>(file->preallocate(64 << 20).has_value());
    const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
    std::int64_t position = 0;
    for (auto _ : state) {
      const bool written = file->write_at(position, bytes) && file->sync_data();
      if (!written) state.SkipWithError("the disk failed");
      position = (position + state.range(0)) % (48 << 20);
    }
  }
  static_cast<void>(files->remove(path).has_value());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(fdatasync_floor)->Arg(217)->Arg(1'490'000)->UseRealTime();

void fetch(benchmark::State& state) {
  Fixture fixture;
  const auto records = batch(10'000);
  for (int i = 0; i < 100; ++i)
    static_cast<void>(fixture.log->append("prices", records).has_value());
  Offset next = 0;
  std::int64_t fetched_records = 0;
  for (auto _ : state) {
    auto fetched = fixture.log->fetch({"prices", 0}, next, {.records_max = state.range(0)});
    if (!fetched) {
      state.SkipWithError(fetched.error().message.c_str());
      break;
    }
    fetched_records += std::ssize(fetched->records);
    next = fetched->records.empty() ? 0 : fetched->next;
    benchmark::DoNotOptimize(fetched->records.data());
  }
  state.SetItemsProcessed(fetched_records);
}
BENCHMARK(fetch)->Arg(100)->Arg(10'000)->UseRealTime();

/// Append one record and read it back, as a follower at the tail does.
void append_and_follow(benchmark::State& state) {
  Fixture fixture;
  const auto record = batch(1);
  Offset next = 0;
  for (auto _ : state) {
    const bool appended = fixture.log->append("prices", record).has_value();
    const auto fetched = fixture.log->fetch({"prices", 0}, next, {});
    if (!appended || !fetched || fetched->records.size() != 1) {
      state.SkipWithError("the record did not come back");
      break;
    }
    next = fetched->next;
  }
}
BENCHMARK(append_and_follow)->UseRealTime();

}  // namespace
}  // namespace tapeline::msglog

BENCHMARK_MAIN();
