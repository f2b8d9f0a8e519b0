// Selection: which nodes `--select` and `--exclude` mean, in dbt's syntax.
//
//   name  path:models/x  tag:t  source:s.t  test_type:generic  fqn:p.folder.*  package:p
//   +x  x+  2+x+1  @x        graph operators
//   a b                      union
//   a,b                      intersection

#pragma once

#include <set>
#include <string>
#include <vector>

#include "transform/manifest.h"

namespace tapeline::transform {

struct Selection {
  std::set<std::string> ids;           // models and tests; sources too where they are named
  std::vector<std::string> unmatched;  // criteria that no node meets
};

/// What is selected, with the data tests of what is selected, as `indirect` says: those that have
/// any of it for a parent (eager), nothing but it (cautious), nothing but it, what is above it and
/// sources (buildable), none (empty). Empty `select` means everything.
/// errors: invalid_argument: a criterion that is none, or of a method that does not exist;
///         unsupported: a method of dbt's that is not there yet
Result<Selection> select_nodes(const Manifest& manifest, const std::vector<std::string>& select,
                               const std::vector<std::string>& exclude,
                               const std::string& indirect = "eager");

}  // namespace tapeline::transform
