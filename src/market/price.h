// Price: an exact amount of US dollars.

#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tapeline {

/// An exact US-dollar price.
///
/// units:   1e-6 dollar in a signed 64-bit integer; at most twelve integer digits
/// maps to: DuckDB DECIMAL(18,6), Snowflake NUMBER(18,6)
/// why:     a double cannot hold 0.1, so sums drift and equality tests lie
class Price {
 public:
  static constexpr std::int64_t kUnitsPerDollar = 1'000'000;
  static constexpr std::int64_t kUnitsMax = 999'999'999'999'999'999;  // what DECIMAL(18,6) holds

  constexpr Price() = default;
  static constexpr Price from_units(std::int64_t units) { return Price(units); }

  /// Reads a decimal as JSON and CSV write it: "189.12", "-3", "1.5e2".
  /// Decimals past the sixth are rounded half to even; `*was_rounded` says so.
  /// errors: invalid_argument for anything else, and for more than DECIMAL(18,6) holds
  static Result<Price> parse(std::string_view text, bool* was_rounded = nullptr);

  constexpr std::int64_t units() const { return units_; }
  double dollars() const { return static_cast<double>(units_) / 1e6; }

  /// Plain decimal text without needless zeros: "189.12", "25", "0.0001".
  std::string text() const;

  friend constexpr auto operator<=>(Price, Price) = default;

 private:
  explicit constexpr Price(std::int64_t units) : units_(units) {}
  std::int64_t units_ = 0;
};

}  // namespace tapeline
