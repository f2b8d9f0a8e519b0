#include "io/zip.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/inflate.h"

namespace tapeline::io {
namespace {

// PKWARE's APPNOTE.TXT, version 6.3.10: the layout of the records and their signatures.
constexpr std::string_view kLocalHeader = "PK\x03\x04";
constexpr std::string_view kCentralHeader = "PK\x01\x02";
constexpr std::string_view kEnd = "PK\x05\x06";
constexpr std::string_view kEnd64 = "PK\x06\x06";
constexpr std::string_view kLocator64 = "PK\x06\x07";
constexpr std::int64_t kLocalBytes = 30;
constexpr std::int64_t kCentralBytes = 46;
constexpr std::int64_t kEndBytes = 22;
constexpr std::int64_t kEnd64Bytes = 56;
constexpr std::int64_t kLocatorBytes = 20;
constexpr std::int64_t kCommentMax = 0xffff;

constexpr std::int64_t kDirectoryBytesMax = 64 << 20;
constexpr std::int64_t kPackedBytes = 128 << 10;

// Deflate packs a thousandfold at most; rows of prices five- to thirtyfold.
constexpr std::int64_t kRatioMax = 250;
constexpr std::int64_t kRatioAllowedBytes = 64 << 20;  // so small a file harms nobody

/// A little-endian number at a place of which the caller knows that it is there.
template <typename Number>
Number number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(Number); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return static_cast<Number>(value);
}

std::uint16_t u16(std::string_view bytes, std::size_t at) {
  return number_at<std::uint16_t>(bytes, at);
}
std::uint32_t u32(std::string_view bytes, std::size_t at) {
  return number_at<std::uint32_t>(bytes, at);
}
/// What does not fit in 63 bits is -1, which no check lets pass.
std::int64_t i64(std::string_view bytes, std::size_t at) {
  return std::max(number_at<std::int64_t>(bytes, at), std::int64_t{-1});
}

/// Whether a member may be named: it stays in its folder and has no control characters.
bool is_safe(std::string_view name) {
  if (name.empty() || name.starts_with('/') || name.find('\\') != std::string_view::npos) {
    return false;
  }
  if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return false;
  }
  for (std::size_t at = 0; at <= name.size();) {
    const auto end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

/// Puts the 64-bit numbers of the extra field where the entry has no room for them.
void widen(std::string_view extra, std::int64_t& bytes, std::int64_t& packed,
           std::int64_t& position) {
  constexpr std::int64_t kElsewhere = 0xffffffff;
  while (extra.size() >= 4) {
    const std::size_t size = u16(extra, 2);
    if (4 + size > extra.size()) return;
    std::string_view field = extra.substr(4, size);
    if (u16(extra, 0) == 1) {
      for (std::int64_t* number : {&bytes, &packed, &position}) {
        if (*number != kElsewhere || field.size() < 8) continue;
        *number = i64(field, 0);
        field.remove_prefix(8);
      }
      return;
    }
    extra.remove_prefix(4 + size);
  }
}

/// A member while it is read.
struct Unpacking {
  std::shared_ptr<const File> file;
  std::string name;  // of the archive and the member, for errors
  ZipMember member;
  std::int64_t at = 0;     // the next packed byte
  std::int64_t end = 0;    // of the packed bytes
  std::int64_t given = 0;  // plain bytes
  std::uint32_t crc = 0;
  std::string packed;
  Inflate inflate{Inflate::Wrapping::none};

  Error damage(std::string_view what) const {
    return Error{ErrorCode::corrupt, fmt::format("{}: {}", name, what),
                 "Copy or download the archive again."};
  }

  Status take() {
    packed.resize(static_cast<std::size_t>(std::min(kPackedBytes, end - at)));
    const auto got = TRY(file->read_at(at, packed));
    if (got != std::ssize(packed)) return damage("the archive became shorter");
    at += got;
    return Ok{};
  }

  Result<std::string> next() {
    std::string out;
    if (member.method == 0) {
      if (at < end) {
        TRY_STATUS(take());
        out = packed;
      }
    } else {
      while (out.empty() && !inflate.at_end()) {
        const bool all_given = inflate.wants_more() && at == end;
        if (inflate.wants_more() && !all_given) {
          TRY_STATUS(take());
          inflate.give(packed);
        }
        if (!inflate.unpack(out)) return damage("the packed bytes are damaged");
        // Of what was given last the end may not have fitted into the block before.
        if (all_given && out.empty() && !inflate.at_end())
          return damage("the packed bytes end too early");
      }
    }
    given += std::ssize(out);
    crc = crc32_of(crc, out);
    if (given > member.bytes) return damage("it is longer than the archive says");
    if (out.empty() && given < member.bytes) return damage("it is shorter than the archive says");
    if (out.empty() && crc != member.crc) return damage("its checksum is wrong");
    return out;
  }
};

}  // namespace

bool looks_like_zip(std::string_view first_bytes) {
  return first_bytes.starts_with(kLocalHeader) || first_bytes.starts_with(kEnd);
}

/// Where the central directory lies.
struct ZipArchive::Directory {
  std::int64_t position = 0;
  std::int64_t bytes = 0;
  std::int64_t entries = 0;
};

Error ZipArchive::damage(std::string what) const {
  return Error{ErrorCode::corrupt, fmt::format("'{}': {}", name_, what),
               "The archive was cut off or damaged; copy or download it again."};
}

Result<std::string> ZipArchive::bytes(std::int64_t position, std::int64_t count) const {
  if (position < 0 || count < 0 || position > size_bytes_ || count > size_bytes_ - position) {
    return damage("a part of the zip archive lies outside of it");
  }
  std::string read(static_cast<std::size_t>(count), '\0');
  if (TRY(file_->read_at(position, read)) != count) return damage("the archive became shorter");
  return read;
}

Result<ZipArchive> ZipArchive::open(std::shared_ptr<const File> file, std::string name) {
  const std::int64_t size = TRY(file->size_bytes());
  ZipArchive archive(std::move(file), std::move(name), size);
  const Directory directory = TRY(archive.find_directory());
  TRY_STATUS(archive.read_directory(directory));
  return archive;
}

Result<ZipArchive::Directory> ZipArchive::find_directory() const {
  const std::int64_t tail_bytes = std::min(size_bytes_, kEndBytes + kCommentMax);
  const std::int64_t tail_begin = size_bytes_ - tail_bytes;
  const std::string tail = TRY(bytes(tail_begin, tail_bytes));
  std::size_t at =
      tail.size() < kEndBytes ? std::string::npos : tail.rfind(kEnd, tail.size() - kEndBytes);
  // A comment may hold the signature; the record's own comment reaches to the file's end.
  while (at != std::string::npos && at + kEndBytes + u16(tail, at + 20) != tail.size()) {
    at = at == 0 ? std::string::npos : tail.rfind(kEnd, at - 1);
  }
  if (at == std::string::npos) return damage("the zip archive has no end");
  const std::string_view end = std::string_view(tail).substr(at, kEndBytes);
  Directory directory{u32(end, 16), u32(end, 12), u16(end, 10)};
  bool in_parts = u16(end, 4) != u16(end, 6);
  const std::int64_t end_position = tail_begin + static_cast<std::int64_t>(at);
  if (directory.position == 0xffffffff || directory.bytes == 0xffffffff ||
      directory.entries == 0xffff) {
    const std::string locator = TRY(bytes(end_position - kLocatorBytes, kLocatorBytes));
    if (!locator.starts_with(kLocator64)) return damage("the zip archive has no 64-bit end");
    const std::string end64 = TRY(bytes(i64(locator, 8), kEnd64Bytes));
    if (!end64.starts_with(kEnd64)) return damage("the zip archive's 64-bit end is damaged");
    directory = {i64(end64, 48), i64(end64, 40), i64(end64, 32)};
    in_parts = u32(end64, 16) != u32(end64, 20);
  } else if (u16(end, 8) != u16(end, 10)) {
    in_parts = true;
  }
  if (in_parts) {
    return Error{ErrorCode::unsupported, fmt::format("'{}' is one of several parts", name_),
                 "Join the parts first: zip -s 0 parts.zip --out whole.zip."};
  }
  return directory;
}

Status ZipArchive::read_directory(const Directory& directory) {
  if (directory.bytes > kDirectoryBytesMax) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' has a directory of {} MB", name_, directory.bytes >> 20),
                 "Unpack it, and import the folder."};
  }
  const std::string all = TRY(bytes(directory.position, directory.bytes));
  std::string_view rest = all;
  std::int64_t packed_bytes = 0;
  for (std::int64_t i = 0; i < directory.entries; ++i) {
    if (std::ssize(rest) < kCentralBytes || !rest.starts_with(kCentralHeader)) {
      return damage("the zip archive's directory is damaged");
    }
    const std::size_t name_bytes = u16(rest, 28);
    const std::size_t extra_bytes = u16(rest, 30);
    const std::size_t entry_bytes = kCentralBytes + name_bytes + extra_bytes + u16(rest, 32);
    if (entry_bytes > rest.size()) return damage("the zip archive's directory is damaged");
    ZipMember member{.name = std::string(rest.substr(kCentralBytes, name_bytes)),
                     .packed_bytes = u32(rest, 20),
                     .bytes = u32(rest, 24),
                     .position = u32(rest, 42),
                     .crc = u32(rest, 16),
                     .method = u16(rest, 10),
                     .is_encrypted = (u16(rest, 8) & 1) != 0};
    widen(rest.substr(kCentralBytes + name_bytes, extra_bytes), member.bytes, member.packed_bytes,
          member.position);
    rest.remove_prefix(entry_bytes);
    if (!is_safe(member.name)) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("'{}' holds a file whose name leads out of its folder or has "
                               "control characters",
                               name_),
                   "An archive of prices has no such name; do not trust it."};
    }
    if (member.packed_bytes < 0 || member.bytes < 0 || member.packed_bytes > size_bytes_) {
      return damage(fmt::format("the size of '{}' cannot be", member.name));
    }
    packed_bytes += member.packed_bytes;
    if (packed_bytes > size_bytes_) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the files in '{}' lie on top of each other", name_),
                   "It is built to unpack to much more than it is; do not trust it."};
    }
    if (!member.name.ends_with('/')) members_.push_back(std::move(member));
  }
  return Ok{};
}

Result<LineReader::NextChunk> ZipArchive::read(const ZipMember& member) const {
  const std::string name = fmt::format("'{}/{}'", name_, member.name);
  if (member.is_encrypted || member.method == 99) {
    return Error{ErrorCode::unsupported, name + " is encrypted",
                 "Unpack it with its password, and import the folder."};
  }
  if (member.method != 0 && member.method != 8) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} is packed by method {}", name, member.method),
                 "Only stored and deflated files are read: unpack it, and import the folder."};
  }
  if (member.bytes > kRatioAllowedBytes && member.bytes / kRatioMax > member.packed_bytes) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{} would unpack to more than {} times its size", name, kRatioMax),
                 "It looks like a zip bomb. If it is none, unpack it, and import the folder."};
  }
  const std::string local = TRY(bytes(member.position, kLocalBytes));
  if (!local.starts_with(kLocalHeader)) return damage(name + " is not where it should be");
  auto unpacking = std::make_shared<Unpacking>();
  unpacking->file = file_;
  unpacking->name = name;
  unpacking->member = member;
  unpacking->at = member.position + kLocalBytes + u16(local, 26) + u16(local, 28);
  if (unpacking->at > size_bytes_ || member.packed_bytes > size_bytes_ - unpacking->at) {
    return damage(name + " lies outside of the archive");
  }
  unpacking->end = unpacking->at + member.packed_bytes;
  return LineReader::NextChunk([unpacking] { return unpacking->next(); });
}

}  // namespace tapeline::io
