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
    TRY_STATUS(streamed_.start_with_casts(connection, sql));
    columns_ = streamed_.columns();
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
