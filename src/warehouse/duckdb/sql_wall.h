// The wall before a user's SQL: what a stranger may ask of the warehouse.
//
// Exactly one statement, a SELECT or the EXPLAIN of one, whose parse names only tables of
// the catalog, its own CTEs, and functions that read nothing but their arguments. A
// read-only transaction and DuckDB's own locked configuration stand behind it, but neither
// protects the database's own file: this wall is the one that counts (design §8).

#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/value.h"

namespace tapeline::warehouse {

/// Every table and view that a user may name, as "schema.table" in lower case.
using Catalog = std::set<std::string>;

/// A user's text in the two parts that are run one behind the other. Only `select` is the user's
/// and judged; `explain` is written by us, so that what was judged is what runs: a comment that
/// the two sides end at different places would hide a second statement.
struct UserSql {
  std::string explain;  // "", "EXPLAIN ", "EXPLAIN ANALYZE " or with a format
  std::string_view select;

  std::string text() const { return explain + std::string(select); }
};

/// Takes a leading EXPLAIN and its options off, comments before it included.
/// errors: invalid_argument (a zero byte: DuckDB's C interface would not see what follows it)
Result<UserSql> split_explain(std::string_view sql);

/// Judges the parse that json_serialize_sql made of a SELECT.
/// errors: invalid_argument, naming the table, function or form that is not allowed
Status check_user_parse(const text::Value& parse, const Catalog& catalog);

}  // namespace tapeline::warehouse
