#include "msglog/kafka/kafka_log.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#include <cstdlib>

#include "../../../tests/contract/message_log_contract.h"
#include "io/file_system.h"
#include "msglog/kafka/statistics.h"

namespace tapeline::msglog {
namespace {

/// Brokers in this process: librdkafka's own. They keep records in memory, and can be told to
/// fail; they make no topics on request, list no groups and look for no times.
class MockCluster {
 public:
  explicit MockCluster(int brokers = 1) {
    char text[256];
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "2", text, sizeof text);
    owner_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
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

class KafkaLogTest : public testing::Test, protected MockWorld {
 protected:
  KafkaLogTest() : MockWorld(KafkaSettings{{"message.timeout.ms", "3000"}}) {
    EXPECT_TRUE(log->create_topic("prices", 1));
  }
  Result<std::vector<Position>> append(const std::string& value) {
    const std::vector<Record> records{{"A", value}};
    return log->append("prices", records);
  }
};

TEST_F(KafkaLogTest, brokers_that_are_away_are_said_to_be_and_are_found_again) {
  ASSERT_TRUE(append("1"));
  EXPECT_TRUE(log->health());
  cluster.set_up(false);
  const auto failed = append("2");
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().retryable()) << failed.error().message;
  cluster.set_up(true);
  Result<std::vector<Position>> again = append("3");
  for (int i = 0; i < 30 && !again; ++i) again = append("3");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(log->health());
}

TEST_F(KafkaLogTest, a_commit_that_finds_no_broker_does_not_keep_the_log_from_its_end) {
  ASSERT_TRUE(append("1"));
  ASSERT_TRUE(log->commit("readers", {"prices", 0}, 1));
  cluster.set_up(false);
  EXPECT_FALSE(append("2"));
  EXPECT_FALSE(log->commit("readers", {"prices", 0}, 1));
  const Duration began = clock->uptime();
  log.reset();
  EXPECT_LT(clock->uptime() - began, std::chrono::seconds(20)) << "librdkafka's own wait is 45 s";
}

TEST_F(KafkaLogTest, a_dead_producer_is_replaced_and_the_next_append_works) {
  ASSERT_TRUE(append("1"));
  const auto client = log->client();
  rd_kafka_test_fatal_error((*client)->handle(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                            "a broker lost its tail");
  const auto next = append("2");
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->front().offset, 1);
  EXPECT_NE((*log->client()).get(), client->get());
}

TEST_F(KafkaLogTest, new_records_wake_who_reads_at_the_end) {
  ASSERT_TRUE(append("1"));
  ASSERT_EQ(log->fetch({"prices", 0}, 0, {})->records.size(), 1U);
  ASSERT_TRUE(log->fetch({"prices", 0}, 1, {})->records.empty());
  // Another process's record: nobody here knows of it but through the broker.
  telemetry::Metrics others;
  MockKafkaLog other(*clock, cluster,
                     {.settings = {{"bootstrap.servers", cluster.brokers()}}, .metrics = &others});
  std::uint64_t seen = appended.count();
  const std::vector<Record> records{{"A", "2"}};
  ASSERT_TRUE(other.append("prices", records));
  FetchedRecords fetched;
  for (int wakes = 0; wakes < 5 && fetched.records.empty(); ++wakes) {
    const auto woken = appended.wait(seen, std::chrono::seconds(10), {});
    ASSERT_NE(woken, seen);
    seen = woken;
    fetched = *log->fetch({"prices", 0}, 1, {});
  }
  ASSERT_EQ(fetched.records.size(), 1U);
  EXPECT_EQ(fetched.records[0].value, "2");
}

TEST_F(KafkaLogTest, of_a_partition_that_does_not_say_where_it_ends_the_last_answer_stands) {
  ASSERT_TRUE(log->create_topic("wide", 2));
  std::vector<Record> records;
  for (int i = 0; i < 50; ++i) records.push_back({std::to_string(i), "v"});
  ASSERT_TRUE(log->append("wide", records));
  const auto ends = [&] {
    std::map<TopicPartition, Offset> all;
    const auto topics = log->topics();
    for (const TopicInfo& topic : *topics) {
      for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        all[{topic.name, static_cast<std::int32_t>(i)}] = topic.partitions[i].end;
      }
    }
    return all;
  };
  ASSERT_TRUE(log->refresh());
  const auto before = ends();
  ASSERT_TRUE(log->refresh());  // from here on nothing is known from the append itself
  constexpr std::int16_t kListOffsets = 2;
  // The question for the first offsets is answered; that for the last, and so many more, are not.
  for (int failing = 1; failing < 4; ++failing) {
    std::vector<rd_kafka_resp_err_t> errors(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    errors.resize(1 + static_cast<std::size_t>(failing),
                  RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    rd_kafka_mock_push_request_errors_array(cluster.get(), kListOffsets, errors.size(),
                                            errors.data());
    ASSERT_TRUE(log->refresh());
    EXPECT_EQ(ends(), before) << failing;
    rd_kafka_mock_clear_request_errors(cluster.get(), kListOffsets);
  }
}

TEST_F(KafkaLogTest, more_who_read_one_partition_than_there_are_lanes_take_turns) {
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(append(std::to_string(i)));
  for (const int round : {1, 2}) {
    for (int at = 0; at < 36; at += 2) {
      const auto some = log->fetch({"prices", 0}, at, {.records_max = 2});
      ASSERT_TRUE(some) << round << ": " << some.error().message;
      ASSERT_FALSE(some->records.empty());
      EXPECT_EQ(some->records[0].value, std::to_string(at));
    }
  }
}

TEST_F(KafkaLogTest, two_who_read_one_partition_at_two_places_do_not_disturb_each_other) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(std::to_string(i)));
  Offset slow = 0;
  Offset fast = 0;
  const auto read = [&](Offset& at, std::int64_t records_max) {
    const auto some = log->fetch({"prices", 0}, at, {.records_max = records_max});
    ASSERT_TRUE(some);
    for (const auto& record : some->records) EXPECT_EQ(record.value, std::to_string(at++));
    EXPECT_EQ(some->next, at);
  };
  while (slow < 20) {
    read(fast, 4);
    read(slow, 2);
  }
  EXPECT_EQ(fast, 20);
}

TEST_F(KafkaLogTest, who_does_not_wait_gets_what_has_come_though_the_broker_is_away) {
  ASSERT_TRUE(append("1"));
  ASSERT_EQ(log->fetch({"prices", 0}, 0, {})->records.size(), 1U);
  cluster.set_up(false);
  // The end is known from here: something has still to come below it, and nobody sends it.
  const auto at_once = log->fetch({"prices", 0}, 0, {.wait_max = Duration(0)});
  ASSERT_TRUE(at_once) << at_once.error().message;
  EXPECT_TRUE(at_once->records.empty());
  EXPECT_EQ(at_once->next, 0);
  const auto waited = log->fetch({"prices", 0}, 0, {.wait_max = std::chrono::milliseconds(200)});
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::timed_out);
  cluster.set_up(true);
  FetchedRecords later;
  std::uint64_t seen = appended.count();
  for (int wakes = 0; wakes < 5 && later.records.empty(); ++wakes) {
    later = *log->fetch({"prices", 0}, 0, {.wait_max = Duration(0)});
    if (later.records.empty()) seen = appended.wait(seen, std::chrono::seconds(10), {});
  }
  EXPECT_EQ(later.records.size(), 1U);
}

TEST_F(KafkaLogTest, a_setting_that_the_promises_stand_on_is_not_to_be_set) {
  for (const char* name :
       {"enable.idempotence", "acks", "request.required.acks", "auto.offset.reset", "partitioner",
        "enable.auto.commit", "isolation.level", "transactional.id", "metadata.broker.list",
        "delivery.report.only.error", "test.mock.num.brokers"}) {
    const auto refused = KafkaLog::open(*clock, {.settings = {{name, "1"}}});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().message.find(name), std::string::npos);
  }
}

TEST_F(KafkaLogTest, a_setting_may_not_keep_an_append_waiting_for_ever) {
  for (const auto& [name, value] :
       {std::pair("message.timeout.ms", "0"), std::pair("message.timeout.ms", "60001"),
        std::pair("message.timeout.ms", "5s"), std::pair("delivery.timeout.ms", "0"),
        std::pair("queue.buffering.max.kbytes", "1")}) {
    const auto refused = KafkaLog::open(*clock, {.settings = {{name, value}}});
    ASSERT_FALSE(refused) << name << "=" << value;
    EXPECT_NE(refused.error().message.find(name), std::string::npos) << refused.error().message;
  }
  EXPECT_TRUE(KafkaLog::open(*clock, {.settings = {{"message.timeout.ms", "60000"}}}));
}

TEST_F(KafkaLogTest, an_append_that_librdkafkas_queue_cannot_hold_at_once_goes_in_parts) {
  MockKafkaLog narrow(*clock, cluster,
                      {.settings = {{"bootstrap.servers", cluster.brokers()},
                                    {"queue.buffering.max.messages", "7"}}});
  const std::vector<Record> records(100, Record{"A", "x"});
  const auto positions = narrow.append("prices", records);
  ASSERT_TRUE(positions) << positions.error().message;
  for (std::size_t i = 0; i < positions->size(); ++i) {
    EXPECT_EQ((*positions)[i].offset, static_cast<Offset>(i));
  }
}

TEST_F(KafkaLogTest, of_an_append_with_a_record_that_is_too_long_nothing_is_sent) {
  MockKafkaLog narrow(
      *clock, cluster,
      {.settings = {{"bootstrap.servers", cluster.brokers()}, {"message.max.bytes", "2000"}}});
  const std::vector<Record> records{{"A", "1"}, {"A", std::string(2000, 'v')}, {"A", "3"}};
  const auto refused = narrow.append("prices", records);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(append("later")->front().offset, 0);
}

TEST_F(KafkaLogTest, a_long_append_stands_in_the_order_of_its_records_as_the_positions_say) {
  ASSERT_TRUE(log->create_topic("wide", 3));
  std::vector<Record> records;
  for (int i = 0; i < 10'000; ++i) records.push_back({std::to_string(i % 7), std::to_string(i)});
  const auto positions = log->append("wide", records);
  ASSERT_TRUE(positions) << positions.error().message;
  std::vector<Offset> next(3);
  for (const Position& at : *positions) {
    EXPECT_EQ(at.offset, next[static_cast<std::size_t>(at.partition)]++);
  }
  const auto [partition, offset] = positions->at(9'000);
  const auto fetched = log->fetch({"wide", partition}, offset, {.records_max = 1});
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(fetched->records.at(0).value, "9000");
}

TEST_F(KafkaLogTest, a_login_by_token_says_what_it_lacks) {
  KafkaSettings settings = {{"security.protocol", "SASL_PLAINTEXT"},
                            {"sasl.mechanism", "OAUTHBEARER"}};
  const auto without = KafkaLog::open(*clock, {.settings = settings});
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("no tokens"), std::string::npos);
  settings["enable.sasl.oauthbearer.unsecure.jwt"] = "true";
  const auto old = KafkaLog::open(*clock, {.settings = settings});
  EXPECT_EQ(bool(old), rd_kafka_version() >= 0x020200ff);
}

TEST_F(KafkaLogTest, a_setting_that_nobody_knows_is_named_and_secrets_are_known) {
  const auto unknown = KafkaLog::open(*clock, {.settings = {{"linger.us", "1"}}});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("'linger.us'"), std::string::npos);
  EXPECT_TRUE(is_secret_setting("sasl.password"));
  EXPECT_FALSE(is_secret_setting("sasl.username"));
}

TEST(KafkaErrors, a_stamp_that_is_not_taken_is_tried_again_and_a_refused_login_is_said_to_be) {
  const Error stamp = kafka_error(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, "appending");
  EXPECT_TRUE(stamp.retryable());
  EXPECT_NE(stamp.hint.find("clock"), std::string::npos);
  const Error login = kafka_error(RD_KAFKA_RESP_ERR__TRANSPORT, "asking",
                                  "sasl_ssl://h:1: SASL authentication error: no such user");
  EXPECT_NE(login.hint.find("refuses the login"), std::string::npos);
  const Error nobody =
      kafka_error(RD_KAFKA_RESP_ERR__TRANSPORT, "asking", "sasl_ssl://h:1: Connection refused");
  EXPECT_EQ(nobody.hint.find("login"), std::string::npos);
}

TEST(KafkaErrors, an_answer_ends_what_was_said_of_the_brokers_before) {
  telemetry::Metrics metrics;
  KafkaState state(metrics);
  state.note_error("SASL authentication error", false);
  EXPECT_FALSE(state.away());
  state.note_error("all brokers are down", true);
  EXPECT_TRUE(state.away());
  EXPECT_EQ(state.last_error(), "SASL authentication error");
  state.note_answer();
  EXPECT_FALSE(state.away());
  EXPECT_EQ(state.last_error(), "");
  state.note_error("SASL authentication error", false);
  state.note_answer();
  EXPECT_EQ(state.last_error(), "");
}

TEST(KafkaStatistics, become_metrics_and_nonsense_changes_nothing) {
  telemetry::Metrics metrics;
  KafkaProbe probe(metrics);
  note_statistics(
      R"({"msg_cnt":7,"msg_size":900,"tx_bytes":5,"brokers":{
          "a:9092/bootstrap":{"nodeid":-1,"state":"UP"},
          "a:9092/1":{"nodeid":1,"state":"UP","rtt":{"p99":2500}},
          "b:9092/2":{"nodeid":2,"state":"DOWN","rtt":{"p99":0}}}})",
      probe);
  EXPECT_EQ(probe.producer_queue_records.value(), 7);
  EXPECT_EQ(probe.brokers_up.value(), 1);
  EXPECT_DOUBLE_EQ(probe.broker_rtt_seconds.value(), 0.0025);
  for (const char* nonsense : {"", "[]", "{", R"({"brokers":[1]})", R"({"brokers":{"a":3}})"}) {
    note_statistics(nonsense, probe);
  }
}

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
        *world->clock, {.settings = {{"bootstrap.servers", std::getenv("KAFKA_BOOTSTRAP_SERVERS")}},
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

/// Commits each of `values` in a transaction of its own: every second offset is a mark.
void append_in_transactions(const std::string& topic, const std::vector<std::string>& values) {
  char text[256];
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", std::getenv("KAFKA_BOOTSTRAP_SERVERS"), text,
                    sizeof text);
  rd_kafka_conf_set(conf, "transactional.id", topic.c_str(), text, sizeof text);
  rd_kafka_t* const producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  EXPECT_FALSE(rd_kafka_init_transactions(producer, 20'000));
  for (const std::string& value : values) {
    EXPECT_FALSE(rd_kafka_begin_transaction(producer));
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                      RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                      RD_KAFKA_V_END);
    EXPECT_FALSE(rd_kafka_commit_transaction(producer, 20'000));
  }
  rd_kafka_destroy(producer);
}

TEST(RealKafkaReader, who_reads_ranges_that_end_in_marks_reads_on_at_one_place) {
  if (!std::getenv("KAFKA_BOOTSTRAP_SERVERS")) GTEST_SKIP() << "KAFKA_BOOTSTRAP_SERVERS";
  const auto clock = make_system_clock();
  const std::string prefix = "marks-" + std::to_string(getpid()) + ".";
  const auto log = std::move(*KafkaLog::open(
      *clock, {.settings = {{"bootstrap.servers", std::getenv("KAFKA_BOOTSTRAP_SERVERS")}},
               .topic_prefix = prefix,
               .replication = 1,
               .answer_max = std::chrono::seconds(20)}));
  ASSERT_TRUE(log->create_topic("marked", 1));
  const auto files = io::make_file_system();
  std::size_t threads = 0;  // a lane has some of its own
  Offset next = 0;
  for (int load = 0; load < 6; ++load) {
    append_in_transactions(prefix + "marked", {"1", "2", "3"});
    Offset end = 0;
    for (int looks = 0; end != next + 6; ++looks) {  // the marks come a moment after the commit
      ASSERT_LT(looks, 500);
      clock->wait_for(std::chrono::milliseconds(20), {});
      ASSERT_TRUE(log->refresh());
      end = log->topics()->front().partitions[0].end;
    }
    std::vector<Offset> offsets;
    while (next < end) {  // as the loader does, in two pieces
      const auto some =
          log->fetch({"marked", 0}, next, {.records_max = std::min<Offset>(end - next, 4)});
      ASSERT_TRUE(some) << some.error().message;
      for (const auto& record : some->records) offsets.push_back(record.offset);
      ASSERT_GT(some->next, next);
      ASSERT_LE(some->next, end);
      next = some->next;
    }
    EXPECT_EQ(offsets, (std::vector<Offset>{end - 6, end - 4, end - 2}));
    if (load == 2) threads = files->list("/proc/self/task")->size();
    EXPECT_TRUE(load <= 2 || files->list("/proc/self/task")->size() == threads);
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MessageLogContract);
INSTANTIATE_TEST_SUITE_P(RealKafka, MessageLogContract, testing::ValuesIn(real_kafka()));

}  // namespace
}  // namespace tapeline::msglog
