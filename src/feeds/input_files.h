// Input files: what the words of `import` and `replay` mean: files, folders, patterns, archives.

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/file_system.h"
#include "io/zip.h"

namespace tapeline::feeds {

/// One table of rows: a file of text, plain or gzip, a Parquet file, or a file in a zip archive.
struct InputFile {
  enum class Format : std::uint8_t { text, parquet, member };

  InputFile(const std::filesystem::path& text_file) : path(text_file.string()) {}

  std::string path;
  Format format = Format::text;
  std::shared_ptr<const io::ZipArchive> archive;  // of a member
  io::ZipMember member;
  std::int64_t size_bytes = 0;  // as it lies on the disk, packed
  Timestamp modified_at{};      // of the file or the archive

  /// The path; of a member the archive's path, a slash and its name.
  std::string name() const;
};

struct InputFiles {
  std::vector<InputFile> files;
  std::vector<std::string> notes;  // what a person should know: what was passed over
};

/// What `names` (whole paths) mean, each in its turn; what is in a folder or an archive, by name.
/// A file's first bytes say what it is. `may_open` is asked before a file is opened.
///
/// errors: not_found, and those of find_files, ZipArchive and `may_open`
Result<InputFiles> list_input_files(io::FileSystem& files, const std::vector<std::string>& names,
                                    const std::function<Status(const std::string&)>& may_open);

}  // namespace tapeline::feeds
