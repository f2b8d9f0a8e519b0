// UpStatus: what a running pipeline answers to page and command line: serve's Commands port.

#pragma once

#include <memory>
#include <string>

#include "app/pipeline.h"
#include "base/guarded.h"
#include "feeds/feed.h"
#include "serve/commands.h"

namespace tapeline::app {

/// threads:  any
/// lifetime: outlives the server; the pipeline is given when it is open
class UpStatus final : public serve::Commands {
 public:
  explicit UpStatus(Clock& clock) : clock_(clock) {}

  /// From now on there is a pipeline to ask.
  void set_pipeline(Pipeline& pipeline) { pipeline_.store(&pipeline); }

  text::Value status() override;
  std::optional<std::string> problem() override;
  Result<text::Value> dags() override;
  Result<text::Value> runs(const std::string& dag) override;
  Result<text::Value> tasks(const std::string& dag, const std::string& run) override;
  Result<text::Value> task_log(const std::string& dag, const std::string& run,
                               const std::string& task) override;
  Result<text::Value> act(const serve::DagRequest& request) override;
  Result<text::Value> followed() override;
  Result<text::Value> follow(const std::vector<std::string>& symbols) override;
  Result<text::Value> unfollow(const std::string& symbol) override;
  serve::Lane lane(const serve::CommandLine& line) override;
  Result<int> run(const serve::CommandLine& line, const serve::CommandOutput& output,
                  std::stop_token stop) override;

 private:
  /// How fast records came over the last seconds.
  struct Rate {
    Duration at{0};
    std::int64_t records = 0;
    double per_second = 0;
  };
  text::Value feed_status();
  Result<Pipeline*> pipeline() const;

  Clock& clock_;
  std::atomic<Pipeline*> pipeline_{nullptr};
  Guarded<Rate> rate_;
};

}  // namespace tapeline::app
