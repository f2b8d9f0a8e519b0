// The tree that a template is parsed into. Names are numbers into Body::names.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/filters.h"
#include "jinja/template.h"
#include "jinja/value.h"

namespace tapeline::jinja::ast {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
using NameId = int;

// Names that every template has a number for.
inline constexpr NameId kLoop = 0, kCaller = 1, kVarargs = 2, kKwargs = 3;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional;  // *args
  ExprPtr more_named;       // **kwargs

  bool empty() const {
    return positional.empty() && named.empty() && !more_positional && !more_named;
  }
};

struct Literal {
  Value value;
};
struct Name {
  NameId id;
};
struct ListDisplay {
  std::vector<ExprPtr> items;
};
struct TupleDisplay {
  std::vector<ExprPtr> items;
};
struct DictDisplay {
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};
struct Attribute {
  ExprPtr object;
  std::string name;
};
struct Item {
  ExprPtr object;
  ExprPtr key;
};
struct Slice {
  ExprPtr object;
  ExprPtr start, stop, step;  // each may be missing
};
struct Call {
  ExprPtr callee;
  CallArguments arguments;
};
struct Filter {
  ExprPtr input;  // missing in filter blocks: the block's text
  std::string name;
  FilterFunction function;  // none: no such filter
  CallArguments arguments;
};
struct Test {
  ExprPtr input;
  std::string name;
  TestFunction function;  // none: no such test
  CallArguments arguments;
};
enum class Operator : std::uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
struct Arithmetic {
  Operator operation;
  ExprPtr left, right;
};
enum class Sign : std::uint8_t { plus, minus };
struct Signed {
  Sign sign;
  ExprPtr operand;
};
struct Not {
  ExprPtr operand;
};
struct And {
  ExprPtr left, right;
};
struct Or {
  ExprPtr left, right;
};
struct Concat {
  std::vector<ExprPtr> parts;
};
enum class Comparator : std::uint8_t {
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};
struct Compare {
  ExprPtr first;
  std::vector<std::pair<Comparator, ExprPtr>> rest;
};
struct Conditional {
  ExprPtr condition, yes;
  ExprPtr no;  // may be missing
};

struct Expr {
  int line = 0;
  int depth = 1;  // of the tree below
  std::variant<Literal, Name, ListDisplay, TupleDisplay, DictDisplay, Attribute, Item, Slice, Call,
               Filter, Test, Arithmetic, Signed, Not, And, Or, Concat, Compare, Conditional>
      node;
};

/// What is assigned to: a name, an attribute of a namespace, or several of these.
struct Target {
  NameId name = -1;
  std::string attribute;  // with name: name.attribute
  bool several = false;
  std::vector<Target> parts;  // of several
};

struct Statement;
using Statements = std::vector<Statement>;

struct Text {
  std::string text;
};
struct Output {
  ExprPtr value;
};
struct Do {
  ExprPtr value;
};
struct If {
  std::vector<std::pair<ExprPtr, Statements>> branches;
  Statements otherwise;
};
struct For {
  Target target;
  ExprPtr iterable;
  ExprPtr filter;  // may be missing
  Statements body, otherwise;
  bool recursive = false;
};
struct Set {
  Target target;
  ExprPtr value;
};
struct SetBlock {
  Target target;
  ExprPtr filter;  // may be missing
  Statements body;
};
struct FilterBlock {
  ExprPtr filter;
  Statements body;
};
struct With {
  std::vector<std::pair<Target, ExprPtr>> values;
  Statements body;
};
struct Break {};
struct Continue {};

struct Parameter {
  NameId name;
  std::string text;
  ExprPtr fallback;  // may be missing
};
struct MacroDefinition {
  std::string name;
  NameId id = -1;
  std::vector<Parameter> parameters;
  Statements body;
  // Which of the special names the body speaks of.
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  bool explicit_caller = false;  // `caller` is a parameter
  bool is_caller = false;        // the body of a call block
};
struct Macro {
  std::shared_ptr<const MacroDefinition> definition;
};
struct CallBlock {
  ExprPtr call;
  std::shared_ptr<const MacroDefinition> caller;
};

struct Statement {
  int line = 0;
  std::variant<Text, Output, Do, If, For, Set, SetBlock, FilterBlock, With, Break, Continue, Macro,
               CallBlock>
      node;
};

}  // namespace tapeline::jinja::ast

namespace tapeline::jinja {

/// A parsed template.
struct Template::Body {
  struct CallPlace {
    std::string name;
    const ast::CallArguments* arguments;
  };
  std::string name;
  std::vector<std::string> names;
  ast::Statements statements;
  ast::Statements unrendered;  // of snapshots: read for their calls
  std::vector<MacroInfo> macros;
  std::vector<BlockInfo> blocks;
  std::vector<std::shared_ptr<const ast::MacroDefinition>> definitions;  // of macros, in order
  std::vector<CallPlace> calls;                                          // of plain names, in order
};

}  // namespace tapeline::jinja
