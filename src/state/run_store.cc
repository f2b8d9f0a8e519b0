#include "state/run_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tapeline::state {
namespace {

constexpr std::string_view kRunColumns =
    "id, dag, run_id, run_type, state, logical_at, queued_at, start_at, end_at, conf, error, "
    "run_count, busy_micros, backfill, backfill_active_max";

std::string insert_run(std::string_view more = "") {
  return fmt::format("insert into runs ({}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?){}",
                     kRunColumns, more);
}

std::int64_t micros(Timestamp at) { return at.time_since_epoch().count(); }

Cell cell(const std::optional<Timestamp>& at) { return at ? Cell(micros(*at)) : Cell(); }

Timestamp instant(const Row& row, std::size_t column) {
  return Timestamp(std::chrono::microseconds(row.integer(column)));
}

std::optional<Timestamp> maybe_instant(const Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return instant(row, column);
}

std::vector<Cell> cells(const RunRow& run) {
  const auto busy = std::chrono::duration_cast<std::chrono::microseconds>(run.busy);
  return {run.id,
          run.dag,
          run.run_id,
          run.run_type,
          run.state,
          micros(run.logical_at),
          micros(run.queued_at),
          cell(run.start_at),
          cell(run.end_at),
          run.conf,
          run.error,
          run.run_count,
          static_cast<std::int64_t>(busy.count()),
          run.backfill,
          run.backfill_active_max};
}

RunRow run_of(const Row& row) {
  return {row.integer(0),
          row.text(1),
          row.text(2),
          row.text(3),
          row.text(4),
          instant(row, 5),
          instant(row, 6),
          maybe_instant(row, 7),
          maybe_instant(row, 8),
          row.text(9),
          row.text(10),
          row.integer(11),
          std::chrono::microseconds(row.integer(12)),
          row.integer(13),
          row.integer(14)};
}

std::vector<RunRow> runs_of(const std::vector<Row>& rows) {
  std::vector<RunRow> runs;
  for (const Row& row : rows) runs.push_back(run_of(row));
  return runs;
}

Status write_tries(Connection& connection, const std::vector<TryRow>& tries) {
  for (const TryRow& t : tries) {
    TRY_STATUS(connection.run(
        "insert or replace into task_tries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {t.run, t.task, t.try_number, t.state, cell(t.start_at), cell(t.end_at), cell(t.retry_at),
         t.value, t.error_code, t.error_message, t.error_hint, t.tries_max}));
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<RunStore>> RunStore::open(Database& database) {
  auto last = database.read(
      [](Connection& connection) { return connection.query("select max(id) from runs"); });
  const auto rows = TRY(std::move(last));
  return std::unique_ptr<RunStore>(new RunStore(database, rows.at(0).integer(0) + 1));
}

Status RunStore::write(const Wave& wave) {
  return database_.write(wave.sync, [&](Connection& connection) -> Status {
    for (const RunRow& run : wave.runs) {
      // Not "insert or replace": that would delete the run's tries with the old row.
      static const std::string upsert = insert_run(
          " on conflict (id) do update set state = excluded.state, "
          "queued_at = excluded.queued_at, start_at = excluded.start_at, "
          "end_at = excluded.end_at, error = excluded.error, "
          "busy_micros = excluded.busy_micros, backfill = excluded.backfill, "
          "backfill_active_max = excluded.backfill_active_max");
      TRY_STATUS(connection.run(upsert, cells(run)));
    }
    TRY_STATUS(write_tries(connection, wave.tries));
    for (const LogRow& row : wave.log) {
      TRY_STATUS(connection.run(
          "insert or replace into task_logs values (?, ?, ?, ?, ?, ?)",
          {row.run, row.task, row.try_number, row.number, micros(row.at), row.line}));
    }
    for (const DagRow& d : wave.dags) {
      TRY_STATUS(connection.run(
          "insert into dags (dag, failures, failing_task, held_until, reported, last_fire) "
          "values (?, ?, ?, ?, ?, ?) on conflict (dag) do update set "
          "failures = excluded.failures, failing_task = excluded.failing_task, "
          "held_until = excluded.held_until, reported = excluded.reported, "
          "last_fire = excluded.last_fire",
          {d.dag, d.failures, d.failing_task, cell(d.held_until), d.reported, cell(d.last_fire)}));
    }
    return Ok{};
  });
}

Status RunStore::add(const RunRow& run) {
  return database_.write(
      Sync::now, [&](Connection& connection) { return connection.run(insert_run(), cells(run)); });
}

Status RunStore::set_paused(const std::string& dag, bool paused) {
  return database_.write(Sync::now, [&](Connection& connection) {
    return connection.run(
        "insert into dags (dag, paused) values (?, ?) "
        "on conflict (dag) do update set paused = excluded.paused",
        {dag, static_cast<std::int64_t>(paused)});
  });
}

Result<std::vector<RunRow>> RunStore::active() const {
  return database_.read([&](Connection& connection) -> Result<std::vector<RunRow>> {
    const auto rows = TRY(connection.query(fmt::format(
        "select {} from runs where state in ('queued', 'running') order by id", kRunColumns)));
    return runs_of(rows);
  });
}

Result<std::vector<RunRow>> RunStore::runs(const std::string& dag, std::int64_t limit) const {
  const std::string where = dag.empty() ? "? = ''" : "dag = ?";
  return database_.read([&](Connection& connection) -> Result<std::vector<RunRow>> {
    const auto rows = TRY(connection.query(
        fmt::format("select {} from runs where {} order by id desc limit ?", kRunColumns, where),
        {dag, limit}));
    return runs_of(rows);
  });
}

Result<std::optional<RunRow>> RunStore::find(const std::string& dag,
                                             const std::string& run_id) const {
  return database_.read([&](Connection& connection) -> Result<std::optional<RunRow>> {
    const auto rows = TRY(connection.query(
        fmt::format("select {} from runs where dag = ? and run_id = ?", kRunColumns),
        {dag, run_id}));
    if (rows.empty()) return std::optional<RunRow>();
    return std::optional(run_of(rows[0]));
  });
}

Result<std::vector<RunRow>> RunStore::between(const std::string& dag, Timestamp from, Timestamp to,
                                              std::int64_t limit) const {
  return database_.read([&](Connection& connection) -> Result<std::vector<RunRow>> {
    const auto rows = TRY(connection.query(
        fmt::format("select {} from runs where dag = ? and logical_at between ? and ? "
                    "order by logical_at, id limit ?",
                    kRunColumns),
        {dag, micros(from), micros(to), limit}));
    return runs_of(rows);
  });
}

Result<std::optional<Duration>> RunStore::usual_length(const std::string& dag,
                                                       std::int64_t runs) const {
  return database_.read([&](Connection& connection) -> Result<std::optional<Duration>> {
    const auto rows = TRY(connection.query(
        "select sum(busy_micros) / sum(run_count) from (select busy_micros, run_count from runs "
        "where dag = ? and state = 'success' order by id desc limit ?)",
        {dag, runs}));
    if (rows.at(0).is_null(0)) return std::optional<Duration>();
    return std::optional<Duration>(std::chrono::microseconds(rows.at(0).integer(0)));
  });
}

Result<std::vector<TryRow>> RunStore::tries(std::int64_t run) const {
  return database_.read([&](Connection& connection) -> Result<std::vector<TryRow>> {
    std::vector<TryRow> tries;
    for (const Row& row : TRY(connection.query(
             "select * from task_tries where run = ? order by task, try_number", {run}))) {
      tries.push_back({row.integer(0), row.text(1), row.integer(2), row.text(3),
                       maybe_instant(row, 4), maybe_instant(row, 5), maybe_instant(row, 6),
                       row.text(7), row.text(8), row.text(9), row.text(10), row.integer(11)});
    }
    return tries;
  });
}

Result<std::vector<LogRow>> RunStore::log(std::int64_t run, const std::string& task,
                                          std::int64_t try_number) const {
  return database_.read([&](Connection& connection) -> Result<std::vector<LogRow>> {
    std::vector<LogRow> lines;
    for (const Row& row :
         TRY(connection.query("select * from task_logs where run = ? and task = ? and "
                              "try_number = ? order by number",
                              {run, task, try_number}))) {
      lines.push_back({row.integer(0), row.text(1), row.integer(2), row.integer(3), instant(row, 4),
                       row.text(5)});
    }
    return lines;
  });
}

Result<std::vector<DagRow>> RunStore::dags() const {
  return database_.read([&](Connection& connection) -> Result<std::vector<DagRow>> {
    std::vector<DagRow> dags;
    for (const Row& row : TRY(connection.query(
             "select dag, paused, failures, failing_task, held_until, reported, last_fire "
             "from dags"))) {
      dags.push_back({row.text(0), row.integer(1) != 0, row.integer(2), row.text(3),
                      maybe_instant(row, 4), row.text(5), maybe_instant(row, 6)});
    }
    return dags;
  });
}

Status RunStore::fold(Timestamp fold_before, Timestamp delete_before,
                      const std::set<std::int64_t>& in_use) {
  // Only whole minutes: those whose every start lies before the limit's minute.
  const auto minute = std::chrono::floor<std::chrono::minutes>(fold_before);
  const std::vector<Cell> limit = {micros(minute), micros(minute)};
  const std::string at_rest = fmt::format("id not in ({})", fmt::join(in_use, ","));
  const std::string foldable = fmt::format(
      "run_type = 'continuous' and state = 'success' and end_at < ? and start_at < ? and {}",
      at_rest);
  // The first run of each minute stands for the others; min() over ids makes it stable.
  const std::string kept = fmt::format(
      "select dag, start_at / 60000000 as minute, min(id) as first, sum(run_count) as runs, "
      "sum(busy_micros) as busy, max(end_at) as last_end from runs where {} "
      "group by dag, minute",
      foldable);
  return database_.write(Sync::later, [&](Connection& connection) -> Status {
    // A scheduler outside may leave a run where it is, for ever.
    TRY_STATUS(connection.run(
        fmt::format("delete from runs where "
                    "coalesce(end_at, case run_type when 'outside' then queued_at end) < ? and {}",
                    at_rest),
        {micros(delete_before)}));
    const auto groups = TRY(connection.query(kept + " having count(*) > 1", limit));
    for (const Row& group : groups) {
      const Cell first = group.integer(2);
      TRY_STATUS(
          connection.run("update runs set run_count = ?, busy_micros = ?, end_at = ? where id = ?",
                         {group.integer(3), group.integer(4), group.integer(5), first}));
      TRY_STATUS(connection.run("delete from task_tries where run = ?", {first}));
      TRY_STATUS(connection.run("delete from task_logs where run = ?", {first}));
      TRY_STATUS(connection.run(
          fmt::format("delete from runs where {} and dag = ? and start_at / 60000000 = ? "
                      "and id <> ?",
                      foldable),
          {micros(minute), micros(minute), group.text(0), group.integer(1), first}));
    }
    return Ok{};
  });
}

}  // namespace tapeline::state
