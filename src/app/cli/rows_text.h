// Rows as text: a table for people, CSV, JSON, NDJSON or Markdown for everything else.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "warehouse/warehouse.h"

namespace tapeline::app {

enum class RowsFormat : std::uint8_t { table, csv, json, ndjson, markdown };

/// errors: invalid_argument, the hint naming the formats
Result<RowsFormat> parse_rows_format(std::string_view name);

/// Writes rows as they come, where the format allows it: a table has to see all of them first.
///
/// threads: one at a time
class RowsWriter {
 public:
  using Write = std::function<void(std::string_view)>;

  RowsWriter(RowsFormat format, Write write) : format_(format), write_(std::move(write)) {}

  void columns(const std::vector<warehouse::Column>& columns);
  void row(const std::vector<warehouse::Value>& row);
  void end();

  std::int64_t rows() const { return rows_; }

 private:
  void write_table();

  const RowsFormat format_;
  const Write write_;
  std::vector<warehouse::Column> columns_;
  std::vector<std::vector<std::string>> cells_;
  std::int64_t rows_ = 0;
};

/// Without line breaks and what else a terminal would obey: each is a blank.
std::string one_line(std::string text);

/// A cell as JSON: numbers exact, dates and instants as text.
std::string json_cell(const warehouse::Value& value);

}  // namespace tapeline::app
