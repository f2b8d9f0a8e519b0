#include "text/value.h"

#include <fmt/format.h>

#include <cmath>

namespace tapeline::text {

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [name, value] : as_object()) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string Value::string_or(std::string_view key, std::string_view fallback) const {
  const Value* found = find(key);
  return found && found->is_string() ? found->as_string() : std::string(fallback);
}

std::int64_t Value::int_or(std::string_view key, std::int64_t fallback) const {
  const Value* found = find(key);
  return found && found->is_int() ? found->as_int() : fallback;
}

bool Value::bool_or(std::string_view key, bool fallback) const {
  const Value* found = find(key);
  return found && found->is_bool() ? found->as_bool() : fallback;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) state_ = Object{};
  for (auto& [name, old] : as_object()) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  as_object().emplace_back(std::string(key), std::move(value));
}

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// How many bytes the UTF-8 character at the front of `text` has; 0 if there is none.
std::size_t utf8_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) return follows(1) ? 2 : 0;
  if (byte(0) >= 0xe0 && byte(0) <= 0xef) {
    if (!follows(1) || !follows(2)) return 0;
    const int point = (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    return point < 0x800 || (point >= 0xd800 && point <= 0xdfff) ? 0 : 3;
  }
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    const int point = (byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6;
    return point < 0x10000 || point > 0x10ffff ? 0 : 4;
  }
  return 0;
}

void append_line(std::string& out, int indent, int depth) {
  if (indent == 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent * depth), ' ');
}

void append_json(std::string& out, const Value& value, int indent, int depth) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    fmt::format_to(std::back_inserter(out), "{}", value.as_int());
  } else if (value.is_double()) {
    if (std::isfinite(value.as_double())) {
      fmt::format_to(std::back_inserter(out), "{}", value.as_double());
    } else {
      out += "null";
    }
  } else if (value.is_string()) {
    append_json_string(out, value.as_string());
  } else if (value.is_list()) {
    out += '[';
    bool first = true;
    for (const Value& item : value.as_list()) {
      if (!first) out += ',';
      first = false;
      append_line(out, indent, depth + 1);
      append_json(out, item, indent, depth + 1);
    }
    if (!first) append_line(out, indent, depth);
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : value.as_object()) {
      if (!first) out += ',';
      first = false;
      append_line(out, indent, depth + 1);
      append_json_string(out, key);
      out += indent > 0 ? ": " : ":";
      append_json(out, item, indent, depth + 1);
    }
    if (!first) append_line(out, indent, depth);
    out += '}';
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    std::size_t plain = at;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    out.append(text, at, plain - at);
    at = plain;
    if (at == text.size()) break;
    const char c = text[at];
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else if (const auto size = utf8_size(text.substr(at)); size > 0) {
          out.append(text, at, size);
          at += size;
          continue;
        } else {
          out += kReplacement;
        }
    }
    ++at;
  }
  out += '"';
}

std::string to_json(const Value& value, int indent) {
  std::string out;
  append_json(out, value, indent, 0);
  return out;
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace tapeline::text
