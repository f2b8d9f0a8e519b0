// Repeats: which trades of a stream without trade ids were sent before.
//
// Finnhub sends a trade again: three times in a row, or after a reconnect. It also sends prints
// that equal one another in every field and are two trades all the same, in one message. So, of
// each (symbol, millisecond, price, size, conditions), as many count as the message that has the
// most of them has; the excess is dropped. A heuristic: equal prints of one millisecond that come
// in two messages count once.

#pragma once

#include <map>
#include <vector>

#include "market/quote.h"

namespace tapeline::feeds::finnhub {

/// threads: one at a time
class Repeats {
 public:
  /// How far back, of a symbol's own time, trades are remembered: an older one is not known to
  /// have come before.
  static constexpr auto kRemembered = std::chrono::minutes(15);

  /// Takes the trades of one message; drops those that came before. Returns how many it dropped.
  std::int64_t drop_repeats(std::vector<Trade>& trades);

 private:
  struct Print {
    Price price;
    std::int64_t size = 0;
    std::uint32_t conditions = 0;
    friend auto operator<=>(const Print&, const Print&) = default;
  };
  struct Seen {
    int kept = 0;     // the most that one message had
    int in_this = 0;  // in the message that is looked at
  };
  using Milliseconds = std::map<Timestamp, std::map<Print, Seen>>;

  std::map<Symbol, Milliseconds> symbols_;
};

}  // namespace tapeline::feeds::finnhub
