// Macros as values, and how return() leaves one.

#pragma once

#include <memory>
#include <string>

#include "jinja/ast.h"
#include "jinja/value.h"

namespace tapeline::jinja {

class Evaluator;

/// Thrown by return() inside of an expression; caught by the macro around it.
struct ReturnSignal {
  Value value;
};

bool is_return_function(const Value& value);
/// What return(...) was given.
Value return_value(const Arguments& arguments);

/// A macro: its attributes are Jinja2's (name, arguments, caller, catch_kwargs, catch_varargs).
class CallableMacro : public HostObject {
 public:
  virtual const ast::MacroDefinition& definition() const = 0;
  /// Runs it inside this room: throws Failure, and ReturnSignal out of a call block.
  virtual Value invoke(const Arguments& arguments) = 0;

  std::string type_name() const override { return "Macro"; }
  Result<Value> attribute(const std::string& name) override;
  Result<Value> call(const Arguments& arguments) override;
  std::string text() const override;
  bool callable() const override { return true; }
};

/// A macro of a rendering under way, with the names around it.
class MacroObject : public CallableMacro {
 public:
  MacroObject(std::weak_ptr<Evaluator> evaluator, std::shared_ptr<const ast::MacroDefinition> macro,
              void* frame);
  const ast::MacroDefinition& definition() const override;
  Value invoke(const Arguments& arguments) override;

 private:
  std::weak_ptr<Evaluator> evaluator_;
  std::shared_ptr<const ast::MacroDefinition> macro_;
  void* frame_;  // of the evaluator; captured
};

/// A macro of a parsed template, whose free names are a context's.
class SharedMacro : public CallableMacro {
 public:
  SharedMacro(std::shared_ptr<const Template::Body> body,
              std::shared_ptr<const ast::MacroDefinition> macro, Context& context)
      : body_(std::move(body)), macro_(std::move(macro)), context_(context) {}
  const ast::MacroDefinition& definition() const override { return *macro_; }
  Value invoke(const Arguments& arguments) override;

 private:
  std::shared_ptr<const Template::Body> body_;
  std::shared_ptr<const ast::MacroDefinition> macro_;
  Context& context_;
};

}  // namespace tapeline::jinja
