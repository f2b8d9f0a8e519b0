// Which files a person means who names a file, a folder or a pattern.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace tapeline::io {

/// A file is itself, whatever it is called. A folder means the files in it and below whose names
/// `wanted` accepts, hidden ones apart; a pattern (`*`, `?`, `[…]`, in any part of the path) the
/// files that match, and folders as above. Sorted by name.
///
/// errors: not_found where nothing is meant; `wanted_names` says in the hint what would be
Result<std::vector<std::string>> find_files(FileSystem& files, const std::string& name,
                                            const std::function<bool(std::string_view)>& wanted,
                                            std::string_view wanted_names);

}  // namespace tapeline::io
