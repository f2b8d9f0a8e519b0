#include "jinja/text_methods.h"

#include <algorithm>
#include <limits>
#include <map>

#include "jinja/failure.h"
#include "jinja/filters.h"
#include "jinja/operations.h"
#include "jinja/text_format.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

struct TextCall {
  const std::string& text;
  const std::string& name;
  const Arguments& arguments;
  std::size_t bytes_max;
};
using Method = Value (*)(const TextCall&);

const std::string& require_text(const Value& value) {
  require_defined(value);
  if (!value.is_string()) fail("expected a str, got {}", value.type_name());
  return value.as_string();
}

void no_arguments(const TextCall& call) { const Bound bound(call.name, call.arguments, {}); }

Value list_of(const std::vector<std::string>& parts) {
  std::vector<Value> items(parts.begin(), parts.end());
  return Value::list(std::move(items));
}

template <std::string (*change)(std::string_view)>
Value changed(const TextCall& call) {
  no_arguments(call);
  return Value(change(call.text));
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (const std::string_view point : code_points(text)) {
    out += is_upper(code_point_at(point, 0)) ? to_lower(point) : to_upper(point);
  }
  return out;
}

template <bool left, bool right>
Value text_strip(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"chars"});
  const Value* characters = bound.given(0);
  if (characters != nullptr) require_text(*characters);
  return Value(stripped(call.text, characters, left, right));
}

Value text_split(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"sep", "maxsplit"});
  const bool from_right = call.name == "rsplit";
  std::int64_t left = bound.integer(1, -1);
  if (left < 0) left = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> parts;
  std::string_view rest = call.text;
  const Value* separator = bound.given(0);
  const std::string mark = separator == nullptr ? "" : require_text(*separator);
  if (separator != nullptr && mark.empty()) fail("empty separator");
  if (separator == nullptr) rest = strip(rest, !from_right, from_right);
  while (!rest.empty() || separator != nullptr) {
    std::size_t at = std::string_view::npos;
    std::size_t size = mark.size();
    if (left > 0 && separator != nullptr) {
      at = from_right ? rest.rfind(mark) : rest.find(mark);
    } else if (left > 0) {
      // The run of white space nearest to the end that is being split from.
      const auto points = code_points(rest);
      std::size_t byte = from_right ? rest.size() : 0;
      for (std::size_t i = 0; i < points.size(); ++i) {
        const std::string_view point = points[from_right ? points.size() - 1 - i : i];
        if (from_right) byte -= point.size();
        if (is_space(code_point_at(point, 0))) {
          at = byte;
          size = point.size();
          break;
        }
        if (!from_right) byte += point.size();
      }
    }
    if (at == std::string_view::npos) {
      parts.emplace_back(rest);
      break;
    }
    std::string_view part = from_right ? rest.substr(at + size) : rest.substr(0, at);
    rest = from_right ? rest.substr(0, at) : rest.substr(at + size);
    if (separator == nullptr) rest = strip(rest, !from_right, from_right);
    parts.emplace_back(part);
    --left;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return list_of(parts);
}

Value text_splitlines(const TextCall& call) {
  const Bound bound("splitlines", call.arguments, {"keepends"});
  return list_of(split_lines(call.text, bound.truth(0, false)));
}

Value text_partition(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"sep"}, 1);
  const std::string& mark = require_text(bound.value(0));
  if (mark.empty()) fail("empty separator");
  const bool from_right = call.name == "rpartition";
  const std::size_t at = from_right ? call.text.rfind(mark) : call.text.find(mark);
  if (at == std::string::npos) {
    if (from_right) return Value::tuple({"", "", call.text});
    return Value::tuple({call.text, "", ""});
  }
  return Value::tuple({call.text.substr(0, at), mark, call.text.substr(at + mark.size())});
}

Value text_replace(const TextCall& call) {
  const Bound bound("replace", call.arguments, {"old", "new", "count"}, 2);
  return Value(replaced(call.text, require_text(bound.value(0)), require_text(bound.value(1)),
                        bound.integer(2, -1), call.bytes_max));
}

/// The part of the text between two optional indexes, and where it begins.
struct Window {
  std::string_view text;
  std::size_t begin;
  bool outside;  // it begins after the end: even nothing is not found in it
};

Window window(const TextCall& call, const Bound& bound, std::size_t first) {
  const std::int64_t size = text_length(call.text);
  const auto place = [&](std::size_t index, std::int64_t fallback) {
    const std::int64_t at =
        bound.given(index) == nullptr ? fallback : bound.integer(index, fallback);
    return at < 0 ? std::max<std::int64_t>(at < -size ? 0 : at + size, 0) : at;
  };
  const std::int64_t begin = place(first, 0);
  const std::int64_t end = std::min(place(first + 1, size), size);
  if (begin > end) return {"", 0, true};
  const std::size_t from = byte_of(call.text, begin);
  return {std::string_view(call.text).substr(from, byte_of(call.text, end) - from), from, false};
}

Value text_find(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"sub", "start", "end"}, 1);
  const std::string& wanted = require_text(bound.value(0));
  const Window part = window(call, bound, 1);
  const bool from_right = call.name[0] == 'r';
  std::size_t at = std::string_view::npos;
  if (!part.outside) at = from_right ? part.text.rfind(wanted) : part.text.find(wanted);
  if (at != std::string_view::npos) {
    return Value(text_length(std::string_view(call.text).substr(0, part.begin + at)));
  }
  if (call.name.ends_with("index")) fail("substring not found");
  return Value(-1);
}

Value text_count(const TextCall& call) {
  const Bound bound("count", call.arguments, {"sub", "start", "end"}, 1);
  const std::string& wanted = require_text(bound.value(0));
  const Window part = window(call, bound, 1);
  if (part.outside) return Value(0);
  if (wanted.empty()) return Value(text_length(part.text) + 1);
  std::int64_t count = 0;
  for (std::size_t at = part.text.find(wanted); at != std::string_view::npos;
       at = part.text.find(wanted, at + wanted.size())) {
    ++count;
  }
  return Value(count);
}

Value text_begins_or_ends(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"prefix", "start", "end"}, 1);
  const Window part = window(call, bound, 1);
  const auto matches = [&](const Value& wanted) {
    const std::string& text = require_text(wanted);
    if (part.outside) return false;
    return call.name == "startswith" ? part.text.starts_with(text) : part.text.ends_with(text);
  };
  if (!bound.value(0).is_tuple()) return Value(matches(bound.value(0)));
  const auto& any = bound.value(0).as_tuple();
  return Value(std::any_of(any.begin(), any.end(), matches));
}

Value text_join(const TextCall& call) {
  const Bound bound("join", call.arguments, {"iterable"}, 1);
  std::string out;
  bool first = true;
  require_defined(bound.value(0));
  for (const Value& item : items_of(bound.value(0))) {
    if (!item.is_string()) fail("sequence item: expected str instance, {} found", item.type_name());
    if (!first) out += call.text;
    first = false;
    out += item.as_string();
    if (out.size() > call.bytes_max) fail("the text would be longer than {} bytes", call.bytes_max);
  }
  return Value(std::move(out));
}

Value text_remove_affix(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"affix"}, 1);
  const std::string& affix = require_text(bound.value(0));
  std::string_view text = call.text;
  if (call.name == "removeprefix" && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (call.name == "removesuffix" && text.ends_with(affix)) text.remove_suffix(affix.size());
  return Value(text);
}

std::int64_t width_of(const TextCall& call, const Bound& bound) {
  const std::int64_t width = require_integer(bound.value(0));
  if (width > static_cast<std::int64_t>(call.bytes_max / 4)) {
    fail("the text would be longer than {} bytes", call.bytes_max);
  }
  return width;
}

Value text_justify(const TextCall& call) {
  const Bound bound(call.name, call.arguments, {"width", "fillchar"}, 1);
  const std::int64_t width = width_of(call, bound);
  const std::string fill = bound[1] == nullptr ? " " : require_text(bound.value(1));
  if (text_length(fill) != 1) fail("the fill character must be exactly one character long");
  if (call.name == "center") return Value(centered(call.text, width, fill));
  std::string padding;
  for (std::int64_t i = text_length(call.text); i < width; ++i) padding += fill;
  return Value(call.name == "ljust" ? call.text + padding : padding + call.text);
}

Value text_zfill(const TextCall& call) {
  const Bound bound("zfill", call.arguments, {"width"}, 1);
  const std::int64_t lacking = width_of(call, bound) - text_length(call.text);
  if (lacking <= 0) return Value(call.text);
  const bool sign = !call.text.empty() && (call.text[0] == '-' || call.text[0] == '+');
  const std::string zeros(static_cast<std::size_t>(lacking), '0');
  return Value(call.text.substr(0, sign ? 1 : 0) + zeros + call.text.substr(sign ? 1 : 0));
}

Value text_format(const TextCall& call) {
  return Value(brace_format(call.bytes_max, call.text, call.arguments));
}

template <bool (*holds)(std::uint32_t)>
Value all_are(const TextCall& call) {
  no_arguments(call);
  const auto points = code_points(call.text);
  return Value(!points.empty() && std::all_of(points.begin(), points.end(), [](auto point) {
    return holds(code_point_at(point, 0));
  }));
}

bool is_letter_or_digit(std::uint32_t c) { return is_letter(c) || is_digit(c); }

template <bool (*wanted)(std::uint32_t), bool (*unwanted)(std::uint32_t)>
Value cased(const TextCall& call) {
  no_arguments(call);
  bool any = false;
  for (const std::string_view point : code_points(call.text)) {
    if (unwanted(code_point_at(point, 0))) return Value(false);
    any = any || wanted(code_point_at(point, 0));
  }
  return Value(any);
}

Value is_title(const TextCall& call) {
  no_arguments(call);
  return Value(title(call.text) == call.text && to_lower(call.text) != call.text);
}

Value is_identifier(const TextCall& call) {
  no_arguments(call);
  const auto points = code_points(call.text);
  if (points.empty() || is_digit(code_point_at(points[0], 0))) return Value(false);
  return Value(std::all_of(points.begin(), points.end(), [](auto point) {
    return point == "_" || is_letter_or_digit(code_point_at(point, 0));
  }));
}

Value expand_tabs(const TextCall& call) {
  const Bound bound("expandtabs", call.arguments, {"tabsize"});
  const std::int64_t size = bound.integer(0, 8);
  if (size > 1000) fail("the tab size {} is over 1000", size);
  std::string out;
  std::int64_t column = 0;
  for (const std::string_view point : code_points(call.text)) {
    if (point == "\t") {
      const std::int64_t spaces = size <= 0 ? 0 : size - column % size;
      out.append(static_cast<std::size_t>(spaces), ' ');
      column += spaces;
    } else {
      out += point;
      column = point == "\n" || point == "\r" ? 0 : column + 1;
    }
    if (out.size() > call.bytes_max) fail("the text would be longer than {} bytes", call.bytes_max);
  }
  return Value(std::move(out));
}

const std::map<std::string, Method, std::less<>> kMethods = {
    {"capitalize", changed<capitalize>},
    {"casefold", changed<to_lower>},
    {"center", text_justify},
    {"count", text_count},
    {"endswith", text_begins_or_ends},
    {"expandtabs", expand_tabs},
    {"find", text_find},
    {"format", text_format},
    {"index", text_find},
    {"isalnum", all_are<is_letter_or_digit>},
    {"isalpha", all_are<is_letter>},
    {"isdecimal", all_are<is_digit>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", is_identifier},
    {"islower", cased<is_lower, is_upper>},
    {"isnumeric", all_are<is_digit>},
    {"isspace", all_are<is_space>},
    {"istitle", is_title},
    {"isupper", cased<is_upper, is_lower>},
    {"join", text_join},
    {"ljust", text_justify},
    {"lower", changed<to_lower>},
    {"lstrip", text_strip<true, false>},
    {"partition", text_partition},
    {"removeprefix", text_remove_affix},
    {"removesuffix", text_remove_affix},
    {"replace", text_replace},
    {"rfind", text_find},
    {"rindex", text_find},
    {"rjust", text_justify},
    {"rpartition", text_partition},
    {"rsplit", text_split},
    {"rstrip", text_strip<false, true>},
    {"split", text_split},
    {"splitlines", text_splitlines},
    {"startswith", text_begins_or_ends},
    {"strip", text_strip<true, true>},
    {"swapcase", changed<swap_case>},
    {"title", changed<title>},
    {"upper", changed<to_upper>},
    {"zfill", text_zfill},
};

}  // namespace

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (const std::string_view point : code_points(text)) {
    out += inside ? to_lower(point) : to_upper(point);
    const std::uint32_t c = code_point_at(point, 0);
    inside = is_upper(c) || is_lower(c);
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t times, std::size_t bytes_max) {
  if (times < 0) times = std::numeric_limits<std::int64_t>::max();
  std::string out;
  const auto require_short = [&] {
    if (out.size() > bytes_max) fail("the text would be longer than {} bytes", bytes_max);
  };
  if (from.empty()) {
    for (const std::string_view point : code_points(text)) {
      if (times-- > 0) out += to;
      out += point;
      require_short();
    }
    if (times > 0) out += to;
    return out;
  }
  std::size_t at = 0;
  for (; times > 0; --times) {
    const std::size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
    require_short();
  }
  return out += text.substr(at);
}

std::string_view stripped(std::string_view text, const Value* characters, bool left, bool right) {
  if (characters == nullptr) return strip(text, left, right);
  const auto set = code_points(characters->as_string());
  const auto points = code_points(text);
  const auto among = [&set](std::string_view point) {
    return std::find(set.begin(), set.end(), point) != set.end();
  };
  std::size_t begin = 0;
  std::size_t end = points.size();
  while (left && begin < end && among(points[begin])) text.remove_prefix(points[begin++].size());
  while (right && end > begin && among(points[end - 1])) text.remove_suffix(points[--end].size());
  return text;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t c = code_point_at(text, at);
    const std::size_t bytes = code_point_bytes(text, at);
    const bool ends =
        (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends || (bytes == 1 && c >= 0x80)) {
      at += bytes;
      continue;
    }
    std::size_t next = at + bytes;
    if (c == '\r' && next < text.size() && text[next] == '\n') ++next;
    lines.emplace_back(text.substr(begin, (keep_ends ? next : at) - begin));
    at = begin = next;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const std::string_view point : code_points(text)) {
    const bool space = is_space(code_point_at(point, 0));
    if (!space && !inside) words.emplace_back();
    if (!space) words.back() += point;
    inside = !space;
  }
  return words;
}

std::string centered(const std::string& text, std::int64_t width, std::string_view fill) {
  const std::int64_t lacking = width - text_length(text);
  if (lacking <= 0) return text;
  // Where it does not come out even, Python gives the left side more in odd widths only.
  const std::int64_t left = lacking / 2 + (lacking & width & 1);
  std::string out;
  for (std::int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (std::int64_t i = left; i < lacking; ++i) out += fill;
  return out;
}

bool has_text_method(const std::string& name) { return kMethods.find(name) != kMethods.end(); }

Value call_text_method(const Value& object, const std::string& name, const Arguments& arguments,
                       std::size_t bytes_max) {
  return kMethods.find(name)->second({object.as_string(), name, arguments, bytes_max});
}

}  // namespace tapeline::jinja
