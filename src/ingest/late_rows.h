// LateRows: the rows of one load at or below their symbol's newest one. Some are late and new,
// some repeat a key: only these are looked up in raw_stocks.stock_prices.
//
// The first row of a key in the load is compared with raw by SQL, each further one with the one
// before. The same payload is a duplicate; another one supersedes what the key had.

#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ingest/raw_columns.h"
#include "msglog/message_log.h"
#include "warehouse/warehouse.h"
#include "wire/message.h"

namespace tapeline::ingest {

class LateRows {
 public:
  struct Settled {
    std::int64_t duplicate = 0;
    std::int64_t superseded = 0;
    std::int64_t looked_up = 0;  // keys
  };

  /// lifetime: what `row.symbol` looks into must live until settle()
  void add(const wire::QuoteView& row, Timestamp appended_at, msglog::Offset offset);

  /// Writes the rows that raw is to have, in the transaction that is open, in place of those that
  /// they supersede. All rows of the load that are not in here were appended before.
  ///
  /// buffer: empty, and empty again
  Result<Settled> settle(warehouse::Connection& connection, RawColumns& buffer,
                         std::int64_t load_id);

 private:
  struct Row {
    wire::QuoteView quote;
    Timestamp appended_at;
    msglog::Offset offset = 0;
  };

  struct Key {
    std::string_view symbol;
    Timestamp at;
    friend bool operator==(const Key&, const Key&) = default;
  };

  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::string_view>()(key.symbol) ^
             (static_cast<std::size_t>(key.at.time_since_epoch().count()) * 0x9e3779b97f4a7c15U);
    }
  };

  /// What is known of a key.
  struct State {
    const Row* first = nullptr;
    const Row* latest = nullptr;             // whose values the key has by now, if not raw's
    std::optional<std::int64_t> raw_row_id;  // where raw has the key already
    bool same_as_raw = false;                // the first row says what raw says
    bool replaces = false;
  };
  using States = std::unordered_map<Key, State, KeyHash>;

  static Key key_of(const Row& row) { return {row.quote.symbol, row.quote.event_time}; }

  Status look_up(warehouse::Connection& connection, RawColumns& buffer, States& states) const;
  Settled compare(States& states) const;
  Status write(warehouse::Connection& connection, RawColumns& buffer, const States& states,
               std::int64_t load_id) const;

  std::vector<Row> rows_;                       // in order of their offsets
  std::set<std::string, std::less<>> sources_;  // what their data_sources look into
};

}  // namespace tapeline::ingest
