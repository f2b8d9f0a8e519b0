// The message log on Apache Kafka, through librdkafka.
//
// What the port promises, said of Kafka: appended is what the brokers have confirmed (acks=all, so
// as safe as their replicas are; one broker alone survives its own death, not a power cut); an
// offset, a partition and a consumer group are Kafka's own. Kafka's topic ids do not reach
// clients of librdkafka 2.0, so that a topic's id here is made of the cluster's id and its name:
// another cluster is noticed by it, a topic made anew or gone back by the fingerprint that the
// loader keeps of the last record (docs/decisions/0014).

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/wakeup.h"
#include "msglog/kafka/client.h"
#include "msglog/kafka/handles.h"
#include "msglog/kafka/producer.h"
#include "msglog/kafka/reader.h"
#include "msglog/message_log.h"
#include "telemetry/metrics.h"

namespace tapeline::msglog {

/// threads:  any; librdkafka has some of its own
/// lifetime: clock, metrics and wakeup outlive it
class KafkaLog : public MessageLog {
 public:
  struct Options {
    KafkaSettings settings;                         // librdkafka's, bootstrap.servers among them
    std::string topic_prefix;                       // before the name of each topic, on the cluster
    std::int16_t replication = -1;                  // of topics made here; -1: as the brokers say
    std::int64_t retention_ms = 0;                  // of topics made here; 0: as the brokers say
    Duration answer_max = std::chrono::seconds(5);  // how long a question may take
    Wakeup* appended = nullptr;                     // notified when there are new records to fetch
    telemetry::Metrics* metrics = nullptr;
  };

  /// Checks the settings and begins to connect. That no broker answers is no error here: every
  /// call says so for itself, and works as soon as one does.
  /// errors: invalid_argument (a setting)
  static Result<std::unique_ptr<KafkaLog>> open(Clock& clock, Options options);
  ~KafkaLog() override;

  Status create_topic(const std::string& name, std::int32_t partitions) override;
  Result<std::vector<TopicInfo>> topics() override;
  Result<std::vector<Position>> append(const std::string& topic,
                                       std::span<const Record> records) override;
  Result<FetchedRecords> fetch(const TopicPartition& from, Offset start,
                               FetchLimits limits) override;
  Result<Offset> offset_at(const TopicPartition& from, Timestamp at) override;
  Status commit(const std::string& group, const TopicPartition& at, Offset next) override;
  Result<std::optional<Offset>> committed(const std::string& group,
                                          const TopicPartition& at) override;
  Result<std::vector<GroupOffset>> groups(const std::string& topic) override;

  /// Looks what topics there are and where they end, so that others find it in memory.
  /// blocks: until the brokers answer, at most `answer_max`
  Status refresh();

  /// Whether any broker answered of late, and what was said otherwise; Ok if all is well.
  Status health() const;

  /// "N brokers, cluster ID"; asked of them.
  Result<std::string> describe_cluster();

 protected:
  KafkaLog(Clock& clock, Options options);
  Status start();

  /// Makes a topic on the cluster. Apart, because librdkafka's mock cluster cannot be asked to.
  virtual Status create_on_cluster(const std::string& name, std::int32_t partitions);
  Result<std::shared_ptr<KafkaClient>> client() { return producer_->client(); }

 private:
  struct KnownPartition {
    PartitionInfo info;
    std::uint64_t raised_at = 0;  // the look after which its end was raised from here
  };
  struct KnownTopic {
    std::string id;
    std::vector<KnownPartition> partitions;
  };
  struct Known {
    std::map<std::string, KnownTopic> topics;
    std::optional<Duration> at;  // when it was asked for
    std::optional<Duration> failed_at;
    std::optional<Error> failure;  // then
    std::uint64_t looks = 0;
  };
  using Ends = std::map<TopicPartition, PartitionInfo>;

  Status ask_all();
  int answer_ms() const;
  Result<Metadata> metadata(KafkaClient& client, bool topics, const std::string& what);
  Result<std::string> cluster_id(KafkaClient& client);
  Result<Ends> ask_ends(KafkaClient& client, const std::vector<TopicPartition>& partitions);
  Status refresh_if_old();
  Result<PartitionInfo> known(const TopicPartition& at);
  Result<PartitionInfo> known_afresh(const TopicPartition& at);
  Result<std::vector<GroupOffset>> offsets_of(const std::string& group, const std::string& topic);
  Result<std::shared_ptr<KafkaClient>> committer(const std::string& group);
  Status commit_once(const std::string& group, const TopicPartition& at, Offset next);
  Result<std::vector<GroupOffset>> offsets_of_once(const std::string& group,
                                                   const std::string& topic);
  void raise_end(const TopicPartition& at, Offset end);

  Clock& clock_;
  const Options options_;
  telemetry::Metrics own_metrics_;
  mutable KafkaState state_;
  std::unique_ptr<KafkaProducer> producer_;
  std::unique_ptr<KafkaReader> reader_;
  std::mutex asking_;  // one thread at a time asks for everything
  Guarded<Known> known_;
  Guarded<std::map<std::string, std::shared_ptr<KafkaClient>>> committers_;  // by group
};

}  // namespace tapeline::msglog
