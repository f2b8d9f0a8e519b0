#include "msglog/kafka/producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>

#include "msglog/kafka/handles.h"

namespace tapeline::msglog {
namespace {

constexpr int kFlushMs = 1;

/// What is sent at once: less than a batch, which is 10,000 records or 1,000,000 bytes.
///
/// why: an idempotent producer of librdkafka has one request under way in a partition. While more
///      records are due it asks in a busy loop, all of a core, whether the next may go. Those that
///      are below a batch and younger than linger.ms are not due, so the next share is handed over
///      meanwhile and sent when the one before has arrived.
constexpr std::size_t kShareRecords = 5'000;
constexpr std::size_t kShareBytes = 900'000;
constexpr std::size_t kRecordBytes = 16;  // of a record beside its key and value, about

/// How many of `records`, at least one, are the next share.
std::size_t share_of(std::span<const Record> records) {
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < std::min(records.size(), kShareRecords); ++count) {
    bytes += records[count].key.size() + records[count].value.size() + kRecordBytes;
    if (bytes > kShareBytes && count > 0) break;
  }
  return count;
}

/// A share of an append: what it waits for.
struct Delivery {
  std::atomic<std::size_t> missing = 0;  // reports
  std::mutex mutex;
  std::condition_variable done;
  bool is_done = false;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

  /// The reports of `count` records. After the last of all nothing of this may be touched.
  void report(rd_kafka_resp_err_t its, std::size_t count = 1) {
    if (its != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::lock_guard lock(mutex);
      // The first says most: those after it may just have been purged with it.
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = its;
    }
    if (missing.fetch_sub(count) != count) return;
    std::lock_guard lock(mutex);
    is_done = true;
    done.notify_all();
  }

  rd_kafka_resp_err_t wait() {
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return is_done; });
    return error;
  }
};

/// What a record's report is to fill; librdkafka carries its address.
struct Slot {
  Delivery* delivery = nullptr;
  Position position;
};

void deliver(const rd_kafka_message_t& message) {
  auto* const slot = static_cast<Slot*>(message._private);
  if (!slot) return;
  slot->position = {message.partition, message.offset};
  slot->delivery->report(message.err);
}

/// Hands `records` over, each with its slot.
void hand_over(Clock& clock, rd_kafka_topic_s& topic, std::span<const Record> records,
               std::span<Slot> slots, Delivery& delivery) {
  // The bytes stay the caller's: nobody leaves before every report has come.
  std::vector<rd_kafka_message_t> messages(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& [key, value] = records[i];
    rd_kafka_message_t& message = messages[i];
    message.key = key.empty() ? nullptr : const_cast<char*>(key.data());
    message.key_len = key.size();
    message.payload = const_cast<char*>(value.data());
    message.len = value.size();
    slots[i].delivery = &delivery;
    message._private = &slots[i];
  }
  delivery.missing = records.size();
  for (auto left = std::span(messages); !left.empty();) {
    rd_kafka_produce_batch(&topic, RD_KAFKA_PARTITION_UA, 0, left.data(),
                           static_cast<int>(left.size()));
    const auto is_refused = [](const auto& one) { return one.err != RD_KAFKA_RESP_ERR_NO_ERROR; };
    left = left.subspan(
        static_cast<std::size_t>(std::ranges::find_if(left, is_refused) - left.begin()));
    if (left.empty()) break;
    if (left[0].err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      // What refuses one refuses all: none of these is on its way.
      delivery.report(left[0].err,
                      static_cast<std::size_t>(std::ranges::count_if(left, is_refused)));
      break;
    }
    // Whatever stands in librdkafka's queue leaves it within message.timeout.ms.
    clock.wait_for(std::chrono::milliseconds(1), {});
  }
}

}  // namespace

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::make(Clock& clock, KafkaState& state,
                                                           KafkaSettings settings) {
  auto producer =
      std::unique_ptr<KafkaProducer>(new KafkaProducer(clock, state, std::move(settings)));
  producer->client_ = TRY(producer->make_client());
  return producer;
}

Result<std::shared_ptr<KafkaClient>> KafkaProducer::make_client() {
  auto made = TRY(KafkaClient::make(KafkaClient::Kind::producer, settings_, state_, &deliver));
  return std::shared_ptr<KafkaClient>(std::move(made));
}

Result<std::shared_ptr<KafkaClient>> KafkaProducer::client() {
  std::lock_guard lock(mutex_);
  // Those who still wait for reports of the dead one hold it until they have them.
  if (client_->fatal()) client_ = TRY(make_client());
  return client_;
}

Result<std::vector<Position>> KafkaProducer::append(const std::string& topic,
                                                    std::span<const Record> records) {
  const auto client = TRY(this->client());
  const std::string what = fmt::format("appending to '{}'", topic);
  for (const Record& record : records) {
    // Before any is sent: one in the middle would be left out, and those behind it would not.
    if (record.key.size() + record.value.size() <= client->message_bytes_max()) continue;
    return kafka_error(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, what);
  }
  const Topic handle(rd_kafka_topic_new(client->handle(), topic.c_str(), nullptr));
  if (!handle) return kafka_error(rd_kafka_last_error(), what);
  std::vector<Slot> slots(records.size());
  std::deque<Delivery> shares;  // they do not move: reports come to them
  auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
  const auto note = [&](rd_kafka_resp_err_t its) {
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = its;
  };
  for (std::size_t at = 0; at < records.size() && error == RD_KAFKA_RESP_ERR_NO_ERROR;) {
    const std::size_t count = share_of(records.subspan(at));
    hand_over(clock_, *handle, records.subspan(at, count), std::span(slots).subspan(at, count),
              shares.emplace_back());
    at += count;
    if (shares.size() > 1) note(shares[shares.size() - 2].wait());
    // Nothing comes behind these that lingering could wait for: librdkafka sends at once while
    // somebody flushes. How that ends is the reports' to say; others' records may be under way.
    rd_kafka_flush(client->handle(), kFlushMs);
  }
  note(shares.back().wait());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    state_.probe.append_errors.add();
    return kafka_error(error, what, client->fatal().value_or(state_.last_error()));
  }
  state_.note_answer();
  state_.probe.records_appended.add(static_cast<std::int64_t>(records.size()));
  std::vector<Position> positions;
  positions.reserve(slots.size());
  for (const Slot& slot : slots) positions.push_back(slot.position);
  return positions;
}

}  // namespace tapeline::msglog
