#include "warehouse/duckdb/cursor.h"

#include "warehouse/duckdb/query.h"

namespace tapeline::warehouse {
namespace {

struct Interrupt {
  duckdb_connection connection;
  void operator()() const { duckdb_interrupt(connection); }
};

class DuckDbCursor final : public Cursor {
 public:
  DuckDbCursor(duckdb_connection connection, std::shared_ptr<void> keeps, std::stop_token stop)
      : keeps_(std::move(keeps)), on_stop_(std::move(stop), Interrupt{connection}) {}

  Status start(duckdb_connection connection, std::string_view sql) {
    std::string text(sql.substr(0, sql.find_last_not_of("; \t\r\n") + 1));
    {
      Prepared prepared;
      if (duckdb_prepare(connection, text.c_str(), prepared.out()) == DuckDBError) {
        return sql_error(duckdb_prepare_error(prepared.get()));
      }
      if (auto casts = with_casts(prepared.get(), text)) text = *std::move(casts);
    }
    TRY_STATUS(streamed_.start(connection, text));
    duckdb_result* result = streamed_.result();
    for (idx_t i = 0; i < duckdb_column_count(result); ++i) {
      const LogicalType type(duckdb_column_logical_type(result, i));
      columns_.push_back(describe(duckdb_column_name(result, i), type.get()));
    }
    return Ok{};
  }

  const std::vector<Column>& columns() const override { return columns_; }

  Result<bool> next(std::vector<Value>& row) override {
    while (!rows_ || !rows_->next(row)) {
      rows_.reset();
      chunk_.emplace(TRY(streamed_.next()));
      if (!chunk_->get()) return false;
      rows_.emplace(chunk_->get());
    }
    return true;
  }

 private:
  const std::shared_ptr<void> keeps_;  // goes last
  std::vector<Column> columns_;
  StreamedQuery streamed_;
  std::optional<DataChunk> chunk_;
  std::optional<ChunkRows> rows_;  // of the chunk
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
