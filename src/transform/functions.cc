// The functions of dbt's context that need neither a node nor the warehouse, and `config`.

#include <fmt/format.h>

#include <algorithm>

#include "io/digest.h"
#include "transform/context.h"
#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {

using jinja::Arguments;
using jinja::Value;

namespace {

text::Value sorted_keys(const text::Value& value) {
  text::Value out = value;
  if (out.is_object()) {
    std::ranges::sort(out.as_object(), {}, &std::pair<std::string, text::Value>::first);
    for (auto& [key, member] : out.as_object()) member = sorted_keys(member);
  }
  if (out.is_list())
    for (auto& item : out.as_list()) item = sorted_keys(item);
  return out;
}

/// JSON as Python's json.dumps spaces it.
std::string python_json(const text::Value& value) {
  if (value.is_object()) {
    std::string out;
    for (const auto& [key, member] : value.as_object())
      out += (out.empty() ? "" : ", ") + text::json_string(key) + ": " + python_json(member);
    return "{" + out + "}";
  }
  if (value.is_list()) {
    std::string out;
    for (const auto& item : value.as_list()) out += (out.empty() ? "" : ", ") + python_json(item);
    return "[" + out + "]";
  }
  return text::to_json(value);
}

Result<Value> tojson(const Arguments& arguments) {
  const auto value = to_text_value(argument(arguments, 0, "value"));
  const bool sort = argument(arguments, 2, "sort_keys", false).truth();
  return Value(python_json(sort ? sorted_keys(value) : value));
}

Result<Value> fromjson(const Arguments& arguments) {
  const auto parsed = text::parse_json(text_argument(arguments, 0, "string"));
  return parsed ? to_jinja(*parsed) : argument(arguments, 1, "default");
}

Result<Value> fromyaml(const Arguments& arguments) {
  const auto parsed = text::parse_yaml(text_argument(arguments, 0, "value"));
  return parsed ? to_jinja(*parsed) : argument(arguments, 1, "default");
}

Result<Value> make_set(const Arguments& arguments) {
  std::vector<Value> unique;
  for (const auto& item : items_of(argument(arguments, 0, "value")))
    if (std::ranges::none_of(unique, [&](const Value& seen) { return seen.equals(item); }))
      unique.push_back(item);
  return Value::list(std::move(unique));
}

Result<Value> zip(const Arguments& arguments) {
  std::vector<std::vector<Value>> lists;
  for (const auto& list : arguments.positional) lists.push_back(items_of(list));
  std::vector<Value> rows;
  for (std::size_t i = 0; !lists.empty(); ++i) {
    if (std::ranges::any_of(lists, [i](const auto& list) { return i >= list.size(); })) break;
    std::vector<Value> row;
    for (const auto& list : lists) row.push_back(list[i]);
    rows.push_back(Value::tuple(std::move(row)));
  }
  return Value::list(std::move(rows));
}

Result<Value> local_md5(const Arguments& arguments) {
  return Value(io::md5_hex(text_argument(arguments, 0, "value")));
}

/// `config` of a node: called to set, asked with get and require.
class ConfigObject final : public jinja::HostObject {
 public:
  explicit ConfigObject(NodeContext& context) : context_(context) {}

  std::string type_name() const override { return "Config"; }
  bool callable() const override { return true; }

  Result<Value> call(const Arguments& arguments) override {
    if (context_.mode() == Mode::run) return Value("");
    text::Value given{text::Object{}};
    for (const auto& positional : arguments.positional)
      if (positional.is_dict())
        for (const auto& [key, value] : positional.as_dict())
          given.set(key.text(), to_text_value(value));
    for (const auto& [key, value] : arguments.named) given.set(key, to_text_value(value));
    merge_config(context_.captured().config, given);
    return Value("");
  }

  Result<Value> call_method(const std::string& method, const Arguments& arguments) override {
    const auto name = text_argument(arguments, 0, "name");
    if (method == "get" || method == "require") {
      if (context_.mode() == Mode::parse) return Value("");
      if (const auto found = find(name)) return *found;
      if (method == "get") return argument(arguments, 1, "default");
      return Error{ErrorCode::invalid_argument,
                   fmt::format("Model '{}' does not define a required config parameter '{}'.",
                               context_.node() == nullptr ? "" : context_.node()->unique_id, name),
                   ""};
    }
    if (method == "set") {
      set_.insert_or_assign(name, argument(arguments, 1, "value"));
      return Value("");
    }
    if (method == "meta_get") {
      const auto meta = find("meta");
      if (meta && meta->is_dict())
        if (const auto found = meta->find(name)) return *found;
      return argument(arguments, 1, "default");
    }
    return HostObject::call_method(method, arguments);
  }

  Result<Value> attribute(const std::string& name) override {
    if (name == "model") return context_.lookup("model").value_or(Value());
    return Value::undefined(name);
  }

 private:
  std::optional<Value> find(const std::string& name) const {
    if (const auto found = set_.find(name); found != set_.end()) return found->second;
    if (context_.node() == nullptr) return std::nullopt;
    const auto& config = context_.node()->config;
    const auto* value = config.find(name == "pre_hook"    ? "pre-hook"
                                    : name == "post_hook" ? "post-hook"
                                                          : name);
    if (value == nullptr) return std::nullopt;
    return to_jinja(*value);
  }

  NodeContext& context_;
  std::map<std::string, Value> set_;
};

}  // namespace

std::optional<Value> plain_function(const std::string& name) {
  static const std::map<std::string, Result<Value> (*)(const Arguments&)> functions = {
      {"tojson", tojson}, {"fromjson", fromjson}, {"fromyaml", fromyaml},
      {"toyaml", tojson}, {"set", make_set},      {"set_strict", make_set},
      {"zip", zip},       {"zip_strict", zip},    {"local_md5", local_md5}};
  const auto found = functions.find(name);
  if (found == functions.end()) return std::nullopt;
  return Value::function(name, found->second);
}

Value config_value(NodeContext& context) { return host_value<ConfigObject>(context); }

}  // namespace tapeline::transform
