#include "transform/modules.h"

#include <fmt/format.h>

#include <array>
#include <regex>

#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

constexpr std::array<const char*, 12> kMonths = {"January",   "February", "March",    "April",
                                                 "May",       "June",     "July",     "August",
                                                 "September", "October",  "November", "December"};
constexpr std::array<const char*, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};

struct Parts {
  std::chrono::year_month_day day;
  std::chrono::weekday weekday;
  int day_of_year = 0;
  std::int64_t micros = 0;  // since midnight
};

Parts parts_of(Timestamp at) {
  const auto midnight = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day day{midnight};
  const auto new_year = std::chrono::sys_days{day.year() / 1 / 1};
  return {day, std::chrono::weekday{midnight}, static_cast<int>((midnight - new_year).count()) + 1,
          (at - midnight).count()};
}

std::string strftime(Timestamp at, std::string_view format) {
  const auto parts = parts_of(at);
  const auto seconds = parts.micros / 1'000'000;
  const auto year = static_cast<int>(parts.day.year());
  const auto month = static_cast<unsigned>(parts.day.month());
  const auto day = static_cast<unsigned>(parts.day.day());
  const auto hour = seconds / 3600;
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        out += fmt::format("{:04}", year);
        break;
      case 'y':
        out += fmt::format("{:02}", year % 100);
        break;
      case 'm':
        out += fmt::format("{:02}", month);
        break;
      case 'd':
        out += fmt::format("{:02}", day);
        break;
      case 'H':
        out += fmt::format("{:02}", hour);
        break;
      case 'I':
        out += fmt::format("{:02}", hour % 12 == 0 ? 12 : hour % 12);
        break;
      case 'p':
        out += hour < 12 ? "AM" : "PM";
        break;
      case 'M':
        out += fmt::format("{:02}", seconds / 60 % 60);
        break;
      case 'S':
        out += fmt::format("{:02}", seconds % 60);
        break;
      case 'f':
        out += fmt::format("{:06}", parts.micros % 1'000'000);
        break;
      case 'j':
        out += fmt::format("{:03}", parts.day_of_year);
        break;
      case 'B':
        out += kMonths[month - 1];
        break;
      case 'b':
        out += std::string_view(kMonths[month - 1]).substr(0, 3);
        break;
      case 'A':
        out += kDays[parts.weekday.c_encoding()];
        break;
      case 'a':
        out += std::string_view(kDays[parts.weekday.c_encoding()]).substr(0, 3);
        break;
      case 'w':
        out += fmt::format("{}", parts.weekday.c_encoding());
        break;
      case 'u':
        out += fmt::format("{}", parts.weekday.iso_encoding());
        break;
      case 'z':
      case 'Z':
        break;
      case '%':
        out += '%';
        break;
      default:
        out += {'%', format[i]};
    }
  }
  return out;
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
  bool equals(const HostObject& other) const override { return text() == other.text(); }

  Result<jinja::Value> attribute(const std::string& name) override {
    const auto parts = parts_of(at_);
    const auto seconds = parts.micros / 1'000'000;
    if (name == "year") return jinja::Value(static_cast<int>(parts.day.year()));
    if (name == "month") return jinja::Value(static_cast<int>(unsigned(parts.day.month())));
    if (name == "day") return jinja::Value(static_cast<int>(unsigned(parts.day.day())));
    if (with_time_ && name == "hour") return jinja::Value(seconds / 3600);
    if (with_time_ && name == "minute") return jinja::Value(seconds / 60 % 60);
    if (with_time_ && name == "second") return jinja::Value(seconds % 60);
    if (with_time_ && name == "microsecond") return jinja::Value(parts.micros % 1'000'000);
    return jinja::Value::undefined(name);
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
    if (name == "weekday")
      return jinja::Value(static_cast<int>(parts_of(at_).weekday.iso_encoding()) - 1);
    if (name == "isoweekday")
      return jinja::Value(static_cast<int>(parts_of(at_).weekday.iso_encoding()));
    if (name == "timestamp")
      return jinja::Value(static_cast<double>(at_.time_since_epoch().count()) / 1e6);
    if (name == "astimezone" || name == "replace") return jinja::Value(clone());
    return HostObject::call_method(name, arguments);
  }

 private:
  std::shared_ptr<HostObject> clone() const {
    return std::make_shared<Moment>(at_, with_time_, zoned_);
  }
  std::string iso(char separator) const {
    if (!with_time_) return strftime(at_, "%Y-%m-%d");
    std::string out = strftime(at_, "%Y-%m-%d") + separator + strftime(at_, "%H:%M:%S");
    if (parts_of(at_).micros % 1'000'000 != 0) out += strftime(at_, ".%f");
    return out + (zoned_ ? "+00:00" : "");
  }

  Timestamp at_;
  bool with_time_;
  bool zoned_;
};

std::int64_t int_argument(const jinja::Arguments& arguments, std::size_t position,
                          std::string_view name, std::int64_t fallback) {
  const auto value = argument(arguments, position, name, fallback);
  return value.is_int() ? value.as_int() : fallback;
}

Date date_of(const jinja::Arguments& arguments) {
  return std::chrono::year{static_cast<int>(int_argument(arguments, 0, "year", 1970))} /
         static_cast<int>(int_argument(arguments, 1, "month", 1)) /
         static_cast<int>(int_argument(arguments, 2, "day", 1));
}

/// Reads a text by a format of %Y %m %d %H %M %S %f and plain characters.
Result<jinja::Value> strptime(const std::string& text, std::string_view format) {
  const Error mismatch{ErrorCode::invalid_argument,
                       fmt::format("time data '{}' does not match format '{}'", text, format), ""};
  std::int64_t year = 1900, month = 1, day = 1, hour = 0, minute = 0, second = 0, micros = 0;
  std::size_t at = 0;
  const auto number = [&](std::size_t digits_max) -> std::int64_t {
    std::int64_t value = 0;
    std::size_t digits = 0;
    while (digits < digits_max && at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
      ++digits;
    }
    return digits == 0 ? -1 : value;
  };
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      if (at >= text.size() || text[at++] != format[i]) return mismatch;
      continue;
    }
    std::int64_t* field = nullptr;
    switch (format[++i]) {
      case 'Y':
        field = &year;
        break;
      case 'm':
        field = &month;
        break;
      case 'd':
        field = &day;
        break;
      case 'H':
        field = &hour;
        break;
      case 'M':
        field = &minute;
        break;
      case 'S':
        field = &second;
        break;
      case 'f':
        field = &micros;
        break;
      default:
        return mismatch;
    }
    *field = number(format[i] == 'Y' ? 4 : format[i] == 'f' ? 6 : 2);
    if (*field < 0) return mismatch;
  }
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (at != text.size() || !date.ok()) return mismatch;
  return datetime_value(Timestamp(std::chrono::sys_days{date}) +
                        std::chrono::seconds(hour * 3600 + minute * 60 + second) +
                        std::chrono::microseconds(micros));
}

jinja::Value datetime_class(const Clock& clock) {
  const auto now = [&clock](const jinja::Arguments&) -> Result<jinja::Value> {
    return datetime_value(clock.now());
  };
  const auto make = [](const jinja::Arguments& arguments) -> Result<jinja::Value> {
    return datetime_value(Timestamp(date_of(arguments)) +
                          std::chrono::hours(int_argument(arguments, 3, "hour", 0)) +
                          std::chrono::minutes(int_argument(arguments, 4, "minute", 0)) +
                          std::chrono::seconds(int_argument(arguments, 5, "second", 0)) +
                          std::chrono::microseconds(int_argument(arguments, 6, "microsecond", 0)));
  };
  return make_object(
      "datetime.datetime",
      {{"now", jinja::Value::function("now", now)},
       {"utcnow", jinja::Value::function("utcnow", now)},
       {"today", jinja::Value::function("today", now)},
       {"strptime", jinja::Value::function("strptime",
                                           [](const jinja::Arguments& arguments) {
                                             return strptime(
                                                 text_argument(arguments, 0, "date_string"),
                                                 text_argument(arguments, 1, "format"));
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
        return date_value(date_of(arguments));
      });
}

constexpr std::size_t kRecursedMax = 2000;

/// The regular expression for a text. libstdc++ recurses with each character of it, until the stack
/// is gone, or walks all ways at once, which knows no references back.
Result<std::regex> compile_regex(const std::string& pattern, const std::string& text) {
  const auto failed = [&](std::string_view why) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("regular expression '{}': {}", pattern, why), ""};
  };
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
  } catch (const std::regex_error& error) {
    if (error.code() != std::regex_constants::error_complexity) return failed(error.what());
  }
  if (text.size() > kRecursedMax)
    return failed(
        fmt::format("with references back it takes texts of up to {} bytes", kRecursedMax));
  return std::regex(pattern, std::regex::ECMAScript);
}

jinja::Value match_value(const std::smatch& match) {
  std::vector<jinja::Value> groups;
  for (const auto& group : match)
    groups.push_back(group.matched ? jinja::Value(group.str()) : jinja::Value());
  const auto at = [groups](std::size_t index) -> Result<jinja::Value> {
    if (index < groups.size()) return groups[index];
    return Error{ErrorCode::invalid_argument, "no such group", ""};
  };
  return make_object(
      "re.Match",
      {{"group", jinja::Value::function("group",
                                        [at](const jinja::Arguments& arguments) {
                                          return at(static_cast<std::size_t>(
                                              int_argument(arguments, 0, "group", 0)));
                                        })},
       {"groups",
        jinja::Value::function("groups", [groups](const jinja::Arguments&) -> Result<jinja::Value> {
          return jinja::Value::tuple({groups.begin() + 1, groups.end()});
        })}});
}

jinja::Value regex_function(const std::string& name, bool at_start, bool whole) {
  return jinja::Value::function(
      name, [at_start, whole](const jinja::Arguments& arguments) -> Result<jinja::Value> {
        const auto text = text_argument(arguments, 1, "string");
        const auto regex = TRY(compile_regex(text_argument(arguments, 0, "pattern"), text));
        std::smatch match;
        const auto flags =
            at_start ? std::regex_constants::match_continuous : std::regex_constants::match_default;
        const bool found = whole ? std::regex_match(text, match, regex)
                                 : std::regex_search(text, match, regex, flags);
        return found ? match_value(match) : jinja::Value();
      });
}

Result<jinja::Value> regex_sub(const jinja::Arguments& arguments) {
  const auto text = text_argument(arguments, 2, "string");
  const auto regex = TRY(compile_regex(text_argument(arguments, 0, "pattern"), text));
  std::string replacement;  // \1 is $1 there, and a plain $ is $$
  for (const char c : text_argument(arguments, 1, "repl")) {
    if (c == '\\')
      replacement += '$';
    else if (c == '$')
      replacement += "$$";
    else
      replacement += c;
  }
  return jinja::Value(std::regex_replace(text, regex, replacement));
}

Result<jinja::Value> regex_findall(const jinja::Arguments& arguments) {
  const auto text = text_argument(arguments, 1, "string");
  const auto regex = TRY(compile_regex(text_argument(arguments, 0, "pattern"), text));
  std::vector<jinja::Value> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.emplace_back((*it)[it->size() > 1 ? 1 : 0].str());
  return jinja::Value::list(std::move(found));
}

Result<jinja::Value> regex_split(const jinja::Arguments& arguments) {
  const auto text = text_argument(arguments, 1, "string");
  const auto regex = TRY(compile_regex(text_argument(arguments, 0, "pattern"), text));
  std::vector<jinja::Value> parts;
  for (std::sregex_token_iterator it(text.begin(), text.end(), regex, -1), end; it != end; ++it)
    parts.emplace_back(it->str());
  return jinja::Value::list(std::move(parts));
}

}  // namespace

jinja::Value date_value(Date date) { return host_value<Moment>(Timestamp(date), false, false); }

jinja::Value datetime_value(Timestamp at, bool zoned) {
  return host_value<Moment>(at, true, zoned);
}

jinja::Value modules_value(const Clock& clock) {
  const auto datetime =
      make_object("module", {{"datetime", datetime_class(clock)}, {"date", date_class(clock)}});
  const auto re =
      make_object("module", {{"match", regex_function("match", true, false)},
                             {"search", regex_function("search", false, false)},
                             {"fullmatch", regex_function("fullmatch", true, true)},
                             {"sub", jinja::Value::function("sub", regex_sub)},
                             {"findall", jinja::Value::function("findall", regex_findall)},
                             {"split", jinja::Value::function("split", regex_split)}});
  return make_object("modules", {{"datetime", datetime}, {"re", re}});
}

}  // namespace tapeline::transform
