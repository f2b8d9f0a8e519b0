// The part of the parser that reads expressions.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace tapeline::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::string_view source, Template::Body& body);

  ast::ExprPtr expression();
  /// One expression, or several with commas as a tuple. `in_loop`: it ends before `recursive`.
  ast::ExprPtr tuple(bool with_condition = true, bool parenthesized = false, bool in_loop = false);
  /// `| name(arguments) | ...`; the first without its bar where `inline_start`.
  ast::ExprPtr filters(ast::ExprPtr input, bool inline_start);

 protected:
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& next();
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  void expect_sign(std::string_view sign);
  std::string expect_name();
  void expect(Token::Kind kind, std::string_view what);
  [[noreturn]] void fail_here(const std::string& message, const std::string& hint = "") const;
  ast::NameId name_id(const std::string& name);

  /// What the macro being read speaks of; innermost last.
  std::vector<ast::MacroDefinition*> macros_;
  std::string_view source_;
  Template::Body& body_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;

 private:
  ast::ExprPtr disjunction();
  ast::ExprPtr conjunction();
  ast::ExprPtr negation();
  ast::ExprPtr comparison();
  ast::ExprPtr sum();
  ast::ExprPtr concatenation();
  ast::ExprPtr product();
  ast::ExprPtr power();
  ast::ExprPtr unary(bool with_filter = true);
  ast::ExprPtr primary();
  ast::ExprPtr list();
  ast::ExprPtr dict();
  ast::ExprPtr postfix(ast::ExprPtr node);
  ast::ExprPtr filter_expression(ast::ExprPtr node);
  ast::ExprPtr subscript(ast::ExprPtr node);
  ast::ExprPtr subscribed();
  ast::ExprPtr call(ast::ExprPtr callee);
  ast::CallArguments call_arguments();
  ast::ExprPtr test(ast::ExprPtr input);
  std::string dotted_name();
  bool tuple_ends(bool in_loop) const;

  template <typename Node>
  ast::ExprPtr make(int line, Node node, int deepest) const;

  int nesting_ = 0;
  std::unordered_map<std::string, ast::NameId> ids_;
};

}  // namespace tapeline::jinja
