#include "msglog/kafka/producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <condition_variable>

namespace tapeline::msglog {
namespace {

/// One append: what it waits for.
struct Delivery {
  std::mutex mutex;
  std::condition_variable done;
  std::size_t missing = 0;  // reports
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

  void report(rd_kafka_resp_err_t its) {
    std::lock_guard lock(mutex);
    // The first says most: those after it may just have been purged with it.
    if (its != RD_KAFKA_RESP_ERR_NO_ERROR && error == RD_KAFKA_RESP_ERR_NO_ERROR) error = its;
    if (--missing == 0) done.notify_all();
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
  for (std::size_t i = 0; i < records.size(); ++i) {
    slots[i].delivery = &delivery;
    const Record& record = records[i];
    // The bytes stay the caller's: nobody leaves before every report has come.
    const auto send = [&] {
      return rd_kafka_producev(
          client->handle(), RD_KAFKA_V_TOPIC(topic.c_str()),
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
    for (std::size_t rest = i; rest < records.size(); ++rest) delivery.report(error);
    break;
  }
  {
    std::unique_lock lock(delivery.mutex);
    delivery.done.wait(lock, [&] { return delivery.missing == 0; });
  }
  if (delivery.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    state_.probe.append_errors.add();
    return kafka_error(delivery.error, fmt::format("appending to '{}'", topic),
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
