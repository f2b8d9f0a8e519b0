// What one symbol's trading day has come to so far: open, high and low of its regular session,
// and which stamps are used.

#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "market/quote.h"

namespace tapeline::ingest {

/// Open, high and low of the regular session so far; none until its first price.
struct DaySoFar {
  std::optional<Price> open;
  std::optional<Price> high;
  std::optional<Price> low;

  /// A print that may set the open (the first one does), the high and the low.
  void add(Price first, Price highest, Price lowest) {
    if (!open) open = first;
    if (!high || highest > *high) high = highest;
    if (!low || lowest < *low) low = lowest;
  }

  void write_to(Quote& quote) const {
    quote.open = open;
    quote.high = high;
    quote.low = low;
  }
};

/// The milliseconds of a day that have quotes, and how many each has.
///
/// holds: four bytes a millisecond used: prints that come late, behind later ones, must find out
///        whether theirs was used
class UsedMilliseconds {
 public:
  /// Counts one more quote in `millisecond` (of the day) and says how many there were before.
  int take(std::int32_t millisecond) {
    if (used_.empty() || millisecond > used_.back()) {
      used_.push_back(millisecond);
      return 0;
    }
    const auto place = std::lower_bound(used_.begin(), used_.end(), millisecond);
    if (*place != millisecond) {
      used_.insert(place, millisecond);
      return 0;
    }
    return ++repeats_[millisecond];
  }

 private:
  std::vector<std::int32_t> used_;       // sorted
  std::map<std::int32_t, int> repeats_;  // of those that were taken more than once
};

}  // namespace tapeline::ingest
