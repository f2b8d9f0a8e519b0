#include "transform/modules.h"

#include <fmt/format.h>

#include <regex>

#include "transform/datetime.h"
#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

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
                                          const auto group = argument(arguments, 0, "group", 0);
                                          return at(static_cast<std::size_t>(
                                              group.is_int() ? group.as_int() : 0));
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

jinja::Value modules_value(const Clock& clock) {
  const auto re =
      make_object("module", {{"match", regex_function("match", true, false)},
                             {"search", regex_function("search", false, false)},
                             {"fullmatch", regex_function("fullmatch", true, true)},
                             {"sub", jinja::Value::function("sub", regex_sub)},
                             {"findall", jinja::Value::function("findall", regex_findall)},
                             {"split", jinja::Value::function("split", regex_split)}});
  return make_object("modules", {{"datetime", datetime_module(clock)}, {"re", re}});
}

}  // namespace tapeline::transform
