// The only file that includes the YAML parser.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "text/value.h"

namespace tapeline::text {
namespace {

constexpr int kDepthMax = 100;
constexpr std::size_t kNodesMax = 1'000'000;  // aliases can multiply a small file

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

/// The number that all of `digits` is.
template <typename Number, typename... Format>
std::optional<Value> number(const std::string& digits, Format... format) {
  Number value = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, failed] = std::from_chars(digits.data(), end, value, format...);
  return failed == std::errc() && at == end ? std::optional(Value(value)) : std::nullopt;
}

/// 12, +12, 1_000, 014 and 0xc (both twelve); 1.5, .5, 1.5e+3. Not 1e3, 08 or 12:30.
std::optional<Value> number_of(std::string_view text) {
  std::string digits(text.starts_with('-') ? "-" : "");
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const bool is_real = text.find('.') != std::string_view::npos && !text.starts_with("0x");
  if (text.empty() || !((text[0] >= '0' && text[0] <= '9') || (is_real && text[0] == '.'))) {
    return std::nullopt;
  }
  int base = 10;
  if (!is_real && text.size() > 1 && text[0] == '0') {
    base = text[1] == 'x' ? 16 : text[1] == 'b' ? 2 : 8;
    text.remove_prefix(base == 8 ? 1 : 2);
  }
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != '_'; });
  if (!is_real) return number<std::int64_t>(digits, base);
  const auto exponent = text.find_first_of("eE");
  const bool has_sign = text.find_first_of("+-") == exponent + 1;
  if (exponent != std::string_view::npos && !has_sign) return std::nullopt;
  return number<double>(digits);
}

/// A plain scalar as PyYAML, and so dbt, takes it, dates apart; what is in quotes stays text.
Value scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return Value(text);
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return Value();
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})) {
    return Value(true);
  }
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})) {
    return Value(false);
  }
  if (auto value = number_of(text)) return *std::move(value);
  if (text == ".inf" || text == "+.inf") return Value(std::numeric_limits<double>::infinity());
  if (text == "-.inf") return Value(-std::numeric_limits<double>::infinity());
  if (text == ".nan") return Value(std::nan(""));
  return Value(text);
}

Error problem(const YAML::Mark& mark, std::string_view what) {
  return Error{ErrorCode::invalid_argument,
               mark.is_null() ? fmt::format("text is no YAML: {}", what)
                              : fmt::format("text is no YAML: line {}, column {}: {}",
                                            mark.line + 1, mark.column + 1, what),
               ""};
}

Result<Value> convert(const YAML::Node& node, int depth, std::size_t& nodes) {
  if (depth > kDepthMax) return problem(node.Mark(), "nested too deep");
  if (++nodes > kNodesMax) return problem(node.Mark(), "aliases make it too large");
  Value value;
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      value = scalar(node);
      break;
    case YAML::NodeType::Sequence: {
      List items;
      for (const auto& item : node) items.push_back(TRY(convert(item, depth + 1, nodes)));
      value = Value(std::move(items));
      break;
    }
    case YAML::NodeType::Map: {
      value = Value(Object{});
      Value merged(Object{});  // what `<<: *anchor` brings; a key of the map itself wins
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) return problem(entry.first.Mark(), "a key is no text");
        const std::string& key = entry.first.Scalar();
        Value item = TRY(convert(entry.second, depth + 1, nodes));
        if (key == "<<") {
          const List sources = item.is_list() ? item.as_list() : List{item};
          for (const Value& source : sources) {
            if (!source.is_object()) return problem(entry.second.Mark(), "'<<' needs a mapping");
            for (const auto& [name, inner] : source.as_object()) {
              if (!merged.find(name)) merged.set(name, inner);
            }
          }
          continue;
        }
        if (value.find(key)) {
          return problem(entry.first.Mark(), fmt::format("the key '{}' stands twice", key));
        }
        value.set(key, std::move(item));
      }
      for (const auto& [name, inner] : merged.as_object()) {
        if (!value.find(name)) value.set(name, inner);
      }
      break;
    }
    default:
      break;
  }
  value.line = node.Mark().is_null() ? 0 : node.Mark().line + 1;
  return value;
}

}  // namespace

Result<Value> parse_yaml(std::string_view text) {
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    std::size_t nodes = 0;
    return convert(node, 0, nodes);
  } catch (const YAML::Exception& why) {
    return problem(why.mark, why.msg);
  }
}

}  // namespace tapeline::text
