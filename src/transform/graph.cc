#include "transform/graph.h"

#include <algorithm>

namespace tapeline::transform {
namespace {

using Ids = std::set<std::string>;
using Edges = std::map<std::string, Ids>;

const Ids& neighbours(const Edges& edges, const std::string& id) {
  static const Ids none;
  const auto found = edges.find(id);
  return found == edges.end() ? none : found->second;
}

Ids reach(const Edges& edges, const std::string& from) {
  Ids seen;
  std::vector<std::string> open = {from};
  while (!open.empty()) {
    const auto id = std::move(open.back());
    open.pop_back();
    for (const auto& next : neighbours(edges, id))
      if (seen.insert(next).second) open.push_back(next);
  }
  return seen;
}

}  // namespace

RunGraph::RunGraph(const Manifest& manifest, const Ids& selected, bool test_edges) {
  for (const auto& [id, node] : manifest.nodes) {
    if (node.kind == NodeKind::operation) continue;
    parents_[id];
    for (const auto& parent : node.depends_on) {
      parents_[id].insert(parent);
      children_[parent].insert(id);
    }
  }
  if (test_edges) add_test_edges(manifest);
  // Contracts the nodes that are not selected: their parents become their children's.
  for (auto it = parents_.begin(); it != parents_.end();) {
    const auto id = it->first;
    if (selected.contains(id)) {
      ++it;
      continue;
    }
    const Ids above = it->second;
    const Ids below = neighbours(children_, id);
    for (const auto& child : below) {
      parents_[child].erase(id);
      parents_[child].insert(above.begin(), above.end());
    }
    for (const auto& parent : above) {
      children_[parent].erase(id);
      children_[parent].insert(below.begin(), below.end());
    }
    children_.erase(id);
    it = parents_.erase(it);
  }
}

void RunGraph::add_test_edges(const Manifest& manifest) {
  Edges added;
  std::vector<std::pair<std::string, Ids>> tests;
  for (const auto& [id, node] : manifest.nodes)
    if (node.kind == NodeKind::test)
      tests.emplace_back(id, Ids(node.depends_on.begin(), node.depends_on.end()));
  for (const auto& [id, node] : manifest.nodes) {
    if (node.kind != NodeKind::model) continue;
    const auto above = reach(parents_, id);
    for (const auto& [test, tested] : tests)
      if (!tested.empty() && std::ranges::includes(above, tested)) added[id].insert(test);
  }
  for (const auto& [id, above] : added)
    for (const auto& test : above) {
      parents_[id].insert(test);
      children_[test].insert(id);
    }
}

std::vector<std::string> RunGraph::order() const {
  std::map<std::string, int> depth;
  std::map<std::string, std::size_t> waiting;
  std::vector<std::string> level;
  for (const auto& [id, above] : parents_) {
    waiting[id] = above.size();
    if (above.empty()) level.push_back(id);
  }
  const auto waiting_at_first = waiting;
  for (int at = 0; !level.empty(); ++at) {
    std::vector<std::string> next;
    for (const auto& id : level) {
      depth[id] = at;
      for (const auto& child : neighbours(children_, id))
        if (--waiting[child] == 0) next.push_back(child);
    }
    level = std::move(next);
  }
  // The queue: what is ready, by depth and then by id.
  waiting = waiting_at_first;
  std::set<std::pair<int, std::string>> ready;
  for (const auto& [id, count] : waiting)
    if (count == 0) ready.emplace(depth[id], id);
  std::vector<std::string> order;
  while (!ready.empty()) {
    const auto id = ready.extract(ready.begin()).value().second;
    order.push_back(id);
    for (const auto& child : neighbours(children_, id))
      if (--waiting[child] == 0) ready.emplace(depth[child], child);
  }
  return order;
}

std::set<std::string> RunGraph::descendants(const std::string& id) const {
  return reach(children_, id);
}

}  // namespace tapeline::transform
