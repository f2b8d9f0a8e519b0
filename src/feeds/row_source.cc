#include "feeds/row_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/csv.h"

namespace tapeline::feeds {
namespace {

class CsvRows final : public RowSource {
 public:
  CsvRows(io::LineReader lines, std::int64_t bytes) : lines_(std::move(lines)), bytes_(bytes) {}

  const std::string& name() const override { return lines_.name(); }

  Result<std::span<const std::string_view>> header() override {
    const auto line = TRY(lines_.next());
    if (!line) return Error{ErrorCode::invalid_argument, fmt::format("'{}' is empty", name()), ""};
    const std::string_view text = text::without_byte_order_mark(*line);
    if (text.find('\r') != std::string_view::npos) {
      return wrong("its lines end with CR alone", "Save the file with line ends LF or CRLF.");
    }
    TRY_STATUS(split(text));
    if (record_.fields().size() == 1) {
      for (const char other : {';', '\t', '|'}) {
        if (text.find(other) == std::string_view::npos) continue;
        return wrong(fmt::format("its fields seem to be separated by {}",
                                 other == '\t' ? "tabs" : fmt::format("'{}'", other)),
                     "Save the file with commas between the fields.");
      }
    }
    columns_ = record_.fields().size();
    return record_.fields();
  }

  Result<bool> next(std::span<const std::string_view>& fields) override {
    for (;;) {
      const auto line = TRY(lines_.next());
      if (!line) return false;
      if (line->empty()) continue;
      TRY_STATUS(split(*line));
      fields = record_.fields();
      if (fields.size() == columns_) return true;
      return wrong(
          fmt::format("there are {} fields where the header has {}", fields.size(), columns_), "");
    }
  }

  std::string place() const override { return fmt::format("line {}", lines_.line_number()); }

  double part() const override {
    if (bytes_ <= 0) return 0;
    return std::min(1.0, static_cast<double>(lines_.bytes_read()) / static_cast<double>(bytes_));
  }

 private:
  Error wrong(std::string_view what, std::string hint) const {
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' {}: {}", name(), place(), what),
                 std::move(hint)};
  }

  Status split(std::string_view line) {
    if (const auto split = record_.split(line); !split) {
      return wrong(split.error().message, split.error().hint);
    }
    return Ok{};
  }

  io::LineReader lines_;
  const std::int64_t bytes_;
  text::CsvRecord record_;
  std::size_t columns_ = 0;
};

class ParquetRows final : public RowSource {
 public:
  ParquetRows(std::string file, std::vector<std::string> names,
              std::unique_ptr<text::ColumnarReader> reader)
      : file_(std::move(file)), names_(std::move(names)), reader_(std::move(reader)) {}

  const std::string& name() const override { return file_; }

  Result<std::span<const std::string_view>> header() override {
    cells_.assign(names_.begin(), names_.end());
    return std::span<const std::string_view>(cells_);
  }

  Result<bool> next(std::span<const std::string_view>& fields) override {
    if (!reader_ || !TRY(reader_->next(cells_))) return false;
    ++row_;
    fields = cells_;
    return true;
  }

  std::string place() const override { return row_ == 0 ? "columns" : fmt::format("row {}", row_); }

  double part() const override {
    const std::int64_t rows = reader_ ? reader_->rows() : 0;
    return rows == 0 ? 1 : std::min(1.0, static_cast<double>(row_) / static_cast<double>(rows));
  }

 private:
  const std::string file_;
  const std::vector<std::string> names_;
  const std::unique_ptr<text::ColumnarReader> reader_;  // none: no column is wanted
  std::vector<std::string_view> cells_;
  std::int64_t row_ = 0;
};

}  // namespace

std::unique_ptr<RowSource> csv_rows(io::LineReader lines, std::int64_t bytes) {
  return std::make_unique<CsvRows>(std::move(lines), bytes);
}

Result<std::unique_ptr<RowSource>> parquet_rows(
    text::Columnar& columnar, const std::string& file,
    const std::function<bool(std::string_view)>& wanted) {
  auto all = TRY(columnar.columns(file));
  std::vector<std::string> names;
  std::ranges::copy_if(all, std::back_inserter(names), wanted);
  std::unique_ptr<text::ColumnarReader> reader;
  if (!names.empty()) reader = TRY(columnar.read(file, names));
  // Where none is known, all are named: the error tells what the file has.
  return std::unique_ptr<RowSource>(std::make_unique<ParquetRows>(
      file, reader ? std::move(names) : std::move(all), std::move(reader)));
}

}  // namespace tapeline::feeds
