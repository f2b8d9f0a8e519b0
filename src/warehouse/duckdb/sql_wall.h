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

/// The statement after a leading EXPLAIN or EXPLAIN ANALYZE and its options, comments before
/// it included; the text itself where there is none.
std::string_view without_explain(std::string_view sql);

/// Judges the parse that json_serialize_sql made of a SELECT.
/// errors: invalid_argument, naming the table, function or form that is not allowed
Status check_user_parse(const text::Value& parse, const Catalog& catalog);

}  // namespace tapeline::warehouse
