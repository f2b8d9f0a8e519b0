// The files that tapeline writes durably: one interface, the machine's files behind it.
//
// What a write means is the machine's meaning: bytes survive a crash once sync_data() has
// answered, names (created, renamed, removed) once sync_directory() has. Whoever holds
// acknowledged data says both, in that order. FaultyFileSystem keeps exactly those two promises
// and breaks everything else, so that tests can show that nobody relies on more.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::io {

/// An open file.
///
/// units:   positions and sizes in bytes
/// errors:  unavailable (disk full, failing or read-only); the hint says what to do
/// threads: any, for reads; writes one at a time
class File {
 public:
  virtual ~File() = default;

  /// Fills `into` from `position` on; returns how many bytes there were, fewer only at the end.
  virtual Result<std::int64_t> read_at(std::int64_t position, std::span<char> into) const = 0;

  /// Writes all of `bytes`, growing the file where needed.
  /// promise:  after an error any part of them may be there
  virtual Status write_at(std::int64_t position, std::string_view bytes) = 0;

  /// Makes what was written survive a crash of the machine.
  /// promise:  after an error none of it is known to survive, and asking again proves nothing:
  ///           the kernel has forgotten which pages it dropped. Write it again.
  virtual Status sync_data() = 0;

  virtual Status truncate(std::int64_t size_bytes) = 0;

  /// Reserves room up to `size_bytes`; the file reads as zeros there.
  virtual Status preallocate(std::int64_t size_bytes) = 0;

  virtual Result<std::int64_t> size_bytes() const = 0;
};

/// Holds an exclusive lock on a file until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode : std::uint8_t {
  read,   // not_found where there is none
  write,  // for reading and writing; created, empty, where there is none
};

struct FileInfo {
  std::string name;  // without the directory
  bool is_directory = false;
  std::int64_t size_bytes = 0;
  bool is_private = true;  // only its owner may read or write it
  Timestamp modified_at{};
  bool is_special = false;  // a pipe, a device, a socket: reading it may never end
};

/// errors:  not_found, already_exists, unavailable; each names the path
/// threads: any
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;

  /// Makes the names in `path` (created, renamed, removed) survive a crash of the machine.
  virtual Status sync_directory(const std::string& path) = 0;

  /// Puts `from` in the place of `to`, all or nothing, replacing a file that is there.
  virtual Status rename(const std::string& from, const std::string& to) = 0;

  /// Removes a file or an empty directory.
  virtual Status remove(const std::string& path) = 0;

  /// What stands in a directory, by name.
  virtual Result<std::vector<FileInfo>> list(const std::string& path) = 0;

  /// None where there is nothing of that name.
  virtual Result<std::optional<FileInfo>> info(const std::string& path) = 0;

  /// One level; fine where it is there already.
  virtual Status make_directory(const std::string& path) = 0;

  /// Lets only its owner read, write or enter it.
  virtual Status make_private(const std::string& path) = 0;

  /// What may still be written to the disk that holds `path`.
  /// units:   bytes
  virtual Result<std::int64_t> free_bytes(const std::string& path) = 0;

  /// Locks a file, creating it where needed. Its content is the caller's.
  /// errors:  already_exists (someone else holds it)
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

/// The machine's own files.
std::unique_ptr<FileSystem> make_file_system();

/// The directory that holds `path`: "/" of what lies there, "." of a bare name.
std::string parent_of(const std::string& path);

/// The whole content of a file.
Result<std::string> read_file(FileSystem& files, const std::string& path);

/// Replaces a file's content: after a crash it is the old or the new one, never a mixture.
/// blocks:  until it survives a crash of the machine
Status write_file_atomically(FileSystem& files, const std::string& path, std::string_view bytes);

/// Makes a directory and those above it, and makes their names durable.
Status make_directories(FileSystem& files, const std::string& path);

/// Removes a file, or a directory with everything in it; fine where there is nothing.
Status remove_all(FileSystem& files, const std::string& path);

}  // namespace tapeline::io
