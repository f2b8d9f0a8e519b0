// Chunks: DuckDB's columns of up to 2,048 values, to our rows and back.

#pragma once

#include <duckdb.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "warehouse/warehouse.h"

namespace tapeline::warehouse {

/// A DuckDB handle that frees itself.
template <typename Handle, void (*kDestroy)(Handle*)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Owned(Owned&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  ~Owned() {
    if (handle_) kDestroy(&handle_);
  }
  Handle get() const { return handle_; }
  Handle* out() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

using LogicalType = Owned<duckdb_logical_type, duckdb_destroy_logical_type>;
using DataChunk = Owned<duckdb_data_chunk, duckdb_destroy_data_chunk>;

/// A type's name and kind as other rooms see them.
Column describe(std::string name, duckdb_logical_type type);

/// Whether `give_rows` reads the type itself; other types are cast to text in SQL first.
bool is_plain(duckdb_type type);

/// The rows of a chunk, one after another.
/// lifetime: the chunk must outlive it
class ChunkRows {
 public:
  explicit ChunkRows(duckdb_data_chunk chunk);
  ChunkRows(ChunkRows&&) noexcept;
  ~ChunkRows();

  /// False after the last.
  bool next(std::vector<Value>& row);

 private:
  struct Reader;
  std::vector<Reader> readers_;
  idx_t rows_;
  idx_t at_ = 0;
};

/// Gives each row of the chunk to `on_row`; false as soon as that answers false.
bool give_rows(duckdb_data_chunk chunk, std::vector<Value>& row,
               const std::function<bool(const std::vector<Value>&)>& on_row);

/// Writes rows [first, first + count) of `column` to a vector of the given type.
/// errors: invalid_argument for a type that the loader does not write
Status fill_vector(duckdb_vector vector, duckdb_logical_type type, const ColumnData& column,
                   std::size_t first, std::size_t count);

}  // namespace tapeline::warehouse
