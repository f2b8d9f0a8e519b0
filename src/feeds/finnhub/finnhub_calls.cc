// FinnhubFeed's calls of /quote: sent when they are due, and what their answers are good for.

#include <fmt/format.h>

#include <algorithm>

#include "feeds/finnhub/finnhub_feed.h"
#include "telemetry/logging.h"

namespace tapeline::feeds::finnhub {
namespace {

using std::chrono::seconds;
using telemetry::Level;

constexpr Duration kRestTakesOver = std::chrono::minutes(2);  // with the stream away for so long
constexpr Duration kForbiddenPause = std::chrono::hours(1);
constexpr Duration kUnauthorizedPause = std::chrono::minutes(1);
constexpr std::size_t kCallsMax = 8;  // under way at a time: slow ones delay no other

std::string target_of(const io::Url& url, const Symbol& symbol) {
  return url.text() + "/quote?symbol=" + io::percent_encode(symbol.text());
}

}  // namespace

void FinnhubFeed::poll_calls(FeedBatch& batch, Duration wait) {
  while (calls_.under_way() < kCallsMax) {
    const auto symbol = plan_.next(clock_.uptime());
    if (!symbol) break;
    asked_.emplace(next_call_, *symbol);
    calls_.start(next_call_++,
                 {.url = target_of(options_.rest_url, *symbol),
                  .headers = {{"X-Finnhub-Token", options_.key}, {"Accept", "application/json"}}});
  }
  if (calls_.under_way() == 0) {
    if (wait > Duration(0)) clock_.wait_for(wait, {});
    return;
  }
  for (io::HttpsDone& done : calls_.step(wait)) {
    const auto asked = asked_.extract(done.id);
    take_answer(asked.mapped(), std::move(done.response), batch);
  }
}

void FinnhubFeed::take_answer(const Symbol& symbol, Result<io::HttpResponse> response,
                              FeedBatch& batch) {
  const Duration uptime = clock_.uptime();
  const Timestamp now = clock_.now();
  DecodedAnswer answer;
  if (response) {
    answer = decode_quote(*response);
  } else {
    answer.detail = response.error().message;
    answer.outcome = response.error().code == ErrorCode::timed_out ? Outcome::timeout
                     : response.error().code == ErrorCode::corrupt ? Outcome::bad_answer
                                                                   : Outcome::error;
  }
  if (std::ranges::find(symbols_, symbol) == symbols_.end()) return;  // no longer
  Followed& its = followed_.find(symbol)->second;
  if (answer.outcome == Outcome::ok && answer.quote.at > now + kAhead) {
    answer.outcome = Outcome::bad_answer;
    answer.detail = "the time t lies in the future";
  }
  if (answer.outcome == Outcome::ok) {
    if (answer.quote.at < newest_open(calendar_, now)) {
      answer.outcome = Outcome::stale;
    } else if (its.last_answer == answer.quote.at) {
      answer.outcome = Outcome::unchanged;
    }
  }
  probe_.call(answer.outcome).add();
  unauthorized_ = answer.outcome == Outcome::unauthorized;
  switch (answer.outcome) {
    case Outcome::ok:
    case Outcome::unchanged:
    case Outcome::zero:
    case Outcome::stale:
      plan_.succeeded(symbol, uptime);
      last_answer_at_ = now;
      its.error.clear();
      break;
    case Outcome::limited:
      plan_.limited(symbol, uptime, answer.retry_after);
      break;
    case Outcome::unauthorized:
      plan_.limited(symbol, uptime, kUnauthorizedPause);
      break;
    case Outcome::forbidden:
      plan_.put_off(symbol, uptime, kForbiddenPause);
      break;
    case Outcome::bad_answer:
    case Outcome::timeout:
    case Outcome::error:
      plan_.failed(symbol, uptime);
      break;
  }
  if (!answer.detail.empty()) {
    its.error =
        redacted(fmt::format("/quote of {}: {}", symbol.text(), answer.detail), options_.key);
    telemetry::log(Level::debug, "call failed",
                   {{"outcome", std::string(to_string(answer.outcome))}, {"error", its.error}});
  }
  if (answer.outcome == Outcome::ok || answer.outcome == Outcome::unchanged) {
    const bool is_new = answer.outcome == Outcome::ok;
    if (its.mute) {  // its gap grows
      its.mute->end = now;
      batch.gaps.push_back(*its.mute);
    }
    if (its.suspicion) its.suspicion->answer = answer.quote;
    if (its.wants_seed && answer.quote.at >= newest_open(calendar_, now)) {
      its.wants_seed = false;
      batch.seeds.push_back({.symbol = symbol,
                             .at = answer.quote.at,
                             .open = answer.quote.open,
                             .high = answer.quote.high,
                             .low = answer.quote.low,
                             .previous_close = answer.quote.previous_close});
    }
    if (is_new && its.compare(answer.quote) == Followed::Agreement::differs) {
      probe_.divergent_prices.add();
    }
    take_quote(symbol, answer.quote, batch);
    its.last_answer = answer.quote.at;
  }
}

void FinnhubFeed::take_quote(const Symbol& symbol, const DayQuote& quote, FeedBatch& batch) {
  Followed& its = followed_.find(symbol)->second;
  if (its.stood_in == quote.at || carried(symbol, its)) return;
  its.stood_in = quote.at;
  if (its.last_trade && quote.at <= std::chrono::floor<seconds>(*its.last_trade)) return;
  Quote& row = batch.quotes.emplace_back();
  row.symbol = symbol;
  row.price = quote.price;
  row.open = quote.open;
  row.high = quote.high;
  row.low = quote.low;
  row.previous_close = quote.previous_close;
  row.event_time = quote.at;
  row.data_source = "finnhub";
}

/// A symbol was silent for longer than its own trades explain, and /quote has said whether anything
/// traded; what the stream brought until then has been read.
void FinnhubFeed::judge_silence(const Symbol& symbol, Followed& its, FeedBatch& batch) {
  const DayQuote quote = *its.suspicion->answer;
  its.suspicion.reset();
  its.rate.restart(clock_.uptime());
  if (!its.last_trade || quote.at < *its.last_trade + options_.mute_min) return;
  probe_.mute_symbols.add();
  probe_.divergent_times.add();
  its.mute = Gap{.feed = std::string(name()),
                 .symbol = symbol,
                 .begin = *its.last_trade,
                 .end = clock_.now(),
                 .cause = "mute_symbol"};
  batch.gaps.push_back(*its.mute);
  subscribe(subscriptions_.renew(symbol));
  take_quote(symbol, quote, batch);
}

bool FinnhubFeed::carried(const Symbol& symbol, const Followed& its) const {
  if (!stream_ || its.mute) return false;
  if (away_since_ && clock_.uptime() - *away_since_ > kRestTakesOver) return false;
  const Date today = Calendar::new_york_date(clock_.now());
  if (its.last_trade && Calendar::new_york_date(*its.last_trade) == today) return true;
  // In the session its first trade may come at any moment: it is given a little time.
  return session_ == Session::regular && stream_->is_open() && subscriptions_.delivers(symbol) &&
         clock_.uptime() - its.asked_at < options_.mute_min;
}

}  // namespace tapeline::feeds::finnhub
