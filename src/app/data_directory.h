// The data directory: everything that a pipeline keeps, and who owns it just now.
//
//   tapeline.json      layout version, kind (market or simulated), calendar, created
//   log/               the topics
//   stocks_fin.duckdb  the warehouse
//   state.sqlite       runs, tasks, task logs
//   token              what a local program sends to write over TCP; mode 0600
//   dbt/target/        what dbt writes of its runs
//   lock               pid and addresses of the process that owns it
//   tapeline.sock      the HTTP API for the command line; mode 0600
//
// Simulated and market data never share a directory.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/config.h"
#include "base/clock.h"
#include "base/result.h"
#include "io/file_system.h"
#include "wire/message.h"

namespace tapeline::app {

using wire::DirectoryKind;

constexpr std::string_view to_string(DirectoryKind kind) {
  return kind == DirectoryKind::market ? "market" : "simulated";
}

/// The version of the layout above.
inline constexpr std::int64_t kDataLayout = 1;

/// Where the default directory of a kind is.
std::string default_directory(const Environment& environment, DirectoryKind kind);

/// What the lock says of the process that holds it.
struct Owner {
  std::int64_t pid = 0;
  std::string address;  // "http://127.0.0.1:8787"; empty without TCP
  std::string socket;   // path; empty where it does not listen (an import, say)

  friend bool operator==(const Owner&, const Owner&) = default;
};

class DataDirectory {
 public:
  /// Opens a directory and takes its lock, making it, with `kind`, where there is none.
  /// errors: already_exists (another process owns it), invalid_argument (it is of another
  ///         kind, or something else lies there), unsupported (a newer layout), unavailable
  static Result<DataDirectory> open(io::FileSystem& files, const Clock& clock,
                                    const std::string& path, std::optional<DirectoryKind> kind);

  /// The process that owns `path` now; none where nobody does.
  static Result<std::optional<Owner>> owner(io::FileSystem& files, const std::string& path);

  /// Whether there is a data directory at `path`.
  static Result<bool> exists(io::FileSystem& files, const std::string& path);

  /// Whether something is there that is none: nothing of ours is put beside it.
  static Result<bool> is_foreign(io::FileSystem& files, const std::string& path);

  /// Which data one holds.
  /// errors: unsupported (a newer layout), corrupt (tapeline.json says nothing of the kind)
  static Result<DirectoryKind> kind_of(io::FileSystem& files, const std::string& path);

  /// errors: those of kind_of; invalid_argument where it holds other data
  static Status check_kind(io::FileSystem& files, const std::string& path, DirectoryKind wanted);

  const std::string& path() const { return path_; }
  DirectoryKind kind() const { return kind_; }
  std::string calendar() const { return kind_ == DirectoryKind::market ? "XNYS" : "SIM"; }

  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

  /// Refuses a file of the directory itself, under whatever name. A user's file may not be one:
  /// any close of the warehouse's file drops its lock.
  /// errors: invalid_argument
  Status check_outside(const std::string& file) const;

  /// Where the socket is: in the directory, or, where that path is longer than a socket's may
  /// be, in the folder for temporary files.
  std::string socket_path() const;

  /// Tells readers of the lock where this process listens.
  Status announce(const std::string& address);

  /// What a local program sends to write over TCP. Made once.
  Result<std::string> token();

 private:
  DataDirectory(io::FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}

  io::FileSystem* files_;
  std::string path_;
  DirectoryKind kind_ = DirectoryKind::market;
  std::unique_ptr<io::FileLock> lock_;
};

/// The directory that a command works on: the one that is `named`, else the one that a running
/// tapeline owns, else market's, else, for who only reads, simulated's.
Result<std::string> choose_directory(io::FileSystem& files, const Environment& environment,
                                     const std::string& named, bool writes);

/// Forty-eight hexadecimal digits that nobody can guess.
Result<std::string> random_token();

/// Replaces a file that only its owner may read.
Status write_private_file(io::FileSystem& files, const std::string& path, std::string_view bytes);

}  // namespace tapeline::app
