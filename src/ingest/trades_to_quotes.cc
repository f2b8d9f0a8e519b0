#include "ingest/trades_to_quotes.h"

#include <fmt/format.h>

#include <array>

#include "feeds/bar_stamp.h"

namespace tapeline::ingest {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kFileMicrosecondFirst = 500;
constexpr std::size_t kLiveDays = 3;

std::size_t index_of(Session session) { return static_cast<std::size_t>(session); }

/// In this order the sessions of one millisecond come, and get their stamps.
constexpr std::array kOrder{Session::regular, Session::pre, Session::post, Session::closed};

}  // namespace

/// The trades of one millisecond, by session.
struct TradesToQuotes::Group {
  struct Part {
    bool seen = false;
    std::optional<Price> last;
    std::int64_t volume = 0;
  };
  bool open = false;
  Timestamp millisecond;
  std::array<Part, kSessions> parts;
};

struct TradesToQuotes::Day {
  Date date;
  Timestamp begin;  // of the date in New York: begin <= t < end
  Timestamp end;
  std::optional<SessionHours> hours;
  DaySoFar so_far;
  bool open_missed = false;  // so_far is of a part of the session only: nobody is told of it
  std::optional<Price> previous_close;
  std::optional<Price> last;          // of any session
  std::optional<Price> last_regular;  // a price from before the open is none of the session's
  std::array<std::int64_t, kSessions> waiting{};  // shares until there is a price
  UsedMilliseconds used;
};

struct TradesToQuotes::SymbolState {
  Symbol symbol;
  Group group;
  std::map<Date, Day> days;
  Day* day = nullptr;  // the newest row's
};

TradesToQuotes::TradesToQuotes(const Calendar& calendar, Options options)
    : calendar_(calendar), options_(std::move(options)) {}
TradesToQuotes::~TradesToQuotes() = default;
TradesToQuotes::TradesToQuotes(TradesToQuotes&&) noexcept = default;

TradesToQuotes::SymbolState& TradesToQuotes::state_of(const Symbol& symbol) {
  if (newest_ != nullptr && newest_->symbol == symbol) return *newest_;
  auto& state = symbols_[symbol];
  if (!state) {
    state = std::make_unique<SymbolState>();
    state->symbol = symbol;
  }
  newest_ = state.get();
  return *state;
}

TradesToQuotes::Day& TradesToQuotes::day_of(SymbolState& state, Timestamp at) {
  if (state.day != nullptr && state.day->begin <= at && at < state.day->end) return *state.day;
  const Date date = Calendar::new_york_date(at);
  auto [place, is_new] = state.days.try_emplace(date);
  Day& day = place->second;
  if (is_new) {
    day.date = date;
    day.hours = calendar_.hours(date);
    // The hours that belong to this date whatever the clocks do; others are looked up.
    day.begin = date + std::chrono::hours(5);
    day.end = date + std::chrono::hours(28);
    // A live feed goes on for months, and its trades come late by minutes, not by days.
    while (options_.stamps == StampRange::live && state.days.size() > kLiveDays &&
           state.days.begin() != place) {
      state.days.erase(state.days.begin());
    }
  }
  state.day = &day;
  return day;
}

Status TradesToQuotes::add(const Trade& trade, std::vector<Quote>& quotes) {
  ++counts_.trades;
  SymbolState& state = state_of(trade.symbol);
  const Timestamp millisecond = std::chrono::floor<milliseconds>(trade.event_time);
  if (state.group.open && state.group.millisecond != millisecond)
    TRY_STATUS(close_group(state, quotes));

  Day& day = day_of(state, trade.event_time);
  const Touches touches = judge(options_.conditions, trade, calendar_, day.hours);
  if (touches.nothing()) {
    ++(trade.suspicious ? counts_.suspicious : counts_.reports);
    return Ok{};
  }
  state.group.open = true;
  state.group.millisecond = millisecond;
  auto& part = state.group.parts[index_of(touches.session)];
  part.seen = true;
  if (touches.volume) part.volume += trade.size;
  if (touches.last) part.last = trade.price;
  if (touches.high_low && touches.session == Session::regular)
    day.so_far.add(trade.price, trade.price, trade.price);
  return Ok{};
}

Status TradesToQuotes::close_group(SymbolState& state, std::vector<Quote>& quotes) {
  Day& day = day_of(state, state.group.millisecond);
  for (const Session session : kOrder) {
    const auto& part = state.group.parts[index_of(session)];
    auto& waiting = day.waiting[index_of(session)];
    if (part.last) {
      day.last = part.last;
      if (session == Session::regular) day.last_regular = part.last;
    }
    if (!part.seen && waiting == 0) continue;
    const auto& price = session == Session::regular ? day.last_regular : day.last;
    if (!price) {
      waiting += part.volume;
      counts_.shares_without_price += part.volume;
      continue;
    }
    const auto stamped = next_stamp(day, state.symbol, state.group.millisecond);
    if (!stamped && options_.stamps == StampRange::live) {
      waiting += part.volume;  // nobody can sort a stream: its shares go with the next quote
      counts_.shares_without_price += part.volume;
      continue;
    }
    const Timestamp event_time = TRY(stamped);
    Quote& quote = quotes.emplace_back();
    quote.symbol = state.symbol;
    quote.price = *price;
    quote.volume = part.volume + waiting;
    quote.session = session;
    quote.event_time = event_time;
    quote.data_source = options_.data_source;
    quote.history = options_.history;
    quote.previous_close = day.previous_close;
    if (!day.open_missed) day.so_far.write_to(quote);
    counts_.shares_without_price -= waiting;
    waiting = 0;
    ++counts_.quotes;
  }
  state.group = Group{};
  return Ok{};
}

Result<Timestamp> TradesToQuotes::next_stamp(Day& day, const Symbol& symbol,
                                             Timestamp millisecond) const {
  const bool file = options_.stamps == StampRange::file;
  const int first = file ? kFileMicrosecondFirst : 0;
  const int end = file ? feeds::kBarMicrosecondFirst : kFileMicrosecondFirst;
  const auto of_day = std::chrono::duration_cast<milliseconds>(millisecond - day.date).count();
  const int place = first + day.used.take(static_cast<std::int32_t>(of_day));
  if (place < end) return millisecond + microseconds(place);
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' has more than {} separate groups of trades at {}", symbol.text(),
                           end - first, format_rfc3339(millisecond)),
               "Sort the rows by symbol and time."};
}

Status TradesToQuotes::settle(Timestamp before, std::vector<Quote>& quotes) {
  for (auto& [symbol, state] : symbols_) {
    const bool over =
        before == Timestamp::max() || state->group.millisecond + milliseconds(1) <= before;
    if (state->group.open && over) TRY_STATUS(close_group(*state, quotes));
  }
  return Ok{};
}

void TradesToQuotes::restore(const Quote& quote) {
  SymbolState& state = state_of(quote.symbol);
  Day& day = day_of(state, quote.event_time);
  const Timestamp millisecond = std::chrono::floor<milliseconds>(quote.event_time);
  const auto of_day = std::chrono::duration_cast<milliseconds>(millisecond - day.date).count();
  day.used.take(static_cast<std::int32_t>(of_day));
  day.last = quote.price;
  if (quote.session == Session::regular) day.last_regular = quote.price;
  day.so_far = {quote.open, quote.high, quote.low};
  if (quote.previous_close) day.previous_close = quote.previous_close;
}

void TradesToQuotes::join(const feeds::Joined& joined) {
  Day& day = day_of(state_of(joined.symbol), joined.at);
  if (day.hours && joined.at > day.hours->open && !day.so_far.open) day.open_missed = true;
}

void TradesToQuotes::seed(const feeds::DaySeed& seed) {
  Day& day = day_of(state_of(seed.symbol), seed.at);
  if (seed.previous_close) day.previous_close = seed.previous_close;
  if (!seed.open || !seed.high || !seed.low) return;
  if (day.open_missed || !day.so_far.open) day.so_far.open = seed.open;
  day.so_far.add(*seed.open, *seed.high, *seed.low);
  day.open_missed = false;
}

Status TradesToQuotes::stamp(Quote& quote) {
  Day& day = day_of(state_of(quote.symbol), quote.event_time);
  quote.event_time =
      TRY(next_stamp(day, quote.symbol, std::chrono::floor<milliseconds>(quote.event_time)));
  return Ok{};
}

}  // namespace tapeline::ingest
