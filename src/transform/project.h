// Project and Profile: what dbt_project.yml and profiles.yml say.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "jinja/template.h"
#include "text/value.h"
#include "transform/project_files.h"

namespace tapeline::transform {

using Environment = std::map<std::string, std::string>;

struct Profile {
  std::string name;
  std::string target_name;
  text::Value target;  // the chosen output, with name, profile_name and target_name

  std::string schema() const { return target.string_or("schema", "main"); }
  std::string database() const { return target.string_or("database", ""); }
};

struct Project {
  std::string name;
  std::string version;
  std::string profile;
  std::vector<std::string> model_paths;
  std::vector<std::string> macro_paths;
  std::vector<std::string> test_paths;
  std::vector<std::string> other_paths;  // seeds and snapshots, which must be empty
  std::string target_path;
  text::Value vars;
  text::Value model_configs;
  text::Value test_configs;
  text::Value source_configs;
  std::vector<std::string> on_run_start;
  std::vector<std::string> on_run_end;
  std::map<std::string, std::vector<std::string>> dispatch;  // namespace: packages to search
};

/// Renders the templates in YAML's texts, keys and places staying as they are.
/// errors: invalid_argument
Result<text::Value> render_yaml(const text::Value& value, jinja::Context& context);

/// What YAML files may call: env_var, var, target.
std::unique_ptr<jinja::Context> yaml_context(const Environment& environment,
                                             const text::Value& vars, const text::Value& target);

/// errors: invalid_argument (what dbt_project.yml lacks or says wrongly), unsupported
Result<Project> load_project(const ProjectFiles& files, jinja::Context& context);

/// Chooses a target: `target` where it is not empty, else the profile's own.
/// errors: invalid_argument: no such profile or target, naming those there are
Result<Profile> load_profile(const std::string& profiles_yaml, const std::string& profile,
                             const std::string& target, jinja::Context& context);

/// The configs that a tree of dbt_project.yml gives to a node, most general first.
std::vector<text::Value> configs_for(const text::Value& tree, const std::vector<std::string>& fqn);

/// Lays `over` upon `base`: tags, meta and hooks add up, the rest replaces.
void merge_config(text::Value& base, const text::Value& over);

/// The function env_var(name, default).
jinja::Value env_var_function(const Environment& environment);

}  // namespace tapeline::transform
