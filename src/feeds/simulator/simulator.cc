#include "feeds/simulator/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <queue>
#include <set>

#include "base/rng.h"
#include "feeds/bar_stamp.h"

namespace tapeline::feeds {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::uint64_t kFaultSalt = 4;
constexpr std::uint64_t kStallSalt = 5;
constexpr std::uint64_t kHaltSalt = 6;
constexpr std::uint64_t kSplitSalt = 7;
constexpr int kSplitsMax = 20;
constexpr minutes kCatchUpMax(1);    // missed no more than this: every live quote comes late
constexpr hours kFilledMax(5 * 24);  // missed more than this: a gap
// Of a day that has no minute bars every 512th corner (17 minutes) stands for its high and low.
constexpr std::int64_t kCoarseStride = 512;

Status check(const Simulator::Options& options) {
  const auto refuse = [](std::string message, std::string hint = "") {
    return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
  };
  if (options.symbols.empty())
    return refuse("the simulated exchange has no symbols", "Name some: --symbols AAPL,MSFT.");
  std::set<Symbol> seen;
  for (const Symbol& symbol : options.symbols)
    if (!seen.insert(symbol).second)
      return refuse(fmt::format("symbol '{}' is named twice", symbol.text()));
  const double rate_max = 1e6 * static_cast<double>(options.symbols.size());
  if (!(options.rate >= 1e-3 && options.rate <= rate_max))
    return refuse(fmt::format("a rate of {} quotes a second is out of range", options.rate),
                  fmt::format("With these symbols it can be from 0.001 to {}.", rate_max));
  TRY_STATUS(check_faults(options.faults));
  if (options.daily_bars < 0 || options.daily_bars > 5000 || options.minute_bar_days < 0 ||
      options.minute_bar_days > options.daily_bars)
    return refuse("the simulated history has more than 5000 days, or more minute days than days");
  return Ok{};
}

/// A price of the path, once each share has become 2^splits.
Price after_splits(double log, int splits) {
  return PricePath::to_price(log - splits * std::numbers::ln2);
}

}  // namespace

std::vector<Symbol> default_symbols() {
  std::vector<Symbol> symbols;
  for (const auto* text :
       {"AAPL", "GOOGL", "MSFT", "AMZN", "TSLA", "NVDA", "META", "NFLX", "UBER", "COIN"})
    symbols.push_back(*Symbol::parse(text));
  return symbols;
}

Result<Simulator> Simulator::make(Clock& clock, Options options) {
  TRY_STATUS(check(options));
  auto calendar = TRY(make_calendar("SIM"));
  return Simulator(clock, std::move(calendar), std::move(options));
}

Simulator::Simulator(Clock& clock, std::shared_ptr<const Calendar> calendar, Options options)
    : clock_(clock), calendar_(std::move(calendar)), options_(std::move(options)) {
  const Date today = Calendar::new_york_date(options_.start);
  const auto midnight = [&](int days_ago) {
    return calendar_->hours(today - days(days_ago))->open;
  };
  history_begin_ = midnight(options_.daily_bars);
  minutes_begin_ = midnight(options_.minute_bar_days);
  history_end_ = midnight(0);
  const auto count = static_cast<double>(options_.symbols.size());
  period_ns_ = static_cast<std::int64_t>(1e9 * count / options_.rate);
  for (const Symbol& symbol : options_.symbols)
    listed_.push_back({.symbol = symbol,
                       .index = std::ssize(listed_),
                       .prices = PricePath(options_.seed, symbol, history_end_),
                       .volumes = VolumePath(options_.seed, symbol),
                       .fault_key = hash_of(options_.seed, symbol, kFaultSalt),
                       .last = history_begin_ - microseconds(1)});
}

void Simulator::resume(const std::map<Symbol, Timestamp>& last_event_times) {
  for (Listed& listed : listed_)
    if (const auto found = last_event_times.find(listed.symbol); found != last_event_times.end())
      listed.last = std::max(listed.last, found->second);
}

SessionHours Simulator::day_of(Timestamp at) const {
  return *calendar_->hours(Calendar::new_york_date(at));
}

/// The first bar of history that is stamped after `last`, which lies before the history's end.
Simulator::Due Simulator::next_bar_after(Timestamp last) const {
  SessionHours day = day_of(std::max(last, history_begin_));
  const auto day_stamp = [&] { return bar_stamp(*calendar_, day.open, BarLength::d1); };
  if (last >= day_stamp()) day = day_of(day.close);
  if (day.open < minutes_begin_) return {day_stamp(), What::daily_bar};
  Timestamp start = day.open;
  if (last > start) start = floor<minutes>(last);
  for (; start < day.close; start += minutes(1)) {
    const Timestamp stamp = bar_stamp(*calendar_, start, BarLength::m1);
    if (stamp > last) return {stamp, What::minute_bar};
  }
  return {day_stamp(), What::daily_bar};
}

/// When live quote `number` of a symbol is due. The last one of a day comes in the day's last
/// millisecond, so that its price is the one that tomorrow calls the previous close.
Timestamp Simulator::slot(const Listed& listed, std::int64_t number) const {
  const auto grid = [&](std::int64_t n) {
    const std::int64_t stagger = period_ns_ / std::ssize(listed_) * listed.index;
    const microseconds after((n * period_ns_ + stagger) / 1000);
    const Timestamp at = options_.start + after;
    return period_ns_ >= 1'000'000 ? Timestamp(floor<milliseconds>(at)) : at;
  };
  const Timestamp at = grid(number);
  const Timestamp close = day_of(at).close;
  return grid(number + 1) >= close ? std::max(at, close - milliseconds(1)) : at;
}

Timestamp Simulator::slot_after(const Listed& listed, Timestamp last) const {
  const auto passed = std::max(last - options_.start, microseconds(0));
  std::int64_t number = std::max<std::int64_t>(0, passed.count() * 1000 / period_ns_ - 2);
  while (slot(listed, number) <= last) ++number;
  return slot(listed, number);
}

Simulator::Due Simulator::next_after(const Listed& listed, Timestamp last, Timestamp now) const {
  if (last < history_end_ - microseconds(1)) return next_bar_after(last);
  const Timestamp minute_end =
      floor<minutes>(last + milliseconds(1)) + minutes(1) - milliseconds(1);
  const bool before_start = minute_end < options_.start;
  const bool behind = now - std::max(last, options_.start) > kCatchUpMax;
  if (before_start || behind) return {minute_end, What::quote};
  return {slot_after(listed, last), What::quote};
}

std::int64_t Simulator::volume_between(const Listed& listed, Timestamp from, Timestamp to) const {
  SessionHours day = day_of(from);
  std::int64_t volume = -listed.volumes.since_open(day, from);
  for (; day.close <= to; day = day_of(day.close)) volume += listed.volumes.of_day(day);
  return volume + listed.volumes.since_open(day, to);
}

/// Whether a fault strikes the stretch of time, or the midnight, of this number.
bool Simulator::strikes(std::uint64_t key, std::int64_t number, double probability) const {
  if (probability <= 0) return false;
  return Rng(mix64(key ^ mix64(static_cast<std::uint64_t>(number)))).uniform() < probability;
}

/// What was sent up to this instant has come. Within a stall that is the stall's begin.
Timestamp Simulator::heard_until(Timestamp now) const {
  const auto stretch = floor<milliseconds>(now).time_since_epoch() / milliseconds(kStallLength);
  const Timestamp begin = Timestamp(stretch * kStallLength);
  const bool stalled =
      begin > options_.start && strikes(options_.seed ^ kStallSalt, stretch, options_.faults.stall);
  return stalled ? begin - microseconds(1) : now;
}

bool Simulator::halted(const Listed& listed, Timestamp at) const {
  const auto stretch = floor<minutes>(at).time_since_epoch() / kHaltLength;
  return Timestamp(stretch * kHaltLength) > options_.start &&
         strikes(listed.fault_key ^ kHaltSalt, stretch, options_.faults.halt);
}

/// The halt that ends at or after `at`, which lies in it.
Gap Simulator::halt_before(const Listed& listed, Timestamp at) const {
  const auto stretch = floor<minutes>(at).time_since_epoch() / kHaltLength;
  Gap gap{std::string(name()), listed.symbol, Timestamp(stretch * kHaltLength),
          Timestamp((stretch + 1) * kHaltLength), "trading halt"};
  while (halted(listed, gap.begin - kHaltLength)) gap.begin -= kHaltLength;
  return gap;
}

int Simulator::splits_until(const Listed& listed, Timestamp at) const {
  int splits = 0;
  if (options_.faults.split <= 0) return splits;
  const Date last = Calendar::new_york_date(at);
  const Date first = Calendar::new_york_date(history_end_) + days(1);
  for (Date date = first; date <= last && splits < kSplitsMax; date += days(1))
    splits += strikes(listed.fault_key ^ kSplitSalt, date.time_since_epoch().count(),
                      options_.faults.split);
  return splits;
}

/// Follows the day's path up to `to`.
void Simulator::see_day(Listed& listed, const SessionHours& day, Timestamp to,
                        std::int64_t stride) const {
  if (listed.day_open != day.open) {
    const Timestamp yesterday = day.open - milliseconds(1);
    listed.previous_close =
        after_splits(listed.prices.log_of(yesterday), splits_until(listed, yesterday));
    listed.splits = splits_until(listed, day.open);
    const double first = listed.prices.log_of(day.open);
    listed.open = after_splits(first, listed.splits);
    listed.day_open = listed.seen_to = day.open;
    listed.so_far = {first, first};
  }
  const auto more = listed.prices.extremes(listed.seen_to, to, stride);
  listed.seen_to = to;
  listed.so_far.high = std::max(listed.so_far.high, more.high);
  listed.so_far.low = std::min(listed.so_far.low, more.low);
}

Quote Simulator::make_quote(Listed& listed, Due due) const {
  const SessionHours day = day_of(due.at);
  Quote quote;
  quote.symbol = listed.symbol;
  quote.event_time = due.at;
  quote.session = Session::regular;
  quote.data_source = "simulator";
  quote.history = due.what != What::quote;
  if (due.what == What::daily_bar) quote.bar_length = BarLength::d1;
  if (due.what == What::minute_bar) quote.bar_length = BarLength::m1;

  const Timestamp millisecond = floor<milliseconds>(due.at);
  see_day(listed, day, millisecond, day.open < minutes_begin_ ? kCoarseStride : 1);
  quote.price = after_splits(listed.prices.log_of(millisecond), listed.splits);
  quote.open = listed.open;
  quote.high = after_splits(listed.so_far.high, listed.splits);
  quote.low = after_splits(listed.so_far.low, listed.splits);
  quote.previous_close = listed.previous_close;
  switch (due.what) {
    case What::daily_bar:
      quote.volume = listed.volumes.of_day(day);
      break;
    case What::minute_bar:
      quote.volume = listed.volumes.since_open(day, millisecond + milliseconds(1)) -
                     listed.volumes.since_open(day, floor<minutes>(due.at));
      break;
    case What::quote:
      quote.volume = volume_between(listed, listed.last, due.at);
      break;
  }
  *quote.volume <<= listed.splits;
  return quote;
}

/// Hands a quote over, or what the faults make of it.
void Simulator::put(Listed& listed, Quote quote, FeedBatch& batch) const {
  if (quote.history) {
    batch.quotes.push_back(std::move(quote));
    return;
  }
  std::optional<Quote> held;
  held.swap(listed.held);
  if (halted(listed, listed.last) && !halted(listed, quote.event_time))
    batch.gaps.push_back(halt_before(listed, listed.last));
  if (!halted(listed, quote.event_time)) put_live(listed, std::move(quote), batch);
  if (held) batch.quotes.push_back(*std::move(held));
}

void Simulator::put_live(Listed& listed, Quote quote, FeedBatch& batch) const {
  const auto& faults = options_.faults;
  const auto instant = static_cast<std::uint64_t>(quote.event_time.time_since_epoch().count());
  Rng rng(mix64(listed.fault_key ^ mix64(instant)));
  const bool dropped = rng.uniform() < faults.drop;
  const bool malformed = rng.uniform() < faults.malformed;
  const bool duplicated = rng.uniform() < faults.duplicate;
  const bool late = rng.uniform() < faults.reorder;
  const bool without_price = rng.uniform() < faults.zero;
  const bool off = rng.uniform() < faults.spike;
  if (dropped) return;
  if (off) {
    const double size = 0.25 + 0.35 * rng.uniform();
    const double factor = rng.uniform() < 0.5 ? 1 - size : 1 + size;
    quote.price = PricePath::to_price(std::log(quote.price.dollars() * factor));
  }
  if (without_price) quote.price = Price();
  if (malformed) {
    batch.raw.push_back({quote.symbol, fmt::format(R"({{"symbol":"{}","price":{},"hi)",
                                                   quote.symbol.text(), quote.price.text())});
    return;
  }
  if (late) {
    listed.held = std::move(quote);
    return;
  }
  if (duplicated) batch.quotes.push_back(quote);
  batch.quotes.push_back(std::move(quote));
}

Result<FeedBatch> Simulator::poll(std::size_t rows_max) {
  FeedBatch batch;
  const Timestamp now = heard_until(clock_.now());
  using Next = std::pair<Due, Listed*>;
  const auto later = [](const Next& a, const Next& b) {
    return a.first.at != b.first.at ? a.first.at > b.first.at : a.second->index > b.second->index;
  };
  std::priority_queue<Next, std::vector<Next>, decltype(later)> queue(later);
  for (Listed& listed : listed_) {
    if (listed.last >= history_end_ - microseconds(1) && now - listed.last > kFilledMax) {
      const Timestamp filled_from = floor<minutes>(now - kFilledMax);
      batch.gaps.push_back({std::string(name()), listed.symbol, listed.last, filled_from,
                            "the simulated exchange did not run"});
      listed.last = filled_from - milliseconds(1);
    }
    const Due due = next_after(listed, listed.last, now);
    if (due.at <= now) queue.push({due, &listed});
  }
  while (!queue.empty() && batch.quotes.size() + batch.raw.size() < rows_max) {
    const auto [due, listed] = queue.top();
    queue.pop();
    put(*listed, make_quote(*listed, due), batch);
    listed->last = due.at;
    const Due next = next_after(*listed, due.at, now);
    if (next.at <= now) queue.push({next, listed});
  }
  return batch;
}

}  // namespace tapeline::feeds
