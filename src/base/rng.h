// Rng: where all chance comes from. Seeded, so that everything can be replayed.

#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace tapeline {

__extension__ using Uint128 = unsigned __int128;

/// SplitMix64: a pure function from one 64-bit number to a well mixed one.
/// source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// A stream of random numbers that depends on its seed alone, on every machine.
class Rng {
 public:
  explicit constexpr Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix64(state_++); }

  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// In [0, bound); `bound` at least 1.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<Uint128>(next()) * bound) >> 64);
  }

  /// Standard normal.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t state_;
};

}  // namespace tapeline
