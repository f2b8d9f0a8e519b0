// Manifest: everything that a project defines, parsed: nodes, sources, macros, and who needs whom.

#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "transform/node.h"
#include "transform/project.h"

namespace tapeline::transform {

/// A macro of the project or of ours.
struct Macro {
  std::string name;
  std::string package;  // the project's name, or "dbt" or "dbt_duckdb"
  std::string path;
  const jinja::Template* code = nullptr;

  std::string unique_id() const { return "macro." + package + "." + name; }
};

/// All macros, and the order in which names are looked up: the project's own come first, then
/// the adapter's, then dbt's.
class Macros {
 public:
  /// errors: invalid_argument (a file that is no template, a macro twice in the project)
  Status add_file(const std::string& package, const std::string& path, const std::string& source);

  /// nullptr where there is none
  const Macro* find(const std::string& name) const;
  /// As `find`, but in one package only; "dbt" means all of ours.
  const Macro* find_in(const std::string& package, const std::string& name) const;

  const std::map<std::string, Macro>& all() const { return by_id_; }
  bool has_package(const std::string& package) const { return packages_.contains(package); }

 private:
  std::vector<std::unique_ptr<jinja::Template>> files_;
  std::map<std::string, Macro> by_id_;
  std::map<std::string, std::unordered_map<std::string, const Macro*>> packages_;
};

/// Our own macros are these packages, the one that wins first.
inline constexpr const char* kInternalPackages[] = {"dbt_duckdb", "dbt"};

struct Manifest {
  Project project;
  Macros macros;
  std::map<std::string, Node> nodes;  // by unique id; sources too
  std::map<std::string, Node> disabled;
  std::map<std::string, std::vector<std::string>> children;  // of each node that has some
  std::vector<std::string> stat_order;                       // node ids as dbt would have met them
  std::vector<std::string> warnings;

  const Node* find(const std::string& unique_id) const;
  /// The model of this name; nullptr where there is none.
  const Node* find_model(const Reference& reference) const;
  const Node* find_source(const SourceReference& reference) const;
};

}  // namespace tapeline::transform
