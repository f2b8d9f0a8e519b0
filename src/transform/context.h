// NodeContext: the names that a model, test, hook or macro finds while it is rendered.
//
// One context serves one node. All macros are bound to it, so that `this`, `model` and
// `config` mean the node whoever asks. A project's macro shadows ours, and any macro
// shadows a function of the context, as in dbt.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "transform/manifest.h"
#include "transform/relation.h"
#include "transform/session.h"

namespace tapeline::transform {

/// Parsing runs templates to learn what they need; nothing may reach the warehouse then.
enum class Mode : std::uint8_t { parse, run };

struct Flags {
  std::string which;  // run, test, build, …
  bool full_refresh = false;
  bool store_failures = false;
  bool fail_fast = false;
  bool quiet = false;
};

/// What all contexts of an invocation share.
///
/// owns: nothing but its values; what it refers to must outlive the contexts
struct World {
  const Manifest& manifest;
  const Profile& profile;
  const Environment& environment;
  const Clock& clock;
  text::Value vars;  // of the command line
  Flags flags;
  std::string invocation_id;
  Timestamp run_started_at;
  Session* session = nullptr;                     // none while parsing
  std::function<void(const std::string&)> log;    // log(…, info=True)
  std::function<void(const std::string&)> print;  // print(…)
  std::function<void(const std::string&)> warn;
  std::function<Status(const Node&, const std::string&)> write;  // the SQL that a node runs
  std::set<std::string> vars_read;                               // while parsing
  std::vector<std::string> selected;                             // node ids
  jinja::Value graph;                                            // made when first asked for
  std::map<std::string, jinja::Template> templates;              // of texts rendered over and over
};

/// What a template asked for while it was parsed.
struct Captured {
  std::vector<Reference> refs;
  std::vector<SourceReference> sources;
  text::Value config{text::Object{}};
  std::vector<std::string> macros;  // ids of those called by the node itself
};

class NodeContext final : public jinja::Context {
 public:
  /// `node` may be nullptr: a context of no node.
  NodeContext(World& world, const Node* node, Mode mode);
  ~NodeContext() override;
  NodeContext(const NodeContext&) = delete;
  NodeContext& operator=(const NodeContext&) = delete;

  std::optional<jinja::Value> lookup(const std::string& name) override;

  /// A name that only this context has: sql, pre_hooks.
  void set(const std::string& name, jinja::Value value) { names_.insert_or_assign(name, value); }

  /// Calls a macro by its name, whoever defines it.
  /// errors: not_found; what the macro fails with
  Result<jinja::Value> call(const std::string& macro, const jinja::Arguments& arguments);

  /// A macro bound to this context.
  jinja::Value bind(const Macro& macro);

  Result<std::string> render(const std::string& source);

  World& world() { return world_; }
  const Node* node() const { return node_; }
  Mode mode() const { return mode_; }
  Captured& captured() { return captured_; }

  /// What raise_compiler_error said, before the places were added; empty where it was not called.
  const std::string& raised() const { return raised_; }
  /// Macros that a failure passed through, innermost first: "name (path)".
  const std::vector<std::string>& failed_in() const { return failed_in_; }

  struct Call;  // a macro that is running

 private:
  friend class BoundMacro;
  std::optional<jinja::Value> find(const std::string& name);
  std::optional<jinja::Value> member(const std::string& name);
  std::optional<jinja::Value> function(const std::string& name);
  jinja::Value exceptions();
  Result<jinja::Value> ref(const jinja::Arguments& arguments);
  Result<jinja::Value> source(const jinja::Arguments& arguments);
  Result<jinja::Value> var(const jinja::Arguments& arguments);
  Result<jinja::Value> raise(const std::string& message);
  const text::Value* find_var(const std::string& name);
  jinja::Value this_relation() const;

  World& world_;
  const Node* node_;
  Mode mode_;
  Captured captured_;
  std::string raised_;
  std::vector<std::string> failed_in_;
  int depth_ = 0;
  std::unordered_map<std::string, jinja::Value> names_;
  std::map<std::string, jinja::Value> results_;  // of statements
};

/// A node as templates see it: `model`, and graph.nodes[…].
text::Value node_as_value(const Node& node);

/// The relation that a node makes or is.
jinja::Value relation_of_node(const Node& node);

/// `adapter` of a context.
jinja::Value adapter_value(NodeContext& context);

/// `config` of a context.
jinja::Value config_value(NodeContext& context);

/// The functions that need no node: tojson, fromjson, zip, …; none where there is no such name.
std::optional<jinja::Value> plain_function(const std::string& name);

}  // namespace tapeline::transform
