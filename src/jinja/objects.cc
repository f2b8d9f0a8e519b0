#include "jinja/objects.h"

#include <algorithm>

#include "jinja/evaluator.h"
#include "jinja/failure.h"
#include "jinja/operations.h"

namespace tapeline::jinja {

namespace {

constexpr std::int64_t kRangeMax = 10'000'000;

template <typename Object, typename... Parts>
Value object_value(Parts&&... parts) {
  return Value(std::static_pointer_cast<HostObject>(
      std::make_shared<Object>(std::forward<Parts>(parts)...)));
}

/// Runs what throws where a Result is asked for.
template <typename Body>
Result<Value> answer(Body body) {
  try {
    return body();
  } catch (const Failure& failure) {
    return failure.error;
  }
}

class Generator : public HostObject {
 public:
  explicit Generator(std::vector<Value> items) : items_(std::move(items)) {}

  std::string type_name() const override { return "generator"; }
  std::string text() const override { return "<generator object>"; }

  std::optional<std::vector<Value>> iterate() override {
    std::vector<Value> rest(items_.begin() + static_cast<std::ptrdiff_t>(at_), items_.end());
    items_.clear();
    at_ = 0;
    return rest;
  }
  std::optional<Value> next() {
    if (at_ == items_.size()) return std::nullopt;
    return items_[at_++];
  }

 private:
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

class DictView : public HostObject {
 public:
  DictView(Value dict, std::string part) : dict_(std::move(dict)), part_(std::move(part)) {}

  std::string type_name() const override { return "dict_" + part_; }
  std::string text() const override {
    return type_name() + "(" + Value::list(items()).repr() + ")";
  }
  bool truth() const override { return !dict_.as_dict().empty(); }
  std::optional<std::vector<Value>> iterate() override { return items(); }

 private:
  std::vector<Value> items() const {
    std::vector<Value> out;
    out.reserve(dict_.as_dict().size());
    for (const auto& [key, item] : dict_.as_dict()) {
      if (part_ == "keys")
        out.push_back(key);
      else if (part_ == "values")
        out.push_back(item);
      else
        out.push_back(Value::tuple({key, item}));
    }
    return out;
  }

  Value dict_;
  std::string part_;
};

class Group : public HostObject {
 public:
  explicit Group(Value pair) : pair_(std::move(pair)) {}

  std::string type_name() const override { return "_GroupTuple"; }
  std::string text() const override { return pair_.text(); }
  std::optional<std::vector<Value>> iterate() override { return pair_.as_tuple(); }
  Result<Value> item(const Value& key) override {
    return answer([&] { return get_item(pair_, key); });
  }
  Result<Value> attribute(const std::string& name) override {
    if (name == "grouper") return pair_.as_tuple()[0];
    if (name == "list") return pair_.as_tuple()[1];
    return HostObject::attribute(name);
  }

 private:
  Value pair_;
};

class Range : public HostObject {
 public:
  Range(std::int64_t start, std::int64_t stop, std::int64_t step)
      : start_(start), stop_(stop), step_(step) {}

  std::string type_name() const override { return "range"; }
  std::string text() const override {
    if (step_ == 1) return fmt::format("range({}, {})", start_, stop_);
    return fmt::format("range({}, {}, {})", start_, stop_, step_);
  }
  bool truth() const override { return step_ > 0 ? start_ < stop_ : start_ > stop_; }
  bool equals(const HostObject& other) const override {
    const auto* range = dynamic_cast<const Range*>(&other);
    return range != nullptr && items() == range->items();
  }
  std::optional<std::vector<Value>> iterate() override {
    std::vector<Value> out;
    for (const std::int64_t item : items()) out.emplace_back(item);
    return out;
  }
  Result<Value> item(const Value& key) override {
    return answer([&] { return get_item(Value::list(*iterate()), key); });
  }

 private:
  std::vector<std::int64_t> items() const {
    std::vector<std::int64_t> out;
    for (std::int64_t at = start_; step_ > 0 ? at < stop_ : at > stop_;) {
      out.push_back(at);
      if (__builtin_add_overflow(at, step_, &at)) break;
    }
    return out;
  }

  std::int64_t start_, stop_, step_;
};

class Namespace : public HostObject {
 public:
  explicit Namespace(Value attributes) : attributes_(std::move(attributes)) {}

  std::string type_name() const override { return "Namespace"; }
  std::string text() const override { return "<Namespace " + attributes_.repr() + ">"; }
  Result<Value> attribute(const std::string& name) override {
    if (auto found = attributes_.find(name)) return *std::move(found);
    return HostObject::attribute(name);
  }
  Result<Ok> assign(const std::string& name, const Value& value) override {
    attributes_.set(name, value);
    return Ok{};
  }

 private:
  Value attributes_;
};

class Cycler : public HostObject {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}

  std::string type_name() const override { return "Cycler"; }
  Result<Value> attribute(const std::string& name) override {
    if (name == "current") return items_[at_];
    return HostObject::attribute(name);
  }
  Result<Value> call_method(const std::string& name, const Arguments& arguments) override {
    if (name == "next") {
      const Value now = items_[at_];
      at_ = (at_ + 1) % items_.size();
      return now;
    }
    if (name == "reset") {
      at_ = 0;
      return Value();
    }
    return HostObject::call_method(name, arguments);
  }

 private:
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

class Joiner : public HostObject {
 public:
  explicit Joiner(std::string separator) : separator_(std::move(separator)) {}

  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Result<Value> call(const Arguments&) override {
    return Value(std::exchange(used_, true) ? separator_ : "");
  }

 private:
  std::string separator_;
  bool used_ = false;
};

Value make_range(const Arguments& arguments) {
  const Bound bound("range", arguments, {"start", "stop", "step"}, 1);
  const std::int64_t first = require_integer(bound.value(0));
  const std::int64_t start = bound[1] == nullptr ? 0 : first;
  const std::int64_t stop = bound[1] == nullptr ? first : require_integer(bound.value(1));
  const std::int64_t step = bound[2] == nullptr ? 1 : require_integer(bound.value(2));
  if (step == 0) fail("range() arg 3 must not be zero");
  const double count =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (count > static_cast<double>(kRangeMax)) fail("range() of more than {} numbers", kRangeMax);
  return object_value<Range>(start, stop, step);
}

Value make_dict(const Arguments& arguments) {
  const Value dict = Value::dict();
  if (arguments.positional.size() > 1) fail("dict expected at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional.front();
    require_defined(from);
    if (from.is_dict()) {
      for (const auto& [key, item] : from.as_dict()) dict.dict_body().set(key, item);
    } else {
      for (const Value& pair : items_of(from)) {
        const std::vector<Value> parts = items_of(pair);
        if (parts.size() != 2) fail("dict() takes pairs, got {} items", parts.size());
        require_hashable(parts[0]);
        dict.dict_body().set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(name, value);
  return dict;
}

Value make_namespace(const Arguments& arguments) {
  return object_value<Namespace>(make_dict(arguments));
}

Value make_cycler(const Arguments& arguments) {
  if (arguments.positional.empty()) fail("at least one item has to be provided");
  return object_value<Cycler>(arguments.positional);
}

Value make_joiner(const Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  return object_value<Joiner>(bound.text(0, ", "));
}

}  // namespace

Value generator(std::vector<Value> items) { return object_value<Generator>(std::move(items)); }

std::optional<Value> next_of_generator(const Value& value) {
  if (!value.is_object()) return std::nullopt;
  auto* object = dynamic_cast<Generator*>(value.as_object().get());
  return object == nullptr ? std::nullopt : object->next();
}

Value dict_view(const Value& dict, const std::string& part) {
  return object_value<DictView>(dict, part);
}

Value group(Value key, std::vector<Value> items) {
  return object_value<Group>(Value::tuple({std::move(key), Value::list(std::move(items))}));
}

bool is_range(const Value& value) {
  return value.is_object() && dynamic_cast<Range*>(value.as_object().get()) != nullptr;
}

std::optional<Value> global_function(const std::string& name) {
  using Maker = Value (*)(const Arguments&);
  static constexpr std::pair<std::string_view, Maker> kMakers[] = {{"range", make_range},
                                                                   {"dict", make_dict},
                                                                   {"namespace", make_namespace},
                                                                   {"cycler", make_cycler},
                                                                   {"joiner", make_joiner}};
  for (const auto& [known, maker] : kMakers) {
    if (known != name) continue;
    return Value::function(name, [make = maker](const Arguments& arguments) {
      return answer([&] { return make(arguments); });
    });
  }
  return std::nullopt;
}

}  // namespace tapeline::jinja
