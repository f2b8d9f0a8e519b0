// The order in which the selected nodes of a manifest run, and who is skipped with whom.

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "transform/manifest.h"

namespace tapeline::transform {

/// The selected part of a project's graph, with what lies between contracted away.
class RunGraph {
 public:
  /// `test_edges`: a node waits for the data tests of what it builds upon, as in `dbt build`.
  RunGraph(const Manifest& manifest, const std::set<std::string>& selected, bool test_edges);

  /// dbt's order for one thread: the shallowest that waits for nothing, then by id.
  std::vector<std::string> order() const;

  /// Everything selected that depends on a node, however far.
  std::set<std::string> descendants(const std::string& id) const;

 private:
  void add_test_edges(const Manifest& manifest);
  std::map<std::string, std::set<std::string>> parents_;
  std::map<std::string, std::set<std::string>> children_;
};

}  // namespace tapeline::transform
