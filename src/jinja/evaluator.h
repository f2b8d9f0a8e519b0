// The evaluator: walks a template's tree, and writes text or yields a value.
//
// It owns the frames of names that macros of the template close over, so a macro or loop that
// outlives its rendering can tell, and says so instead of reaching into nothing.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/failure.h"
#include "jinja/filters.h"
#include "jinja/template.h"

namespace tapeline::jinja {

/// Shared by a rendering and all macros that it calls.
struct Budget {
  RenderLimits limits;
  std::int64_t steps_left = limits.steps_max;
  int calls = 0;    // macro calls under way
  int nesting = 0;  // of the evaluator's own recursion

  explicit Budget(RenderLimits render_limits) : limits(render_limits) {}
};

class Evaluator : public Runtime, public std::enable_shared_from_this<Evaluator> {
 public:
  Evaluator(std::shared_ptr<const Template::Body> body, Context& context, Budget* budget);

  std::string render();
  Value render_native();
  /// Runs a macro of the template whose free names are the context's.
  Value run_macro(const ast::MacroDefinition& macro, const Arguments& arguments);
  Value call(const Value& function, Arguments arguments) override;
  bool native() const override { return native_; }
  void charge(std::size_t steps) override;
  std::size_t bytes_max() const override { return budget_->limits.output_bytes_max; }

  /// Puts this template's name and the line under way before the failure's message.
  Failure placed(Failure failure) const;

 private:
  friend class MacroObject;
  friend class LoopObject;

  struct Frame {
    Frame* parent = nullptr;
    std::vector<std::pair<ast::NameId, Value>> names;
    bool captured = false;  // a macro or loop object refers to it

    void set(ast::NameId name, Value value);
  };
  class Scope;

  enum class Flow : std::uint8_t { next, break_loop, continue_loop, returned };

  Flow run(const ast::Statements& statements, std::string& out);
  Flow run(const ast::Statement& statement, std::string& out);
  Flow exec(const ast::Text& node, std::string& out);
  Flow exec(const ast::Output& node, std::string& out);
  Flow exec(const ast::Do& node, std::string& out);
  Flow exec(const ast::If& node, std::string& out);
  Flow exec(const ast::For& node, std::string& out);
  Flow exec(const ast::Set& node, std::string& out);
  Flow exec(const ast::SetBlock& node, std::string& out);
  Flow exec(const ast::FilterBlock& node, std::string& out);
  Flow exec(const ast::With& node, std::string& out);
  Flow exec(const ast::Break& node, std::string& out);
  Flow exec(const ast::Continue& node, std::string& out);
  Flow exec(const ast::Macro& node, std::string& out);
  Flow exec(const ast::CallBlock& node, std::string& out);

  Flow loop(const ast::For& node, const Value& iterable, int depth, std::string& out);
  Flow loop_items(const ast::For& node, std::vector<Value> items, int depth, std::string& out,
                  bool& finished_one);
  std::string run_loop_again(const ast::For& node, Frame* frame, const Value& iterable, int depth);
  std::vector<Value> matching(const ast::For& node, std::vector<Value> items);

  Value eval(const ast::Expr& expr);
  Value compute(const ast::Literal& node, const ast::Expr& expr);
  Value compute(const ast::Name& node, const ast::Expr& expr);
  Value compute(const ast::ListDisplay& node, const ast::Expr& expr);
  Value compute(const ast::TupleDisplay& node, const ast::Expr& expr);
  Value compute(const ast::DictDisplay& node, const ast::Expr& expr);
  Value compute(const ast::Attribute& node, const ast::Expr& expr);
  Value compute(const ast::Item& node, const ast::Expr& expr);
  Value compute(const ast::Slice& node, const ast::Expr& expr);
  Value compute(const ast::Call& node, const ast::Expr& expr);
  Value compute(const ast::Filter& node, const ast::Expr& expr);
  Value compute(const ast::Test& node, const ast::Expr& expr);
  Value compute(const ast::Arithmetic& node, const ast::Expr& expr);
  Value compute(const ast::Signed& node, const ast::Expr& expr);
  Value compute(const ast::Not& node, const ast::Expr& expr);
  Value compute(const ast::And& node, const ast::Expr& expr);
  Value compute(const ast::Or& node, const ast::Expr& expr);
  Value compute(const ast::Concat& node, const ast::Expr& expr);
  Value compute(const ast::Compare& node, const ast::Expr& expr);
  Value compute(const ast::Conditional& node, const ast::Expr& expr);

  Value call_node(const ast::Call& node, const Value* caller);
  /// If the expression is a call of return(): keeps its value.
  bool is_return(const ast::Expr& expr);
  /// The chain of filters of a block, whose first has no input but the block's text.
  Value filtered(const ast::Expr& filter, Value text);
  Value apply(const ast::Filter& node, int line, const Value& input);
  Arguments arguments_of(const ast::CallArguments& arguments);
  Value lookup(ast::NameId name);
  void assign(const ast::Target& target, const Value& value);
  Value macro_value(std::shared_ptr<const ast::MacroDefinition> macro);
  Value call_macro(const ast::MacroDefinition& macro, Frame* frame, const Arguments& arguments);
  void bind(const ast::MacroDefinition& macro, const Arguments& arguments);
  void write(std::string& out, std::string_view text) const;
  void write(std::string& out, const Value& value) const;
  void capture(Frame* frame);

  std::shared_ptr<const Template::Body> body_;
  Context& context_;
  Budget* budget_;
  Frame top_;
  Frame* frame_ = &top_;
  bool context_first_ = false;  // the context's names hide the template's own
  bool native_ = false;
  int line_ = 0;
  Value returned_;
  std::vector<std::unique_ptr<Frame>> spare_;     // frames to use again
  std::vector<std::unique_ptr<Frame>> captured_;  // frames that must stay
};

/// The functions that every template knows: range, dict, namespace, cycler, joiner.
std::optional<Value> global_function(const std::string& name);

}  // namespace tapeline::jinja
