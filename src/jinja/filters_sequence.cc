#include <algorithm>

#include "jinja/failure.h"
#include "jinja/filter_tables.h"
#include "jinja/objects.h"
#include "jinja/operations.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

/// What sort(), map() and the like read of each item: itself, or an attribute such as "a.b.0".
class Getter {
 public:
  explicit Getter(const Value* attribute, bool ignore_case = false, const Value* fallback = nullptr)
      : ignore_case_(ignore_case), fallback_(fallback) {
    if (attribute == nullptr) return;
    if (!attribute->is_string()) {
      path_.push_back(*attribute);
      return;
    }
    const std::string& text = attribute->as_string();
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('.', begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      const bool number = !part.empty() && part.size() < 10 &&
                          part.find_first_not_of("0123456789") == std::string::npos;
      path_.push_back(number ? Value(std::stoi(part)) : Value(part));
      begin = end + 1;
    }
  }

  Value operator()(const Value& item) const {
    Value value = item;
    for (const Value& key : path_) {
      value = get_item(value, key);
      if (value.is_undefined() && fallback_ != nullptr) value = *fallback_;
    }
    if (ignore_case_ && value.is_string()) return Value(to_lower(value.as_string()));
    return value;
  }

 private:
  std::vector<Value> path_;
  bool ignore_case_;
  const Value* fallback_;
};

Value filter_batch(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t count = require_integer(bound.value(0));
  std::vector<Value> rows;
  std::vector<Value> row;
  for (Value& item : items_of(input)) {
    if (static_cast<std::int64_t>(row.size()) == count)
      rows.push_back(Value::list(std::exchange(row, {})));
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    if (bound.given(1) != nullptr && count < 1'000'000) {
      while (static_cast<std::int64_t>(row.size()) < count) row.push_back(bound.value(1));
    }
    rows.push_back(Value::list(std::move(row)));
  }
  return generator(std::move(rows));
}

Value filter_slice(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
  const std::vector<Value> items = items_of(input);
  const std::int64_t slices = require_integer(bound.value(0));
  if (slices == 0) fail("integer division or modulo by zero");
  if (slices > 1'000'000) fail("more than 1000000 slices");
  std::vector<Value> columns;
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t each = slices > 0 ? size / slices : 0;
  const std::int64_t longer = slices > 0 ? size % slices : 0;
  auto at = items.begin();
  for (std::int64_t i = 0; i < slices; ++i) {
    const std::int64_t count = each + (i < longer ? 1 : 0);
    std::vector<Value> column(at, at + count);
    at += count;
    if (bound.given(1) != nullptr && i >= longer) column.push_back(bound.value(1));
    columns.push_back(Value::list(std::move(column)));
  }
  return generator(std::move(columns));
}

void sort_by(std::vector<Value>& items, bool reverse, const std::vector<Getter>& getters,
             bool missing_as_equal = false) {
  std::vector<std::pair<Value, Value>> keyed;
  keyed.reserve(items.size());
  for (Value& item : items) {
    Value key;
    if (getters.size() == 1) {
      key = getters.front()(item);
      // Equal to one another in Jinja2, so that they stay where they are.
      if (key.is_undefined() && missing_as_equal) key = Value::list({std::move(key)});
    } else {
      std::vector<Value> parts;
      for (const Getter& getter : getters) parts.push_back(getter(item));
      key = Value::list(std::move(parts));
    }
    keyed.emplace_back(std::move(key), std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [reverse](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
}

Value filter_sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = items_of(input);
  runtime.charge(items.size());
  const bool ignore_case = !bound.truth(1, false);
  std::vector<Getter> getters;
  const Value* attribute = bound.given(2);
  if (attribute == nullptr || !attribute->is_string()) {
    getters.emplace_back(attribute, ignore_case);
  } else {
    const std::string& text = attribute->as_string();
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const Value part(text.substr(begin, end - begin));
      getters.emplace_back(&part, ignore_case);
      begin = end + 1;
    }
  }
  sort_by(items, bound.truth(0, false), getters, true);
  return Value::list(std::move(items));
}

Value filter_dictsort(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") fail("you can only sort by either \"key\" or \"value\"");
  require_defined(input);
  if (!input.is_dict()) fail("'{}' object has no attribute 'items'", input.type_name());
  std::vector<Value> items;
  for (const auto& [key, value] : input.as_dict()) items.push_back(Value::tuple({key, value}));
  const Value place(by == "key" ? 0 : 1);
  sort_by(items, bound.truth(2, false), {Getter(&place, !bound.truth(0, false))});
  return Value::list(std::move(items));
}

Value filter_first(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("first", arguments, {});
  if (auto next = next_of_generator(input)) return *std::move(next);
  std::vector<Value> items = items_of(input);
  if (items.empty()) return Value::undefined("first", "no first item, sequence was empty");
  return std::move(items.front());
}

Value filter_last(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("last", arguments, {});
  if (input.type_name() == "generator") fail("'generator' object is not reversible");
  std::vector<Value> items = items_of(input);
  if (items.empty()) return Value::undefined("last", "no last item, sequence was empty");
  return std::move(items.back());
}

Value filter_groupby(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const bool ignore_case = !bound.truth(2, false);
  const Getter key(&bound.value(0), ignore_case, bound.given(1));
  const Getter plain_key(&bound.value(0), false, bound.given(1));
  std::vector<Value> items = items_of(input);
  sort_by(items, false, {key});
  std::vector<Value> groups;
  for (std::size_t begin = 0; begin < items.size();) {
    const Value value = key(items[begin]);
    std::size_t end = begin + 1;
    while (end < items.size() && key(items[end]).equals(value)) ++end;
    groups.push_back(
        group(plain_key(items[begin]), {items.begin() + static_cast<std::ptrdiff_t>(begin),
                                        items.begin() + static_cast<std::ptrdiff_t>(end)}));
    begin = end;
  }
  return Value::list(std::move(groups));
}

Value filter_items(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  std::vector<Value> pairs;
  if (!input.is_undefined()) {
    if (!input.is_dict()) fail("can only get item pairs from a mapping");
    for (const auto& [key, value] : input.as_dict()) pairs.push_back(Value::tuple({key, value}));
  }
  return generator(std::move(pairs));
}

Value filter_join(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  const std::string separator = bound.text(0, "");
  const Getter get(bound.given(1));
  std::string out;
  bool first = true;
  const std::vector<Value> items = items_of(input);
  runtime.charge(items.size());
  for (const Value& item : items) {
    if (!first) out += separator;
    first = false;
    const Value value = get(item);
    if (value.is_string())
      out += value.as_string();
    else
      out += value.text();
    if (out.size() > runtime.bytes_max()) {
      fail("the text would be longer than {} bytes", runtime.bytes_max());
    }
  }
  runtime.charge(out.size() / 64);
  return Value(std::move(out));
}

Value filter_length(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("length", arguments, {});
  return Value(length_of(input));
}

Value filter_list(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("list", arguments, {});
  std::vector<Value> items = items_of(input);
  runtime.charge(items.size());
  return Value::list(std::move(items));
}

Arguments without(const Arguments& arguments, std::size_t positional) {
  Arguments rest;
  rest.budget = arguments.budget;
  rest.named = arguments.named;
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(positional),
                         arguments.positional.end());
  return rest;
}

Value filter_map(Runtime& runtime, const Value& input, const Arguments& arguments) {
  std::vector<Value> out;
  const bool by_attribute =
      arguments.positional.empty() &&
      std::any_of(arguments.named.begin(), arguments.named.end(),
                  [](const auto& named) { return named.first == "attribute"; });
  if (by_attribute) {
    const Bound bound("map", arguments, {"attribute", "default"});
    const Getter get(&bound.value(0), false, bound.given(1));
    for (const Value& item : items_of(input)) out.push_back(get(item));
    return generator(std::move(out));
  }
  if (arguments.positional.empty()) fail("map requires a filter argument");
  const std::string name = arguments.positional.front().text();
  const FilterFunction filter = find_filter(name);
  if (filter == nullptr) fail("no filter named '{}'", name);
  const Arguments rest = without(arguments, 1);
  for (const Value& item : items_of(input)) {
    runtime.charge(1);
    out.push_back(filter(runtime, item, rest));
  }
  return generator(std::move(out));
}

template <bool of_attribute, bool wanted>
Value filter_select(Runtime& runtime, const Value& input, const Arguments& arguments) {
  constexpr std::size_t kTestAt = of_attribute ? 1 : 0;
  if (arguments.positional.size() < kTestAt) fail("missing parameter for attribute name");
  const Getter get(of_attribute ? &arguments.positional.front() : nullptr);
  TestFunction test = nullptr;
  Arguments rest;
  if (arguments.positional.size() > kTestAt) {
    const std::string name = arguments.positional[kTestAt].text();
    test = find_test(name);
    if (test == nullptr) fail("no test named '{}'", name);
    rest = without(arguments, kTestAt + 1);
  }
  std::vector<Value> kept;
  if (!input.truth() && !input.is_object()) return generator({});
  for (Value& item : items_of(input)) {
    runtime.charge(1);
    const Value value = get(item);
    const bool holds = test == nullptr ? value.truth() : test(runtime, value, rest);
    if (holds == wanted) kept.push_back(std::move(item));
  }
  return generator(std::move(kept));
}

template <bool greatest>
Value filter_extreme(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound(greatest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const Getter key(bound.given(1), !bound.truth(0, false));
  const std::vector<Value> items = items_of(input);
  if (items.empty()) return Value::undefined("aggregate", "no aggregated item, sequence was empty");
  std::size_t best = 0;
  Value best_key = key(items[0]);
  for (std::size_t i = 1; i < items.size(); ++i) {
    Value now = key(items[i]);
    const bool better = greatest ? less(best_key, now) : less(now, best_key);
    if (!better) continue;
    best = i;
    best_key = std::move(now);
  }
  return items[best];
}

Value filter_reverse(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("reverse", arguments, {});
  if (input.is_string()) {
    auto points = code_points(input.as_string());
    std::string out;
    for (auto point = points.rbegin(); point != points.rend(); ++point) out += *point;
    return Value(std::move(out));
  }
  std::vector<Value> items = items_of(input);
  std::reverse(items.begin(), items.end());
  return generator(std::move(items));
}

Value filter_sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  const Getter get(bound.given(0));
  Value total = bound[1] == nullptr ? Value(0) : bound.value(1);
  if (total.is_string()) fail("sum() can't sum strings");
  for (const Value& item : items_of(input)) {
    runtime.charge(1);
    total = arithmetic(runtime, ast::Operator::add, total, get(item));
  }
  return total;
}

Value filter_unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  const Getter key(bound.given(1), !bound.truth(0, false));
  DictBody seen;
  std::vector<Value> kept;
  for (Value& item : items_of(input)) {
    const Value value = key(item);
    require_hashable(value);
    if (!value.is_string()) runtime.charge(seen.items.size() / 16);
    if (seen.place(value) < seen.items.size()) continue;
    seen.set(value, Value());
    kept.push_back(std::move(item));
  }
  return generator(std::move(kept));
}

constexpr NamedFilter kSequenceFilters[] = {
    {"batch", filter_batch},
    {"count", filter_length},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"groupby", filter_groupby},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map", filter_map},
    {"max", filter_extreme<true>},
    {"min", filter_extreme<false>},
    {"reject", filter_select<false, false>},
    {"rejectattr", filter_select<true, false>},
    {"reverse", filter_reverse},
    {"select", filter_select<false, true>},
    {"selectattr", filter_select<true, true>},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"sum", filter_sum},
    {"unique", filter_unique},
};

}  // namespace

std::span<const NamedFilter> sequence_filters() { return kSequenceFilters; }

}  // namespace tapeline::jinja
