#include "feeds/finnhub/finnhub_feed.h"

#include <fmt/format.h>

#include <algorithm>

#include "telemetry/logging.h"

namespace tapeline::feeds::finnhub {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using telemetry::Level;

constexpr Duration kWait = milliseconds(20);  // of one poll, of real time
constexpr Duration kKeyAgain = seconds(2);    // until the key's lock is tried again
constexpr Duration kHandover = seconds(3);    // after who did not close its connection
constexpr seconds kSettling(1);      // of subscriptions: what comes before may be incomplete
constexpr seconds kHealsWithout(5);  // a trade: nothing trades just now
constexpr minutes kGapGrows(1);      // how often an open gap is written down

}  // namespace

Result<std::unique_ptr<FinnhubFeed>> FinnhubFeed::make(Clock& clock, const Calendar& calendar,
                                                       io::FileSystem& files,
                                                       telemetry::Metrics& metrics,
                                                       Options options) {
  auto calls =
      TRY(io::HttpsClient::open({.time_max = options.time_max, .ca_file = options.ca_file}));
  return std::unique_ptr<FinnhubFeed>(
      new FinnhubFeed(clock, calendar, files, metrics, std::move(options), std::move(calls)));
}

FinnhubFeed::FinnhubFeed(Clock& clock, const Calendar& calendar, io::FileSystem& files,
                         telemetry::Metrics& metrics, Options options, io::HttpsClient calls)
    : clock_(clock),
      calendar_(calendar),
      files_(files),
      options_(std::move(options)),
      probe_(metrics),
      rng_(options_.seed),
      calls_(std::move(calls)),
      plan_(options_.calls, Rng(rng_.next())),
      subscriptions_(options_.symbols_max),
      socket_rate_(options_.mute_min),
      last_frame_at_(options_.alive_until) {
  for (const Gap& gap : options_.open_gaps) {
    if (!gap.symbol) {
      gap_ = gap;
    } else {
      followed_.try_emplace(*gap.symbol, options_.mute_min).first->second.mute = gap;
    }
  }
  if (!gap_ && options_.alive_until) open_gap("restart");
}

void FinnhubFeed::restore(const Quote& quote) {
  Followed& its = followed_.try_emplace(quote.symbol, options_.mute_min).first->second;
  auto& newest = quote.data_source == data_source() ? its.last_trade : its.stood_in;
  newest = std::max(newest.value_or(quote.event_time), quote.event_time);
  // Stamps are a quote's own below the second; answers know whole ones.
  if (its.stood_in) its.last_answer = its.stood_in = std::chrono::floor<seconds>(*its.stood_in);
}

bool FinnhubFeed::hold_key() {
  if (key_) return true;
  if (clock_.uptime() < key_again_at_) return false;
  key_again_at_ = clock_.uptime() + kKeyAgain;
  auto taken = KeyLock::take(files_, options_.lock_folder, options_.key);
  if (!taken) {
    error_ = taken.error().code == ErrorCode::already_exists
                 ? "another tapeline process uses this key"
                 : redacted(taken.error().message, options_.key);
    return false;
  }
  key_ = std::move(*taken);
  error_.clear();
  if (options_.stream) {
    stream_ = std::make_unique<StreamClient>(clock_,
                                             StreamClient::Options{.url = options_.stream_url,
                                                                   .key = options_.key,
                                                                   .ca_file = options_.ca_file,
                                                                   .time_max = options_.time_max},
                                             Rng(rng_.next()),
                                             key_->was_left_open() ? kHandover : Duration(0));
  }
  return true;
}

void FinnhubFeed::follow_symbols(FeedBatch& batch) {
  auto wanted = options_.symbols();
  if (wanted == symbols_) return;
  symbols_ = std::move(wanted);
  for (const Symbol& symbol : symbols_) followed_.try_emplace(symbol, options_.mute_min);
  plan_.follow(symbols_, clock_.uptime());
  if (stream_ && stream_->is_open()) subscribe_to_followed(batch);
}

/// Who is new on the stream knows nothing of the day before now.
void FinnhubFeed::subscribe_to_followed(FeedBatch& batch) {
  const Duration uptime = clock_.uptime();
  std::vector<Symbol> added = symbols_;
  std::erase_if(added, [&](const Symbol& symbol) { return subscriptions_.delivers(symbol); });
  subscribe(subscriptions_.follow(symbols_));
  for (const Symbol& symbol : added) {
    if (!subscriptions_.delivers(symbol)) continue;
    Followed& its = followed_.find(symbol)->second;
    its.wants_seed = true;
    its.asked_at = uptime;
    its.suspicion.reset();
    its.rate.restart(uptime);
    plan_.hurry(symbol, uptime);
    batch.joined.push_back({symbol, clock_.now()});
  }
}

Result<FeedBatch> FinnhubFeed::poll(std::size_t rows_max) {
  FeedBatch batch;
  if (!hold_key()) {
    publish();
    return batch;
  }
  follow_symbols(batch);
  const Session session = calendar_.session_at(clock_.now());
  if (session != session_) {  // pauses of one session say nothing of another
    session_ = session;
    socket_rate_.restart(clock_.uptime());
    for (auto& [symbol, its] : followed_) its.rate.restart(clock_.uptime());
  }
  const bool streams = stream_ && stream_->waiting() == Duration(0);
  poll_calls(batch, streams ? Duration(0) : kWait);
  if (stream_) {
    const auto heard_until = poll_stream(batch, rows_max);
    if (heard_until) watch_silence(*heard_until, batch);
  }
  report_gap(batch);
  publish();
  return batch;
}

/// Until when all that the stream brought was heard; none while more of it may lie unread.
std::optional<Duration> FinnhubFeed::poll_stream(FeedBatch& batch, std::size_t rows_max) {
  std::optional<Duration> heard_until;
  Duration wait = kWait;
  // Who is sent messages without end has other work too.
  for (std::size_t events = 0; !heard_until && events < rows_max && batch.trades.size() < rows_max;
       ++events) {
    // A machine that is busy may hold us up at any line: only what was asked for since is known.
    const Duration asked = clock_.uptime();
    auto event = stream_->next(wait);
    if (event) {
      take_event(std::move(*event), batch);
    } else {
      heard_until = asked;
    }
    wait = Duration(0);
  }
  if (batch.trades.empty()) return heard_until;
  // What came together of one millisecond is one quote, whatever lay between.
  std::ranges::stable_sort(batch.trades, {}, [](const Trade& trade) { return trade.event_time; });
  batch.settled = Timestamp::max();
  return heard_until;
}

void FinnhubFeed::take_event(StreamClient::Event event, FeedBatch& batch) {
  using Kind = StreamClient::Event::Kind;
  if (event.kind == Kind::lost) {
    lose(event.cause, event.why);
    return;
  }
  last_frame_up_ = clock_.uptime();
  if (event.kind == Kind::opened) {
    take_opened(batch);
    return;
  }
  Frame frame;
  frame.type = Frame::Type::ping;  // of the protocol: alive, too
  if (event.kind == Kind::message) frame = decode_frame(event.text);
  probe_.frame(frame.type).add();
  if (frame.type == Frame::Type::trade) {
    take_trades(std::move(frame), batch);
    return;
  }
  if (frame.type == Frame::Type::malformed) {
    // It may have held trades: what it was belongs to a hole.
    open_gap("malformed");
    if (!gap_heals_from_) gap_heals_from_ = clock_.now();
    return;
  }
  // Just before a message that holds no trades everything had come.
  last_frame_at_ = std::max(last_frame_at_.value_or(Timestamp{}), clock_.now() - kSettling);
  if (frame.type != Frame::Type::error) return;
  const auto refusal = subscriptions_.refused(frame.message);
  using Refusal = Subscriptions::Refusal;
  probe_
      .refused(refusal == Refusal::over_limit ? "over_limit"
               : refusal == Refusal::invalid  ? "invalid"
                                              : "other")
      .add();
  if (refusal == Refusal::over_limit) return;
  error_ = redacted("the stream says: " + words_of(frame.message), options_.key);
  telemetry::log(Level::warn, "stream refused", {{"error", error_}});
}

void FinnhubFeed::take_opened(FeedBatch& batch) {
  const Timestamp now = clock_.now();
  probe_.connects.add();
  away_since_.reset();
  error_.clear();
  socket_rate_.restart(clock_.uptime());
  subscriptions_.restart();
  subscribe_to_followed(batch);
  if (gap_) gap_heals_from_ = now + kSettling;
  telemetry::log(Level::info, "stream connected",
                 {{"symbols", fmt::format("{}", subscriptions_.delivered())}});
}

void FinnhubFeed::subscribe(const std::vector<std::string>& messages) {
  for (const std::string& message : messages) stream_->send(message);
  probe_.subscriptions.add(std::ssize(messages));
}

void FinnhubFeed::take_trades(Frame frame, FeedBatch& batch) {
  const Timestamp now = clock_.now();
  probe_.trades.add(std::ssize(frame.trades));
  probe_.unreadable.add(frame.unreadable);
  const auto ahead = std::erase_if(
      frame.trades, [&](const Trade& trade) { return trade.event_time > now + kAhead; });
  probe_.unreadable.add(static_cast<std::int64_t>(ahead));
  const auto strange = std::erase_if(frame.trades, [&](const Trade& trade) {
    return std::ranges::find(symbols_, trade.symbol) == symbols_.end();
  });
  probe_.not_followed.add(static_cast<std::int64_t>(strange));
  probe_.repeats.add(repeats_.drop_repeats(frame.trades));
  if (frame.trades.empty()) return;

  Timestamp newest = frame.trades.front().event_time;
  for (const Trade& trade : frame.trades) {
    Followed& its = followed_.find(trade.symbol)->second;
    newest = std::max(newest, trade.event_time);
    if (its.last_trade && trade.event_time < *its.last_trade) probe_.out_of_order.add();
    its.last_trade = std::max(its.last_trade.value_or(trade.event_time), trade.event_time);
    its.suspicion.reset();
    if (its.mute) its.rate.restart(clock_.uptime());  // the pause was no quiet: nothing to learn
    if (session_ == Session::regular) its.rate.trade(clock_.uptime());
    if (calendar_.session_at(trade.event_time) == Session::regular) its.remember(trade);
    if (its.mute) {
      its.mute->end = std::max(its.mute->begin, trade.event_time);
      its.mute->healed_at = now;
      batch.gaps.push_back(*its.mute);
      its.mute.reset();
    }
  }
  if (session_ == Session::regular) socket_rate_.trade(clock_.uptime());
  mute_patience_ = 1;
  last_frame_at_ = std::min(newest, now);
  last_trade_at_ = last_frame_at_;
  batch.trades.insert(batch.trades.end(), frame.trades.begin(), frame.trades.end());
  if (gap_ && gap_heals_from_) gap_->healed_at = now;
}

void FinnhubFeed::watch_silence(Duration heard_until, FeedBatch& batch) {
  if (stream_->is_open() && batch.trades.empty()) {
    const auto mute_after = socket_rate_.silence_max();
    if (heard_until - last_frame_up_ > options_.silence_max) {
      stream_->drop();
      lose("silent", "no message of any type");
    } else if (session_ == Session::regular && mute_after &&
               socket_rate_.silence(heard_until) > *mute_after * mute_patience_) {
      constexpr int kPatienceMax = 16;
      mute_patience_ = std::min(mute_patience_ * 2, kPatienceMax);
      probe_.mute_sockets.add();
      stream_->drop();
      lose("mute_socket", "messages, but no trades");
    }
  }
  if (!stream_->is_open() || session_ != Session::regular) return;
  for (auto& [symbol, its] : followed_) {
    if (its.suspicion && its.suspicion->answer) judge_silence(symbol, its, batch);
    if (its.suspicion || its.mute || !its.rate.silent_too_long(heard_until)) continue;
    if (!subscriptions_.delivers(symbol)) continue;
    its.suspicion.emplace();
    plan_.hurry(symbol, clock_.uptime());
  }
}

void FinnhubFeed::lose(const std::string& cause, const std::string& why) {
  probe_.reconnects(cause).add();
  if (!away_since_) away_since_ = clock_.uptime();
  unauthorized_ = cause == "unauthorized";
  error_ = fmt::format("the stream: {}: {}", cause, why);
  telemetry::log(Level::warn, "stream lost", {{"cause", cause}, {"error", why}});
  gap_heals_from_.reset();
  if (gap_) gap_->healed_at.reset();  // it was, for a moment
  open_gap(cause);
}

void FinnhubFeed::open_gap(std::string cause) {
  if (gap_) return;
  const Timestamp now = clock_.now();
  // In the session a ping proves little: a socket can go mute before it goes.
  const bool by_trade = session_ == Session::regular && last_trade_at_ &&
                        *last_trade_at_ >= newest_open(calendar_, now);
  const auto since = by_trade ? last_trade_at_ : last_frame_at_;
  gap_ = Gap{.feed = std::string(name()),
             .symbol = std::nullopt,
             .begin = std::min(since.value_or(now), now),
             .end = now,
             .cause = std::move(cause)};
  gap_reported_at_.reset();
}

void FinnhubFeed::report_gap(FeedBatch& batch) {
  const Timestamp now = clock_.now();
  if (!stream_) {
    // Without a stream the calls are the feed: three that are due and do not come are a hole.
    const bool answers = last_answer_at_ && now - *last_answer_at_ < 3 * options_.calls.interval;
    if (!last_frame_at_) last_frame_at_ = now;
    if (gap_ && answers) gap_->healed_at = *last_answer_at_;
    if (!gap_ && session_ == Session::regular && !answers &&
        now - *last_frame_at_ > 3 * options_.calls.interval) {
      open_gap("rest");
    }
    if (answers) last_frame_at_ = *last_answer_at_;
  }
  if (!gap_) return;
  if (gap_heals_from_ && now > *gap_heals_from_ + kHealsWithout) gap_->healed_at = now;
  gap_->end = std::max(gap_->begin, now);
  if (gap_->healed_at && gap_heals_from_) {
    gap_->end = std::max(gap_->end, *gap_heals_from_) + kSettling;
  }
  const bool due = !gap_reported_at_ || gap_->healed_at || now - *gap_reported_at_ > kGapGrows;
  if (due && any_trading(calendar_, gap_->begin, gap_->end)) {
    gap_reported_at_ = now;
    batch.gaps.push_back(*gap_);
  }
  if (!gap_->healed_at) return;
  gap_.reset();
  gap_heals_from_.reset();
}

void FinnhubFeed::publish() {
  FeedState state;
  const Duration backoff =
      std::max(plan_.waiting(clock_.uptime()), stream_ ? stream_->waiting() : Duration(0));
  const bool open = stream_ && stream_->is_open();
  state.state = !key_           ? "waiting"
                : unauthorized_ ? "unauthorized"
                : !stream_      ? "live"
                : open          ? "live"
                : away_since_   ? "reconnecting"
                                : "connecting";
  state.error = error_;
  state.last_frame_at = last_frame_at_;
  if (!gap_) state.alive_at = last_frame_at_;
  state.backoff_seconds = std::chrono::duration<double>(backoff).count();
  for (const Symbol& symbol : symbols_) {
    const auto found = followed_.find(symbol);
    if (state.error.empty()) state.error = found->second.error;
    const Path path = subscriptions_.is_invalid(symbol)  ? Path::invalid
                      : found->second.mute               ? Path::mute
                      : !open                            ? Path::rest
                      : !subscriptions_.delivers(symbol) ? Path::over_limit
                      : found->second.last_trade         ? Path::stream
                                                         : Path::rest;
    state.symbols.emplace_back(symbol, path);
  }
  probe_.connected.set(open ? 1 : 0);
  probe_.backoff.set(state.backoff_seconds);
  state_.with([&](FeedState& its) { its = std::move(state); });
}

}  // namespace tapeline::feeds::finnhub
