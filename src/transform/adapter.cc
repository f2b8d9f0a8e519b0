// `adapter`: dispatch, and what macros ask of the warehouse.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "transform/context.h"
#include "transform/object.h"
#include "transform/table.h"
#include "transform/values.h"

namespace tapeline::transform {

using jinja::Arguments;
using jinja::Value;

namespace {

class Adapter final : public jinja::HostObject {
 public:
  explicit Adapter(NodeContext& context) : context_(context), world_(context.world()) {}

  std::string type_name() const override { return "adapter"; }

  Result<Value> attribute(const std::string& name) override {
    if (name == "behavior") {
      const auto off = make_object("flag", {{"no_warn", false}});
      return make_object("behavior", {{"enable_truthy_nulls_equals_macro", off},
                                      {"require_certificate_validation", off}});
    }
    if (kMethods.contains(name) || kParseSafe.contains(name))
      return Value::function(
          name, [this, name](const Arguments& arguments) { return call_method(name, arguments); });
    return Value::undefined(name);
  }

  Result<Value> call_method(const std::string& name, const Arguments& arguments) override {
    if (const auto safe = kParseSafe.find(name); safe != kParseSafe.end())
      return (this->*safe->second)(arguments);
    const auto method = kMethods.find(name);
    if (method == kMethods.end())
      return Error{ErrorCode::unsupported, fmt::format("'adapter' has no method named '{}'", name),
                   ""};
    if (context_.mode() == Mode::parse || world_.session == nullptr) return parse_answer(name);
    return (this->*method->second)(arguments);
  }

 private:
  using Method = Result<Value> (Adapter::*)(const Arguments&);

  /// What dbt answers while parsing: nothing, in the type that is expected.
  static Value parse_answer(const std::string& name) {
    if (name == "execute") return Value::tuple({Value(""), table_value({})});
    if (name == "get_columns_in_relation" || name == "get_missing_columns" ||
        name == "list_relations")
      return Value::list();
    return {};
  }

  static std::string optional_name(const Value& value) {
    return value.is_none() || value.is_undefined() ? "" : value.text();
  }

  Result<Value> dispatch(const Arguments& arguments) {
    const auto name = text_argument(arguments, 0, "macro_name");
    const auto space = text_argument(arguments, 1, "macro_namespace");
    if (name.find('.') != std::string::npos)
      return Error{
          ErrorCode::invalid_argument,
          fmt::format("In adapter.dispatch, got a macro name of \"{}\", but \".\" is not "
                      "a valid macro name component. Did you mean "
                      "`adapter.dispatch(\"{}\", macro_namespace=\"{}\")`?",
                      name, name.substr(name.find('.') + 1), name.substr(0, name.find('.'))),
          ""};
    std::vector<std::string> packages = {""};
    const auto& project = world_.manifest.project;
    if (const auto order = project.dispatch.find(space); order != project.dispatch.end())
      packages = order->second;
    else if (!space.empty())
      packages = {project.name, space};
    std::string searched;
    for (const auto& package : packages)
      for (const char* prefix : {"duckdb__", "default__"}) {
        const auto full = prefix + name;
        const auto* macro = package.empty() ? world_.manifest.macros.find(full)
                                            : world_.manifest.macros.find_in(package, full);
        if (macro != nullptr) return context_.bind(*macro);
        searched += fmt::format("{}'{}{}{}'", searched.empty() ? "" : ", ", package,
                                package.empty() ? "" : ".", full);
      }
    return Error{ErrorCode::invalid_argument,
                 fmt::format("In dispatch: No macro named '{}' found within namespace: '{}'\n    "
                             "Searched for: {}",
                             name, space.empty() ? "None" : space, searched),
                 ""};
  }

  Result<Value> type(const Arguments&) { return Value("duckdb"); }
  Result<Value> no(const Arguments&) { return Value(false); }
  Result<Value> nothing(const Arguments&) { return Value(); }
  Result<Value> empty_text(const Arguments&) { return Value(""); }

  Result<Value> quote(const Arguments& arguments) {
    return Value(fmt::format("\"{}\"", text_argument(arguments, 0, "identifier")));
  }

  Result<Value> execute(const Arguments& arguments) {
    const auto sql = text_argument(arguments, 0, "sql");
    const bool auto_begin = argument(arguments, 1, "auto_begin", false).truth();
    const bool fetch = argument(arguments, 2, "fetch", false).truth();
    if (auto_begin) TRY_STATUS(world_.session->begin_if_closed());
    auto rows = TRY(world_.session->query(sql));
    return Value::tuple({Value("OK"), fetch ? table_value(rows) : table_value({})});
  }

  Result<Value> commit(const Arguments&) {
    TRY_STATUS(world_.session->commit());
    return Value("");
  }

  Status learn(const RelationName& schema) {
    if (world_.session->knows_schema(schema)) return Ok{};
    RelationName only = schema;
    only.identifier.reset();
    Arguments given;
    given.positional.push_back(relation_value(only));
    const auto table = TRY(context_.call("list_relations_without_caching", given));
    std::vector<RelationName> relations;
    for (const auto& row : items_of(table)) {
      RelationName found;
      const auto cells = items_of(row);
      if (cells.size() < 4) continue;
      found.database = cells[0].text();
      found.identifier = cells[1].text();
      found.schema = cells[2].text();
      found.type = cells[3].text();
      relations.push_back(std::move(found));
    }
    world_.session->learn_schema(only, std::move(relations));
    return Ok{};
  }

  Result<Value> get_relation(const Arguments& arguments) {
    RelationName name;
    name.database = optional_name(argument(arguments, 0, "database"));
    name.schema = optional_name(argument(arguments, 1, "schema"));
    name.identifier = optional_name(argument(arguments, 2, "identifier"));
    TRY_STATUS(learn(name));
    const auto found = world_.session->find(name);
    return found ? relation_value(*found) : Value();
  }

  Result<Value> list_relations(const Arguments& arguments) {
    RelationName schema;
    schema.database = optional_name(argument(arguments, 0, "database"));
    schema.schema = optional_name(argument(arguments, 1, "schema"));
    TRY_STATUS(learn(schema));
    std::vector<Value> relations;
    for (const auto& relation : world_.session->relations_in(schema))
      relations.push_back(relation_value(relation));
    return Value::list(std::move(relations));
  }

  Result<Value> get_columns_in_relation(const Arguments& arguments) {
    auto columns = context_.call("get_columns_in_relation", arguments);
    if (!columns && columns.error().message.find("does not exist") != std::string::npos) {
      static_cast<void>(world_.session->take_error());
      return Value::list();
    }
    return columns;
  }

  Result<Value> get_missing_columns(const Arguments& arguments) {
    Arguments from, to;
    from.positional.push_back(argument(arguments, 0, "from_relation"));
    to.positional.push_back(argument(arguments, 1, "to_relation"));
    const auto have = TRY(context_.call("get_columns_in_relation", from));
    const auto want = TRY(context_.call("get_columns_in_relation", to));
    std::vector<Value> missing;
    for (const auto& column : items_of(have)) {
      const auto name = TRY(column.as_object()->attribute("name"));
      bool there = false;
      for (const auto& other : items_of(want)) {
        const auto other_name = TRY(other.as_object()->attribute("name"));
        there = there || other_name.equals(name);
      }
      if (!there) missing.push_back(column);
    }
    return Value::list(std::move(missing));
  }

  /// The relation that an argument holds; an error where it holds none.
  static Result<RelationName> relation(const Arguments& arguments, std::size_t position,
                                       std::string_view name) {
    const auto* found = relation_of(argument(arguments, position, name));
    if (found != nullptr) return *found;
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no relation", name), ""};
  }

  Result<Value> drop_relation(const Arguments& arguments) {
    const auto name = TRY(relation(arguments, 0, "relation"));
    if (name.type.empty())
      return Error{ErrorCode::invalid_argument,
                   fmt::format("Tried to drop relation {}, but its type is null.", name.render()),
                   ""};
    world_.session->drop(name);
    TRY_STATUS(context_.call("drop_relation", arguments));
    return Value("");
  }

  Result<Value> rename_relation(const Arguments& arguments) {
    const auto from = TRY(relation(arguments, 0, "from_relation"));
    auto to = TRY(relation(arguments, 1, "to_relation"));
    if (to.type.empty()) to.type = from.type;
    world_.session->rename(from, to);
    TRY_STATUS(context_.call("rename_relation", arguments));
    return Value("");
  }

  Result<Value> truncate_relation(const Arguments& arguments) {
    TRY_STATUS(context_.call("truncate_relation", arguments));
    return Value("");
  }

  Result<Value> create_schema(const Arguments& arguments) {
    TRY_STATUS(context_.call("create_schema", arguments));
    TRY_STATUS(world_.session->commit());
    return Value("");
  }

  Result<Value> drop_schema(const Arguments& arguments) {
    TRY_STATUS(context_.call("drop_schema", arguments));
    TRY_STATUS(world_.session->commit());
    return Value("");
  }

  Result<Value> check_schema_exists(const Arguments& arguments) {
    const auto schema = text_argument(arguments, 1, "schema");
    Arguments given;
    given.positional.push_back(argument(arguments, 0, "database"));
    const auto table = TRY(context_.call("list_schemas", given));
    for (const auto& row : items_of(table))
      if (const auto cells = items_of(row);
          !cells.empty() && lower_case(cells[0].text()) == lower_case(schema))
        return Value(true);
    return Value(false);
  }

  Result<Value> cache_added(const Arguments& arguments) {
    world_.session->add(TRY(relation(arguments, 0, "relation")));
    return Value("");
  }
  Result<Value> cache_dropped(const Arguments& arguments) {
    world_.session->drop(TRY(relation(arguments, 0, "relation")));
    return Value("");
  }
  Result<Value> cache_renamed(const Arguments& arguments) {
    const auto from = TRY(relation(arguments, 0, "from_relation"));
    const auto to = TRY(relation(arguments, 1, "to_relation"));
    world_.session->rename(from, to);
    return Value("");
  }

  Result<Value> valid_strategies(const Arguments&) {
    return Value::list({"append", "delete+insert", "merge", "microbatch"});
  }

  Result<Value> get_incremental_strategy_macro(const Arguments& arguments) {
    const auto strategy = text_argument(arguments, 1, "strategy");
    if (strategy == "insert_overwrite")
      return Error{ErrorCode::invalid_argument,
                   "The incremental strategy 'insert_overwrite' is not valid for this adapter", ""};
    std::string name = strategy;
    std::ranges::replace(name, '+', '_');
    name = fmt::format("get_incremental_{}_sql", name);
    if (const auto* macro = world_.manifest.macros.find(name)) return context_.bind(*macro);
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("dbt could not find an incremental strategy macro with the name \"{}\" in {}",
                    name, world_.manifest.project.name),
        ""};
  }

  NodeContext& context_;
  World& world_;

  static const std::map<std::string, Method> kParseSafe;
  static const std::map<std::string, Method> kMethods;
};

const std::map<std::string, Adapter::Method> Adapter::kParseSafe = {
    {"dispatch", &Adapter::dispatch},
    {"type", &Adapter::type},
    {"quote", &Adapter::quote},
    {"quote_as_configured", &Adapter::quote},
    {"is_motherduck", &Adapter::no},
    {"is_ducklake", &Adapter::no},
    {"disable_transactions", &Adapter::no},
    {"use_ducklake_table_workarounds", &Adapter::no},
    {"catalog_supports_foreign_keys", &Adapter::no},
    {"batch_id_for_model", &Adapter::empty_text},
    {"valid_incremental_strategies", &Adapter::valid_strategies},
    {"warn_once", &Adapter::empty_text}};

const std::map<std::string, Adapter::Method> Adapter::kMethods = {
    {"execute", &Adapter::execute},
    {"add_query", &Adapter::execute},
    {"commit", &Adapter::commit},
    {"get_relation", &Adapter::get_relation},
    {"list_relations", &Adapter::list_relations},
    {"get_columns_in_relation", &Adapter::get_columns_in_relation},
    {"get_missing_columns", &Adapter::get_missing_columns},
    {"drop_relation", &Adapter::drop_relation},
    {"rename_relation", &Adapter::rename_relation},
    {"truncate_relation", &Adapter::truncate_relation},
    {"create_schema", &Adapter::create_schema},
    {"drop_schema", &Adapter::drop_schema},
    {"check_schema_exists", &Adapter::check_schema_exists},
    {"expand_target_column_types", &Adapter::nothing},
    {"cache_added", &Adapter::cache_added},
    {"cache_dropped", &Adapter::cache_dropped},
    {"cache_renamed", &Adapter::cache_renamed},
    {"get_incremental_strategy_macro", &Adapter::get_incremental_strategy_macro}};

}  // namespace

Value adapter_value(NodeContext& context) { return host_value<Adapter>(context); }

}  // namespace tapeline::transform
