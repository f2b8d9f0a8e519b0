#include <fmt/format.h>

#include "app/commands/commands.h"

namespace tapeline::app {

ExitCode retention_command(Pipeline& pipeline, const Call& call) {
  const RetentionPolicy& policy = pipeline.tasks().retention();
  const bool dry_run = call.line.has("dry-run");
  const auto report =
      TRY(dry_run ? plan_retention(pipeline.warehouse(), policy, pipeline.clock().now())
                  : pipeline.tasks().give_up_old_days());
  if (call.json()) {
    text::Value value;
    value.set("price_date", format_date(report.cut));
    value.set("days", report.days);
    value.set("raw_rows", report.raw_rows);
    value.set("staging_rows", report.staging_rows);
    value.set("archive", policy.archive);
    value.set("dry_run", dry_run);
    call.terminal.out(text::to_json(value, 2) + "\n");
    return 0;
  }
  if (report.raw_rows + report.staging_rows == 0) {
    call.terminal.out(fmt::format("there are no raw or staging rows of days up to {}\n",
                                  format_date(report.cut)));
    return 0;
  }
  call.terminal.out(fmt::format(
      "{} {} raw and {} staging rows of {} days up to {}\nraw rows {}\nmarts stay as they are\n",
      dry_run ? "would give up" : "gave up", report.raw_rows, report.staging_rows, report.days,
      format_date(report.cut),
      policy.archive.empty() ? "are dropped"
                             : fmt::format("go to {}, a Parquet file a day", policy.archive)));
  return 0;
}

}  // namespace tapeline::app
