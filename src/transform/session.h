// Session: one invocation's use of the warehouse: its transaction, and which relations there are.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "transform/relation.h"
#include "warehouse/warehouse.h"

namespace tapeline::transform {

/// owns: nothing; the connection must outlive it
class Session {
 public:
  explicit Session(warehouse::Connection& connection, std::stop_token stop = {})
      : connection_(connection), stop_(std::move(stop)) {}

  /// Ended where `stop` is requested, however long the statement would take.
  /// errors: as Connection::query; the error is kept until `take_error`
  Result<warehouse::Rows> query(const std::string& sql);

  Status begin_if_closed();
  /// Does nothing where no transaction is open.
  Status commit();
  /// Ends an open transaction without keeping what it did.
  void rollback();

  /// What the warehouse last refused, in its own words; forgotten by asking.
  std::optional<Error> take_error();

  bool knows_schema(const RelationName& schema) const;
  void learn_schema(const RelationName& schema, std::vector<RelationName> relations);
  std::optional<RelationName> find(const RelationName& name) const;
  std::vector<RelationName> relations_in(const RelationName& schema) const;
  void add(const RelationName& name);
  void drop(const RelationName& name);
  void rename(const RelationName& from, const RelationName& to);

 private:
  warehouse::Connection& connection_;
  const std::stop_token stop_;
  bool transaction_open_ = false;
  std::optional<Error> error_;
  // By lower-case database.schema, then by lower-case identifier.
  std::map<std::string, std::map<std::string, RelationName>> schemas_;
};

/// A text in lower case (ASCII).
std::string lower_case(std::string text);

}  // namespace tapeline::transform
