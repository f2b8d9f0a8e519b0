#include "transform/selector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "transform/graph.h"

namespace tapeline::transform {
namespace {

// a -> b -> c -> d, e alone; t tests a and c; a source s.t under a.
class Selecting : public testing::Test {
 protected:
  void SetUp() override {
    manifest_.project.name = "shop";
    add(NodeKind::source, "source.shop.s.t", {"shop", "s", "t"}, {});
    add(NodeKind::model, "model.shop.a", {"shop", "staging", "a"}, {"source.shop.s.t"});
    add(NodeKind::model, "model.shop.b", {"shop", "staging", "b"}, {"model.shop.a"});
    add(NodeKind::model, "model.shop.c", {"shop", "marts", "c"}, {"model.shop.b"});
    add(NodeKind::model, "model.shop.d", {"shop", "marts", "d"}, {"model.shop.c"});
    add(NodeKind::model, "model.shop.e", {"shop", "marts", "e"}, {});
    add(NodeKind::test, "test.shop.t", {"shop", "t"}, {"model.shop.a", "model.shop.c"});
    manifest_.nodes.at("model.shop.c").tags = {"nightly"};
  }

  void add(NodeKind kind, const std::string& id, std::vector<std::string> fqn,
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
    for (const auto& parent : parents) manifest_.children[parent].push_back(id);
    manifest_.nodes.emplace(id, std::move(node));
  }

  /// The last parts of the selected ids, joined.
  std::string select(const std::vector<std::string>& select,
                     const std::vector<std::string>& exclude = {}) {
    const auto selection = select_nodes(manifest_, select, exclude);
    if (!selection) return selection.error().message;
    std::string names;
    for (const auto& id : selection->ids)
      names += (names.empty() ? "" : " ") + id.substr(id.rfind('.') + 1) +
               (id.starts_with("test")     ? "?"
                : id.starts_with("source") ? "!"
                                           : "");
    return names;
  }

  Manifest manifest_;
};

TEST_F(Selecting, a_name_brings_the_tests_of_the_node) {
  EXPECT_EQ(select({"a"}), "a t?");
  EXPECT_EQ(select({"b"}), "b");
}

TEST_F(Selecting, graph_operators_walk_as_far_as_they_say) {
  EXPECT_EQ(select({"+b"}), "a b t! t?");
  EXPECT_EQ(select({"1+c"}), "b c t?");
  EXPECT_EQ(select({"b+1"}), "b c t?");
  EXPECT_EQ(select({"b+"}), "b c d t?");
  EXPECT_EQ(select({"1+b+1"}), "a b c t?");
  EXPECT_EQ(select({"@c"}), "a b c d t! t?");
}

TEST_F(Selecting, blanks_unite_and_commas_intersect) {
  EXPECT_EQ(select({"b e"}), "b e");
  EXPECT_EQ(select({"b", "e"}), "b e");
  EXPECT_EQ(select({"marts,tag:nightly"}), "c t?");
  EXPECT_EQ(select({"staging,marts"}), "t?");
}

TEST_F(Selecting, exclusion_takes_away) {
  EXPECT_EQ(select({}, {"marts+", "source:s"}), "a b");
  EXPECT_EQ(select({"marts"}, {"tag:nightly+"}), "e");
}

TEST_F(Selecting, folders_paths_and_sources) {
  EXPECT_EQ(select({"shop.staging.*"}, {"test_type:data"}), "a b");
  EXPECT_EQ(select({"models/marts"}, {"test_type:data"}), "c d e");
  EXPECT_EQ(select({"source:s.t"}), "t!");
  EXPECT_EQ(select({"resource_type:source"}), "t!");
}

TEST_F(Selecting, what_is_no_criterion_is_named) {
  EXPECT_EQ(select({"nonsense:x"}), "'nonsense' is not a valid method name");
  EXPECT_EQ(select({"@a+"}),
            "Invalid node spec @a+ - \"@\" prefix and \"+\" suffix are incompatible");
  EXPECT_EQ(select({"state:modified"}), "the selector method 'state' is not there yet");
}

TEST_F(Selecting, the_order_is_by_depth_and_then_by_id) {
  const std::set<std::string> models = {"model.shop.a", "model.shop.b", "model.shop.d",
                                        "model.shop.e"};
  EXPECT_EQ(
      RunGraph(manifest_, models, false).order(),
      (std::vector<std::string>{"model.shop.a", "model.shop.e", "model.shop.b", "model.shop.d"}));
  EXPECT_TRUE(
      RunGraph(manifest_, models, false).descendants("model.shop.b").contains("model.shop.d"));
}

TEST_F(Selecting, in_a_build_a_node_waits_for_the_tests_of_what_it_builds_upon) {
  std::set<std::string> all;
  for (const auto& [id, node] : manifest_.nodes) all.insert(id);
  const auto order = RunGraph(manifest_, all, true).order();
  const auto at = [&](const std::string& id) {
    return std::ranges::find(order, id) - order.begin();
  };
  EXPECT_LT(at("model.shop.c"), at("test.shop.t"));
  EXPECT_LT(at("test.shop.t"), at("model.shop.d"));
}

}  // namespace
}  // namespace tapeline::transform
