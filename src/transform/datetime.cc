#include "transform/datetime.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "transform/civil_time.h"
#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::invalid_argument, std::move(message), ""};
}

/// What `arguments` say of the first `count` fields, and `fields` otherwise.
Result<CivilFields> fields_of(const jinja::Arguments& arguments, std::size_t count,
                              CivilFields fields) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = argument(arguments, i, kCivilFields[i]);
    if (value.is_none() || value.is_undefined()) continue;
    if (!value.is_int()) {
      return wrong(
          fmt::format("'{}' object cannot be interpreted as an integer", value.type_name()));
    }
    fields[i] = value.as_int();
  }
  return fields;
}

Result<Timestamp> instant_of(const jinja::Arguments& arguments, std::size_t count) {
  return civil_instant(TRY(fields_of(arguments, count, {})));
}

/// A length of time.
class Span final : public jinja::HostObject {
 public:
  explicit Span(std::int64_t micros) : micros_(micros) {}

  std::int64_t micros() const { return micros_; }
  std::int64_t days() const { return micros_ / kDayMicros - (micros_ % kDayMicros < 0 ? 1 : 0); }

  std::string type_name() const override { return "datetime.timedelta"; }
  bool truth() const override { return micros_ != 0; }
  bool equals(const HostObject& other) const override {
    const auto* span = dynamic_cast<const Span*>(&other);
    return span && span->micros_ == micros_;
  }

  std::string text() const override {
    const auto rest = micros_ - days() * kDayMicros;
    const auto seconds = rest / kSecondMicros;
    std::string out;
    if (days() != 0) out = fmt::format("{} day{}, ", days(), std::abs(days()) == 1 ? "" : "s");
    out += fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (rest % kSecondMicros != 0) out += fmt::format(".{:06}", rest % kSecondMicros);
    return out;
  }

  std::string repr() const override {
    const auto rest = micros_ - days() * kDayMicros;
    std::string out;
    const auto add = [&](std::string_view name, std::int64_t value) {
      if (value != 0) out += fmt::format("{}{}={}", out.empty() ? "" : ", ", name, value);
    };
    add("days", days());
    add("seconds", rest / kSecondMicros);
    add("microseconds", rest % kSecondMicros);
    return fmt::format("datetime.timedelta({})", out.empty() ? "0" : out);
  }

  Result<jinja::Value> attribute(const std::string& name) override {
    const auto rest = micros_ - days() * kDayMicros;
    if (name == "days") return jinja::Value(days());
    if (name == "seconds") return jinja::Value(rest / kSecondMicros);
    if (name == "microseconds") return jinja::Value(rest % kSecondMicros);
    return jinja::Value::undefined(name);
  }

  Result<jinja::Value> call_method(const std::string& name,
                                   const jinja::Arguments& arguments) override {
    if (name == "total_seconds") return jinja::Value(static_cast<double>(micros_) / 1e6);
    return HostObject::call_method(name, arguments);
  }

  std::optional<Result<jinja::Value>> operate(std::string_view operation, const jinja::Value& other,
                                              bool reflected) override;

 private:
  std::int64_t micros_;
};

/// The host object that a value is, if it is one of that kind.
template <typename T>
const T* as(const jinja::Value& value) {
  return value.is_object() ? dynamic_cast<const T*>(value.as_object().get()) : nullptr;
}

Result<jinja::Value> span_value(std::optional<std::int64_t> micros) {
  if (!micros) return wrong("a timedelta of more than 292,000 years");
  return host_value<Span>(*micros);
}

std::optional<std::int64_t> sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional(sum);
}

/// `micros` times `factor`, to the nearest, the even one of two.
std::optional<std::int64_t> times(std::int64_t micros, const jinja::Value& factor) {
  if (factor.is_int()) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(micros, factor.as_int(), &product)) return std::nullopt;
    return product;
  }
  const double product = std::nearbyint(static_cast<double>(micros) * factor.as_double());
  constexpr double kMost = 9.2e18;
  if (!(std::abs(product) < kMost)) return std::nullopt;
  return static_cast<std::int64_t>(product);
}

std::int64_t floored(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

std::optional<Result<jinja::Value>> Span::operate(std::string_view operation,
                                                  const jinja::Value& other, bool reflected) {
  if (const auto* span = as<Span>(other)) {
    if (operation == "+") return span_value(sum(micros_, span->micros_));
    if (operation == "-") return span_value(sum(micros_, -span->micros_));
    if (operation == "<") return Result<jinja::Value>(micros_ < span->micros_);
    if (operation == "*" || operation == "**") return std::nullopt;
    if (span->micros_ == 0) return wrong("integer division or modulo by zero");
    const auto quotient = floored(micros_, span->micros_);
    if (operation == "//") return Result<jinja::Value>(quotient);
    if (operation == "%") return span_value(micros_ - quotient * span->micros_);
    return Result<jinja::Value>(static_cast<double>(micros_) / static_cast<double>(span->micros_));
  }
  if (!other.is_int() && !other.is_double()) return std::nullopt;
  if (operation == "*") return span_value(times(micros_, other));
  if (reflected || (operation != "/" && operation != "//")) return std::nullopt;
  const double by = other.is_int() ? static_cast<double>(other.as_int()) : other.as_double();
  if (by == 0) return wrong("integer division or modulo by zero");
  if (!other.is_int()) {
    if (operation == "//") return std::nullopt;
    return span_value(times(micros_, jinja::Value(1 / by)));
  }
  const auto divisor = other.as_int();
  auto quotient = floored(micros_, divisor);
  const auto size = [](std::int64_t of) {
    return of < 0 ? 0 - static_cast<std::uint64_t>(of) : static_cast<std::uint64_t>(of);
  };
  auto rest = micros_ % divisor;
  if (rest != 0 && (rest < 0) != (divisor < 0)) rest += divisor;
  const auto up = size(divisor) - size(rest);  // to the next one; the even one of two as near
  const bool is_nearer = size(rest) > up || (size(rest) == up && quotient % 2 != 0);
  if (operation == "/" && is_nearer) ++quotient;
  return span_value(quotient);
}

/// A date or a datetime.
class Moment final : public jinja::HostObject {
 public:
  Moment(Timestamp at, bool with_time, bool zoned)
      : at_(at), with_time_(with_time), zoned_(zoned) {}

  std::string type_name() const override {
    return with_time_ ? "datetime.datetime" : "datetime.date";
  }
  std::string text() const override { return iso(' '); }
  std::string repr() const override {
    if (!with_time_) return fmt::format("datetime.date({})", numbers(3));
    const auto fields = civil_fields(at_);
    const std::size_t count = *fields[6] != 0 ? 7 : *fields[5] != 0 ? 6 : 5;
    return fmt::format("datetime.datetime({}{})", numbers(count), zoned_ ? ", tzinfo=<UTC>" : "");
  }
  bool equals(const HostObject& other) const override { return text() == other.text(); }

  Result<jinja::Value> attribute(const std::string& name) override {
    const auto field = std::ranges::find(kCivilFields, name) - kCivilFields.begin();
    if (static_cast<std::size_t>(field) >= fields_count()) return jinja::Value::undefined(name);
    return jinja::Value(*civil_fields(at_)[static_cast<std::size_t>(field)]);
  }

  Result<jinja::Value> call_method(const std::string& name,
                                   const jinja::Arguments& arguments) override {
    if (name == "strftime")
      return jinja::Value(strftime(at_, text_argument(arguments, 0, "format")));
    if (name == "isoformat") {
      const auto separator = text_argument(arguments, 0, "sep");
      return jinja::Value(iso(separator.empty() ? 'T' : separator[0]));
    }
    if (name == "date") return date_value(std::chrono::floor<std::chrono::days>(at_));
    if (name == "weekday") return jinja::Value(iso_weekday(at_) - 1);
    if (name == "isoweekday") return jinja::Value(iso_weekday(at_));
    if (name == "timestamp")
      return jinja::Value(static_cast<double>(at_.time_since_epoch().count()) / 1e6);
    if (name == "astimezone") return host_value<Moment>(at_, with_time_, zoned_);
    if (name == "replace") {
      const auto replaced = TRY(fields_of(arguments, fields_count(), civil_fields(at_)));
      bool zoned = zoned_;
      for (const auto& [its, value] : arguments.named) {
        if (its == "tzinfo" && value.is_none()) zoned = false;
      }
      return host_value<Moment>(TRY(civil_instant(replaced)), with_time_, zoned);
    }
    return HostObject::call_method(name, arguments);
  }

  std::optional<Result<jinja::Value>> operate(std::string_view operation, const jinja::Value& other,
                                              bool reflected) override {
    if (const auto* span = as<Span>(other)) {
      if (operation == "+") return moved(span->micros());
      if (operation == "-" && !reflected) return moved(-span->micros());
      return std::nullopt;
    }
    const auto* moment = as<Moment>(other);
    if (!moment || moment->with_time_ != with_time_) return std::nullopt;
    if (operation != "-" && operation != "<") return std::nullopt;
    if (moment->zoned_ != zoned_) {
      return wrong(fmt::format("can't {} offset-naive and offset-aware datetimes",
                               operation == "-" ? "subtract" : "compare"));
    }
    if (operation == "<") return Result<jinja::Value>(at_ < moment->at_);
    return span_value((at_ - moment->at_).count());
  }

 private:
  std::size_t fields_count() const { return with_time_ ? 7 : 3; }

  std::string numbers(std::size_t count) const {
    std::string out;
    const auto its = civil_fields(at_);
    for (std::size_t i = 0; i < count; ++i) {
      out += fmt::format("{}{}", i ? ", " : "", *its[i]);
    }
    return out;
  }

  /// Later by so much; a date by whole days.
  Result<jinja::Value> moved(std::int64_t micros) const {
    if (!with_time_) micros = Span(micros).days() * kDayMicros;
    constexpr Timestamp kFirst{Date(std::chrono::year(1) / 1 / 1)};
    constexpr Timestamp kEnd{Date(std::chrono::year(kLastYear + 1) / 1 / 1)};
    const auto at = sum(at_.time_since_epoch().count(), micros);
    if (!at || *at < kFirst.time_since_epoch().count() || *at >= kEnd.time_since_epoch().count()) {
      return wrong("date value out of range");
    }
    return host_value<Moment>(Timestamp(std::chrono::microseconds(*at)), with_time_, zoned_);
  }

  std::string iso(char separator) const {
    if (!with_time_) return strftime(at_, "%Y-%m-%d");
    std::string out = strftime(at_, "%Y-%m-%d") + separator + strftime(at_, "%H:%M:%S");
    if (*civil_fields(at_)[6] != 0) out += strftime(at_, ".%f");
    return out + (zoned_ ? "+00:00" : "");
  }

  Timestamp at_;
  bool with_time_;
  bool zoned_;
};

jinja::Value datetime_class(const Clock& clock) {
  const auto now = [&clock](const jinja::Arguments&) -> Result<jinja::Value> {
    return datetime_value(clock.now());
  };
  const auto make = [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
    return datetime_value(TRY(instant_of(arguments, 7)));
  };
  return make_object(
      "datetime.datetime",
      {{"now", jinja::Value::function("now", now)},
       {"utcnow", jinja::Value::function("utcnow", now)},
       {"today", jinja::Value::function("today", now)},
       {"strptime",
        jinja::Value::function("strptime",
                               [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
                                 const auto text = text_argument(arguments, 0, "date_string");
                                 const auto format = text_argument(arguments, 1, "format");
                                 return datetime_value(TRY(strptime(text, format)));
                               })},
       {"fromisoformat",
        jinja::Value::function("fromisoformat",
                               [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
                                 const auto parsed =
                                     TRY(parse_rfc3339(text_argument(arguments, 0, "date_string")));
                                 return datetime_value(parsed.at);
                               })}},
      make);
}

jinja::Value date_class(const Clock& clock) {
  return make_object(
      "datetime.date",
      {{"today", jinja::Value::function("today",
                                        [&clock](const jinja::Arguments&) -> Result<jinja::Value> {
                                          return date_value(
                                              std::chrono::floor<std::chrono::days>(clock.now()));
                                        })},
       {"fromisoformat",
        jinja::Value::function("fromisoformat",
                               [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
                                 const auto date =
                                     TRY(parse_date(text_argument(arguments, 0, "date_string")));
                                 return date_value(date);
                               })}},
      [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
        const auto instant = TRY(instant_of(arguments, 3));
        return date_value(std::chrono::floor<std::chrono::days>(instant));
      });
}

jinja::Value timedelta_class() {
  struct Unit {
    std::string_view name;
    std::int64_t micros;
  };
  static constexpr std::array<Unit, 7> kUnits = {{{"days", kDayMicros},
                                                  {"seconds", kSecondMicros},
                                                  {"microseconds", 1},
                                                  {"milliseconds", 1'000},
                                                  {"minutes", 60 * kSecondMicros},
                                                  {"hours", 3'600 * kSecondMicros},
                                                  {"weeks", 7 * kDayMicros}}};
  const auto make = [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
    for (const auto& [name, value] : arguments.named) {
      if (std::ranges::find(kUnits, name, &Unit::name) != kUnits.end()) continue;
      return wrong(fmt::format("'{}' is an invalid keyword argument for __new__()", name));
    }
    std::optional<std::int64_t> micros = 0;
    for (std::size_t i = 0; i < kUnits.size() && micros; ++i) {
      const auto value = argument(arguments, i, kUnits[i].name, 0);
      if (!value.is_int() && !value.is_double()) {
        return wrong(fmt::format("unsupported type for timedelta {} component: {}", kUnits[i].name,
                                 value.type_name()));
      }
      const auto its = times(kUnits[i].micros, value);
      micros = its ? sum(*micros, *its) : std::nullopt;
    }
    return span_value(micros);
  };
  return make_object("datetime.timedelta", {}, make);
}

}  // namespace

jinja::Value date_value(Date date) { return host_value<Moment>(Timestamp(date), false, false); }

jinja::Value datetime_value(Timestamp at, bool zoned) {
  return host_value<Moment>(at, true, zoned);
}

jinja::Value datetime_module(const Clock& clock) {
  return make_object("module", {{"datetime", datetime_class(clock)},
                                {"date", date_class(clock)},
                                {"timedelta", timedelta_class()}});
}

}  // namespace tapeline::transform
