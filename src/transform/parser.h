// The parser: from a project's files to its manifest. Runs every template once, with
// nothing to execute, to learn what it refers to and how it is configured.

#pragma once

#include <set>

#include "base/clock.h"
#include "transform/manifest.h"

namespace tapeline::transform {

struct ParseInput {
  const ProjectFiles& files;
  const Project& project;
  const Profile& profile;
  const Environment& environment;
  const Clock& clock;
  text::Value vars;  // of the command line
};

struct ParseOutput {
  std::unique_ptr<Manifest> manifest;
  std::set<std::string> vars_read;  // whose values the manifest depends on
};

/// errors: invalid_argument: YAML or templates that do not parse, names that are not found, cycles;
///         unsupported: kinds of resources that are not there yet, by name
Result<ParseOutput> parse_project(const ParseInput& input);

}  // namespace tapeline::transform
