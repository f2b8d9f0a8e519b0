#include "transform/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tapeline::transform {
namespace {

/// dbt's count of a kind: one "test", but two "data tests".
std::string counted_kind(std::size_t count, std::string_view kind) {
  return counted(count, kind == "test" && count != 1 ? "data test" : kind);
}

bool failed(const NodeResult& result) {
  return result.status == NodeStatus::error || result.status == NodeStatus::fail ||
         (result.status == NodeStatus::skipped && !result.message.empty());
}

/// "1 table model, 7 data tests": counted by kind, in the order of the kinds' names.
std::string run_counts(const Manifest& manifest, const std::vector<NodeResult>& results) {
  std::map<std::string, std::size_t> counts;
  for (const auto& result : results) {
    const auto& node = *manifest.find(result.unique_id);
    std::string kind(to_string(node.kind));
    if (node.kind == NodeKind::model) kind = node.materialized() + " model";
    if (node.kind == NodeKind::operation) kind = "project hook";
    ++counts[kind];
  }
  std::string line;
  for (const auto& [kind, count] : counts)
    line += (line.empty() ? "" : ", ") + counted_kind(count, kind);
  return line;
}

void report_failure(const Console& console, const Manifest& manifest, const NodeResult& result,
                    bool is_warning) {
  if (result.status == NodeStatus::skipped) return;
  const auto& node = *manifest.find(result.unique_id);
  const auto say = [&](const std::string& text) {
    if (is_warning)
      console.info(text);
    else
      console.error(text);
  };
  console.info("");
  say(fmt::format("{} in {} {} ({})", is_warning ? "Warning" : "Failure", to_string(node.kind),
                  node.name, node.original_file_path));
  say("  " + (result.message.empty() ? fmt::format("Status: {}", to_string(result.status))
                                     : result.message));
  if (result.compiled && node.kind != NodeKind::operation) {
    console.info("");
    console.info("  compiled code at " + artifact_path(manifest.project, "compiled", node));
  }
}

}  // namespace

void report_found(const Console& console, const Manifest& manifest) {
  std::vector<std::pair<NodeKind, std::size_t>> counts;
  for (const auto& id : manifest.stat_order) {
    const auto kind = manifest.find(id)->kind;
    if (kind == NodeKind::source) continue;
    const auto at = std::ranges::find(counts, kind, &std::pair<NodeKind, std::size_t>::first);
    if (at == counts.end())
      counts.emplace_back(kind, 1);
    else
      ++at->second;
  }
  const auto sources = std::ranges::count_if(
      manifest.nodes, [](const auto& entry) { return entry.second.kind == NodeKind::source; });
  if (sources > 0) counts.emplace_back(NodeKind::source, sources);
  std::string line;
  for (const auto& [kind, count] : counts)
    line += (line.empty() ? "" : ", ") + counted_kind(count, to_string(kind));
  line += (line.empty() ? "" : ", ") + counted(manifest.macros.all().size(), "macro");
  console.info("Found " + line);
}

void report_concurrency(const Console& console, const Profile& profile) {
  console.info("");
  console.info(fmt::format("Concurrency: {} threads (target='{}')",
                           profile.target.int_or("threads", 1), profile.target_name));
  console.info("");
}

void report_end(const Console& console, const Manifest& manifest,
                const std::vector<NodeResult>& results, Duration took) {
  const double total = std::chrono::duration<double>(took).count();
  const auto whole = static_cast<std::int64_t>(total);
  console.info("");
  console.info(
      fmt::format("Finished running {} in {} hours {} minutes and {:.2f} seconds ({:.2f}s).",
                  run_counts(manifest, results), whole / 3600, whole / 60 % 60,
                  total - static_cast<double>(whole / 60 * 60), total));
  const auto errors = static_cast<std::size_t>(std::ranges::count_if(results, failed));
  const auto warnings = static_cast<std::size_t>(std::ranges::count_if(
      results, [](const auto& result) { return result.status == NodeStatus::warn; }));
  console.info("");
  if (errors > 0)
    console.info(fmt::format("Completed with {}, 0 partial successes, and {}:",
                             counted(errors, "error"), counted(warnings, "warning")));
  else if (warnings > 0)
    console.info(fmt::format("Completed with {}:", counted(warnings, "warning")));
  else
    console.info("Completed successfully");
  for (const auto& result : results)
    if (failed(result)) report_failure(console, manifest, result, false);
  for (const auto& result : results)
    if (result.status == NodeStatus::warn) report_failure(console, manifest, result, true);

  std::map<std::string_view, std::size_t> stats;
  for (const auto& result : results) switch (result.status) {
      case NodeStatus::success:
      case NodeStatus::pass:
        ++stats["PASS"];
        break;
      case NodeStatus::warn:
        ++stats["WARN"];
        break;
      case NodeStatus::skipped:
        ++stats["SKIP"];
        break;
      case NodeStatus::error:
      case NodeStatus::fail:
        ++stats["ERROR"];
        break;
    }
  console.info("");
  console.info(fmt::format("Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP=0 TOTAL={}", stats["PASS"],
                           stats["WARN"], stats["ERROR"], stats["SKIP"], results.size()));
}

void report_compiled(const Console& console, const Manifest& manifest, const Invocation& invocation,
                     const std::vector<NodeResult>& results) {
  if (invocation.select.empty()) return;
  for (const auto& result : results) {
    const auto& node = *manifest.find(result.unique_id);
    if (invocation.select[0].find(node.name) == std::string::npos) continue;
    console.raw(fmt::format("Compiled node '{}' is:\n{}", node.name, result.compiled_code));
  }
}

void report_debug(const Console& console, const World& world) {
  const auto& target = world.profile.target;
  console.info("adapter type: duckdb");
  console.info("Configuration:");
  console.info("  profiles.yml file [OK found and valid]");
  console.info("  dbt_project.yml file [OK found and valid]");
  console.info("Connection:");
  for (const char* key : {"database", "schema", "path"})
    if (const auto* value = target.find(key); value != nullptr && value->is_string())
      console.info(fmt::format("  {}: {}", key, value->as_string()));
  console.info("  Connection test: [OK connection ok]");
  console.info("");
  console.info("All checks passed!");
}

int exit_code_of(const std::vector<NodeResult>& results) {
  return std::ranges::any_of(results, failed) ? 1 : 0;
}

std::string listed(const Node& node, const std::string& output) {
  std::string fqn;
  for (const auto& part : node.fqn) fqn += (fqn.empty() ? "" : ".") + part;
  if (output == "name") return node.name;
  if (output == "path") return node.original_file_path;
  if (output == "json") {
    const auto full = node_as_value(node);
    text::Value value;
    for (const char* key : {"name", "resource_type", "package_name", "original_file_path",
                            "unique_id", "alias", "config", "tags", "depends_on"})
      if (const auto* member = full.find(key)) value.set(key, *member);
    return text::to_json(value);
  }
  if (node.kind == NodeKind::source)
    return fmt::format("source:{}.{}.{}", node.package, node.source_name, node.name);
  return fqn;
}

}  // namespace tapeline::transform
