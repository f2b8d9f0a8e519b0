#include "msglog/kafka/kafka_log.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#include <cstdlib>

#include "../../../tests/contract/message_log_contract.h"

namespace tapeline::msglog {
namespace {

/// Brokers in this process: librdkafka's own. They keep records in memory, and can be told to
/// fail; they make no topics on request, list no groups and look for no times.
class MockCluster {
 public:
  explicit MockCluster(int brokers = 1) {
    char text[256];
    owner_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    cluster_ = rd_kafka_mock_cluster_new(owner_, brokers);
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(owner_);
  }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  rd_kafka_mock_cluster_t* get() { return cluster_; }
  std::string brokers() { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void set_up(bool up) {
    if (up) rd_kafka_mock_broker_set_up(cluster_, 1);
    if (!up) rd_kafka_mock_broker_set_down(cluster_, 1);
  }

 private:
  rd_kafka_t* owner_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

class MockKafkaLog final : public KafkaLog {
 public:
  MockKafkaLog(Clock& clock, MockCluster& cluster, KafkaLog::Options options)
      : KafkaLog(clock, std::move(options)), cluster_(cluster) {
    EXPECT_TRUE(start());
  }
  using KafkaLog::client;

 private:
  Status create_on_cluster(const std::string& name, std::int32_t partitions) override {
    const auto error = rd_kafka_mock_topic_create(cluster_.get(), name.c_str(), partitions, 1);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Ok{};
    return kafka_error(error, "making a topic");
  }
  MockCluster& cluster_;
};

struct MockWorld {
  explicit MockWorld(KafkaSettings settings = {}) {
    settings["bootstrap.servers"] = cluster.brokers();
    log = std::make_unique<MockKafkaLog>(
        *clock, cluster,
        KafkaLog::Options{
            .settings = std::move(settings), .appended = &appended, .metrics = &metrics});
  }
  std::unique_ptr<Clock> clock = make_system_clock();
  telemetry::Metrics metrics;
  Wakeup appended;
  MockCluster cluster;
  std::unique_ptr<MockKafkaLog> log;
};

LogUnderTest make_mock() {
  auto world = std::make_shared<MockWorld>();
  auto* const log = world->log.get();
  return {world, log, false, false};
}

INSTANTIATE_TEST_SUITE_P(KafkaMock, MessageLogContract, testing::Values(&make_mock));

/// The brokers of KAFKA_BOOTSTRAP_SERVERS; each test has topics of its own.
struct RealWorld {
  std::unique_ptr<Clock> clock = make_system_clock();
  telemetry::Metrics metrics;
  std::unique_ptr<KafkaLog> log;
};

std::vector<LogUnderTest (*)()> real_kafka() {
  if (!std::getenv("KAFKA_BOOTSTRAP_SERVERS")) return {};
  return {+[]() -> LogUnderTest {
    static int made = 0;
    auto world = std::make_shared<RealWorld>();
    const auto prefix = "contract-" + std::to_string(getpid()) + "-" + std::to_string(++made) + ".";
    auto opened = KafkaLog::open(
        *world->clock,
        {.settings = {{"bootstrap.servers", std::getenv("KAFKA_BOOTSTRAP_SERVERS")}},
         .topic_prefix = prefix,
         .replication = 1,
         .answer_max = std::chrono::seconds(20),
         .metrics = &world->metrics});
    EXPECT_TRUE(opened);
    world->log = *std::move(opened);
    auto* const log = world->log.get();
    return {world, log};
  }};
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MessageLogContract);
INSTANTIATE_TEST_SUITE_P(RealKafka, MessageLogContract, testing::ValuesIn(real_kafka()));

}  // namespace
}  // namespace tapeline::msglog
