// Properties: what the YAML files of a project say of its models, sources and tests.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "jinja/template.h"
#include "text/value.h"
#include "transform/node.h"

namespace tapeline::transform {

class NodeContext;

struct ModelPatch {
  std::string file;
  std::string description;
  text::Value config;
  text::Value columns;  // by name
  bool used = false;
};

struct WantedSource {
  std::string file;
  std::string source;
  std::string table;
  std::string database;
  std::string schema;
  std::string identifier;
  std::string loader;
  std::string description;
  std::string source_description;
  text::Value quoting;
  text::Value config;
  text::Value columns;
};

/// A generic test that YAML asks for.
struct WantedTest {
  std::string file;
  std::string source;  // empty: the target is a model
  std::string target;
  std::string column;  // empty: of the whole target
  std::string name;    // empty: made of its arguments
  std::string description;
  TestCall call;
  text::Value config{text::Object{}};
  std::vector<std::string> tags;  // of the column
};

struct Properties {
  std::map<std::string, ModelPatch> models;
  std::vector<WantedSource> sources;
  std::vector<WantedTest> tests;
};

/// Reads one file into `into`.
/// errors: invalid_argument, naming the file; unsupported for kinds that are not there yet
Status read_properties(const std::string& path, const std::string& yaml, jinja::Context& context,
                       Properties& into);

/// The arguments of a node's generic test, rendered: `model` is a relation or a subquery.
Result<jinja::Arguments> test_arguments(NodeContext& context);

}  // namespace tapeline::transform
