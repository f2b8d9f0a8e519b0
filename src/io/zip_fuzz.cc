// Any bytes as a zip archive: its files come whole, with the size and the checksum that it says, or
// an error that names it.

#include "io/zip.h"

#include "base/check.h"
#include "io/inflate.h"
#include "io/memory_file_testing.h"

namespace tapeline::io {
namespace {

void read_all(std::string bytes) {
  const std::size_t size = bytes.size();
  const auto archive =
      ZipArchive::open(std::make_shared<const MemoryFile>(std::move(bytes)), "a.zip");
  if (!archive) {
    TL_ASSERT(archive.error().message.find("a.zip") != std::string::npos);
    return;
  }
  std::int64_t packed = 0;
  for (const ZipMember& member : archive->members()) {
    TL_ASSERT(("/" + member.name + "/").find("/../") == std::string::npos);
    TL_ASSERT(!member.name.starts_with('/'));
    packed += member.packed_bytes;
    TL_ASSERT(packed <= static_cast<std::int64_t>(size));
    auto next = archive->read(member);
    std::int64_t given = 0;
    std::uint32_t crc = 0;
    while (next) {
      const auto piece = (*next)();
      if (!piece) {
        TL_ASSERT(piece.error().message.find("a.zip/") != std::string::npos);
        break;
      }
      given += std::ssize(*piece);
      crc = crc32_of(crc, *piece);
      TL_ASSERT(given <= member.bytes);
      if (!piece->empty()) continue;
      TL_ASSERT(given == member.bytes && crc == member.crc);
      break;
    }
  }
}

}  // namespace
}  // namespace tapeline::io

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tapeline::io::read_all({reinterpret_cast<const char*>(data), size});
  return 0;
}
