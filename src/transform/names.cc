#include "transform/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "io/digest.h"

namespace tapeline::transform {
namespace {

std::string repr_text(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string repr_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e16)) return fmt::format("{}", value);
  std::string out = fmt::format("{}", value);
  if (out.find('e') != std::string::npos) out = fmt::format("{:.17g}", value);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

/// Every leaf as a text, keys in order: what dbt hashes.
std::string hashable_repr(const text::Value& value) {
  if (value.is_object()) {
    std::map<std::string, const text::Value*> sorted;
    for (const auto& [key, member] : value.as_object()) sorted.emplace(key, &member);
    std::string out = "{";
    for (const auto& [key, member] : sorted) {
      if (out.size() > 1) out += ", ";
      out += repr_text(key) + ": " + hashable_repr(*member);
    }
    return out + "}";
  }
  if (value.is_list()) {
    std::string out = "[";
    for (const auto& item : value.as_list()) {
      if (out.size() > 1) out += ", ";
      out += hashable_repr(item);
    }
    return out + "]";
  }
  return repr_text(python_str(value));
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// Runs of what is no word character become one underscore each.
std::string words_only(std::string_view text) {
  std::string out;
  bool in_run = false;
  for (const char c : text) {
    if (is_word(c)) {
      out += c;
      in_run = false;
    } else if (!in_run) {
      out += '_';
      in_run = true;
    }
  }
  return out;
}

}  // namespace

std::string python_repr(const text::Value& value) {
  if (value.is_null()) return "None";
  if (value.is_bool()) return value.as_bool() ? "True" : "False";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_double()) return repr_double(value.as_double());
  if (value.is_string()) return repr_text(value.as_string());
  std::string out;
  if (value.is_list()) {
    for (const auto& item : value.as_list()) out += (out.empty() ? "" : ", ") + python_repr(item);
    return "[" + out + "]";
  }
  for (const auto& [key, member] : value.as_object())
    out += (out.empty() ? "" : ", ") + repr_text(key) + ": " + python_repr(member);
  return "{" + out + "}";
}

std::string python_str(const text::Value& value) {
  return value.is_string() ? value.as_string() : python_repr(value);
}

TestName generic_test_name(std::string_view test, std::string_view target,
                           const text::Value& arguments) {
  std::map<std::string, const text::Value*> sorted;
  if (arguments.is_object())
    for (const auto& [key, member] : arguments.as_object())
      if (key != "model") sorted.emplace(key, &member);
  std::string flat;
  bool first = true;
  const auto add = [&](const text::Value& part) {
    if (!first) flat += "__";
    first = false;
    flat += words_only(python_str(part));
  };
  for (const auto& [key, member] : sorted) {
    if (member->is_object()) {
      for (const auto& [inner, part] : member->as_object()) add(part);
    } else if (member->is_list()) {
      for (const auto& part : member->as_list()) add(part);
    } else {
      add(*member);
    }
  }
  const std::string identifier = fmt::format("{}_{}", test, target);
  TestName name{fmt::format("{}_{}", identifier, flat), ""};
  name.alias = name.full.size() < 64
                   ? name.full
                   : fmt::format("{}_{}", identifier.substr(0, 30), io::md5_hex(name.full));
  return name;
}

std::string generic_test_id(std::string_view package, std::string_view name, std::string_view test,
                            std::string_view test_namespace, const text::Value& kwargs) {
  text::Value metadata;
  metadata.set("kwargs", kwargs);
  metadata.set("name", test);
  metadata.set("namespace", test_namespace.empty() ? text::Value() : text::Value(test_namespace));
  const auto digest = io::md5_hex(std::string(name) + hashable_repr(metadata));
  return fmt::format("test.{}.{}.{}", package, name, digest.substr(22));
}

}  // namespace tapeline::transform
