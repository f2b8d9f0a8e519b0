#include "jinja/evaluator.h"

#include <algorithm>

#include "jinja/macro_object.h"
#include "jinja/methods.h"
#include "jinja/objects.h"
#include "jinja/operations.h"

namespace tapeline::jinja {

namespace {

constexpr int kNestingMax = 2500;          // of run() and eval(); a thread's stack bounds it
constexpr std::size_t kMessageMax = 1000;  // no more places are put before a longer message

class Nesting {
 public:
  explicit Nesting(Budget& budget) : budget_(budget) {
    if (++budget_.nesting > kNestingMax) {
      --budget_.nesting;
      fail("the calls and expressions are nested too deep");
    }
  }
  ~Nesting() { --budget_.nesting; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Budget& budget_;
};

}  // namespace

/// A frame of names for a block; gone with it unless something refers to it.
class Evaluator::Scope {
 public:
  Scope(Evaluator& evaluator, Frame* parent) : evaluator_(evaluator), outer_(evaluator.frame_) {
    if (evaluator_.spare_.empty()) {
      frame_ = std::make_unique<Frame>();
    } else {
      frame_ = std::move(evaluator_.spare_.back());
      evaluator_.spare_.pop_back();
    }
    frame_->parent = parent;
    evaluator_.frame_ = frame_.get();
  }
  explicit Scope(Evaluator& evaluator) : Scope(evaluator, evaluator.frame_) {}
  ~Scope() {
    evaluator_.frame_ = outer_;
    if (frame_->captured) {
      evaluator_.captured_.push_back(std::move(frame_));
    } else {
      frame_->names.clear();
      evaluator_.spare_.push_back(std::move(frame_));
    }
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Evaluator& evaluator_;
  Frame* outer_;
  std::unique_ptr<Frame> frame_;
};

/// The variable `loop`.
class LoopObject : public HostObject {
 public:
  LoopObject(std::weak_ptr<Evaluator> evaluator, const ast::For& node, Evaluator::Frame* frame,
             std::vector<Value> items, int depth)
      : items_(std::move(items)),
        evaluator_(std::move(evaluator)),
        node_(node),
        frame_(frame),
        depth_(depth) {}

  const std::vector<Value>& items() const { return items_; }
  void go_to(std::size_t index) { index_ = index; }

  std::string type_name() const override { return "LoopContext"; }
  std::string text() const override {
    return fmt::format("<LoopContext {}/{}>", index_ + 1, items_.size());
  }
  bool callable() const override { return true; }

  Result<Value> attribute(const std::string& name) override {
    const auto number = [](std::size_t value) { return Value(static_cast<std::int64_t>(value)); };
    if (name == "index") return number(index_ + 1);
    if (name == "index0") return number(index_);
    if (name == "revindex") return number(items_.size() - index_);
    if (name == "revindex0") return number(items_.size() - index_ - 1);
    if (name == "first") return Value(index_ == 0);
    if (name == "last") return Value(index_ + 1 == items_.size());
    if (name == "length") return number(items_.size());
    if (name == "depth") return Value(depth_ + 1);
    if (name == "depth0") return Value(depth_);
    if (name == "previtem") {
      if (index_ > 0) return items_[index_ - 1];
      return Value::undefined(name, "there is no previous item");
    }
    if (name == "nextitem") {
      if (index_ + 1 < items_.size()) return items_[index_ + 1];
      return Value::undefined(name, "there is no next item");
    }
    return HostObject::attribute(name);
  }

  Result<Value> call_method(const std::string& name, const Arguments& arguments) override {
    if (name == "cycle") {
      if (arguments.positional.empty()) {
        return Error{ErrorCode::invalid_argument, "no items for cycling given", ""};
      }
      return arguments.positional[index_ % arguments.positional.size()];
    }
    if (name == "changed") {
      Value now = Value::tuple(arguments.positional);
      const bool changed = !last_changed_ || !last_changed_->equals(now);
      last_changed_ = std::move(now);
      return Value(changed);
    }
    return HostObject::call_method(name, arguments);
  }

  Result<Value> call(const Arguments& arguments) override {
    const auto evaluator = evaluator_.lock();
    if (!evaluator || !node_.recursive || arguments.positional.size() != 1) {
      return Error{ErrorCode::invalid_argument,
                   "loop(...) takes one list, inside of a recursive loop",
                   "Write {% for x in list recursive %}."};
    }
    try {
      return Value(
          evaluator->run_loop_again(node_, frame_, arguments.positional.front(), depth_ + 1));
    } catch (const Failure& failure) {
      return failure.error;
    }
  }

 private:
  std::vector<Value> items_;
  std::size_t index_ = 0;
  std::optional<Value> last_changed_;
  std::weak_ptr<Evaluator> evaluator_;
  const ast::For& node_;
  Evaluator::Frame* frame_;
  int depth_;
};

void Evaluator::Frame::set(ast::NameId name, Value value) {
  for (auto& [id, held] : names) {
    if (id == name) {
      held = std::move(value);
      return;
    }
  }
  names.emplace_back(name, std::move(value));
}

Evaluator::Evaluator(std::shared_ptr<const Template::Body> body, Context& context, Budget* budget)
    : body_(std::move(body)), context_(context), budget_(budget) {
  top_.captured = true;
}

std::string Evaluator::render() {
  std::string out;
  if (run(body_->statements, out) == Flow::returned) fail("return() outside of a macro");
  return out;
}

Value Evaluator::render_native() {
  native_ = true;
  const ast::Output* only = nullptr;
  bool text = false;
  for (const ast::Statement& statement : body_->statements) {
    if (const auto* output = std::get_if<ast::Output>(&statement.node)) {
      text = text || only != nullptr;
      only = output;
    } else if (!std::holds_alternative<ast::Set>(statement.node) &&
               !std::holds_alternative<ast::Do>(statement.node) &&
               !std::holds_alternative<ast::Macro>(statement.node)) {
      text = true;
    }
  }
  if (text || only == nullptr) return Value(render());
  std::string none;
  Value result;
  for (const ast::Statement& statement : body_->statements) {
    if (const auto* output = std::get_if<ast::Output>(&statement.node)) {
      line_ = statement.line;
      result = eval(*output->value);
    } else if (run(statement, none) == Flow::returned) {
      fail("return() outside of a macro");
    }
  }
  return result;
}

Value Evaluator::run_macro(const ast::MacroDefinition& macro, const Arguments& arguments) {
  context_first_ = true;
  return call_macro(macro, &top_, arguments);
}

Failure Evaluator::placed(Failure failure) const {
  if (failure.error.message.size() < kMessageMax) {
    failure.error.message = fmt::format("{}:{}: {}", body_->name, line_, failure.error.message);
  }
  return failure;
}

void Evaluator::charge(std::size_t steps) {
  budget_->steps_left -= static_cast<std::int64_t>(steps);
  if (budget_->steps_left < 0) {
    throw Failure{
        Error{ErrorCode::invalid_argument,
              fmt::format("the template takes more than {} steps", budget_->limits.steps_max),
              "Look for a loop that does not end."}};
  }
}

void Evaluator::write(std::string& out, std::string_view text) const {
  if (out.size() + text.size() > budget_->limits.output_bytes_max) {
    fail("the output is longer than {} bytes", budget_->limits.output_bytes_max);
  }
  out += text;
}

void Evaluator::write(std::string& out, const Value& value) const {
  if (value.is_string())
    write(out, std::string_view(value.as_string()));
  else
    write(out, std::string_view(value.text()));
}

void Evaluator::capture(Frame* frame) {
  for (; frame != nullptr && !frame->captured; frame = frame->parent) frame->captured = true;
}

Value Evaluator::lookup(ast::NameId name) {
  for (const Frame* frame = frame_; frame != nullptr; frame = frame->parent) {
    for (const auto& [id, value] : frame->names) {
      if (id == name) return value;
    }
  }
  const std::string& text = body_->names[static_cast<std::size_t>(name)];
  if (auto found = context_.lookup(text)) return *std::move(found);
  if (context_first_) {
    for (const auto& macro : body_->definitions) {
      if (macro->id == name) return macro_value(macro);
    }
  }
  if (auto global = global_function(text)) return *std::move(global);
  return Value::undefined(text);
}

void Evaluator::assign(const ast::Target& target, const Value& value) {
  if (target.several) {
    const std::vector<Value> items = items_of(value);
    if (items.size() != target.parts.size()) {
      fail("{} values to unpack (expected {}, got {})",
           items.size() < target.parts.size() ? "not enough" : "too many", target.parts.size(),
           items.size());
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
  } else if (target.attribute.empty()) {
    frame_->set(target.name, value);
  } else {
    const Value object = lookup(target.name);
    if (!object.is_object()) fail("cannot assign attribute on non-namespace object");
    take(object.as_object()->assign(target.attribute, value));
  }
}

// Statements.

Evaluator::Flow Evaluator::run(const ast::Statements& statements, std::string& out) {
  for (const ast::Statement& statement : statements) {
    const Flow flow = run(statement, out);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Evaluator::Flow Evaluator::run(const ast::Statement& statement, std::string& out) {
  charge(1);
  const Nesting nesting(*budget_);
  line_ = statement.line;
  return std::visit([&](const auto& node) { return exec(node, out); }, statement.node);
}

Evaluator::Flow Evaluator::exec(const ast::Text& node, std::string& out) {
  write(out, std::string_view(node.text));
  return Flow::next;
}

Evaluator::Flow Evaluator::exec(const ast::Output& node, std::string& out) {
  if (is_return(*node.value)) return Flow::returned;
  write(out, eval(*node.value));
  return Flow::next;
}

Evaluator::Flow Evaluator::exec(const ast::Do& node, std::string&) {
  if (is_return(*node.value)) return Flow::returned;
  eval(*node.value);
  return Flow::next;
}

bool Evaluator::is_return(const ast::Expr& expr) {
  const auto* call = std::get_if<ast::Call>(&expr.node);
  if (call == nullptr) return false;
  const auto* name = std::get_if<ast::Name>(&call->callee->node);
  if (name == nullptr || body_->names[static_cast<std::size_t>(name->id)] != "return") return false;
  if (!is_return_function(lookup(name->id))) return false;
  returned_ = return_value(arguments_of(call->arguments));
  return true;
}

Evaluator::Flow Evaluator::exec(const ast::If& node, std::string& out) {
  for (const auto& [condition, body] : node.branches) {
    if (eval(*condition).truth()) return run(body, out);
  }
  return run(node.otherwise, out);
}

Evaluator::Flow Evaluator::exec(const ast::For& node, std::string& out) {
  return loop(node, eval(*node.iterable), 0, out);
}

Evaluator::Flow Evaluator::loop(const ast::For& node, const Value& iterable, int depth,
                                std::string& out) {
  std::vector<Value> items = items_of(iterable);
  charge(items.size());
  if (node.filter) items = matching(node, std::move(items));
  bool finished_one = false;
  const Flow flow = loop_items(node, std::move(items), depth, out, finished_one);
  // Jinja2 takes the else also where break or continue cut every turn short.
  if (flow == Flow::returned || finished_one) return flow;
  const Scope scope(*this);
  return run(node.otherwise, out);
}

std::vector<Value> Evaluator::matching(const ast::For& node, std::vector<Value> items) {
  std::vector<Value> kept;
  for (Value& item : items) {
    const Scope scope(*this);
    assign(node.target, item);
    if (eval(*node.filter).truth()) kept.push_back(std::move(item));
  }
  return kept;
}

Evaluator::Flow Evaluator::loop_items(const ast::For& node, std::vector<Value> items, int depth,
                                      std::string& out, bool& finished_one) {
  if (items.empty()) return Flow::next;
  if (node.recursive) capture(frame_);
  const auto loop_object =
      std::make_shared<LoopObject>(weak_from_this(), node, frame_, std::move(items), depth);
  const std::vector<Value>& all = loop_object->items();
  for (std::size_t i = 0; i < all.size(); ++i) {
    charge(1);
    loop_object->go_to(i);
    const Scope scope(*this);
    frame_->set(ast::kLoop, Value(std::static_pointer_cast<HostObject>(loop_object)));
    assign(node.target, all[i]);
    const Flow flow = run(node.body, out);
    if (flow == Flow::break_loop) break;
    if (flow == Flow::returned) return flow;
    if (flow == Flow::next) finished_one = true;
  }
  return Flow::next;
}

std::string Evaluator::run_loop_again(const ast::For& node, Frame* frame, const Value& iterable,
                                      int depth) {
  const Nesting nesting(*budget_);
  const Scope scope(*this, frame);
  std::string out;
  if (loop(node, iterable, depth, out) == Flow::returned) fail("return() in a recursive loop");
  return out;
}

Evaluator::Flow Evaluator::exec(const ast::Set& node, std::string&) {
  assign(node.target, eval(*node.value));
  return Flow::next;
}

Evaluator::Flow Evaluator::exec(const ast::SetBlock& node, std::string&) {
  std::string text;
  {
    const Scope scope(*this);
    const Flow flow = run(node.body, text);
    if (flow != Flow::next) return flow;
  }
  Value value(std::move(text));
  if (node.filter) value = filtered(*node.filter, std::move(value));
  assign(node.target, value);
  return Flow::next;
}

Evaluator::Flow Evaluator::exec(const ast::FilterBlock& node, std::string& out) {
  std::string text;
  const Scope scope(*this);
  const Flow flow = run(node.body, text);
  if (flow == Flow::next) write(out, filtered(*node.filter, Value(std::move(text))));
  return flow;
}

Evaluator::Flow Evaluator::exec(const ast::With& node, std::string& out) {
  std::vector<Value> values;
  for (const auto& [target, value] : node.values) values.push_back(eval(*value));
  const Scope scope(*this);
  for (std::size_t i = 0; i < values.size(); ++i) assign(node.values[i].first, values[i]);
  return run(node.body, out);
}

Evaluator::Flow Evaluator::exec(const ast::Break&, std::string&) { return Flow::break_loop; }
Evaluator::Flow Evaluator::exec(const ast::Continue&, std::string&) { return Flow::continue_loop; }

Evaluator::Flow Evaluator::exec(const ast::Macro& node, std::string&) {
  frame_->set(node.definition->id, macro_value(node.definition));
  return Flow::next;
}

Evaluator::Flow Evaluator::exec(const ast::CallBlock& node, std::string& out) {
  const Value caller = macro_value(node.caller);
  write(out, call_node(std::get<ast::Call>(node.call->node), &caller));
  return Flow::next;
}

// Expressions.

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

// Macros.

Value Evaluator::macro_value(std::shared_ptr<const ast::MacroDefinition> macro) {
  capture(frame_);
  return Value(std::static_pointer_cast<HostObject>(
      std::make_shared<MacroObject>(weak_from_this(), std::move(macro), frame_)));
}

Value Evaluator::call_macro(const ast::MacroDefinition& macro, Frame* frame,
                            const Arguments& arguments) {
  Budget* const own = budget_;
  if (arguments.budget != nullptr) budget_ = arguments.budget;
  const int line = line_;
  struct Leave {
    Evaluator& evaluator;
    Budget* own;
    ~Leave() {
      --evaluator.budget_->calls;
      evaluator.budget_ = own;
    }
  };
  ++budget_->calls;
  const Leave leave{*this, own};
  if (budget_->calls > budget_->limits.depth_max) {
    throw Failure{Error{ErrorCode::invalid_argument,
                        fmt::format("more than {} macro calls are under way in one another",
                                    budget_->limits.depth_max),
                        "Look for a macro that calls itself."}};
  }
  const Nesting nesting(*budget_);
  const Scope scope(*this, frame);
  bind(macro, arguments);
  std::string out;
  Value result;
  try {
    if (run(macro.body, out) == Flow::returned) {
      // A call block is no macro of its own: return() in it ends the macro that runs it.
      if (macro.is_caller) throw ReturnSignal{std::exchange(returned_, Value())};
      result = std::exchange(returned_, Value());
    } else {
      result = Value(std::move(out));
    }
  } catch (ReturnSignal& signal) {
    if (macro.is_caller) throw;
    result = std::move(signal.value);
  }
  line_ = line;
  return result;
}

void Evaluator::bind(const ast::MacroDefinition& macro, const Arguments& arguments) {
  auto named = arguments.named;
  const auto pop = [&named](const std::string& name) -> std::optional<Value> {
    for (auto place = named.begin(); place != named.end(); ++place) {
      if (place->first != name) continue;
      Value value = std::move(place->second);
      named.erase(place);
      return value;
    }
    return std::nullopt;
  };
  const std::size_t count = macro.parameters.size();
  bool caller_taken = macro.explicit_caller && arguments.positional.size() >= count;
  std::vector<const ast::Parameter*> missing;
  for (std::size_t i = 0; i < count; ++i) {
    const ast::Parameter& parameter = macro.parameters[i];
    if (i < arguments.positional.size()) {
      frame_->set(parameter.name, arguments.positional[i]);
      continue;
    }
    if (parameter.name == ast::kCaller) caller_taken = true;
    if (auto value = pop(parameter.text))
      frame_->set(parameter.name, *std::move(value));
    else
      missing.push_back(&parameter);
  }
  if (macro.uses_caller && !caller_taken) {
    auto caller = pop("caller");
    const bool none = !caller || caller->is_none();
    frame_->set(ast::kCaller,
                none ? Value::undefined("caller", "no caller defined") : *std::move(caller));
  }
  if (macro.uses_kwargs) {
    const Value kwargs = Value::dict();
    for (const auto& [name, value] : named) kwargs.set(name, value);
    frame_->set(ast::kKwargs, kwargs);
  } else if (!named.empty()) {
    fail("macro '{}' takes no keyword argument '{}'", macro.name, named.front().first);
  }
  if (macro.uses_varargs) {
    const auto begin = arguments.positional.begin();
    const auto size = arguments.positional.size();
    frame_->set(ast::kVarargs,
                Value::tuple({begin + static_cast<std::ptrdiff_t>(std::min(count, size)),
                              arguments.positional.end()}));
  } else if (arguments.positional.size() > count) {
    fail("macro '{}' takes not more than {} argument(s)", macro.name, count);
  }
  for (const ast::Parameter* parameter : missing) {
    Value value =
        parameter->fallback
            ? eval(*parameter->fallback)
            : Value::undefined(parameter->text,
                               fmt::format("parameter '{}' was not provided", parameter->text));
    frame_->set(parameter->name, std::move(value));
  }
}

MacroObject::MacroObject(std::weak_ptr<Evaluator> evaluator,
                         std::shared_ptr<const ast::MacroDefinition> macro, void* frame)
    : evaluator_(std::move(evaluator)), macro_(std::move(macro)), frame_(frame) {}

const ast::MacroDefinition& MacroObject::definition() const { return *macro_; }

Value MacroObject::invoke(const Arguments& arguments) {
  const auto evaluator = evaluator_.lock();
  if (!evaluator) fail("the macro '{}' is called after its template was rendered", macro_->name);
  return evaluator->call_macro(*macro_, static_cast<Evaluator::Frame*>(frame_), arguments);
}

}  // namespace tapeline::jinja
