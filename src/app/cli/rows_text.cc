#include "app/cli/rows_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/value.h"

namespace tapeline::app {
namespace {

using warehouse::Kind;
using warehouse::Value;

std::string csv_cell(const Value& value) {
  const std::string text = warehouse::to_text(value);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

/// How many columns a terminal gives a UTF-8 text, wide characters apart.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

bool is_number(Kind kind) {
  return kind == Kind::integer || kind == Kind::real || kind == Kind::decimal;
}

/// What stands in a cell of a table; a bar would end one of Markdown's.
std::string table_cell(std::string text, bool markdown) {
  text = one_line(std::move(text));
  for (auto at = text.find('|'); markdown && at != std::string::npos; at = text.find('|', at + 2)) {
    text.insert(at, 1, '\\');
  }
  return text;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

Result<RowsFormat> parse_rows_format(std::string_view name) {
  if (name == "table") return RowsFormat::table;
  if (name == "csv") return RowsFormat::csv;
  if (name == "json") return RowsFormat::json;
  if (name == "ndjson") return RowsFormat::ndjson;
  if (name == "markdown") return RowsFormat::markdown;
  return Error{ErrorCode::invalid_argument, fmt::format("there is no format '{}'", name),
               "Formats are table, csv, json, ndjson and markdown."};
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

std::string json_cell(const Value& value) {
  if (warehouse::is_null(value)) return "null";
  if (const auto* real = std::get_if<double>(&value)) {
    return std::isfinite(*real) ? fmt::format("{}", *real) : "null";
  }
  if (std::holds_alternative<bool>(value) || std::holds_alternative<std::int64_t>(value) ||
      std::holds_alternative<warehouse::Decimal>(value)) {
    return warehouse::to_text(value);
  }
  return text::json_string(warehouse::to_text(value));
}

void RowsWriter::columns(const std::vector<warehouse::Column>& columns) {
  columns_ = columns;
  if (format_ == RowsFormat::csv) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      write_((i ? "," : "") + csv_cell(columns[i].name));
    }
    write_("\n");
  }
}

void RowsWriter::row(const std::vector<Value>& row) {
  ++rows_;
  std::string line;
  switch (format_) {
    case RowsFormat::csv:
      for (std::size_t i = 0; i < row.size(); ++i) line += (i ? "," : "") + csv_cell(row[i]);
      write_(line + "\n");
      return;
    case RowsFormat::json:
    case RowsFormat::ndjson:
      line = format_ == RowsFormat::ndjson ? "{" : rows_ == 1 ? "[\n  {" : ",\n  {";
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += fmt::format("{}{}:{}", i ? "," : "", text::json_string(columns_[i].name),
                            json_cell(row[i]));
      }
      write_(line + (format_ == RowsFormat::ndjson ? "}\n" : "}"));
      return;
    case RowsFormat::table:
    case RowsFormat::markdown:
      std::vector<std::string>& cells = cells_.emplace_back();
      for (const Value& value : row) {
        cells.push_back(table_cell(warehouse::to_text(value), format_ == RowsFormat::markdown));
      }
  }
}

void RowsWriter::end() {
  if (format_ == RowsFormat::json) write_(rows_ == 0 ? "[]\n" : "\n]\n");
  if (format_ == RowsFormat::table || format_ == RowsFormat::markdown) write_table();
}

void RowsWriter::write_table() {
  const bool markdown = format_ == RowsFormat::markdown;
  std::vector<std::string> names;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    names.push_back(table_cell(columns_[i].name, markdown));
    std::size_t width = std::max<std::size_t>(width_of(names[i]), markdown ? 3 : 1);
    for (const auto& cells : cells_) width = std::max(width, width_of(cells[i]));
    widths.push_back(width);
  }
  const auto write_line = [&](const std::function<std::string(std::size_t)>& cell) {
    std::string line = markdown ? "| " : "";
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i) line += markdown ? " | " : "  ";
      line += padded(cell(i), widths[i], is_number(columns_[i].kind));
    }
    if (markdown) line += " |";
    while (!line.empty() && line.back() == ' ') line.pop_back();
    write_(line + "\n");
  };
  write_line([&](std::size_t i) { return names[i]; });
  write_line([&](std::size_t i) {
    std::string rule;
    for (std::size_t n = 0; n < widths[i]; ++n) rule += markdown ? "-" : "─";
    if (markdown && is_number(columns_[i].kind)) rule.back() = ':';
    return rule;
  });
  for (const auto& cells : cells_) {
    write_line([&](std::size_t i) { return cells[i]; });
  }
}

}  // namespace tapeline::app
