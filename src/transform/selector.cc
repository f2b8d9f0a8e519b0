#include "transform/selector.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <functional>
#include <regex>

#include "transform/names.h"
#include "transform/session.h"

namespace tapeline::transform {
namespace {

using Ids = std::set<std::string>;

constexpr int kAnyDepth = -1;

/// One criterion, taken apart: (@)(n+)method:value(+n).
struct Criterion {
  std::string method;
  std::vector<std::string> method_arguments;
  std::string value;
  bool with_builders = false;  // @: children and all that builds them
  bool parents = false;
  int parents_depth = kAnyDepth;
  bool children = false;
  int children_depth = kAnyDepth;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (auto end = text.find(at); end != std::string::npos; end = text.find(at, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

Result<Criterion> parse_criterion(const std::string& text) {
  static const std::regex grammar(R"(^(@)?((\d*)\+)?(([\w.]+):)?([^+@][^+]*|\*)(\+(\d*))?$)");
  std::smatch match;
  if (!std::regex_match(text, match, grammar) || (match[1].matched && match[7].matched))
    return Error{ErrorCode::invalid_argument,
                 match.empty() || !match[1].matched
                     ? fmt::format("Invalid selector spec \"{}\"", text)
                     : fmt::format("Invalid node spec {} - \"@\" prefix and \"+\" suffix are "
                                   "incompatible",
                                   text),
                 ""};
  Criterion criterion;
  const auto depth = [](const std::ssub_match& digits) {
    return digits.length() == 0 || digits.length() > 6 ? kAnyDepth : std::stoi(digits.str());
  };
  criterion.with_builders = match[1].matched;
  criterion.parents = match[2].matched;
  criterion.parents_depth = depth(match[3]);
  criterion.children = match[7].matched;
  criterion.children_depth = depth(match[8]);
  criterion.value = match[6].str();
  auto method = split(match[5].str(), '.');
  criterion.method = method[0];
  criterion.method_arguments.assign(method.begin() + 1, method.end());
  if (criterion.method.empty()) {
    const auto& value = criterion.value;
    criterion.method = value.find('/') != std::string::npos ? "path"
                       : value.ends_with(".sql")            ? "file"
                                                            : "fqn";
  }
  return criterion;
}

bool matches_glob(const std::string& text, const std::string& pattern) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool has_glob(const std::string& text) { return text.find_first_of("*?[]") != std::string::npos; }

/// The parts from `first` on, with dots between them.
std::string joined(const std::vector<std::string>& parts, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < parts.size(); ++i) text += (i > first ? "." : "") + parts[i];
  return text;
}

/// dbt's reading of a dotted name: the last part alone, or the fqn from its start, with its package
/// or without. From the first part that has a wildcard on, a pattern is for all of the rest.
bool matches_fqn(const Node& node, const std::string& pattern) {
  if (matches_glob(node.fqn.back(), pattern)) return true;
  const auto wanted = split(pattern, '.');
  const auto from = [&](std::size_t skip) {
    if (wanted.size() + skip > node.fqn.size()) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (has_glob(wanted[i])) return matches_glob(joined(node.fqn, skip + i), joined(wanted, i));
      if (wanted[i] != node.fqn[skip + i]) return false;
    }
    return true;
  };
  return from(0) || (node.fqn.size() > 1 && from(1));
}

bool matches_path(const Node& node, std::string pattern) {
  while (pattern.ends_with('/')) pattern.pop_back();
  if (pattern.starts_with("./")) pattern = pattern.substr(2);
  const auto& path = node.original_file_path;
  return path == pattern || path.starts_with(pattern + "/") ||
         (has_glob(pattern) && matches_glob(path, pattern));
}

bool matches_config(const Node& node, const Criterion& criterion) {
  const text::Value* value = &node.config;
  for (const auto& key : criterion.method_arguments) {
    value = value->find(key);
    if (value == nullptr) return false;
  }
  if (value->is_list())
    return std::ranges::any_of(value->as_list(), [&](const text::Value& item) {
      return python_str(item) == criterion.value;
    });
  if (value->is_bool()) return (value->as_bool() ? "true" : "false") == lower_case(criterion.value);
  return python_str(*value) == criterion.value;
}

class Selector {
 public:
  Selector(const Manifest& manifest, std::string indirect)
      : manifest_(manifest), indirect_(std::move(indirect)) {}

  /// The union of what each argument selects, and what each of them missed.
  Result<Ids> select(const std::vector<std::string>& arguments,
                     std::vector<std::string>* unmatched) {
    Ids all;
    for (const auto& argument : arguments)
      for (const auto& word : split(argument, ' ')) {
        if (word.empty()) continue;
        const auto found = TRY(intersection(word, unmatched));
        all.insert(found.begin(), found.end());
      }
    if (indirect_ != "eager") add_tests(all);
    return all;
  }

  Ids everything() const {
    Ids ids;
    for (const auto& [id, node] : manifest_.nodes)
      if (node.kind != NodeKind::operation) ids.insert(id);
    return ids;
  }

 private:
  Result<Ids> intersection(const std::string& word, std::vector<std::string>* unmatched) {
    std::optional<Ids> common;
    for (const auto& part : split(word, ',')) {
      const auto found = TRY(criterion(part, unmatched));
      if (!common) {
        common = found;
        continue;
      }
      std::erase_if(*common, [&](const std::string& id) { return !found.contains(id); });
    }
    return common.value_or(Ids{});
  }

  Result<Ids> criterion(const std::string& text, std::vector<std::string>* unmatched) {
    const auto parsed = TRY(parse_criterion(text));
    const auto matches = TRY(matcher(parsed));
    Ids found;
    for (const auto& [id, node] : manifest_.nodes)
      if (node.kind != NodeKind::operation && matches(node)) found.insert(id);
    if (found.empty() && unmatched != nullptr) unmatched->push_back(text);

    Ids with_neighbours = found;
    if (parsed.with_builders) {
      walk(found, kAnyDepth, false, with_neighbours);
      const Ids built = with_neighbours;
      walk(built, kAnyDepth, true, with_neighbours);
    }
    if (parsed.parents) walk(found, parsed.parents_depth, true, with_neighbours);
    if (parsed.children) walk(found, parsed.children_depth, false, with_neighbours);
    if (indirect_ == "eager") add_tests(with_neighbours);
    return with_neighbours;
  }

  Result<std::function<bool(const Node&)>> matcher(const Criterion& criterion) const {
    const auto& method = criterion.method;
    const auto& value = criterion.value;
    using Match = std::function<bool(const Node&)>;
    if (method == "fqn")
      return Match([value](const Node& node) {
        return node.kind == NodeKind::source ? value == "*" : matches_fqn(node, value);
      });
    if (method == "path")
      return Match([value](const Node& node) { return matches_path(node, value); });
    if (method == "file")
      return Match([value](const Node& node) {
        const auto& path = node.original_file_path;
        const auto name = path.substr(path.rfind('/') + 1);
        return matches_glob(name, value) || matches_glob(name.substr(0, name.rfind('.')), value);
      });
    if (method == "tag")
      return Match([value](const Node& node) {
        return std::ranges::any_of(node.tags,
                                   [&](const auto& tag) { return matches_glob(tag, value); });
      });
    if (method == "source")
      return Match([this, value](const Node& node) {
        if (node.kind != NodeKind::source) return false;
        const auto parts = split(value, '.');
        if (parts.size() == 1) return matches_glob(node.source_name, parts[0]);
        const auto at = parts.size() == 3 ? 1u : 0u;
        return matches_glob(node.source_name, parts[at]) &&
               matches_glob(node.name, parts[at + 1]) &&
               (at == 0 || matches_glob(manifest_.project.name, parts[0]));
      });
    if (method == "package")
      return Match([value](const Node& node) {
        return value == "this" || matches_glob(node.package, value);
      });
    if (method == "resource_type")
      return Match([value](const Node& node) { return to_string(node.kind) == value; });
    if (method == "test_type") {
      if (value != "generic" && value != "singular" && value != "data" && value != "unit")
        return Error{ErrorCode::invalid_argument,
                     fmt::format("Invalid test type selector {}: expected \"generic\", "
                                 "\"singular\", \"unit\", or \"data\"",
                                 value),
                     ""};
      return Match([value](const Node& node) {
        if (node.kind != NodeKind::test || value == "unit") return false;
        return value == "data" || (value == "generic") == node.test.has_value();
      });
    }
    if (method == "test_name")
      return Match(
          [value](const Node& node) { return node.test && matches_glob(node.test->name, value); });
    if (method == "config")
      return Match([criterion](const Node& node) { return matches_config(node, criterion); });
    for (const char* known :
         {"state", "result", "source_status", "exposure", "metric", "group", "access", "version",
          "semantic_model", "saved_query", "unit_test", "selector"})
      if (method == known)
        return Error{ErrorCode::unsupported,
                     fmt::format("the selector method '{}' is not there yet", method), ""};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a valid method name", method), ""};
  }

  /// Adds what is at most `depth` steps up or down from `from`.
  void walk(const Ids& from, int depth, bool up, Ids& into) const {
    Ids level = from;
    for (int step = 0; (depth == kAnyDepth || step < depth) && !level.empty(); ++step) {
      Ids next;
      for (const auto& id : level)
        for (const auto& neighbour : neighbours(id, up))
          if (into.insert(neighbour).second) next.insert(neighbour);
      level = std::move(next);
    }
  }

  const std::vector<std::string>& neighbours(const std::string& id, bool up) const {
    static const std::vector<std::string> none;
    if (up) {
      const auto* node = manifest_.find(id);
      return node == nullptr ? none : node->depends_on;
    }
    const auto found = manifest_.children.find(id);
    return found == manifest_.children.end() ? none : found->second;
  }

  /// Tests belong to a selection that has any of their parents (eager), all of them (cautious), or
  /// those that it does not have are above it or sources (buildable).
  void add_tests(Ids& ids) const {
    if (indirect_ == "empty") return;
    Ids there = ids;
    if (indirect_ == "buildable") walk(ids, kAnyDepth, true, there);
    const auto is_there = [&](const std::string& parent) {
      return there.contains(parent) ||
             (indirect_ == "buildable" && manifest_.find(parent)->kind == NodeKind::source);
    };
    Ids tests;
    for (const auto& id : ids)
      for (const auto& child : neighbours(id, false))
        if (const auto* node = manifest_.find(child);
            node && node->kind == NodeKind::test &&
            (indirect_ == "eager" || std::ranges::all_of(node->depends_on, is_there)))
          tests.insert(child);
    ids.insert(tests.begin(), tests.end());
  }

  const Manifest& manifest_;
  const std::string indirect_;
};

}  // namespace

Result<Selection> select_nodes(const Manifest& manifest, const std::vector<std::string>& select,
                               const std::vector<std::string>& exclude,
                               const std::string& indirect) {
  Selector selector(manifest, indirect);
  Selection selection;
  selection.ids =
      select.empty() ? selector.everything() : TRY(selector.select(select, &selection.unmatched));
  const auto excluded = TRY(selector.select(exclude, &selection.unmatched));
  for (const auto& id : excluded) selection.ids.erase(id);
  return selection;
}

}  // namespace tapeline::transform
