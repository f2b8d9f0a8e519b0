// Quote, Trade and Bar: what a feed can say about a symbol.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "market/price.h"
#include "market/symbol.h"

namespace tapeline {

/// The part of the trading day that an instant, or a print, belongs to.
enum class Session : std::uint8_t { pre, regular, post, closed };

constexpr std::string_view to_string(Session session) {
  switch (session) {
    case Session::pre: return "pre";
    case Session::regular: return "regular";
    case Session::post: return "post";
    case Session::closed: return "closed";
  }
  return "closed";
}
std::optional<Session> session_from_text(std::string_view text);

/// How long a bar is.
enum class BarLength : std::uint8_t { m1, m5, m15, m30, h1, h4, d1 };

constexpr std::string_view to_string(BarLength length) {
  switch (length) {
    case BarLength::m1: return "1m";
    case BarLength::m5: return "5m";
    case BarLength::m15: return "15m";
    case BarLength::m30: return "30m";
    case BarLength::h1: return "1h";
    case BarLength::h4: return "4h";
    case BarLength::d1: return "1d";
  }
  return "1d";
}
std::optional<BarLength> bar_length_from_text(std::string_view text);

/// A day bar has the length of its session, not of a day: 24 h is only its name's.
Duration duration_of(BarLength length);

/// What a stock was worth at one instant: the day snapshot. Elsewhere in the
/// field *quote* means bid and ask; that pair is not held here.
///
/// units:  prices as in Price; volume in shares; times UTC
/// holds:  nothing about plausibility: the staging model judges that, in SQL, where
///         everyone can read the rule
/// source: Finnhub /quote
struct Quote {
  Symbol symbol;
  Price price;                  // the last one
  std::optional<Price> open;    // of the regular session so far; none until its first price
  std::optional<Price> high;
  std::optional<Price> low;
  std::optional<Price> previous_close;
  std::optional<std::int64_t> volume;  // since this symbol's previous quote; none if unknown
  std::optional<Session> session;      // none: by the calendar and the time
  std::optional<BarLength> bar_length; // none: a snapshot or a trade
  Timestamp event_time;                // when the exchange says it happened
  std::optional<Timestamp> received_at;// when we read it
  std::string data_source;             // `[a-z][a-z0-9-]{0,31}`: finnhub, replay, simulator, …
  bool history = false;                // loaded and modelled, but never a live price

  friend bool operator==(const Quote&, const Quote&) = default;
};

/// One execution on the tape.
struct Trade {
  Symbol symbol;
  Price price;
  std::int64_t size = 0;  // shares
  Timestamp event_time;   // to the millisecond, as vendors give it
  std::uint32_t conditions = 0;  // the vendor's bits; what they mean stands with the vendor's table
  bool suspicious = false;

  friend bool operator==(const Trade&, const Trade&) = default;
};

/// Open, high, low, close and volume over a bucket, named by its start.
struct Bar {
  Symbol symbol;
  Timestamp start;
  BarLength length = BarLength::m1;
  Price open;
  Price high;
  Price low;
  Price close;
  std::optional<std::int64_t> volume;

  friend bool operator==(const Bar&, const Bar&) = default;
};

}  // namespace tapeline
