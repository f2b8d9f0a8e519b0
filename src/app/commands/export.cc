#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "app/cli/rows_text.h"
#include "app/commands/commands.h"
#include "app/feeding/followed_symbols.h"
#include "io/atomic_file.h"
#include "text/words.h"
#include "warehouse/duckdb/duckdb_columnar.h"

namespace tapeline::app {
namespace {

constexpr std::size_t kOutBytes = 64 << 10;
constexpr std::int64_t kRowsPerProgress = 20'000;

/// What is exported, and where to.
struct Export {
  std::string sql;
  std::string format;               // csv, parquet, json, ndjson
  std::optional<std::string> file;  // none: stdout
};

Error wrong(std::string message, std::string hint = "") {
  return Error{ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

/// The condition that --symbol, --from and --to make; empty where none is given.
Result<std::string> condition(const Call& call) {
  std::string condition;
  const auto add = [&](const std::string& term) {
    condition += (condition.empty() ? "" : " and ") + term;
  };
  if (const auto symbols = call.line.value("symbol")) {
    std::string list;
    const auto named = TRY(parse_symbols(text::comma_list(*symbols)));
    for (const Symbol& symbol : named) {
      list += (list.empty() ? "" : ", ") + warehouse::sql_text(symbol.text());
    }
    if (list.empty()) return wrong("--symbol names no symbol");
    add(fmt::format("symbol in ({})", list));
  }
  if (const auto from = call.line.value("from")) {
    add(fmt::format("price_date >= date '{}'", format_date(TRY(parse_date(*from)))));
  }
  if (const auto to = call.line.value("to")) {
    add(fmt::format("price_date <= date '{}'", format_date(TRY(parse_date(*to)))));
  }
  return condition;
}

/// Says which of the flags asks for a column that is not there.
Status check_columns(Pipeline& pipeline, const Call& call, const std::string& from) {
  std::vector<std::string> names;
  TRY_STATUS(pipeline.warehouse().query_as_user(
      fmt::format("select * from {} limit 0", from), {},
      [&](const std::vector<warehouse::Column>& columns) {
        for (const auto& column : columns) names.push_back(column.name);
      },
      [](const std::vector<warehouse::Value>&) { return true; }));
  for (const auto& [flag, column] :
       {std::pair<std::string_view, std::string_view>{"symbol", "symbol"},
        {"from", "price_date"},
        {"to", "price_date"}}) {
    if (!call.line.has(flag) || std::ranges::find(names, column) != names.end()) continue;
    return wrong(fmt::format("--{} needs a column '{}', and there is none", flag, column),
                 "Write the condition into a query: --query 'select … where …'.");
  }
  return Ok{};
}

Result<std::string> statement(Pipeline& pipeline, const Call& call) {
  const auto query = call.line.value("query");
  if (query.has_value() == !call.line.words.empty()) {
    return wrong(query ? "a table and --query are both given" : "nothing to export is named",
                 "Write tapeline export stock_analytics, or tapeline export --query 'select …'.");
  }
  const std::string where = TRY(condition(call));
  if (query && where.empty()) return *query;
  std::string from;
  if (query) {
    const auto end = query->find_last_not_of("; \t\r\n");
    from = fmt::format("(\n{}\n) as exported", query->substr(0, end + 1));
  } else {
    from = call.line.words[0];
    const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; };
    if (!std::ranges::all_of(from, plain)) {
      return wrong(fmt::format("'{}' is no table's name", from),
                   "A query goes with --query; `tapeline sql -c 'show tables'` is no query, but "
                   "`tapeline dbt ls` lists the models.");
    }
  }
  if (where.empty()) return fmt::format("select * from {}", from);
  TRY_STATUS(check_columns(pipeline, call, from));
  return fmt::format("select * from {} where {}", from, where);
}

Result<Export> plan(Pipeline& pipeline, const Call& call) {
  Export what;
  if (const auto output = call.line.value("output")) what.file = call.path(*output);
  const std::string ending =
      what.file ? std::filesystem::path(*what.file).extension().string() : "";
  what.format = call.line.value("format").value_or(!ending.empty()             ? ending.substr(1)
                                                   : call.json() && !what.file ? "json"
                                                                               : "csv");
  if (what.format != "csv" && what.format != "parquet" && what.format != "json" &&
      what.format != "ndjson") {
    return wrong(fmt::format("there is no format '{}'", what.format),
                 "Formats are csv, parquet, json and ndjson; a file's ending says which, or "
                 "--format does.");
  }
  if (what.format == "parquet" && !what.file) {
    return wrong("Parquet needs a file", "Name it with --output FILE.");
  }
  if (what.file) {
    TRY_STATUS(pipeline.directory().check_outside(*what.file));
    TRY_STATUS(call.check_output(*what.file));
  }
  what.sql = TRY(statement(pipeline, call));
  return what;
}

/// Takes the rows of a query one by one, and tells how far it is.
class Taken {
 public:
  Taken(Pipeline& pipeline, const Call& call, std::unique_ptr<warehouse::Cursor> cursor)
      : clock_(pipeline.clock()), call_(call), cursor_(std::move(cursor)) {}

  const std::vector<warehouse::Column>& columns() const { return cursor_->columns(); }
  std::int64_t rows() const { return rows_; }
  Duration took() const { return clock_.uptime() - began_; }

  Result<bool> next(std::vector<warehouse::Value>& row) {
    if (call_.stop.stop_requested()) {
      return Error{ErrorCode::cancelled, "the export was stopped", "No file was written."};
    }
    if (!TRY(cursor_->next(row))) return false;
    if (++rows_ % kRowsPerProgress == 0 && call_.line.has("output")) {
      const double seconds = std::chrono::duration<double>(took()).count();
      call_.terminal.progress(fmt::format("exporting: {} rows, {:.0f} a second", rows_,
                                          static_cast<double>(rows_) / seconds),
                              -1);
    }
    return true;
  }

 private:
  Clock& clock_;
  const Call& call_;
  const std::unique_ptr<warehouse::Cursor> cursor_;
  const Duration began_ = clock_.uptime();
  std::int64_t rows_ = 0;
};

/// Writes rows as text; `write` takes pieces of some size.
Status write_text(Taken& rows, const std::string& format,
                  const std::function<Status(std::string_view)>& write) {
  std::string pending;
  RowsWriter writer(*parse_rows_format(format), [&](std::string_view text) { pending += text; });
  writer.columns(rows.columns());
  std::vector<warehouse::Value> row;
  while (TRY(rows.next(row))) {
    writer.row(row);
    if (pending.size() < kOutBytes) continue;
    TRY_STATUS(write(pending));
    pending.clear();
  }
  writer.end();
  return write(pending);
}

Status write_parquet(Taken& rows, const std::string& file) {
  const auto columnar = TRY(warehouse::make_columnar());
  std::vector<text::ColumnarColumn> columns;
  for (const auto& column : rows.columns()) columns.push_back({column.name, column.type});
  std::vector<warehouse::Value> row;
  return columnar->write(file, columns, [&](std::vector<std::optional<std::string>>& cells) {
    auto more = rows.next(row);
    if (!more || !*more) return more;
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells[i].reset();
      if (!warehouse::is_null(row[i])) cells[i] = warehouse::to_text(row[i]);
    }
    return more;
  });
}

void report(const Call& call, const Export& what, const Taken& rows, std::int64_t bytes) {
  if (call.json()) {
    text::Value result;
    result.set("file", *what.file);
    result.set("format", what.format);
    result.set("rows", rows.rows());
    result.set("bytes", bytes);
    call.terminal.out(text::to_json(result) + "\n");
    return;
  }
  call.terminal.out(fmt::format("exported {} rows to '{}' ({:.1f} MB) in {}\n", rows.rows(),
                                *what.file, static_cast<double>(bytes) / 1e6,
                                format_duration(rows.took())));
}

}  // namespace

ExitCode export_rows(Pipeline& pipeline, const Call& call) {
  const Export what = TRY(plan(pipeline, call));
  Taken rows(pipeline, call, TRY(pipeline.warehouse().open_as_user(what.sql, call.stop)));
  if (!what.file) {
    TRY_STATUS(write_text(rows, what.format, [&](std::string_view text) -> Status {
      call.terminal.out(text);
      return Ok{};
    }));
    return 0;
  }
  auto file = TRY(io::AtomicFile::create(pipeline.files(), *what.file));
  if (what.format == "parquet") {
    TRY_STATUS(write_parquet(rows, file.temporary()));
  } else {
    TRY_STATUS(
        write_text(rows, what.format, [&](std::string_view text) { return file.write(text); }));
  }
  TRY_STATUS(file.commit());
  call.terminal.end_progress();
  report(call, what, rows, file.size_bytes());
  return 0;
}

}  // namespace tapeline::app
