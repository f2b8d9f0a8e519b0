#include "transform/relation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

using jinja::Arguments;
using jinja::Value;

Value optional_text(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value();
}

std::optional<std::string> text_or_none(const Value& value) {
  if (value.is_none() || value.is_undefined()) return std::nullopt;
  return value.text();
}

std::string quoted(std::string_view name) { return fmt::format("\"{}\"", name); }

void set_flag(const Arguments& arguments, std::string_view name, bool& flag) {
  for (const auto& [key, value] : arguments.named)
    if (key == name) flag = value.truth();
}

class Relation final : public jinja::HostObject {
 public:
  explicit Relation(RelationName name) : name_(std::move(name)) {}

  const RelationName& name() const { return name_; }
  std::string type_name() const override { return "Relation"; }
  std::string text() const override { return name_.render(); }
  bool equals(const HostObject& other) const override {
    const auto* relation = dynamic_cast<const Relation*>(&other);
    return relation != nullptr && relation->name_.render() == name_.render() &&
           relation->name_.type == name_.type;
  }

  Result<Value> attribute(const std::string& name) override {
    if (name == "database") return optional_text(name_.database);
    if (name == "schema") return optional_text(name_.schema);
    if (name == "identifier" || name == "name" || name == "table")
      return optional_text(name_.identifier);
    if (name == "type") return name_.type.empty() ? Value() : Value(name_.type);
    if (name == "is_table") return Value(name_.type == "table");
    if (name == "is_view") return Value(name_.type == "view");
    if (name == "is_cte") return Value(name_.type == "cte");
    if (name == "is_materialized_view") return Value(name_.type == "materialized_view");
    if (name == "is_pointer" || name == "is_function") return Value(false);
    if (name == "can_be_renamed") return Value(name_.type == "table" || name_.type == "view");
    if (name == "can_be_replaced") return Value(false);
    if (name == "quote_character") return Value("\"");
    if (name == "path")
      return Value::dict({{"database", optional_text(name_.database)},
                          {"schema", optional_text(name_.schema)},
                          {"identifier", optional_text(name_.identifier)}});
    return Value::undefined(name);
  }

  Result<Value> call_method(const std::string& method, const Arguments& arguments) override {
    RelationName changed = name_;
    if (method == "render") return Value(name_.render());
    if (method == "quoted") return Value(quoted(text_argument(arguments, 0, "identifier")));
    if (method == "include") {
      set_flag(arguments, "database", changed.include_database);
      set_flag(arguments, "schema", changed.include_schema);
      set_flag(arguments, "identifier", changed.include_identifier);
      return relation_value(std::move(changed));
    }
    if (method == "quote") {
      set_flag(arguments, "database", changed.quote_database);
      set_flag(arguments, "schema", changed.quote_schema);
      set_flag(arguments, "identifier", changed.quote_identifier);
      return relation_value(std::move(changed));
    }
    if (method == "without_identifier") {
      changed.include_identifier = false;
      return relation_value(std::move(changed));
    }
    if (method == "incorporate" || method == "replace_path") {
      apply_path(method == "incorporate" ? argument(arguments, 0, "path")
                                         : Value::dict(named_as_dict(arguments)),
                 changed);
      if (method == "incorporate") {
        const auto type = argument(arguments, 1, "type", Value::undefined("type"));
        if (!type.is_undefined()) changed.type = type.is_none() ? "" : type.text();
      }
      return relation_value(std::move(changed));
    }
    if (method == "information_schema") {
      const auto view = text_argument(arguments, 0, "view_name");
      return Value(fmt::format("{}.information_schema{}{}", quoted(name_.database.value_or("")),
                               view.empty() ? "" : ".", view));
    }
    if (method == "get") return attribute(text_argument(arguments, 0, "key"));
    return HostObject::call_method(method, arguments);
  }

 private:
  static std::vector<std::pair<Value, Value>> named_as_dict(const Arguments& arguments) {
    std::vector<std::pair<Value, Value>> members;
    for (const auto& [key, value] : arguments.named) members.emplace_back(key, value);
    return members;
  }
  static void apply_path(const Value& path, RelationName& name) {
    if (!path.is_dict()) return;
    if (const auto found = path.find("database")) name.database = text_or_none(*found);
    if (const auto found = path.find("schema")) name.schema = text_or_none(*found);
    if (const auto found = path.find("identifier")) name.identifier = text_or_none(*found);
  }

  RelationName name_;
};

Result<Value> create_relation(const Arguments& arguments) {
  RelationName name;
  name.database = text_or_none(argument(arguments, 0, "database"));
  name.schema = text_or_none(argument(arguments, 1, "schema"));
  name.identifier = text_or_none(argument(arguments, 2, "identifier"));
  name.type = text_argument(arguments, 3, "type");
  if (const auto policy = argument(arguments, 99, "quote_policy"); policy.is_dict()) {
    if (const auto flag = policy.find("database")) name.quote_database = flag->truth();
    if (const auto flag = policy.find("schema")) name.quote_schema = flag->truth();
    if (const auto flag = policy.find("identifier")) name.quote_identifier = flag->truth();
  }
  return relation_value(std::move(name));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <std::size_t N>
bool any_of(const std::string& text, const std::array<const char*, N>& words) {
  return std::ranges::any_of(words, [&](const char* word) { return text == word; });
}

constexpr std::array kTexts = {"text", "character varying", "character", "varchar"};
constexpr std::array kIntegers = {"tinyint",  "smallint",  "integer",  "bigint",  "hugeint",
                                  "utinyint", "usmallint", "uinteger", "ubigint", "int1",
                                  "int2",     "int4",      "int8",     "short",   "int",
                                  "signed",   "long",      "uhugeint"};
constexpr std::array kFloats = {"real", "float", "float4", "float8", "double"};
constexpr std::array kNumerics = {"numeric", "decimal"};

class Column final : public jinja::HostObject {
 public:
  explicit Column(ColumnInfo column) : column_(std::move(column)), kind_(lower(column_.type)) {}

  std::string type_name() const override { return "Column"; }
  std::string text() const override {
    return fmt::format("<Column {} ({})>", column_.name, data_type());
  }
  bool equals(const HostObject& other) const override { return text() == other.text(); }

  Result<Value> attribute(const std::string& name) override {
    if (name == "name" || name == "column") return Value(column_.name);
    if (name == "dtype") return Value(column_.type);
    if (name == "data_type" || name == "expanded_data_type") return Value(data_type());
    if (name == "quoted") return Value(quoted(column_.name));
    if (name == "char_size") return number(column_.char_size);
    if (name == "numeric_precision") return number(column_.numeric_precision);
    if (name == "numeric_scale") return number(column_.numeric_scale);
    return Value::undefined(name);
  }

  Result<Value> call_method(const std::string& method, const Arguments& arguments) override {
    const bool numeric =
        any_of(kind_, kNumerics) || kind_.starts_with("decimal(") || kind_.starts_with("numeric(");
    if (method == "is_string") return Value(any_of(kind_, kTexts));
    if (method == "is_integer") return Value(any_of(kind_, kIntegers));
    if (method == "is_float") return Value(any_of(kind_, kFloats));
    if (method == "is_numeric") return Value(numeric);
    if (method == "is_number")
      return Value(numeric || any_of(kind_, kIntegers) || any_of(kind_, kFloats));
    if (method == "is_struct") return Value(kind_.starts_with("struct"));
    if (method == "string_size") return Value(256);
    if (method == "can_expand_to") return Value(false);
    return HostObject::call_method(method, arguments);
  }

 private:
  static Value number(const std::optional<std::int64_t>& value) {
    return value ? Value(*value) : Value();
  }
  std::string data_type() const {
    if (any_of(kind_, kTexts)) return "character varying(256)";
    if (any_of(kind_, kNumerics) && column_.numeric_precision && column_.numeric_scale)
      return fmt::format("{}({},{})", column_.type, *column_.numeric_precision,
                         *column_.numeric_scale);
    return column_.type;
  }

  ColumnInfo column_;
  std::string kind_;
};

Result<Value> make_column(const Arguments& arguments) {
  const auto number = [&](std::size_t position, std::string_view name) {
    const auto value = argument(arguments, position, name);
    return value.is_int() ? std::optional(value.as_int()) : std::nullopt;
  };
  return column_value({text_argument(arguments, 0, "column"), text_argument(arguments, 1, "dtype"),
                       number(2, "char_size"), number(3, "numeric_precision"),
                       number(4, "numeric_scale")});
}

Result<Value> translate_type(const Arguments& arguments) {
  const auto type = text_argument(arguments, 0, "dtype");
  const auto kind = lower(type);
  if (kind == "string") return Value("TEXT");
  if (kind == "timestamp") return Value("TIMESTAMP");
  if (kind == "float") return Value("FLOAT");
  if (kind == "integer") return Value("INTEGER");
  if (kind == "boolean") return Value("BOOLEAN");
  return Value(type);
}

}  // namespace

std::string RelationName::render() const {
  std::string out;
  const auto add = [&out](const std::optional<std::string>& part, bool include, bool quote) {
    if (!part || !include) return;
    if (!out.empty()) out += '.';
    out += quote ? quoted(*part) : *part;
  };
  add(database, include_database, quote_database);
  add(schema, include_schema, quote_schema);
  add(identifier, include_identifier, quote_identifier);
  return out;
}

Value relation_value(RelationName name) { return host_value<Relation>(std::move(name)); }

const RelationName* relation_of(const Value& value) {
  if (!value.is_object()) return nullptr;
  const auto* relation = dynamic_cast<const Relation*>(value.as_object().get());
  return relation == nullptr ? nullptr : &relation->name();
}

Value relation_class() {
  const std::map<std::string, Value> types = {{"Table", "table"},
                                              {"View", "view"},
                                              {"CTE", "cte"},
                                              {"MaterializedView", "materialized_view"},
                                              {"External", "external"}};
  return make_object("Relation",
                     {{"create", Value::function("create", create_relation)},
                      {"Table", Value("table")},
                      {"View", Value("view")},
                      {"CTE", Value("cte")},
                      {"get_relation_type", make_object("RelationType", types)}},
                     create_relation);
}

Value column_value(ColumnInfo column) { return host_value<Column>(std::move(column)); }

Value column_class() {
  return make_object(
      "Column",
      {{"create", Value::function("create", make_column)},
       {"translate_type", Value::function("translate_type", translate_type)},
       {"numeric_type", Value::function("numeric_type",
                                        [](const Arguments& arguments) -> Result<Value> {
                                          return Value(fmt::format(
                                              "{}({},{})", text_argument(arguments, 0, "dtype"),
                                              text_argument(arguments, 1, "precision"),
                                              text_argument(arguments, 2, "scale")));
                                        })},
       {"string_type", Value::function("string_type",
                                       [](const Arguments& arguments) -> Result<Value> {
                                         return Value(
                                             fmt::format("character varying({})",
                                                         text_argument(arguments, 0, "size")));
                                       })}},
      make_column);
}

}  // namespace tapeline::transform
