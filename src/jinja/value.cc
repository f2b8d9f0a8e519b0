#include "jinja/value.h"

#include <fmt/format.h>

#include <cmath>

#include "jinja/number_text.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

constexpr std::size_t kIndexFrom = 16;             // smaller dicts are searched as they are
constexpr std::size_t kTextBytesMax = 128U << 20;  // of one printed value
constexpr int kNestingMax = 300;                   // of a printed or compared value
constexpr std::int64_t kComparisonsMax = 20'000'000;

std::string text_repr(const std::string& text) {
  const bool single = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = single ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = code_point_bytes(text, at);
    const std::uint32_t c = code_point_at(text, at);
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\\' || c == static_cast<std::uint32_t>(quote))
      (out += '\\') += text[at];
    else if (is_printable(c))
      out += text.substr(at, bytes);
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", c);
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", c);
    else
      out += fmt::format("\\U{:08x}", c);
    at += bytes;
  }
  return out += quote;
}

/// Prints as repr() does, no deeper and no longer than the limits above.
class Printer {
 public:
  std::string out;

  void print(const Value& value) {
    if (out.size() > kTextBytesMax) return;
    if (value.is_string()) {
      out += text_repr(value.as_string());
    } else if (value.is_list()) {
      nested(value, '[', ']', [&] { sequence(value.as_list()); });
    } else if (value.is_tuple()) {
      nested(value, '(', ')', [&] {
        sequence(value.as_tuple());
        if (value.as_tuple().size() == 1) out += ',';
      });
    } else if (value.is_dict()) {
      nested(value, '{', '}', [&] {
        const char* comma = "";
        for (const auto& [key, item] : value.as_dict()) {
          out += comma;
          print(key);
          out += ": ";
          print(item);
          comma = ", ";
        }
      });
    } else if (value.is_undefined()) {
      out += "Undefined";
    } else if (value.is_object()) {
      out += value.as_object()->repr();
    } else {
      out += value.text();
    }
  }

 private:
  template <typename Body>
  void nested(const Value& value, char open, char close, Body body) {
    out += open;
    bool inside_itself = open_.size() > kNestingMax;
    for (const Value* outer : open_) inside_itself = inside_itself || outer->same_as(value);
    if (inside_itself) {
      out += "...";
    } else {
      open_.push_back(&value);
      body();
      open_.pop_back();
    }
    out += close;
  }

  void sequence(const std::vector<Value>& items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      print(items[i]);
    }
  }

  std::vector<const Value*> open_;
};

std::optional<double> number(const Value& value) {
  if (value.is_bool()) return value.as_bool() ? 1.0 : 0.0;
  if (value.is_int()) return static_cast<double>(value.as_int());
  if (value.is_double()) return value.as_double();
  return std::nullopt;
}

struct Comparison {
  std::int64_t left = kComparisonsMax;

  bool equal(const Value& a, const Value& b, int depth) {
    if (depth > kNestingMax || --left < 0) return false;
    if (a.is_string() && b.is_string()) return a.as_string() == b.as_string();
    if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
    if (const auto x = number(a)) {
      const auto y = number(b);
      return y && *x == *y;
    }
    if (a.is_none() || a.is_undefined()) {
      return a.is_none() ? b.is_none() : b.is_undefined();
    }
    if (a.is_list()) return b.is_list() && sequences(a.as_list(), b.as_list(), depth);
    if (a.is_tuple()) return b.is_tuple() && sequences(a.as_tuple(), b.as_tuple(), depth);
    if (a.is_dict()) return b.is_dict() && dicts(a.dict_body(), b.dict_body(), depth);
    if (a.is_object() && b.is_object()) return a.as_object()->equals(*b.as_object());
    return false;
  }

  bool sequences(const std::vector<Value>& a, const std::vector<Value>& b, int depth) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!a[i].same_as(b[i]) && !equal(a[i], b[i], depth + 1)) return false;
    }
    return true;
  }

  bool dicts(const DictBody& a, const DictBody& b, int depth) {
    if (a.items.size() != b.items.size()) return false;
    for (const auto& [key, item] : a.items) {
      const std::size_t place = b.place(key);
      if (place == b.items.size()) return false;
      const Value& other = b.items[place].second;
      if (!item.same_as(other) && !equal(item, other, depth + 1)) return false;
    }
    return true;
  }
};

class HostFunction : public HostObject {
 public:
  HostFunction(std::string name, std::function<Result<Value>(const Arguments&)> body)
      : name_(std::move(name)), body_(std::move(body)) {}

  std::string type_name() const override { return "function"; }
  Result<Value> call(const Arguments& arguments) override { return body_(arguments); }
  std::string text() const override { return "<function " + name_ + ">"; }
  bool callable() const override { return true; }

 private:
  std::string name_;
  std::function<Result<Value>(const Arguments&)> body_;
};

}  // namespace

Result<Value> HostObject::attribute(const std::string& name) {
  return Value::undefined(name,
                          fmt::format("'{} object' has no attribute '{}'", type_name(), name));
}

Result<Value> HostObject::item(const Value& key) {
  if (key.is_string()) return attribute(key.as_string());
  return Value::undefined(key.text(),
                          fmt::format("{} object has no element {}", type_name(), key.repr()));
}

Result<Value> HostObject::call(const Arguments&) {
  return Error{ErrorCode::invalid_argument, fmt::format("'{}' object is not callable", type_name()),
               ""};
}

Result<Value> HostObject::call_method(const std::string& name, const Arguments& arguments) {
  Value method = TRY(attribute(name));
  if (method.is_object()) return method.as_object()->call(arguments);
  if (method.is_undefined()) {
    return Error{ErrorCode::invalid_argument, method.undefined_message(), ""};
  }
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' object is not callable", method.type_name()), ""};
}

std::optional<std::vector<Value>> HostObject::iterate() { return std::nullopt; }

std::optional<Result<Value>> HostObject::operate(std::string_view, const Value&, bool) {
  return std::nullopt;
}

Result<Ok> HostObject::assign(const std::string&, const Value&) {
  return Error{ErrorCode::invalid_argument, "cannot assign attribute on non-namespace object",
               "Make it with namespace(), as in {% set ns = namespace(x=1) %}."};
}

std::string HostObject::text() const { return "<" + type_name() + " object>"; }

ListBody::~ListBody() { Value::dismantle(items); }

DictBody::~DictBody() {
  std::vector<Value> pile;
  for (auto& [key, item] : items) {
    if (item.is_list() || item.is_dict() || item.is_tuple()) pile.push_back(std::move(item));
  }
  Value::dismantle(pile);
}

// Frees what only the pile owns without recursion, however deep it is nested: a container is
// emptied into the pile before it goes.
void Value::dismantle(std::vector<Value>& pile) {
  while (!pile.empty()) {
    const Value value = std::move(pile.back());
    pile.pop_back();
    const auto move_in = [&pile](Value& item) {
      if (item.is_list() || item.is_dict() || item.is_tuple()) pile.push_back(std::move(item));
    };
    if (value.is_list()) {
      const auto& body = std::get<std::shared_ptr<ListBody>>(value.state_);
      if (!body || body.use_count() > 1) continue;
      for (Value& item : body->items) move_in(item);
      body->items.clear();
    } else if (value.is_dict()) {
      const auto& body = std::get<std::shared_ptr<DictBody>>(value.state_);
      if (!body || body.use_count() > 1) continue;
      for (auto& [key, item] : body->items) move_in(item);
      body->items.clear();
    } else if (value.is_tuple()) {
      const auto& body = std::get<Tuple>(value.state_).items;
      if (!body || body.use_count() > 1) continue;
      // Nobody else sees this tuple any more, and it was made as a plain vector.
      auto& items = const_cast<std::vector<Value>&>(*body);
      for (Value& item : items) move_in(item);
      items.clear();
    }
  }
}

bool DictBody::index_holds() const {
  if (index.size() != items.size() || items.empty()) return false;
  const Value& last = items.back().first;
  if (!last.is_string()) return false;
  const auto found = index.find(last.as_string());
  return found != index.end() && found->second == items.size() - 1;
}

std::size_t DictBody::place(std::string_view key) const {
  if (items.size() >= kIndexFrom && index_holds()) {
    const auto found = index.find(std::string(key));
    return found == index.end() ? items.size() : found->second;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].first.is_string() && items[i].first.as_string() == key) return i;
  }
  return items.size();
}

std::size_t DictBody::place(const Value& key) const {
  if (key.is_string()) return place(std::string_view(key.as_string()));
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].first.is_string() && items[i].first.equals(key)) return i;
  }
  return items.size();
}

void DictBody::set(const Value& key, Value value) {
  if (items.size() >= kIndexFrom && !index_holds()) {
    index.clear();
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].first.is_string()) index.emplace(items[i].first.as_string(), i);
    }
  }
  const std::size_t at = place(key);
  if (at < items.size()) {
    items[at].second = std::move(value);
    return;
  }
  if (items.size() >= kIndexFrom && key.is_string() && index.size() == items.size()) {
    index.emplace(key.as_string(), items.size());
  }
  items.emplace_back(key, std::move(value));
}

Value Value::undefined(std::string name, std::string message) {
  if (message.empty()) message = fmt::format("'{}' is undefined", name);
  return Value(State(Undefined{std::make_shared<const Undefined::Why>(
      Undefined::Why{std::move(name), std::move(message)})}));
}

Value Value::list(std::vector<Value> items) {
  auto body = std::make_shared<ListBody>();
  body->items = std::move(items);
  return Value(State(std::move(body)));
}

Value Value::tuple(std::vector<Value> items) {
  const auto release = [](std::vector<Value>* body) {
    dismantle(*body);
    delete body;
  };
  return Value(State(Tuple{{new std::vector<Value>(std::move(items)), release}}));
}

Value Value::dict(std::vector<std::pair<Value, Value>> items) {
  auto body = std::make_shared<DictBody>();
  body->items = std::move(items);
  return Value(State(std::move(body)));
}

Value Value::function(std::string name, std::function<Result<Value>(const Arguments&)> body) {
  return Value(std::static_pointer_cast<HostObject>(
      std::make_shared<HostFunction>(std::move(name), std::move(body))));
}

std::optional<Value> Value::find(std::string_view key) const {
  const DictBody& body = dict_body();
  const std::size_t place = body.place(key);
  if (place == body.items.size()) return std::nullopt;
  return body.items[place].second;
}

void Value::set(std::string_view key, Value value) const {
  dict_body().set(Value(key), std::move(value));
}

bool Value::truth() const {
  if (is_bool()) return as_bool();
  if (is_string()) return !as_string().empty();
  if (is_int()) return as_int() != 0;
  if (is_double()) return as_double() != 0;
  if (is_list()) return !as_list().empty();
  if (is_tuple()) return !as_tuple().empty();
  if (is_dict()) return !as_dict().empty();
  if (is_object()) return as_object()->truth();
  return false;
}

std::string Value::text() const {
  if (is_string()) return as_string();
  if (is_undefined()) return "";
  if (is_none()) return "None";
  if (is_bool()) return as_bool() ? "True" : "False";
  if (is_int()) return std::to_string(as_int());
  if (is_double()) return float_repr(as_double());
  if (is_object()) return as_object()->text();
  return repr();
}

std::string Value::repr() const {
  Printer printer;
  printer.print(*this);
  return std::move(printer.out);
}

bool Value::equals(const Value& other) const { return Comparison().equal(*this, other, 0); }

bool Value::same_as(const Value& other) const {
  if (state_.index() != other.state_.index()) return false;
  if (is_list()) return &as_list() == &other.as_list();
  if (is_dict()) return &dict_body() == &other.dict_body();
  if (is_tuple()) return &as_tuple() == &other.as_tuple();
  if (is_object()) return as_object() == other.as_object();
  if (is_undefined()) return &undefined_name() == &other.undefined_name();
  if (is_double()) return as_double() == other.as_double();
  return equals(other);
}

std::string Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_double()) return "float";
  if (is_string()) return "str";
  if (is_list()) return "list";
  if (is_tuple()) return "tuple";
  if (is_dict()) return "dict";
  return as_object()->type_name();
}

}  // namespace tapeline::jinja
