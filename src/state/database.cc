// The only file that includes SQLite.

#include "state/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "state/migrations.h"

namespace tapeline::state {
namespace {

// How long a statement waits for another process (a backup, a person's sqlite3).
constexpr int kBusyMilliseconds = 5000;

Error as_error(sqlite3* connection, int code) {
  const std::string why = connection ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return Error{ErrorCode::already_exists, why, ""};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error{ErrorCode::corrupt, why,
                   "Move state.sqlite and its -wal aside to start a new history; quotes and "
                   "the warehouse are not in it."};
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
      return Error{ErrorCode::invalid_argument, why, ""};
    default:
      return Error{ErrorCode::unavailable, why,
                   "Look at the disk's free space and the file's permissions."};
  }
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

void bind(sqlite3_stmt* statement, int place, const Cell& cell) {
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) {
    sqlite3_bind_int64(statement, place, *whole);
  } else if (const auto* real = std::get_if<double>(&cell)) {
    sqlite3_bind_double(statement, place, *real);
  } else if (const auto* text = std::get_if<std::string>(&cell)) {
    // SQLITE_STATIC: the cells outlive the statement's run.
    sqlite3_bind_text64(statement, place, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  } else {
    sqlite3_bind_null(statement, place);
  }
}

Cell column(sqlite3_stmt* statement, int place) {
  switch (sqlite3_column_type(statement, place)) {
    case SQLITE_NULL:
      return {};
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_column_int64(statement, place));
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, place);
    default: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, place));
      return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, place)));
    }
  }
}

}  // namespace

struct Connection::Handle {
  sqlite3* connection = nullptr;
  std::map<std::string, Prepared, std::less<>> statements;

  ~Handle() {
    statements.clear();
    sqlite3_close_v2(connection);
  }
};

Connection::Connection(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(const std::string& path) {
  auto handle = std::make_unique<Handle>();
  // FULLMUTEX is not asked for: Database hands a connection to one thread at a time.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle->connection, flags, nullptr);
  if (code != SQLITE_OK) return as_error(handle->connection, code);
  sqlite3_extended_result_codes(handle->connection, 1);
  sqlite3_busy_timeout(handle->connection, kBusyMilliseconds);
  return Connection(std::move(handle));
}

Result<std::vector<Row>> Connection::query(std::string_view sql, const std::vector<Cell>& cells) {
  sqlite3* const connection = handle_->connection;
  auto found = handle_->statements.find(sql);
  if (found == handle_->statements.end()) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) return as_error(connection, code);
    found = handle_->statements.emplace(std::string(sql), Prepared(made)).first;
  }
  sqlite3_stmt* const statement = found->second.get();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    bind(statement, static_cast<int>(i) + 1, cells[i]);
  }
  std::vector<Row> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    std::vector<Cell> row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(column(statement, i));
    rows.emplace_back(std::move(row));
  }
  if (code != SQLITE_DONE) {
    Error error = as_error(connection, code);  // before the reset, which may set another
    sqlite3_reset(statement);
    return error;
  }
  sqlite3_reset(statement);
  return rows;
}

Status Connection::run(std::string_view sql, const std::vector<Cell>& cells) {
  TRY(query(sql, cells));
  return Ok{};
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  const auto opened = [&](Sync sync) -> Result<Connection> {
    Connection connection = TRY(Connection::open(path));
    TRY_STATUS(connection.run("pragma journal_mode = wal"));
    // Each commit syncs the write-ahead log, or only a checkpoint does.
    TRY_STATUS(connection.run(sync == Sync::now ? "pragma synchronous = full"
                                                : "pragma synchronous = normal"));
    TRY_STATUS(connection.run("pragma foreign_keys = on"));
    return connection;
  };
  const std::string doing = fmt::format("opening '{}'", path);
  auto syncing_writer = opened(Sync::now);
  if (!syncing_writer) return std::move(syncing_writer).error().while_doing(doing);
  if (auto migrated = migrate(*syncing_writer); !migrated) {
    return std::move(migrated).error().while_doing(doing);
  }
  auto writer = opened(Sync::later);
  if (!writer) return std::move(writer).error().while_doing(doing);
  auto reader = opened(Sync::later);
  if (!reader) return std::move(reader).error().while_doing(doing);
  return std::unique_ptr<Database>(
      new Database(path, *std::move(syncing_writer), *std::move(writer), *std::move(reader)));
}

Status Database::copy_to(const std::string& path) {
  const auto copy = [&]() -> Status {
    Connection connection = TRY(Connection::open(path_));
    return connection.run("vacuum into ?", {path});
  };
  if (auto done = copy(); !done) {
    return std::move(done).error().while_doing(fmt::format("copying the state to '{}'", path));
  }
  return Ok{};
}

Status Database::shrink() {
  std::lock_guard lock(write_mutex_);
  TRY_STATUS(syncing_writer_.run("vacuum"));
  return syncing_writer_.run("pragma wal_checkpoint(truncate)");
}

std::int64_t Row::integer(std::size_t column) const {
  const auto* whole = std::get_if<std::int64_t>(&cells_[column]);
  return whole ? *whole : 0;
}

double Row::real(std::size_t column) const {
  const auto* real = std::get_if<double>(&cells_[column]);
  return real ? *real : static_cast<double>(integer(column));
}

std::string Row::text(std::size_t column) const {
  const auto* text = std::get_if<std::string>(&cells_[column]);
  return text ? *text : std::string();
}

}  // namespace tapeline::state
