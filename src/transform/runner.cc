#include "transform/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "transform/properties.h"
#include "transform/values.h"

namespace tapeline::transform {

using jinja::Arguments;
using jinja::Value;

namespace {

std::string indented(const std::string& text, const std::string& by) {
  std::string out;
  std::size_t begin = 0;
  for (;;) {
    const auto end = text.find('\n', begin);
    out += by + text.substr(begin, end - begin);
    if (end == std::string::npos) return out;
    out += '\n';
    begin = end + 1;
  }
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Where SQL begins: after blanks and comments.
std::size_t skip_comments(const std::string& sql, std::size_t at) {
  for (;;) {
    while (at < sql.size() && is_space(sql[at])) ++at;
    if (sql.compare(at, 2, "--") == 0) {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.compare(at, 2, "/*") == 0) {
      const auto end = sql.find("*/", at + 2);
      at = end == std::string::npos ? sql.size() : end + 2;
    } else {
      return at;
    }
  }
}

bool has_word(const std::string& sql, std::size_t at, std::string_view word) {
  if (lower_case(sql.substr(at, word.size())) != word) return false;
  const auto next = at + word.size();
  return next >= sql.size() ||
         !(std::isalnum(static_cast<unsigned char>(sql[next])) || sql[next] == '_');
}

/// Puts the CTEs of ephemeral models in front: into the WITH that is there, or a new one.
std::string with_ctes(const std::string& sql,
                      const std::vector<std::pair<std::string, std::string>>& ctes) {
  if (ctes.empty()) return sql;
  std::string list;
  for (const auto& [name, body] : ctes)
    list += fmt::format("{} {} as (\n{}\n)", list.empty() ? "" : ",", name, body);
  const auto at = skip_comments(sql, 0);
  if (!has_word(sql, at, "with"))
    return fmt::format("{}with{} {}", sql.substr(0, at), list, sql.substr(at));
  auto after = at + 4;
  const auto next = skip_comments(sql, after);
  if (has_word(sql, next, "recursive")) after = next + 9;
  return fmt::format("{}{},{}", sql.substr(0, after), list, sql.substr(after));
}

std::int64_t int_of(const Value& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_double()) return static_cast<std::int64_t>(value.as_double());
  return value.is_bool() && value.as_bool() ? 1 : 0;
}

Error cancelled() { return Error{ErrorCode::cancelled, "the invocation was cancelled", ""}; }

/// Truth of a cell: warehouses answer true, 1 or 'true'.
bool truth_of(const Value& value) {
  if (value.is_string()) return lower_case(value.as_string()) == "true";
  return value.truth();
}

}  // namespace

std::string artifact_path(const Project& project, const std::string& folder, const Node& node) {
  std::string path = fmt::format("{}/{}/{}/{}", project.target_path, folder, node.package,
                                 node.original_file_path);
  if (node.test) path += "/" + node.path;
  return path;
}

std::string node_label(const Node& node) {
  if (node.kind == NodeKind::test) return "test " + node.name;
  return fmt::format("sql {} model {}.{}", node.materialized(), node.schema, node.alias);
}

Status Runner::write(const std::string& folder, const Node& node, std::string_view sql) const {
  if (!sink_) return Ok{};
  return sink_(artifact_path(world_.manifest.project, folder, node), sql);
}

Result<Runner::Compiled> Runner::render_code(const Node& node, NodeContext& context) {
  Compiled compiled;
  if (node.test) {
    const auto arguments = TRY(test_arguments(context));
    const auto macro_name = "test_" + node.test->name;
    const auto* macro = node.test->package.empty()
                            ? world_.manifest.macros.find(macro_name)
                            : world_.manifest.macros.find_in(node.test->package, macro_name);
    if (macro == nullptr)
      return Error{ErrorCode::not_found, fmt::format("'{}' is undefined", macro_name), ""};
    const auto text = TRY(context.bind(*macro).as_object()->call(arguments));
    compiled.sql = text.text();
  } else {
    compiled.sql = TRY(node.code->render(context));
  }
  TRY_STATUS(add_ctes(node, compiled));
  return compiled;
}

/// Collects the CTEs of a node's ephemeral parents, theirs first, each once.
Status Runner::add_ctes(const Node& node, Compiled& compiled) {
  for (const auto& id : node.depends_on) {
    const auto* parent = world_.manifest.find(id);
    if (parent == nullptr || !parent->ephemeral()) continue;
    auto known = ephemeral_.find(id);
    if (known == ephemeral_.end()) {
      NodeContext context(world_, parent, Mode::run);
      auto body = render_code(*parent, context);
      if (!body)
        return Error{body.error().code, describe_failure(*parent, context, body.error()),
                     body.error().hint};
      TRY_STATUS(write("compiled", *parent, with_ctes(body->sql, body->ctes)));
      known = ephemeral_.emplace(id, *std::move(body)).first;
    }
    const auto add = [&](const std::string& name, const std::string& body) {
      for (const auto& [have, unused] : compiled.ctes)
        if (have == name) return;
      compiled.ctes.emplace_back(name, body);
    };
    for (const auto& [name, body] : known->second.ctes) add(name, body);
    add("__dbt__cte__" + parent->name, known->second.sql);
  }
  return Ok{};
}

Result<Runner::Compiled> Runner::compile_node(const Node& node, NodeContext& context) {
  auto compiled = TRY(render_code(node, context));
  compiled.sql = with_ctes(compiled.sql, compiled.ctes);
  if (node.kind != NodeKind::operation) TRY_STATUS(write("compiled", node, compiled.sql));
  return compiled;
}

std::string Runner::describe_failure(const Node& node, const NodeContext& context,
                                     const Error& error) {
  const auto title =
      fmt::format("{} {} ({})", to_string(node.kind), node.name, node.original_file_path);
  if (const auto refused = world_.session == nullptr ? std::nullopt : world_.session->take_error();
      refused && context.raised().empty())
    return fmt::format("Runtime Error in {}\n{}", title, indented(refused->message, "  "));
  if (error.message.starts_with("Compilation Error in ")) return error.message;
  std::string message = context.raised().empty() ? error.message : context.raised();
  std::string places;
  for (const auto& macro : context.failed_in())
    places += fmt::format("\n> {} macro {}", places.empty() ? "in" : "called by", macro);
  if (!places.empty()) message += "\n" + places + "\n> called by " + title;
  return fmt::format("Compilation Error in {}\n{}", title, indented(message, "  "));
}

Result<Value> Runner::materialize(const Node& node, NodeContext& context, const std::string& sql) {
  context.set("sql", Value(sql));
  context.set("compiled_code", Value(sql));
  const auto& macros = world_.manifest.macros;
  const auto& project = world_.manifest.project.name;
  const auto kind = node.materialized();
  for (const char* adapter : {"duckdb", "default"}) {
    const auto name = fmt::format("materialization_{}_{}", kind, adapter);
    const auto* own = macros.find_in(project, name);
    const auto* macro = own != nullptr ? own : macros.find_in("dbt", name);
    if (macro != nullptr) return context.bind(*macro).as_object()->call(Arguments{});
  }
  return Error{ErrorCode::invalid_argument,
               fmt::format("No materialization '{}' was found for adapter duckdb! (searched types "
                           "'default' and 'duckdb')",
                           kind),
               ""};
}

Status Runner::execute_model(const Node& node, NodeContext& context, const std::string& sql) {
  const auto made = TRY(materialize(node, context, sql));
  const auto relations = made.is_dict() ? made.find("relations") : std::nullopt;
  if (!relations)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("The materialization (\"{}\") did not explicitly return a list of "
                             "relations to add to the cache.",
                             node.materialized()),
                 ""};
  for (const auto& relation : items_of(*relations))
    if (const auto* name = relation_of(relation)) world_.session->add(*name);
  return Ok{};
}

Status Runner::execute_test(const Node& node, NodeContext& context, const std::string& sql,
                            NodeResult& result) {
  TRY_STATUS(materialize(node, context, sql));
  const auto load = context.lookup("load_result");
  Arguments main;
  main.positional.emplace_back("main");
  const auto stored = TRY(load->as_object()->call(main));
  const auto table = stored.is_dict() ? stored.find("table") : std::nullopt;
  const auto rows = table ? items_of(*table) : std::vector<Value>{};
  if (rows.size() != 1 || items_of(rows[0]).size() < 3)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("dbt internally failed to execute {}: Returned {} rows, but expected "
                             "1 row",
                             node.unique_id, rows.size()),
                 ""};
  const auto cells = items_of(rows[0]);
  const auto failures = int_of(cells[0]);
  const bool should_warn = truth_of(cells[1]);
  const bool should_error = truth_of(cells[2]);
  const bool is_error = lower_case(node.config.string_or("severity", "ERROR")) == "error";
  const auto got = counted(static_cast<std::size_t>(std::max<std::int64_t>(failures, 0)), "result");
  result.failures = 0;
  if (is_error && should_error) {
    result.status = NodeStatus::fail;
    result.failures = failures;
    result.message = fmt::format("Got {}, configured to fail if {}", got,
                                 node.config.string_or("error_if", "!= 0"));
  } else if (should_warn) {
    result.status = NodeStatus::warn;
    result.failures = failures;
    result.message = fmt::format("Got {}, configured to warn if {}", got,
                                 node.config.string_or("warn_if", "!= 0"));
  } else {
    result.status = NodeStatus::pass;
  }
  return Ok{};
}

NodeResult Runner::run_node(const Node& node, std::size_t index, std::size_t total) {
  const bool is_test = node.kind == NodeKind::test;
  const bool hidden = node.ephemeral();
  if (!hidden) console_.progress(index, total, "START " + node_label(node), "RUN");
  NodeResult result;
  result.unique_id = node.unique_id;
  result.compile_started = world_.clock.now();
  const auto started = world_.clock.uptime();
  if (!is_test) world_.session->rollback();  // what tests before it left open
  NodeContext context(world_, &node, Mode::run);
  const auto fail = [&](const Error& error) {
    result.status = NodeStatus::error;
    result.message = describe_failure(node, context, error);
  };
  if (const auto compiled = compile_node(node, context); !compiled) {
    fail(compiled.error());
  } else {
    result.compiled = true;
    result.compiled_code = compiled->sql;
    result.execute_started = world_.clock.now();
    if (!hidden) {
      result.status = is_test ? NodeStatus::pass : NodeStatus::success;
      const auto done = is_test ? execute_test(node, context, compiled->sql, result)
                                : execute_model(node, context, compiled->sql);
      if (!done) fail(done.error());
    }
  }
  // Tests that follow each other read in one transaction: beginning one costs as much as a test.
  if (!is_test || result.status == NodeStatus::error) world_.session->rollback();
  static_cast<void>(world_.session->take_error());
  result.completed = world_.clock.now();
  result.execution_time = world_.clock.uptime() - started;
  if (!hidden || result.status == NodeStatus::error) announce_end(node, result, index, total);
  return result;
}

void Runner::announce_end(const Node& node, const NodeResult& result, std::size_t index,
                          std::size_t total) const {
  const auto took = result.execution_time;
  const auto count = fmt::format("{}", result.failures.value_or(0));
  if (node.kind == NodeKind::test) {
    switch (result.status) {
      case NodeStatus::pass:
        return console_.progress(index, total, "PASS " + node.name, timed("PASS", took));
      case NodeStatus::warn:
        return console_.progress(index, total, fmt::format("WARN {} {}", count, node.name),
                                 timed("WARN " + count, took));
      case NodeStatus::fail:
        return console_.progress(index, total, fmt::format("FAIL {} {}", count, node.name),
                                 timed("FAIL " + count, took), true);
      default:
        return console_.progress(index, total, "ERROR " + node.name, timed("ERROR", took), true);
    }
  }
  if (result.status == NodeStatus::error)
    console_.progress(index, total, "ERROR creating " + node_label(node), timed("ERROR", took),
                      true);
  else
    console_.progress(index, total, "OK created " + node_label(node), timed("OK", took));
}

Status Runner::create_schemas(const std::set<std::string>& selected) {
  std::map<std::string, std::set<std::string>> wanted;  // by database
  for (const auto& id : selected)
    if (const auto* node = world_.manifest.find(id);
        node != nullptr && node->kind == NodeKind::model && !node->ephemeral())
      wanted[node->database].insert(node->schema);
  NodeContext context(world_, nullptr, Mode::run);
  for (const auto& [database, schemas] : wanted) {
    Arguments of_database;
    of_database.positional.emplace_back(database);
    const auto listed = TRY(context.call("list_schemas", of_database));
    std::set<std::string> known;
    for (const auto& row : items_of(listed))
      if (const auto cells = items_of(row); !cells.empty())
        known.insert(lower_case(cells[0].text()));
    for (const auto& schema : schemas) {
      if (known.contains(lower_case(schema))) continue;
      RelationName name;
      name.database = database;
      name.schema = schema;
      Arguments of_schema;
      of_schema.positional.push_back(relation_value(name));
      TRY_STATUS(context.call("create_schema", of_schema));
      TRY_STATUS(world_.session->commit());
    }
  }
  return Ok{};
}

Status Runner::run_hooks(std::string_view when, std::vector<NodeResult>& results) {
  std::vector<const Node*> hooks;
  for (std::size_t i = 0;; ++i) {
    const auto& project = world_.manifest.project.name;
    const auto* hook =
        world_.manifest.find(fmt::format("operation.{0}.{0}-{1}-{2}", project, when, i));
    if (hook == nullptr) break;
    hooks.push_back(hook);
  }
  if (hooks.empty()) return Ok{};
  if (when == "on-run-end") console_.info("");
  bool failed = false;
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const auto& node = *hooks[i];
    const auto label = fmt::format("hook: {}.{}.{}", node.package, when, i);
    NodeResult result;
    result.unique_id = node.unique_id;
    result.compile_started = world_.clock.now();
    const auto started = world_.clock.uptime();
    NodeContext context(world_, &node, Mode::run);
    if (when == "on-run-end") {
      std::set<std::string> schemas;
      std::vector<Value> rows, schema_values, pairs;
      for (const auto& past : results) {
        const auto* of = world_.manifest.find(past.unique_id);
        if (of == nullptr || of->kind == NodeKind::operation) continue;
        if (of->kind == NodeKind::model && schemas.insert(of->schema).second) {
          schema_values.emplace_back(of->schema);
          pairs.push_back(Value::tuple({Value(of->database), Value(of->schema)}));
        }
        rows.push_back(Value::dict({{"status", Value(to_string(past.status))},
                                    {"unique_id", Value(past.unique_id)},
                                    {"message", Value(past.message)},
                                    {"failures", past.failures ? Value(*past.failures) : Value()},
                                    {"node", to_jinja(node_as_value(*of))}}));
      }
      context.set("results", Value::list(std::move(rows)));
      context.set("schemas", Value::list(std::move(schema_values)));
      context.set("database_schemas", Value::list(std::move(pairs)));
    }
    if (failed) {
      result.status = NodeStatus::skipped;
      console_.progress(i + 1, hooks.size(), "SKIP " + label, "SKIP");
    } else {
      const auto run = [&]() -> Status {
        const auto compiled = TRY(compile_node(node, context));
        result.compiled = true;
        result.compiled_code = compiled.sql;
        console_.progress(i + 1, hooks.size(), "START " + label, "RUN");
        result.execute_started = world_.clock.now();
        if (skip_comments(compiled.sql, 0) < compiled.sql.size())
          TRY_STATUS(world_.session->query(compiled.sql));
        return Ok{};
      };
      const auto done = run();
      const auto took = world_.clock.uptime() - started;
      if (done) {
        result.message = fmt::format("{}.{}.{} passed", node.package, when, i);
        console_.progress(i + 1, hooks.size(), "OK " + label, timed("OK", took));
      } else {
        failed = true;
        result.status = NodeStatus::error;
        result.message = fmt::format("{}.{}.{} failed, error:\n {}", node.package, when, i,
                                     done.error().message);
        static_cast<void>(world_.session->take_error());
        console_.progress(i + 1, hooks.size(), "ERROR " + label, timed("ERROR", took), true);
      }
    }
    result.completed = world_.clock.now();
    result.execution_time = world_.clock.uptime() - started;
    results.push_back(std::move(result));
  }
  if (when == "on-run-start") console_.info("");
  return Ok{};
}

Result<std::vector<NodeResult>> Runner::run(const std::set<std::string>& selected,
                                            bool preserve_edges) {
  std::vector<NodeResult> results;
  TRY_STATUS(create_schemas(selected));
  TRY_STATUS(run_hooks("on-run-start", results));

  const RunGraph graph(world_.manifest, selected, world_.flags.which == "build");
  const auto order =
      preserve_edges ? graph.order() : std::vector<std::string>(selected.begin(), selected.end());
  std::size_t total = 0;
  for (const auto& id : order)
    if (!world_.manifest.find(id)->ephemeral()) ++total;

  std::map<std::string, std::string> skipped;  // and the ephemeral status it is for, if any
  std::size_t index = 0;
  bool stopped = false;
  for (const auto& id : order) {
    const auto& node = *world_.manifest.find(id);
    if (stop_.stop_requested()) return cancelled();
    if (!node.ephemeral()) ++index;
    NodeResult result;
    result.unique_id = id;
    if (const auto skip = skipped.find(id); skip != skipped.end() || stopped) {
      result.status = NodeStatus::skipped;
      result.compile_started = result.completed = world_.clock.now();
      const auto label = node.kind == NodeKind::test
                             ? "test " + node.name
                             : fmt::format("relation {}.{}", node.schema, node.alias);
      const std::string cause = skip == skipped.end() ? "" : skip->second;
      if (!cause.empty()) {
        result.message =
            fmt::format("{} was skipped: an ephemeral model it needs is '{}'", node.name, cause);
        console_.progress(index, total,
                          fmt::format("SKIP {} due to ephemeral model status '{}'", label, cause),
                          "ERROR SKIP", true);
      } else if (!node.ephemeral()) {
        console_.progress(index, total, "SKIP " + label, "SKIP");
      }
      if (node.ephemeral())
        for (const auto& below : graph.descendants(id)) skipped[below] = "skipped";
    } else {
      result = run_node(node, index, total);
      const bool failed = result.status == NodeStatus::error || result.status == NodeStatus::fail;
      if (failed) {
        if (stop_.stop_requested()) return cancelled();
        for (const auto& below : graph.descendants(id))
          skipped[below] = node.ephemeral() ? "error" : "";
        stopped = stopped || world_.flags.fail_fast;
      }
    }
    if (!node.ephemeral() || result.status == NodeStatus::error)
      results.push_back(std::move(result));
  }
  world_.session->rollback();
  TRY_STATUS(run_hooks("on-run-end", results));
  return results;
}

Result<std::vector<NodeResult>> Runner::compile(const std::set<std::string>& selected) {
  std::vector<NodeResult> results;
  const RunGraph graph(world_.manifest, selected, false);
  for (const auto& id : graph.order()) {
    const auto& node = *world_.manifest.find(id);
    NodeResult result;
    result.unique_id = id;
    result.compile_started = world_.clock.now();
    const auto started = world_.clock.uptime();
    NodeContext context(world_, &node, Mode::run);
    const auto compiled = compile_node(node, context);
    world_.session->rollback();
    if (!compiled)
      return Error{compiled.error().code, describe_failure(node, context, compiled.error()),
                   compiled.error().hint};
    result.compiled = true;
    result.compiled_code = compiled->sql;
    result.execute_started = result.completed = world_.clock.now();
    result.execution_time = world_.clock.uptime() - started;
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace tapeline::transform
