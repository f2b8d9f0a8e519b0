// KafkaClient: one handle of librdkafka, and what the brokers say through it.
//
// librdkafka works on threads of its own, one for each broker and one for its events. What these
// tell (a broker is away, an identity was refused, statistics) is kept in a KafkaState that all
// handles of a log share; nothing here waits for them.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/guarded.h"
#include "base/result.h"
#include "telemetry/metrics.h"

struct rd_kafka_s;
struct rd_kafka_message_s;

namespace tapeline::msglog {

/// librdkafka's settings by their own names: "bootstrap.servers", "sasl.password", …
using KafkaSettings = std::map<std::string, std::string>;

/// Whether a setting's value is written as *** wherever it is shown.
bool is_secret_setting(const std::string& name);

/// Which librdkafka this is: "2.0.2".
std::string kafka_library_version();

/// How these settings log in: "PLAIN", "SCRAM-SHA-256", … Empty where they say nothing of it.
std::string sasl_mechanism(const KafkaSettings& settings);

/// Whether it doubles the nonce in SCRAM, which brokers from 4.0 on refuse (mended in 2.6.1).
bool kafka_library_scram_is_old();

/// An error of librdkafka or of a broker, by its number, in our words.
Error kafka_error(int code, const std::string& what, const std::string& detail = "");

/// What the log tells of itself on Kafka.
struct KafkaProbe {
  explicit KafkaProbe(telemetry::Metrics& metrics);
  telemetry::Counter& records_appended;
  telemetry::Counter& append_errors;
  telemetry::Counter& records_fetched;
  telemetry::Counter& fatal_errors;
  telemetry::Counter& broker_errors;
  telemetry::Counter& out_of_range;
  telemetry::Gauge& brokers_up;
  telemetry::Gauge& broker_rtt_seconds;
  telemetry::Gauge& producer_queue_records;
  telemetry::Gauge& producer_queue_bytes;
  telemetry::Gauge& bytes_sent;
  telemetry::Gauge& bytes_received;
};

/// What is known of the brokers, by what they answered last.
/// threads: any
class KafkaState {
 public:
  explicit KafkaState(telemetry::Metrics& metrics) : probe(metrics) {}

  /// Something was answered: they are there.
  void note_answer();
  /// A broker did not answer, or refused us.
  void note_error(std::string text, bool all_are_away);

  bool away() const { return away_.load(std::memory_order_relaxed); }

  /// What went wrong since a broker last answered; empty if nothing did.
  std::string last_error() const { return last_error_.copy(); }

  KafkaProbe probe;

 private:
  std::atomic<bool> away_{false};
  Guarded<std::string> last_error_;
};

/// threads:  any
/// lifetime: the state outlives it
class KafkaClient {
 public:
  enum class Kind : std::uint8_t { producer, consumer };

  /// Called for each record that was delivered, or was not, on a thread of librdkafka's.
  using OnDelivery = std::function<void(const rd_kafka_message_s&)>;

  /// Checks the settings and begins to connect; that nobody answers is no error yet.
  /// errors: invalid_argument (a setting; it is named, its value is not)
  static Result<std::unique_ptr<KafkaClient>> make(Kind kind, const KafkaSettings& settings,
                                                   KafkaState& state, OnDelivery on_delivery = {});
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_s* handle() const { return handle_; }
  KafkaState& state() const { return state_; }

  /// librdkafka sends no longer record: key and value together.
  std::size_t message_bytes_max() const { return message_bytes_max_; }

  /// Why it can send nothing more, ever: the handle has to be replaced. None while it can.
  std::optional<std::string> fatal() const;

 private:
  KafkaClient(KafkaState& state, OnDelivery on_delivery)
      : state_(state), on_delivery_(std::move(on_delivery)) {}
  friend struct KafkaEvents;

  KafkaState& state_;
  const OnDelivery on_delivery_;
  rd_kafka_s* handle_ = nullptr;
  std::size_t message_bytes_max_ = 0;
};

}  // namespace tapeline::msglog
