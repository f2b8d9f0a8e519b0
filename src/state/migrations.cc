#include "state/migrations.h"

#include <fmt/format.h>

namespace tapeline::state {
namespace {

// Times are microseconds since 1970, UTC; `value` and `conf` are JSON.
const std::vector<std::vector<std::string_view>> kVersions = {
    {
        R"(create table runs (
             id integer primary key, dag text not null, run_id text not null,
             run_type text not null, state text not null, logical_at integer not null,
             queued_at integer not null, start_at integer, end_at integer,
             conf text not null, error text not null,
             run_count integer not null default 1, busy_micros integer not null default 0,
             unique (dag, run_id)))",
        "create index runs_by_state on runs (state, dag)",
        "create index runs_by_dag on runs (dag, id)",
        R"(create table task_tries (
             run integer not null references runs (id) on delete cascade,
             task text not null, try_number integer not null, state text not null,
             start_at integer, end_at integer, retry_at integer, value text not null,
             error_code text not null, error_message text not null, error_hint text not null,
             primary key (run, task, try_number)) without rowid)",
        R"(create table task_logs (
             run integer not null references runs (id) on delete cascade,
             task text not null, try_number integer not null, number integer not null,
             at integer not null, line text not null,
             primary key (run, task, try_number, number)) without rowid)",
        R"(create table dags (
             dag text primary key, paused integer not null default 0,
             failures integer not null default 0, failing_task text not null default '',
             held_until integer, reported text not null default '', last_fire integer)
           without rowid)",
        "create table settings (key text primary key, value text not null) without rowid",
    },
    {
        // A cleared task has more tries than its DAG says; a backfill has a limit of its own.
        "alter table task_tries add column tries_max integer not null default 0",
        "alter table runs add column backfill integer not null default 0",
        "alter table runs add column backfill_active_max integer not null default 0",
        "create index runs_by_logical_at on runs (dag, logical_at)",
    },
};

}  // namespace

Status migrate(Connection& connection) {
  const auto rows = TRY(connection.query("pragma user_version"));
  const auto found = static_cast<std::size_t>(rows.at(0).integer(0));
  if (found > kVersions.size()) {
    return Error{
        ErrorCode::unsupported,
        fmt::format("its tables have version {}, this tapeline knows {}", found, kVersions.size()),
        "A newer tapeline wrote it: use that one."};
  }
  for (std::size_t version = found; version < kVersions.size(); ++version) {
    TRY_STATUS(connection.run("begin immediate"));
    for (const std::string_view sql : kVersions[version]) {
      if (auto done = connection.run(sql); !done) {
        (void)connection.run("rollback");
        return std::move(done).error();
      }
    }
    TRY_STATUS(connection.run(fmt::format("pragma user_version = {}", version + 1)));
    TRY_STATUS(connection.run("commit"));
  }
  return Ok{};
}

}  // namespace tapeline::state
