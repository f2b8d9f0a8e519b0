// Any text as --select and --exclude: it is refused with a reason, or selects nodes that there are.
//
// The first line is selected, the second excluded.

#include "transform/selector.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace {

using namespace tapeline::transform;

void add(Manifest& manifest, NodeKind kind, const std::string& id, std::vector<std::string> fqn,
         const std::vector<std::string>& parents) {
  Node node;
  node.kind = kind;
  node.unique_id = id;
  node.package = "shop";
  node.name = fqn.back();
  node.source_name = kind == NodeKind::source ? fqn[1] : "";
  node.original_file_path = "models/" + fqn[1] + "/" + fqn.back() + ".sql";
  node.fqn = std::move(fqn);
  node.depends_on = parents;
  for (const auto& parent : parents) manifest.children[parent].push_back(id);
  manifest.nodes.emplace(id, std::move(node));
}

Manifest example() {
  Manifest manifest;
  manifest.project.name = "shop";
  add(manifest, NodeKind::source, "source.shop.s.t", {"shop", "s", "t"}, {});
  add(manifest, NodeKind::model, "model.shop.a", {"shop", "staging", "a"}, {"source.shop.s.t"});
  add(manifest, NodeKind::model, "model.shop.b", {"shop", "marts", "b"}, {"model.shop.a"});
  add(manifest, NodeKind::test, "test.shop.t", {"shop", "t"}, {"model.shop.a", "model.shop.b"});
  manifest.nodes.at("model.shop.b").tags = {"nightly"};
  return manifest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Manifest manifest = example();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = std::min(text.find('\n'), text.size());
  const std::string select(text.substr(0, line));
  const std::string exclude(text.substr(std::min(line + 1, text.size())));
  const auto nodes = select_nodes(manifest, {select}, {});
  if (!nodes) {
    TL_ASSERT(!nodes.error().message.empty());
    return 0;
  }
  for (const std::string& id : nodes->ids) TL_ASSERT(manifest.find(id));
  const auto fewer = select_nodes(manifest, {select}, {exclude});
  if (!fewer) return 0;
  for (const std::string& id : fewer->ids) TL_ASSERT(nodes->ids.contains(id));
  return 0;
}
