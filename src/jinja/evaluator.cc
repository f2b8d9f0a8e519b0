#include "jinja/evaluator.h"

#include "jinja/evaluator_scope.h"
#include "jinja/macro_object.h"
#include "jinja/operations.h"

namespace tapeline::jinja {

namespace {

constexpr std::size_t kMessageMax = 1000;  // no more places are put before a longer message

}  // namespace

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

}  // namespace tapeline::jinja
