#include "transform/project_files.h"

#include <algorithm>

namespace tapeline::transform {
namespace {

bool is_project_file(const std::string& name) {
  return name.ends_with(".sql") || name.ends_with(".yml") || name.ends_with(".yaml") ||
         name.ends_with(".md") || name.ends_with(".csv");
}

/// What dbt writes beside the project's folders. Below them these are names as any other.
bool is_skipped(const std::string& name, bool at_top) {
  return name.starts_with('.') ||
         (at_top && (name == "target" || name == "logs" || name == "dbt_packages"));
}

Status read_below(io::FileSystem& disk, const std::string& folder, const std::string& prefix,
                  std::map<std::string, std::string>& files) {
  for (const auto& entry : TRY(disk.list(folder))) {
    if (is_skipped(entry.name, prefix.empty())) continue;
    const std::string path = folder + "/" + entry.name;
    if (entry.is_directory) {
      TRY_STATUS(read_below(disk, path, prefix + entry.name + "/", files));
    } else if (is_project_file(entry.name)) {
      files[prefix + entry.name] = TRY(io::read_file(disk, path));
    } else if (entry.name.ends_with(".py")) {
      files[prefix + entry.name] = "";  // the parser refuses it by name, if it is a model
    }
  }
  return Ok{};
}

}  // namespace

ProjectFiles::ProjectFiles(const std::vector<EmbeddedFile>& files) {
  for (const auto& file : files) files_.emplace(file.path, file.bytes);
}

Result<ProjectFiles> ProjectFiles::read_folder(io::FileSystem& disk, const std::string& folder) {
  const auto project = TRY(disk.info(folder + "/dbt_project.yml"));
  if (!project)
    return Error{ErrorCode::not_found, "no dbt_project.yml found at '" + folder + "'",
                 "Give the project's folder with --project-dir."};
  ProjectFiles files;
  TRY_STATUS(read_below(disk, folder, "", files.files_));
  return files;
}

const std::string* ProjectFiles::find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

std::vector<std::string> ProjectFiles::below(const std::string& folder,
                                             const std::vector<std::string>& endings) const {
  std::vector<std::string> paths;
  const std::string prefix = folder + "/";
  for (auto it = files_.lower_bound(prefix); it != files_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    if (std::ranges::any_of(endings,
                            [&](const auto& ending) { return it->first.ends_with(ending); }))
      paths.push_back(it->first);
  }
  return paths;
}

}  // namespace tapeline::transform
