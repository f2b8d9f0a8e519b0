#include <algorithm>

#include "jinja/evaluator.h"
#include "jinja/evaluator_scope.h"
#include "jinja/macro_object.h"

namespace tapeline::jinja {

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
