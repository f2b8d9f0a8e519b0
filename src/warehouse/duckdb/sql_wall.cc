#include "warehouse/duckdb/sql_wall.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace tapeline::warehouse {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Steps over blanks and comments.
std::string_view skip_blank(std::string_view sql) {
  for (;;) {
    const auto start = sql.find_first_not_of(" \t\r\n\f\v");
    sql.remove_prefix(start == std::string_view::npos ? sql.size() : start);
    if (sql.starts_with("--")) {
      const auto end = sql.find('\n');
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end);
    } else if (sql.starts_with("/*")) {
      const auto end = sql.find("*/", 2);
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
    } else {
      return sql;
    }
  }
}

/// Steps over one keyword, if it is the next.
bool skip_word(std::string_view& sql, std::string_view word) {
  if (sql.size() < word.size() || lower(sql.substr(0, word.size())) != word) return false;
  const auto after = sql.substr(word.size());
  if (!after.empty() &&
      (std::isalnum(static_cast<unsigned char>(after.front())) || after.front() == '_')) {
    return false;
  }
  sql = skip_blank(after);
  return true;
}

// Table functions that read nothing but their arguments.
constexpr std::array<std::string_view, 4> kTableFunctions = {"range", "generate_series", "unnest",
                                                             "repeat_row"};

// Scalar functions that reach out of the query: the environment, sequences, settings, the
// log, other SQL, time.
constexpr std::array<std::string_view, 16> kForbiddenFunctions = {"getenv",
                                                                  "nextval",
                                                                  "currval",
                                                                  "write_log",
                                                                  "getvariable",
                                                                  "current_setting",
                                                                  "query",
                                                                  "query_table",
                                                                  "json_execute_serialized_sql",
                                                                  "sleep_ms",
                                                                  "sleep",
                                                                  "set_config",
                                                                  "parse_duckdb_log_message",
                                                                  "in_search_path",
                                                                  "json_deserialize_sql",
                                                                  "json_serialize_plan"};

// Views of DuckDB's own that hold nothing secret.
constexpr std::array<std::string_view, 3> kSystemTables = {
    "information_schema.tables", "information_schema.columns", "information_schema.schemata"};

// How a parse may name rows. What is not here (a table given as a parameter, SHOW, forms of
// versions to come) is refused.
constexpr std::array<std::string_view, 6> kTableForms = {"BASE_TABLE",      "SUBQUERY", "JOIN",
                                                         "EXPRESSION_LIST", "EMPTY",    "PIVOT"};

Error refused(std::string what) {
  return Error{ErrorCode::invalid_argument, std::move(what),
               "User SQL reads the warehouse's own tables: one SELECT, or EXPLAIN of one."};
}

template <typename Names>
bool listed(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Walks the whole parse. Names of CTEs are visible below the node that declares them.
class Judge {
 public:
  explicit Judge(const Catalog& catalog) : catalog_(catalog) {}

  Status visit(const text::Value& node) {
    if (node.is_list()) {
      for (const auto& item : node.as_list()) TRY_STATUS(visit(item));
      return Ok{};
    }
    if (!node.is_object()) return Ok{};
    const std::size_t visible = ctes_.size();
    TRY_STATUS(declare_ctes(node));
    TRY_STATUS(check(node));
    for (const auto& [key, value] : node.as_object()) TRY_STATUS(visit(value));
    ctes_.resize(visible);
    return Ok{};
  }

 private:
  // A CTE's name is visible in its own query here, though there it means a table outside. A name
  // that could be a file's ("x.csv") would thus pass unseen, so it has to be a plain word.
  Status declare_ctes(const text::Value& node) {
    const text::Value* map = node.find("cte_map");
    const text::Value* entries = map ? map->find("map") : nullptr;
    if (!entries || !entries->is_list()) return Ok{};
    for (const auto& entry : entries->as_list()) {
      std::string name = lower(entry.string_or("key", ""));
      if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
        return refused(fmt::format("'{}' is no plain name for a CTE", name));
      }
      ctes_.push_back(std::move(name));
    }
    return Ok{};
  }

  Status check(const text::Value& node) {
    // Tables and expressions both have a "type"; a table is told by its sample member (which
    // a whole SELECT has too), an expression by its class.
    const std::string type = node.string_or("type", "");
    const std::string expression_class = node.string_or("class", "");
    if (node.find("sample") && !node.find("select_list")) return check_table(node, type);
    if (expression_class == "FUNCTION" || expression_class == "WINDOW") {
      const std::string name = lower(node.string_or("function_name", ""));
      if (listed(kForbiddenFunctions, name) || name.starts_with("pragma_") ||
          name.starts_with("duckdb_") || name.starts_with("read_")) {
        return refused(fmt::format("function '{}' is not allowed", name));
      }
    }
    return Ok{};
  }

  Status check_table(const text::Value& node, const std::string& type) {
    if (type == "TABLE_FUNCTION") {
      const text::Value* function = node.find("function");
      const std::string name = lower(function ? function->string_or("function_name", "") : "");
      if (!listed(kTableFunctions, name)) {
        return refused(fmt::format("table function '{}' is not allowed", name));
      }
      return Ok{};
    }
    // DESCRIBE and SUMMARIZE hold the query that they describe; SHOW holds a name only.
    const text::Value* described = node.find("query");
    if (type == "SHOW_REF" && described && described->is_object()) return Ok{};
    if (!listed(kTableForms, type)) {
      return refused(fmt::format("table form '{}' is not allowed", type));
    }
    if (type != "BASE_TABLE") return Ok{};
    const std::string schema = lower(node.string_or("schema_name", ""));
    const std::string table = lower(node.string_or("table_name", ""));
    const std::string database = lower(node.string_or("catalog_name", ""));
    if (!database.empty() && database != "stocks_fin") {
      return refused(fmt::format("database '{}' is not allowed", database));
    }
    if (schema.empty()) {
      if (listed(ctes_, table)) return Ok{};
      for (const std::string& known : catalog_) {
        if (known.substr(known.find('.') + 1) == table) return Ok{};
      }
    } else if (catalog_.contains(schema + "." + table) ||
               listed(kSystemTables, schema + "." + table)) {
      return Ok{};
    }
    return refused(
        fmt::format("there is no table '{}'", schema.empty() ? table : schema + "." + table));
  }

  const Catalog& catalog_;
  std::vector<std::string> ctes_;
};

}  // namespace

std::string_view without_explain(std::string_view sql) {
  std::string_view rest = skip_blank(sql);
  if (!skip_word(rest, "explain")) return sql;
  skip_word(rest, "analyze");
  if (rest.starts_with("(")) {
    const std::string_view inside = skip_blank(rest.substr(1));
    // EXPLAIN (FORMAT json) select …, but EXPLAIN (select …) has a query in its parentheses.
    const std::string word = lower(inside.substr(0, 7));
    if (word.starts_with("format") || word == "analyze") {
      const auto end = rest.find(')');
      rest = skip_blank(rest.substr(end == std::string_view::npos ? rest.size() : end + 1));
    }
  }
  return rest;
}

Status check_user_parse(const text::Value& parse, const Catalog& catalog) {
  const text::Value* statements = parse.find("statements");
  if (!statements || !statements->is_list() || statements->as_list().size() != 1) {
    return refused("exactly one statement is allowed");
  }
  return Judge(catalog).visit(*statements);
}

}  // namespace tapeline::warehouse
