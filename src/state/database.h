// Database: the program's own small tables, in one SQLite file.
//
// Writes go one at a time; reads have a connection of their own and never wait for a disk. A
// transaction is there for everyone when it returns, whatever becomes of the process. It is on
// the disk then with Sync::now; with Sync::later only when a later one of Sync::now returns, so
// that a power cut may undo it, with all that followed it (docs/decisions/0012).
// Callers see text, numbers and rows; SQLite itself stays in database.cc.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tapeline::state {

/// What a column holds or a parameter binds: null, a number or text.
using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;

/// One row, its columns in the order of the query. A null reads as 0 or as empty text.
class Row {
 public:
  explicit Row(std::vector<Cell> cells) : cells_(std::move(cells)) {}
  bool is_null(std::size_t column) const { return cells_[column].index() == 0; }
  std::int64_t integer(std::size_t column) const;
  double real(std::size_t column) const;
  std::string text(std::size_t column) const;

 private:
  std::vector<Cell> cells_;
};

/// One connection. Statements are prepared once and kept by their text.
///
/// threads: one at a time; Database sees to it
class Connection {
 public:
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// Runs one statement with `cells` for its `?`s.
  /// errors: already_exists (a key stands there already), unavailable (disk, lock), corrupt,
  ///         invalid_argument (the SQL itself)
  Result<std::vector<Row>> query(std::string_view sql, const std::vector<Cell>& cells = {});

  /// As query, for a statement that has no rows.
  Status run(std::string_view sql, const std::vector<Cell>& cells = {});

 private:
  friend class Database;
  struct Handle;
  explicit Connection(std::unique_ptr<Handle> handle);
  static Result<Connection> open(const std::string& path);
  std::unique_ptr<Handle> handle_;
};

enum class Sync : std::uint8_t { now, later };

/// The file `state.sqlite`.
///
/// threads: any
class Database {
 public:
  /// Opens the file, making it and bringing its tables up to the newest version.
  /// errors: unsupported (a newer tapeline wrote it), corrupt, unavailable
  static Result<std::unique_ptr<Database>> open(const std::string& path);

  /// Runs `use` as one transaction: what it wrote stays when this returns a value, and nothing
  /// of it is there when this returns an error.
  /// shape:  `use` takes a Connection& and returns some Result
  /// blocks: until other writers are done
  template <typename Use>
  auto write(Sync sync, Use&& use) -> decltype(use(std::declval<Connection&>())) {
    std::lock_guard lock(write_mutex_);
    Connection& writer = sync == Sync::now ? syncing_writer_ : writer_;
    TRY_STATUS(writer.run("begin immediate"));
    auto result = std::forward<Use>(use)(writer);
    if (result) {
      if (auto done = writer.run("commit"); !done) result = std::move(done).error();
    }
    if (!result) (void)writer.run("rollback");
    return result;
  }

  /// Writes what is committed to a new file, without the room that deleted rows left. It is not
  /// synced. Nobody waits for it.
  /// errors: already_exists (there is such a file), unavailable (disk)
  Status copy_to(const std::string& path);

  /// Gives the room that deleted rows left back to the disk.
  Status shrink();

  /// Runs `use` on the connection for reading: it sees what is committed.
  template <typename Use>
  auto read(Use&& use) -> decltype(use(std::declval<Connection&>())) {
    std::lock_guard lock(read_mutex_);
    return std::forward<Use>(use)(reader_);
  }

 private:
  Database(std::string path, Connection syncing_writer, Connection writer, Connection reader)
      : path_(std::move(path)),
        syncing_writer_(std::move(syncing_writer)),
        writer_(std::move(writer)),
        reader_(std::move(reader)) {}

  const std::string path_;
  std::mutex write_mutex_;
  Connection syncing_writer_;
  Connection writer_;
  std::mutex read_mutex_;
  Connection reader_;
};

}  // namespace tapeline::state
