// The only file that includes the YAML parser.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "text/value.h"

namespace tapeline::text {
namespace {

constexpr int kDepthMax = 100;
constexpr std::size_t kNodesMax = 1'000'000;  // aliases can multiply a small file

/// A plain scalar by YAML 1.2's core rules; what is in quotes stays text.
Value scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return Value(text);
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return Value();
  }
  if (text == "true" || text == "True" || text == "TRUE") return Value(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value(false);
  const char* begin = text.data() + (text.front() == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto [at, failed] = std::from_chars(begin, end, whole);
      failed == std::errc() && at == end && begin != end) {
    return Value(whole);
  }
  if (text.find_first_not_of("+-.0123456789eE") == std::string::npos) {
    double real = 0;
    if (const auto [at, failed] = std::from_chars(begin, end, real);
        failed == std::errc() && at == end && begin != end) {
      return Value(real);
    }
  }
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
