#include "msglog/kafka/reader.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "msglog/kafka/handles.h"

namespace tapeline::msglog {
namespace {

constexpr std::size_t kLanesMax = 12;
constexpr std::size_t kMessagesAtOnce = 1024;
constexpr int kWaitMs = 100;
constexpr Duration kIdleMax = std::chrono::minutes(1);
constexpr Duration kLeftAfter = std::chrono::seconds(10);  // nobody reads on here, most likely
constexpr std::size_t kAheadWorthWaking = 10'000;
constexpr int kWakeMs = 100;

void wake(rd_kafka_t*, void* wakeup) { static_cast<Wakeup*>(wakeup)->notify(); }

}  // namespace

/// A handle of librdkafka with its places.
struct KafkaReader::Lane {
  std::unique_ptr<KafkaClient> client;
  std::map<std::pair<std::string, std::int32_t>, std::unique_ptr<Cursor>> cursors;
};

/// A place in a partition.
/// threads: one at a time, that which has set `busy`
struct KafkaReader::Cursor {
  Cursor(std::shared_ptr<Lane> its_lane, const std::string& topic, std::int32_t its_partition)
      : lane(its_lane),
        handle(its_lane->client->handle()),
        topic_handle(rd_kafka_topic_new(handle, topic.c_str(), nullptr)),
        partition(its_partition) {}
  ~Cursor() { stop(); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  bool start(Offset from, Wakeup* appended) {
    stop();
    queue.reset(rd_kafka_queue_new(handle));
    if (rd_kafka_consume_start_queue(topic_handle.get(), partition, from, queue.get()) != 0) {
      queue.reset();
      return false;
    }
    if (appended) rd_kafka_queue_cb_event_enable(queue.get(), &wake, appended);
    position = from;
    return true;
  }

  void stop() {
    carried.clear();
    if (!queue) return;
    rd_kafka_queue_cb_event_enable(queue.get(), nullptr, nullptr);
    rd_kafka_consume_stop(topic_handle.get(), partition);
    queue.reset();
  }

  /// Takes what librdkafka has; waits for the first of it if `wait_ms` says so.
  void fill(int wait_ms) {
    rd_kafka_message_t* messages[kMessagesAtOnce];
    ssize_t count = rd_kafka_consume_batch_queue(queue.get(), 0, messages, kMessagesAtOnce);
    if (count <= 0 && wait_ms > 0) {
      messages[0] = rd_kafka_consume_queue(queue.get(), wait_ms);
      count = messages[0] ? 1 : 0;
    }
    for (ssize_t i = 0; i < count; ++i) carried.emplace_back(messages[i]);
  }

  /// Whether reading on from here gives what stands from `from` on: offsets between the two may
  /// hold no record.
  bool stands_at(Offset from) {
    if (!queue) return false;
    if (position < from) {
      if (carried.empty()) fill(0);
      const auto error = carried.empty() ? RD_KAFKA_RESP_ERR__STATE : carried.front()->err;
      const bool is_place =
          error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__PARTITION_EOF;
      if (is_place && carried.front()->offset >= from) position = from;
    }
    return position == from;
  }

  /// Has librdkafka fetch on once half of what it had ahead is taken.
  ///
  /// why: before 2.2 (there it is fetch.queue.backoff.ms) it sleeps a whole second when its queue
  ///      is full, in which the queue runs empty; any request wakes it. Where all up to the end is
  ///      here, a request would wait behind the fetch that waits for more.
  void keep_ahead(Offset known_end) {
    const std::size_t ahead = rd_kafka_queue_length(queue.get());
    ahead_most = std::max(ahead_most, ahead);
    if (ahead_most < kAheadWorthWaking || ahead > ahead_most / 2) return;
    ahead_most = ahead;
    if (position + std::ssize(carried) + static_cast<Offset>(ahead) >= known_end) return;
    std::int64_t first = 0;
    std::int64_t end = 0;
    rd_kafka_query_watermark_offsets(handle, rd_kafka_topic_name(topic_handle.get()), partition,
                                     &first, &end, kWakeMs);
  }

  const std::weak_ptr<Lane> lane;
  rd_kafka_t* const handle;
  const Topic topic_handle;
  const std::int32_t partition;
  Queue queue;
  std::deque<Message> carried;  // taken from the queue, not given yet
  std::size_t ahead_most = 0;   // in the queue, since it was last woken
  Offset position = 0;          // of the next record to give
  bool busy = false;
  Duration used_at{};
};

/// Records that somebody looks at; their handle lives as long.
struct KafkaReader::Fetched {
  std::shared_ptr<Lane> lane;
  std::vector<Message> messages;
};

KafkaReader::KafkaReader(const Clock& clock, KafkaState& state, KafkaSettings settings,
                         Wakeup* appended)
    : clock_(clock), state_(state), settings_(std::move(settings)), appended_(appended) {}

KafkaReader::~KafkaReader() {
  for (const auto& lane : lanes_) lane->cursors.clear();
}

Result<std::shared_ptr<KafkaReader::Lane>> KafkaReader::make_lane() {
  auto lane = std::make_shared<Lane>();
  lane->client = TRY(KafkaClient::make(KafkaClient::Kind::consumer, settings_, state_));
  lanes_.push_back(lane);
  return lane;
}

/// A place to read from, marked busy: one that stands at `start` already, else one that is free,
/// else that which was left longest ago. A look at a single record has a lane of its own, so that
/// nobody who reads on loses his place.
Result<KafkaReader::Cursor*> KafkaReader::take(const std::string& topic, std::int32_t partition,
                                               Offset start, bool look) {
  std::lock_guard lock(mutex_);
  const std::pair place{topic, partition};
  if (lanes_.empty()) TRY_STATUS(make_lane());
  const auto cursor_in = [&](const Lane& lane) -> Cursor* {
    const auto found = lane.cursors.find(place);
    return found == lane.cursors.end() ? nullptr : found->second.get();
  };
  Cursor* chosen = nullptr;
  Cursor* longest_left = nullptr;
  std::shared_ptr<Lane> unused;
  if (look) {
    chosen = cursor_in(*lanes_[0]);
    if (!chosen) unused = lanes_[0];
    if (chosen && chosen->busy) chosen = nullptr;
  }
  const bool is_found = chosen || unused;
  for (std::size_t i = 1; i < lanes_.size() && !is_found; ++i) {
    Cursor* const cursor = cursor_in(*lanes_[i]);
    if (!cursor && !unused) unused = lanes_[i];
    if (!cursor || cursor->busy) continue;
    if (!look && cursor->stands_at(start)) {
      cursor->busy = true;
      return cursor;
    }
    if (!longest_left || cursor->used_at < longest_left->used_at) longest_left = cursor;
  }
  const bool idle = longest_left && clock_.uptime() - longest_left->used_at > kLeftAfter;
  if (!chosen && idle) chosen = longest_left;
  if (!chosen && !unused && lanes_.size() < kLanesMax) unused = TRY(make_lane());
  if (!chosen && !unused) chosen = longest_left;
  if (!chosen && !unused) {
    return Error{ErrorCode::unavailable, "too many places of one partition are read at once",
                 "It works again when one of the readers has ended."};
  }
  if (!chosen) {
    auto made = std::make_unique<Cursor>(unused, topic, partition);
    chosen = made.get();
    unused->cursors.insert_or_assign(place, std::move(made));
  }
  if (!chosen->start(start, look ? nullptr : appended_)) {
    return kafka_error(rd_kafka_last_error(), fmt::format("reading '{}'", topic));
  }
  chosen->busy = true;
  return chosen;
}

void KafkaReader::give_back(Cursor& cursor, bool broken) {
  std::lock_guard lock(mutex_);
  if (broken) cursor.stop();
  cursor.busy = false;
  cursor.used_at = clock_.uptime();
}

void KafkaReader::close_idle() {
  std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    std::erase_if(lane->cursors, [&](const auto& entry) {
      return !entry.second->busy && clock_.uptime() - entry.second->used_at > kIdleMax;
    });
  }
  while (lanes_.size() > 1 && lanes_.back()->cursors.empty()) lanes_.pop_back();
}

Result<FetchedRecords> KafkaReader::fetch(const std::string& topic, std::int32_t partition,
                                          Offset start, Offset known_end,
                                          const FetchLimits& limits) {
  const bool look = limits.records_max == 1;
  Cursor* const cursor = TRY(take(topic, partition, start, look));
  auto fetched = read(*cursor, known_end, limits);
  give_back(*cursor, look || !fetched);
  if (!fetched) return Error(fetched.error()).while_doing(fmt::format("reading '{}'", topic));
  return fetched;
}

Result<FetchedRecords> KafkaReader::read(Cursor& cursor, Offset known_end,
                                         const FetchLimits& limits) {
  auto memory = std::make_shared<Fetched>();
  memory->lane = cursor.lane.lock();
  FetchedRecords fetched;
  const Offset start = cursor.position;
  std::int64_t bytes = 0;
  const auto waits_max = limits.wait_max / std::chrono::milliseconds(kWaitMs);
  for (std::int64_t waits = 0;;) {
    if (cursor.carried.empty()) {
      const bool wait = waits_max > 0 && fetched.records.empty() && cursor.position < known_end;
      if (wait && waits++ == waits_max) {
        return Error{ErrorCode::timed_out,
                     fmt::format("no broker gave offset {} of partition {}: {}", cursor.position,
                                 cursor.partition, state_.last_error()),
                     "`tapeline doctor` tries the brokers."};
      }
      cursor.fill(wait ? kWaitMs : 0);
      if (rd_kafka_version() < 0x02020000) cursor.keep_ahead(known_end);
      if (cursor.carried.empty()) {
        if (wait) continue;
        break;
      }
    }
    const Message& first = cursor.carried.front();
    if (first->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const auto error = first->err;
      const std::string text = rd_kafka_message_errstr(first.get());
      const Offset offset = first->offset;
      cursor.carried.pop_front();
      if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        // Offsets that hold no record, as the marks of transactions, are passed by.
        cursor.position = std::max(cursor.position, offset);
        continue;
      }
      if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        return Error{
            ErrorCode::invalid_argument,
            fmt::format("there is no offset {} in partition {}", cursor.position, cursor.partition),
            ""};
      }
      const Error its = kafka_error(error, "a broker", text);
      if (!its.retryable()) return its;
      state_.note_error(text, false);
      continue;
    }
    const auto size = static_cast<std::int64_t>(first->len + first->key_len);
    if (!fetched.records.empty()) {
      // Offsets count, not records: who reads a range stands at its end then, where he reads on,
      // though the last offsets of it hold no record.
      if (first->offset - start >= limits.records_max) {
        cursor.position = std::max(cursor.position, start + limits.records_max);
        break;
      }
      if (bytes + size > limits.bytes_max) break;
    }
    bytes += size;
    const auto& message = memory->messages.emplace_back(std::move(cursor.carried.front()));
    cursor.carried.pop_front();
    cursor.position = message->offset + 1;
    rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const std::int64_t stamp_ms =
        std::max<std::int64_t>(0, rd_kafka_message_timestamp(message.get(), &kind));
    fetched.records.push_back({message->offset,
                               Timestamp(std::chrono::milliseconds(stamp_ms)),
                               {static_cast<const char*>(message->key), message->key_len},
                               {static_cast<const char*>(message->payload), message->len}});
  }
  fetched.next = cursor.position;
  // No sign that a broker is there: they may have come long ago.
  state_.probe.records_fetched.add(std::ssize(fetched.records));
  fetched.memory = std::move(memory);
  return fetched;
}

}  // namespace tapeline::msglog
