// Template: Jinja2 as dbt uses it, parsed once and rendered many times.
//
// Python's Jinja2 3.1 with the extensions `do` and `loopcontrols` is the model, text
// for text; dbt's block tags (macro, test, materialization, snapshot, docs) are
// understood as definitions. There are no loaders: no include, import or extends.
//
// Where it differs from Python: whole numbers have 64 bits, and more is an error; map(),
// select() and their like do their work at once, not when they are walked over; there is no
// Markup (autoescape is off), no urlize and no random filter; pprint does not wrap lines. The
// filter tojson is Jinja2's, with < > & ' escaped; dbt's function tojson() is the host's.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jinja/value.h"

namespace tapeline::jinja {

/// Where a template finds a name that it did not set itself.
class Context {
 public:
  virtual ~Context() = default;
  /// none: no such name; the template sees undefined
  virtual std::optional<Value> lookup(const std::string& name) = 0;
};

/// A definition found at the top level of a file.
///
/// holds: a materialization `m` for adapter `a` is the macro `materialization_m_a`, a
///        test `t` the macro `test_t`, as in dbt
struct MacroInfo {
  std::string name;
  std::vector<std::string> parameters;
  std::size_t begin = 0;  // its text's place in the source, tags included
  std::size_t end = 0;
  int line = 0;
};

/// A block tag of dbt's that defines something: macro, test, materialization, snapshot, docs.
/// A data_test is a test.
struct BlockInfo {
  std::string kind;
  std::string name;                          // as written: of a materialization without its adapter
  std::size_t begin = 0, end = 0;            // tags included
  std::size_t body_begin = 0, body_end = 0;  // what is between the tags
  int line = 0;
};

/// How much a rendering may use up.
struct RenderLimits {
  std::size_t output_bytes_max = 64 << 20;
  std::int64_t steps_max = 50'000'000;  // nodes evaluated
  int depth_max = 200;                  // nested macro calls
};

/// A call that a template makes, as far as its text shows it: for finding ref(), source() and
/// config() without running anything.
struct StaticCall {
  std::string name;
  bool literal = false;  // every argument is a literal
  Arguments arguments;   // where literal
};

class Template {
 public:
  /// errors: invalid_argument, with name, line and column, and what was expected
  static Result<Template> parse(std::string_view source, std::string name);

  /// The text that the template makes, with one final newline of the source dropped as Jinja2 does.
  /// errors: invalid_argument (undefined, wrong types, limits), with name and line; a host
  ///         object's own error, with the place added
  Result<std::string> render(Context& context, RenderLimits limits = {}) const;

  /// The template as one expression that keeps its type: "{{ [1, 2] }}" is a list. Text
  /// around the expression makes it a string.
  Result<Value> render_native(Context& context, RenderLimits limits = {}) const;

  const std::vector<MacroInfo>& macros() const;

  /// All definitions in order, macros included. Snapshots and docs render to nothing: their
  /// text is for the host to take by its place.
  const std::vector<BlockInfo>& blocks() const;

  const std::string& name() const;

  /// A macro of this template as something to call; its free names are looked up in `context`
  /// (which must outlive the call), so all macros of a project can share one. What the macro
  /// hands to `return(...)` is the call's value, of any type; without it the text it made.
  /// errors: not_found
  Result<Value> macro(const std::string& name, Context& context) const;

  /// Every call of a plain name in the source, in order.
  std::vector<StaticCall> static_calls() const;

  struct Body;

 private:
  explicit Template(std::shared_ptr<const Body> body) : body_(std::move(body)) {}
  std::shared_ptr<const Body> body_;
};

/// The function `return(x)`: ends the macro that calls it, with `x` as the value of the call.
Value return_function();

}  // namespace tapeline::jinja
