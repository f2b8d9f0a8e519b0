#include <algorithm>
#include <cmath>

#include "jinja/failure.h"
#include "jinja/filter_tables.h"
#include "jinja/number_text.h"
#include "jinja/operations.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

constexpr int kNestingMax = 300;
constexpr std::size_t kBytesMax = 128U << 20;

class JsonText {
 public:
  explicit JsonText(std::int64_t indent) : indent_(indent) {}
  std::string out;

  void write(const Value& value, int depth) {
    if (depth > kNestingMax) fail("the value is nested too deep for JSON");
    if (out.size() > kBytesMax) fail("the JSON is longer than {} bytes", kBytesMax);
    if (value.is_string())
      text(value.as_string());
    else if (value.is_none())
      out += "null";
    else if (value.is_bool())
      out += value.as_bool() ? "true" : "false";
    else if (value.is_int())
      out += std::to_string(value.as_int());
    else if (value.is_double())
      number(value.as_double());
    else if (value.is_list())
      list(value.as_list(), depth);
    else if (value.is_tuple())
      list(value.as_tuple(), depth);
    else if (value.is_dict())
      dict(value, depth);
    else
      fail("Object of type {} is not JSON serializable", value.type_name());
  }

 private:
  void line(int depth) {
    if (indent_ < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent_ * depth), ' ');
  }
  void comma() { out += indent_ < 0 ? ", " : ","; }

  void number(double value) {
    if (std::isnan(value))
      out += "NaN";
    else if (std::isinf(value))
      out += value > 0 ? "Infinity" : "-Infinity";
    else
      out += float_repr(value);
  }

  void list(const std::vector<Value>& items, int depth) {
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) comma();
      line(depth + 1);
      write(items[i], depth + 1);
    }
    if (!items.empty()) line(depth);
    out += ']';
  }

  void dict(const Value& value, int depth) {
    auto items = value.as_dict();
    std::stable_sort(items.begin(), items.end(),
                     [](const auto& a, const auto& b) { return less(a.first, b.first); });
    out += '{';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) comma();
      line(depth + 1);
      key(items[i].first);
      out += ": ";
      write(items[i].second, depth + 1);
    }
    if (!items.empty()) line(depth);
    out += '}';
  }

  void key(const Value& value) {
    if (value.is_string()) return text(value.as_string());
    if (value.is_tuple() || value.is_object() || value.is_undefined()) {
      fail("keys must be str, int, float, bool or None, not {}", value.type_name());
    }
    out += '"';
    write(value, 0);
    out += '"';
  }

  void text(const std::string& value) {
    out += '"';
    for (std::size_t at = 0; at < value.size(); at += code_point_bytes(value, at)) {
      const std::uint32_t c = code_point_at(value, at);
      if (c == '"')
        out += "\\\"";
      else if (c == '\\')
        out += "\\\\";
      else if (c == '\n')
        out += "\\n";
      else if (c == '\r')
        out += "\\r";
      else if (c == '\t')
        out += "\\t";
      else if (c == '\f')
        out += "\\f";
      else if (c == '\b')
        out += "\\b";
      else if (c >= 0x20 && c < 0x7F)
        out += static_cast<char>(c);
      else if (c == 0x7F)
        out += '\x7f';
      else if (c < 0x10000)
        out += fmt::format("\\u{:04x}", c);
      else
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10),
                           0xDC00 + ((c - 0x10000) & 0x3FF));
    }
    out += '"';
  }

  std::int64_t indent_;
};

}  // namespace

std::string json_text(const Value& value, std::int64_t indent) {
  JsonText json(indent);
  json.write(value, 0);
  return std::move(json.out);
}

}  // namespace tapeline::jinja
