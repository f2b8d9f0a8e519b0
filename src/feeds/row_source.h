// RowSource: the rows of one file as fields of text, whatever its format.
//
// What a column means is decided by file_rows.h, from its name and its text alone, so that a file
// says the same as CSV and as Parquet.

#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/line_reader.h"
#include "text/columnar.h"

namespace tapeline::feeds {

/// threads: one at a time
class RowSource {
 public:
  virtual ~RowSource() = default;

  /// What errors call the file.
  virtual const std::string& name() const = 0;

  /// The columns' names; call it once, first.
  /// errors:   as next(); invalid_argument where the file is empty
  /// lifetime: good until next()
  virtual Result<std::span<const std::string_view>> header() = 0;

  /// Reads the next row's fields; false after the last.
  /// errors:   those of the format; each names file and row
  /// lifetime: good until the next call
  virtual Result<bool> next(std::span<const std::string_view>& fields) = 0;

  /// "line 7" or "row 7": where the row stands that was read last.
  virtual std::string place() const = 0;

  /// How much of the file has been read, from 0 to 1.
  virtual double part() const = 0;
};

/// The rows of a CSV text of `bytes` bytes as `lines` takes them; 0 where nobody knows.
std::unique_ptr<RowSource> csv_rows(io::LineReader lines, std::int64_t bytes);

/// The rows of a Parquet file: the columns that `wanted` accepts.
/// errors: those of Columnar
Result<std::unique_ptr<RowSource>> parquet_rows(
    text::Columnar& columnar, const std::string& file,
    const std::function<bool(std::string_view)>& wanted);

}  // namespace tapeline::feeds
