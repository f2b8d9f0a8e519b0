#include "transform/artifacts.h"

#include <fmt/format.h>

#include "io/digest.h"

namespace tapeline::transform {
namespace {

constexpr const char* kDbtVersion = "1.11.16";

text::Value texts(const std::vector<std::string>& values) {
  return text::List(values.begin(), values.end());
}

text::Value empty_object() { return text::Object{}; }

text::Value metadata(const World& world, const char* schema) {
  text::Value value;
  value.set("dbt_schema_version", fmt::format("https://schemas.getdbt.com/dbt/{}.json", schema));
  value.set("dbt_version", kDbtVersion);
  value.set("generated_at", format_rfc3339_micros(world.clock.now()));
  value.set("invocation_id", world.invocation_id);
  value.set("invocation_started_at", format_rfc3339_micros(world.run_started_at));
  value.set("env", empty_object());
  return value;
}

text::Value node_entry(const Node& node) {
  auto value = node_as_value(node);
  value.set("group", text::Value());
  value.set("unrendered_config", empty_object());
  value.set("doc_blocks", text::List{});
  if (node.kind == NodeKind::source) return value;
  value.set("docs", *text::parse_json(R"({"show":true,"node_color":null})"));
  value.set("metrics", text::List{});
  value.set("functions", text::List{});
  value.set("build_path", text::Value());
  value.set("compiled_path", text::Value());
  value.set("contract",
            *text::parse_json(R"({"enforced":false,"alias_types":true,"checksum":null})"));
  if (node.kind == NodeKind::model) {
    value.set("access", node.config.string_or("access", "protected"));
    value.set("constraints", text::List{});
    value.set("version", text::Value());
    value.set("latest_version", text::Value());
    value.set("deprecation_date", text::Value());
    value.set("primary_key", text::List{});
  }
  if (node.kind == NodeKind::operation) value.set("index", text::Value(0));
  return value;
}

text::Value source_entry(const Node& node) {
  auto value = node_entry(node);
  value.set("quoting",
            node.config.find("quoting") == nullptr ? empty_object() : *node.config.find("quoting"));
  value.set("source_meta", empty_object());
  value.set("loaded_at_field", text::Value());
  value.set("freshness", text::Value());
  value.set("external", text::Value());
  return value;
}

text::Value macro_entry(const Macro& macro) {
  text::Value value;
  value.set("name", macro.name);
  value.set("resource_type", "macro");
  value.set("package_name", macro.package);
  value.set("path", macro.path);
  value.set("original_file_path", macro.path);
  value.set("unique_id", macro.unique_id());
  value.set("macro_sql", "");
  value.set("depends_on", *text::parse_json(R"({"macros":[]})"));
  value.set("description", "");
  value.set("meta", empty_object());
  value.set("docs", *text::parse_json(R"({"show":true,"node_color":null})"));
  value.set("patch_path", text::Value());
  value.set("arguments", text::List{});
  return value;
}

text::Value timing(const char* name, Timestamp from, Timestamp to) {
  text::Value value;
  value.set("name", name);
  value.set("started_at", format_rfc3339_micros(from));
  value.set("completed_at", format_rfc3339_micros(to));
  return value;
}

text::Value result_entry(const World& world, const NodeResult& result) {
  text::Value value;
  value.set("status", to_string(result.status));
  text::List timings;
  if (result.compiled) {
    timings.push_back(timing("compile", result.compile_started, result.execute_started));
    timings.push_back(timing("execute", result.execute_started, result.completed));
  }
  value.set("timing", std::move(timings));
  value.set("thread_id", "Thread-1");
  value.set("execution_time", std::chrono::duration<double>(result.execution_time).count());
  text::Value response = empty_object();
  if (result.status == NodeStatus::success) response.set("_message", "OK");
  value.set("adapter_response", std::move(response));
  const bool plain_success = result.status == NodeStatus::success && result.message.empty();
  value.set("message", plain_success            ? text::Value("OK")
                       : result.message.empty() ? text::Value()
                                                : text::Value(result.message));
  value.set("failures", text::Value::optional(result.failures));
  value.set("unique_id", result.unique_id);
  value.set("compiled", result.compiled);
  value.set("compiled_code", result.compiled ? text::Value(result.compiled_code) : text::Value());
  const auto* node = world.manifest.find(result.unique_id);
  value.set("relation_name", node == nullptr || node->relation_name.empty()
                                 ? text::Value()
                                 : text::Value(node->relation_name));
  value.set("batch_results", text::Value());
  return value;
}

}  // namespace

text::Value manifest_artifact(const World& world) {
  const auto& manifest = world.manifest;
  text::Value nodes = empty_object(), sources = empty_object(), macros = empty_object();
  text::Value disabled = empty_object(), parents = empty_object(), children = empty_object();
  for (const auto& [id, node] : manifest.nodes) {
    if (node.kind == NodeKind::source)
      sources.set(id, source_entry(node));
    else
      nodes.set(id, node_entry(node));
    parents.set(id, texts(node.depends_on));
    const auto found = manifest.children.find(id);
    children.set(
        id, found == manifest.children.end() ? text::Value(text::List{}) : texts(found->second));
  }
  for (const auto& [id, node] : manifest.disabled) disabled.set(id, text::List{node_entry(node)});
  for (const auto& [id, macro] : manifest.macros.all()) macros.set(id, macro_entry(macro));

  text::Value about = metadata(world, "manifest/v12");
  about.set("project_name", manifest.project.name);
  about.set("project_id", io::md5_hex(manifest.project.name));
  about.set("user_id", text::Value());
  about.set("send_anonymous_usage_stats", false);
  about.set("adapter_type", "duckdb");
  about.set("run_started_at", format_rfc3339_micros(world.run_started_at));

  text::Value value;
  value.set("metadata", std::move(about));
  value.set("nodes", std::move(nodes));
  value.set("sources", std::move(sources));
  value.set("macros", std::move(macros));
  for (const char* empty : {"docs", "exposures", "metrics", "groups", "selectors"})
    value.set(empty, empty_object());
  value.set("disabled", std::move(disabled));
  value.set("parent_map", std::move(parents));
  value.set("child_map", std::move(children));
  for (const char* empty :
       {"group_map", "saved_queries", "semantic_models", "unit_tests", "functions"})
    value.set(empty, empty_object());
  return value;
}

text::Value run_results_artifact(const World& world, const std::vector<NodeResult>& results,
                                 const Invocation& invocation, Duration elapsed) {
  text::Value value;
  value.set("metadata", metadata(world, "run-results/v6"));
  text::List entries;
  for (const auto& result : results) entries.push_back(result_entry(world, result));
  value.set("results", std::move(entries));
  value.set("elapsed_time", std::chrono::duration<double>(elapsed).count());
  text::Value args;
  args.set("which", invocation.command);
  args.set("select", texts(invocation.select));
  args.set("exclude", texts(invocation.exclude));
  args.set("full_refresh", invocation.full_refresh);
  args.set("fail_fast", invocation.fail_fast);
  args.set("vars", invocation.vars);
  value.set("args", std::move(args));
  return value;
}

}  // namespace tapeline::transform
