// A datetime by its fields, and as text: strftime and strptime as Python has them.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::transform {

constexpr std::int64_t kSecondMicros = 1'000'000;
constexpr std::int64_t kDayMicros = 86'400 * kSecondMicros;
constexpr int kLastYear = 9999;

/// The names of the fields, in their order.
constexpr std::array<std::string_view, 7> kCivilFields = {"year",   "month",  "day",        "hour",
                                                          "minute", "second", "microsecond"};

/// Those that are not there are those of midnight; a date has all three of its own.
using CivilFields = std::array<std::optional<std::int64_t>, kCivilFields.size()>;

CivilFields civil_fields(Timestamp at);

/// errors: invalid_argument, in Python's words: a date that no calendar has, an hour of no clock
Result<Timestamp> civil_instant(const CivilFields& fields);

/// `format` with its %Y %m %d … replaced; what nobody knows stays.
std::string strftime(Timestamp at, std::string_view format);

/// Reads a text by a format of %Y %m %d %H %M %S %f and plain characters.
/// errors: invalid_argument
Result<Timestamp> strptime(const std::string& text, std::string_view format);

/// Monday is 1.
int iso_weekday(Timestamp at);

}  // namespace tapeline::transform
