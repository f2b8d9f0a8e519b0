// FinnhubFeed: live prices of US stocks, from Finnhub's REST and WebSocket.
//
// The stream brings trades. Calls of /quote bring the day so far after each connect, are compared
// with the stream, and stand in as quotes where the stream does not carry a symbol: it is over
// the vendor's limit, never trades there, is mute, or the stream is away. What came by neither is
// a gap. docs/finnhub.md says what becomes of each thing that the vendor is known to do wrong.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/rng.h"
#include "feeds/feed.h"
#include "feeds/finnhub/call_plan.h"
#include "feeds/finnhub/followed.h"
#include "feeds/finnhub/key_lock.h"
#include "feeds/finnhub/probe.h"
#include "feeds/finnhub/repeats.h"
#include "feeds/finnhub/silence.h"
#include "feeds/finnhub/stream_client.h"
#include "feeds/finnhub/subscriptions.h"
#include "io/file_system.h"
#include "io/https_client.h"
#include "market/calendar.h"

namespace tapeline::feeds::finnhub {

/// Which way a symbol's prices come.
enum class Path : std::uint8_t { stream, rest, over_limit, invalid, mute };

constexpr std::string_view to_string(Path path) {
  constexpr std::string_view kWords[] = {"stream", "rest", "over_limit", "invalid", "mute"};
  return kWords[static_cast<std::size_t>(path)];
}

/// How the feed is, for people.
struct FeedState {
  std::string state = "starting";  // live, connecting, reconnecting, rest, waiting, unauthorized
  std::string error;               // the newest one; empty while all is well
  std::optional<Timestamp> last_frame_at;
  std::optional<Timestamp> alive_at;  // until when, for sure, nothing is missing
  double backoff_seconds = 0;
  std::vector<std::pair<Symbol, Path>> symbols;
};

/// lifetime: clock, calendar, files and metrics must outlive it
/// threads:  poll one at a time; state any
class FinnhubFeed final : public Feed {
 public:
  struct Options {
    std::string key;
    io::Url rest_url;
    io::Url stream_url;
    std::string ca_file;
    std::string lock_folder;
    bool stream = true;
    CallPlan::Options calls;
    std::size_t symbols_max = 50;
    Duration time_max = std::chrono::seconds(10);  // of a call, of connecting; real time
    Duration silence_max = std::chrono::milliseconds(150'000);  // without any message
    Duration mute_min = std::chrono::seconds(60);  // the least silence that may be no quiet
    std::function<std::vector<Symbol>()> symbols;  // that are followed now; asked at each poll
    std::optional<Timestamp> alive_until;          // of the run before, where there was one
    std::vector<Gap> open_gaps;                    // that it left
    std::uint64_t seed = 0;
  };

  /// errors: those of the CA file
  static Result<std::unique_ptr<FinnhubFeed>> make(Clock& clock, const Calendar& calendar,
                                                   io::FileSystem& files,
                                                   telemetry::Metrics& metrics, Options options);

  /// Takes up what a run before knew: a quote of the newest session that it appended.
  void restore(const Quote& quote);

  std::string_view name() const override { return "finnhub"; }
  std::string_view data_source() const override { return "finnhub-ws"; }  // of its trades
  FeedClass feed_class() const override { return FeedClass::live; }
  Result<FeedBatch> poll(std::size_t rows_max) override;
  bool finished() const override { return false; }

  FeedState state() const { return state_.copy(); }

 private:
  FinnhubFeed(Clock& clock, const Calendar& calendar, io::FileSystem& files,
              telemetry::Metrics& metrics, Options options, io::HttpsClient calls);

  bool hold_key();
  void follow_symbols(FeedBatch& batch);
  void poll_calls(FeedBatch& batch, Duration wait);
  void take_answer(const Symbol& symbol, Result<io::HttpResponse> response, FeedBatch& batch);
  void take_quote(const Symbol& symbol, const DayQuote& quote, FeedBatch& batch);
  void judge_silence(const Symbol& symbol, Followed& its, FeedBatch& batch);
  std::optional<Duration> poll_stream(FeedBatch& batch, std::size_t rows_max);
  void take_event(StreamClient::Event event, FeedBatch& batch);
  void take_trades(Frame frame, FeedBatch& batch);
  void take_opened(FeedBatch& batch);
  void subscribe(const std::vector<std::string>& messages);
  void subscribe_to_followed(FeedBatch& batch);
  void watch_silence(Duration heard_until, FeedBatch& batch);
  void lose(const std::string& cause, const std::string& why);
  void open_gap(std::string cause);
  void report_gap(FeedBatch& batch);
  bool carried(const Symbol& symbol, const Followed& its) const;
  void publish();

  static constexpr auto kAhead = std::chrono::minutes(5);  // that a vendor's clock may be of ours

  Clock& clock_;
  const Calendar& calendar_;
  io::FileSystem& files_;
  const Options options_;
  Probe probe_;
  Rng rng_;
  io::HttpsClient calls_;
  CallPlan plan_;
  std::map<std::uint64_t, Symbol> asked_;
  std::uint64_t next_call_ = 1;
  std::unique_ptr<KeyLock> key_;
  Duration key_again_at_{0};
  std::unique_ptr<StreamClient> stream_;  // after the lock, before it goes
  Subscriptions subscriptions_;
  Repeats repeats_;
  std::vector<Symbol> symbols_;
  std::map<Symbol, Followed> followed_;

  TradeRate socket_rate_;
  int mute_patience_ = 1;  // grows with each connection that was mute, until a trade comes
  Session session_ = Session::closed;
  Duration last_frame_up_{0};
  std::optional<Timestamp> last_frame_at_;   // what came before it is complete
  std::optional<Timestamp> last_trade_at_;   // of the newest message with trades
  std::optional<Timestamp> last_answer_at_;  // of a call that went well
  std::optional<Duration> away_since_;       // of the stream
  std::optional<Gap> gap_;                   // of the whole feed
  std::optional<Timestamp> gap_reported_at_;
  std::optional<Timestamp> gap_heals_from_;  // it is open again since
  std::string error_;
  bool unauthorized_ = false;
  Guarded<FeedState> state_;
};

}  // namespace tapeline::feeds::finnhub
