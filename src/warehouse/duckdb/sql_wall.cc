#include "warehouse/duckdb/sql_wall.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <utility>
#include <vector>

namespace tapeline::warehouse {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Where a comment that begins `sql` ends; DuckDB's nest.
std::size_t comment_size(std::string_view sql) {
  int depth = 0;
  for (std::size_t at = 0; at < sql.size();) {
    const auto two = sql.substr(at, 2);
    depth += two == "/*" ? 1 : two == "*/" ? -1 : 0;
    at += two == "/*" || two == "*/" ? 2 : 1;
    if (depth == 0) return at;
  }
  return sql.size();
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
      sql.remove_prefix(comment_size(sql));
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

// Scalar functions that reach out of the query: the environment, sequences, settings, the log,
// other SQL, time.
constexpr std::array<std::string_view, 16> kForbiddenFunctions = {
    "getenv",          "nextval",    "currval",     "write_log",    "getvariable",
    "current_setting", "query",      "query_table", "sleep_ms",     "sleep",
    "pg_sleep",        "set_config", "make_type",   "cast_to_type", "parse_duckdb_log_message",
    "in_search_path"};

// Families of them. Those of JSON that are not listed below run SQL, or end the process by a
// stack overflow on deep values, as casts to VARIANT do.
constexpr std::array<std::string_view, 7> kForbiddenPrefixes = {
    "pragma_", "duckdb_", "read_", "json_", "from_json", "variant_", "__internal"};
constexpr std::array<std::string_view, 15> kJsonFunctions = {
    "json_array",          "json_array_length", "json_exists",
    "json_extract",        "json_extract_path", "json_extract_path_text",
    "json_extract_string", "json_group_array",  "json_group_object",
    "json_keys",           "json_object",       "json_quote",
    "json_type",           "json_valid",        "json_value"};

// Functions that make a value as long as a number says, in one call that no time limit ends:
// their numbers are written out, and small.
constexpr std::array<std::string_view, 8> kLengthFunctions = {
    "repeat",      "lpad",         "rpad",  "bitstring",
    "list_resize", "array_resize", "range", "generate_series"};
constexpr double kLengthMax = 100'000;

// The same of those that fill in a text: it is written out, and so are its widths.
constexpr std::array<std::string_view, 2> kFormatFunctions = {"printf", "format"};
constexpr std::size_t kWidthDigitsMax = 3;

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

/// Whether a text for printf or format has a place, what stands between % and its letter or in
/// braces, that is as wide as an argument says, or wider than three digits can.
bool has_wide_place(std::string_view text, bool is_printf) {
  const char opens = is_printf ? '%' : '{';
  const char by_argument = is_printf ? '*' : '{';
  const auto closes = [&](char c) {
    return is_printf ? std::isalpha(static_cast<unsigned char>(c)) != 0 : c == '}';
  };
  for (auto at = text.find(opens); at < text.size(); at = text.find(opens, at)) {
    if (text.substr(++at).starts_with(opens)) {  // the character itself
      ++at;
      continue;
    }
    for (std::size_t digits = 0; at < text.size() && !closes(text[at]); ++at) {
      digits = std::isdigit(static_cast<unsigned char>(text[at])) != 0 ? digits + 1 : 0;
      if (digits > kWidthDigitsMax || text[at] == by_argument) return true;
    }
  }
  return false;
}

// What a statement may become once its CTEs stand where they are named: DuckDB plans it like that
// with NOT MATERIALIZED, which a parse does not show, and no time limit ends planning. Each name
// of a table counts, as often as the `*` that its columns go through.
constexpr double kScansMax = 1000;

/// Walks the whole parse. A CTE is visible where DuckDB sees it: in those after it and in what they
/// stand before; in its own query only behind the UNION of a recursive one. Elsewhere its name
/// means a table, which could be one of DuckDB's own.
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
    const text::Value* selected = node.find("select_list");
    const double outside = selected ? std::exchange(scans_, 0) : 0;
    for (const auto& [key, value] : node.as_object()) {
      if (key == "cte_map") continue;
      if (key == "right" && node.string_or("type", "") == "RECURSIVE_CTE_NODE") {
        ctes_.push_back({lower(node.string_or("cte_name", "")), 1});
      }
      TRY_STATUS(visit(value));
    }
    if (selected) scans_ = outside + std::max(scans_, 1.0) * std::max(stars(*selected), 1.0);
    if (scans_ > kScansMax) {
      return refused(
          fmt::format("a statement that reads more than {} tables, each as often as it "
                      "is named, is not allowed",
                      kScansMax));
    }
    ctes_.erase(ctes_.begin() + static_cast<std::ptrdiff_t>(visible), ctes_.end());
    return Ok{};
  }

 private:
  struct Cte {
    std::string name;
    double scans;
  };

  static double stars(const text::Value& select_list) {
    if (!select_list.is_list()) return 0;
    return static_cast<double>(std::ranges::count_if(select_list.as_list(), [](const auto& item) {
      return item.string_or("class", "") == "STAR";
    }));
  }

  /// A name that could be a file's ("x.csv") is refused as well, should the two scopes ever differ.
  Status declare_ctes(const text::Value& node) {
    const text::Value* map = node.find("cte_map");
    const text::Value* entries = map ? map->find("map") : nullptr;
    if (!entries || !entries->is_list()) return Ok{};
    for (const auto& entry : entries->as_list()) {
      std::string name = lower(entry.string_or("key", ""));
      if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
        return refused(fmt::format("'{}' is no plain name for a CTE", name));
      }
      const double outside = std::exchange(scans_, 0);
      TRY_STATUS(visit(entry));
      ctes_.push_back({std::move(name), std::exchange(scans_, outside)});
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
      const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
      if (listed(kForbiddenFunctions, name) ||
          (std::any_of(kForbiddenPrefixes.begin(), kForbiddenPrefixes.end(), begins) &&
           !listed(kJsonFunctions, name))) {
        return refused(fmt::format("function '{}' is not allowed", name));
      }
      if (listed(kLengthFunctions, name) && &node != table_function_) {
        TRY_STATUS(check_length(node, name));
      }
      if (listed(kFormatFunctions, name)) TRY_STATUS(check_format(node, name));
    }
    // A type by its id, or by a name that is looked up later.
    if (node.string_or("id", "") == "VARIANT" ||
        (type == "UNBOUND_TYPE_INFO" && lower(node.string_or("name", "")) == "variant")) {
      return refused("type VARIANT is not allowed");
    }
    return Ok{};
  }

  static Status check_length(const text::Value& function, const std::string& name) {
    const text::Value* arguments = function.find("children");
    if (!arguments || !arguments->is_list()) return Ok{};
    const auto& list = arguments->as_list();
    const bool all = name == "range" || name == "generate_series";
    for (std::size_t i = all ? 0 : 1; i < list.size() && (all || i < 2); ++i) {
      const text::Value* constant = list[i].find("value");
      const text::Value* number = constant ? constant->find("value") : nullptr;
      if (number && number->is_number() && std::abs(number->as_double()) <= kLengthMax) continue;
      return refused(fmt::format(
          "function '{}' needs its length written out, as a number up to {}{}", name, kLengthMax,
          all ? fmt::format(" (or write it after FROM: from {}(...))", name) : ""));
    }
    return Ok{};
  }

  static Status check_format(const text::Value& function, const std::string& name) {
    const text::Value* arguments = function.find("children");
    if (!arguments || !arguments->is_list() || arguments->as_list().empty()) return Ok{};
    const text::Value* constant = arguments->as_list()[0].find("value");
    const text::Value* text = constant ? constant->find("value") : nullptr;
    if (text && text->is_string() && !has_wide_place(text->as_string(), name == "printf")) {
      return Ok{};
    }
    return refused(
        fmt::format("function '{}' needs its text written out, with widths of up to {} digits",
                    name, kWidthDigitsMax));
  }

  Status check_table(const text::Value& node, const std::string& type) {
    if (type == "TABLE_FUNCTION") {
      const text::Value* function = node.find("function");
      const std::string name = lower(function ? function->string_or("function_name", "") : "");
      if (!listed(kTableFunctions, name)) {
        return refused(fmt::format("table function '{}' is not allowed", name));
      }
      table_function_ = function;
      return Ok{};
    }
    // DESCRIBE and SUMMARIZE hold the query that they describe; SHOW holds a name only.
    const text::Value* described = node.find("query");
    if (type == "SHOW_REF" && described && described->is_object()) return Ok{};
    if (!listed(kTableForms, type)) {
      return refused(type == "SHOW_REF"
                         ? "SHOW is not allowed; select from information_schema.tables"
                         : fmt::format("table form '{}' is not allowed", type));
    }
    if (type != "BASE_TABLE") return Ok{};
    const std::string schema = lower(node.string_or("schema_name", ""));
    const std::string table = lower(node.string_or("table_name", ""));
    const std::string database = lower(node.string_or("catalog_name", ""));
    if (!database.empty() && database != "stocks_fin") {
      return refused(fmt::format("database '{}' is not allowed", database));
    }
    const auto cte = std::find_if(ctes_.rbegin(), ctes_.rend(),
                                  [&](const Cte& its) { return its.name == table; });
    scans_ += schema.empty() && cte != ctes_.rend() ? cte->scans : 1;
    if (schema.empty()) {
      if (cte != ctes_.rend()) return Ok{};
      for (const std::string& known : catalog_) {
        if (known.substr(known.find('.') + 1) == table) return Ok{};
      }
    } else if (catalog_.contains(schema + "." + table) ||
               listed(kSystemTables, schema + "." + table)) {
      return Ok{};
    }
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("there is no table '{}'", schema.empty() ? table : schema + "." + table),
        "information_schema.tables lists those that are there; those of the models come with their "
        "first run."};
  }

  const Catalog& catalog_;
  std::vector<Cte> ctes_;
  double scans_ = 0;  // of what was walked so far, below the nearest SELECT around it
  const text::Value* table_function_ = nullptr;  // gives its rows one after another
};

}  // namespace

Result<UserSql> split_explain(std::string_view sql) {
  if (sql.find('\0') != std::string_view::npos) return refused("a zero byte is not allowed");
  std::string_view rest = skip_blank(sql);
  if (!skip_word(rest, "explain")) return UserSql{"", sql};
  if (skip_word(rest, "analyze")) return UserSql{"EXPLAIN ANALYZE ", rest};
  // EXPLAIN (FORMAT json) select …, but EXPLAIN (select …) has a query in its parentheses.
  const auto end = rest.find(')');
  if (rest.starts_with("(") && end != std::string_view::npos) {
    const std::string options = lower(rest.substr(1, end - 1));
    const bool plain =
        options.find_first_not_of("abcdefghijklmnopqrstuvwxyz, \t\r\n") == std::string::npos;
    std::string_view words = skip_blank(options);
    if (plain && (skip_word(words, "format") || skip_word(words, "analyze"))) {
      return UserSql{"EXPLAIN (" + options + ") ", rest.substr(end + 1)};
    }
  }
  return UserSql{"EXPLAIN ", rest};
}

Status check_user_parse(const text::Value& parse, const Catalog& catalog) {
  const text::Value* statements = parse.find("statements");
  if (!statements || !statements->is_list() || statements->as_list().size() != 1) {
    return refused("exactly one statement is allowed");
  }
  return Judge(catalog).visit(*statements);
}

}  // namespace tapeline::warehouse
