#include "jinja/parser.h"

#include <algorithm>
#include <array>

#include "jinja/expression_parser.h"
#include "jinja/failure.h"

namespace tapeline::jinja {

using ast::ExprPtr;
using ast::Statement;
using ast::Statements;
using Kind = Token::Kind;

namespace {

constexpr int kBlocksMax = 100;  // blocks in blocks

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  void run() { body_.statements = statements({}, ""); }

 private:
  using Ends = std::vector<std::string_view>;

  // Up to a tag whose name is one of `ends`, which becomes the current token; without ends, all.
  Statements statements(const Ends& ends, std::string_view opened_by) {
    if (++nesting_ > kBlocksMax) {
      fail_here(fmt::format("the blocks are nested more than {} deep", kBlocksMax));
    }
    Statements out;
    while (current().kind != Kind::end) {
      const int line = current().line;
      if (current().kind == Kind::data) {
        out.push_back({line, ast::Text{next().text}});
      } else if (current().kind == Kind::variable_begin) {
        next();
        ExprPtr value = tuple();
        expect(Kind::variable_end, "end of print statement");
        out.push_back({line, ast::Output{std::move(value)}});
      } else {
        tag_begin_ = current().begin;
        next();
        if (current().kind == Kind::name &&
            std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
          --nesting_;
          return out;
        }
        statement(line, out, ends, opened_by);
        expect(Kind::block_end, "end of statement block");
      }
    }
    if (!ends.empty()) {
      fail_here(fmt::format("the block '{}' is not closed: expected '{}'", opened_by, ends.back()));
    }
    --nesting_;
    return out;
  }

  /// The rest of the head, then the body up to one of `ends`.
  Statements body(const Ends& ends, std::string_view opened_by) {
    skip_sign(":");
    expect(Kind::block_end, "end of statement block");
    return statements(ends, opened_by);
  }
  Statements body_to(std::string_view end, std::string_view opened_by) {
    Statements out = body({end}, opened_by);
    next();
    return out;
  }

  void statement(int line, Statements& out, const Ends& ends, std::string_view opened_by) {
    const std::string tag = current().kind == Kind::name ? current().text : "";
    const std::size_t begin = tag_begin_;
    if (tag.empty())
      fail_here(fmt::format("expected the name of a tag, got {}", describe(current())));
    const auto add = [&](auto node) { out.push_back({line, std::move(node)}); };
    const auto taken = [&](std::string_view name) { return tag == name && (next(), true); };
    if (taken("if")) return add(if_statement());
    if (taken("for")) return add(for_statement());
    if (taken("set")) return set_statement(line, out);
    if (taken("do")) return add(ast::Do{tuple()});
    if (taken("call")) return add(call_block());
    if (taken("with")) return add(with_statement());
    if (taken("filter")) return add(filter_block());
    if (taken("print")) return print_statement(line, out);
    if (taken("break")) return add(in_loop(ast::Break{}, tag));
    if (taken("continue")) return add(in_loop(ast::Continue{}, tag));
    if (taken("macro")) return add(definition("macro", "endmacro", begin, line));
    if (taken("test")) return add(definition("test", "endtest", begin, line));
    if (taken("data_test")) return add(definition("test", "enddata_test", begin, line));
    if (taken("materialization")) return add(materialization(begin, line));
    if (taken("snapshot")) return snapshot(begin, line);
    if (taken("docs")) return docs(begin, line);
    unknown(tag, ends, opened_by);
  }

  [[noreturn]] void unknown(const std::string& tag, const Ends& ends, std::string_view opened_by) {
    constexpr std::array kLoaders = {"include", "import", "from", "extends", "block"};
    if (std::find(kLoaders.begin(), kLoaders.end(), tag) != kLoaders.end()) {
      fail_here(fmt::format("the tag '{}' is not supported", tag),
                "Templates cannot load others: call a macro instead.");
    }
    if (ends.empty()) fail_here(fmt::format("unknown tag '{}'", tag));
    fail_here(fmt::format("unknown tag '{}': the block '{}' is open and expects '{}'", tag,
                          opened_by, ends.back()));
  }

  template <typename Node>
  Node in_loop(Node node, const std::string& tag) {
    if (loops_ == 0) fail_here(fmt::format("'{}' outside of a loop", tag));
    return node;
  }

  ast::If if_statement() {
    ast::If node;
    for (;;) {
      ExprPtr condition = tuple(false);
      node.branches.emplace_back(std::move(condition), Statements());
      node.branches.back().second = body({"elif", "else", "endif"}, "if");
      const std::string tag = next().text;
      if (tag == "elif") continue;
      if (tag == "else") node.otherwise = body_to("endif", "if");
      return node;
    }
  }

  ast::For for_statement() {
    ast::For node;
    node.target = target(false, true);
    if (node.target.name == ast::kLoop) fail_here("'loop' cannot be the variable of a loop");
    if (!skip_name("in")) fail_here(fmt::format("expected 'in', got {}", describe(current())));
    node.iterable = tuple(false, false, true);
    if (skip_name("if")) node.filter = expression();
    node.recursive = skip_name("recursive");
    ++loops_;
    node.body = body({"else", "endfor"}, "for");
    --loops_;
    if (next().text == "else") node.otherwise = body_to("endfor", "for");
    return node;
  }

  // A name, namespace.attribute, or several with commas, in parentheses or not.
  ast::Target target(bool with_attribute, bool in_for = false) {
    std::vector<ast::Target> parts;
    bool several = false;
    const auto ends = [&] {
      return current().kind == Kind::block_end || current().is_sign(")") ||
             current().is_sign("=") || (in_for && current().is_name("in"));
    };
    do {
      if (several && ends()) break;
      parts.push_back(target_part(with_attribute));
      if (current().is_sign(",")) several = true;
    } while (skip_sign(","));
    if (!several) return std::move(parts.front());
    ast::Target node;
    node.several = true;
    node.parts = std::move(parts);
    return node;
  }

  ast::Target target_part(bool with_attribute) {
    if (skip_sign("(")) {
      if (++nesting_ > kBlocksMax) fail_here("the targets are nested too deep");
      ast::Target node = target(with_attribute);
      --nesting_;
      expect_sign(")");
      return node;
    }
    ast::Target node;
    node.name = name_id(assignable_name());
    if (with_attribute && skip_sign(".")) node.attribute = expect_name();
    return node;
  }

  std::string assignable_name() {
    static constexpr std::array kFixed = {"true", "True", "false", "False", "none", "None"};
    if (current().kind != Kind::name ||
        std::find(kFixed.begin(), kFixed.end(), current().text) != kFixed.end()) {
      fail_here(fmt::format("expected a name to assign to, got {}", describe(current())));
    }
    return next().text;
  }

  void set_statement(int line, Statements& out) {
    ast::Target where = target(true);
    if (skip_sign("=")) {
      out.push_back({line, ast::Set{std::move(where), tuple()}});
      return;
    }
    ast::SetBlock node;
    node.target = std::move(where);
    if (current().is_sign("|")) node.filter = filters(nullptr, false);
    node.body = body_to("endset", "set");
    out.push_back({line, std::move(node)});
  }

  void print_statement(int line, Statements& out) {
    bool first = true;
    while (current().kind != Kind::block_end) {
      if (!first) expect_sign(",");
      first = false;
      out.push_back({line, ast::Output{expression()}});
    }
  }

  ast::With with_statement() {
    ast::With node;
    while (current().kind != Kind::block_end && !current().is_sign(":")) {
      if (!node.values.empty()) expect_sign(",");
      ast::Target where = target_part(false);
      expect_sign("=");
      node.values.emplace_back(std::move(where), expression());
    }
    node.body = body_to("endwith", "with");
    return node;
  }

  ast::FilterBlock filter_block() {
    ast::FilterBlock node;
    node.filter = filters(nullptr, true);
    node.body = body_to("endfilter", "filter");
    return node;
  }

  ast::CallBlock call_block() {
    auto caller = std::make_shared<ast::MacroDefinition>();
    caller->name = "caller";
    caller->is_caller = true;
    if (current().is_sign("(")) signature(*caller);
    ast::CallBlock node;
    node.call = expression();
    if (!std::holds_alternative<ast::Call>(node.call->node)) fail_here("expected a call");
    macro_body(*caller, "endcall", "call");
    node.caller = std::move(caller);
    return node;
  }

  void signature(ast::MacroDefinition& macro) {
    expect_sign("(");
    bool fallbacks = false;
    while (!current().is_sign(")")) {
      if (!macro.parameters.empty()) expect_sign(",");
      ast::Parameter parameter;
      parameter.text = assignable_name();
      parameter.name = name_id(parameter.text);
      if (parameter.text == "caller") macro.explicit_caller = true;
      if (skip_sign("=")) {
        fallbacks = true;
        parameter.fallback = expression();
      } else if (fallbacks) {
        fail_here(fmt::format("the parameter '{}' without a default follows one that has one",
                              parameter.text));
      }
      macro.parameters.push_back(std::move(parameter));
    }
    expect_sign(")");
  }

  void macro_body(ast::MacroDefinition& macro, std::string_view end, std::string_view opened_by) {
    macros_.push_back(&macro);
    const int loops = std::exchange(loops_, 0);
    skip_sign(":");
    block_body_begin_ = current().end;
    expect(Kind::block_end, "end of statement block");
    const std::size_t body_begin = block_body_begin_;
    macro.body = statements({end}, opened_by);
    block_body_begin_ = body_begin;
    block_body_end_ = tag_begin_;
    next();
    for (const ast::Parameter& parameter : macro.parameters) {
      if (parameter.name == ast::kVarargs) macro.uses_varargs = false;
      if (parameter.name == ast::kKwargs) macro.uses_kwargs = false;
    }
    loops_ = loops;
    macros_.pop_back();
  }

  ast::Macro define(std::shared_ptr<ast::MacroDefinition> macro, const std::string& kind,
                    const std::string& written, std::string_view end, std::size_t begin, int line) {
    macro->id = name_id(macro->name);
    macro_body(*macro, end, kind);
    MacroInfo info{macro->name, {}, begin, current().end, line};
    for (const ast::Parameter& parameter : macro->parameters) {
      info.parameters.push_back(parameter.text);
    }
    if (nesting_ == 1) {
      body_.macros.push_back(std::move(info));
      body_.definitions.push_back(macro);
      body_.blocks.push_back(
          {kind, written, begin, current().end, block_body_begin_, block_body_end_, line});
    }
    return {std::move(macro)};
  }

  ast::Macro definition(const std::string& kind, std::string_view end, std::size_t begin,
                        int line) {
    auto macro = std::make_shared<ast::MacroDefinition>();
    const std::string name = assignable_name();
    macro->name = kind == "test" ? "test_" + name : name;
    signature(*macro);
    return define(std::move(macro), kind, name, end, begin, line);
  }

  ast::Macro materialization(std::size_t begin, int line) {
    auto macro = std::make_shared<ast::MacroDefinition>();
    const std::string name = assignable_name();
    std::string adapter = "default";
    while (skip_sign(",")) {
      const std::string key = expect_name();
      if (key == "default") continue;
      expect_sign("=");
      const ExprPtr value = expression();
      if (key == "adapter") {
        const auto literal = literal_value(*value);
        if (!literal || !literal->is_string()) fail_here("expected the adapter's name as a string");
        adapter = literal->as_string();
      } else if (key != "supported_languages") {
        fail_here(fmt::format("unknown argument '{}' of a materialization", key),
                  "It takes default, adapter='...' and supported_languages=[...].");
      }
    }
    macro->name = "materialization_" + name + "_" + adapter;
    return define(std::move(macro), "materialization", name, "endmaterialization", begin, line);
  }

  void snapshot(std::size_t begin, int line) {
    const std::string name = assignable_name();
    ast::MacroDefinition unused;
    macro_body(unused, "endsnapshot", "snapshot");
    for (Statement& part : unused.body) body_.unrendered.push_back(std::move(part));
    body_.blocks.push_back(
        {"snapshot", name, begin, current().end, block_body_begin_, block_body_end_, line});
  }

  void docs(std::size_t begin, int line) {
    const std::string name = assignable_name();
    ast::MacroDefinition unused;
    macro_body(unused, "enddocs", "docs");
    body_.blocks.push_back(
        {"docs", name, begin, current().end, block_body_begin_, block_body_end_, line});
  }

  int nesting_ = 0;
  int loops_ = 0;
  std::size_t tag_begin_ = 0;                              // of the tag being read
  std::size_t block_body_begin_ = 0, block_body_end_ = 0;  // of the definition just read
};

}  // namespace

std::shared_ptr<const Template::Body> parse_template(std::string_view source, std::string name) {
  auto body = std::make_shared<Template::Body>();
  body->name = std::move(name);
  Parser(source, *body).run();
  return body;
}

namespace {

std::optional<std::vector<Value>> literal_values(const std::vector<ExprPtr>& items) {
  std::vector<Value> values;
  for (const ExprPtr& item : items) {
    auto value = literal_value(*item);
    if (!value) return std::nullopt;
    values.push_back(*std::move(value));
  }
  return values;
}

}  // namespace

std::optional<Value> literal_value(const ast::Expr& expr) {
  if (const auto* literal = std::get_if<ast::Literal>(&expr.node)) return literal->value;
  if (const auto* list = std::get_if<ast::ListDisplay>(&expr.node)) {
    auto items = literal_values(list->items);
    if (!items) return std::nullopt;
    return Value::list(*std::move(items));
  }
  if (const auto* tuple = std::get_if<ast::TupleDisplay>(&expr.node)) {
    auto items = literal_values(tuple->items);
    if (!items) return std::nullopt;
    return Value::tuple(*std::move(items));
  }
  if (const auto* dict = std::get_if<ast::DictDisplay>(&expr.node)) {
    const Value value = Value::dict();
    for (const auto& [key, item] : dict->items) {
      const auto key_value = literal_value(*key);
      auto item_value = literal_value(*item);
      if (!key_value || key_value->is_list() || key_value->is_dict() || !item_value) {
        return std::nullopt;
      }
      value.dict_body().set(*key_value, *std::move(item_value));
    }
    return value;
  }
  if (const auto* negative = std::get_if<ast::Signed>(&expr.node)) {
    const auto value = literal_value(*negative->operand);
    if (!value || !(value->is_int() || value->is_double())) return std::nullopt;
    if (negative->sign == ast::Sign::plus) return value;
    return value->is_int() ? Value(-value->as_int()) : Value(-value->as_double());
  }
  return std::nullopt;
}

std::optional<Value> parse_literal(std::string_view text) {
  try {
    const auto body = parse_template("{{" + std::string(text) + "}}", "literal");
    if (body->statements.size() != 1) return std::nullopt;
    const auto* output = std::get_if<ast::Output>(&body->statements.front().node);
    return output == nullptr ? std::nullopt : literal_value(*output->value);
  } catch (const Failure&) {
    return std::nullopt;
  }
}

}  // namespace tapeline::jinja
