#include "market/price.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace tapeline {
namespace {

constexpr int kDecimals = 6;
constexpr int kDigitsMax = 19;  // what an unsigned 64-bit integer always holds

constexpr auto kPowersOfTen = [] {
  std::array<std::uint64_t, kDigitsMax + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

/// A number as its text says it: digits * 10^exponent, and whether digits that
/// did not fit were other than zero.
struct Decimal {
  bool negative = false;
  std::uint64_t digits = 0;
  int digit_count = 0;
  std::int64_t exponent = 0;
  bool more = false;
};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

void take_digit(Decimal& number, char c, bool after_point) {
  if (number.digit_count < kDigitsMax) {
    number.digits = number.digits * 10 + static_cast<std::uint64_t>(c - '0');
    if (number.digits != 0) ++number.digit_count;
    if (after_point) --number.exponent;
  } else {
    if (c != '0') number.more = true;
    if (!after_point) ++number.exponent;
  }
}

/// False where `text` is not a decimal.
bool read_decimal(std::string_view text, Decimal& number) {
  const char* at = text.data();
  const char* const end = at + text.size();
  if (at != end && *at == '-') {
    number.negative = true;
    ++at;
  }
  if (at == end || !is_digit(*at)) return false;
  for (; at != end && is_digit(*at); ++at) take_digit(number, *at, false);
  if (at != end && *at == '.') {
    ++at;
    if (at == end || !is_digit(*at)) return false;
    for (; at != end && is_digit(*at); ++at) take_digit(number, *at, true);
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    const bool down = at != end && *at == '-';
    if (at != end && (*at == '-' || *at == '+')) ++at;
    if (at == end || !is_digit(*at)) return false;
    constexpr std::int64_t kExponentMax = 1'000'000'000'000;  // longer than any text
    std::int64_t exponent = 0;
    for (; at != end && is_digit(*at); ++at) {
      exponent = std::min(kExponentMax, exponent * 10 + (*at - '0'));
    }
    number.exponent += down ? -exponent : exponent;
  }
  return at == end;
}

/// The number in units, half to even; more than kUnitsMax where it does not fit.
std::uint64_t to_units(const Decimal& number, bool& was_rounded) {
  constexpr std::uint64_t kTooMany = Price::kUnitsMax + 1;
  const std::int64_t power = number.exponent + kDecimals;
  if (number.digits == 0) return 0;
  if (power >= 0) {
    if (power > kDigitsMax) return kTooMany;
    const std::uint64_t factor = kPowersOfTen[static_cast<std::size_t>(power)];
    return number.digits > Price::kUnitsMax / factor ? kTooMany : number.digits * factor;
  }
  if (power < -kDigitsMax) {
    was_rounded = true;
    return 0;
  }
  const std::uint64_t divisor = kPowersOfTen[static_cast<std::size_t>(-power)];
  const std::uint64_t units = number.digits / divisor;
  const std::uint64_t rest = number.digits % divisor;
  was_rounded = rest != 0 || number.more;
  const std::uint64_t half = divisor / 2;
  const bool up = rest > half || (rest == half && (number.more || units % 2 == 1));
  return units + (up ? 1 : 0);
}

}  // namespace

Result<Price> Price::parse(std::string_view text, bool* was_rounded) {
  Decimal number;
  if (!read_decimal(text, number)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a decimal number", text.substr(0, 40)),
                 "Write it like 189.12."};
  }
  bool rounded = false;
  const std::uint64_t units = to_units(number, rounded);
  if (units > static_cast<std::uint64_t>(kUnitsMax)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("price '{}' is too large", text.substr(0, 40)),
                 "A price has at most twelve digits before the point."};
  }
  if (was_rounded != nullptr) *was_rounded = rounded;
  const auto magnitude = static_cast<std::int64_t>(units);
  return Price(number.negative ? -magnitude : magnitude);
}

std::string Price::text() const {
  const std::uint64_t magnitude =
      units_ < 0 ? ~static_cast<std::uint64_t>(units_) + 1 : static_cast<std::uint64_t>(units_);
  std::array<char, 24> text{};
  char* at = text.data();
  if (units_ < 0) *at++ = '-';
  at = std::to_chars(at, text.data() + text.size(), magnitude / kUnitsPerDollar).ptr;
  std::uint64_t fraction = magnitude % kUnitsPerDollar;
  if (fraction != 0) {
    *at++ = '.';
    for (std::uint64_t scale = kUnitsPerDollar / 10; fraction != 0; scale /= 10) {
      *at++ = static_cast<char>('0' + fraction / scale);
      fraction %= scale;
    }
  }
  return {text.data(), at};
}

}  // namespace tapeline
