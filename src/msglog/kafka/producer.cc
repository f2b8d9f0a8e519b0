#include "msglog/kafka/producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <condition_variable>

#include "msglog/kafka/handles.h"

namespace tapeline::msglog {
namespace {

constexpr int kFlushMs = 1;

/// One append: what it waits for.
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
  const auto now = std::chrono::floor<std::chrono::milliseconds>(clock_.now()).time_since_epoch();
  Delivery delivery;
  delivery.missing = records.size();
  std::vector<Slot> slots(records.size());
  // By name each record would look it up, under a lock that librdkafka's threads use, too.
  const Topic handle(rd_kafka_topic_new(client->handle(), topic.c_str(), nullptr));
  if (!handle) return kafka_error(rd_kafka_last_error(), fmt::format("appending to '{}'", topic));
  for (std::size_t i = 0; i < records.size(); ++i) {
    slots[i].delivery = &delivery;
    const Record& record = records[i];
    // The bytes stay the caller's: nobody leaves before every report has come.
    const auto send = [&] {
      return rd_kafka_producev(
          client->handle(), RD_KAFKA_V_RKT(handle.get()),
          RD_KAFKA_V_KEY(record.key.empty() ? nullptr : record.key.data(), record.key.size()),
          RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
          RD_KAFKA_V_TIMESTAMP(now.count()), RD_KAFKA_V_OPAQUE(&slots[i]), RD_KAFKA_V_END);
    };
    auto error = send();
    // Whatever stands in librdkafka's queue leaves it within message.timeout.ms.
    while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      clock_.wait_for(std::chrono::milliseconds(1), {});
      error = send();
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    delivery.report(error, records.size() - i);
    break;
  }
  // Nothing comes behind these that lingering could wait for: librdkafka sends at once while
  // somebody flushes. How that ends is the reports' to say; others' records may be under way, too.
  rd_kafka_flush(client->handle(), kFlushMs);
  if (const auto error = delivery.wait(); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    state_.probe.append_errors.add();
    return kafka_error(error, fmt::format("appending to '{}'", topic),
                       client->fatal().value_or(state_.last_error()));
  }
  state_.note_answer();
  state_.probe.records_appended.add(static_cast<std::int64_t>(records.size()));
  std::vector<Position> positions;
  positions.reserve(slots.size());
  for (const Slot& slot : slots) positions.push_back(slot.position);
  return positions;
}

}  // namespace tapeline::msglog
