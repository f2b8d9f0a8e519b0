#include "jinja/template.h"

#include <gtest/gtest.h>

namespace tapeline::jinja {
namespace {

class Names : public Context {
 public:
  std::optional<Value> lookup(const std::string& name) override {
    if (name == "return") return return_function();
    return values.find(name);
  }
  Value values = Value::dict();
};

Template parsed(std::string_view source) {
  auto result = Template::parse(source, "models/a.sql");
  EXPECT_TRUE(result) << result.error().message;
  return *std::move(result);
}

std::string rendered(std::string_view source, Names& names, RenderLimits limits = {}) {
  const auto result = parsed(source).render(names, limits);
  return result ? *result : "error: " + result.error().message;
}

TEST(Template, a_parse_error_names_template_line_and_column) {
  const auto result = Template::parse("a\n  {{ 1 + }}", "models/a.sql");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "models/a.sql:2:10: expected an expression, got end of print statement");
}

TEST(Template, a_render_error_names_template_and_line) {
  Names names;
  EXPECT_EQ(rendered("\n\n{{ nope.x }}", names), "error: models/a.sql:3: 'nope' is undefined");
}

TEST(Template, an_error_inside_a_macro_names_both_places) {
  Names names;
  const auto file =
      Template::parse("\n{% macro m() %}\n{{ nope.x }}{% endmacro %}", "macros/m.sql");
  ASSERT_TRUE(file);
  names.values.set("m", *file->macro("m", names));
  EXPECT_EQ(rendered("{{ m() }}", names),
            "error: models/a.sql:1: macros/m.sql:3: 'nope' is undefined");
}

TEST(Template, native_rendering_keeps_the_type_of_a_single_expression) {
  Names names;
  EXPECT_TRUE(parsed("{{ [1, 2] }}").render_native(names)->is_list());
  EXPECT_TRUE(parsed("{% set x = 1 %}{{ x }}").render_native(names)->is_int());
  EXPECT_EQ(parsed("{{ '1' }}").render_native(names)->as_string(), "1");
  EXPECT_EQ(parsed("a{{ 1 }}").render_native(names)->as_string(), "a1");
  EXPECT_EQ(parsed("").render_native(names)->as_string(), "");
}

TEST(Template, markers_convert_only_where_types_are_kept) {
  Names names;
  EXPECT_TRUE(parsed("{{ '1' | as_number }}").render_native(names)->is_int());
  EXPECT_TRUE(parsed("{{ 'True' | as_bool }}").render_native(names)->is_bool());
  EXPECT_TRUE(parsed("{{ '[1]' | as_native }}").render_native(names)->is_list());
  EXPECT_FALSE(parsed("{{ 'x' | as_bool }}").render_native(names));
  EXPECT_EQ(rendered("{{ 'x' | as_bool }}{{ 1 | as_text }}", names), "x1");
}

TEST(Template, blocks_of_dbt_become_macros) {
  const Template file = parsed(
      "{% test positive(model, column_name) %}t{% endtest %}"
      "{% data_test other(model) %}t{% enddata_test %}"
      "{% materialization table, adapter='duckdb', supported_languages=['sql'] %}{% "
      "endmaterialization %}"
      "{% materialization view, default %}{% endmaterialization %}"
      "{% macro plain(a, b=1) -%} x {%- endmacro %} ");
  ASSERT_EQ(file.macros().size(), 5U);
  EXPECT_EQ(file.macros()[0].name, "test_positive");
  EXPECT_EQ(file.macros()[0].parameters, (std::vector<std::string>{"model", "column_name"}));
  EXPECT_EQ(file.macros()[1].name, "test_other");
  EXPECT_EQ(file.macros()[2].name, "materialization_table_duckdb");
  EXPECT_EQ(file.macros()[3].name, "materialization_view_default");
  EXPECT_EQ(file.macros()[4].name, "plain");
}

TEST(Template, the_place_of_a_block_includes_its_tags) {
  const std::string source = "x\r\n{%- macro m() -%} body {% endmacro -%}  y";
  const Template file = parsed(source);
  const MacroInfo& macro = file.macros().at(0);
  EXPECT_EQ(source.substr(macro.begin, macro.end - macro.begin),
            "{%- macro m() -%} body {% endmacro -%}");
  EXPECT_EQ(macro.line, 2);
}

TEST(Template, docs_are_taken_as_they_stand_and_render_to_nothing) {
  Names names;
  const std::string source = "a{% docs d %}{{ not a } expression {% enddocs %}b";
  const Template file = parsed(source);
  const BlockInfo& docs = file.blocks().at(0);
  EXPECT_EQ(docs.kind, "docs");
  EXPECT_EQ(source.substr(docs.body_begin, docs.body_end - docs.body_begin),
            "{{ not a } expression ");
  EXPECT_EQ(*file.render(names), "ab");
}

TEST(Template, a_snapshot_is_found_with_its_body_and_calls) {
  Names names;
  const std::string source = "{% snapshot s %}{{ config(a=1) }}select 1{% endsnapshot %}";
  const Template file = parsed(source);
  const BlockInfo& block = file.blocks().at(0);
  EXPECT_EQ(block.name, "s");
  EXPECT_EQ(source.substr(block.body_begin, block.body_end - block.body_begin),
            "{{ config(a=1) }}select 1");
  EXPECT_EQ(file.static_calls().at(0).name, "config");
  EXPECT_EQ(*file.render(names), "");
}

TEST(Template, static_calls_come_in_order_with_their_literals) {
  const auto calls =
      parsed(
          "{{ config(materialized='table', tags=['a', 'b'], n=-1) }}{{ ref('p', 'm') }}"
          "{% if x %}{{ source(a, 'b') }}{% endif %}{{ f(g(1)) }}{{ a.b(1) }}")
          .static_calls();
  ASSERT_EQ(calls.size(), 5U);
  EXPECT_EQ(calls[0].name, "config");
  ASSERT_TRUE(calls[0].literal);
  EXPECT_EQ(calls[0].arguments.named[1].second.repr(), "['a', 'b']");
  EXPECT_EQ(calls[0].arguments.named[2].second.as_int(), -1);
  EXPECT_EQ(calls[1].arguments.positional[1].as_string(), "m");
  EXPECT_FALSE(calls[2].literal);
  EXPECT_EQ(calls[3].name, "f");
  EXPECT_EQ(calls[4].name, "g");
}

TEST(Template, a_macro_yields_what_it_returns) {
  Names names;
  const Template file = parsed(
      "{% macro m(a) %}{{ return([a, n]) }}{% endmacro %}{% macro k() %}{{ m(2)[0] }}{% endmacro "
      "%}");
  names.values.set("n", Value(5));
  const Value macro = *file.macro("m", names);
  EXPECT_EQ(macro.as_object()->call({{Value(1)}, {}})->repr(), "[1, 5]");
  const Value sibling = *file.macro("k", names);
  EXPECT_EQ(sibling.as_object()->call({})->as_string(), "2");
  EXPECT_EQ(file.macro("none", names).error().code, ErrorCode::not_found);
}

TEST(Template, the_context_hides_the_other_macros_of_a_file) {
  Names names;
  const Template file =
      parsed("{% macro a() %}own{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}");
  names.values.set("a", Value::function("a", [](const Arguments&) { return Value("other"); }));
  EXPECT_EQ(file.macro("b", names)->as_object()->call({})->as_string(), "other");
}

TEST(Template, a_macro_that_outlives_its_rendering_says_so) {
  Names names;
  const Value kept = Value::list();
  names.values.set("kept", kept);
  ASSERT_EQ(rendered("{% macro m() %}x{% endmacro %}{% do kept.append(m) %}", names), "");
  const auto result = kept.as_list().at(0).as_object()->call({});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the macro 'm' is called after its template was rendered");
}

TEST(Template, limits_end_what_does_not_end) {
  Names names;
  const RenderLimits small{.output_bytes_max = 1000, .steps_max = 10'000, .depth_max = 50};
  EXPECT_TRUE(
      rendered("{% for a in range(20000) %}{% endfor %}", names, small).starts_with("error"));
  EXPECT_TRUE(rendered("{{ 'x' * 1001 }}", names, small).starts_with("error"));
  EXPECT_TRUE(rendered("{% for a in range(99) %}123456789012{% endfor %}", names, small)
                  .starts_with("error"));
  EXPECT_NE(rendered("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", names, small)
                .find("more than 50 macro calls"),
            std::string::npos);
}

TEST(Template, macros_of_several_files_share_one_depth) {
  Names names;
  const Template a = parsed("{% macro a() %}{{ b() }}{% endmacro %}");
  const Template b = parsed("{% macro b() %}{{ host(1) }}{% endmacro %}");
  names.values.set("a", *a.macro("a", names));
  names.values.set("b", *b.macro("b", names));
  names.values.set("host", Value::function("host", [&](const Arguments& given) -> Result<Value> {
                     Arguments none;
                     none.budget = given.budget;
                     return names.values.find("a")->as_object()->call(none);
                   }));
  EXPECT_NE(rendered("{{ a() }}", names).find("macro calls are under way"), std::string::npos);
}

TEST(Template, deep_nesting_is_refused_not_followed) {
  const std::string brackets = "{{ " + std::string(100'000, '(') + " }}";
  EXPECT_FALSE(Template::parse(brackets, "t"));
  EXPECT_FALSE(Template::parse("{{ " + std::string(100'000, '-') + "1 }}", "t"));
  std::string blocks;
  for (int i = 0; i < 10'000; ++i) blocks += "{% if x %}";
  EXPECT_FALSE(Template::parse(blocks, "t"));
  std::string sum = "{{ 1";
  for (int i = 0; i < 10'000; ++i) sum += "+1";
  EXPECT_FALSE(Template::parse(sum + " }}", "t"));
}

TEST(Template, deep_values_are_freed_and_printed) {
  Names names;
  EXPECT_EQ(rendered("{% set ns = namespace(x=[]) %}{% for i in range(50000) %}"
                     "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | string | length > 100 }}",
                     names),
            "True");
}

TEST(Template, a_hosts_error_keeps_its_code_and_gets_a_place) {
  Names names;
  names.values.set("f", Value::function("f", [](const Arguments&) -> Result<Value> {
                     return Error{ErrorCode::unavailable, "the warehouse is away", "Wait."};
                   }));
  const auto result = parsed("\n{{ f() }}").render(names);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  EXPECT_EQ(result.error().message, "models/a.sql:2: the warehouse is away");
  EXPECT_EQ(result.error().hint, "Wait.");
}

TEST(Template, a_call_block_hands_a_host_function_its_caller) {
  Names names;
  names.values.set("statement", Value::function("statement", [](const Arguments& given) {
                     return given.named.at(1).second.as_object()->call({});
                   }));
  EXPECT_EQ(rendered("{% call statement(x=1) %}sql{% endcall %}", names), "sql");
}

}  // namespace
}  // namespace tapeline::jinja
