#include "jinja/methods.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "jinja/failure.h"
#include "jinja/filters.h"
#include "jinja/objects.h"
#include "jinja/operations.h"
#include "jinja/template.h"
#include "jinja/text_format.h"
#include "jinja/text_methods.h"

namespace tapeline::jinja {

namespace {

struct MethodCall {
  const Value& object;
  const std::string& name;
  const Arguments& arguments;
};

using Method = Value (*)(const MethodCall&);
using MethodTable = std::map<std::string, Method, std::less<>>;

std::int64_t index_in(const std::vector<Value>& items, const Value& item) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].equals(item)) return static_cast<std::int64_t>(i);
  }
  fail("{} is not in list", item.repr());
}

std::int64_t count_in(const std::vector<Value>& items, const Value& item) {
  return std::count_if(items.begin(), items.end(), [&](const Value& x) { return x.equals(item); });
}

Value list_append(const MethodCall& call) {
  const Bound bound("append", call.arguments, {"object"}, 1);
  call.object.as_list().push_back(bound.value(0));
  return Value();
}

Value list_extend(const MethodCall& call) {
  const Bound bound("extend", call.arguments, {"iterable"}, 1);
  for (Value& item : items_of(bound.value(0))) call.object.as_list().push_back(std::move(item));
  return Value();
}

Value list_insert(const MethodCall& call) {
  const Bound bound("insert", call.arguments, {"index", "object"}, 2);
  auto& items = call.object.as_list();
  const auto size = static_cast<std::int64_t>(items.size());
  std::int64_t at = require_integer(bound.value(0));
  if (at < 0) at = at < -size ? 0 : at + size;
  items.insert(items.begin() + std::min(at, size), bound.value(1));
  return Value();
}

Value list_pop(const MethodCall& call) {
  const Bound bound("pop", call.arguments, {"index"});
  auto& items = call.object.as_list();
  const auto size = static_cast<std::int64_t>(items.size());
  if (size == 0) fail("pop from empty list");
  std::int64_t at = bound.integer(0, -1);
  if (at < 0) at = at < -size ? size : at + size;
  if (at >= size) fail("pop index out of range");
  const auto place = items.begin() + at;
  Value item = std::move(*place);
  items.erase(place);
  return item;
}

Value list_index(const MethodCall& call) {
  const Bound bound("index", call.arguments, {"value"}, 1);
  const Value& object = call.object;
  return Value(index_in(object.is_list() ? object.as_list() : object.as_tuple(), bound.value(0)));
}

Value list_count(const MethodCall& call) {
  const Bound bound("count", call.arguments, {"value"}, 1);
  const Value& object = call.object;
  return Value(count_in(object.is_list() ? object.as_list() : object.as_tuple(), bound.value(0)));
}

Value list_remove(const MethodCall& call) {
  const Bound bound("remove", call.arguments, {"value"}, 1);
  auto& items = call.object.as_list();
  for (auto place = items.begin(); place != items.end(); ++place) {
    if (!place->equals(bound.value(0))) continue;
    items.erase(place);
    return Value();
  }
  fail("list.remove(x): x not in list");
}

Value list_reverse(const MethodCall& call) {
  const Bound bound("reverse", call.arguments, {});
  std::reverse(call.object.as_list().begin(), call.object.as_list().end());
  return Value();
}

Value list_clear(const MethodCall& call) {
  const Bound bound("clear", call.arguments, {});
  call.object.as_list().clear();
  return Value();
}

Value list_copy(const MethodCall& call) {
  const Bound bound("copy", call.arguments, {});
  return Value::list(call.object.as_list());
}

Value list_sort(const MethodCall& call) {
  const Bound bound("sort", call.arguments, {"reverse"});
  auto& items = call.object.as_list();
  std::vector<Value> sorted = items;
  if (bound.truth(0, false)) {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Value& a, const Value& b) { return less(b, a); });
  } else {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Value& a, const Value& b) { return less(a, b); });
  }
  items = std::move(sorted);
  return Value();
}

Value dict_get(const MethodCall& call) {
  const Bound bound("get", call.arguments, {"key", "default"}, 1);
  require_hashable(bound.value(0));
  const auto& items = call.object.as_dict();
  const std::size_t place = call.object.dict_body().place(bound.value(0));
  if (place < items.size()) return items[place].second;
  return bound[1] == nullptr ? Value() : bound.value(1);
}

Value dict_part(const MethodCall& call) {
  const Bound bound(call.name, call.arguments, {});
  return dict_view(call.object, call.name);
}

Value dict_update(const MethodCall& call) {
  Arguments pairs;
  pairs.positional = call.arguments.positional;
  if (pairs.positional.size() > 1) fail("update expected at most 1 argument");
  DictBody& body = call.object.dict_body();
  if (!pairs.positional.empty()) {
    const Value& from = pairs.positional.front();
    require_defined(from);
    if (from.is_dict()) {
      const auto items = from.as_dict();
      for (const auto& [key, item] : items) body.set(key, item);
    } else {
      for (const Value& pair : items_of(from)) {
        const std::vector<Value> parts = items_of(pair);
        if (parts.size() != 2) fail("update() takes pairs, got {} items", parts.size());
        require_hashable(parts[0]);
        body.set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : call.arguments.named) body.set(Value(name), value);
  return Value();
}

Value dict_pop(const MethodCall& call) {
  const Bound bound("pop", call.arguments, {"key", "default"}, 1);
  auto& items = call.object.as_dict();
  const std::size_t place = call.object.dict_body().place(bound.value(0));
  if (place == items.size()) {
    if (bound[1] == nullptr) fail("the key {} is not in the dict", bound.value(0).repr());
    return bound.value(1);
  }
  Value item = std::move(items[place].second);
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(place));
  call.object.dict_body().index.clear();
  return item;
}

Value dict_popitem(const MethodCall& call) {
  const Bound bound("popitem", call.arguments, {});
  auto& items = call.object.as_dict();
  if (items.empty()) fail("popitem(): dictionary is empty");
  Value pair = Value::tuple({items.back().first, items.back().second});
  items.pop_back();
  call.object.dict_body().index.clear();
  return pair;
}

Value dict_setdefault(const MethodCall& call) {
  const Bound bound("setdefault", call.arguments, {"key", "default"}, 1);
  require_hashable(bound.value(0));
  DictBody& body = call.object.dict_body();
  const std::size_t place = body.place(bound.value(0));
  if (place < body.items.size()) return body.items[place].second;
  Value value = bound[1] == nullptr ? Value() : bound.value(1);
  body.set(bound.value(0), value);
  return value;
}

Value dict_copy(const MethodCall& call) {
  const Bound bound("copy", call.arguments, {});
  return Value::dict(call.object.as_dict());
}

Value dict_clear(const MethodCall& call) {
  const Bound bound("clear", call.arguments, {});
  call.object.as_dict().clear();
  call.object.dict_body().index.clear();
  return Value();
}

const MethodTable kListMethods = {
    {"append", list_append}, {"extend", list_extend},   {"insert", list_insert},
    {"pop", list_pop},       {"index", list_index},     {"count", list_count},
    {"remove", list_remove}, {"reverse", list_reverse}, {"clear", list_clear},
    {"copy", list_copy},     {"sort", list_sort},
};
const MethodTable kTupleMethods = {{"index", list_index}, {"count", list_count}};
const MethodTable kDictMethods = {
    {"get", dict_get},         {"items", dict_part},
    {"keys", dict_part},       {"values", dict_part},
    {"update", dict_update},   {"pop", dict_pop},
    {"popitem", dict_popitem}, {"setdefault", dict_setdefault},
    {"copy", dict_copy},       {"clear", dict_clear},
};

const MethodTable* table_of(const Value& object) {
  if (object.is_list()) return &kListMethods;
  if (object.is_tuple()) return &kTupleMethods;
  if (object.is_dict()) return &kDictMethods;
  return nullptr;
}

class BoundMethod : public HostObject {
 public:
  BoundMethod(Value object, std::string name)
      : object_(std::move(object)), name_(std::move(name)) {}

  std::string type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  std::string text() const override {
    return fmt::format("<built-in method {} of {} object>", name_, object_.type_name());
  }
  Result<Value> call(const Arguments& arguments) override {
    try {
      return call_method_of(object_, name_, arguments);
    } catch (const Failure& failure) {
      return failure.error;
    }
  }

 private:
  static Value call_method_of(const Value& object, const std::string& name,
                              const Arguments& arguments) {
    return jinja::call_method(object, name, arguments, RenderLimits().output_bytes_max);
  }

  Value object_;
  std::string name_;
};

}  // namespace

bool has_method(const Value& object, const std::string& name) {
  if (object.is_string()) return has_text_method(name);
  if (object.is_double()) return name == "is_integer";
  const MethodTable* table = table_of(object);
  return table != nullptr && table->find(name) != table->end();
}

Value call_method(const Value& object, const std::string& name, const Arguments& arguments,
                  std::size_t bytes_max) {
  if (object.is_string()) return call_text_method(object, name, arguments, bytes_max);
  if (object.is_double()) {
    const Bound bound(name, arguments, {});
    return Value(std::floor(object.as_double()) == object.as_double());
  }
  return table_of(object)->find(name)->second({object, name, arguments});
}

Value bound_method(const Value& object, const std::string& name) {
  return Value(std::static_pointer_cast<HostObject>(std::make_shared<BoundMethod>(object, name)));
}

}  // namespace tapeline::jinja
