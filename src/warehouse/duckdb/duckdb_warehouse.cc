#include "warehouse/duckdb/duckdb_warehouse.h"

#include <duckdb.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <list>

#include "base/guarded.h"
#include "base/wakeup.h"
#include "warehouse/duckdb/copy_out.h"
#include "warehouse/duckdb/cursor.h"
#include "warehouse/duckdb/migrations.h"
#include "warehouse/duckdb/query.h"
#include "warehouse/duckdb/sql_wall.h"

namespace tapeline::warehouse {
struct DuckDbWarehouse::State {
  State(const Clock& its_clock, Options its_options)
      : clock(its_clock), options(std::move(its_options)) {}
  ~State() {
    tasks.with([](auto& its) { its.reset(); });
    duckdb_close(&database);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Clock& clock;
  const Options options;
  duckdb_database database = nullptr;
  std::atomic<std::uint64_t> version{0};

  struct Statement {
    duckdb_connection connection;
    Duration began;
    std::optional<Duration> deadline;
    std::stop_token stop;
    bool splits;  // into tasks that more than one thread can do
    bool overdue = false;
  };
  Guarded<std::list<Statement>> running;

  /// What helpers do now: DuckDB's tasks, until they are told that it is over.
  struct Tasks {
    explicit Tasks(duckdb_database database) : state(duckdb_create_task_state(database)) {}
    ~Tasks() { duckdb_destroy_task_state(state); }
    Tasks(const Tasks&) = delete;
    Tasks& operator=(const Tasks&) = delete;
    void end() const { duckdb_finish_execution(state); }

    const duckdb_task_state state;
  };
  Guarded<std::shared_ptr<const Tasks>> tasks;  // while statements take long
  Wakeup tasks_changed;
  Duration help_until{0};  // `watch` only
};

namespace {

using State = DuckDbWarehouse::State;

constexpr auto kLong = std::chrono::milliseconds(100);  // a statement that is helped
constexpr auto kHelpGoesOn = std::chrono::seconds(1);   // after it, for those that follow

/// Says that a statement runs, and until when it may, for as long as it lives.
class Running {
 public:
  Running(State& state, duckdb_connection connection, const QueryLimits& limits = {},
          bool splits = true)
      : state_(state) {
    const Duration now = state.clock.uptime();
    std::optional<Duration> deadline;
    if (limits.time_max > Duration(0)) deadline = now + limits.time_max;
    state_.running.with([&](auto& all) {
      all.push_back({connection, now, deadline, limits.stop, splits});
      its_ = std::prev(all.end());
    });
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    state_.running.with([&](auto& all) { all.erase(its_); });
  }
  bool is_overdue() const {
    return state_.running.with([&](auto&) { return its_->overdue; });
  }

 private:
  State& state_;
  std::list<State::Statement>::iterator its_;
};

class DuckDbConnection final : public Connection {
 public:
  DuckDbConnection(std::shared_ptr<State> state, duckdb_connection raw)
      : state_(std::move(state)), raw_(raw) {}
  DuckDbConnection(const DuckDbConnection&) = delete;
  DuckDbConnection& operator=(const DuckDbConnection&) = delete;
  ~DuckDbConnection() override { duckdb_disconnect(&raw_); }

  Result<Rows> query(std::string_view sql, QueryLimits limits) override {
    Rows rows;
    const auto on_columns = [&](const std::vector<Column>& columns) { rows.columns = columns; };
    const auto on_row = [&](const std::vector<Value>& row) {
      rows.rows.push_back(row);
      return true;
    };
    rows.changed = TRY(run(sql, limits, on_columns, on_row));
    return rows;
  }

  Status stream(std::string_view sql, QueryLimits limits,
                const std::function<void(const std::vector<Column>&)>& on_columns,
                const std::function<bool(const std::vector<Value>&)>& on_row) override {
    TRY_STATUS(run(sql, limits, on_columns, on_row));
    return Ok{};
  }

  Status append(std::string_view schema, std::string_view table, const ColumnBatch& batch) override;

  void interrupt() override { duckdb_interrupt(raw_); }

  duckdb_connection raw() const { return raw_; }

  /// The statement's kind, if the text is exactly one statement.
  Result<duckdb_statement_type> kind_of_one(std::string_view sql) {
    Statements statements;
    const std::string text(sql);
    const idx_t count = duckdb_extract_statements(raw_, text.c_str(), statements.out());
    if (count == 0) {
      const char* why = duckdb_extract_statements_error(statements.get());
      return sql_error(why ? why : "there is no statement");
    }
    if (count != 1) return sql_error("exactly one statement is allowed");
    Prepared prepared;
    if (duckdb_prepare_extracted_statement(raw_, statements.get(), 0, prepared.out()) ==
        DuckDBError) {
      return sql_error(duckdb_prepare_error(prepared.get()));
    }
    return duckdb_prepared_statement_type(prepared.get());
  }

 private:
  using OnColumns = std::function<void(const std::vector<Column>&)>;
  using OnRow = std::function<bool(const std::vector<Value>&)>;

  /// Runs every statement; gives the last one's rows. Answers how many rows it changed.
  Result<std::int64_t> run(std::string_view sql, QueryLimits limits, const OnColumns& on_columns,
                           const OnRow& on_row);
  Result<std::int64_t> run_one(duckdb_prepared_statement prepared, bool give, QueryLimits limits,
                               const OnColumns& on_columns, const OnRow& on_row);

  /// Whether others may see a change once a statement is over: what is written in a transaction
  /// is seen at its end.
  bool takes_effect(duckdb_statement_type type, bool begins) const {
    if (type == DUCKDB_STATEMENT_TYPE_SELECT || begins) return false;
    return type == DUCKDB_STATEMENT_TYPE_TRANSACTION || !in_transaction_;
  }

  /// Counts what may have taken effect, once it is over and whatever came of it.
  class Written {
   public:
    explicit Written(State& state) : state_(state) {}
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;
    ~Written() { ++state_.version; }

   private:
    State& state_;
  };

  const std::shared_ptr<State> state_;
  duckdb_connection raw_;
  bool in_transaction_ = false;  // an explicit one; false, too, where that is not sure
};

/// Whether a transaction statement opens one.
bool is_begin(std::string_view sql) {
  sql.remove_prefix(std::min(sql.find_first_not_of(" \t\r\n"), sql.size()));
  constexpr std::string_view kBegin = "begin";
  return std::ranges::equal(sql.substr(0, kBegin.size()), kBegin,
                            [](char a, char b) { return (a | 0x20) == b; });
}

Result<std::int64_t> DuckDbConnection::run(std::string_view sql, QueryLimits limits,
                                           const OnColumns& on_columns, const OnRow& on_row) {
  Statements statements;
  const std::string text(sql);
  const idx_t count = duckdb_extract_statements(raw_, text.c_str(), statements.out());
  if (count == 0) {
    const char* why = duckdb_extract_statements_error(statements.get());
    if (why) return sql_error(why);
    return std::int64_t{0};  // nothing but blanks and comments
  }
  std::int64_t changed = 0;
  for (idx_t i = 0; i < count; ++i) {
    Prepared prepared;
    if (duckdb_prepare_extracted_statement(raw_, statements.get(), i, prepared.out()) ==
        DuckDBError) {
      return sql_error(duckdb_prepare_error(prepared.get()));
    }
    TRY_STATUS(check_parameters(prepared.get()));
    const bool last = i + 1 == count;
    const auto type = duckdb_prepared_statement_type(prepared.get());
    if (count == 1 && type == DUCKDB_STATEMENT_TYPE_SELECT) {
      const auto end = sql.find_last_not_of("; \t\r\n");
      const auto cast = with_casts(prepared.get(), sql.substr(0, end + 1));
      if (cast) return run(*cast, limits, on_columns, on_row);
    }
    const bool begins = count == 1 && type == DUCKDB_STATEMENT_TYPE_TRANSACTION && is_begin(sql);
    std::optional<Written> written;
    if (takes_effect(type, begins)) written.emplace(*state_);
    auto done = run_one(prepared.get(), last, limits, on_columns, on_row);
    if (!done || type == DUCKDB_STATEMENT_TYPE_TRANSACTION) in_transaction_ = done && begins;
    changed = TRY(std::move(done));
  }
  return changed;
}

Error stopped() { return Error{ErrorCode::cancelled, "the query was stopped", ""}; }

Error overdue(const QueryLimits& limits) {
  return Error{ErrorCode::timed_out,
               fmt::format("the query took longer than {}", format_duration(limits.time_max)),
               "Ask for less, or for fewer days."};
}

Result<std::int64_t> DuckDbConnection::run_one(duckdb_prepared_statement prepared, bool give,
                                               QueryLimits limits, const OnColumns& on_columns,
                                               const OnRow& on_row) {
  OwnedResult result;
  {
    // A commit writes on its own thread.
    const bool splits =
        duckdb_prepared_statement_type(prepared) != DUCKDB_STATEMENT_TYPE_TRANSACTION;
    const Running running(*state_, raw_, limits, splits);
    if (duckdb_execute_prepared(prepared, result.get()) == DuckDBError) {
      if (limits.stop.stop_requested()) return stopped();
      if (running.is_overdue()) return overdue(limits);
      return result_error(result.get());
    }
  }
  if (!give) return std::int64_t{0};
  if (duckdb_result_return_type(result.value()) != DUCKDB_RESULT_TYPE_QUERY_RESULT) {
    return static_cast<std::int64_t>(duckdb_rows_changed(result.get()));
  }
  on_columns(columns_of(result.get()));
  std::int64_t given = 0;
  std::vector<Value> row;
  for (;;) {
    const DataChunk chunk(duckdb_fetch_chunk(result.value()));
    if (!chunk.get()) break;
    const bool more = give_rows(chunk.get(), row, [&](const std::vector<Value>& values) {
      if (limits.rows_max >= 0 && given >= limits.rows_max) return false;
      ++given;
      return on_row(values);
    });
    if (limits.stop.stop_requested()) return stopped();
    if (!more) break;
  }
  return std::int64_t{0};
}

Error append_error(duckdb_appender appender) {
  const char* why = duckdb_appender_error(appender);
  return Error{ErrorCode::invalid_argument, why ? why : "the append failed without a reason", ""};
}

Status DuckDbConnection::append(std::string_view schema, std::string_view table,
                                const ColumnBatch& batch) {
  std::optional<Written> written;  // goes last: the appender may write as it is closed
  if (takes_effect(DUCKDB_STATEMENT_TYPE_INSERT, false)) written.emplace(*state_);
  Appender appender;
  // A temporary table lives in a catalog of its own.
  const bool temporary = schema == "temp";
  if (duckdb_appender_create_ext(raw_, temporary ? "temp" : nullptr,
                                 temporary ? "main" : std::string(schema).c_str(),
                                 std::string(table).c_str(), appender.out()) == DuckDBError) {
    return append_error(appender.get());
  }
  const idx_t columns = duckdb_appender_column_count(appender.get());
  if (columns != batch.columns.size()) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("table '{}.{}' has {} columns, the batch {}", schema, table, columns,
                             batch.columns.size()),
                 ""};
  }
  std::vector<LogicalType> types;
  std::vector<duckdb_logical_type> raw_types;
  for (idx_t i = 0; i < columns; ++i) {
    types.emplace_back(duckdb_appender_column_type(appender.get(), i));
    raw_types.push_back(types.back().get());
  }
  const DataChunk chunk(duckdb_create_data_chunk(raw_types.data(), columns));
  const std::size_t size_max = duckdb_vector_size();
  for (std::size_t first = 0; first < batch.rows; first += size_max) {
    const std::size_t count = std::min(size_max, batch.rows - first);
    duckdb_data_chunk_reset(chunk.get());
    for (idx_t i = 0; i < columns; ++i) {
      TRY_STATUS(fill_vector(duckdb_data_chunk_get_vector(chunk.get(), i), raw_types[i],
                             batch.columns[i], first, count));
    }
    duckdb_data_chunk_set_size(chunk.get(), count);
    // Each call is checked: after a failed one, closing the appender still answers success.
    if (duckdb_append_data_chunk(appender.get(), chunk.get()) == DuckDBError) {
      return append_error(appender.get());
    }
  }
  if (duckdb_appender_close(appender.get()) == DuckDBError) return append_error(appender.get());
  return Ok{};
}

Result<std::unique_ptr<DuckDbConnection>> make_connection(const std::shared_ptr<State>& state) {
  duckdb_connection raw = nullptr;
  if (duckdb_connect(state->database, &raw) == DuckDBError) {
    return Error{ErrorCode::unavailable, "the warehouse gave no connection", ""};
  }
  return std::make_unique<DuckDbConnection>(state, raw);
}

Status set_up(const std::shared_ptr<State>& state) {
  duckdb_connection raw = nullptr;
  if (duckdb_connect(state->database, &raw) == DuckDBError) {
    return Error{ErrorCode::unavailable, "the warehouse gave no connection", ""};
  }
  Status migrated = migrate(raw);
  duckdb_disconnect(&raw);
  TRY_STATUS(std::move(migrated));
  auto connection = TRY(make_connection(state));
  // The second wall: nothing outside the database can be read or written any more, and no
  // setting changed but the one that `drop_cache` needs. The time zone is set first, for a
  // lock_configuration holds that too.
  TRY_STATUS(connection->execute("set global timezone = 'UTC'"));
  TRY_STATUS(connection->execute("set allowed_configs = ['memory_limit']"));
  TRY_STATUS(connection->execute("set enable_external_access = false"));
  TRY_STATUS(connection->execute("set lock_configuration = true"));
  return Ok{};
}

/// A size as settings take it.
std::string bytes_text(std::int64_t bytes) { return fmt::format("{} bytes", bytes); }

Result<Catalog> user_catalog(Connection& connection) {
  Catalog catalog;
  const auto tables = TRY(connection.query(
      "select lower(schema_name || '.' || table_name) from duckdb_tables() where not internal "
      "union all "
      "select lower(schema_name || '.' || view_name) from duckdb_views() where not internal"));
  for (const auto& row : tables.rows) catalog.insert(std::get<std::string>(row.front()));
  return catalog;
}

}  // namespace

std::string duckdb_version() { return duckdb_library_version(); }

DuckDbWarehouse::DuckDbWarehouse(std::shared_ptr<State> state) : state_(std::move(state)) {}
DuckDbWarehouse::~DuckDbWarehouse() = default;

Result<std::unique_ptr<DuckDbWarehouse>> DuckDbWarehouse::open(const Clock& clock,
                                                               Options options) {
  auto state = std::make_shared<State>(clock, std::move(options));
  const Options& its = state->options;
  Config config;
  duckdb_create_config(config.out());
  const auto set = [&](const char* name, const std::string& value) {
    duckdb_set_config(config.get(), name, value.c_str());
  };
  set("threads", fmt::format("{}", its.threads));
  set("external_threads", fmt::format("{}", its.threads));  // it starts none: see `help`
  set("memory_limit", bytes_text(its.memory_bytes_max));
  set("checkpoint_threshold", bytes_text(its.wal_bytes_max));
  // Else pages that a query freed stay with the process until the next ones come.
  set("allocator_background_threads", "true");
  set("autoinstall_known_extensions", "false");
  set("autoload_known_extensions", "false");
  if (!its.file.empty()) set("temp_directory", its.file.string() + ".tmp");

  char* why = nullptr;
  const std::string path = its.file.empty() ? ":memory:" : its.file.string();
  if (duckdb_open_ext(path.c_str(), &state->database, config.get(), &why) == DuckDBError) {
    const std::string reason = why ? why : "no reason given";
    duckdb_free(why);
    const bool damaged = reason.find("not a valid DuckDB") != std::string::npos ||
                         reason.find("orrupt") != std::string::npos;
    return Error{damaged ? ErrorCode::corrupt : ErrorCode::unavailable,
                 fmt::format("the warehouse '{}' did not open: {}", path, reason),
                 damaged ? "Restore it from a backup, or move it away and load the topic again."
                         : "One process writes to it at a time; is another tapeline or a SQL "
                           "shell using it?"};
  }
  TRY_STATUS(set_up(state));
  return std::unique_ptr<DuckDbWarehouse>(new DuckDbWarehouse(std::move(state)));
}

Result<std::unique_ptr<Connection>> DuckDbWarehouse::connect() {
  return std::unique_ptr<Connection>(TRY(make_connection(state_)));
}

std::uint64_t DuckDbWarehouse::version() const { return state_->version; }

namespace {

/// Lets a user's statement through the wall; what may be run, in a transaction that has begun.
Result<std::string> begin_as_user(DuckDbConnection& connection, std::string_view sql) {
  // Unqualified names are found in every layer, marts first.
  TRY_STATUS(
      connection.execute("set search_path = 'marts_stocks,int_stocks,stg_stocks,raw_stocks'"));
  const UserSql user = TRY(split_explain(sql));
  const auto parsed = TRY(
      connection.query(fmt::format("select json_serialize_sql({})", sql_text(user.select)), {}));
  const auto parse = TRY(text::parse_json(std::get<std::string>(parsed.rows.at(0).at(0))));
  if (parse.bool_or("error", false)) {
    std::string why = parse.string_or("error_message", "");
    if (parse.string_or("error_type", "") == "not implemented") why = "this is no SELECT";
    return Error{ErrorCode::invalid_argument, std::move(why),
                 "User SQL is one SELECT, or EXPLAIN of one."};
  }
  const Catalog catalog = TRY(user_catalog(connection));
  TRY_STATUS(check_user_parse(parse, catalog));
  std::string judged = user.text();
  const auto kind = TRY(connection.kind_of_one(judged));
  if (kind != DUCKDB_STATEMENT_TYPE_SELECT && kind != DUCKDB_STATEMENT_TYPE_EXPLAIN) {
    return Error{ErrorCode::invalid_argument, "only SELECT and EXPLAIN are allowed", ""};
  }
  TRY_STATUS(connection.execute("begin transaction read only"));
  return judged;
}

}  // namespace

Status DuckDbWarehouse::query_as_user(
    std::string_view sql, QueryLimits limits,
    const std::function<void(const std::vector<Column>&)>& on_columns,
    const std::function<bool(const std::vector<Value>&)>& on_row) {
  const auto connection = TRY(make_connection(state_));  // closing it ends its transaction
  const std::string judged = TRY(begin_as_user(*connection, sql));
  const Running running(*state_, connection->raw(), limits);
  const auto ended = [&](Error error) {
    return limits.stop.stop_requested() ? stopped()
           : running.is_overdue()       ? overdue(limits)
                                        : std::move(error);
  };
  // Its rows are made as they are taken: DuckDB does not count a whole answer as its memory.
  StreamedQuery query;
  if (auto started = query.start_with_casts(connection->raw(), judged); !started) {
    return ended(std::move(started).error());
  }
  on_columns(query.columns());
  std::int64_t given = 0;
  std::vector<Value> row;
  for (bool more = true; more;) {
    const auto chunk = query.next();
    if (!chunk) return ended(chunk.error());
    if (!chunk->get()) break;
    more = give_rows(chunk->get(), row, [&](const std::vector<Value>& values) {
      if (limits.rows_max >= 0 && given >= limits.rows_max) return false;
      ++given;
      return on_row(values);
    });
    // An interrupt between two chunks may be forgotten.
    if (limits.stop.stop_requested()) return stopped();
    if (more && running.is_overdue()) return overdue(limits);
  }
  return Ok{};
}

Result<std::unique_ptr<Cursor>> DuckDbWarehouse::open_as_user(std::string_view sql,
                                                              std::stop_token stop) {
  struct Kept {
    std::unique_ptr<DuckDbConnection> connection;  // closing it ends its transaction
    Running running;
  };
  auto connection = TRY(make_connection(state_));
  const std::string judged = TRY(begin_as_user(*connection, sql));
  const duckdb_connection raw = connection->raw();
  auto kept = std::shared_ptr<void>(new Kept{std::move(connection), {*state_, raw}});
  return open_cursor(raw, judged, std::move(kept), std::move(stop));
}

void DuckDbWarehouse::watch() {
  const Duration now = state_->clock.uptime();
  bool takes_long = false;
  state_->running.with([&](auto& all) {
    for (State::Statement& statement : all) {
      takes_long = takes_long || (statement.splits && now - statement.began >= kLong);
      // Again and again: DuckDB forgets an interrupt that comes before it has begun.
      statement.overdue = statement.deadline && now >= *statement.deadline;
      if (!statement.overdue && !statement.stop.stop_requested()) continue;
      duckdb_interrupt(statement.connection);
    }
  });
  if (takes_long) state_->help_until = now + kHelpGoesOn;
  const bool wanted = now < state_->help_until;
  const bool changed = state_->tasks.with([&](auto& tasks) {
    if (wanted == (tasks != nullptr)) return false;
    if (tasks) tasks->end();
    tasks = wanted ? std::make_shared<const State::Tasks>(state_->database) : nullptr;
    return true;
  });
  if (changed) state_->tasks_changed.notify();
}

void DuckDbWarehouse::help(std::stop_token stop) {
  const std::shared_ptr<State> state = state_;
  while (!stop.stop_requested()) {
    const auto seen = state->tasks_changed.count();
    if (const auto tasks = state->tasks.copy()) {
      const std::stop_callback at_stop(stop, [&] { tasks->end(); });
      duckdb_execute_tasks_state(tasks->state);
    }
    state->tasks_changed.wait(seen, std::chrono::hours(1), stop);
  }
}

int DuckDbWarehouse::helpers() const { return state_->options.threads - 1; }

Status DuckDbWarehouse::checkpoint(std::int64_t wal_bytes_min) {
  if (wal_bytes() < wal_bytes_min) return Ok{};
  auto connection = TRY(make_connection(state_));
  return connection->execute("checkpoint");
}

bool DuckDbWarehouse::is_lost() {
  const auto connection = make_connection(state_);
  const Status answered = connection ? (*connection)->execute("select 1") : Status(Ok{});
  return !answered && answered.error().message.find("has been invalidated") != std::string::npos;
}

Status DuckDbWarehouse::drop_cache(std::int64_t bytes_max) {
  const auto connection = TRY(connect());
  const auto held =
      TRY(connection->query("select sum(memory_usage_bytes), sum(memory_usage_bytes) filter (tag = "
                            "'BASE_TABLE') from duckdb_memory()"));
  const std::int64_t all = to_integer(held.rows.at(0).at(0));
  const std::int64_t over = to_integer(held.rows.at(0).at(1)) - bytes_max;
  if (over <= 0) return Ok{};
  const auto limit = [&](std::int64_t bytes) {
    return connection->execute(fmt::format("set memory_limit = '{}'", bytes_text(bytes)));
  };
  // Blocks are dropped where the limit comes down to less than is held; a query may hold those
  // just now, and the limit stays where it was.
  (void)limit(all - over);
  return limit(state_->options.memory_bytes_max);
}

Status DuckDbWarehouse::copy_to(const std::filesystem::path& file,
                                const std::function<Status(Connection&)>& look,
                                const OnCopied& on_copied) {
  auto connection = TRY(make_connection(state_));
  TRY_STATUS(connection->execute("begin transaction read only"));
  Status copied = look(*connection);
  if (copied) copied = copy_tables(connection->raw(), file, on_copied);
  const Status ended = connection->execute("rollback");
  if (!copied) {
    return std::move(copied).error().while_doing(
        fmt::format("copying the warehouse to '{}'", file.string()));
  }
  return ended;
}

Status DuckDbWarehouse::take_from(const std::filesystem::path& file, std::string_view kept,
                                  const OnCopied& on_copied) {
  auto connection = TRY(make_connection(state_));
  TRY_STATUS(connection->execute("begin transaction"));
  Status taken = copy_back(file, connection->raw(), kept, on_copied);
  if (taken) taken = connection->execute("commit");
  if (taken) return Ok{};
  (void)connection->execute("rollback");
  return std::move(taken).error().while_doing(
      fmt::format("taking tables from '{}'", file.string()));
}

Status DuckDbWarehouse::write_parquet(const std::vector<ParquetFile>& files) {
  const auto connection = TRY(make_connection(state_));
  return copy_parquet(connection->raw(), files);
}

namespace {

std::int64_t size_of(const std::filesystem::path& file) {
  std::error_code none;
  const auto size = std::filesystem::file_size(file, none);
  return none ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

std::int64_t DuckDbWarehouse::file_bytes() const { return size_of(state_->options.file); }

std::int64_t DuckDbWarehouse::wal_bytes() const {
  return state_->options.file.empty() ? 0 : size_of(state_->options.file.string() + ".wal");
}

}  // namespace tapeline::warehouse
