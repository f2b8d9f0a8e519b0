#include "transform/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "io/digest.h"
#include "transform/context.h"
#include "transform/names.h"
#include "transform/properties.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

Error parse_error(std::string message, std::string hint = "") {
  return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

std::string stem(const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

/// A path below its resource folder, as the parts of an fqn: folders and then `name`.
std::vector<std::string> fqn_of(const std::string& package, const std::string& path,
                                const std::string& name) {
  std::vector<std::string> fqn = {package};
  std::size_t begin = 0;
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', begin)) {
    fqn.push_back(path.substr(begin, slash - begin));
    begin = slash + 1;
  }
  fqn.push_back(name);
  return fqn;
}

std::string trimmed(std::string text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

text::Value default_model_config() {
  text::Value config = *text::parse_json(
      R"({"enabled":true,"alias":null,"schema":null,"database":null,"tags":[],"meta":{},
          "group":null,"static_analysis":null,"materialized":"view","incremental_strategy":null,
          "batch_size":null,"lookback":1,"begin":null,"persist_docs":{},"post-hook":[],
          "pre-hook":[],"quoting":{},"column_types":{},"full_refresh":null,"unique_key":null,
          "on_schema_change":"ignore","on_configuration_change":"apply","grants":{},
          "packages":[],"docs":{"show":true,"node_color":null},
          "contract":{"enforced":false,"alias_types":true},"event_time":null,
          "concurrent_batches":null,"access":"protected","freshness":null})");
  return config;
}

text::Value default_test_config() {
  return *text::parse_json(
      R"json({"enabled":true,"alias":null,"schema":"dbt_test__audit","database":null,"tags":[],
          "meta":{},"group":null,"static_analysis":null,"materialized":"test",
          "severity":"ERROR","store_failures":null,"store_failures_as":null,"where":null,
          "limit":null,"fail_calc":"count(*)","warn_if":"!= 0","error_if":"!= 0"})json");
}

/// The Jinja of a file without the definitions in it: what a model or singular test renders.
class Parser {
 public:
  explicit Parser(const ParseInput& input)
      : input_(input),
        manifest_(std::make_unique<Manifest>()),
        world_{.manifest = *manifest_,
               .profile = input.profile,
               .environment = input.environment,
               .clock = input.clock,
               .vars = input.vars} {
    manifest_->project = input.project;
    world_.flags.which = "parse";
    world_.run_started_at = input.clock.now();
  }

  Result<ParseOutput> run() {
    TRY_STATUS(refuse_unsupported());
    TRY_STATUS(parse_macros());
    TRY_STATUS(parse_yaml_files());
    TRY_STATUS(parse_models());
    TRY_STATUS(parse_singular_tests());
    TRY_STATUS(make_operations());
    TRY_STATUS(make_sources());
    TRY_STATUS(make_generic_tests());
    TRY_STATUS(link());
    return ParseOutput{std::move(manifest_), std::move(world_.vars_read)};
  }

 private:
  Status refuse_unsupported() {
    for (const auto& folder : input_.project.other_paths)
      for (const auto& path : input_.files.below(folder, {".sql", ".csv"}))
        return Error{ErrorCode::unsupported,
                     fmt::format("'{}': seeds and snapshots are not there yet", path),
                     "Move the file out of the project, or run the project with dbt itself."};
    for (const auto& folder : input_.project.model_paths)
      for (const auto& path : input_.files.below(folder, {".py"}))
        return Error{ErrorCode::unsupported,
                     fmt::format("'{}': Python models are not there yet", path),
                     "Write the model in SQL, or run the project with dbt itself."};
    if (const auto* packages = input_.files.find("packages.yml")) {
      const auto parsed = text::parse_yaml(*packages);
      if (parsed && parsed->find("packages") != nullptr)
        return Error{ErrorCode::unsupported, "'packages.yml': packages are not there yet",
                     "Copy the macros that the project needs into its macros folder."};
    }
    return Ok{};
  }

  Status parse_macros() {
    for (const auto& file : transform_macros()) {
      const std::string path(file.path);
      const auto package = path.substr(0, path.find('/'));
      if (package == "dbt" || package == "dbt_duckdb")
        TRY_STATUS(manifest_->macros.add_file(package, "macros" + path.substr(package.size()),
                                              std::string(file.bytes)));
    }
    std::vector<std::string> folders = input_.project.macro_paths;
    for (const auto& folder : input_.project.test_paths) folders.push_back(folder + "/generic");
    for (const auto& folder : folders)
      for (const auto& path : input_.files.below(folder, {".sql"}))
        TRY_STATUS(compilation(
            path, manifest_->macros.add_file(input_.project.name, path, *input_.files.find(path))));
    return Ok{};
  }

  /// Says in which file a template does not parse, as dbt does.
  static Status compilation(const std::string& path, Status status) {
    if (status) return status;
    return Error{status.error().code,
                 fmt::format("Compilation Error\n  {} ({})", status.error().message, path),
                 status.error().hint};
  }

  Status parse_yaml_files() {
    std::vector<std::string> folders = input_.project.model_paths;
    for (const auto* more : {&input_.project.macro_paths, &input_.project.test_paths})
      folders.insert(folders.end(), more->begin(), more->end());
    const auto context = yaml_context(input_.environment, input_.vars, input_.profile.target);
    for (const auto& folder : folders)
      for (const auto& path : input_.files.below(folder, {".yml", ".yaml"}))
        TRY_STATUS(read_properties(path, *input_.files.find(path), *context, properties_));
    return Ok{};
  }

  /// The configuration of a node: defaults, dbt_project.yml, YAML, the file itself.
  text::Value merged_config(text::Value config, const text::Value& tree, const Node& node,
                            const text::Value& patch, const text::Value& own) {
    for (const auto& level : configs_for(tree, node.fqn)) merge_config(config, level);
    merge_config(config, patch);
    merge_config(config, own);
    return config;
  }

  /// Where the node's relation will be: asks generate_database_name, _schema_name, _alias_name.
  Status name_relation(Node& node) {
    NodeContext context(world_, &node, Mode::parse);
    // Names are computed with everything but the warehouse at hand.
    const auto ask = [&](const char* macro, const char* key) -> Result<std::string> {
      const auto* custom = node.config.find(key);
      jinja::Arguments arguments;
      arguments.positional.push_back(custom == nullptr ? jinja::Value() : to_jinja(*custom));
      arguments.positional.push_back(to_jinja(node_as_value(node)));
      const auto answer = context.call(macro, arguments);
      if (!answer) return context_error(context, node, answer.error());
      return trimmed(answer->text());
    };
    node.database = TRY(ask("generate_database_name", "database"));
    node.schema = TRY(ask("generate_schema_name", "schema"));
    node.alias = TRY(ask("generate_alias_name", "alias"));
    if (node.kind == NodeKind::model && !node.ephemeral())
      node.relation_name = relation_of_node(node).text();
    return Ok{};
  }

  static Error context_error(const NodeContext& context, const Node& node, const Error& error) {
    std::string message = fmt::format("Compilation Error in {} {} ({})\n  {}", to_string(node.kind),
                                      node.name, node.original_file_path,
                                      context.raised().empty() ? error.message : context.raised());
    return {error.code, std::move(message), error.hint};
  }

  /// Renders a node's code for what it captures.
  Status render(Node& node, text::Value& own_config) {
    node.database = input_.profile.database();
    node.schema = input_.profile.schema();
    node.alias = node.name;
    NodeContext context(world_, &node, Mode::parse);
    const auto rendered = node.code->render(context);
    if (!rendered) return context_error(context, node, rendered.error());
    keep(context, node);
    own_config = std::move(context.captured().config);
    return Ok{};
  }

  static void keep(NodeContext& context, Node& node) {
    for (auto& reference : context.captured().refs)
      if (std::ranges::find(node.refs, reference) == node.refs.end())
        node.refs.push_back(reference);
    for (auto& reference : context.captured().sources)
      if (std::ranges::find(node.sources, reference) == node.sources.end())
        node.sources.push_back(reference);
    for (auto& id : context.captured().macros)
      if (std::ranges::find(node.depends_on_macros, id) == node.depends_on_macros.end())
        node.depends_on_macros.push_back(id);
  }

  Result<Node> read_file(NodeKind kind, const std::string& folder, const std::string& path) {
    Node node;
    node.kind = kind;
    node.package = input_.project.name;
    node.name = stem(path);
    node.path = path.substr(folder.size() + 1);
    node.original_file_path = path;
    node.fqn = fqn_of(node.package, node.path, node.name);
    const auto& source = *input_.files.find(path);
    node.raw_code = trimmed(source);
    node.checksum = io::sha256_hex(node.raw_code);
    node.unique_id = fmt::format("{}.{}.{}", to_string(kind), node.package, node.name);
    auto code = jinja::Template::parse(node.raw_code, path);
    if (!code)
      return Error{code.error().code,
                   fmt::format("Compilation Error in {} {} ({})\n  {}", to_string(kind), node.name,
                               path, code.error().message),
                   code.error().hint};
    node.code = std::move(*code);
    return node;
  }

  static void take_tags(Node& node) {
    std::set<std::string> tags;
    if (const auto* list = node.config.find("tags")) {
      if (list->is_string()) tags.insert(list->as_string());
      if (list->is_list())
        for (const auto& tag : list->as_list()) tags.insert(python_str(tag));
    }
    node.tags.assign(tags.begin(), tags.end());
    text::List texts(node.tags.begin(), node.tags.end());
    if (node.kind != NodeKind::test) node.config.set("tags", std::move(texts));
    if (const auto* meta = node.config.find("meta")) node.meta = *meta;
  }

  /// Puts a finished node where it belongs.
  Status add(Node node) {
    const auto id = node.unique_id;
    if (!node.config.bool_or("enabled", true)) {
      manifest_->disabled.emplace(id, std::move(node));
      return Ok{};
    }
    const std::string path = node.original_file_path;
    const std::string name = node.name;
    const auto [at, added] = manifest_->nodes.emplace(id, std::move(node));
    if (!added)
      return parse_error(
          fmt::format("dbt found two {}s with the name \"{}\".\n\nSince these resources have the "
                      "same name, dbt will be unable to find the correct resource\nwhen looking "
                      "for ref(\"{}\").\n\nTo fix this, change the name of one of these "
                      "resources:\n- {} ({})\n- {} ({})",
                      to_string(at->second.kind), name, name, id, at->second.original_file_path, id,
                      path),
          "");
    manifest_->stat_order.push_back(id);
    return Ok{};
  }

  Status parse_models() {
    for (const auto& folder : input_.project.model_paths)
      for (const auto& path : input_.files.below(folder, {".sql"})) {
        auto node = TRY(read_file(NodeKind::model, folder, path));
        text::Value own;
        TRY_STATUS(render(node, own));
        const auto patch = properties_.models.find(node.name);
        const bool patched = patch != properties_.models.end();
        node.config = merged_config(default_model_config(), input_.project.model_configs, node,
                                    patched ? patch->second.config : text::Value(), own);
        if (patched) {
          patch->second.used = true;
          node.patch_path = fmt::format("{}://{}", node.package, patch->second.file);
          node.description = patch->second.description;
          node.columns = patch->second.columns;
        }
        take_tags(node);
        TRY_STATUS(name_relation(node));
        TRY_STATUS(add(std::move(node)));
      }
    for (const auto& [name, patch] : properties_.models)
      if (!patch.used)
        manifest_->warnings.push_back(
            fmt::format("Did not find matching node for patch with name '{}' in the 'models' "
                        "section of file '{}'",
                        name, patch.file));
    return Ok{};
  }

  Status parse_singular_tests() {
    for (const auto& folder : input_.project.test_paths)
      for (const auto& path : input_.files.below(folder, {".sql"})) {
        if (path.starts_with(folder + "/generic/")) continue;
        auto node = TRY(read_file(NodeKind::test, folder, path));
        text::Value own;
        TRY_STATUS(render(node, own));
        node.config = merged_config(default_test_config(), input_.project.test_configs, node,
                                    text::Value(), own);
        take_tags(node);
        TRY_STATUS(name_relation(node));
        TRY_STATUS(add(std::move(node)));
      }
    return Ok{};
  }

  Status make_operations() {
    const auto make = [this](const char* when, const std::vector<std::string>& hooks) -> Status {
      for (std::size_t i = 0; i < hooks.size(); ++i) {
        Node node;
        node.kind = NodeKind::operation;
        node.package = input_.project.name;
        node.name = fmt::format("{}-{}-{}", node.package, when, i);
        node.unique_id = fmt::format("operation.{}.{}", node.package, node.name);
        node.original_file_path = "./dbt_project.yml";
        node.path = fmt::format("hooks/{}.sql", node.name);
        node.fqn = {node.package, "hooks", node.name};
        node.raw_code = hooks[i];
        node.config = text::Value(text::Object{});
        node.config.set("materialized", "view");
        node.tags = {when};
        auto code = jinja::Template::parse(node.raw_code, when);
        if (!code) return compilation("dbt_project.yml", Status(code.error()));
        node.code = std::move(*code);
        text::Value own;
        TRY_STATUS(render(node, own));
        TRY_STATUS(add(std::move(node)));
      }
      return Ok{};
    };
    TRY_STATUS(make("on-run-start", input_.project.on_run_start));
    return make("on-run-end", input_.project.on_run_end);
  }

  Status make_sources() {
    for (const auto& source : properties_.sources) {
      Node node;
      node.kind = NodeKind::source;
      node.package = input_.project.name;
      node.name = source.table;
      node.source_name = source.source;
      node.identifier = source.identifier;
      node.loader = source.loader;
      node.source_description = source.source_description;
      node.description = source.description;
      node.original_file_path = node.path = source.file;
      node.unique_id = fmt::format("source.{}.{}.{}", node.package, source.source, source.table);
      const auto below = source.file.substr(source.file.find('/') + 1);
      node.fqn = fqn_of(node.package, below, source.source);
      node.fqn.push_back(source.table);
      node.config =
          merged_config(*text::parse_json(R"({"enabled":true,"tags":[],"meta":{}})"),
                        input_.project.source_configs, node, source.config, text::Value());
      if (!source.quoting.is_null()) node.config.set("quoting", source.quoting);
      node.columns = source.columns;
      node.database = source.database.empty() ? input_.profile.database() : source.database;
      node.schema = source.schema;
      take_tags(node);
      node.relation_name = relation_of_node(node).text();
      TRY_STATUS(add(std::move(node)));
    }
    return Ok{};
  }

  Status make_generic_tests() {
    for (const auto& wanted : properties_.tests) {
      auto node = TRY(generic_test(wanted));
      if (!node.unique_id.empty()) TRY_STATUS(add(std::move(node)));
    }
    return Ok{};
  }

  /// The test that YAML asks for. Without an id where its model is not there.
  Result<Node> generic_test(const WantedTest& wanted) {
    const bool on_source = !wanted.source.empty();
    const auto attached =
        on_source
            ? fmt::format("source.{}.{}.{}", input_.project.name, wanted.source, wanted.target)
            : fmt::format("model.{}.{}", input_.project.name, wanted.target);
    Node node;
    const bool disabled = manifest_->disabled.contains(attached);
    if (!manifest_->nodes.contains(attached) && !disabled) return node;

    const auto macro_name = "test_" + wanted.call.name;
    const auto* macro = wanted.call.package.empty()
                            ? manifest_->macros.find(macro_name)
                            : manifest_->macros.find_in(wanted.call.package, macro_name);
    if (macro == nullptr)
      return parse_error(
          fmt::format("Compilation Error\n  '{}' is undefined. This can happen when calling a "
                      "macro that does not exist. Check for typos and/or install package "
                      "dependencies with \"dbt deps\". ({})",
                      macro_name, wanted.file));
    node.kind = NodeKind::test;
    node.package = input_.project.name;
    node.test = wanted.call;
    node.column_name = wanted.column;
    node.attached_node = attached;
    node.original_file_path = wanted.file;
    node.file_key_name = on_source ? "sources." + wanted.source : "models." + wanted.target;
    node.description = wanted.description;

    text::Value config = wanted.config;
    std::string alias = wanted.name;
    node.name = wanted.name;
    if (node.name.empty()) {
      const auto prefix = (wanted.call.package.empty() ? "" : wanted.call.package + "_") +
                          (on_source ? "source_" : "") + wanted.call.name;
      const auto named =
          generic_test_name(prefix, on_source ? wanted.source + "_" + wanted.target : wanted.target,
                            wanted.call.kwargs);
      node.name = named.full;
      alias = named.alias;
      if (alias != node.name && config.find("alias") == nullptr) config.set("alias", alias);
    }
    node.path = alias + ".sql";
    const auto below = wanted.file.substr(wanted.file.find('/') + 1);
    node.fqn = fqn_of(node.package, below, node.name);
    node.unique_id = generic_test_id(node.package, node.name, wanted.call.name, wanted.call.package,
                                     wanted.call.kwargs);
    node.raw_code =
        fmt::format("{{{{ {}test_{}(**_dbt_generic_test_kwargs) }}}}",
                    wanted.call.package.empty() ? "" : wanted.call.package + ".", wanted.call.name);
    node.config = merged_config(default_test_config(), input_.project.test_configs, node,
                                text::Value(), config);
    node.tags = wanted.tags;
    TRY_STATUS(capture_generic(node, *macro));
    take_generic_tags(node, wanted.tags);
    TRY_STATUS(name_relation(node));
    if (disabled) node.config.set("enabled", false);
    return node;
  }

  static void take_generic_tags(Node& node, const std::vector<std::string>& inherited) {
    take_tags(node);
    std::set<std::string> tags(node.tags.begin(), node.tags.end());
    tags.insert(inherited.begin(), inherited.end());
    node.tags.assign(tags.begin(), tags.end());
  }

  /// Learns what a generic test refers to, as dbt does: the two commonest need no look.
  Status capture_generic(Node& node, const Macro& macro) {
    node.depends_on_macros.push_back(macro.unique_id());
    const auto* attached = manifest_->find(node.attached_node);
    if (attached != nullptr && macro.package == "dbt" &&
        (macro.name == "test_not_null" || macro.name == "test_unique")) {
      if (attached->kind == NodeKind::source)
        node.sources.push_back({attached->source_name, attached->name});
      else
        node.refs.push_back({"", attached->name});
      return Ok{};
    }
    node.database = input_.profile.database();
    node.schema = input_.profile.schema();
    node.alias = node.name;
    NodeContext context(world_, &node, Mode::parse);
    const auto arguments = test_arguments(context);
    if (!arguments) return context_error(context, node, arguments.error());
    const auto rendered = context.bind(macro).as_object()->call(*arguments);
    if (!rendered) return context_error(context, node, rendered.error());
    keep(context, node);
    merge_missing(context.captured().config, node.config);
    return Ok{};
  }

  /// What a test's own config() says holds where YAML says nothing.
  static void merge_missing(const text::Value& own, text::Value& config) {
    const auto defaults = default_test_config();
    for (const auto& [key, value] : own.as_object()) {
      const auto* now = config.find(key);
      const auto* before = defaults.find(key);
      if (now == nullptr || (before != nullptr && *now == *before)) config.set(key, value);
    }
  }

  /// From names to ids, and who needs whom.
  Status link() {
    for (auto& [id, node] : manifest_->nodes) {
      for (const auto& reference : node.refs) TRY_STATUS(link_ref(node, reference));
      for (const auto& reference : node.sources) {
        const auto* target = manifest_->find_source(reference);
        if (target == nullptr)
          return parse_error(fmt::format(
              "Compilation Error\n  {} '{}' ({}) depends on a source named '{}.{}' which was not "
              "found",
              title(node.kind), id, node.original_file_path, reference.source, reference.table));
        depend(node, target->unique_id);
      }
    }
    for (const auto& [id, node] : manifest_->nodes)
      for (const auto& parent : node.depends_on) manifest_->children[parent].push_back(id);
    drop_disabled_tests();
    return find_cycle();
  }

  static std::string title(NodeKind kind) {
    std::string word(to_string(kind));
    word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
    return word;
  }

  static void depend(Node& node, const std::string& id) {
    if (std::ranges::find(node.depends_on, id) == node.depends_on.end())
      node.depends_on.push_back(id);
  }

  Status link_ref(Node& node, const Reference& reference) {
    if (const auto* target = manifest_->find_model(reference)) {
      depend(node, target->unique_id);
      return Ok{};
    }
    const auto package = reference.package.empty() ? input_.project.name : reference.package;
    const auto wanted = fmt::format("model.{}.{}", package, reference.name);
    const bool disabled = manifest_->disabled.contains(wanted);
    if (disabled && node.kind == NodeKind::test) {
      on_disabled_.insert(node.unique_id);
      return Ok{};
    }
    const auto in_package =
        reference.package.empty() ? "" : fmt::format(" in package or project '{}'", package);
    return parse_error(
        fmt::format("Compilation Error\n  {} '{}' ({}) depends on a node named '{}'{} which {}",
                    title(node.kind), node.unique_id, node.original_file_path, reference.name,
                    in_package, disabled ? "is disabled" : "was not found"));
  }

  /// A test of a model that is disabled is disabled too.
  void drop_disabled_tests() {
    for (const auto& id : on_disabled_) {
      auto moved = manifest_->nodes.extract(id);
      for (const auto& parent : moved.mapped().depends_on)
        std::erase(manifest_->children[parent], id);
      std::erase(manifest_->stat_order, id);
      manifest_->disabled.insert(std::move(moved));
    }
  }

  Status find_cycle() {
    std::map<std::string, int> state;  // 1: on the path, 2: done
    std::vector<std::string> path;
    for (const auto& [id, node] : manifest_->nodes)
      if (auto found = visit(id, state, path); !found.empty())
        return parse_error(fmt::format("Found a cycle: {}", found));
    return Ok{};
  }

  std::string visit(const std::string& id, std::map<std::string, int>& state,
                    std::vector<std::string>& path) {
    if (state[id] == 2) return "";
    if (state[id] == 1) {
      std::string cycle;
      for (auto at = std::ranges::find(path, id); at != path.end(); ++at)
        cycle += (cycle.empty() ? "" : " --> ") + *at;
      return cycle;
    }
    path.push_back(id);
    state[id] = 1;
    if (const auto* node = manifest_->find(id))
      for (const auto& parent : node->depends_on)
        if (auto found = visit(parent, state, path); !found.empty()) return found;
    state[id] = 2;
    path.pop_back();
    return "";
  }

  const ParseInput& input_;
  std::unique_ptr<Manifest> manifest_;
  World world_;
  Properties properties_;
  std::set<std::string> on_disabled_;
};

}  // namespace

Result<ParseOutput> parse_project(const ParseInput& input) { return Parser(input).run(); }

}  // namespace tapeline::transform
