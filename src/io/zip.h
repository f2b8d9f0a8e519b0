// ZipArchive: the files in a zip archive, unpacked as they are read.
//
// Nothing is written anywhere, and memory does not grow with what is packed. Stored and deflated
// members are read, zip64 too; each is checked against its size and its CRC-32. What looks like an
// attack is refused: names that lead out of the folder, members that lie on top of each other, a
// member that unpacks to hundreds of times its size.
//
//   [local header, packed bytes]...  [central directory: an entry a member]  [end record]
//
// Only the end record and the central directory say what there is.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "io/line_reader.h"

namespace tapeline::io {

/// A file in an archive.
/// units: bytes
struct ZipMember {
  std::string name;
  std::int64_t packed_bytes = 0;
  std::int64_t bytes = 0;
  std::int64_t position = 0;  // of its local header
  std::uint32_t crc = 0;
  std::uint16_t method = 0;
  bool is_encrypted = false;
};

/// Whether a file that begins like this is a zip archive.
bool looks_like_zip(std::string_view first_bytes);

/// threads: any
class ZipArchive {
 public:
  /// Reads the central directory. Errors call the archive `name`.
  /// errors: corrupt (no archive, or one that is cut off or damaged), invalid_argument (it looks
  ///         like an attack), unsupported (in several parts), those of the file
  static Result<ZipArchive> open(std::shared_ptr<const File> file, std::string name);

  /// Its files, without folders, in its order.
  const std::vector<ZipMember>& members() const { return members_; }

  /// The bytes of a member, piece by piece; the archive's file lives as long as this.
  ///
  /// errors: unsupported (encrypted, packed in another way), invalid_argument (unpacks to hundreds
  ///         of times its size); each piece: corrupt, those of the file
  Result<LineReader::NextChunk> read(const ZipMember& member) const;

 private:
  ZipArchive(std::shared_ptr<const File> file, std::string name, std::int64_t size_bytes)
      : file_(std::move(file)), name_(std::move(name)), size_bytes_(size_bytes) {}

  struct Directory;
  Result<Directory> find_directory() const;
  Status read_directory(const Directory& directory);
  Result<std::string> bytes(std::int64_t position, std::int64_t count) const;
  Error damage(std::string what) const;

  std::shared_ptr<const File> file_;
  std::string name_;
  std::int64_t size_bytes_;
  std::vector<ZipMember> members_;
};

}  // namespace tapeline::io
