#include "feeds/simulator/price_path.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/rng.h"

namespace tapeline::feeds {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

enum Salt : std::uint64_t { kPriceSalt = 1, kVolumeSalt = 2, kProfileSalt = 3 };

double unit(std::uint64_t hash) { return static_cast<double>(hash >> 11) * 0x1.0p-53; }  // [0, 1)
double signed_unit(std::uint64_t hash) { return 2 * unit(hash) - 1; }

/// The share of a day's volume that is traded by `x` of it: the integral of 0.4 + 1.8 (2x-1)^2.
double traded_by(double x) { return 0.4 * x + 0.3 * (std::pow(2 * x - 1, 3) + 1); }

struct NamedProfile {
  std::string_view symbol;
  SymbolProfile profile;
};

constexpr std::array kProfiles{
    NamedProfile{"AAPL", {230, 0.015, 50e6}}, NamedProfile{"GOOGL", {175, 0.017, 26e6}},
    NamedProfile{"MSFT", {420, 0.014, 20e6}}, NamedProfile{"AMZN", {205, 0.018, 38e6}},
    NamedProfile{"TSLA", {340, 0.035, 90e6}}, NamedProfile{"NVDA", {140, 0.030, 230e6}},
    NamedProfile{"META", {580, 0.020, 13e6}}, NamedProfile{"NFLX", {890, 0.020, 3e6}},
    NamedProfile{"UBER", {72, 0.022, 18e6}},  NamedProfile{"COIN", {290, 0.045, 11e6}},
};

}  // namespace

std::uint64_t hash_of(std::uint64_t seed, const Symbol& symbol, std::uint64_t salt) {
  std::uint64_t hash = mix64(seed ^ mix64(salt));
  for (const char c : symbol.text()) hash = mix64(hash ^ static_cast<unsigned char>(c));
  return hash;
}

SymbolProfile profile_of(const Symbol& symbol) {
  for (const auto& named : kProfiles)
    if (named.symbol == symbol.text()) return named.profile;
  Rng rng(hash_of(0, symbol, kProfileSalt));
  return {.price = 15 * std::exp(3 * rng.uniform()),
          .volatility = 0.01 + 0.025 * rng.uniform(),
          .volume = 1e6 * std::exp(3 * rng.uniform())};
}

PricePath::PricePath(std::uint64_t seed, const Symbol& symbol, Timestamp anchor)
    : key_(hash_of(seed, symbol, kPriceSalt)) {
  const SymbolProfile profile = profile_of(symbol);
  // 0.8: with it a day's return has the profile's deviation; the noises that are shorter and
  // those that are longer than a day add up to 1.6 times the square of the day's own swing.
  for (std::size_t i = 0; i < kNoises; ++i) {
    const double period_days = static_cast<double>(kStepMs << i) / 86'400e3;
    swings_[i] = 0.8 * profile.volatility * std::sqrt(period_days);
  }
  offset_ = std::log(profile.price) - log_of(anchor);
  known_steps_ = {-1, -1};
}

std::int64_t PricePath::milliseconds_of(Timestamp at) {
  return std::chrono::floor<milliseconds>(at.time_since_epoch()).count();
}

double PricePath::value(std::size_t noise, std::int64_t cell) const {
  const auto place = static_cast<std::uint64_t>(cell) ^ (static_cast<std::uint64_t>(noise) << 56);
  return swings_[noise] * signed_unit(mix64(key_ ^ mix64(place)));
}

double PricePath::sum_at_step(std::int64_t step) {
  double sum = offset_;
  for (std::size_t i = 0; i < kNoises; ++i) {
    Line& line = lines_[i];
    const std::int64_t cell = step >> i;
    if (cell != line.cell) {
      line.begin = cell == line.cell + 1 && line.cell >= 0 ? line.end : value(i, cell);
      line.end = value(i, cell + 1);
      line.cell = cell;
    }
    const std::int64_t period = std::int64_t{1} << i;
    const double part = static_cast<double>(step & (period - 1)) / static_cast<double>(period);
    sum += line.begin + (line.end - line.begin) * part;
  }
  return sum;
}

double PricePath::log_at_step(std::int64_t step) {
  const auto slot = static_cast<std::size_t>(step & 1);
  if (known_steps_[slot] != step) {
    known_steps_[slot] = step;
    known_logs_[slot] = sum_at_step(step);
  }
  return known_logs_[slot];
}

double PricePath::log_at(std::int64_t millisecond) {
  const std::int64_t step = millisecond / kStepMs;
  const double begin = log_at_step(step);
  const double end = log_at_step(step + 1);
  const double part = static_cast<double>(millisecond % kStepMs) / static_cast<double>(kStepMs);
  return std::lerp(begin, end, part);  // never outside its two ends
}

Extremes PricePath::extremes(Timestamp begin, Timestamp last, std::int64_t stride) {
  const double first_log = log_of(begin);
  Extremes found{first_log, first_log};
  const auto see = [&found](double log) {
    found.high = std::max(found.high, log);
    found.low = std::min(found.low, log);
  };
  const std::int64_t last_step = milliseconds_of(last) / kStepMs;
  for (std::int64_t step = milliseconds_of(begin) / kStepMs + 1; step <= last_step; step += stride)
    see(log_at_step(step));
  see(log_of(last));
  return found;
}

Price PricePath::to_price(double log) {
  const auto cents = std::max<std::int64_t>(1, std::llround(std::exp(log) * 100));
  return Price::from_units(cents * (Price::kUnitsPerDollar / 100));
}

VolumePath::VolumePath(std::uint64_t seed, const Symbol& symbol)
    : key_(hash_of(seed, symbol, kVolumeSalt)), volume_(profile_of(symbol).volume) {}

std::int64_t VolumePath::of_day(const SessionHours& day) const {
  const auto date = static_cast<std::uint64_t>(day.open.time_since_epoch() / minutes(1));
  Rng rng(mix64(key_ ^ mix64(date)));
  return std::llround(volume_ * std::exp(0.35 * rng.normal()));
}

std::int64_t VolumePath::since_open(const SessionHours& day, Timestamp at) const {
  const std::int64_t whole = of_day(day);
  if (at >= day.close - milliseconds(1)) return whole;
  if (at <= day.open) return 0;
  // Each minute's begin is moved by less than half of the minute's share, so that minutes differ
  // and the sum still never falls.
  const std::int64_t count = (day.close - day.open) / minutes(1);
  const auto share_by = [&](std::int64_t minute) {
    if (minute == 0 || minute >= count) return minute == 0 ? 0.0 : 1.0;
    const double by = traded_by(static_cast<double>(minute) / static_cast<double>(count));
    const double next = traded_by(static_cast<double>(minute + 1) / static_cast<double>(count));
    const auto place = static_cast<std::uint64_t>(day.open.time_since_epoch() / minutes(1));
    const double shift =
        signed_unit(mix64(key_ ^ mix64(place + static_cast<std::uint64_t>(minute))));
    return by + 0.45 * (next - by) * shift;
  };
  const std::int64_t minute = (at - day.open) / minutes(1);
  const auto into = std::chrono::duration<double>(at - day.open - minute * minutes(1));
  const double share = std::lerp(share_by(minute), share_by(minute + 1), into.count() / 60);
  return static_cast<std::int64_t>(static_cast<double>(whole) * share);
}

}  // namespace tapeline::feeds
