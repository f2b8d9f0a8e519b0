// Live: follows the topic itself, so that prices on the page do not wait for the DAG.
//
// A step reads what is new in the log, brings the LiveTable up to date, and publishes each
// changed symbol once. The log's records are the only input, so a restart that reads from
// the start of the trading day has the same state.

#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "msglog/message_log.h"
#include "serve/live_table.h"
#include "serve/sse.h"
#include "telemetry/metrics.h"

namespace tapeline::serve {

/// threads: `step` one at a time, everything else any
/// owns:    nothing; all that it is given outlives it
class Live {
 public:
  struct Options {
    std::string topic = "stock_prices";
    wire::DirectoryKind kind = wire::DirectoryKind::market;
    Timestamp since;  // records appended before are not read
  };

  Live(msglog::MessageLog& log, const Calendar& calendar, SseHub& hub, telemetry::Metrics& metrics,
       Options options);

  /// Takes its place in the topic, where there is one: position() is known then.
  /// errors: unavailable, corrupt (the log)
  Result<bool> find_topic();

  /// Reads one lot of new records and publishes what they change. True where there were any.
  /// errors: unavailable, corrupt (the log); a topic that does not exist yet is no error
  /// blocks: never
  Result<bool> step();

  void set_daily(const std::vector<DailyRow>& rows);

  /// {"quotes":[...]} of the named symbols, or of all; symbols that have no price are left out.
  std::string quotes_json(const std::set<std::string>& symbols) const;

  /// Every symbol that has a price, sorted.
  std::vector<std::string> symbols() const;

  /// Whether `since` is a place in this topic as it is: a topic that was restored, or that lost its
  /// end, keeps its id, and what a reader saw beyond the end is gone.
  bool knows(const StreamPosition& since) const;

  /// The newest value of each symbol that changed after `since`; of all where it is none or one
  /// that is not known.
  std::vector<QuoteEvent> events_since(const std::optional<StreamPosition>& since) const;

  StreamPosition position() const;
  std::optional<Timestamp> last_event_time() const;

 private:
  struct State {
    explicit State(const Calendar& calendar) : table(calendar) {}
    LiveTable table;
    StreamPosition position;
    std::vector<std::int64_t> ends;  // by partition, when the topic was found

    bool knows(const StreamPosition& since) const;
  };

  /// `after` is what a reader has seen when it has this event too: the event's id. Events must
  /// be made in the order of their sequence, so that none claims what comes later.
  QuoteEvent event(const State& state, const LiveSymbol& symbol, StreamPosition& after) const;

  msglog::MessageLog& log_;
  SseHub& hub_;
  telemetry::Counter& records_;
  telemetry::Counter& skipped_;
  const Options options_;
  wire::Decoder decoder_;
  Guarded<State> state_;
};

/// From when on a log is read to know the present trading day: midnight, New York, of the last
/// date up to now that has a session.
Timestamp live_since(const Calendar& calendar, Timestamp now);

}  // namespace tapeline::serve
