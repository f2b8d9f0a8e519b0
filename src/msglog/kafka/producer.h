// KafkaProducer: records to a topic, each confirmed by its delivery report.
//
// Idempotent, acks=all: a record that is confirmed stands in the topic once, in the order of its
// key, however often the connection broke meanwhile. Kafka itself gives that up in one case, when
// a broker has lost what it had confirmed: then the producer is dead ("fatal") and a new one is
// made; what was not confirmed is the caller's again.

#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "msglog/kafka/client.h"
#include "msglog/message_log.h"

namespace tapeline::msglog {

/// threads:  any
/// lifetime: clock and state outlive it
class KafkaProducer {
 public:
  /// errors: invalid_argument (a setting)
  static Result<std::unique_ptr<KafkaProducer>> make(Clock& clock, KafkaState& state,
                                                     KafkaSettings settings);

  /// Sends `records` and waits for their reports; positions in the order of the records.
  /// errors: as MessageLog::append; after one, some of the records may be in the topic
  Result<std::vector<Position>> append(const std::string& topic, std::span<const Record> records);

  /// The handle, for questions that need one; made anew if it is dead.
  Result<std::shared_ptr<KafkaClient>> client();

 private:
  KafkaProducer(Clock& clock, KafkaState& state, KafkaSettings settings)
      : clock_(clock), state_(state), settings_(std::move(settings)) {}
  Result<std::shared_ptr<KafkaClient>> make_client();

  Clock& clock_;
  KafkaState& state_;
  const KafkaSettings settings_;
  std::mutex mutex_;
  std::shared_ptr<KafkaClient> client_;
};

}  // namespace tapeline::msglog
