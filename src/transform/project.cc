#include "transform/project.h"

#include <fmt/format.h>

#include <algorithm>

#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

class YamlContext final : public jinja::Context {
 public:
  YamlContext(const Environment& environment, const text::Value& vars, const text::Value& target) {
    names_.emplace("env_var", env_var_function(environment));
    names_.emplace("target", to_jinja(target));
    names_.emplace("var",
                   jinja::Value::function(
                       "var", [vars](const jinja::Arguments& arguments) -> Result<jinja::Value> {
                         const auto name = text_argument(arguments, 0, "var");
                         if (const auto* found = vars.find(name)) return to_jinja(*found);
                         return argument(arguments, 1, "default");
                       }));
  }
  std::optional<jinja::Value> lookup(const std::string& name) override {
    const auto found = names_.find(name);
    if (found == names_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::map<std::string, jinja::Value> names_;
};

Error invalid(std::string message, std::string hint = "") {
  return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

std::vector<std::string> text_list(const text::Value* value, std::vector<std::string> fallback) {
  if (value == nullptr || value->is_null()) return fallback;
  if (value->is_string()) return {value->as_string()};
  std::vector<std::string> texts;
  if (value->is_list())
    for (const auto& item : value->as_list())
      if (item.is_string()) texts.push_back(item.as_string());
  return texts;
}

/// Folders, as the names of the project's files begin: `./models/` is `models`.
std::vector<std::string> folder_list(const text::Value* value, std::vector<std::string> fallback) {
  auto folders = text_list(value, std::move(fallback));
  for (auto& folder : folders) {
    while (folder.starts_with("./")) folder.erase(0, 2);
    while (folder.ends_with('/')) folder.pop_back();
  }
  return folders;
}

text::Value member(const text::Value& value, std::string_view name) {
  const auto* found = value.find(name);
  return found == nullptr ? text::Value() : *found;
}

std::string names_in(const text::Value& value) {
  std::string out;
  if (value.is_object())
    for (const auto& [key, unused] : value.as_object()) out += "\n - " + key;
  return out;
}

bool is_hook(std::string_view key) { return key == "pre-hook" || key == "post-hook"; }

std::string canonical_key(const std::string& key) {
  if (key == "pre_hook") return "pre-hook";
  if (key == "post_hook") return "post-hook";
  return key;
}

text::Value as_list(const text::Value& value) {
  if (value.is_list()) return value;
  if (value.is_null()) return text::List{};
  return text::List{value};
}

/// A hook as dbt keeps it: {sql, transaction}.
text::Value hook_of(const text::Value& value) {
  text::Value hook = value;
  if (value.is_string()) {
    const auto& sql = value.as_string();
    const auto parsed = sql.find("\"sql\"") == std::string::npos
                            ? Result<text::Value>(text::Value())
                            : text::parse_json(sql);
    hook = text::Value(text::Object{});
    if (parsed && parsed->is_object())
      hook = *parsed;
    else
      hook.set("sql", sql);
  }
  if (hook.find("transaction") == nullptr) hook.set("transaction", true);
  return hook;
}

}  // namespace

jinja::Value env_var_function(const Environment& environment) {
  return jinja::Value::function(
      "env_var", [&environment](const jinja::Arguments& arguments) -> Result<jinja::Value> {
        const auto name = text_argument(arguments, 0, "var");
        if (const auto found = environment.find(name); found != environment.end())
          return jinja::Value(found->second);
        const auto fallback = argument(arguments, 1, "default");
        if (!fallback.is_none()) return jinja::Value(fallback.text());
        return invalid(fmt::format("Env var required but not provided: '{}'", name));
      });
}

std::unique_ptr<jinja::Context> yaml_context(const Environment& environment,
                                             const text::Value& vars, const text::Value& target) {
  return std::make_unique<YamlContext>(environment, vars, target);
}

Result<text::Value> render_yaml(const text::Value& value, jinja::Context& context) {
  if (value.is_string()) {
    const auto& source = value.as_string();
    if (source.find("{{") == std::string::npos && source.find("{%") == std::string::npos)
      return value;
    const auto code = TRY(jinja::Template::parse(source, "yaml"));
    const auto rendered = TRY(code.render_native(context));
    text::Value out = to_text_value(rendered);
    out.line = value.line;
    return out;
  }
  text::Value out = value;
  if (out.is_list())
    for (auto& item : out.as_list()) item = TRY(render_yaml(item, context));
  if (out.is_object())
    for (auto& [key, item] : out.as_object()) {
      if (is_hook(key) || key == "pre_hook" || key == "post_hook" || key == "on-run-start" ||
          key == "on-run-end" || key == "+pre-hook" || key == "+post-hook" || key == "+pre_hook" ||
          key == "+post_hook" || key == "query-comment")
        continue;
      item = TRY(render_yaml(item, context));
    }
  return out;
}

Result<Project> load_project(const ProjectFiles& files, jinja::Context& context) {
  const auto* source = files.find("dbt_project.yml");
  if (source == nullptr)
    return invalid("no dbt_project.yml found at the expected path",
                   "Give the project's folder with --project-dir.");
  const auto raw = text::parse_yaml(*source);
  if (!raw) return Error(raw.error()).while_doing("reading dbt_project.yml");
  const auto yaml = TRY(render_yaml(*raw, context));

  Project project;
  project.name = yaml.string_or("name", "");
  if (project.name.empty())
    return invalid("dbt_project.yml: 'name' is a required property", "Name the project.");
  if (!std::ranges::all_of(project.name,
                           [](unsigned char c) { return std::isalnum(c) || c == '_'; }))
    return invalid(fmt::format("dbt_project.yml: '{}' is no project name", project.name),
                   "A name has letters, digits and underscores.");
  project.version = yaml.string_or("version", "");
  project.profile = yaml.string_or("profile", project.name);
  project.model_paths = folder_list(yaml.find("model-paths"), {"models"});
  project.macro_paths = folder_list(yaml.find("macro-paths"), {"macros"});
  project.test_paths = folder_list(yaml.find("test-paths"), {"tests"});
  for (const auto& path : folder_list(yaml.find("seed-paths"), {"seeds"}))
    project.other_paths.push_back(path);
  for (const auto& path : folder_list(yaml.find("snapshot-paths"), {"snapshots"}))
    project.other_paths.push_back(path);
  project.target_path = yaml.string_or("target-path", "target");
  project.vars = member(yaml, "vars");
  project.model_configs = member(yaml, "models");
  project.test_configs = member(yaml, yaml.find("data_tests") != nullptr ? "data_tests" : "tests");
  project.source_configs = member(yaml, "sources");
  project.on_run_start = text_list(yaml.find("on-run-start"), {});
  project.on_run_end = text_list(yaml.find("on-run-end"), {});
  if (const auto* dispatch = yaml.find("dispatch"); dispatch != nullptr && dispatch->is_list())
    for (const auto& entry : dispatch->as_list())
      project.dispatch[entry.string_or("macro_namespace", "")] =
          text_list(entry.find("search_order"), {});
  return project;
}

Result<Profile> load_profile(const std::string& profiles_yaml, const std::string& profile,
                             const std::string& target, jinja::Context& context) {
  const auto raw = text::parse_yaml(profiles_yaml);
  if (!raw) return Error(raw.error()).while_doing("reading profiles.yml");
  const auto* entry = raw->find(profile);
  if (entry == nullptr)
    return invalid(fmt::format("Could not find profile named '{}'", profile),
                   "profiles.yml has these:" + names_in(*raw));
  Profile chosen;
  chosen.name = profile;
  const auto own = TRY(render_yaml(member(*entry, "target"), context));
  chosen.target_name = !target.empty() ? target : own.is_string() ? own.as_string() : "default";
  const auto outputs = member(*entry, "outputs");
  const auto* output = outputs.find(chosen.target_name);
  if (output == nullptr)
    return invalid(
        fmt::format("The profile '{}' does not have a target named '{}'. The valid "
                    "target names for this profile are:{}",
                    profile, chosen.target_name, names_in(outputs)));
  chosen.target = TRY(render_yaml(*output, context));
  chosen.target.set("name", chosen.target_name);
  chosen.target.set("target_name", chosen.target_name);
  chosen.target.set("profile_name", profile);
  if (chosen.target.find("schema") == nullptr) chosen.target.set("schema", "main");
  if (chosen.target.find("threads") == nullptr) chosen.target.set("threads", 1);
  return chosen;
}

std::vector<text::Value> configs_for(const text::Value& tree, const std::vector<std::string>& fqn) {
  std::vector<text::Value> configs;
  const text::Value* level = &tree;
  for (std::size_t depth = 0;; ++depth) {
    if (!level->is_object()) break;
    text::Value config{text::Object{}};
    for (const auto& [key, value] : level->as_object()) {
      if (key.starts_with('+'))
        config.set(canonical_key(key.substr(1)), value);
      else if (!value.is_object())
        config.set(canonical_key(key), value);
    }
    configs.push_back(std::move(config));
    if (depth == fqn.size()) break;
    level = level->find(fqn[depth]);
    if (level == nullptr) break;
  }
  return configs;
}

void merge_config(text::Value& base, const text::Value& over) {
  if (!over.is_object()) return;
  for (const auto& [given, value] : over.as_object()) {
    const std::string key = canonical_key(given);
    const text::Value* old = base.find(key);
    if (key == "tags" || is_hook(key)) {
      text::Value list = old == nullptr ? text::Value(text::List{}) : as_list(*old);
      const auto added = as_list(value);
      for (const auto& item : added.as_list())
        list.as_list().push_back(is_hook(key) ? hook_of(item) : item);
      base.set(key, std::move(list));
    } else if (value.is_object() && old != nullptr && old->is_object() &&
               (key == "meta" || key == "docs" || key == "persist_docs" || key == "quoting" ||
                key == "column_types" || key == "contract")) {
      text::Value merged = *old;
      for (const auto& [name, item] : value.as_object()) merged.set(name, item);
      base.set(key, std::move(merged));
    } else {
      base.set(key, value);
    }
  }
}

}  // namespace tapeline::transform
