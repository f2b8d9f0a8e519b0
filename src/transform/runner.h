// The runner: compiles the selected nodes, runs them in order, and says how each went.

#pragma once

#include <stop_token>
#include <vector>

#include "transform/console.h"
#include "transform/context.h"
#include "transform/graph.h"

namespace tapeline::transform {

/// dbt's words for how a node ended.
enum class NodeStatus : std::uint8_t { success, error, skipped, pass, warn, fail };

constexpr std::string_view to_string(NodeStatus status) {
  switch (status) {
    case NodeStatus::success:
      return "success";
    case NodeStatus::error:
      return "error";
    case NodeStatus::skipped:
      return "skipped";
    case NodeStatus::pass:
      return "pass";
    case NodeStatus::warn:
      return "warn";
    case NodeStatus::fail:
      return "fail";
  }
  return "unknown";
}

struct NodeResult {
  std::string unique_id;
  NodeStatus status = NodeStatus::success;
  std::string message;                   // why it failed; empty where there is nothing to say
  std::optional<std::int64_t> failures;  // of a data test
  Duration execution_time{0};
  Timestamp compile_started;
  Timestamp execute_started;
  Timestamp completed;
  std::string compiled_code;
  bool compiled = false;
};

/// Runs one invocation's nodes, one after another.
class Runner {
 public:
  using Sink = std::function<Status(const std::string& path, std::string_view bytes)>;

  Runner(World& world, const Console& console, const Sink& sink, std::stop_token stop)
      : world_(world), console_(console), sink_(sink), stop_(std::move(stop)) {}

  /// run, test and build. `selected` holds models and tests.
  /// errors: what ends the whole invocation: a schema that cannot be made
  Result<std::vector<NodeResult>> run(const std::set<std::string>& selected, bool preserve_edges);

  /// compile: the SQL of each selected node, without running it.
  Result<std::vector<NodeResult>> compile(const std::set<std::string>& selected);

 private:
  struct Failure {
    std::string message;  // as dbt prints it, without the first line's prefix
  };
  struct Compiled {
    std::string sql;
    std::vector<std::pair<std::string, std::string>> ctes;  // of ephemeral parents, in order
  };

  Result<Compiled> compile_node(const Node& node, NodeContext& context);
  Result<Compiled> render_code(const Node& node, NodeContext& context);
  Status add_ctes(const Node& node, Compiled& compiled);
  NodeResult run_node(const Node& node, std::size_t index, std::size_t total);
  Status execute_model(const Node& node, NodeContext& context, const std::string& sql);
  Status execute_test(const Node& node, NodeContext& context, const std::string& sql,
                      NodeResult& result);
  Result<jinja::Value> materialize(const Node& node, NodeContext& context, const std::string& sql);
  Status create_schemas(const std::set<std::string>& selected);
  Status run_hooks(std::string_view when, std::vector<NodeResult>& results);
  std::string describe_failure(const Node& node, const NodeContext& context, const Error& error);
  void announce_end(const Node& node, const NodeResult& result, std::size_t index,
                    std::size_t total) const;
  Status write(const std::string& folder, const Node& node, std::string_view sql) const;

  World& world_;
  const Console& console_;
  const Sink& sink_;
  std::stop_token stop_;
  std::map<std::string, Compiled> ephemeral_;
};

/// Where a node's SQL is written: target/compiled/<project>/models/a.sql.
std::string artifact_path(const Project& project, const std::string& folder, const Node& node);

/// "model", "sql view model main.a", "test x": what the console calls a node.
std::string node_label(const Node& node);

}  // namespace tapeline::transform
