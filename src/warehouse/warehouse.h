// The warehouse: tables and SQL.
//
// This header is the whole of what other rooms know about it. duckdb/ implements it
// on one file; snowflake/ will on its SQL API. It carries rows and SQL text, and
// knows nothing of quotes.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_text.h"

namespace tapeline::warehouse {

/// A decimal as the warehouse keeps it. Text, because 38 digits fit no plain number.
struct Decimal {
  std::string text;  // "189.120000", with the column's scale
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

/// One cell. Dates and instants have their own types; everything else that a
/// warehouse can hold (lists, structs, intervals) comes as its text.
using Value =
    std::variant<std::monostate, bool, std::int64_t, double, Decimal, std::string, Date, Timestamp>;

bool is_null(const Value& value);

/// A cell as people and CSV read it: null is "", instants are RFC 3339 with Z, booleans
/// true and false, doubles the shortest text that reads back the same.
std::string to_text(const Value& value);

/// A whole number; 0 for null and for what is none.
std::int64_t to_integer(const Value& value);

/// A column's kind, as far as another room may care.
enum class Kind : std::uint8_t { boolean, integer, real, decimal, text, date, timestamp, other };

struct Column {
  std::string name;
  std::string type;  // the warehouse's own name for it: DECIMAL(18,6)
  Kind kind = Kind::text;
};

struct Rows {
  std::vector<Column> columns;
  std::vector<std::vector<Value>> rows;
  std::int64_t changed = 0;  // rows that an insert, update or delete touched
};

/// A column for bulk appends, with an entry for each row at least. One of the vectors is filled,
/// by type. `valid` is empty (nothing is null) or has 1 for each row with a value, 0 for null.
struct ColumnData {
  std::variant<std::vector<std::int64_t>,      // integers; decimals as unscaled; timestamps as
                                               // microseconds; dates as days; enums as their index
               std::vector<double>,            //
               std::vector<std::string_view>>  // texts and blobs; must outlive the append
      values;
  std::vector<std::uint8_t> valid;
};

struct ColumnBatch {
  std::size_t rows = 0;
  std::vector<ColumnData> columns;  // in the table's order, all of them
};

/// What a query of a stranger may use up.
struct QueryLimits {
  std::int64_t rows_max = -1;  // more rows are not fetched; -1: no limit
  Duration time_max{0};        // 0: no limit; then the query is interrupted, timed_out. A user's
                               // query runs until its last row is taken
  std::stop_token stop;        // interrupts it too: cancelled
};

/// One session with the warehouse. A transaction is a connection's own.
///
/// threads: one at a time, but `interrupt` from any
class Connection {
 public:
  virtual ~Connection() = default;

  /// Runs one or more statements; the last one's rows are the answer.
  /// errors: invalid_argument (the SQL, or the rows it met), unavailable (conflict with
  ///         another transaction, disk), timed_out, cancelled (interrupted), corrupt
  virtual Result<Rows> query(std::string_view sql, QueryLimits limits = {}) = 0;

  /// As `query`, but gives each row to `on_row` as it comes; `on_columns` first.
  /// `on_row` answers false to end it.
  virtual Status stream(std::string_view sql, QueryLimits limits,
                        const std::function<void(const std::vector<Column>&)>& on_columns,
                        const std::function<bool(const std::vector<Value>&)>& on_row) = 0;

  /// Appends a batch to a table, as part of the open transaction. The schema "temp" holds the
  /// connection's own temporary tables.
  /// errors: as `query`; after one the transaction must be rolled back
  virtual Status append(std::string_view schema, std::string_view table,
                        const ColumnBatch& batch) = 0;

  /// Ends the running query, if there is one, with `cancelled`.
  virtual void interrupt() = 0;

  Status execute(std::string_view sql) {
    TRY_STATUS(query(sql));
    return Ok{};
  }
};

/// The rows of a query, made as they are taken: memory stays bounded, however many there are.
///
/// threads: one at a time
class Cursor {
 public:
  virtual ~Cursor() = default;

  virtual const std::vector<Column>& columns() const = 0;

  /// Reads the next row; false after the last.
  /// errors: as Connection::query
  virtual Result<bool> next(std::vector<Value>& row) = 0;
};

class Warehouse {
 public:
  virtual ~Warehouse() = default;

  /// "duckdb" or "snowflake": the dbt adapter whose SQL it speaks.
  virtual std::string_view dialect() const = 0;

  /// A session that may do anything.
  virtual Result<std::unique_ptr<Connection>> connect() = 0;

  /// How often it may have changed: grows with each statement, append and commit after which others
  /// may see something new, before its caller goes on.
  /// holds: what was read since `version` gave a number is as it was while it gives that number
  virtual std::uint64_t version() const = 0;

  /// The answer to one statement of a user: a SELECT or the EXPLAIN of one, over tables of the
  /// catalog only, in a read-only transaction of its own.
  /// errors: invalid_argument for everything else, the message naming what is not allowed
  virtual Status query_as_user(std::string_view sql, QueryLimits limits,
                               const std::function<void(const std::vector<Column>&)>& on_columns,
                               const std::function<bool(const std::vector<Value>&)>& on_row) = 0;

  /// As `query_as_user`, for as many rows as there may be. `stop` interrupts the query.
  virtual Result<std::unique_ptr<Cursor>> open_as_user(std::string_view sql,
                                                       std::stop_token stop) = 0;
};

/// Quotes a text for SQL: it's -> 'it''s'.
std::string sql_text(std::string_view text);

}  // namespace tapeline::warehouse
