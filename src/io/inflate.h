// Inflate: deflated bytes to plain ones, a piece at a time. The unpacking end of gzip and zip.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tapeline::io {

/// threads: one at a time
class Inflate {
 public:
  enum class Wrapping : std::uint8_t {
    gzip,  // members with head and checksum, back to back; zeros may follow each
    none,  // one deflated stream, as in a zip archive
  };

  explicit Inflate(Wrapping wrapping);
  Inflate(Inflate&&) noexcept;
  ~Inflate();

  /// Takes the next packed bytes, which must stay where they are until they are used up.
  void give(std::string_view packed);
  bool wants_more() const;

  /// A stream, or a member of gzip's, has ended where the bytes given so far end.
  bool at_end() const;

  /// Appends at most one block to `out`; false where the bytes are not what they should be.
  bool unpack(std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// zlib's CRC-32 of `bytes` behind those that made `before`; the first time 0.
std::uint32_t crc32_of(std::uint32_t before, std::string_view bytes);

}  // namespace tapeline::io
