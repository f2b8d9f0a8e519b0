#include "warehouse/duckdb/cursor.h"

#include "warehouse/duckdb/query.h"

namespace tapeline::warehouse {
namespace {

using Pending = Owned<duckdb_pending_result, duckdb_destroy_pending>;

struct Interrupt {
  duckdb_connection connection;
  void operator()() const { duckdb_interrupt(connection); }
};

class DuckDbCursor final : public Cursor {
 public:
  DuckDbCursor(duckdb_connection connection, std::shared_ptr<void> keeps, std::stop_token stop)
      : keeps_(std::move(keeps)), on_stop_(std::move(stop), Interrupt{connection}) {}

  Status start(duckdb_connection connection, std::string_view sql) {
    const auto end = sql.find_last_not_of("; \t\r\n");
    std::string text(sql.substr(0, end + 1));
    for (bool cast = false;; cast = true) {
      Prepared prepared;
      if (duckdb_prepare(connection, text.c_str(), prepared.out()) == DuckDBError) {
        return sql_error(duckdb_prepare_error(prepared.get()));
      }
      const auto casts = cast ? std::nullopt : with_casts(prepared.get(), text);
      if (casts) {
        text = *casts;
        continue;
      }
      Pending pending;
      if (duckdb_pending_prepared_streaming(prepared.get(), pending.out()) == DuckDBError) {
        return sql_error(duckdb_pending_error(pending.get()));
      }
      if (duckdb_execute_pending(pending.get(), result_.get()) == DuckDBError) {
        return result_error(result_.get());
      }
      break;
    }
    for (idx_t i = 0; i < duckdb_column_count(result_.get()); ++i) {
      const LogicalType type(duckdb_column_logical_type(result_.get(), i));
      columns_.push_back(describe(duckdb_column_name(result_.get(), i), type.get()));
    }
    return Ok{};
  }

  const std::vector<Column>& columns() const override { return columns_; }

  Result<bool> next(std::vector<Value>& row) override {
    while (!rows_ || !rows_->next(row)) {
      if (ended_) return false;
      rows_.reset();
      chunk_.emplace(duckdb_fetch_chunk(result_.value()));
      if (chunk_->get() && duckdb_data_chunk_get_size(chunk_->get()) > 0) {
        rows_.emplace(chunk_->get());
        continue;
      }
      // The end and an error look alike.
      if (duckdb_result_error_type(result_.get()) != DUCKDB_ERROR_INVALID) {
        return result_error(result_.get());
      }
      ended_ = true;  // fetching once more would be an error
    }
    return true;
  }

 private:
  const std::shared_ptr<void> keeps_;  // goes last
  std::vector<Column> columns_;
  OwnedResult result_;
  std::optional<DataChunk> chunk_;
  std::optional<ChunkRows> rows_;  // of the chunk
  bool ended_ = false;
  const std::stop_callback<Interrupt> on_stop_;
};

}  // namespace

Result<std::unique_ptr<Cursor>> open_cursor(duckdb_connection connection, std::string_view sql,
                                            std::shared_ptr<void> keeps, std::stop_token stop) {
  auto cursor = std::make_unique<DuckDbCursor>(connection, std::move(keeps), std::move(stop));
  TRY_STATUS(cursor->start(connection, sql));
  return std::unique_ptr<Cursor>(std::move(cursor));
}

}  // namespace tapeline::warehouse
