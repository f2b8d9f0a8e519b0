#include "jinja/evaluator.h"
#include "jinja/evaluator_scope.h"
#include "jinja/macro_object.h"
#include "jinja/methods.h"
#include "jinja/operations.h"

namespace tapeline::jinja {

Value Evaluator::eval(const ast::Expr& expr) {
  charge(1);
  const Nesting nesting(*budget_);
  return std::visit([&](const auto& node) { return compute(node, expr); }, expr.node);
}

Value Evaluator::compute(const ast::Literal& node, const ast::Expr&) { return node.value; }
Value Evaluator::compute(const ast::Name& node, const ast::Expr&) { return lookup(node.id); }

Value Evaluator::compute(const ast::ListDisplay& node, const ast::Expr&) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ast::ExprPtr& item : node.items) items.push_back(eval(*item));
  return Value::list(std::move(items));
}

Value Evaluator::compute(const ast::TupleDisplay& node, const ast::Expr&) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ast::ExprPtr& item : node.items) items.push_back(eval(*item));
  return Value::tuple(std::move(items));
}

Value Evaluator::compute(const ast::DictDisplay& node, const ast::Expr& expr) {
  Value dict = Value::dict();
  for (const auto& [key, item] : node.items) {
    const Value key_value = eval(*key);
    line_ = expr.line;
    require_hashable(key_value);
    dict.dict_body().set(key_value, eval(*item));
  }
  return dict;
}

Value Evaluator::compute(const ast::Attribute& node, const ast::Expr& expr) {
  const Value object = eval(*node.object);
  line_ = expr.line;
  return get_attribute(object, node.name);
}

Value Evaluator::compute(const ast::Item& node, const ast::Expr& expr) {
  const Value object = eval(*node.object);
  const Value key = eval(*node.key);
  line_ = expr.line;
  return get_item(object, key);
}

Value Evaluator::compute(const ast::Slice& node, const ast::Expr& expr) {
  // Without an object it is one of several subscripts, which nothing here takes.
  if (!node.object) fail("a slice cannot be one of several subscripts");
  const Value object = eval(*node.object);
  const Value start = node.start ? eval(*node.start) : Value();
  const Value stop = node.stop ? eval(*node.stop) : Value();
  const Value step = node.step ? eval(*node.step) : Value();
  line_ = expr.line;
  return get_slice(object, start, stop, step);
}

Value Evaluator::compute(const ast::Call& node, const ast::Expr& expr) {
  line_ = expr.line;
  return call_node(node, nullptr);
}

Value Evaluator::call_node(const ast::Call& node, const Value* caller) {
  const int line = line_;
  const auto arguments_with_caller = [&] {
    Arguments arguments = arguments_of(node.arguments);
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    line_ = line;
    return arguments;
  };
  const auto* attribute = std::get_if<ast::Attribute>(&node.callee->node);
  if (attribute == nullptr) {
    const Value function = eval(*node.callee);
    return call(function, arguments_with_caller());
  }
  const Value object = eval(*attribute->object);
  line_ = line;
  require_defined(object);
  if (object.is_object()) {
    const Arguments arguments = arguments_with_caller();
    return take(object.as_object()->call_method(attribute->name, arguments));
  }
  if (has_method(object, attribute->name)) {
    const Arguments arguments = arguments_with_caller();
    return call_method(object, attribute->name, arguments, bytes_max());
  }
  const Value function = get_attribute(object, attribute->name);
  return call(function, arguments_with_caller());
}

Value Evaluator::call(const Value& function, Arguments arguments) {
  require_defined(function);
  if (!function.is_object()) fail("'{}' object is not callable", function.type_name());
  arguments.budget = budget_;
  HostObject& object = *function.as_object();
  if (is_return_function(function)) throw ReturnSignal{return_value(arguments)};
  // A macro is run without leaving this room, so that return() and failures pass through.
  if (auto* macro = dynamic_cast<CallableMacro*>(&object)) return macro->invoke(arguments);
  return take(object.call(arguments));
}

Arguments Evaluator::arguments_of(const ast::CallArguments& node) {
  Arguments arguments;
  arguments.budget = budget_;
  arguments.positional.reserve(node.positional.size());
  for (const ast::ExprPtr& value : node.positional) arguments.positional.push_back(eval(*value));
  if (node.more_positional) {
    for (Value& value : items_of(eval(*node.more_positional))) {
      arguments.positional.push_back(std::move(value));
    }
  }
  for (const auto& [name, value] : node.named) arguments.named.emplace_back(name, eval(*value));
  if (!node.more_named) return arguments;
  const Value more = eval(*node.more_named);
  if (!more.is_dict()) fail("argument after ** must be a mapping, not {}", more.type_name());
  for (const auto& [key, value] : more.as_dict()) {
    if (!key.is_string()) fail("keywords must be strings");
    for (const auto& [other, ignored] : arguments.named) {
      if (other == key.as_string()) fail("got multiple values for keyword argument '{}'", other);
    }
    arguments.named.emplace_back(key.as_string(), value);
  }
  return arguments;
}

Value Evaluator::compute(const ast::Filter& node, const ast::Expr& expr) {
  return apply(node, expr.line, eval(*node.input));
}

Value Evaluator::filtered(const ast::Expr& filter, Value text) {
  const auto& node = std::get<ast::Filter>(filter.node);
  if (node.input) text = filtered(*node.input, std::move(text));
  return apply(node, filter.line, text);
}

Value Evaluator::apply(const ast::Filter& node, int line, const Value& input) {
  if (node.function == nullptr) fail("no filter named '{}'", node.name);
  const Arguments arguments = arguments_of(node.arguments);
  line_ = line;
  return node.function(*this, input, arguments);
}

Value Evaluator::compute(const ast::Test& node, const ast::Expr& expr) {
  const Value input = eval(*node.input);
  if (node.function == nullptr) fail("no test named '{}'", node.name);
  const Arguments arguments = arguments_of(node.arguments);
  line_ = expr.line;
  return Value(node.function(*this, input, arguments));
}

Value Evaluator::compute(const ast::Arithmetic& node, const ast::Expr& expr) {
  const Value left = eval(*node.left);
  const Value right = eval(*node.right);
  line_ = expr.line;
  return arithmetic(*this, node.operation, left, right);
}

Value Evaluator::compute(const ast::Signed& node, const ast::Expr& expr) {
  const Value value = eval(*node.operand);
  line_ = expr.line;
  return node.sign == ast::Sign::minus ? negative(value) : positive(value);
}

Value Evaluator::compute(const ast::Not& node, const ast::Expr&) {
  return Value(!eval(*node.operand).truth());
}

Value Evaluator::compute(const ast::And& node, const ast::Expr&) {
  Value left = eval(*node.left);
  return left.truth() ? eval(*node.right) : left;
}

Value Evaluator::compute(const ast::Or& node, const ast::Expr&) {
  Value left = eval(*node.left);
  return left.truth() ? left : eval(*node.right);
}

Value Evaluator::compute(const ast::Concat& node, const ast::Expr&) {
  std::string out;
  for (const ast::ExprPtr& part : node.parts) write(out, eval(*part));
  charge(out.size() / 64);
  return Value(std::move(out));
}

Value Evaluator::compute(const ast::Compare& node, const ast::Expr& expr) {
  Value left = eval(*node.first);
  for (const auto& [comparator, operand] : node.rest) {
    Value right = eval(*operand);
    line_ = expr.line;
    if (!compare(comparator, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Evaluator::compute(const ast::Conditional& node, const ast::Expr& expr) {
  if (eval(*node.condition).truth()) return eval(*node.yes);
  if (node.no) return eval(*node.no);
  return Value::undefined("if",
                          fmt::format("the inline if-expression on line {} evaluated to false "
                                      "and no else section was defined",
                                      expr.line));
}

}  // namespace tapeline::jinja
