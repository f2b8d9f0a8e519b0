#include "io/find_files.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace tapeline::io {
namespace {

constexpr int kDepthMax = 32;

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() || folder.ends_with('/') ? folder + name : folder + "/" + name;
}

Status add_folder(FileSystem& files, const std::string& folder,
                  const std::function<bool(std::string_view)>& wanted, int depth,
                  std::vector<std::string>& found) {
  if (depth > kDepthMax) {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' lies too deep", folder),
                 "Does a link lead back to a folder above it?"};
  }
  for (const FileInfo& entry : TRY(files.list(folder))) {
    if (entry.name.starts_with('.')) continue;
    const std::string path = joined(folder, entry.name);
    if (entry.is_directory) {
      TRY_STATUS(add_folder(files, path, wanted, depth + 1, found));
    } else if (!entry.is_special && wanted(entry.name)) {
      found.push_back(path);
    }
  }
  return Ok{};
}

/// Appends what matches `pattern`, whose folders up to `folder` are known.
Status match(FileSystem& files, const std::string& folder, std::string_view pattern,
             std::vector<std::string>& found) {
  const auto slash = pattern.find('/');
  const std::string part(pattern.substr(0, slash));
  const bool last = slash == std::string_view::npos;
  const std::string_view rest = last ? "" : pattern.substr(slash + 1);
  const auto go_on = [&](const std::string& path, bool is_directory) -> Status {
    if (last) {
      found.push_back(path);
      return Ok{};
    }
    return is_directory ? match(files, path, rest, found) : Status(Ok{});
  };
  if (part.find_first_of("*?[") == std::string::npos) {
    const std::string path = joined(folder, part);
    const auto info = TRY(files.info(path));
    return info ? go_on(path, info->is_directory) : Status(Ok{});
  }
  for (const FileInfo& entry : TRY(files.list(folder.empty() ? "." : folder))) {
    if (fnmatch(part.c_str(), entry.name.c_str(), FNM_PERIOD) != 0) continue;
    TRY_STATUS(go_on(joined(folder, entry.name), entry.is_directory));
  }
  return Ok{};
}

}  // namespace

Result<std::vector<std::string>> find_files(FileSystem& files, const std::string& name,
                                            const std::function<bool(std::string_view)>& wanted,
                                            std::string_view wanted_names) {
  std::vector<std::string> named;
  const bool is_there = TRY(files.info(name)).has_value();
  const bool is_pattern = !is_there && name.find_first_of("*?[") != std::string::npos;
  if (is_pattern) {
    const bool absolute = name.starts_with('/');
    TRY_STATUS(match(files, absolute ? "/" : "", std::string_view(name).substr(absolute), named));
    if (named.empty()) {
      return Error{ErrorCode::not_found, fmt::format("no file matches '{}'", name), ""};
    }
  } else {
    named.push_back(name);
  }
  std::vector<std::string> found;
  for (const std::string& path : named) {
    const auto info = TRY(files.info(path));
    if (!info) return Error{ErrorCode::not_found, fmt::format("there is no file '{}'", path), ""};
    if (info->is_special) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("'{}' is a pipe or a device, no file", path),
                   "Save what it gives in a file, and name that."};
    }
    if (info->is_directory) {
      TRY_STATUS(add_folder(files, path, wanted, 0, found));
    } else {
      found.push_back(path);
    }
  }
  if (found.empty()) {
    return Error{ErrorCode::not_found, fmt::format("there is no file to read in '{}'", name),
                 fmt::format("Of a folder are read: {}.", wanted_names)};
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace tapeline::io
