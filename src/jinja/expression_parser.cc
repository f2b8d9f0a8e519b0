#include "jinja/expression_parser.h"

#include "jinja/failure.h"
#include "jinja/number_text.h"

namespace tapeline::jinja {

using ast::ExprPtr;
using Kind = Token::Kind;

namespace {

constexpr int kNestingMax = 100;    // brackets in brackets, and the like
constexpr int kTreeDepthMax = 500;  // also of chains such as a + b + c

int depth_of(const ExprPtr& expr) { return expr ? expr->depth : 0; }

int deepest(const std::vector<ExprPtr>& items) {
  int depth = 0;
  for (const ExprPtr& item : items) depth = std::max(depth, item->depth);
  return depth;
}

int deepest(const ast::CallArguments& arguments) {
  int depth = std::max(deepest(arguments.positional), std::max(depth_of(arguments.more_positional),
                                                               depth_of(arguments.more_named)));
  for (const auto& [name, value] : arguments.named) depth = std::max(depth, value->depth);
  return depth;
}

}  // namespace

ExpressionParser::ExpressionParser(std::string_view source, Template::Body& body)
    : source_(source), body_(body), tokens_(tokenize(source, body.name)) {
  for (const char* name : {"loop", "caller", "varargs", "kwargs"}) name_id(name);
}

const Token& ExpressionParser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::skip_sign(std::string_view sign) {
  if (!current().is_sign(sign)) return false;
  next();
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

void ExpressionParser::fail_here(const std::string& message, const std::string& hint) const {
  fail_at(body_.name, source_, current().begin, message, hint);
}

void ExpressionParser::expect_sign(std::string_view sign) {
  if (!skip_sign(sign)) fail_here(fmt::format("expected '{}', got {}", sign, describe(current())));
}

std::string ExpressionParser::expect_name() {
  if (current().kind != Kind::name) {
    fail_here(fmt::format("expected a name, got {}", describe(current())));
  }
  return next().text;
}

void ExpressionParser::expect(Kind kind, std::string_view what) {
  if (current().kind != kind) {
    fail_here(fmt::format("expected {}, got {}", what, describe(current())));
  }
  next();
}

ast::NameId ExpressionParser::name_id(const std::string& name) {
  const auto [found, fresh] = ids_.emplace(name, static_cast<ast::NameId>(body_.names.size()));
  if (fresh) body_.names.push_back(name);
  return found->second;
}

template <typename Node>
ExprPtr ExpressionParser::make(int line, Node node, int deepest_below) const {
  if (deepest_below >= kTreeDepthMax) {
    fail_here(fmt::format("the expression is nested more than {} deep", kTreeDepthMax),
              "Set parts of it to names first.");
  }
  auto expr = std::make_unique<ast::Expr>();
  expr->line = line;
  expr->depth = deepest_below + 1;
  expr->node = std::move(node);
  return expr;
}

ExprPtr ExpressionParser::expression() {
  const int line = current().line;
  ExprPtr node = disjunction();
  while (skip_name("if")) {
    ExprPtr condition = disjunction();
    ExprPtr no;
    if (skip_name("else")) {
      if (++nesting_ > kNestingMax) fail_here("the expression is nested too deep");
      no = expression();
      --nesting_;
    }
    const int below = std::max({node->depth, condition->depth, depth_of(no)});
    node =
        make(line, ast::Conditional{std::move(condition), std::move(node), std::move(no)}, below);
  }
  return node;
}

ExprPtr ExpressionParser::disjunction() {
  const int line = current().line;
  ExprPtr left = conjunction();
  while (skip_name("or")) {
    ExprPtr right = conjunction();
    const int below = std::max(left->depth, right->depth);
    left = make(line, ast::Or{std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  const int line = current().line;
  ExprPtr left = negation();
  while (skip_name("and")) {
    ExprPtr right = negation();
    const int below = std::max(left->depth, right->depth);
    left = make(line, ast::And{std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  const int line = current().line;
  int count = 0;
  while (skip_name("not")) ++count;
  ExprPtr node = comparison();
  for (; count > 0; --count) {
    const int below = node->depth;
    node = make(line, ast::Not{std::move(node)}, below);
  }
  return node;
}

ExprPtr ExpressionParser::comparison() {
  using ast::Comparator;
  static constexpr std::pair<std::string_view, Comparator> kComparators[] = {
      {"==", Comparator::equal},  {"!=", Comparator::unequal},
      {"<", Comparator::less},    {"<=", Comparator::less_equal},
      {">", Comparator::greater}, {">=", Comparator::greater_equal}};
  const int line = current().line;
  ExprPtr first = sum();
  std::vector<std::pair<Comparator, ExprPtr>> rest;
  int below = first->depth;
  for (;;) {
    std::optional<Comparator> comparator;
    for (const auto& [sign, meaning] : kComparators) {
      if (current().is_sign(sign)) comparator = meaning;
    }
    if (current().is_name("in")) comparator = Comparator::in;
    if (current().is_name("not") && look().is_name("in")) {
      next();
      comparator = Comparator::not_in;
    }
    if (!comparator) break;
    next();
    rest.emplace_back(*comparator, sum());
    below = std::max(below, rest.back().second->depth);
  }
  if (rest.empty()) return first;
  return make(line, ast::Compare{std::move(first), std::move(rest)}, below);
}

ExprPtr ExpressionParser::sum() {
  const int line = current().line;
  ExprPtr left = concatenation();
  while (current().is_sign("+") || current().is_sign("-")) {
    const auto operation = next().text == "+" ? ast::Operator::add : ast::Operator::subtract;
    ExprPtr right = concatenation();
    const int below = std::max(left->depth, right->depth);
    left = make(line, ast::Arithmetic{operation, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  const int line = current().line;
  ExprPtr first = product();
  if (!current().is_sign("~")) return first;
  ast::Concat node;
  node.parts.push_back(std::move(first));
  while (skip_sign("~")) node.parts.push_back(product());
  const int below = deepest(node.parts);
  return make(line, std::move(node), below);
}

ExprPtr ExpressionParser::product() {
  const int line = current().line;
  ExprPtr left = power();
  for (;;) {
    std::optional<ast::Operator> operation;
    if (current().is_sign("*")) operation = ast::Operator::multiply;
    if (current().is_sign("/")) operation = ast::Operator::divide;
    if (current().is_sign("//")) operation = ast::Operator::floor_divide;
    if (current().is_sign("%")) operation = ast::Operator::modulo;
    if (!operation) return left;
    next();
    ExprPtr right = power();
    const int below = std::max(left->depth, right->depth);
    left = make(line, ast::Arithmetic{*operation, std::move(left), std::move(right)}, below);
  }
}

ExprPtr ExpressionParser::power() {
  const int line = current().line;
  ExprPtr left = unary();
  while (skip_sign("**")) {
    ExprPtr right = unary();
    const int below = std::max(left->depth, right->depth);
    left =
        make(line, ast::Arithmetic{ast::Operator::power, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  if (++nesting_ > kNestingMax) {
    fail_here(fmt::format("the expression is nested more than {} deep", kNestingMax),
              "Set parts of it to names first.");
  }
  const int line = current().line;
  ExprPtr node;
  if (current().is_sign("-") || current().is_sign("+")) {
    const auto sign = next().text == "-" ? ast::Sign::minus : ast::Sign::plus;
    node = unary(false);
    const int below = node->depth;
    node = make(line, ast::Signed{sign, std::move(node)}, below);
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  if (with_filter) node = filter_expression(std::move(node));
  --nesting_;
  return node;
}

ExprPtr ExpressionParser::primary() {
  const Token& token = current();
  const int line = token.line;
  if (token.kind == Kind::name) {
    const std::string& name = next().text;
    if (name == "true" || name == "True") return make(line, ast::Literal{Value(true)}, 0);
    if (name == "false" || name == "False") return make(line, ast::Literal{Value(false)}, 0);
    if (name == "none" || name == "None") return make(line, ast::Literal{Value()}, 0);
    for (ast::MacroDefinition* macro : macros_) {
      if (name == "caller") macro->uses_caller = true;
      if (name == "varargs") macro->uses_varargs = true;
      if (name == "kwargs") macro->uses_kwargs = true;
    }
    return make(line, ast::Name{name_id(name)}, 0);
  }
  if (token.kind == Kind::string) {
    std::string text = next().text;
    while (current().kind == Kind::string) text += next().text;
    return make(line, ast::Literal{Value(std::move(text))}, 0);
  }
  if (token.kind == Kind::integer) {
    const auto value = read_int(token.text, 0);
    if (!value) fail_here(fmt::format("the number {} does not fit into 64 bits", token.text));
    next();
    return make(line, ast::Literal{Value(*value)}, 0);
  }
  if (token.kind == Kind::floating) {
    return make(line, ast::Literal{Value(read_float(next().text).value_or(0))}, 0);
  }
  if (skip_sign("(")) {
    ExprPtr node = tuple(true, true);
    expect_sign(")");
    return node;
  }
  if (token.is_sign("[")) return list();
  if (token.is_sign("{")) return dict();
  fail_here(fmt::format("expected an expression, got {}", describe(token)));
}

ExprPtr ExpressionParser::list() {
  const int line = next().line;
  ast::ListDisplay node;
  while (!current().is_sign("]")) {
    if (!node.items.empty()) expect_sign(",");
    if (current().is_sign("]")) break;
    node.items.push_back(expression());
  }
  expect_sign("]");
  const int below = deepest(node.items);
  return make(line, std::move(node), below);
}

ExprPtr ExpressionParser::dict() {
  const int line = next().line;
  ast::DictDisplay node;
  int below = 0;
  while (!current().is_sign("}")) {
    if (!node.items.empty()) expect_sign(",");
    if (current().is_sign("}")) break;
    ExprPtr key = expression();
    expect_sign(":");
    ExprPtr value = expression();
    below = std::max({below, key->depth, value->depth});
    node.items.emplace_back(std::move(key), std::move(value));
  }
  expect_sign("}");
  return make(line, std::move(node), below);
}

bool ExpressionParser::tuple_ends(bool in_loop) const {
  return current().kind == Kind::variable_end || current().kind == Kind::block_end ||
         current().is_sign(")") || (in_loop && current().is_name("recursive"));
}

ExprPtr ExpressionParser::tuple(bool with_condition, bool parenthesized, bool in_loop) {
  const int line = current().line;
  std::vector<ExprPtr> items;
  bool several = false;
  for (;;) {
    if (several) expect_sign(",");
    if (tuple_ends(in_loop)) break;
    items.push_back(with_condition ? expression() : disjunction());
    if (!current().is_sign(",")) break;
    several = true;
  }
  if (!several) {
    if (!items.empty()) return std::move(items.front());
    if (!parenthesized) {
      fail_here(fmt::format("expected an expression, got {}", describe(current())));
    }
  }
  const int below = deepest(items);
  return make(line, ast::TupleDisplay{std::move(items)}, below);
}

ExprPtr ExpressionParser::postfix(ExprPtr node) {
  for (;;) {
    if (current().is_sign(".") || current().is_sign("[")) {
      node = subscript(std::move(node));
    } else if (current().is_sign("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::filter_expression(ExprPtr node) {
  for (;;) {
    if (current().is_sign("|")) {
      node = filters(std::move(node), false);
    } else if (current().is_name("is")) {
      node = test(std::move(node));
    } else if (current().is_sign("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const int line = current().line;
  const int below = object->depth;
  if (skip_sign(".")) {
    if (current().kind == Kind::name) {
      std::string name = next().text;
      return make(line, ast::Attribute{std::move(object), std::move(name)}, below);
    }
    if (current().kind != Kind::integer) {
      fail_here(fmt::format("expected a name or number, got {}", describe(current())));
    }
    ExprPtr key = primary();
    return make(line, ast::Item{std::move(object), std::move(key)}, below);
  }
  next();
  std::vector<ExprPtr> keys;
  bool several = false;
  while (!current().is_sign("]")) {
    if (!keys.empty()) {
      expect_sign(",");
      several = true;
    }
    keys.push_back(subscribed());
  }
  expect_sign("]");
  const int deepest_key = std::max(below, deepest(keys));
  if (several || keys.empty()) {
    ExprPtr key = make(line, ast::TupleDisplay{std::move(keys)}, deepest_key);
    return make(line, ast::Item{std::move(object), std::move(key)}, deepest_key + 1);
  }
  if (auto* slice = std::get_if<ast::Slice>(&keys.front()->node)) {
    if (!slice->object) {
      slice->object = std::move(object);
      keys.front()->depth = deepest_key + 1;
      return std::move(keys.front());
    }
  }
  return make(line, ast::Item{std::move(object), std::move(keys.front())}, deepest_key);
}

// A key, or a slice that has no object yet.
ExprPtr ExpressionParser::subscribed() {
  const int line = current().line;
  ast::Slice slice;
  if (!current().is_sign(":")) {
    ExprPtr key = expression();
    if (!current().is_sign(":")) return key;
    slice.start = std::move(key);
  }
  expect_sign(":");
  const auto part_ends = [this] { return current().is_sign("]") || current().is_sign(","); };
  if (!current().is_sign(":") && !part_ends()) slice.stop = expression();
  if (skip_sign(":") && !part_ends()) slice.step = expression();
  const int below = std::max({depth_of(slice.start), depth_of(slice.stop), depth_of(slice.step)});
  return make(line, std::move(slice), below);
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  const int line = current().line;
  std::optional<std::size_t> place;
  if (const auto* name = std::get_if<ast::Name>(&callee->node)) {
    place = body_.calls.size();
    body_.calls.push_back({body_.names[static_cast<std::size_t>(name->id)], nullptr});
  }
  ast::CallArguments arguments = call_arguments();
  const int below = std::max(callee->depth, deepest(arguments));
  ExprPtr node = make(line, ast::Call{std::move(callee), std::move(arguments)}, below);
  if (place) body_.calls[*place].arguments = &std::get<ast::Call>(node->node).arguments;
  return node;
}

ast::CallArguments ExpressionParser::call_arguments() {
  ast::CallArguments arguments;
  expect_sign("(");
  const auto only_if = [this](bool holds) {
    if (!holds) fail_here("the arguments of the call are out of order");
  };
  bool first = true;
  while (!current().is_sign(")")) {
    if (!first) {
      expect_sign(",");
      if (current().is_sign(")")) break;
    }
    first = false;
    if (skip_sign("*")) {
      only_if(!arguments.more_positional && !arguments.more_named);
      arguments.more_positional = expression();
    } else if (skip_sign("**")) {
      only_if(!arguments.more_named);
      arguments.more_named = expression();
    } else if (current().kind == Kind::name && look().is_sign("=")) {
      only_if(!arguments.more_named);
      std::string name = next().text;
      next();
      for (const auto& [other, value] : arguments.named) {
        if (other == name) fail_here(fmt::format("the argument '{}' is given twice", name));
      }
      arguments.named.emplace_back(std::move(name), expression());
    } else {
      only_if(!arguments.more_positional && !arguments.more_named && arguments.named.empty());
      arguments.positional.push_back(expression());
    }
  }
  expect_sign(")");
  return arguments;
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect_name();
  while (skip_sign(".")) name += "." + expect_name();
  return name;
}

ExprPtr ExpressionParser::filters(ExprPtr input, bool inline_start) {
  ExprPtr node = std::move(input);
  while (current().is_sign("|") || inline_start) {
    if (!inline_start) next();
    inline_start = false;
    const int line = current().line;
    ast::Filter filter;
    filter.name = dotted_name();
    filter.function = find_filter(filter.name);
    if (current().is_sign("(")) filter.arguments = call_arguments();
    const int below = std::max(depth_of(node), deepest(filter.arguments));
    filter.input = std::move(node);
    node = make(line, std::move(filter), below);
  }
  return node;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const int line = next().line;
  const bool negated = skip_name("not");
  ast::Test node;
  node.name = dotted_name();
  node.function = find_test(node.name);
  const Token& token = current();
  const bool argument = token.kind == Kind::name || token.kind == Kind::string ||
                        token.kind == Kind::integer || token.kind == Kind::floating ||
                        token.is_sign("[") || token.is_sign("{");
  if (token.is_sign("(")) {
    node.arguments = call_arguments();
  } else if (argument && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) fail_here("tests cannot be chained with 'is'");
    node.arguments.positional.push_back(postfix(primary()));
  }
  const int below = std::max(input->depth, deepest(node.arguments));
  node.input = std::move(input);
  ExprPtr expr = make(line, std::move(node), below);
  return negated ? make(line, ast::Not{std::move(expr)}, below + 1) : std::move(expr);
}

}  // namespace tapeline::jinja
