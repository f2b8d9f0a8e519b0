#include <fmt/format.h>

#include "app/commands/dag.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

constexpr std::int64_t kCountMax = 10'000;

/// The schedule of a DAG.
Result<dag::Cron> cron_of_dag(const std::vector<dag::Dag>& dags, const std::string& id) {
  const dag::Dag* const found = TRY(find_dag(dags, id));
  if (found->cron) return *found->cron;
  return usage(fmt::format("the DAG '{}' has no times to fire at: its schedule is {}", id,
                           found->schedule.empty() ? "none" : found->schedule),
               "`tapeline dag next --cron EXPR` shows those of an expression.");
}

Result<dag::Cron> cron_asked_for(const std::vector<dag::Dag>& dags, const Invocation& line) {
  const auto expression = line.value("cron");
  if (line.words.empty() != expression.has_value()) {
    return usage("`dag next` needs a DAG or --cron, one of the two",
                 "Write: tapeline dag next --cron '*/5 * * * *' --timezone America/New_York");
  }
  if (!expression) {
    if (line.has("timezone")) {
      return usage("--timezone goes with --cron: a DAG has its own", "Take it out.");
    }
    return cron_of_dag(dags, line.words[0]);
  }
  const auto zone = TRY(TimeZone::find(line.value("timezone").value_or("UTC")));
  return dag::Cron::parse(*expression, zone);
}

}  // namespace

ExitCode show_next_fires(Clock& clock, const std::vector<dag::Dag>& dags, const Call& call) {
  const auto cron = TRY(cron_asked_for(dags, call.line));
  Timestamp at = clock.now();
  if (const auto after = call.line.value("after")) {
    const auto date = parse_date(*after);
    at = date ? Timestamp(*date) : TRY(parse_rfc3339(*after)).at;
  }
  const std::int64_t count = TRY(whole_flag(call.line, "count", 5, kCountMax));
  text::List fires;
  for (auto fire = cron.next_fire(at); fire && std::ssize(fires) < count;
       fire = cron.next_fire(*fire)) {
    fires.emplace_back(format_rfc3339(*fire));
  }
  if (fires.empty()) {
    return usage(fmt::format("the schedule fires no more after {}", format_rfc3339(at)),
                 "It is looked for in the 50 years from then on.");
  }
  if (call.json()) {
    call.terminal.out(text::to_json(text::Value(std::move(fires)), 2) + "\n");
    return 0;
  }
  for (const auto& fire : fires) call.terminal.out(fire.as_string() + "\n");
  return 0;
}

}  // namespace tapeline::app
