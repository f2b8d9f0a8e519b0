// World: one machine with one tapeline on it, all parts on the caller's thread, and what can happen
// to both.
//
// The log is on a FaultyFileSystem. DuckDB and SQLite write real files, in a scratch folder that
// has the same path: a crash is a copy of those files as they are at that instant, put back when
// the old process is gone. Every reading of the clock and every change of a file is a moment; a
// crash can be armed to come at the n-th from now, in the middle of whatever is going on.

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "app/pipeline.h"
#include "app/up_status.h"
#include "exchange.h"
#include "ingest/producer.h"
#include "io/faulty_file_system.h"
#include "model.h"
#include "serve/api.h"
#include "sim_clock.h"

namespace tapeline::sim {

/// Tells the model of each record that the log acknowledges.
class WatchedLog final : public msglog::MessageLog {
 public:
  WatchedLog(msglog::MessageLog& log, Model& model) : log_(log), model_(model) {}

  Result<std::vector<msglog::Position>> append(const std::string& topic,
                                               std::span<const msglog::Record> records) override;
  Status create_topic(const std::string& name, std::int32_t partitions) override {
    return log_.create_topic(name, partitions);
  }
  Result<std::vector<msglog::TopicInfo>> topics() override { return log_.topics(); }
  Result<msglog::FetchedRecords> fetch(const msglog::TopicPartition& from, Offset start,
                                       msglog::FetchLimits limits) override {
    return log_.fetch(from, start, limits);
  }
  Result<Offset> offset_at(const msglog::TopicPartition& from, Timestamp at) override {
    return log_.offset_at(from, at);
  }
  Status commit(const std::string& group, const msglog::TopicPartition& at, Offset next) override {
    return log_.commit(group, at, next);
  }
  Result<std::optional<Offset>> committed(const std::string& group,
                                          const msglog::TopicPartition& at) override {
    return log_.committed(group, at);
  }
  Result<std::vector<msglog::GroupOffset>> groups(const std::string& topic) override {
    return log_.groups(topic);
  }

 private:
  msglog::MessageLog& log_;
  Model& model_;
};

class World {
 public:
  struct Options {
    std::uint64_t seed = 0;
    std::filesystem::path folder;  // for the files of DuckDB and SQLite; made and removed
    bool simulated = false;
    std::int64_t segment_bytes = 0;
  };
  explicit World(Options options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// What one process has open, in the order in which it opens it.
  struct Process {
    telemetry::Metrics metrics;
    Wakeup appended;
    NobodyAside aside;
    std::unique_ptr<app::Pipeline> pipeline;
    std::unique_ptr<WatchedLog> log;
    std::unique_ptr<app::UpStatus> status;
    std::unique_ptr<serve::Api> api;
    std::unique_ptr<serve::Backend> backend;
    std::unique_ptr<warehouse::Connection> connection;  // the checks' own
    std::unique_ptr<feeds::Feed> feed;
    std::unique_ptr<ingest::ProducerProbe> probe;
    std::unique_ptr<ingest::Producer> producer;
  };

  /// Starts the program.
  /// errors: those of its parts; it is not running then
  Status start();

  /// Ends it as SIGTERM would.
  void stop();

  /// Ends it as SIGKILL would, or with the machine. Nothing that it does from now on stays.
  void crash(bool machine_went_down);

  /// Crashes at the n-th moment from now.
  void crash_at(std::int64_t moments, bool machine_went_down);

  /// Calls `what` at the n-th reading of the clock from now, once.
  void call_at(std::int64_t readings, std::function<void()> what);
  void disarm();

  /// Whether it crashed: what it says is of no interest then. bury() makes way for a start.
  bool crashed() const { return crashed_; }
  void bury();

  bool running() const { return process_ != nullptr; }
  Process& process() { return *process_; }

  void stop_feed();

  Problems problems;
  SimClock clock;
  io::FaultyFileSystem files;
  std::shared_ptr<const Calendar> calendar;
  Model model;
  Exchange exchange;

 private:
  void moment(bool is_reading);
  Status start_parts(Process& process);
  void make_feed(Process& process);
  void copy_files();
  std::int64_t wal_bytes(const char* name) const;

  const Options options_;
  Rng rng_;
  std::unique_ptr<Process> process_;
  std::int64_t moments_left_ = 0;
  bool armed_for_machine_ = false;
  std::int64_t readings_left_ = 0;
  std::function<void()> at_reading_;
  std::map<std::string, std::int64_t> wal_bytes_before_;  // at the moment before the crash
  bool crashed_ = false;
  bool machine_went_down_ = false;
};

}  // namespace tapeline::sim
