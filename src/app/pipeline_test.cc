// Goal: what only shows when log, warehouse, models and scheduler are opened together on a data
// directory: a run from topic to tests, and what a restart or a pause does to it.

#include "app/pipeline.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace tapeline::app {
namespace {

namespace fs = std::filesystem;

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~PipelineTest() override {
    pipeline_.reset();
    fs::remove_all(folder_);
  }
  void open(std::map<std::string, std::string, std::less<>> flags = {}) {
    pipeline_.reset();
    auto config = Config::load(*files_, folder_.string(), environment_, flags);
    ASSERT_TRUE(config) << config.error().message;
    auto directory =
        DataDirectory::open(*files_, *clock_, (folder_ / "data").string(), DirectoryKind::market);
    ASSERT_TRUE(directory) << directory.error().message;
    auto pipeline = Pipeline::open({*clock_, *files_, metrics_, appended_, aside_}, *config,
                                   *std::move(directory));
    ASSERT_TRUE(pipeline) << pipeline.error().message;
    pipeline_ = *std::move(pipeline);
  }
  bool send(const std::string& second) {
    const std::vector<msglog::Record> records = {
        {"AAPL", R"({"symbol":"AAPL","price":150.25,"timestamp":"2025-01-06T15:00:)" + second +
                     R"(Z","data_source":"desk"})"}};
    return pipeline_->log().append(std::string(kTopic), records).has_value();
  }
  std::string run() {
    const auto done = pipeline_->run_dag(std::string(kIngestionDag), {});
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    if (!done) return "";
    EXPECT_EQ(done->state, "success") << done->error;
    return done->run_id;
  }
  /// One try of the task `test`, as a run that goes on after a restart makes it.
  dag::TaskOutcome::State test_again(const std::string& run_id) {
    dag::TaskLog log(*clock_);
    dag::TaskContext context{.run_id = run_id, .task = "test", .action = "test"};
    context.params = text::Value(text::Object{});
    context.log = &log;
    const auto outcome = pipeline_->tasks().run(context);
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message);
    return outcome ? outcome->state : dag::TaskOutcome::State::skipped;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "pipeline_test";
  Environment environment_;
  std::unique_ptr<Clock> clock_ = make_system_clock();
  std::unique_ptr<io::FileSystem> files_ = io::make_file_system();
  telemetry::Metrics metrics_;
  Wakeup appended_;
  NobodyAside aside_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(PipelineTest, a_run_loads_transforms_and_tests_and_leaves_nothing_to_do) {
  open();
  EXPECT_TRUE(send("00"));
  EXPECT_EQ(pipeline_->tasks().has_work(""), dag::Work::little);
  run();
  EXPECT_EQ(pipeline_->tasks().has_work(""), dag::Work::none);
  const auto status = pipeline_->tasks().status();
  EXPECT_EQ(status.equation.loaded, 1);
  EXPECT_EQ(status.tested_load_id, 1);
  ASSERT_TRUE(status.tests);
  EXPECT_GT(status.tests->pass, 10);
}

TEST_F(PipelineTest, a_dag_without_tests_or_models_has_nothing_more_to_do_for_them) {
  fs::create_directories(folder_ / "dags");
  environment_["TAPELINE_DAG_FOLDER"] = (folder_ / "dags").string();
  int second = 0;
  for (const char* more : {"", ", transform: {upstream: [load]}", ", test: {upstream: [load]}"}) {
    ASSERT_TRUE(io::write_file_atomically(
        *files_, (folder_ / "dags" / "stock_data_ingestion.yml").string(),
        std::string("schedule: \"@continuous\"\ntasks: {consume: , load: {upstream: [consume]}") +
            more + "}\n"));
    open();
    EXPECT_TRUE(send("0" + std::to_string(second++)));
    EXPECT_EQ(pipeline_->tasks().has_work(""), dag::Work::little) << more;
    run();
    const bool tests_wait = std::string_view(more).find("test") != std::string_view::npos;
    EXPECT_EQ(pipeline_->tasks().has_work(""), tests_wait ? dag::Work::little : dag::Work::none)
        << more;  // there is nothing to test before the models have seen it
  }
}

TEST_F(PipelineTest, tests_that_come_again_after_a_kill_look_at_the_loads_of_their_own_run) {
  open();
  EXPECT_TRUE(send("00"));
  const std::string first = run();
  EXPECT_TRUE(send("01"));
  const std::string second = run();
  open();  // tested_load_id says that all was tested
  const auto connection = *pipeline_->warehouse().connect();
  ASSERT_TRUE(connection->execute("update stg_stocks.stg_stock_prices set data_source = null"));
  EXPECT_EQ(test_again("manual__of_no_load"), dag::TaskOutcome::State::success);
  EXPECT_EQ(test_again(second), dag::TaskOutcome::State::failed);
  EXPECT_EQ(test_again(first), dag::TaskOutcome::State::failed);
  EXPECT_EQ(pipeline_->tasks().status().tested_load_id, 2);
}

TEST_F(PipelineTest, retention_keeps_what_is_not_loaded_unless_the_dag_is_paused) {
  environment_["TAPELINE_LOG_RETENTION_BYTES"] = "70000000";  // a segment, and a bit
  open();
  const std::vector<msglog::Record> nine_megabytes(10, {"A", std::string(900'000, 'x')});
  const auto fill = [&] {
    int taken = 0;
    while (taken < 12 && pipeline_->log().append(std::string(kTopic), nine_megabytes)) ++taken;
    return taken;
  };
  EXPECT_LT(fill(), 9);  // full of what nobody has loaded
  ASSERT_TRUE(pipeline_->set_paused(std::string(kIngestionDag), true));
  EXPECT_EQ(fill(), 12);
  open();  // a pause is remembered
  EXPECT_EQ(fill(), 12);
  ASSERT_TRUE(pipeline_->set_paused(std::string(kIngestionDag), false));
  EXPECT_LT(fill(), 9);
  EXPECT_EQ(pipeline_->set_paused("none", true).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace tapeline::app
