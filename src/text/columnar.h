// Columnar: tables in Parquet files, as rows of text.
//
// A cell reads as CSV would have it, so that one set of rules says what a file's columns mean,
// whatever its format: instants are "2025-01-04 14:30:00.5", with Z where the file says UTC; a
// null and a number that is none are empty. warehouse/duckdb implements it on an instance in
// memory, apart from the warehouse.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tapeline::text {

/// A column that is written: its name, and its type as SQL has it, "DECIMAL(18,6)".
struct ColumnarColumn {
  std::string name;
  std::string type;
};

/// The rows of a file, in its order.
///
/// threads: one at a time
class ColumnarReader {
 public:
  virtual ~ColumnarReader() = default;

  /// How many rows the file says it has.
  virtual std::int64_t rows() const = 0;

  /// Reads the next row; false after the last.
  ///
  /// errors:   corrupt, unavailable; each names the file
  /// lifetime: the cells are good until the next call
  virtual Result<bool> next(std::vector<std::string_view>& cells) = 0;
};

/// What reads and writes Parquet.
///
/// threads: any
class Columnar {
 public:
  /// Fills the cells of the next row, as text or null; false where there is none.
  using NextRow = std::function<Result<bool>(std::vector<std::optional<std::string>>& cells)>;

  virtual ~Columnar() = default;

  /// The names of a file's columns.
  /// errors: corrupt (no Parquet, or damaged), not_found, unavailable
  virtual Result<std::vector<std::string>> columns(const std::string& file) = 0;

  /// Begins to read some of the columns, by name.
  /// errors: as columns()
  virtual Result<std::unique_ptr<ColumnarReader>> read(const std::string& file,
                                                       const std::vector<std::string>& names) = 0;

  /// Writes a file, a row at a time: memory does not grow with it.
  ///
  /// errors: those of `next`; invalid_argument (a cell that its type does not take), unavailable
  ///         (disk full); what is there of the file then is of no use
  virtual Status write(const std::string& file, const std::vector<ColumnarColumn>& columns,
                       const NextRow& next) = 0;
};

}  // namespace tapeline::text
