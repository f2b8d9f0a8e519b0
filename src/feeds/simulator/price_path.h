// PricePath: what a simulated symbol costs at any instant, and how much of it is traded.
//
// The logarithm of the price is a sum of noises, each a broken line through random values at
// multiples of its period. Periods double from two seconds to years, and swings grow with the
// square root of the period, as those of a random walk do. So the price at any instant follows
// from seed and symbol alone, without the way there; it is positive and stays within bounds; and
// as every corner lies on a multiple of the shortest period, the exact high and low of a stretch
// are found at those corners and its two ends.

#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"
#include "market/calendar.h"
#include "market/price.h"
#include "market/symbol.h"

namespace tapeline::feeds {

/// How a simulated symbol behaves.
///
/// units: dollars; the deviation of a day's logarithmic return; shares a day
struct SymbolProfile {
  double price = 100;
  double volatility = 0.02;
  double volume = 10e6;
};

/// The ten known symbols have profiles like their namesakes'; others get one by their name.
SymbolProfile profile_of(const Symbol& symbol);

/// A number that is well mixed from its parts.
std::uint64_t hash_of(std::uint64_t seed, const Symbol& symbol, std::uint64_t salt);

struct Extremes {
  double high;
  double low;
};

/// The path of one symbol's price. It remembers where it was asked last, so that asking along
/// the way is fast; the answers do not depend on that.
///
/// threads: one at a time
class PricePath {
 public:
  /// The shortest period: corners are multiples of it since 1970.
  static constexpr std::int64_t kStepMs = 2048;

  /// `anchor` is the instant at which the symbol costs its profile's price.
  PricePath(std::uint64_t seed, const Symbol& symbol, Timestamp anchor);

  /// The price in the millisecond of `at`. Ticks are one cent; never below one.
  Price at(Timestamp at) { return to_price(log_at(milliseconds_of(at))); }

  /// The highest and lowest logarithm from the millisecond of `begin` through that of `last`,
  /// looking at every `stride`-th corner (1: exact).
  Extremes extremes(Timestamp begin, Timestamp last, std::int64_t stride);

  /// The logarithm of the price in the millisecond of `at`, before it is cut to ticks.
  double log_of(Timestamp at) { return log_at(milliseconds_of(at)); }

  static Price to_price(double log);

 private:
  static constexpr std::size_t kNoises = 28;  // the longest period is 8.7 years

  static std::int64_t milliseconds_of(Timestamp at);
  double log_at(std::int64_t millisecond);
  double log_at_step(std::int64_t step);
  double sum_at_step(std::int64_t step);
  double value(std::size_t noise, std::int64_t cell) const;

  /// The line of one noise that was used last.
  struct Line {
    std::int64_t cell = -1;
    double begin = 0;
    double end = 0;
  };

  std::uint64_t key_;
  std::array<double, kNoises> swings_{};
  std::array<Line, kNoises> lines_{};
  double offset_ = 0;
  std::array<std::int64_t, 2> known_steps_{-1, -1};
  std::array<double, 2> known_logs_{};
};

/// How many shares are traded: much at a day's begin and end, less in between.
class VolumePath {
 public:
  VolumePath(std::uint64_t seed, const Symbol& symbol);

  /// Shares traded from the session's open to `at`; all of the day's from its last millisecond on.
  std::int64_t since_open(const SessionHours& day, Timestamp at) const;

  std::int64_t of_day(const SessionHours& day) const;

 private:
  std::uint64_t key_;
  double volume_;
};

}  // namespace tapeline::feeds
