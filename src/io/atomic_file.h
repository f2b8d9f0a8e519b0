// AtomicFile: a file of any size that appears whole or not at all.
//
// It is written under another name beside its place, and takes its place when it is whole. Ended
// early, it goes away; after a crash the other name is left, and the next writer takes it over.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/file_system.h"

namespace tapeline::io {

/// threads:  one at a time
/// lifetime: the file system must outlive it
class AtomicFile {
 public:
  /// errors: already_exists (someone else writes this file just now), not_found (the folder),
  ///         unavailable
  static Result<AtomicFile> create(FileSystem& files, const std::string& path);

  AtomicFile(AtomicFile&&) noexcept;
  ~AtomicFile();

  /// The name under which it is written: for whoever writes it himself.
  const std::string& temporary() const { return temporary_; }

  /// Appends, with a buffer.
  Status write(std::string_view bytes);

  /// Puts it in its place.
  /// blocks: until it survives a crash of the machine
  Status commit();

  /// units: bytes that were written or, once it is in its place, that it has
  std::int64_t size_bytes() const { return size_bytes_; }

 private:
  AtomicFile(FileSystem& files, std::string path, std::unique_ptr<FileLock> lock,
             std::unique_ptr<File> file);
  Status flush();

  FileSystem* files_;  // null once it is moved from or in its place
  std::string path_;
  std::string temporary_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<File> file_;
  std::string buffer_;
  std::int64_t flushed_ = 0;
  std::int64_t size_bytes_ = 0;
};

}  // namespace tapeline::io
