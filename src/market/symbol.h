// Symbol: what a stock is called.

#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tapeline {

/// A ticker symbol: `[A-Z0-9][A-Z0-9.:^=/-]{0,23}` (`BINANCE:BTCUSDT` is one). Zero-padded.
class Symbol {
 public:
  static constexpr std::size_t kSizeMax = 24;

  constexpr Symbol() = default;

  /// errors: invalid_argument for what has not the form
  static Result<Symbol> parse(std::string_view text);

  std::string_view text() const {
    std::size_t size = 0;
    while (size < kSizeMax && text_[size] != '\0') ++size;
    return {text_.data(), size};
  }

  friend constexpr auto operator<=>(const Symbol&, const Symbol&) = default;

 private:
  std::array<char, kSizeMax> text_{};
};

}  // namespace tapeline

template <>
struct std::hash<tapeline::Symbol> {
  std::size_t operator()(const tapeline::Symbol& symbol) const noexcept {
    return std::hash<std::string_view>()(symbol.text());
  }
};
