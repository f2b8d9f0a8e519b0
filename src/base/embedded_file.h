// Files that the build puts into the program: the dbt project, the DAGs, the page.
//
// cmake/embed.cmake makes one function for each folder, declared here.

#pragma once

#include <string_view>
#include <vector>

namespace tapeline {

struct EmbeddedFile {
  std::string_view path;  // relative to the folder, with /
  std::string_view bytes;
};

const std::vector<EmbeddedFile>& transform_macros();  // src/transform/macros
const std::vector<EmbeddedFile>& shipped_dbt();       // dbt
const std::vector<EmbeddedFile>& shipped_dags();      // dags
const std::vector<EmbeddedFile>& shipped_web();       // web/dist

}  // namespace tapeline
