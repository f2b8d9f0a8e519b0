// Producer: carries what a feed gives to a topic of the message log.

#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/aside.h"
#include "base/clock.h"
#include "feeds/feed.h"
#include "ingest/bars_to_quotes.h"
#include "ingest/trades_to_quotes.h"
#include "msglog/message_log.h"
#include "telemetry/metrics.h"

namespace tapeline::ingest {

/// What a producer tells of itself: one field for each thing that can happen.
struct ProducerProbe {
  explicit ProducerProbe(telemetry::Metrics& metrics, std::string_view feed);

  telemetry::Counter& rows_received;
  telemetry::Counter& trades_dropped;
  telemetry::Counter& records_appended;
  telemetry::Counter& append_errors;
  telemetry::Counter& poll_errors;
  telemetry::Counter& gaps;
};

/// Polls a feed, makes quotes of its trades and bars, stamps received_at, encodes and appends.
///
/// promise:  at least once. A batch that the log refused is kept and offered again on the next
///           step; nothing new is polled until it is in (with an aside: the batch behind it is).
/// threads:  has none; call step() from one thread
/// lifetime: clock, feed, log and probe must outlive it
class Producer {
 public:
  using Encode = std::function<std::string(const Quote&)>;
  using OnGap = std::function<void(const feeds::Gap&)>;

  struct Options {
    std::string topic = "stock_prices";
    std::size_t rows_per_step = 5'000;
    bool history = false;  // mark every quote as history, as import does
    ConditionRule conditions = ConditionRule::plain;
    StampRange stamps = StampRange::file;  // live: the feed's own quotes are stamped too
    std::int64_t records_skipped = 0;      // so many of the first are in the log already
    Aside* aside = nullptr;                // appends, while the step polls what comes next
  };

  struct StepReport {
    std::int64_t rows = 0;     // polled
    std::int64_t records = 0;  // appended
    bool idle() const { return rows == 0 && records == 0; }
  };

  Producer(Clock& clock, const Calendar& calendar, feeds::Feed& feed, msglog::RecordSink& log,
           ProducerProbe& probe, Encode encode, Options options);

  /// Hears of each gap that the feed reports, before the records around it are appended, and of
  /// each time that the log took nothing of a live feed.
  void on_gap(OnGap on_gap) { on_gap_ = std::move(on_gap); }

  /// Takes up the state of the trading day after a restart; see TradesToQuotes::restore.
  void restore(const Quote& quote) { trades_.restore(quote); }

  /// One bounded piece of work: at most one poll and the appends of what it gave.
  ///
  /// errors: the feed's and the log's; the step may be called again in any case
  /// blocks: as the feed's poll and the log's append do
  Result<StepReport> step();

  /// Appends what was polled and is not in the log yet.
  /// errors: the log's
  Status flush();

  /// Whether everything that was polled is in the log.
  bool flushed() const { return appended_ == pending_.size() && next_.empty(); }

  /// What was polled and is not in the log, for who goes on with it.
  std::vector<msglog::Record> take_pending();

  /// The feed is at its end and everything it gave is in the log.
  bool finished() const { return feed_.finished() && flushed() && !failure_; }

  const TradeCounts& trade_counts() const { return trades_.counts(); }
  std::int64_t bars_on_closed_dates() const { return bars_.on_closed_dates(); }

 private:
  Result<StepReport> step_with_aside();
  Result<std::int64_t> poll(std::vector<msglog::Record>& into);
  Result<std::int64_t> append();
  Status stamp_quotes(std::vector<Quote>& quotes);
  void report(const feeds::Gap& gap);
  void note_refused();
  void note_taken();

  Clock& clock_;
  const Calendar& calendar_;
  feeds::Feed& feed_;
  msglog::RecordSink& log_;
  ProducerProbe& probe_;
  const Encode encode_;
  const Options options_;
  TradesToQuotes trades_;
  BarsToQuotes bars_;
  OnGap on_gap_;
  std::optional<feeds::Gap> refused_;    // the log takes nothing since
  std::vector<msglog::Record> pending_;  // polled; those from `appended_` on are not in the log
  std::size_t appended_ = 0;
  std::vector<msglog::Record> next_;  // polled meanwhile, behind those
  std::optional<Error> failure_;      // of a poll, told once what it followed is appended
  std::int64_t to_skip_;
};

}  // namespace tapeline::ingest
