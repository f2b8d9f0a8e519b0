#include "warehouse/duckdb/duckdb_columnar.h"

#include <fmt/format.h>

#include "warehouse/duckdb/query.h"
#include "warehouse/warehouse.h"

namespace tapeline::warehouse {
namespace {

using TableFunction = Owned<duckdb_table_function, duckdb_destroy_table_function>;

/// A path as DuckDB's functions take it: one file, whatever characters its name has.
std::string sql_path(const std::string& file) {
  std::string escaped;
  for (const char c : file) {
    const bool special = c == '*' || c == '?' || c == '[';
    escaped += special ? std::string{'[', c, ']'} : std::string(1, c);
  }
  return sql_text(escaped);
}

std::string scan_of(const std::string& file) {
  return fmt::format("read_parquet({}, hive_partitioning = false)", sql_path(file));
}

/// DuckDB's word about a file, with the file's name before it.
Error file_error(const std::string& file, std::string_view doing, std::string why) {
  const bool missing = why.find("No files found") != std::string::npos;
  const bool full = why.find("No space left") != std::string::npos;
  why = why.substr(0, why.find("\n\nLINE"));
  if (full) {
    return Error{ErrorCode::unavailable, fmt::format("{} '{}': {}", doing, file, why),
                 "The disk is full: make room, or name a file on another disk."};
  }
  if (missing) {
    return Error{ErrorCode::not_found, fmt::format("{} '{}': there is no such file", doing, file),
                 ""};
  }
  return Error{ErrorCode::corrupt, fmt::format("{} '{}': {}", doing, file, why),
               "Is the Parquet file whole? Write or download it again."};
}

std::string_view text_at(duckdb_vector vector, idx_t row) {
  auto* texts = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
  const std::uint64_t* valid = duckdb_vector_get_validity(vector);
  if (valid && !duckdb_validity_row_is_valid(const_cast<std::uint64_t*>(valid), row)) return {};
  return {duckdb_string_t_data(&texts[row]), duckdb_string_t_length(texts[row])};
}

class DuckDbColumnarReader final : public text::ColumnarReader {
 public:
  DuckDbColumnarReader(Session connection, std::string file)
      : connection_(std::move(connection)), file_(std::move(file)) {}

  Status start(const std::string& sql, std::int64_t rows) {
    rows_ = rows;
    if (auto done = streamed_.start(connection_.get(), sql); !done) return failed(done.error());
    return Ok{};
  }

  std::int64_t rows() const override { return rows_; }

  Result<bool> next(std::vector<std::string_view>& cells) override {
    while (at_ == size_) {
      auto chunk = streamed_.next();
      if (!chunk) return failed(chunk.error());
      chunk_.emplace(*std::move(chunk));
      if (!chunk_->get()) return false;
      size_ = duckdb_data_chunk_get_size(chunk_->get());
      at_ = 0;
      vectors_.resize(duckdb_data_chunk_get_column_count(chunk_->get()));
      for (idx_t i = 0; i < vectors_.size(); ++i) {
        vectors_[i] = duckdb_data_chunk_get_vector(chunk_->get(), i);
      }
    }
    cells.resize(vectors_.size());
    for (std::size_t i = 0; i < vectors_.size(); ++i) cells[i] = text_at(vectors_[i], at_);
    ++at_;
    return true;
  }

 private:
  Error failed(const Error& error) const { return file_error(file_, "reading", error.message); }

  const Session connection_;
  const std::string file_;
  std::int64_t rows_ = 0;
  StreamedQuery streamed_;
  std::optional<DataChunk> chunk_;
  std::vector<duckdb_vector> vectors_;  // of the chunk
  idx_t size_ = 0;
  idx_t at_ = 0;
};

/// How a column is read as text: see text/columnar.h.
std::string as_text(const std::string& name, duckdb_logical_type type) {
  const std::string quoted = sql_name(name);
  switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
      return fmt::format("case when not isnan({0}) then {0}::varchar end", quoted);
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return fmt::format("{}::timestamp::varchar || 'Z'", quoted);
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return fmt::format("{}::timestamp::varchar", quoted);
    case DUCKDB_TYPE_BLOB:  // text that the writer did not mark as such
      return fmt::format("decode({})", quoted);
    default:
      return fmt::format("{}::varchar", quoted);
  }
}

/// What a table function needs while COPY runs it.
struct GivenRows {
  std::size_t columns;
  const text::Columnar::NextRow& next;
  std::vector<std::optional<std::string>> cells;
  std::optional<Error> error;
};

void bind_rows(duckdb_bind_info info) {
  const auto* rows = static_cast<GivenRows*>(duckdb_bind_get_extra_info(info));
  const LogicalType text(duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR));
  for (std::size_t i = 0; i < rows->columns; ++i) {
    duckdb_bind_add_result_column(info, fmt::format("c{}", i).c_str(), text.get());
  }
}

void init_rows(duckdb_init_info info) { duckdb_init_set_max_threads(info, 1); }

void give_rows_to_copy(duckdb_function_info info, duckdb_data_chunk chunk) {
  auto* rows = static_cast<GivenRows*>(duckdb_function_get_extra_info(info));
  const idx_t size_max = duckdb_vector_size();
  idx_t size = 0;
  for (; size < size_max; ++size) {
    auto more = rows->next(rows->cells);
    if (!more) {
      rows->error = std::move(more).error();
      duckdb_function_set_error(info, rows->error->message.c_str());
      return;
    }
    if (!*more) break;
    for (idx_t i = 0; i < rows->columns; ++i) {
      duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
      if (const auto& cell = rows->cells[i]) {
        duckdb_vector_assign_string_element_len(vector, size, cell->data(), cell->size());
      } else {
        duckdb_vector_ensure_validity_writable(vector);
        duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), size);
      }
    }
  }
  duckdb_data_chunk_set_size(chunk, size);
}

/// The type that a column has in the file. Parquet would make doubles of the widest integers.
std::string parquet_type(const std::string& type) {
  if (type == "HUGEINT") return "DECIMAL(38,0)";
  if (type == "ENUM" || type == "OTHER") return "VARCHAR";
  return type;
}

Result<Database> open_in_memory() {
  Config config;
  duckdb_create_config(config.out());
  for (const auto& [name, value] : {std::pair{"threads", "1"},
                                    {"memory_limit", "1GB"},
                                    {"temp_directory", ""},
                                    {"autoinstall_known_extensions", "false"},
                                    {"autoload_known_extensions", "false"}}) {
    duckdb_set_config(config.get(), name, value);
  }
  Database database;
  char* why = nullptr;
  if (duckdb_open_ext(":memory:", database.out(), config.get(), &why) == DuckDBError) {
    const std::string reason = why ? why : "no reason given";
    duckdb_free(why);
    return Error{ErrorCode::unavailable, "DuckDB did not open for Parquet: " + reason, ""};
  }
  Session connection;
  OwnedResult result;
  // An instant is the same text on each machine.
  if (duckdb_connect(database.get(), connection.out()) == DuckDBError ||
      duckdb_query(connection.get(), "set global timezone = 'UTC'", result.get()) == DuckDBError) {
    return Error{ErrorCode::unavailable, "DuckDB took no time zone for Parquet", ""};
  }
  return database;
}

class DuckDbColumnar final : public text::Columnar {
 public:
  explicit DuckDbColumnar(Database database) : database_(std::move(database)) {}

  Result<std::vector<std::string>> columns(const std::string& file) override {
    const auto connection = TRY(connect(database_));
    OwnedResult result;
    TRY_STATUS(run(connection, file, "select * from " + scan_of(file) + " limit 0", result));
    std::vector<std::string> names;
    for (idx_t i = 0; i < duckdb_column_count(result.get()); ++i) {
      names.emplace_back(duckdb_column_name(result.get(), i));
    }
    return names;
  }

  Result<std::unique_ptr<text::ColumnarReader>> read(
      const std::string& file, const std::vector<std::string>& names) override {
    auto connection = TRY(connect(database_));
    std::string wanted;
    for (const auto& name : names) wanted += (wanted.empty() ? "" : ", ") + sql_name(name);
    OwnedResult types;
    TRY_STATUS(run(connection, file,
                   fmt::format("select {} from {} limit 0", wanted, scan_of(file)), types));
    std::string items;
    for (idx_t i = 0; i < names.size(); ++i) {
      const LogicalType type(duckdb_column_logical_type(types.get(), i));
      items += (i ? ", " : "") + as_text(names[i], type.get());
    }
    OwnedResult counted;
    TRY_STATUS(run(connection, file,
                   fmt::format("select num_rows from parquet_file_metadata({})", sql_path(file)),
                   counted));
    auto reader = std::make_unique<DuckDbColumnarReader>(std::move(connection), file);
    TRY_STATUS(reader->start(fmt::format("select {} from {}", items, scan_of(file)),
                             duckdb_value_int64(counted.get(), 0, 0)));
    return std::unique_ptr<text::ColumnarReader>(std::move(reader));
  }

  Status write(const std::string& file, const std::vector<text::ColumnarColumn>& columns,
               const NextRow& next) override {
    // An instance of its own: the function that gives the rows stays in its catalog.
    const Database database = TRY(open_in_memory());
    const auto connection = TRY(connect(database));
    GivenRows rows{
        columns.size(), next, std::vector<std::optional<std::string>>(columns.size()), {}};
    const TableFunction function(duckdb_create_table_function());
    duckdb_table_function_set_name(function.get(), "given_rows");
    duckdb_table_function_set_extra_info(function.get(), &rows, nullptr);
    duckdb_table_function_set_bind(function.get(), bind_rows);
    duckdb_table_function_set_init(function.get(), init_rows);
    duckdb_table_function_set_function(function.get(), give_rows_to_copy);
    if (duckdb_register_table_function(connection.get(), function.get()) == DuckDBError) {
      return Error{ErrorCode::unavailable, "cannot write Parquet: the function was refused", ""};
    }
    std::string items;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      items += fmt::format("{}c{}::{} as {}", i ? ", " : "", i, parquet_type(columns[i].type),
                           sql_name(columns[i].name));
    }
    OwnedResult result;
    const std::string sql = fmt::format(
        "copy (select {} from given_rows()) to {} (format parquet, "
        "compression zstd, use_tmp_file false)",
        items, sql_text(file));
    const bool done = duckdb_query(connection.get(), sql.c_str(), result.get()) == DuckDBSuccess;
    if (rows.error) return *rows.error;
    if (!done) return file_error(file, "writing", result_error(result.get()).message);
    return Ok{};
  }

 private:
  static Result<Session> connect(const Database& database) {
    Session connection;
    if (duckdb_connect(database.get(), connection.out()) == DuckDBError) {
      return Error{ErrorCode::unavailable, "DuckDB gave no connection for Parquet", ""};
    }
    return connection;
  }

  static Status run(const Session& connection, const std::string& file, const std::string& sql,
                    OwnedResult& result) {
    if (duckdb_query(connection.get(), sql.c_str(), result.get()) == DuckDBSuccess) return Ok{};
    return file_error(file, "reading", result_error(result.get()).message);
  }

  const Database database_;
};

}  // namespace

Result<std::unique_ptr<text::Columnar>> make_columnar() {
  return std::unique_ptr<text::Columnar>(std::make_unique<DuckDbColumnar>(TRY(open_in_memory())));
}

}  // namespace tapeline::warehouse
