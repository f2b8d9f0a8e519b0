// Server-sent events: what each reader of the live stream still has to get.
//
// A reader that keeps up gets every value at once. One that does not costs no memory: while
// a write is pending, only the newest value per symbol waits for it. SseQueue decides that for
// one reader and is pure; SseHub holds the readers and their sockets.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/wakeup.h"
#include "io/http_server.h"
#include "telemetry/metrics.h"

namespace tapeline::serve {

/// A place in the topic: its id and the next offset of each partition. The id of an event.
struct StreamPosition {
  std::string topic_id;
  std::vector<std::int64_t> next;  // by partition

  /// "<topic id>:<next of partition 0>[,<partition>=<next>...]"
  std::string text() const;

  /// None for what has not that form.
  static std::optional<StreamPosition> parse(std::string_view text);

  /// Whether the record at `offset` comes after this.
  bool is_before(std::int32_t partition, std::int64_t offset) const;

  /// All next offsets together: grows with each record.
  std::int64_t total() const;
};

/// One change of one symbol, written out once for all readers.
struct QuoteEvent {
  std::string symbol;
  std::uint64_t sequence = 0;  // of a later change it is higher
  std::int32_t partition = 0;  // of the record that made it
  std::int64_t offset = 0;
  std::shared_ptr<const std::string> text;  // the whole event, with its id and blank line
};

/// What one reader still has to get.
///
/// shape:   at most one value a symbol, kRunEventsMax run events, one status
/// threads: one at a time
class SseQueue {
 public:
  static constexpr std::size_t kRunEventsMax = 64;

  struct Options {
    std::set<std::string> symbols;             // empty: all
    Duration interval{0};                      // the least time between two lots of quotes
    std::optional<StreamPosition> since = {};  // what it has seen: nothing older is offered
  };
  explicit SseQueue(Options options) : options_(std::move(options)) {}

  /// Takes a symbol's newest value; an older one that waited is dropped, and so is one that is
  /// older than what waits. Answers how many values were dropped: 0 or 1.
  int offer(const QuoteEvent& event);

  /// Takes a run event; the oldest gives way to a gap event where too many wait.
  void offer_run(const std::shared_ptr<const std::string>& text);

  /// Takes the status; only the newest waits.
  void offer_status(std::shared_ptr<const std::string> text) { status_ = std::move(text); }

  /// Has the reader told that `missed` run events went by.
  void add_gap(std::int64_t missed) { runs_missed_ += missed; }

  /// Everything that is due at `now`, in the order in which it happened; empty if nothing is.
  std::string take(Duration now);

  /// When `take` will have something; none where nothing waits.
  std::optional<Duration> due() const;

 private:
  const Options options_;
  Duration quotes_from_{0};
  std::map<std::uint64_t, QuoteEvent> quotes_;  // by sequence
  std::map<std::string, std::uint64_t, std::less<>> waiting_;
  std::deque<std::shared_ptr<const std::string>> runs_;
  std::int64_t runs_missed_ = 0;
  std::shared_ptr<const std::string> status_;
};

/// "event: <name>\ndata: <json>\n\n", with an id where there is one. `json` has one line.
std::string sse_event(std::string_view name, std::string_view json, std::string_view id = {});

/// The readers of the stream.
///
/// threads: any
class SseHub {
 public:
  SseHub(Clock& clock, Wakeup& wakeup, telemetry::Metrics& metrics);

  /// What a reader gets before anything else.
  struct Beginning {
    std::vector<QuoteEvent> quotes;
    std::int64_t runs_missed = 0;
    std::string status;  // JSON; empty: none
  };

  /// Answers a request with a stream. `begin` is called when later events already reach the
  /// reader, so that none falls in between.
  void add(io::HttpReply reply, SseQueue::Options options, const std::function<Beginning()>& begin);

  void publish(const std::vector<QuoteEvent>& events);
  /// An event that no later one replaces: "run", or "feed_gap".
  void publish_event(std::string_view name, std::string_view json, std::int64_t position);
  void publish_status(std::string_view json);

  /// How many run events were published after the stream had reached `position`, as far as
  /// this process knows.
  std::int64_t runs_since(std::int64_t position) const;

  /// Sends what has become due, and heartbeats.
  void step();

  /// When `step` next has something to do.
  /// units: of Clock::uptime
  Duration next_step() const;

  std::size_t readers() const;

 private:
  struct Reader {
    explicit Reader(SseQueue::Options options) : queue(std::move(options)) {}
    SseQueue queue;
    io::HttpStream stream;
    bool writable = false;
  };
  struct State {
    std::map<std::uint64_t, std::unique_ptr<Reader>> readers;
    std::uint64_t next_reader = 1;
    std::deque<std::int64_t> runs;  // the positions at which run events were published
    Duration heartbeat_at{0};
  };

  void pump(Reader& reader, Duration now);
  static void write(Reader& reader, std::string text);
  void on_writable(std::uint64_t id);

  Clock& clock_;
  Wakeup& wakeup_;
  telemetry::Counter& coalesced_;
  telemetry::Counter& sent_;
  Guarded<State> state_;
};

}  // namespace tapeline::serve
