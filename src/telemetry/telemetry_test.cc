#include <gtest/gtest.h>

#include "telemetry/logging.h"
#include "telemetry/metrics.h"

namespace tapeline::telemetry {
namespace {

TEST(Metrics, the_text_has_help_type_and_value) {
  Metrics metrics;
  metrics.counter("tapeline_test_things_total", "Things seen.", {{"kind", "a"}}).add(3);
  metrics.gauge_from("tapeline_test_asked", "Asked.", {}, [] { return 2.5; });
  auto& seconds = metrics.histogram("tapeline_test_seconds", "Time.", {0.1, 1});
  seconds.observe(0.05);
  seconds.observe(5);
  const std::string text = metrics.text();
  EXPECT_NE(text.find("# HELP tapeline_test_things_total Things seen."), std::string::npos) << text;
  EXPECT_NE(text.find("tapeline_test_things_total{kind=\"a\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("tapeline_test_asked 2.5"), std::string::npos) << text;
  EXPECT_NE(text.find("tapeline_test_seconds_bucket{le=\"1\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("tapeline_test_seconds_count 2"), std::string::npos) << text;
}

TEST(Metrics, the_same_name_and_labels_are_the_same_metric) {
  Metrics metrics;
  EXPECT_EQ(&metrics.counter("a_total", "", {{"x", "1"}}),
            &metrics.counter("a_total", "", {{"x", "1"}}));
  EXPECT_NE(&metrics.counter("a_total", "", {{"x", "1"}}),
            &metrics.counter("a_total", "", {{"x", "2"}}));
}

TEST(Logging, lines_go_to_the_sink_with_their_fields_and_levels) {
  std::vector<std::string> seen;
  set_log_sink([&](Level, std::string_view event, const Fields& fields) {
    seen.push_back(std::string(event) + " " + fields.at(0).second);
  });
  log(Level::debug, "not seen", {{"a", "1"}});
  log(Level::info, "records appended", {{"count", "500"}});
  set_log_sink({});
  EXPECT_EQ(seen, std::vector<std::string>{"records appended 500"});
}

TEST(Logging, a_secret_never_reaches_a_line) {
  mask_secret("s3cret-key");
  testing::internal::CaptureStderr();
  log(Level::info, "asked", {{"url", "https://x/?token=s3cret-key"}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(line.find("s3cret-key"), std::string::npos) << line;
  EXPECT_NE(line.find("***"), std::string::npos) << line;
}

}  // namespace
}  // namespace tapeline::telemetry
