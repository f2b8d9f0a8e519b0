#include "jinja/template.h"

#include "jinja/evaluator.h"
#include "jinja/macro_object.h"
#include "jinja/parser.h"

namespace tapeline::jinja {

namespace {

class ReturnFunction : public HostObject {
 public:
  std::string type_name() const override { return "function"; }
  std::string text() const override { return "<function return>"; }
  bool callable() const override { return true; }
  Result<Value> call(const Arguments&) override {
    return Error{ErrorCode::invalid_argument, "return() is called outside of a template", ""};
  }
};

/// Runs `body`; what it throws becomes an error that names the evaluator's place.
template <typename Body>
auto guarded(Evaluator& evaluator, Body body) -> Result<decltype(body())> {
  try {
    return body();
  } catch (Failure& failure) {
    return evaluator.placed(std::move(failure)).error;
  } catch (const ReturnSignal&) {
    return evaluator.placed({Error{ErrorCode::invalid_argument, "return() outside of a macro", ""}})
        .error;
  }
}

}  // namespace

bool is_return_function(const Value& value) {
  return value.is_object() &&
         dynamic_cast<const ReturnFunction*>(value.as_object().get()) != nullptr;
}

Value return_value(const Arguments& arguments) {
  const Bound bound("return", arguments, {"data"}, 1);
  return bound.value(0);
}

Value return_function() {
  return Value(std::static_pointer_cast<HostObject>(std::make_shared<ReturnFunction>()));
}

Result<Value> CallableMacro::attribute(const std::string& name) {
  const ast::MacroDefinition& macro = definition();
  if (name == "name") return macro.is_caller ? Value() : Value(macro.name);
  if (name == "caller") return Value(macro.uses_caller);
  if (name == "catch_kwargs") return Value(macro.uses_kwargs);
  if (name == "catch_varargs") return Value(macro.uses_varargs);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const ast::Parameter& parameter : macro.parameters) names.emplace_back(parameter.text);
    return Value::tuple(std::move(names));
  }
  return HostObject::attribute(name);
}

Result<Value> CallableMacro::call(const Arguments& arguments) {
  try {
    return invoke(arguments);
  } catch (const Failure& failure) {
    return failure.error;
  } catch (ReturnSignal& signal) {
    // A call block that a host runs: there is no macro between to end, so it ends the block.
    return std::move(signal.value);
  }
}

std::string CallableMacro::text() const {
  return definition().is_caller ? "<Macro anonymous>" : "<Macro '" + definition().name + "'>";
}

Value SharedMacro::invoke(const Arguments& arguments) {
  Budget fresh{RenderLimits()};
  Budget* const budget = arguments.budget == nullptr ? &fresh : arguments.budget;
  const auto evaluator = std::make_shared<Evaluator>(body_, context_, budget);
  try {
    return evaluator->run_macro(*macro_, arguments);
  } catch (Failure& failure) {
    throw evaluator->placed(std::move(failure));
  }
}

Result<Template> Template::parse(std::string_view source, std::string name) {
  try {
    return Template(parse_template(source, std::move(name)));
  } catch (const Failure& failure) {
    return failure.error;
  }
}

Result<std::string> Template::render(Context& context, RenderLimits limits) const {
  Budget budget(limits);
  const auto evaluator = std::make_shared<Evaluator>(body_, context, &budget);
  return guarded(*evaluator, [&] { return evaluator->render(); });
}

Result<Value> Template::render_native(Context& context, RenderLimits limits) const {
  Budget budget(limits);
  const auto evaluator = std::make_shared<Evaluator>(body_, context, &budget);
  return guarded(*evaluator, [&] { return evaluator->render_native(); });
}

const std::vector<MacroInfo>& Template::macros() const { return body_->macros; }
const std::vector<BlockInfo>& Template::blocks() const { return body_->blocks; }
const std::string& Template::name() const { return body_->name; }

Result<Value> Template::macro(const std::string& name, Context& context) const {
  for (auto macro = body_->definitions.rbegin(); macro != body_->definitions.rend(); ++macro) {
    if ((*macro)->name != name) continue;
    return Value(std::static_pointer_cast<HostObject>(
        std::make_shared<SharedMacro>(body_, *macro, context)));
  }
  return Error{ErrorCode::not_found, "no macro named '" + name + "' in '" + body_->name + "'", ""};
}

std::vector<StaticCall> Template::static_calls() const {
  std::vector<StaticCall> calls;
  for (const auto& [name, arguments] : body_->calls) {
    StaticCall call{name, true, {}};
    call.literal = !arguments->more_positional && !arguments->more_named;
    for (const ast::ExprPtr& expr : arguments->positional) {
      const auto value = literal_value(*expr);
      call.literal = call.literal && value;
      if (value) call.arguments.positional.push_back(*value);
    }
    for (const auto& [key, expr] : arguments->named) {
      const auto value = literal_value(*expr);
      call.literal = call.literal && value;
      if (value) call.arguments.named.emplace_back(key, *value);
    }
    if (!call.literal) call.arguments = {};
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace tapeline::jinja
