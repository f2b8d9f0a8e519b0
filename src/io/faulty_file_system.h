// FaultyFileSystem: files in memory that keep what was promised and nothing more.
//
// A file has the bytes that readers see and the bytes that are on its disk; sync_data() copies
// what was written since. A directory's names are the same, through sync_directory(). A crash
// goes back to the disk, plus whatever part of the rest the seed picks: lost, kept, torn,
// zeroed, flipped. For tests; any thread.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/rng.h"
#include "io/file_system.h"

namespace tapeline::io {

class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(std::uint64_t seed) : state_(std::make_shared<State>(seed)) {}

  /// The program is killed: everything answers unavailable until the next start.
  void kill();

  /// The program starts again after kill(); files that it had open stay gone. Where the machine
  /// went down too, the seed decides what is left of what was not synced.
  void start_again(bool machine_went_down);

  /// From now on all files together may hold so many bytes.
  void set_space_bytes(std::int64_t bytes);

  /// The next `count` syncs of files fail, and what they should have synced is lost in a crash.
  void fail_syncs(int count);

  /// Flips bits of what is on the disk already, as a bad disk does.
  void damage(const std::string& path, std::int64_t position, char flipped_bits);

  /// How many times sync_data() has worked.
  std::int64_t syncs() const;

  /// What all files together hold now.
  /// units: bytes
  std::int64_t used_bytes() const;

  /// Called before each write, sync, resize and change of a name: wherever a crash would leave
  /// something else behind. It may kill().
  void before_change(std::function<void()> hook);

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status sync_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<FileInfo>> list(const std::string& path) override;
  Result<std::optional<FileInfo>> info(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status make_private(const std::string& path) override;
  Result<std::int64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  friend class FaultyFile;
  friend class FaultyLock;

  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  /// What a name stands for: a directory, or a file with its two contents.
  struct Node {
    bool is_directory = false;
    std::string seen;
    std::string durable;
    std::vector<Range> dirty;  // of `seen`, where `durable` may differ
    bool locked = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;  // by whole path

  /// A change of names, all of it or none; an empty node takes the name away.
  struct Change {
    std::string directory;
    Names names;
  };

  struct State {
    explicit State(std::uint64_t seed) : rng(seed) {}
    mutable std::mutex mutex;
    Rng rng;
    Names names;
    Names durable_names;
    std::vector<Change> unsynced;
    std::int64_t space_bytes = std::int64_t{1} << 40;
    int syncs_to_fail = 0;
    std::int64_t syncs = 0;
    std::uint64_t starts = 1;
    bool is_down = false;
    std::function<void()> before_change;

    Status check_up() const;
    void tell() const {
      if (before_change) before_change();
    }
    std::int64_t used_bytes() const;
    void change(const std::string& path, Names names);
    void move_what_is_below(const std::string& from, const std::string& to, Names& change);
    void crash();
    void crash_node(Node& node);
  };

  std::shared_ptr<State> state_;
};

}  // namespace tapeline::io
