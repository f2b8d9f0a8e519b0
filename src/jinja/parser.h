// The parser: tokens to the tree. Jinja2's grammar, and dbt's definitions at any level.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "jinja/ast.h"

namespace tapeline::jinja {

/// Throws Failure, placed.
std::shared_ptr<const Template::Body> parse_template(std::string_view source, std::string name);

/// The value of an expression of literals only; none for any other.
std::optional<Value> literal_value(const ast::Expr& expr);

/// The value of a text that is one literal expression, as Python's literal_eval reads it.
std::optional<Value> parse_literal(std::string_view text);

}  // namespace tapeline::jinja
