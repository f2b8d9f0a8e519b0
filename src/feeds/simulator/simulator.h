// Simulator: the simulated exchange. It needs no key, no network and no market hours.
//
// On calendar SIM every New York date is one session. First it sends history: daily bars of two
// years and, for the last five days, minute bars; then, from the New York midnight before its
// start, quotes one a minute; from the start on, live quotes. All of it lies on one path of
// prices (price_path.h), so minute bars add up to daily ones and one day's close leads into the
// next day's first price.
//
// When the next message of a symbol is due follows from seed, start and the one before alone, and
// its content from these two instants. So a restart goes on as if nothing had happened. Where
// more than a minute was missed, quotes come one a minute until it is caught up with; what lies
// more than five days back is a gap.

#pragma once

#include <map>
#include <vector>

#include "feeds/feed.h"
#include "feeds/simulator/faults.h"
#include "feeds/simulator/price_path.h"

namespace tapeline::feeds {

/// The ten symbols that the simulated exchange lists by default.
std::vector<Symbol> default_symbols();

/// lifetime: the clock must outlive it
/// threads:  one at a time
class Simulator final : public Feed {
 public:
  struct Options {
    std::uint64_t seed = 42;
    Timestamp start;  // of the very first run; the caller keeps it with the data
    std::vector<Symbol> symbols = default_symbols();
    double rate = 10;  // live quotes a second, over all symbols
    int daily_bars = 504;
    int minute_bar_days = 5;
    SimulatorFaults faults;
  };

  /// errors: invalid_argument: no symbol or one twice, a rate that is not above 0 or gives a
  ///         symbol more than a quote a microsecond, a probability outside 0 to 1
  static Result<Simulator> make(Clock& clock, Options options);

  /// Goes on after a restart: the greatest event time in the log, history included, by symbol. A
  /// symbol that is not named begins with its history.
  void resume(const std::map<Symbol, Timestamp>& last_event_times);

  std::string_view name() const override { return "simulator"; }
  std::string_view data_source() const override { return "simulator"; }
  FeedClass feed_class() const override { return FeedClass::simulated; }

  /// What is due by the clock, in the order of event times over all symbols.
  Result<FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return false; }

 private:
  enum class What : std::uint8_t { daily_bar, minute_bar, quote };

  struct Due {
    Timestamp at;
    What what = What::quote;
  };

  struct Listed {
    Symbol symbol;
    std::int64_t index = 0;
    PricePath prices;
    VolumePath volumes;
    std::uint64_t fault_key = 0;
    Timestamp last;  // the event time of the message that was made last
    // The day that is under way: high and low through every corner up to `seen_to`.
    Timestamp day_open;
    Timestamp seen_to;
    Extremes so_far{0, 0};
    int splits = 0;  // up to this day
    Price previous_close;
    Price open;
    std::optional<Quote> held;  // comes behind the next one
  };

  Simulator(Clock& clock, std::shared_ptr<const Calendar> calendar, Options options);

  SessionHours day_of(Timestamp at) const;
  Due next_after(const Listed& listed, Timestamp last, Timestamp now) const;
  Due next_bar_after(Timestamp last) const;
  Timestamp slot(const Listed& listed, std::int64_t number) const;
  Timestamp slot_after(const Listed& listed, Timestamp last) const;
  Quote make_quote(Listed& listed, Due due) const;
  void see_day(Listed& listed, const SessionHours& day, Timestamp to, std::int64_t stride) const;
  int splits_until(const Listed& listed, Timestamp at) const;
  bool strikes(std::uint64_t key, std::int64_t number, double probability) const;
  Timestamp heard_until(Timestamp now) const;
  bool halted(const Listed& listed, Timestamp at) const;
  Gap halt_before(const Listed& listed, Timestamp at) const;
  std::int64_t volume_between(const Listed& listed, Timestamp from, Timestamp to) const;
  void put(Listed& listed, Quote quote, FeedBatch& batch) const;
  void put_live(Listed& listed, Quote quote, FeedBatch& batch) const;

  Clock& clock_;
  std::shared_ptr<const Calendar> calendar_;
  Options options_;
  Timestamp history_begin_;
  Timestamp minutes_begin_;
  Timestamp history_end_;       // the New York midnight before the start
  std::int64_t period_ns_ = 0;  // between two live quotes of a symbol
  std::vector<Listed> listed_;
};

}  // namespace tapeline::feeds
