// LiveTable: what every symbol is worth now, made from the messages of the topic.
//
// Pure: messages go in, in the log's order; per symbol the live price, the day so far, the
// open minute and a sparkline come out. The live price is that of the message with the
// greatest event time, then offset, history messages standing back behind all others.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "market/calendar.h"
#include "market/quote.h"
#include "serve/json_writer.h"
#include "wire/message.h"

namespace tapeline::serve {

/// The minute of a symbol that is still being traded, from every message of it.
struct OpenMinute {
  Timestamp start;
  Price open, high, low, close;
  std::optional<std::int64_t> volume;  // the sum of the known
  std::int64_t quote_count = 0;
};

/// A row of the daily mart, for references and for symbols that have no message.
struct DailyRow {
  std::string symbol;
  Date date;
  std::optional<Price> open, high, low;
  Price close;
  std::optional<std::int64_t> volume;
};

struct LiveSymbol {
  std::string symbol;
  Price price;
  std::optional<Price> open, high, low, previous_close;
  std::optional<std::int64_t> volume;  // of the trading day so far; none if unknown
  Session session = Session::closed;
  Timestamp event_time;
  std::optional<Timestamp> received_at;
  std::string data_source;
  bool history = true;
  std::optional<OpenMinute> minute;

  Date day;                    // the New York date that the day so far is of
  std::uint64_t sequence = 0;  // grows with every change, over all symbols; 0: from the mart alone
  std::int32_t partition = 0;  // where the last change came from
  std::int64_t offset = -1;

  std::chrono::microseconds spark_step = std::chrono::minutes(1);
  std::vector<std::pair<Timestamp, Price>> spark;  // the last price of each step of the day
  std::set<Timestamp> minute_times;                // which messages the minute has counted
};

/// What a price is compared with.
struct Reference {
  std::string_view kind;  // "previous_close" or "daily_close"
  Price price;
};

/// threads: one at a time
class LiveTable {
 public:
  explicit LiveTable(const Calendar& calendar) : calendar_(calendar) {}

  /// Takes one message. The symbol, where anything that can be shown of it changed; else nullptr.
  /// A message that staging would call invalid changes nothing, nor does history of a day that the
  /// live price has not come to, nor one that repeats another of the open minute, unless it
  /// corrects the newest.
  const LiveSymbol* apply(const wire::QuoteView& message, std::int32_t partition,
                          std::int64_t offset);

  /// The newest daily rows of each symbol, in any order; replaces those of before.
  void set_daily(const std::vector<DailyRow>& rows);

  std::optional<Reference> reference(const LiveSymbol& symbol) const;

  const LiveSymbol* find(std::string_view symbol) const;

  /// The sequence of the last change so far.
  std::uint64_t sequence() const { return sequence_; }

  /// The symbols with a change after `sequence`, in the order of their last.
  std::vector<const LiveSymbol*> changed_since(std::uint64_t sequence) const;

  /// Every symbol, sorted by name; those that only the daily rows know come without sequence.
  void each(const std::function<void(const LiveSymbol&)>& visit) const;

  /// Writes QUOTE of the HTTP API, with or without `spark`.
  void write(const LiveSymbol& symbol, bool with_spark, JsonWriter& json) const;

  /// The event time of the newest message that is no history.
  std::optional<Timestamp> last_event_time() const { return last_event_time_; }

 private:
  void count(LiveSymbol& symbol, const wire::QuoteView& message);
  static void correct(LiveSymbol& symbol, const wire::QuoteView& message);
  void write_spark(const LiveSymbol& symbol, JsonWriter& json) const;
  LiveSymbol from_daily(const DailyRow& row) const;

  const Calendar& calendar_;
  std::map<std::string, LiveSymbol, std::less<>> symbols_;
  std::map<std::string, std::vector<DailyRow>, std::less<>> daily_;  // newest first
  std::optional<Timestamp> last_event_time_;
  std::uint64_t sequence_ = 0;
};

}  // namespace tapeline::serve
