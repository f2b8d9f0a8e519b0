#include "io/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tapeline::io {
namespace {

/// What the kernel said, in our words.
Error from_errno(int number, std::string_view doing, const std::string& path) {
  const std::string message = fmt::format("{} '{}': {}", doing, path, std::strerror(number));
  switch (number) {
    case ENOENT:
      return Error{ErrorCode::not_found, message, ""};
    case EEXIST:
      return Error{ErrorCode::already_exists, message, ""};
    case ENOSPC:
    case EDQUOT:
      return Error{ErrorCode::unavailable, message,
                   "Free some space on this disk; tapeline goes on by itself."};
    case EACCES:
    case EPERM:
    case EROFS:
      return Error{ErrorCode::unavailable, message,
                   "Check who owns the directory and whether the disk is mounted read-only."};
    case EMFILE:
    case ENFILE:
      return Error{ErrorCode::unavailable, message, "Raise the limit on open files (ulimit -n)."};
    case EIO:
      return Error{ErrorCode::unavailable, message, "Look for disk errors in the kernel's log."};
    default:
      return Error{ErrorCode::unavailable, message, ""};
  }
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags) {
  int number = -1;
  do {
    number = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (number < 0 && errno == EINTR);
  if (number < 0) return from_errno(errno, "opening", path);
  return Descriptor(number);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::int64_t> read_at(std::int64_t position, std::span<char> into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto got = ::pread(descriptor_.get(), into.data() + done, into.size() - done,
                               position + static_cast<std::int64_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return from_errno(errno, "reading", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return static_cast<std::int64_t>(done);
  }

  Status write_at(std::int64_t position, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), position);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return from_errno(errno, "writing", path_);
      position += put;
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return Ok{};
  }

  Status sync_data() override {
    if (::fdatasync(descriptor_.get()) != 0) return from_errno(errno, "syncing", path_);
    return Ok{};
  }

  Status truncate(std::int64_t size_bytes) override {
    int failed = 0;
    do {
      failed = ::ftruncate(descriptor_.get(), size_bytes);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) return from_errno(errno, "truncating", path_);
    return Ok{};
  }

  Status preallocate(std::int64_t size_bytes) override {
    int failed = 0;
    do {
      failed = ::posix_fallocate(descriptor_.get(), 0, size_bytes);
    } while (failed == EINTR);
    if (failed != 0) return from_errno(failed, "reserving room for", path_);
    return Ok{};
  }

  Result<std::int64_t> size_bytes() const override {
    struct stat found {};
    if (::fstat(descriptor_.get(), &found) != 0) return from_errno(errno, "looking at", path_);
    return static_cast<std::int64_t>(found.st_size);
  }

 private:
  const Descriptor descriptor_;
  const std::string path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // closing it gives the lock back
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    auto descriptor =
        TRY(open_descriptor(path, mode == OpenMode::read ? O_RDONLY : O_RDWR | O_CREAT));
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(descriptor), path));
  }

  Status sync_directory(const std::string& path) override {
    const auto descriptor = TRY(open_descriptor(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(descriptor.get()) != 0) return from_errno(errno, "syncing", path);
    return Ok{};
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return from_errno(errno, "renaming", from);
    return Ok{};
  }

  Status remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return from_errno(errno, "removing", path);
    return Ok{};
  }

  Result<std::vector<FileInfo>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) return from_errno(errno, "listing", path);
    std::vector<FileInfo> found;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (!entry && errno != 0) return from_errno(errno, "listing", path);
      if (!entry) break;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      auto file = TRY(info(path + "/" + name));
      if (file) found.push_back(*std::move(file));
    }
    std::ranges::sort(found, {}, &FileInfo::name);
    return found;
  }

  Result<std::optional<FileInfo>> info(const std::string& path) override {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
      const bool leads_nowhere = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
      if (leads_nowhere) return std::optional<FileInfo>();
      return from_errno(errno, "looking at", path);
    }
    return std::optional<FileInfo>(FileInfo{
        path.substr(path.rfind('/') + 1), S_ISDIR(found.st_mode),
        static_cast<std::int64_t>(found.st_size), (found.st_mode & (S_IRWXG | S_IRWXO)) == 0,
        Timestamp(std::chrono::microseconds(std::int64_t{found.st_mtim.tv_sec} * 1'000'000 +
                                            found.st_mtim.tv_nsec / 1000)),
        !S_ISDIR(found.st_mode) && !S_ISREG(found.st_mode)});
  }

  Status make_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0755) == 0) return Ok{};
    const int failed = errno;
    const auto there = TRY(info(path));
    if (failed == EEXIST && there && there->is_directory) return Ok{};
    if (failed == EEXIST) {
      return Error{ErrorCode::already_exists,
                   fmt::format("'{}' is a file, where a directory should be", path),
                   "Move it away, or name another directory."};
    }
    return from_errno(failed, "making directory", path);
  }

  Status make_private(const std::string& path) override {
    const auto there = TRY(info(path));
    const mode_t mode = there && there->is_directory ? S_IRWXU : S_IRUSR | S_IWUSR;
    if (::chmod(path.c_str(), mode) != 0) return from_errno(errno, "making private", path);
    return Ok{};
  }

  Result<std::int64_t> free_bytes(const std::string& path) override {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) != 0) return from_errno(errno, "looking at", path);
    return static_cast<std::int64_t>(found.f_bavail) * static_cast<std::int64_t>(found.f_frsize);
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    auto descriptor = TRY(open_descriptor(path, O_RDWR | O_CREAT));
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return Error{ErrorCode::already_exists,
                     fmt::format("'{}' is locked by another process", path), ""};
      return from_errno(errno, "locking", path);
    }
    return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(descriptor)));
  }
};

}  // namespace

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::unique_ptr<FileSystem> make_file_system() { return std::make_unique<PosixFileSystem>(); }

Result<std::string> read_file(FileSystem& files, const std::string& path) {
  const auto file = TRY(files.open(path, OpenMode::read));
  std::string bytes(static_cast<std::size_t>(TRY(file->size_bytes())), '\0');
  const auto got = TRY(file->read_at(0, bytes));
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

Status write_file_atomically(FileSystem& files, const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    const auto file = TRY(files.open(temporary, OpenMode::write));
    TRY_STATUS(file->truncate(0));
    TRY_STATUS(file->write_at(0, bytes));
    TRY_STATUS(file->sync_data());
  }
  TRY_STATUS(files.rename(temporary, path));
  return files.sync_directory(parent_of(path));
}

Status make_directories(FileSystem& files, const std::string& path) {
  const auto there = TRY(files.info(path));
  if (there && there->is_directory) return Ok{};
  const std::string parent = parent_of(path);
  if (parent != path && parent != ".") TRY_STATUS(make_directories(files, parent));
  TRY_STATUS(files.make_directory(path));
  return files.sync_directory(parent);
}

Status remove_all(FileSystem& files, const std::string& path) {
  const auto there = TRY(files.info(path));
  if (!there) return Ok{};
  if (there->is_directory) {
    const auto entries = TRY(files.list(path));
    for (const auto& entry : entries) TRY_STATUS(remove_all(files, path + "/" + entry.name));
  }
  return files.remove(path);
}

}  // namespace tapeline::io
