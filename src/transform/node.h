// Node: one thing of a dbt project that runs or is read: a model, a data test, a source table.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jinja/template.h"
#include "text/value.h"

namespace tapeline::transform {

enum class NodeKind : std::uint8_t { model, test, operation, source };

constexpr std::string_view to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::model:
      return "model";
    case NodeKind::test:
      return "test";
    case NodeKind::operation:
      return "operation";
    case NodeKind::source:
      return "source";
  }
  return "unknown";
}

struct Reference {
  std::string package;  // empty: any
  std::string name;
  friend bool operator==(const Reference&, const Reference&) = default;
};

struct SourceReference {
  std::string source;
  std::string table;
  friend bool operator==(const SourceReference&, const SourceReference&) = default;
};

/// What makes a test generic: `{% test name(model, …) %}` and what YAML gives it.
struct TestCall {
  std::string name;
  std::string package;  // the namespace before the dot; empty where there is none
  text::Value kwargs;   // with `model`, not rendered yet
};

struct Node {
  NodeKind kind = NodeKind::model;
  std::string unique_id;
  std::string package;
  std::string name;
  std::string path;                // below its resource folder
  std::string original_file_path;  // below the project
  std::string patch_path;          // the YAML that describes it; empty where none does
  std::vector<std::string> fqn;
  std::string raw_code;
  std::string checksum;  // SHA-256 of the file; empty for what YAML made
  text::Value config;    // all of it, merged
  std::vector<std::string> tags;
  text::Value meta;
  std::string description;
  text::Value columns;  // by name

  std::string database;
  std::string schema;
  std::string alias;
  std::string relation_name;  // as SQL; empty for what makes no relation

  std::vector<Reference> refs;
  std::vector<SourceReference> sources;
  std::vector<std::string> depends_on;         // node ids, each once, in order
  std::vector<std::string> depends_on_macros;  // macro ids

  std::optional<TestCall> test;
  std::string column_name;
  std::string attached_node;
  std::string file_key_name;

  std::string source_name;  // of a source
  std::string identifier;
  std::string loader;
  std::string source_description;

  std::optional<jinja::Template> code;

  std::string materialized() const { return config.string_or("materialized", ""); }
  bool ephemeral() const { return kind == NodeKind::model && materialized() == "ephemeral"; }
};

}  // namespace tapeline::transform
