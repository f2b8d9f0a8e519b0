// Trades to quotes: a symbol's trades of one millisecond and one session, seen together, become
// one quote: the last price, the summed volume, the day so far.
//
// Without this the key (symbol, timestamp) would drop a fifth to half of real volume. Quotes from
// files are stamped from microsecond .500 of their millisecond, those of live feeds from .000, so
// that they never share a key; a stamp that was used gives the next microsecond. Bars stand above
// both (feeds/bar_stamp.h). What a file becomes depends on its rows alone, so that importing it
// again gives the same messages.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "feeds/feed.h"
#include "ingest/conditions.h"
#include "ingest/day_so_far.h"
#include "market/calendar.h"
#include "market/quote.h"

namespace tapeline::ingest {

/// Where in its millisecond a quote made of trades is stamped.
enum class StampRange : std::uint8_t { live, file };

/// What became of the trades, so far.
struct TradeCounts {
  std::int64_t trades = 0;
  std::int64_t suspicious = 0;  // dropped
  std::int64_t reports = 0;     // dropped: official open and close are no trades
  std::int64_t quotes = 0;
  std::int64_t shares_without_price = 0;  // of volume whose day has had no price yet
};

/// Makes quotes of trades.
///
/// threads:  one at a time
/// lifetime: the calendar must outlive it
class TradesToQuotes {
 public:
  struct Options {
    StampRange stamps = StampRange::file;
    ConditionRule conditions = ConditionRule::plain;
    std::string data_source = "replay";
    bool history = false;
  };

  TradesToQuotes(const Calendar& calendar, Options options);
  ~TradesToQuotes();
  TradesToQuotes(TradesToQuotes&&) noexcept;

  /// Takes the next trade; where it begins a new millisecond of its symbol, the one before is
  /// appended to `quotes`.
  ///
  /// errors: invalid_argument where one millisecond would need more quotes than it has stamps
  Status add(const Trade& trade, std::vector<Quote>& quotes);

  /// Appends what is still open and lies in milliseconds before `before`, symbol by symbol in
  /// their order. `Timestamp::max()` ends everything.
  ///
  /// errors: as add()
  Status settle(Timestamp before, std::vector<Quote>& quotes);

  /// Takes up the state after a restart: a quote of today that this converter made earlier, in
  /// the order of their event times.
  void restore(const Quote& quote);

  /// From an instant on all trades of a symbol come here. Where that is after its session's open
  /// and the day has no price yet, open, high and low stay unknown until seed() tells them.
  void join(const feeds::Joined& joined);

  /// Takes what a vendor says of the day so far: it fills what is unknown, and stretches high and
  /// low.
  void seed(const feeds::DaySeed& seed);

  /// Gives a quote that is no trade's the next stamp that is free in its millisecond, so that it
  /// meets none of those made here.
  /// errors: as add()
  Status stamp(Quote& quote);

  const TradeCounts& counts() const { return counts_; }

 private:
  static constexpr std::size_t kSessions = 4;
  struct Group;
  struct Day;
  struct SymbolState;

  SymbolState& state_of(const Symbol& symbol);
  Day& day_of(SymbolState& state, Timestamp at);
  Status close_group(SymbolState& state, std::vector<Quote>& quotes);
  Result<Timestamp> next_stamp(Day& day, const Symbol& symbol, Timestamp millisecond) const;

  const Calendar& calendar_;
  const Options options_;
  TradeCounts counts_;
  std::map<Symbol, std::unique_ptr<SymbolState>> symbols_;  // ordered: settle() relies on it
  SymbolState* newest_ = nullptr;                           // most rows repeat their symbol
};

}  // namespace tapeline::ingest
