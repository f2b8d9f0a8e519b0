#include "io/atomic_file.h"

#include <fmt/format.h>

#include <utility>

namespace tapeline::io {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

std::string temporary_of(const std::string& path) { return path + ".part"; }

}  // namespace

AtomicFile::AtomicFile(FileSystem& files, std::string path, std::unique_ptr<FileLock> lock,
                       std::unique_ptr<File> file)
    : files_(&files),
      path_(std::move(path)),
      temporary_(temporary_of(path_)),
      lock_(std::move(lock)),
      file_(std::move(file)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : files_(std::exchange(other.files_, nullptr)),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      lock_(std::move(other.lock_)),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)),
      flushed_(other.flushed_),
      size_bytes_(other.size_bytes_) {}

AtomicFile::~AtomicFile() {
  if (files_) (void)files_->remove(temporary_);
}

Result<AtomicFile> AtomicFile::create(FileSystem& files, const std::string& path) {
  auto lock = files.lock(temporary_of(path));
  if (!lock && lock.error().code == ErrorCode::already_exists) {
    return Error{ErrorCode::already_exists, fmt::format("'{}' is being written already", path),
                 "Wait until that is done, or name another file."};
  }
  if (!lock) return lock.error();
  auto file = TRY(files.open(temporary_of(path), OpenMode::write));
  TRY_STATUS(file->truncate(0));  // what a crash left
  return AtomicFile(files, path, std::move(*lock), std::move(file));
}

Status AtomicFile::write(std::string_view bytes) {
  buffer_ += bytes;
  size_bytes_ += std::ssize(bytes);
  return buffer_.size() < kBufferBytes ? Status(Ok{}) : flush();
}

Status AtomicFile::flush() {
  TRY_STATUS(file_->write_at(flushed_, buffer_));
  flushed_ += std::ssize(buffer_);
  buffer_.clear();
  return Ok{};
}

Status AtomicFile::commit() {
  if (!buffer_.empty()) TRY_STATUS(flush());
  TRY_STATUS(file_->sync_data());
  size_bytes_ = TRY(file_->size_bytes());
  TRY_STATUS(files_->rename(temporary_, path_));
  FileSystem& files = *std::exchange(files_, nullptr);
  return files.sync_directory(parent_of(path_));
}

}  // namespace tapeline::io
