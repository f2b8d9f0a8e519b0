#include <fmt/format.h>

#include <set>

#include "base/check.h"
#include "serve/route.h"

namespace tapeline::serve {
namespace {

using text::List;
using text::Object;
using text::Value;

constexpr std::string_view kSymbolPattern = "^[A-Z0-9][A-Z0-9.:^=/-]{0,23}$";

Value schema_of(const Param& param) {
  switch (param.type) {
    case ParamType::text:
      return Object{{"type", "string"}, {"minLength", 1}, {"maxLength", 200}};
    case ParamType::symbol:
      return Object{{"type", "string"}, {"pattern", kSymbolPattern}};
    case ParamType::symbols:
      return Object{{"type", "array"},
                    {"items", Object{{"type", "string"}, {"pattern", kSymbolPattern}}},
                    {"minItems", 1},
                    {"maxItems", 1000}};
    case ParamType::columns:
      return Object{{"type", "array"},
                    {"items", Object{{"type", "string"}, {"pattern", "^[a-z0-9_]{1,63}$"}}},
                    {"minItems", 1},
                    {"maxItems", 100},
                    {"uniqueItems", true}};
    case ParamType::integer:
      return Object{{"type", "integer"}, {"minimum", param.min}, {"maximum", param.max}};
    case ParamType::time:
      return Object{{"anyOf", List{Object{{"type", "string"}, {"format", "date-time"}},
                                   Object{{"type", "string"}, {"format", "date"}}}}};
    case ParamType::choice: {
      List choices;
      for (const auto& choice : param.choices) choices.emplace_back(choice);
      return Object{{"type", "string"}, {"enum", std::move(choices)}};
    }
    case ParamType::position:
      return Object{{"anyOf", List{Object{{"type", "string"}, {"enum", List{"beginning", "end"}}},
                                   Object{{"type", "string"}, {"format", "date-time"}}}}};
  }
  return Value();
}

Value schema_named(std::string_view name) {
  if (name.empty()) return Object{{"type", "string"}};
  return Object{{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

Value content(std::string_view type, std::string_view schema) {
  return Object{{std::string(type), Object{{"schema", schema_named(schema)}}}};
}

Value parameters(const Route& route) {
  List all;
  for (const auto& param : route.params) {
    const bool in_path = route.path.find("{" + param.name + "}") != std::string::npos;
    Object one{{"name", param.name},
               {"in", in_path ? "path" : "query"},
               {"required", in_path || param.required},
               {"description", param.description + "."},
               {"schema", schema_of(param)}};
    if (param.type == ParamType::symbols || param.type == ParamType::columns) {
      one.emplace_back("style", "form");
      one.emplace_back("explode", false);
    }
    all.emplace_back(std::move(one));
  }
  return all;
}

/// Every status that the route can answer.
std::set<int> failures(const Route& route) {
  std::set<int> all(route.failures.begin(), route.failures.end());
  all.insert({400, 405, 421, 431});
  if (route.need == Need::read || route.need == Need::write) all.insert(401);
  if (route.need == Need::write) all.insert({403, 415});
  if (route.need == Need::socket) all.insert(403);
  if (!route.before_ready || route.runs != Runs::at_once) all.insert(503);
  if (route.runs != Runs::at_once) all.insert({500, 504});
  if (!route.body_type.empty()) all.insert({408, 413});
  return all;
}

Value responses(const Route& route) {
  Value all{Object{}};
  for (const int status : failures(route))
    all.set(std::to_string(status),
            Object{{"description", std::string(io::reason_phrase(status)) + "."},
                   {"content", content("application/json", "Error")}});
  std::vector<Answer> answers = route.others;
  answers.insert(answers.begin(), route.success);
  for (const auto& answer : answers) {
    Object one{{"description", std::string(io::reason_phrase(answer.status)) + "."}};
    if (!answer.content_type.empty())
      one.emplace_back("content", content(answer.content_type, answer.schema));
    all.set(std::to_string(answer.status), std::move(one));
  }
  return all;
}

Value operation(const Route& route) {
  Object one{{"summary", route.summary},
             {"parameters", parameters(route)},
             {"responses", responses(route)}};
  if (!route.body_type.empty())
    one.emplace_back(
        "requestBody",
        Object{{"required", true}, {"content", content(route.body_type, route.body_schema)}});
  else if (route.need == Need::write)
    one.emplace_back(
        "requestBody",
        Object{{"description", "Nothing in it is read, but a write says that it sends JSON."},
               {"content", Object{{"application/json", Object{{"schema", Object{}}}}}}});
  if (route.need == Need::write)
    one.emplace_back("security", List{Object{{"token", List{}}}, Object{{"cookie", List{}}}});
  if (route.need == Need::socket)
    one.emplace_back("description", "Over the unix socket of the data directory only.");
  return one;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

Value describe(const std::vector<Route>& routes) {
  Value paths{Object{}};
  for (const auto& route : routes) {
    const Value* known = paths.find(route.path);
    Value path = known ? *known : Value(Object{});
    path.set(lower(route.method), operation(route));
    paths.set(route.path, std::move(path));
  }
  auto schemas = text::parse_json(api_schemas());
  TL_ASSERT(schemas.has_value());
  return Object{
      {"openapi", "3.1.0"},
      {"info", Object{{"title", "tapeline"}, {"version", TAPELINE_VERSION}}},
      {"paths", std::move(paths)},
      {"components",
       Object{{"schemas", *std::move(schemas)},
              {"securitySchemes",
               Object{{"token", Object{{"type", "http"}, {"scheme", "bearer"}}},
                      {"cookie",
                       Object{{"type", "apiKey"}, {"in", "cookie"}, {"name", "tapeline"}}}}}}}};
}

}  // namespace tapeline::serve
