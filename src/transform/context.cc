#include "transform/context.h"

#include <fmt/format.h>

#include <algorithm>

#include "transform/datetime.h"
#include "transform/modules.h"
#include "transform/names.h"
#include "transform/object.h"
#include "transform/table.h"
#include "transform/values.h"

namespace tapeline::transform {

using jinja::Arguments;
using jinja::Value;

namespace {

constexpr const char* kDbtVersion = "1.11.16";

Error compile_error(std::string message) {
  return {ErrorCode::invalid_argument, std::move(message), ""};
}

/// What the template language itself knows, and a context must not hide.
bool is_jinja_name(const std::string& name) {
  for (const char* known : {"range", "dict", "namespace", "lipsum", "cycler", "joiner", "loop",
                            "caller", "varargs", "kwargs"})
    if (name == known) return true;
  return false;
}

/// A name that nobody knows while parsing: callable, empty, and all its members are the same.
class Permissive final : public jinja::HostObject {
 public:
  std::string type_name() const override { return "Undefined"; }
  std::string text() const override { return ""; }
  bool truth() const override { return false; }
  bool callable() const override { return true; }
  Result<Value> attribute(const std::string&) override { return self(); }
  Result<Value> item(const Value&) override { return self(); }
  Result<Value> call(const Arguments&) override { return self(); }
  Result<Value> call_method(const std::string&, const Arguments&) override { return self(); }
  std::optional<std::vector<Value>> iterate() override { return std::vector<Value>{}; }

 private:
  static Value self() { return host_value<Permissive>(); }
};

/// All names of a context, or one package's macros: `context['x']`, `dbt.type_string()`.
class Namespace final : public jinja::HostObject {
 public:
  using Find = std::function<std::optional<Value>(const std::string&)>;
  Namespace(std::string name, Find find) : name_(std::move(name)), find_(std::move(find)) {}
  std::string type_name() const override { return name_; }
  Result<Value> attribute(const std::string& name) override {
    if (auto found = find_(name)) return *found;
    return Value::undefined(name);
  }
  Result<Value> call_method(const std::string& name, const Arguments& arguments) override {
    if (name == "get") {
      if (auto found = find_(text_argument(arguments, 0, "key"))) return *found;
      return argument(arguments, 1, "default");
    }
    if (auto found = find_(name); found && found->is_object())
      return found->as_object()->call(arguments);
    return compile_error(fmt::format("'{}' has no macro named '{}'", name_, name));
  }

 private:
  std::string name_;
  Find find_;
};

}  // namespace

/// A macro as something that can be called. Binding waits for the first call.
class BoundMacro final : public jinja::HostObject {
 public:
  BoundMacro(NodeContext& context, const Macro& macro) : context_(context), macro_(macro) {}

  std::string type_name() const override { return "macro"; }
  bool callable() const override { return true; }
  std::string text() const override { return "<macro " + macro_.name + ">"; }

  Result<Value> call(const Arguments& arguments) override {
    if (!bound_) bound_ = TRY(macro_.code->macro(macro_.name, context_));
    if (context_.depth_ == 0) {
      auto& called = context_.captured_.macros;
      if (const auto id = macro_.unique_id(); std::ranges::find(called, id) == called.end())
        called.push_back(id);
    }
    ++context_.depth_;
    auto result = bound_->as_object()->call(arguments);
    --context_.depth_;
    if (!result) context_.failed_in_.push_back(fmt::format("{} ({})", macro_.name, macro_.path));
    return result;
  }

 private:
  NodeContext& context_;
  const Macro& macro_;
  std::optional<Value> bound_;
};

NodeContext::NodeContext(World& world, const Node* node, Mode mode)
    : world_(world), node_(node), mode_(mode) {}

NodeContext::~NodeContext() = default;

Value NodeContext::bind(const Macro& macro) { return host_value<BoundMacro>(*this, macro); }

std::optional<Value> NodeContext::lookup(const std::string& name) {
  if (const auto known = names_.find(name); known != names_.end()) return known->second;
  auto found = find(name);
  if (found)
    names_.emplace(name, *found);
  else if (mode_ == Mode::parse && !is_jinja_name(name))
    return host_value<Permissive>();
  return found;
}

std::optional<Value> NodeContext::find(const std::string& name) {
  if (const auto* macro = world_.manifest.macros.find(name)) return bind(*macro);
  if (name == "dbt" || world_.manifest.macros.has_package(name))
    return host_value<Namespace>(name,
                                 [this, name](const std::string& macro) -> std::optional<Value> {
                                   const auto* found = world_.manifest.macros.find_in(name, macro);
                                   if (found == nullptr) return std::nullopt;
                                   return bind(*found);
                                 });
  if (auto value = member(name)) return value;
  if (auto value = function(name)) return value;
  return plain_function(name);
}

/// Names that hold a value.
std::optional<Value> NodeContext::member(const std::string& name) {
  const auto& profile = world_.profile;
  if (name == "execute") return Value(mode_ == Mode::run);
  if (name == "adapter") return adapter_value(*this);
  if (name == "config") return config_value(*this);
  if (name == "api")
    return make_object("api", {{"Relation", relation_class()}, {"Column", column_class()}});
  if (name == "exceptions") return exceptions();
  if (name == "target") return to_jinja(profile.target);
  if (name == "project_name") return Value(world_.manifest.project.name);
  if (name == "dbt_version") return Value(kDbtVersion);
  if (name == "invocation_id") return Value(world_.invocation_id);
  if (name == "run_started_at") return datetime_value(world_.run_started_at, true);
  if (name == "modules") return modules_value(world_.clock);
  if (name == "thread_id") return Value("Thread-1");
  if (name == "context")
    return host_value<Namespace>("context", [this](const std::string& key) { return lookup(key); });
  if (name == "builtins") {
    std::map<std::string, Value> members;
    for (const char* builtin : {"ref", "source", "config", "var", "env_var", "log", "return"})
      if (auto value = std::string_view(builtin) == "config" ? member(builtin) : function(builtin))
        members.emplace(builtin, *value);
    return make_object("builtins", std::move(members));
  }
  if (name == "flags") {
    const auto& flags = world_.flags;
    return make_object("flags", {{"FULL_REFRESH", flags.full_refresh},
                                 {"STORE_FAILURES", flags.store_failures},
                                 {"FAIL_FAST", flags.fail_fast},
                                 {"WHICH", flags.which},
                                 {"EMPTY", false},
                                 {"QUIET", flags.quiet},
                                 {"WARN_ERROR", false},
                                 {"USE_COLORS", false},
                                 {"REQUIRE_SQL_HEADER_IN_TEST_CONFIGS", false}});
  }
  if (name == "selected_resources") {
    return Value::list({world_.selected.begin(), world_.selected.end()});
  }
  if (name == "graph") {
    if (world_.graph.is_none()) {
      const auto nodes = Value::dict(), sources = Value::dict();
      for (const auto& [id, node] : world_.manifest.nodes)
        (node.kind == NodeKind::source ? sources : nodes).set(id, to_jinja(node_as_value(node)));
      world_.graph = Value::dict({{"nodes", nodes},
                                  {"sources", sources},
                                  {"exposures", Value::dict()},
                                  {"metrics", Value::dict()},
                                  {"groups", Value::dict()}});
    }
    return world_.graph;
  }
  if (node_ == nullptr) {
    if (name == "schema") return Value(profile.schema());
    if (name == "database") return Value(profile.database());
    return std::nullopt;
  }
  if (name == "this") return this_relation();
  if (name == "model") return to_jinja(node_as_value(*node_));
  if (name == "schema") return Value(node_->schema);
  if (name == "database") return Value(node_->database);
  if (name == "pre_hooks" || name == "post_hooks") {
    const auto* hooks = node_->config.find(name == "pre_hooks" ? "pre-hook" : "post-hook");
    return hooks == nullptr ? Value::list() : to_jinja(*hooks);
  }
  return std::nullopt;
}

/// Names that are called.
std::optional<Value> NodeContext::function(const std::string& name) {
  const auto method = [this, &name](Result<Value> (NodeContext::*body)(const Arguments&)) {
    return Value::function(
        name, [this, body](const Arguments& arguments) { return (this->*body)(arguments); });
  };
  if (name == "ref") return method(&NodeContext::ref);
  if (name == "source") return method(&NodeContext::source);
  if (name == "env_var") return env_var_function(world_.environment);
  if (name == "return") return jinja::return_function();
  if (name == "var")
    return make_object("Var",
                       {{"has_var", Value::function("has_var",
                                                    [this](const Arguments& a) -> Result<Value> {
                                                      return Value(find_var(text_argument(
                                                                       a, 0, "var")) != nullptr);
                                                    })}},
                       [this](const Arguments& arguments) { return var(arguments); });
  if (name == "log" || name == "print")
    return Value::function(name, [this, name](const Arguments& arguments) -> Result<Value> {
      const auto message = text_argument(arguments, 0, "msg");
      if (mode_ == Mode::parse && name == "print") return Value("");
      if (name == "print" && world_.print) world_.print(message);
      if (name == "log" && argument(arguments, 1, "info").truth() && world_.log)
        world_.log(message);
      return Value("");
    });
  if (name == "render")
    return Value::function(name, [this](const Arguments& arguments) -> Result<Value> {
      const auto text = TRY(render(text_argument(arguments, 0, "string")));
      return Value(text);
    });
  if (name == "write")
    return Value::function(name, [this](const Arguments& arguments) -> Result<Value> {
      if (world_.write && node_ != nullptr)
        TRY_STATUS(world_.write(*node_, text_argument(arguments, 0, "payload")));
      return Value("");
    });
  if (name == "store_result" || name == "store_raw_result")
    return Value::function(name, [this, name](const Arguments& arguments) -> Result<Value> {
      const auto table = argument(arguments, 99, "agate_table");
      const bool raw = name == "store_raw_result";
      const auto rows = table.is_none() ? Value::list() : Value::list(items_of(table));
      results_[text_argument(arguments, 0, "name")] =
          Value::dict({{"response", argument(arguments, 1, raw ? "message" : "response")},
                       {"data", rows},
                       {"table", table}});
      return Value("");
    });
  if (name == "load_result")
    return Value::function(name, [this](const Arguments& arguments) -> Result<Value> {
      const auto found = results_.find(text_argument(arguments, 0, "name"));
      return found == results_.end() ? Value() : found->second;
    });
  return std::nullopt;
}

Value NodeContext::this_relation() const { return relation_of_node(*node_); }

Result<Value> NodeContext::ref(const Arguments& arguments) {
  Reference reference;
  if (arguments.positional.size() == 1) {
    reference.name = arguments.positional[0].text();
  } else if (arguments.positional.size() == 2) {
    reference = {arguments.positional[0].text(), arguments.positional[1].text()};
  } else {
    return raise(
        fmt::format("ref() takes at most two arguments ({} given)", arguments.positional.size()));
  }
  if (mode_ == Mode::parse) {
    captured_.refs.push_back(reference);
    return node_ == nullptr ? Value("") : this_relation();
  }
  const auto* target = world_.manifest.find_model(reference);
  const std::string owner = node_ == nullptr
                                ? "This invocation"
                                : fmt::format("{} '{}' ({})", to_string(node_->kind),
                                              node_->unique_id, node_->original_file_path);
  if (target == nullptr)
    return raise(
        fmt::format("{} depends on a node named '{}' which was not found", owner, reference.name));
  if (node_ != nullptr && node_->kind != NodeKind::operation &&
      std::ranges::find(node_->depends_on, target->unique_id) == node_->depends_on.end())
    return raise(fmt::format(
        "dbt was unable to infer all dependencies for the model \"{}\".\nThis typically happens "
        "when ref() is placed within a conditional block.\n\nTo fix this, add the following hint "
        "to the top of the model \"{}\":\n\n-- depends_on: {{{{ ref('{}') }}}}",
        node_->name, node_->name, reference.name));
  if (target->ephemeral()) {
    RelationName cte;
    cte.identifier = "__dbt__cte__" + target->name;
    cte.type = "cte";
    cte.quote_identifier = false;
    return relation_value(std::move(cte));
  }
  return relation_of_node(*target);
}

Result<Value> NodeContext::source(const Arguments& arguments) {
  if (arguments.positional.size() != 2)
    return raise(fmt::format("source() takes exactly two arguments ({} given)",
                             arguments.positional.size()));
  const SourceReference reference{arguments.positional[0].text(), arguments.positional[1].text()};
  if (mode_ == Mode::parse) {
    captured_.sources.push_back(reference);
    return node_ == nullptr ? Value("") : this_relation();
  }
  const auto* target = world_.manifest.find_source(reference);
  if (target == nullptr)
    return raise(
        fmt::format("a source named '{}.{}' was not found", reference.source, reference.table));
  return relation_of_node(*target);
}

const text::Value* NodeContext::find_var(const std::string& name) {
  if (mode_ == Mode::parse) world_.vars_read.insert(name);
  if (const auto* found = world_.vars.find(name)) return found;
  const auto& project = world_.manifest.project;
  if (const auto* own = project.vars.find(project.name); own != nullptr && own->is_object())
    if (const auto* found = own->find(name)) return found;
  return project.vars.find(name);
}

Result<Value> NodeContext::var(const Arguments& arguments) {
  const auto name = text_argument(arguments, 0, "var");
  if (const auto* found = find_var(name)) return to_jinja(*found);
  if (arguments.positional.size() > 1) return arguments.positional[1];
  for (const auto& [key, value] : arguments.named)
    if (key == "default") return value;
  if (mode_ == Mode::parse) return Value();
  return raise(fmt::format(
      "Required var '{}' not found in config:\nVars supplied to {} = {}", name,
      node_ == nullptr ? "<Configuration>" : node_->name,
      text::to_json(world_.vars.is_null() ? text::Value(text::Object{}) : world_.vars, 4)));
}

Result<Value> NodeContext::raise(const std::string& message) {
  raised_ = message;
  return compile_error(message);
}

Value NodeContext::exceptions() {
  const auto raising = [this](const std::string& prefix) {
    return Value::function("raise", [this, prefix](const Arguments& arguments) {
      return raise(prefix + text_argument(arguments, 0, "msg"));
    });
  };
  const auto warn = Value::function("warn", [this](const Arguments& arguments) -> Result<Value> {
    if (mode_ == Mode::run && world_.warn) world_.warn(text_argument(arguments, 0, "msg"));
    return Value("");
  });
  return make_object(
      "exceptions",
      {{"raise_compiler_error", raising("")},
       {"raise_database_error", raising("")},
       {"raise_not_implemented", raising("ERROR: ")},
       {"raise_parsing_error", raising("")},
       {"missing_config", raising("Model does not have the required config: ")},
       {"missing_materialization", raising("No materialization was found: ")},
       {"relation_wrong_type",
        raising("Trying to create a relation that exists as another type: ")},
       {"raise_contract_error", raising("This model has an enforced contract that failed: ")},
       {"column_type_missing", raising("Contracted models require data_type for each column: ")},
       {"warn", warn}});
}

Result<Value> NodeContext::call(const std::string& macro, const Arguments& arguments) {
  const auto* found = world_.manifest.macros.find(macro);
  if (found == nullptr)
    return Error{ErrorCode::not_found, fmt::format("no macro named '{}' was found", macro), ""};
  return bind(*found).as_object()->call(arguments);
}

Result<std::string> NodeContext::render(const std::string& source) {
  auto known = world_.templates.find(source);
  if (known == world_.templates.end()) {
    auto code = TRY(jinja::Template::parse(source, node_ == nullptr ? "text" : node_->name));
    known = world_.templates.emplace(source, std::move(code)).first;
  }
  return known->second.render(*this);
}

Value relation_of_node(const Node& node) {
  RelationName name;
  name.database = node.database;
  name.schema = node.schema;
  name.identifier = node.kind == NodeKind::source ? node.identifier : node.alias;
  if (const auto* quoting = node.config.find("quoting"); quoting != nullptr) {
    name.quote_database = quoting->bool_or("database", true);
    name.quote_schema = quoting->bool_or("schema", true);
    name.quote_identifier = quoting->bool_or("identifier", true);
  }
  return relation_value(std::move(name));
}

text::Value node_as_value(const Node& node) {
  const auto texts = [](const std::vector<std::string>& values) {
    return text::List(values.begin(), values.end());
  };
  text::Value value;
  value.set("unique_id", node.unique_id);
  value.set("resource_type", to_string(node.kind));
  value.set("name", node.name);
  value.set("package_name", node.package);
  value.set("path", node.path);
  value.set("original_file_path", node.original_file_path);
  value.set("patch_path", node.patch_path.empty() ? text::Value() : text::Value(node.patch_path));
  value.set("fqn", texts(node.fqn));
  value.set("database", node.database);
  value.set("schema", node.schema);
  value.set("alias", node.alias);
  value.set("relation_name",
            node.relation_name.empty() ? text::Value() : text::Value(node.relation_name));
  value.set("raw_code", node.raw_code);
  value.set("language", "sql");
  value.set("config", node.config);
  value.set("tags", texts(node.tags));
  value.set("meta", node.meta.is_null() ? text::Value(text::Object{}) : node.meta);
  value.set("description", node.description);
  value.set("columns", node.columns.is_null() ? text::Value(text::Object{}) : node.columns);
  text::List refs;
  for (const auto& reference : node.refs) {
    text::Value entry;
    entry.set("name", reference.name);
    entry.set("package",
              reference.package.empty() ? text::Value() : text::Value(reference.package));
    entry.set("version", text::Value());
    refs.push_back(std::move(entry));
  }
  value.set("refs", std::move(refs));
  text::List sources;
  for (const auto& reference : node.sources)
    sources.push_back(text::List{reference.source, reference.table});
  value.set("sources", std::move(sources));
  text::Value depends;
  depends.set("macros", texts(node.depends_on_macros));
  depends.set("nodes", texts(node.depends_on));
  value.set("depends_on", std::move(depends));
  text::Value checksum;
  checksum.set("name", node.checksum.empty() ? "none" : "sha256");
  checksum.set("checksum", node.checksum);
  value.set("checksum", std::move(checksum));
  if (node.kind == NodeKind::source) {
    value.set("source_name", node.source_name);
    value.set("identifier", node.identifier);
    value.set("loader", node.loader);
    value.set("source_description", node.source_description);
  }
  if (node.test) {
    text::Value metadata;
    metadata.set("name", node.test->name);
    metadata.set("kwargs", node.test->kwargs);
    metadata.set("namespace",
                 node.test->package.empty() ? text::Value() : text::Value(node.test->package));
    value.set("test_metadata", std::move(metadata));
    value.set("column_name",
              node.column_name.empty() ? text::Value() : text::Value(node.column_name));
    value.set("file_key_name", node.file_key_name);
    value.set("attached_node",
              node.attached_node.empty() ? text::Value() : text::Value(node.attached_node));
  }
  return value;
}

}  // namespace tapeline::transform
