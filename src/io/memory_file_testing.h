// A file of bytes in memory, for tests and fuzzers of what reads files.

#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "io/file_system.h"

namespace tapeline::io {

class MemoryFile final : public File {
 public:
  explicit MemoryFile(std::string bytes) : bytes_(std::move(bytes)) {}

  Result<std::int64_t> read_at(std::int64_t position, std::span<char> into) const override {
    const auto at = std::min(static_cast<std::size_t>(position), bytes_.size());
    return static_cast<std::int64_t>(bytes_.copy(into.data(), into.size(), at));
  }
  Status write_at(std::int64_t, std::string_view) override { return read_only(); }
  Status sync_data() override { return read_only(); }
  Status truncate(std::int64_t) override { return read_only(); }
  Status preallocate(std::int64_t) override { return read_only(); }
  Result<std::int64_t> size_bytes() const override { return std::ssize(bytes_); }

 private:
  static Status read_only() { return Error{ErrorCode::unsupported, "read-only", ""}; }
  const std::string bytes_;
};

}  // namespace tapeline::io
