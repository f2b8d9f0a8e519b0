// KeyLock: one connection per key, over all tapeline processes of a user and across restarts.
//
// The vendor drops both connections where a key opens a second one. So who uses a key holds a lock
// on a file that is named after the key's digest. Whoever ends in good order says so in the file;
// where the last holder did not, its connection may still stand at the vendor's, and the next one
// waits a little before it opens its own.

#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"

namespace tapeline::feeds::finnhub {

/// What names a key without saying it.
std::string key_id(const std::string& key);

/// threads: one at a time
class KeyLock {
 public:
  /// Takes the lock of `key` in `folder`, which is made where needed.
  /// errors: already_exists (another process holds it), those of the file system
  static Result<std::unique_ptr<KeyLock>> take(io::FileSystem& files, const std::string& folder,
                                               const std::string& key);

  /// Says that the connection is closed, and gives the lock up.
  ~KeyLock();

  /// The last holder did not say that its connection was closed.
  bool was_left_open() const { return was_left_open_; }

 private:
  KeyLock(std::unique_ptr<io::File> file, std::unique_ptr<io::FileLock> lock)
      : file_(std::move(file)), lock_(std::move(lock)) {}

  std::unique_ptr<io::File> file_;
  std::unique_ptr<io::FileLock> lock_;
  bool was_left_open_ = false;
};

/// `text` with every form of `key` in it as ***. All that a server, curl or TLS says goes through
/// this before it becomes an error, a state or a line.
std::string redacted(std::string text, const std::string& key);

}  // namespace tapeline::feeds::finnhub
