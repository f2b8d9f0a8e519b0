// Trades, bars and quotes out of files: CSV, plain, gzip or in a zip archive, and Parquet.
//
// A file says by its header what it holds. Columns are known by name, in any order and case:
//
//   trades  timestamp, symbol, price, size [, conditions, suspicious]
//   bars    timestamp or date, symbol, open, high, low, close, volume
//   quotes  timestamp, symbol, price, open, high, low [, volume, previous_close, session,
//           bar_length, data_source]: the fields of a message, as `tapeline export` writes them
//
// Others are passed over. Without a column `symbol` the file's name up to the first `.` or `_`
// is the symbol. A column `date` means bars of a day; else a bar's length is the smallest gap
// between two stamps of one symbol over all files that are read together.

#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "feeds/input_files.h"
#include "feeds/row_source.h"
#include "io/line_reader.h"
#include "market/quote.h"

namespace tapeline::feeds {

enum class RowKind : std::uint8_t { trades, bars, quotes };

constexpr std::string_view to_string(RowKind kind) {
  return kind == RowKind::trades ? "trades" : kind == RowKind::bars ? "bars" : "quotes";
}

struct FileRowsOptions {
  std::optional<BarLength> bar_length;  // none: find it out
  bool with_conditions = false;  // read the columns conditions and suspicious; else pass them over
  text::Columnar* columnar = nullptr;  // what reads Parquet; none: such files are refused
};

/// The rows of one file, in its order.
///
/// threads: one at a time
class FileRows {
 public:
  /// Reads the header.
  /// errors: invalid_argument (a header that says none of the three, no symbol), and those of the
  ///         source; each names the file
  static Result<FileRows> open(std::unique_ptr<RowSource> source, FileRowsOptions options);

  /// Whether a column of this name means something here.
  static bool knows_column(std::string_view name);

  RowKind kind() const { return kind_; }
  const std::string& name() const { return source_->name(); }

  /// How much of the file has been read, from 0 to 1.
  double part() const { return source_->part(); }

  /// The symbol taken from the file's name, where there is no column for it.
  const std::optional<Symbol>& symbol_from_name() const { return symbol_from_name_; }

  /// True for bars that have a time and whose length nobody said.
  bool wants_bar_length() const;

  /// Reads the next row; false at the file's end. Ask for the file's kind.
  /// A day's bar begins at the New York midnight of its date.
  ///
  /// errors: invalid_argument (a field that cannot be read, a year outside 1990 to 2040): the
  ///         message names file, line and column; those of the source
  Result<bool> next(Trade& trade);
  Result<bool> next(Bar& bar);
  Result<bool> next(Quote& quote);

  /// Reads only stamp and symbol of the next row, to find out how long bars are.
  Result<bool> next_stamp(Timestamp& at, Symbol& symbol);

  /// How many stamps had no zone and were taken as UTC.
  std::int64_t stamps_without_zone() const { return stamps_without_zone_; }

 private:
  enum Column : std::size_t {
    timestamp,
    date,
    symbol,
    price,
    size,
    conditions,
    suspicious,
    open_price,
    high,
    low,
    close,
    volume,
    previous_close,
    session,
    bar_length,
    data_source,
    kColumns
  };

  FileRows(std::unique_ptr<RowSource> source, FileRowsOptions options)
      : source_(std::move(source)), options_(options) {}

  Status read_header();
  static const std::unordered_map<std::string_view, Column>& known_columns();
  std::string_view field(Column column) const { return fields_[places_[column]]; }
  bool has(Column column) const { return places_[column] != kNowhere; }
  Status read_symbol(Symbol& into);
  Status read_time(Timestamp& into);
  Status read_day(Timestamp& into);
  Status read_price(Column column, Price& into);
  Status read_price(Column column, std::optional<Price>& into);
  Status read_origin(Quote& into);
  Status read_shares(Column column, std::int64_t& into);
  Status read_conditions(Trade& into);
  Status check_year(Column column, Timestamp at) const;
  Error at_column(Column column, std::string_view what, std::string hint) const;
  Error at_line(std::string_view what, std::string hint) const;

  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  std::unique_ptr<RowSource> source_;
  FileRowsOptions options_;
  RowKind kind_ = RowKind::trades;
  std::optional<Symbol> symbol_from_name_;
  std::array<std::size_t, kColumns> places_{};
  std::span<const std::string_view> fields_;  // of the row
  std::string symbol_text_;                   // of the row before: most rows repeat it
  Symbol symbol_;
  std::int64_t stamps_without_zone_ = 0;
};

/// Files that are read together, checked: what to open each of them with.
struct CheckedFiles {
  FileRowsOptions options;         // with the bars' length, where one is needed
  std::vector<std::string> notes;  // what a person should know: a symbol taken from a file's name
};

/// Reads every header, so that a mistake is found before the first row is sent, and finds out how
/// long bars are.
///
/// errors: those of FileRows; invalid_argument where the smallest gap is no length that bars
///         have, or where there is none: the hint names the flag `--bar-length`
Result<CheckedFiles> check_files(const std::vector<InputFile>& files, FileRowsOptions options);

/// Opens one of them.
Result<FileRows> open_file_rows(const InputFile& file, FileRowsOptions options);

}  // namespace tapeline::feeds
