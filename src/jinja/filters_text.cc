#include <algorithm>
#include <cmath>

#include "jinja/failure.h"
#include "jinja/filter_tables.h"
#include "jinja/number_text.h"
#include "jinja/operations.h"
#include "jinja/text_format.h"
#include "jinja/text_methods.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

/// Some filters take nothing but texts, where others turn what they get into one.
const std::string& require_text(const Value& input) {
  require_defined(input);
  if (!input.is_string()) fail("a str is expected, got {}", input.type_name());
  return input.as_string();
}

Value filter_capitalize(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("capitalize", arguments, {});
  return Value(capitalize(input.text()));
}

std::int64_t bounded_width(Runtime& runtime, std::int64_t width) {
  if (width > static_cast<std::int64_t>(runtime.bytes_max() / 4)) {
    fail("the text would be longer than {} bytes", runtime.bytes_max());
  }
  return width;
}

Value filter_center(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("center", arguments, {"width"});
  return Value(centered(input.text(), bounded_width(runtime, bound.integer(0, 80)), " "));
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '\'')
      out += "&#39;";
    else if (c == '"')
      out += "&#34;";
    else
      out += c;
  }
  return out;
}

Value filter_escape(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("escape", arguments, {});
  return Value(escaped(input.text()));
}

Value filter_filesizeformat(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("filesizeformat", arguments, {"binary"});
  const bool binary = bound.truth(0, false);
  require_defined(input);
  const auto number = input.is_string() ? read_float(input.as_string()) : as_number(input);
  if (!number) fail("a number of bytes is expected, got {}", input.type_name());
  const double base = binary ? 1024 : 1000;
  if (*number == 1) return Value("1 Byte");
  if (*number < base) return Value(fmt::format("{} Bytes", static_cast<std::int64_t>(*number)));
  static constexpr const char* kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr const char* kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  double unit = base;
  for (std::size_t i = 0;; ++i) {
    unit *= base;
    if (*number < unit || i == 7) {
      return Value(
          fmt::format("{:.1f} {}", base * *number / unit, (binary ? kBinary : kDecimal)[i]));
    }
  }
}

Value filter_format(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    fail("can't handle positional and keyword arguments at the same time");
  }
  Value values = Value::tuple(arguments.positional);
  if (!arguments.named.empty()) {
    values = Value::dict();
    for (const auto& [name, value] : arguments.named) values.set(name, value);
  }
  return Value(percent_format(runtime.bytes_max(), input.text(), values));
}

Value filter_indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  std::string margin;
  if (bound[0] != nullptr && bound.value(0).is_string()) {
    margin = bound.value(0).as_string();
  } else {
    const std::int64_t width = bounded_width(runtime, bound.integer(0, 4));
    margin.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
  }
  const bool blank = bound.truth(2, false);
  const std::vector<std::string> lines = split_lines(require_text(input) + "\n");
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    const bool wanted = i == 0 ? bound.truth(1, false) : blank || !lines[i].empty();
    if (wanted) out += margin;
    out += lines[i];
    if (out.size() > runtime.bytes_max()) {
      fail("the text would be longer than {} bytes", runtime.bytes_max());
    }
  }
  return Value(std::move(out));
}

Value filter_lower(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("lower", arguments, {});
  return Value(to_lower(input.text()));
}

Value filter_upper(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("upper", arguments, {});
  return Value(to_upper(input.text()));
}

Value filter_replace(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  const std::int64_t count = bound.given(2) == nullptr ? -1 : bound.integer(2, -1);
  return Value(
      replaced(input.text(), bound.text(0, ""), bound.text(1, ""), count, runtime.bytes_max()));
}

Value filter_striptags(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("striptags", arguments, {});
  std::string text = input.text();
  for (const auto& [open, close] : {std::pair{"<!--", "-->"}, std::pair{"<", ">"}}) {
    for (std::size_t begin = 0; (begin = text.find(open, begin)) != std::string::npos;) {
      const std::size_t end = text.find(close, begin);
      if (end == std::string::npos) break;
      text.erase(begin, end + std::string_view(close).size() - begin);
    }
  }
  std::string out;
  for (const std::string& word : split_words(text)) out += (out.empty() ? "" : " ") + word;
  static constexpr std::pair<const char*, const char*> kEntities[] = {
      {"&lt;", "<"},   {"&gt;", ">"},    {"&#39;", "'"},
      {"&#34;", "\""}, {"&quot;", "\""}, {"&amp;", "&"}};
  for (const auto& [entity, sign] : kEntities) out = replaced(out, entity, sign, -1, SIZE_MAX);
  return Value(std::move(out));
}

// Jinja2's own: words begin after white space, - and opening brackets.
Value filter_title(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("title", arguments, {});
  std::string out;
  bool inside = false;
  const std::string text = input.text();
  for (const std::string_view point : code_points(text)) {
    const bool separator =
        is_space(code_point_at(point, 0)) ||
        (point.size() == 1 && std::string_view("-({[<").find(point[0]) != std::string_view::npos);
    out += separator || !inside ? to_upper(point) : to_lower(point);
    inside = !separator;
  }
  return Value(std::move(out));
}

Value filter_trim(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const Value* characters = bound.given(0);
  if (characters != nullptr && !characters->is_string()) fail("trim: chars must be a str");
  const std::string text = input.text();
  return Value(stripped(text, characters, true, true));
}

Value filter_truncate(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::int64_t length = bound.integer(0, 255);
  const std::string end = bound.text(2, "...");
  const std::int64_t leeway = bound.given(3) == nullptr ? 5 : bound.integer(3, 5);
  const std::int64_t kept = length - text_length(end);
  if (kept < 0) fail("expected length >= {}, got {}", text_length(end), length);
  if (leeway < 0) fail("expected leeway >= 0, got {}", leeway);
  if (length_of(input) - leeway <= length) return input;
  const std::string& text = require_text(input);
  std::string cut = text.substr(0, byte_of(text, kept));
  if (!bound.truth(1, false)) cut = cut.substr(0, cut.rfind(' '));
  return Value(cut + end);
}

void append_url_encoded(std::string& out, const std::string& text, bool query) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte)) ||
                       std::string_view("_.-~").find(c) != std::string_view::npos;
    if (plain || (c == '/' && !query))
      out += c;
    else if (c == ' ' && query)
      out += '+';
    else
      out += fmt::format("%{:02X}", byte);
  }
}

Value filter_urlencode(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("urlencode", arguments, {});
  std::string out;
  std::vector<std::pair<Value, Value>> pairs;
  if (input.is_dict()) {
    pairs = input.as_dict();
  } else if (input.is_string() || !try_items_of(input)) {
    append_url_encoded(out, input.text(), false);
    return Value(std::move(out));
  } else {
    for (const Value& item : items_of(input)) {
      const std::vector<Value> pair = items_of(item);
      if (pair.size() != 2) fail("urlencode takes pairs, got {} items", pair.size());
      pairs.emplace_back(pair[0], pair[1]);
    }
  }
  for (const auto& [key, value] : pairs) {
    if (!out.empty()) out += '&';
    append_url_encoded(out, key.text(), true);
    out += '=';
    append_url_encoded(out, value.text(), true);
  }
  return Value(std::move(out));
}

bool is_word(std::string_view point) {
  const std::uint32_t c = code_point_at(point, 0);
  return c == '_' || is_digit(c) || is_letter(c);
}

Value filter_wordcount(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("wordcount", arguments, {});
  std::int64_t count = 0;
  bool inside = false;
  const std::string text = input.text();
  for (const std::string_view point : code_points(text)) {
    if (is_word(point) && !inside) ++count;
    inside = is_word(point);
  }
  return Value(count);
}

// A line as textwrap cuts it: words and the spaces between; a word also after a hyphen.
std::vector<std::string> chunks_of(const std::string& line, bool on_hyphens) {
  std::vector<std::string> chunks;
  bool in_space = false;
  const auto points = code_points(line);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool space = is_space(code_point_at(points[i], 0));
    if (chunks.empty() || space != in_space) chunks.emplace_back();
    chunks.back() += points[i];
    in_space = space;
    const auto letter = [&](std::size_t at) {
      return at < points.size() && is_letter(code_point_at(points[at], 0));
    };
    if (on_hyphens && points[i] == "-" && i > 1 && letter(i - 1) && letter(i - 2) &&
        letter(i + 1) && letter(i + 2)) {
      chunks.emplace_back();
      in_space = false;
    }
  }
  return chunks;
}

std::vector<std::string> wrapped(const std::string& text, std::int64_t width, bool break_long,
                                 bool on_hyphens) {
  std::vector<std::string> lines;
  std::vector<std::string> chunks = chunks_of(text, on_hyphens);
  std::reverse(chunks.begin(), chunks.end());
  while (!chunks.empty()) {
    std::vector<std::string> line;
    std::int64_t length = 0;
    if (!lines.empty() && strip(chunks.back()).empty()) chunks.pop_back();
    while (!chunks.empty() && length + text_length(chunks.back()) <= width) {
      length += text_length(chunks.back());
      line.push_back(std::move(chunks.back()));
      chunks.pop_back();
    }
    if (!chunks.empty() && text_length(chunks.back()) > width) {
      if (break_long) {
        const std::size_t room = byte_of(chunks.back(), std::max<std::int64_t>(width - length, 1));
        line.push_back(chunks.back().substr(0, room));
        chunks.back() = chunks.back().substr(room);
      } else if (line.empty()) {
        line.push_back(std::move(chunks.back()));
        chunks.pop_back();
      }
    }
    if (!line.empty() && strip(line.back()).empty()) line.pop_back();
    if (line.empty()) continue;
    lines.emplace_back();
    for (const std::string& chunk : line) lines.back() += chunk;
  }
  return lines;
}

Value filter_wordwrap(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("wordwrap", arguments,
                    {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const std::int64_t width = bound.integer(0, 79);
  if (width <= 0) fail("invalid width {} (must be > 0)", width);
  const std::string newline = bound.given(2) == nullptr ? "\n" : bound.text(2, "\n");
  std::string out;
  bool first = true;
  for (const std::string& line : split_lines(require_text(input))) {
    auto parts = wrapped(line, width, bound.truth(1, true), bound.truth(3, true));
    if (parts.empty()) parts.emplace_back();
    for (const std::string& part : parts) {
      if (!first) out += newline;
      first = false;
      out += part;
    }
  }
  return Value(std::move(out));
}

Value filter_xmlattr(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("xmlattr", arguments, {"autospace"});
  if (!input.is_dict()) fail("xmlattr takes a mapping, got {}", input.type_name());
  std::string out;
  for (const auto& [key, value] : input.as_dict()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (key.text().find_first_of(" \t\n\f\r/>=") != std::string::npos) {
      fail("invalid character in attribute name: {}", key.repr());
    }
    if (!out.empty()) out += ' ';
    out += escaped(key.text()) + "=\"" + escaped(value.text()) + "\"";
  }
  if (bound.truth(0, true) && !out.empty()) out = " " + out;
  return Value(std::move(out));
}

constexpr NamedFilter kTextFilters[] = {
    {"capitalize", filter_capitalize},
    {"center", filter_center},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"filesizeformat", filter_filesizeformat},
    {"forceescape", filter_escape},
    {"format", filter_format},
    {"indent", filter_indent},
    {"lower", filter_lower},
    {"replace", filter_replace},
    {"striptags", filter_striptags},
    {"title", filter_title},
    {"trim", filter_trim},
    {"truncate", filter_truncate},
    {"upper", filter_upper},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
    {"wordwrap", filter_wordwrap},
    {"xmlattr", filter_xmlattr},
};

}  // namespace

std::span<const NamedFilter> text_filters() { return kTextFilters; }

}  // namespace tapeline::jinja
