// KafkaReader: places in partitions that are read on from, each with what librdkafka has fetched
// ahead of it.
//
// A handle of librdkafka (a lane) reads each partition at one place only. Who reads on from where
// an earlier read ended gets the same lane, so the live path and the loader do not disturb each
// other; there are as many lanes as there are places read at once in one partition. Nobody joins
// a consumer group: offsets are assigned by hand.

#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/wakeup.h"
#include "msglog/kafka/client.h"
#include "msglog/message_log.h"

namespace tapeline::msglog {

/// threads:  any
/// lifetime: clock, state and wakeup outlive it, and what it gave
class KafkaReader {
 public:
  KafkaReader(const Clock& clock, KafkaState& state, KafkaSettings settings, Wakeup* appended);
  ~KafkaReader();

  /// What stands in a partition from `start` on.
  ///
  /// blocks:  not at `known_end` or past it; below it, until something of it has come,
  ///          `limits.wait_max` at most
  /// errors:  invalid_argument (the topic does not hold that offset), not_found, timed_out
  Result<FetchedRecords> fetch(const std::string& topic, std::int32_t partition, Offset start,
                               Offset known_end, const FetchLimits& limits);

  /// Lets go of places that nobody has read from for a minute.
  void close_idle();

 private:
  struct Lane;
  struct Cursor;
  struct Fetched;

  Result<std::shared_ptr<Lane>> make_lane();
  Result<Cursor*> take(const std::string& topic, std::int32_t partition, Offset start, bool look);
  void give_back(Cursor& cursor, bool broken);
  Result<FetchedRecords> read(Cursor& cursor, Offset known_end, const FetchLimits& limits);

  const Clock& clock_;
  KafkaState& state_;
  const KafkaSettings settings_;
  Wakeup* const appended_;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Lane>> lanes_;  // the first is for looks at single records
};

}  // namespace tapeline::msglog
