#include "transform/properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "transform/context.h"
#include "transform/names.h"
#include "transform/project.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

// The keys of a test that are configuration; all others are arguments.
constexpr std::array kTestConfigs = {"severity", "tags",     "enabled",        "where",
                                     "limit",    "warn_if",  "error_if",       "fail_calc",
                                     "meta",     "database", "store_failures", "store_failures_as",
                                     "schema",   "alias"};

constexpr std::array kUnsupported = {"seeds",     "snapshots",    "exposures",       "metrics",
                                     "groups",    "analyses",     "semantic_models", "unit_tests",
                                     "functions", "saved_queries"};

class Reader {
 public:
  Reader(const std::string& path, jinja::Context& context, Properties& into)
      : path_(path), context_(context), into_(into) {}

  Status read(const std::string& source) {
    const auto parsed = text::parse_yaml(source);
    if (!parsed)
      return Error{
          parsed.error().code,
          fmt::format("Parsing Error\n  Error reading {}: {}", path_, parsed.error().message),
          parsed.error().hint};
    if (parsed->is_null()) return Ok{};
    if (!parsed->is_object()) return wrong("is no mapping");
    for (const char* kind : kUnsupported)
      if (const auto* found = parsed->find(kind);
          found != nullptr && found->is_list() && !found->as_list().empty())
        return Error{ErrorCode::unsupported,
                     fmt::format("'{}': '{}' are not there yet", path_, kind),
                     "Run the project with dbt itself, or leave them out."};
    if (const auto* models = parsed->find("models")) TRY_STATUS(read_models(*models));
    if (const auto* sources = parsed->find("sources")) TRY_STATUS(read_sources(*sources));
    return Ok{};
  }

 private:
  Error wrong(const std::string& what) const {
    return {ErrorCode::invalid_argument, fmt::format("Parsing Error\n  {} {}", path_, what), ""};
  }

  Result<std::string> name_of(const text::Value& entry, const char* kind) const {
    const auto name = entry.string_or("name", "");
    if (name.empty())
      return wrong(fmt::format("has {} without a name (line {})", kind, entry.line));
    return name;
  }

  Result<text::Value> rendered(const text::Value& entry, std::string_view key) {
    const auto* found = entry.find(key);
    if (found == nullptr) return text::Value();
    return render_yaml(*found, context_);
  }

  /// `config:` with what older files put beside it: tags, meta, docs, enabled.
  Result<text::Value> config_of(const text::Value& entry) {
    auto config = TRY(rendered(entry, "config"));
    if (config.is_null()) config = text::Value(text::Object{});
    for (const char* key : {"tags", "meta", "docs", "enabled"})
      if (entry.find(key) != nullptr) {
        text::Value beside{text::Object{}};
        beside.set(key, TRY(rendered(entry, key)));
        text::Value merged = beside;
        merge_config(merged, config);
        config = std::move(merged);
      }
    return config;
  }

  Status read_models(const text::Value& models) {
    if (!models.is_list()) return wrong("has 'models' that are no list");
    for (const auto& model : models.as_list()) {
      const auto name = TRY(name_of(model, "a model"));
      if (into_.models.contains(name))
        return wrong(fmt::format("describes the model '{}', which {} describes too", name,
                                 into_.models.at(name).file));
      if (model.find("versions") != nullptr)
        return Error{ErrorCode::unsupported,
                     fmt::format("'{}': versions of the model '{}' are not there yet", path_, name),
                     ""};
      ModelPatch patch;
      patch.file = path_;
      patch.description = model.string_or("description", "");
      patch.config = TRY(config_of(model));
      patch.columns = TRY(read_columns(model, "", name));
      TRY_STATUS(read_tests(model, "", name, "", {}));
      into_.models.emplace(name, std::move(patch));
    }
    return Ok{};
  }

  Status read_sources(const text::Value& sources) {
    if (!sources.is_list()) return wrong("has 'sources' that are no list");
    for (const auto& source : sources.as_list()) {
      const auto name = TRY(name_of(source, "a source"));
      const auto* tables = source.find("tables");
      if (tables == nullptr || !tables->is_list()) continue;
      const auto schema = TRY(rendered(source, "schema"));
      const auto database = TRY(rendered(source, "database"));
      const auto config = TRY(config_of(source));
      for (const auto& table : tables->as_list()) {
        WantedSource wanted;
        wanted.file = path_;
        wanted.source = name;
        wanted.table = TRY(name_of(table, "a source table"));
        wanted.schema = schema.is_string() ? schema.as_string() : name;
        wanted.database = database.is_string() ? database.as_string() : "";
        const auto identifier = TRY(rendered(table, "identifier"));
        wanted.identifier = identifier.is_string() ? identifier.as_string() : wanted.table;
        wanted.loader = table.string_or("loader", source.string_or("loader", ""));
        wanted.description = table.string_or("description", "");
        wanted.source_description = source.string_or("description", "");
        wanted.config = config;
        merge_config(wanted.config, TRY(config_of(table)));
        const auto* quoting = table.find("quoting");
        if (quoting == nullptr) quoting = source.find("quoting");
        if (quoting != nullptr) wanted.quoting = *quoting;
        wanted.columns = TRY(read_columns(table, name, wanted.table));
        TRY_STATUS(read_tests(table, name, wanted.table, "", {}));
        into_.sources.push_back(std::move(wanted));
      }
    }
    return Ok{};
  }

  Result<text::Value> read_columns(const text::Value& entry, const std::string& source,
                                   const std::string& target) {
    text::Value columns{text::Object{}};
    const auto* list = entry.find("columns");
    if (list == nullptr || !list->is_list()) return columns;
    for (const auto& column : list->as_list()) {
      const auto name = TRY(name_of(column, "a column"));
      text::Value kept{text::Object{}};
      kept.set("name", name);
      kept.set("description", column.string_or("description", ""));
      const auto* meta = column.find("meta");
      kept.set("meta", meta == nullptr ? text::Value(text::Object{}) : *meta);
      const auto* type = column.find("data_type");
      kept.set("data_type", type == nullptr ? text::Value() : *type);
      const auto* quote = column.find("quote");
      kept.set("quote", quote == nullptr ? text::Value() : *quote);
      const auto* tags = column.find("tags");
      kept.set("tags", tags == nullptr ? text::Value(text::List{}) : *tags);
      std::vector<std::string> inherited;
      if (tags != nullptr && tags->is_string()) inherited.push_back(tags->as_string());
      if (tags != nullptr && tags->is_list())
        for (const auto& tag : tags->as_list()) inherited.push_back(python_str(tag));
      columns.set(name, std::move(kept));
      TRY_STATUS(read_tests(column, source, target,
                            column.bool_or("quote", false) ? "\"" + name + "\"" : name, inherited));
    }
    return columns;
  }

  Status read_tests(const text::Value& entry, const std::string& source, const std::string& target,
                    const std::string& column, const std::vector<std::string>& tags) {
    for (const char* key : {"tests", "data_tests"}) {
      const auto* tests = entry.find(key);
      if (tests == nullptr || tests->is_null()) continue;
      if (!tests->is_list()) return wrong(fmt::format("has '{}' that are no list", key));
      for (const auto& test : tests->as_list())
        TRY_STATUS(read_test(test, source, target, column, tags));
    }
    return Ok{};
  }

  Status read_test(const text::Value& test, const std::string& source, const std::string& target,
                   const std::string& column, const std::vector<std::string>& tags) {
    WantedTest wanted;
    wanted.file = path_;
    wanted.source = source;
    wanted.target = target;
    wanted.column = column;
    wanted.tags = tags;
    std::string name;
    text::Value arguments{text::Object{}};
    if (test.is_string()) {
      name = test.as_string();
    } else if (test.is_object() && test.find("test_name") != nullptr) {
      name = test.string_or("test_name", "");
      for (const auto& [key, value] : test.as_object())
        if (key != "test_name") arguments.set(key, value);
    } else if (test.is_object() && test.as_object().size() == 1) {
      name = test.as_object()[0].first;
      if (test.as_object()[0].second.is_object())
        arguments = test.as_object()[0].second;
      else if (!test.as_object()[0].second.is_null())
        return wrong(
            fmt::format("gives the test '{}' of '{}' arguments that are no mapping", name, target));
    } else {
      return wrong(fmt::format(
          "has a test of '{}' that is neither a name nor a mapping of one name (line {})", target,
          test.line));
    }
    TRY_STATUS(split_arguments(arguments, column, wanted));
    if (wanted.call.kwargs.find("model") != nullptr)
      return wrong(fmt::format("gives the test '{}' of '{}' an argument 'model'", name, target));
    const auto dot = name.find('.');
    wanted.call.name = dot == std::string::npos ? name : name.substr(dot + 1);
    wanted.call.package = dot == std::string::npos ? "" : name.substr(0, dot);
    wanted.call.kwargs.set(
        "model", source.empty() ? fmt::format("{{{{ get_where_subquery(ref('{}')) }}}}", target)
                                : fmt::format("{{{{ get_where_subquery(source('{}', '{}')) }}}}",
                                              source, target));
    into_.tests.push_back(std::move(wanted));
    return Ok{};
  }

  /// Parts what YAML gives a test: configuration, name, description, arguments.
  Status split_arguments(const text::Value& given, const std::string& column, WantedTest& wanted) {
    text::Value kwargs{text::Object{}};
    text::Value nested;
    text::Value config{text::Object{}};
    for (const auto& [key, value] : given.as_object()) {
      if (key == "config") {
        config = TRY(render_yaml(value, context_));
      } else if (key == "name") {
        wanted.name = python_str(value);
      } else if (key == "description") {
        wanted.description = python_str(value);
      } else if (key == "arguments") {
        nested = value;
      } else if (std::ranges::find(kTestConfigs, key) != kTestConfigs.end()) {
        wanted.config.set(key, TRY(render_yaml(value, context_)));
      } else {
        kwargs.set(key, value);
      }
    }
    if (!column.empty()) kwargs.set("column_name", column);
    if (nested.is_object())
      for (const auto& [key, value] : nested.as_object()) kwargs.set(key, value);
    if (config.is_object())
      for (const auto& [key, value] : config.as_object())
        if (!value.is_null()) wanted.config.set(key, value);
    wanted.call.kwargs = std::move(kwargs);
    return Ok{};
  }

  const std::string& path_;
  jinja::Context& context_;
  Properties& into_;
};

/// Arguments may call these functions without braces: `to: ref('a')`.
bool looks_like_call(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\n");
  const auto open = text.find('(');
  const auto end = text.find_last_not_of(" \t\n");
  if (begin == std::string::npos || open == std::string::npos || text[end] != ')' ||
      end <= open + 1)
    return false;
  auto name = text.substr(begin, open - begin);
  name.erase(name.find_last_not_of(" \t") + 1);
  return name == "ref" || name == "source" || name == "var" || name == "env_var" || name == "doc";
}

/// Renders the texts of a test's argument; a template keeps the type of what it makes.
Result<jinja::Value> render_argument(const text::Value& value, NodeContext& context) {
  if (value.is_string()) {
    const auto source =
        looks_like_call(value.as_string()) ? "{{ " + value.as_string() + " }}" : value.as_string();
    if (source.find("{{") == std::string::npos && source.find("{%") == std::string::npos)
      return jinja::Value(source);
    auto& known = context.world().templates;
    auto code = known.find(source);
    if (code == known.end())
      code = known.emplace(source, TRY(jinja::Template::parse(source, "argument"))).first;
    return code->second.render_native(context);
  }
  if (value.is_list()) {
    std::vector<jinja::Value> items;
    for (const auto& item : value.as_list()) items.push_back(TRY(render_argument(item, context)));
    return jinja::Value::list(std::move(items));
  }
  if (value.is_object()) {
    const auto dict = jinja::Value::dict();
    for (const auto& [key, member] : value.as_object())
      dict.set(key, TRY(render_argument(member, context)));
    return dict;
  }
  return to_jinja(value);
}

}  // namespace

Status read_properties(const std::string& path, const std::string& yaml, jinja::Context& context,
                       Properties& into) {
  return Reader(path, context, into).read(yaml);
}

Result<jinja::Arguments> test_arguments(NodeContext& context) {
  jinja::Arguments arguments;
  for (const auto& [key, value] : context.node()->test->kwargs.as_object())
    arguments.named.emplace_back(
        key, key == "column_name" ? to_jinja(value) : TRY(render_argument(value, context)));
  return arguments;
}

}  // namespace tapeline::transform
