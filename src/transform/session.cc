#include "transform/session.h"

#include <algorithm>

namespace tapeline::transform {
namespace {

std::string schema_key(const RelationName& name) {
  return lower_case(name.database.value_or("") + "." + name.schema.value_or(""));
}

}  // namespace

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Result<warehouse::Rows> Session::query(const std::string& sql) {
  auto rows = connection_.query(sql, {.stop = stop_});
  if (!rows) error_ = rows.error();
  return rows;
}

Status Session::begin_if_closed() {
  if (transaction_open_) return Ok{};
  TRY_STATUS(query("BEGIN"));
  transaction_open_ = true;
  return Ok{};
}

Status Session::commit() {
  if (!transaction_open_) return Ok{};
  transaction_open_ = false;
  // Not ended by a stop: whether it took effect would not be known.
  return connection_.execute("COMMIT");
}

void Session::rollback() {
  if (!transaction_open_) return;
  transaction_open_ = false;
  // A failed rollback leaves nothing to do: the transaction is gone either way.
  static_cast<void>(connection_.query("ROLLBACK"));
}

std::optional<Error> Session::take_error() {
  auto error = std::move(error_);
  error_.reset();
  return error;
}

bool Session::knows_schema(const RelationName& schema) const {
  return schemas_.contains(schema_key(schema));
}

void Session::learn_schema(const RelationName& schema, std::vector<RelationName> relations) {
  auto& known = schemas_[schema_key(schema)];
  for (auto& relation : relations)
    known.insert_or_assign(lower_case(relation.identifier.value_or("")), std::move(relation));
}

std::optional<RelationName> Session::find(const RelationName& name) const {
  const auto schema = schemas_.find(schema_key(name));
  if (schema == schemas_.end()) return std::nullopt;
  const auto found = schema->second.find(lower_case(name.identifier.value_or("")));
  if (found == schema->second.end()) return std::nullopt;
  return found->second;
}

std::vector<RelationName> Session::relations_in(const RelationName& schema) const {
  std::vector<RelationName> relations;
  if (const auto found = schemas_.find(schema_key(schema)); found != schemas_.end())
    for (const auto& [key, relation] : found->second) relations.push_back(relation);
  return relations;
}

void Session::add(const RelationName& name) {
  schemas_[schema_key(name)].insert_or_assign(lower_case(name.identifier.value_or("")), name);
}

void Session::drop(const RelationName& name) {
  if (const auto schema = schemas_.find(schema_key(name)); schema != schemas_.end())
    schema->second.erase(lower_case(name.identifier.value_or("")));
}

void Session::rename(const RelationName& from, const RelationName& to) {
  drop(from);
  add(to);
}

}  // namespace tapeline::transform
