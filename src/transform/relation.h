// Relations and columns as templates handle them: api.Relation and api.Column.

#pragma once

#include <optional>
#include <string>

#include "jinja/value.h"

namespace tapeline::transform {

/// A table or view by its three names.
struct RelationName {
  std::optional<std::string> database;
  std::optional<std::string> schema;
  std::optional<std::string> identifier;
  std::string type;  // table, view, cte; empty where unknown
  bool include_database = true;
  bool include_schema = true;
  bool include_identifier = true;
  bool quote_database = true;
  bool quote_schema = true;
  bool quote_identifier = true;
  bool metadata = false;  // read from the warehouse's own lists

  /// As SQL: "db"."main"."a".
  std::string render() const;
};

jinja::Value relation_value(RelationName name);

/// nullptr where the value is no relation.
const RelationName* relation_of(const jinja::Value& value);

/// The class `api.Relation`: create().
jinja::Value relation_class();

/// A column of a relation.
struct ColumnInfo {
  std::string name;
  std::string type;
  std::optional<std::int64_t> char_size;
  std::optional<std::int64_t> numeric_precision;
  std::optional<std::int64_t> numeric_scale;
};

jinja::Value column_value(ColumnInfo column);

/// The class `api.Column`: the constructor, create, translate_type, numeric_type, string_type.
jinja::Value column_class();

}  // namespace tapeline::transform
