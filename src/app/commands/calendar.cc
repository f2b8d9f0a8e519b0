#include <fmt/format.h>

#include "app/cli/completion.h"
#include "app/cli/rows_text.h"
#include "app/commands/commands.h"
#include "market/calendar.h"

namespace tapeline::app {
namespace {

constexpr Date kFirst{std::chrono::year(1990) / 1 / 1};  // the rules are exact from here
constexpr Date kLast{std::chrono::year(2040) / 12 / 31};

Result<Date> date_flag(const Invocation& line, std::string_view flag) {
  if (const auto text = line.value(flag)) return parse_date(*text);
  return Error{ErrorCode::invalid_argument, fmt::format("`calendar` needs --{}", flag),
               "Write: tapeline calendar --from 2026-11-01 --to 2026-11-30"};
}

warehouse::Value instant(Timestamp at) { return format_rfc3339(at); }

}  // namespace

ExitCode show_calendar(const Call& call) {
  const auto calendar = TRY(make_calendar(call.line.value("calendar").value_or("XNYS")));
  const Date from = TRY(date_flag(call.line, "from"));
  const Date to = TRY(date_flag(call.line, "to"));
  if (from > to) {
    return Error{ErrorCode::invalid_argument, "the calendar ends before it begins",
                 "Give --from and --to as the first and the last date."};
  }
  if (from < kFirst || to > kLast) {
    return Error{ErrorCode::invalid_argument, "the trading calendar does not know other years",
                 "It knows 1990 to 2040."};
  }
  const RowsFormat format =
      call.json() ? RowsFormat::json
                  : TRY(parse_rows_format(call.line.value("format").value_or("table")));
  RowsWriter writer(format, [&](std::string_view text) { call.terminal.out(text); });
  writer.columns({{"date", "", warehouse::Kind::text},
                  {"kind", "", warehouse::Kind::text},
                  {"open_utc", "", warehouse::Kind::text},
                  {"close_utc", "", warehouse::Kind::text}});
  for (Date date = from; date <= to; date += std::chrono::days(1)) {
    const auto hours = calendar->hours(date);
    writer.row({format_date(date), std::string(to_string(calendar->kind(date))),
                hours ? instant(hours->open) : warehouse::Value(),
                hours ? instant(hours->close) : warehouse::Value()});
  }
  writer.end();
  return 0;
}

ExitCode show_completion(const Call& call) {
  call.terminal.out(TRY(completion_script(call.line.words[0])));
  return 0;
}

}  // namespace tapeline::app
