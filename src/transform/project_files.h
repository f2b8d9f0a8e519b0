// ProjectFiles: a dbt project as paths and bytes, wherever it comes from.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/embedded_file.h"
#include "base/result.h"
#include "io/file_system.h"

namespace tapeline::transform {

class ProjectFiles {
 public:
  ProjectFiles() = default;
  explicit ProjectFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  explicit ProjectFiles(const std::vector<EmbeddedFile>& files);

  /// Reads the SQL, YAML and Markdown files below `folder`, but for target, logs, dbt_packages
  /// and what begins with a dot.
  /// errors: not_found (no dbt_project.yml there), unavailable
  static Result<ProjectFiles> read_folder(io::FileSystem& disk, const std::string& folder);

  /// nullptr where there is no such file
  const std::string* find(const std::string& path) const;

  /// The files below a folder ("models") by path, whose names end in one of `endings`.
  std::vector<std::string> below(const std::string& folder,
                                 const std::vector<std::string>& endings) const;

  void set(const std::string& path, std::string bytes) { files_[path] = std::move(bytes); }

  friend bool operator==(const ProjectFiles&, const ProjectFiles&) = default;

 private:
  std::map<std::string, std::string> files_;  // paths with /, below the project
};

}  // namespace tapeline::transform
