#include "msglog/kafka/client.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <charconv>
#include <cstring>
#include <limits>
#include <set>

#include "base/check.h"
#include "msglog/kafka/handles.h"
#include "msglog/kafka/statistics.h"
#include "telemetry/logging.h"

namespace tapeline::msglog {

using telemetry::Level;

namespace {

/// How a word of librdkafka's log counts here. Its own levels call every lost connection an
/// error; that brokers are away is said once, by KafkaState.
void log_line(const rd_kafka_t*, int, const char* facility, const char* text) {
  telemetry::log(Level::debug, "librdkafka", {{"facility", facility}, {"text", text}});
}

/// What holds for producers and consumers alike, and may be set otherwise.
const KafkaSettings kDefaults = {
    {"client.id", "tapeline"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.refresh.interval.ms", "30000"},
    {"statistics.interval.ms", "5000"},
    {"log.connection.close", "false"},
};
const KafkaSettings kProducerDefaults = {
    {"linger.ms", "5"},  // to fill a share of an append; KafkaProducer says when one is to go
    {"message.timeout.ms", "5000"},
    {"message.max.bytes", "1179648"},
    {"queue.buffering.max.messages", "1000000"},
};
const KafkaSettings kConsumerDefaults = {
    {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "100"},
    {"queued.max.messages.kbytes", "16384"},
};

/// What the promises of this room stand on: nobody sets it otherwise.
const KafkaSettings kOwn = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"partitioner", "murmur2_random"},
    {"delivery.report.only.error", "false"},
};
const KafkaSettings kConsumerOwn = {
    {"enable.auto.commit", "false"},       {"auto.commit.enable", "false"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},      {"isolation.level", "read_committed"},
};
/// Other names of these, and what would put others in their place.
const std::set<std::string> kNotToBeSet = {"request.required.acks", "transactional.id",
                                           "metadata.broker.list", "test.mock.num.brokers"};

/// A number that is taken only within bounds, and why.
struct Bound {
  const char* name;
  std::int64_t least;
  std::int64_t most;
  const char* why;
};
constexpr std::int64_t kNoBound = std::numeric_limits<std::int64_t>::max();
constexpr const char* kSpoolsAfter =
    "It is how long an append waits for a broker before the spool takes over.";
constexpr Bound kBounds[] = {
    {"message.timeout.ms", 1, 60'000, kSpoolsAfter},
    {"delivery.timeout.ms", 1, 60'000, kSpoolsAfter},
    {"queue.buffering.max.kbytes", 2048, kNoBound, "A message of one MiB has to fit."},
};

Status check_setting(const std::string& name, const std::string& value) {
  if (kOwn.contains(name) || kConsumerOwn.contains(name) || kNotToBeSet.contains(name)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("Kafka's setting '{}' is tapeline's own", name),
                 "Exactly once rests on it. Take it out of [log.kafka]."};
  }
  for (const Bound& bound : kBounds) {
    if (name != bound.name) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_number = error == std::errc() && end == value.data() + value.size();
    if (is_number && number >= bound.least && number <= bound.most) continue;
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("Kafka's setting '{}' is {}; it may be {}", name, value,
                    bound.most == kNoBound ? fmt::format("{} or more", bound.least)
                                           : fmt::format("{} to {}", bound.least, bound.most)),
        bound.why};
  }
  return Ok{};
}

Status set_one(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char text[512];
  const auto done = rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text);
  if (done == RD_KAFKA_CONF_OK) return Ok{};
  return Error{ErrorCode::invalid_argument,
               done == RD_KAFKA_CONF_UNKNOWN
                   ? fmt::format("librdkafka {} has no setting '{}'", kafka_library_version(), name)
                   : fmt::format("the value of Kafka's setting '{}' is not one it takes{}", name,
                                 is_secret_setting(name) ? "" : fmt::format(": {}", text)),
               "Its settings are listed in librdkafka's CONFIGURATION.md."};
}

std::size_t number_of(const rd_kafka_conf_t* conf, const char* name) {
  char text[32] = "";
  std::size_t size = sizeof text;
  rd_kafka_conf_get(conf, name, text, &size);
  std::size_t number = 0;
  std::from_chars(text, text + std::strlen(text), number);
  return number;
}

/// That there are tokens to log in with: librdkafka would wait for ever for one that nobody gives.
Status check_tokens(const KafkaSettings& settings) {
  const auto is = [&](const char* name, std::string_view value) {
    const auto found = settings.find(name);
    return found != settings.end() && found->second == value;
  };
  const bool unsigned_ones = is("enable.sasl.oauthbearer.unsecure.jwt", "true");
  if (unsigned_ones && rd_kafka_version() < 0x020200ff) {
    return Error{ErrorCode::unsupported,
                 fmt::format("librdkafka {} crashes when it renews an unsigned token",
                             kafka_library_version()),
                 "Build against 2.2.0 or later, or log in another way."};
  }
  if (unsigned_ones || is("sasl.oauthbearer.method", "oidc")) return Ok{};
  return Error{ErrorCode::invalid_argument, "OAUTHBEARER has no tokens to log in with",
               "Set sasl.oauthbearer.method = \"oidc\" with a token endpoint, or, for brokers that "
               "take unsigned tokens, enable.sasl.oauthbearer.unsecure.jwt = \"true\"."};
}

}  // namespace

bool is_secret_setting(const std::string& name) {
  for (const char* part : {"password", "secret", ".pem", "oauthbearer.config", "sasl.jaas"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

std::string kafka_library_version() { return rd_kafka_version_str(); }

std::string sasl_mechanism(const KafkaSettings& settings) {
  for (const char* name : {"sasl.mechanisms", "sasl.mechanism"}) {
    const auto found = settings.find(name);
    if (found != settings.end()) return found->second;
  }
  return "";
}

bool kafka_library_scram_is_old() { return rd_kafka_version() < 0x020601ff; }

Error kafka_error(int code, const std::string& what, const std::string& detail) {
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  const std::string text = fmt::format(
      "{}: {}{}", what, rd_kafka_err2str(error),
      detail.empty() || detail == rd_kafka_err2str(error) ? "" : fmt::format(" ({})", detail));
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return {ErrorCode::not_found, text, "`tapeline topic list` shows the topics."};
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return {ErrorCode::already_exists, text, ""};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return {ErrorCode::invalid_argument, text,
              "The topic's max.message.bytes, or the brokers' message.max.bytes, is smaller."};
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return {ErrorCode::invalid_argument, text, ""};
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      // Not the record's fault: it is stamped anew each time it is sent.
      return {ErrorCode::unavailable, text,
              "This machine's clock is ahead of the brokers', or far behind. Set it right, or let "
              "the topic have message.timestamp.type=LogAppendTime."};
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
      return {ErrorCode::invalid_argument, text,
              "log.replication is larger than the number of brokers that are up."};
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return {ErrorCode::timed_out, text, "`tapeline doctor` tries the brokers."};
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return {ErrorCode::unavailable, text, "Kafka's ACLs do not let this user do it."};
    default:
      // What librdkafka says of a login: that of its own end, and that of a broker's.
      if (detail.find("SASL") != std::string::npos) {
        return {ErrorCode::unavailable, text,
                "A broker is there and refuses the login: look at sasl.mechanism, user and "
                "password under [log.kafka] and in secrets.env."};
      }
      return {ErrorCode::unavailable, text, "`tapeline doctor` tries the brokers."};
  }
}

KafkaProbe::KafkaProbe(telemetry::Metrics& metrics)
    : records_appended(metrics.counter("tapeline_msglog_kafka_records_appended_total",
                                       "Records that Kafka confirmed.")),
      append_errors(metrics.counter("tapeline_msglog_kafka_append_errors_total",
                                    "Appends of which Kafka did not confirm every record.")),
      records_fetched(metrics.counter("tapeline_msglog_kafka_records_fetched_total",
                                      "Records read from Kafka.")),
      fatal_errors(metrics.counter("tapeline_msglog_kafka_fatal_errors_total",
                                   "Times that the idempotent producer had to be made anew: a "
                                   "broker had lost what it had confirmed.")),
      broker_errors(metrics.counter("tapeline_msglog_kafka_broker_errors_total",
                                    "Errors that librdkafka told of: lost connections, refused "
                                    "identities.")),
      out_of_range(metrics.counter("tapeline_msglog_kafka_out_of_range_total",
                                   "Reads of offsets that the topic did not hold.")),
      brokers_up(metrics.gauge("tapeline_msglog_kafka_brokers_up",
                               "Brokers that the producer is connected to.")),
      broker_rtt_seconds(metrics.gauge("tapeline_msglog_kafka_broker_rtt_seconds",
                                       "The slowest broker's round trip, 99th percentile.")),
      producer_queue_records(metrics.gauge("tapeline_msglog_kafka_producer_queue_records",
                                           "Records that wait to be sent or confirmed.")),
      producer_queue_bytes(metrics.gauge("tapeline_msglog_kafka_producer_queue_bytes",
                                         "Bytes that wait to be sent or confirmed.")),
      bytes_sent(metrics.gauge("tapeline_msglog_kafka_sent_bytes",
                               "Bytes the producer has sent since it was made.")),
      bytes_received(metrics.gauge("tapeline_msglog_kafka_received_bytes",
                                   "Bytes the producer has received since it was made.")) {}

void KafkaState::note_answer() {
  last_error_.with([](std::string& text) { text.clear(); });
  if (!away_.exchange(false, std::memory_order_relaxed)) return;
  telemetry::log(Level::info, "kafka answers again");
}

void KafkaState::note_error(std::string text, bool all_are_away) {
  probe.broker_errors.add();
  if (all_are_away && !away_.exchange(true, std::memory_order_relaxed)) {
    telemetry::log(Level::warn, "kafka does not answer", {{"error", text}});
  }
  last_error_.with([&](std::string& its) {
    // "all brokers are down" says less than what was said of one of them just before.
    if (!all_are_away || its.empty()) its = std::move(text);
  });
}

/// What librdkafka calls on its own thread.
struct KafkaEvents {
  static void on_event(rd_kafka_t*, rd_kafka_event_t* event, void* opaque) {
    const Event owned(event);
    auto& client = *static_cast<KafkaClient*>(opaque);
    switch (rd_kafka_event_type(event)) {
      case RD_KAFKA_EVENT_DR:
        while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
          if (client.on_delivery_) client.on_delivery_(*message);
        }
        break;
      case RD_KAFKA_EVENT_ERROR:
        on_error(client, event);
        break;
      case RD_KAFKA_EVENT_STATS:
        note_statistics(rd_kafka_event_stats(event), client.state_.probe);
        break;
      default:
        break;
    }
  }

  static void on_error(KafkaClient& client, rd_kafka_event_t* event) {
    const auto code = rd_kafka_event_error(event);
    const char* text = rd_kafka_event_error_string(event);
    if (rd_kafka_event_error_is_fatal(event) != 0 || code == RD_KAFKA_RESP_ERR__FATAL) {
      client.state_.probe.fatal_errors.add();
      telemetry::log(Level::error, "kafka's log went back",
                     {{"error", text ? text : ""},
                      {"answer", "what was not confirmed is sent again by a new producer"}});
      rd_kafka_purge(client.handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                         RD_KAFKA_PURGE_F_NON_BLOCKING);
      return;
    }
    client.state_.note_error(text ? text : rd_kafka_err2str(code),
                             code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
  }
};

Result<std::unique_ptr<KafkaClient>> KafkaClient::make(Kind kind, const KafkaSettings& settings,
                                                       KafkaState& state, OnDelivery on_delivery) {
  const bool sends = kind == Kind::producer;
  auto client = std::unique_ptr<KafkaClient>(new KafkaClient(state, std::move(on_delivery)));
  Conf conf(rd_kafka_conf_new());
  KafkaSettings all = kDefaults;
  const auto add = [&](const KafkaSettings& more) {
    for (const auto& [name, value] : more) all[name] = value;
  };
  add(sends ? kProducerDefaults : kConsumerDefaults);
  // Where there is no such setting, KafkaReader sees to it.
  if (!sends && rd_kafka_version() >= 0x02020000) all["fetch.queue.backoff.ms"] = "5";
  for (const auto& [name, value] : settings) {
    TRY_STATUS(check_setting(name, value));
    all[name] = value;
  }
  add(sends ? kOwn : kConsumerOwn);
  if (!sends) {
    for (const auto& [name, value] : kProducerDefaults) all.erase(name);
    all.erase("statistics.interval.ms");  // the producer's say enough
  }
  const bool has_tokens = sasl_mechanism(all) == "OAUTHBEARER";
  if (has_tokens) TRY_STATUS(check_tokens(all));
  for (const auto& [name, value] : all) TRY_STATUS(set_one(conf.get(), name, value));

  rd_kafka_conf_enable_sasl_queue(conf.get(), has_tokens ? 1 : 0);
  rd_kafka_conf_set_opaque(conf.get(), client.get());
  rd_kafka_conf_set_log_cb(conf.get(), &log_line);
  rd_kafka_conf_set_background_event_cb(conf.get(), &KafkaEvents::on_event);
  rd_kafka_conf_set_events(conf.get(),
                           RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
  char text[512];
  client->handle_ =
      rd_kafka_new(sends ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf.get(), text, sizeof text);
  if (!client->handle_) {
    return Error{ErrorCode::invalid_argument, fmt::format("Kafka's settings do not fit: {}", text),
                 "They stand in [log.kafka] of tapeline.toml."};
  }
  (void)conf.release();  // the handle's now
  client->message_bytes_max_ = number_of(rd_kafka_conf(client->handle_), "message.max.bytes");
  // Events go to librdkafka's own thread, so that nobody has to poll for them.
  const Queue main(rd_kafka_queue_get_main(client->handle_));
  const Queue background(rd_kafka_queue_get_background(client->handle_));
  rd_kafka_queue_forward(main.get(), background.get());
  if (has_tokens) {  // and tokens are renewed there
    rd_kafka_error_t* const error = rd_kafka_sasl_background_callbacks_enable(client->handle_);
    TL_ASSERT(!error);
  }
  return client;
}

KafkaClient::~KafkaClient() {
  if (!handle_) return;
  rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);  // nobody joined a group
}

std::optional<std::string> KafkaClient::fatal() const {
  char text[512];
  if (rd_kafka_fatal_error(handle_, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::nullopt;
  }
  return std::string(text);
}

}  // namespace tapeline::msglog
