// The message log on Kafka, next to a bare program on librdkafka with the same settings.
//
//   bench_kafka rates BROKERS MESSAGES PAIRS     how fast records are sent and read, in turns
//   bench_kafka latency BROKERS RATE SECONDS     from when a record was due to when a reader has it
//
// Records are those of bench_loader: 137 bytes, keyed by symbol, acks=all, idempotent, as they are.
// The log appends 10,000 at a time and waits for them, as an import does, on one thread and on two;
// the bare program sends all of them and waits once. Both read one partition from its beginning.
// Each prints JSON lines.

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "measure.h"
#include "msglog/kafka/kafka_log.h"

namespace tapeline {
namespace {

constexpr std::int64_t kMade = 500'000;  // records that are sent in turns, made beforehand

using Settings = std::map<std::string, std::string>;

/// What msglog/kafka sets, as far as it says how records are sent; linger.ms is less, since nobody
/// says here when to send. Lingering for 5 ms made no difference to the rate.
const Settings kProducerSettings = {
    {"enable.idempotence", "true"},    {"acks", "all"},
    {"partitioner", "murmur2_random"}, {"linger.ms", "0.5"},
    {"socket.nagle.disable", "true"},  {"queue.buffering.max.messages", "1000000"}};
const Settings kConsumerSettings = {
    {"group.id", "bench"}, {"enable.auto.commit", "false"}, {"socket.nagle.disable", "true"}};

struct BareClient {
  BareClient(rd_kafka_type_t type, const std::string& brokers, const Settings& settings) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    char text[512];
    const auto set = [&](const std::string& name, const std::string& value) {
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) ==
          RD_KAFKA_CONF_OK)
        return;
      fmt::print(stderr, "bench: {}\n", text);
      std::exit(1);
    };
    set("bootstrap.servers", brokers);
    for (const auto& [name, value] : settings) set(name, value);
    rd_kafka_conf_set_opaque(conf, this);
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, &delivered);
    handle = rd_kafka_new(type, conf, text, sizeof text);
    if (!handle) std::exit(1);
  }
  ~BareClient() { rd_kafka_destroy(handle); }

  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* its) {
    auto& client = *static_cast<BareClient*>(its);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) ++client.confirmed;
  }

  void send(const std::string& topic, const msglog::Record& record) {
    while (rd_kafka_producev(
               handle, RD_KAFKA_V_TOPIC(topic.c_str()),
               RD_KAFKA_V_KEY(record.key.data(), record.key.size()),
               RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
               RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      rd_kafka_poll(handle, 10);
    }
  }

  rd_kafka_t* handle = nullptr;
  std::int64_t confirmed = 0;
};

/// What reading is measured by: that every byte was there to be had.
struct Read {
  std::int64_t records = 0;
  std::int64_t bytes = 0;
};

struct Measured {
  double seconds = 0;
  double cpu = 0;
};

class Bench {
 public:
  explicit Bench(std::string brokers) : brokers_(std::move(brokers)) {
    log_ = need(msglog::KafkaLog::open(
        *clock_, {.settings = {{"bootstrap.servers", brokers_}}, .appended = &appended_}));
  }

  /// Pairs, each on topics of its own; who goes first changes.
  void rates(std::int64_t messages, int pairs) {
    for (std::int64_t i = 0; i < std::min(kMade, messages); ++i) {
      made_.push_back({symbol(i), message(i)});
    }
    // A broker that has just started runs its code slowly at first; that is nobody's rate.
    const std::string first = topic("first", 0);
    bare_produce(first, kMade);
    bare_consume(first, kMade);
    for (int pair = 0; pair < pairs; ++pair) {
      const std::string ours = topic("log", pair);
      const std::string ours_by_two = topic("log-by-two", pair);
      const std::string theirs = topic("bare", pair);
      const auto [p_log, p_bare] = in_turn(
          pair, [&] { return produce(ours, messages, 1); },
          [&] { return bare_produce(theirs, messages); });
      const Measured p_two = produce(ours_by_two, messages, 2);
      const auto [c_log, c_bare] = in_turn(
          pair, [&] { return consume(theirs, messages); },
          [&] { return bare_consume(theirs, messages); });
      const auto print = [&](const Measured& it) {
        return fmt::format(R"({{"per_s":{:.0f},"cpu_us":{:.3f}}})", double(messages) / it.seconds,
                           it.cpu / double(messages) * 1e6);
      };
      fmt::print(
          R"({{"produce":{},"produce_by_two":{},"bare_produce":{},"consume":{},"bare_consume":{}}})"
          "\n",
          print(p_log), print(p_two), print(p_bare), print(c_log), print(c_bare));
      std::fflush(stdout);
    }
  }

  /// One record is due each 1/`rate` s, however late the ones before it are.
  void latency(std::int64_t rate, std::int64_t for_seconds) {
    const std::int64_t count = rate * for_seconds;
    for (const bool bare : {false, true}) {
      const std::string topic_name = topic(bare ? "bare-latency" : "latency", 0);
      std::vector<Duration> due(static_cast<std::size_t>(count));
      const Duration began = clock_->uptime() + std::chrono::seconds(2);
      for (std::int64_t i = 0; i < count; ++i) {
        due[static_cast<std::size_t>(i)] =
            began + std::chrono::nanoseconds(std::chrono::seconds(1)) * i / rate;
      }
      std::vector<double> late;
      late.reserve(due.size());
      std::jthread reader([&] {
        const auto on_record = [&] {
          late.push_back(seconds(clock_->uptime() - due[late.size()]) * 1e3);
          return late.size() < due.size();
        };
        bare ? bare_follow(topic_name, on_record) : follow(topic_name, on_record);
      });
      bare ? bare_feed(topic_name, due) : feed(topic_name, due);
      reader.join();
      late.erase(late.begin(), late.begin() + rate);  // the first second connects
      std::sort(late.begin(), late.end());
      fmt::print(R"({{"who":"{}","p50_ms":{:.3f},"p99_ms":{:.3f},"records":{}}})"
                 "\n",
                 bare ? "bare" : "log", late[late.size() / 2], late[late.size() * 99 / 100],
                 late.size());
    }
  }

 private:
  std::string topic(const std::string& name, int number) {
    const std::string full =
        fmt::format("bench-{}-{}-{}", name, number, clock_->now().time_since_epoch().count());
    need(log_->create_topic(full, 1));
    return full;
  }

  template <typename Work>
  Measured measure(Work work) {
    const Duration began = clock_->uptime();
    const double cpu = cpu_seconds();
    work();
    return {seconds(clock_->uptime() - began), cpu_seconds() - cpu};
  }

  template <typename First, typename Second>
  std::pair<Measured, Measured> in_turn(int pair, First first, Second second) {
    if (pair % 2 == 0) {
      const Measured one = first();
      return {one, second()};
    }
    const Measured two = second();
    return {first(), two};
  }

  Measured produce(const std::string& to, std::int64_t messages, int threads) {
    const auto append = [&](int first) {
      const auto made = std::span(made_);
      for (std::int64_t at = first * kMessagesPerAppend; at < messages;
           at += threads * kMessagesPerAppend) {
        const auto count = static_cast<std::size_t>(std::min(kMessagesPerAppend, messages - at));
        need(log_->append(to, made.subspan(static_cast<std::size_t>(at % kMade), count)));
      }
    };
    return measure([&] {
      std::vector<std::jthread> others;
      for (int i = 1; i < threads; ++i) others.emplace_back([&, i] { append(i); });
      append(0);
    });
  }

  /// The log has connected before it is measured, so this one does.
  Measured bare_produce(const std::string& to, std::int64_t messages) {
    BareClient client(RD_KAFKA_PRODUCER, brokers_, kProducerSettings);
    client.send(to, made_[0]);
    rd_kafka_flush(client.handle, 60'000);
    const Measured it = measure([&] {
      for (std::int64_t sent = 0; sent < messages; ++sent) {
        client.send(to, made_[static_cast<std::size_t>(sent % std::ssize(made_))]);
        if (sent % 1000 == 0) rd_kafka_poll(client.handle, 0);
      }
      rd_kafka_flush(client.handle, 60'000);
    });
    check(client.confirmed, messages + 1);
    return it;
  }

  Measured consume(const std::string& from, std::int64_t messages) {
    Read read;
    const Measured it = measure([&] {
      for (msglog::Offset next = 0; read.records < messages;) {
        // As the loader reads.
        const auto fetched = need(log_->fetch({from, 0}, next, {.records_max = 16'384}));
        for (const auto& record : fetched.records) {
          ++read.records;
          read.bytes += std::ssize(record.key) + record.value.back();
        }
        next = fetched.next;
      }
    });
    return it;
  }

  Measured bare_consume(const std::string& from, std::int64_t messages) {
    BareClient client(RD_KAFKA_CONSUMER, brokers_, kConsumerSettings);
    rd_kafka_topic_t* const topic = rd_kafka_topic_new(client.handle, from.c_str(), nullptr);
    rd_kafka_queue_t* const queue = rd_kafka_queue_new(client.handle);
    Read read;
    const Measured it = measure([&] {
      rd_kafka_consume_start_queue(topic, 0, 0, queue);
      std::vector<rd_kafka_message_t*> messages_at_once(1024);
      while (read.records < messages) {
        const auto count = rd_kafka_consume_batch_queue(queue, 1, messages_at_once.data(),
                                                        messages_at_once.size());
        for (ssize_t i = 0; i < count; ++i) {
          rd_kafka_message_t* const message = messages_at_once[static_cast<std::size_t>(i)];
          if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ++read.records;
            read.bytes += static_cast<std::int64_t>(message->key_len) +
                          static_cast<const char*>(message->payload)[message->len - 1];
          }
          rd_kafka_message_destroy(message);
        }
      }
    });
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    return it;
  }

  /// Appends whatever is due, as a feed does.
  void feed(const std::string& to, const std::vector<Duration>& due) {
    for (std::size_t sent = 0; sent < due.size();) {
      clock_->wait_until(due[sent], {});
      std::vector<msglog::Record> records;
      for (; sent < due.size() && due[sent] <= clock_->uptime(); ++sent) {
        const auto i = static_cast<std::int64_t>(sent);
        records.push_back({symbol(i), message(i)});
      }
      need(log_->append(to, records));
    }
  }

  void bare_feed(const std::string& to, const std::vector<Duration>& due) {
    Settings settings = kProducerSettings;
    settings.insert_or_assign("linger.ms", std::string(1, '0'));
    BareClient client(RD_KAFKA_PRODUCER, brokers_, settings);
    std::vector<msglog::Record> records;
    for (std::int64_t i = 0; i < std::ssize(due); ++i) records.push_back({symbol(i), message(i)});
    for (std::size_t sent = 0; sent < due.size(); ++sent) {
      clock_->wait_until(due[sent], {});
      client.send(to, records[sent]);
      rd_kafka_poll(client.handle, 0);
    }
    rd_kafka_flush(client.handle, 60'000);
    check(client.confirmed, std::ssize(due));
  }

  /// Reads what comes, as the live path does.
  template <typename OnRecord>
  void follow(const std::string& from, OnRecord on_record) {
    msglog::Offset next = 0;
    for (;;) {
      const std::uint64_t seen = appended_.count();
      const auto fetched = need(log_->fetch({from, 0}, next, {}));
      next = fetched.next;
      for (std::size_t i = 0; i < fetched.records.size(); ++i) {
        if (!on_record()) return;
      }
      if (fetched.records.empty()) appended_.wait(seen, std::chrono::milliseconds(100), {});
    }
  }

  template <typename OnRecord>
  void bare_follow(const std::string& from, OnRecord on_record) {
    BareClient client(RD_KAFKA_CONSUMER, brokers_, kConsumerSettings);
    rd_kafka_topic_t* const handle = rd_kafka_topic_new(client.handle, from.c_str(), nullptr);
    rd_kafka_consume_start(handle, 0, 0);
    for (bool more = true; more;) {
      rd_kafka_message_t* const message = rd_kafka_consume(handle, 0, 1000);
      if (!message) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) more = on_record();
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
  }

  static void check(std::int64_t got, std::int64_t wanted) {
    if (got == wanted) return;
    fmt::print(stderr, "bench: {} of {} records\n", got, wanted);
    std::exit(1);
  }

  const std::string brokers_;
  std::unique_ptr<Clock> clock_ = make_system_clock();
  Wakeup appended_;
  std::unique_ptr<msglog::KafkaLog> log_;
  std::vector<msglog::Record> made_;
};

}  // namespace
}  // namespace tapeline

int main(int argc, char** argv) {
  const std::string_view what = argc == 5 ? argv[1] : "";
  if (what != "rates" && what != "latency") {
    fmt::print(stderr,
               "bench_kafka rates BROKERS MESSAGES PAIRS\n"
               "bench_kafka latency BROKERS RATE SECONDS\n");
    return 2;
  }
  tapeline::Bench bench(argv[2]);
  if (what == "rates") bench.rates(std::atoll(argv[3]), std::atoi(argv[4]));
  if (what == "latency") bench.latency(std::atoll(argv[3]), std::atoll(argv[4]));
  return 0;
}
