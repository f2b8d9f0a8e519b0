// What the benches share: made-up quotes, and clocks that count.

#pragma once

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_text.h"

namespace tapeline {

/// Ends the program where a step failed: a bench has no one to hand an error to.
template <typename T>
T need(Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "bench: {}\n", result.error().message);
  std::exit(1);
}
inline void need(Status status) {
  if (status) return;
  fmt::print(stderr, "bench: {}\n", status.error().message);
  std::exit(1);
}

inline double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

/// What this process has used of the processors.
inline double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

constexpr std::int64_t kMessagesPerAppend = 10'000;
constexpr int kSymbols = 50;
constexpr std::int64_t kStart = 1'451'919'600'000'000;  // 2016-01-04 15:00 UTC, a Monday
inline std::int64_t quotes_a_day = 2'160'000;

inline std::string symbol(std::int64_t i) { return fmt::format("S{:02}", i % kSymbols); }

/// When quote `i` was made: spread over six hours of each weekday.
inline std::string instant(std::int64_t i) {
  const std::int64_t day = i / quotes_a_day;
  return format_rfc3339(
      Timestamp(std::chrono::microseconds(kStart)) + std::chrono::days(day / 5 * 7 + day % 5) +
      std::chrono::microseconds(i % quotes_a_day * (21'600'000'000 / quotes_a_day)));
}

/// Message `i`, 137 bytes: 50 symbols in turn.
inline std::string message(std::int64_t i) {
  return fmt::format(
      R"({{"symbol":"{}","price":{}.{:02},"high":110.5,"low":99.5,"open":101,"volume":{},)"
      R"("timestamp":"{}","data_source":"replay"}})",
      symbol(i), 100 + i % 10, i * 7919 % 100, i % 900 + 100, instant(i));
}

/// The same quote as a row of a file.
inline std::string row(std::int64_t i) {
  return fmt::format("{},{}.{:02},110.5,99.5,101,{},{}", symbol(i), 100 + i % 10, i * 7919 % 100,
                     i % 900 + 100, instant(i));
}

}  // namespace tapeline
