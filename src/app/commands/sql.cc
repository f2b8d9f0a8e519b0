#include <fmt/format.h>

#include "app/cli/rows_text.h"
#include "app/commands/commands.h"
#include "base/whole_number.h"

namespace tapeline::app {

ExitCode sql_command(Pipeline& pipeline, const Call& call) {
  const std::string format_name =
      call.line.value("format").value_or(call.json() ? "json" : "table");
  const RowsFormat format = TRY(parse_rows_format(format_name));
  warehouse::QueryLimits limits{.stop = call.stop};
  limits.time_max = TRY(parse_duration(call.line.value("timeout").value_or("60s")));
  if (const auto limit = call.line.value("limit")) {
    const auto rows = whole_number(*limit);
    if (!rows || *rows < 0) {
      return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no --limit", *limit),
                   "It is a whole number of rows: 0, 1, …"};
    }
    limits.rows_max = *rows;
  }
  const std::string sql = call.line.value("query").value_or(call.input);
  if (sql.find_first_not_of(" \t\r\n;") == std::string::npos) {
    return Error{ErrorCode::invalid_argument, "there is no query",
                 "Write tapeline sql -c 'select …', or pipe it in."};
  }
  RowsWriter writer(format, [&](std::string_view text) { call.terminal.out(text); });
  const Status answered = pipeline.warehouse().query_as_user(
      sql, limits, [&](const std::vector<warehouse::Column>& columns) { writer.columns(columns); },
      [&](const std::vector<warehouse::Value>& row) {
        writer.row(row);
        return true;
      });
  if (!answered) {
    call.terminal.error(answered.error());
    return 1;
  }
  writer.end();
  if (format == RowsFormat::table) {
    call.terminal.out("(" + std::to_string(writer.rows()) +
                      (writer.rows() == 1 ? " row)\n" : " rows)\n"));
  }
  return 0;
}

}  // namespace tapeline::app
