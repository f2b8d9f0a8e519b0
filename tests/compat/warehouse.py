"""What the scripts of this folder share: the raw tables, dbt in this process, and what differs between two files."""
import os
import pathlib

import duckdb

from tables import MODELS, tolerance

PROJECT = pathlib.Path(__file__).resolve().parents[2] / "dbt"

RAW = """
create schema if not exists raw_stocks;
create table raw_stocks.stock_prices(
  symbol varchar, price decimal(18,6), volume bigint, "timestamp" timestamp, high decimal(18,6),
  low decimal(18,6), open decimal(18,6), data_source varchar, previous_close decimal(18,6),
  session enum('pre','regular','post','closed'), bar_length enum('1m','5m','15m','30m','1h','4h','1d'),
  price_date date, price_hour smallint, received_at timestamp, appended_at timestamp,
  topic_offset bigint, load_id bigint);
create table raw_stocks.loads(
  load_id bigint, run_id varchar, topic_id varchar, topic varchar, topic_partition integer,
  first_offset bigint, next_offset bigint, consumed bigint, loaded bigint, duplicate bigint,
  superseded bigint, dead bigint, fingerprint varchar, loaded_at timestamp);
create table raw_stocks.dead_letters(
  topic_id varchar, topic_partition integer, topic_offset bigint, payload blob, reason varchar,
  first_seen timestamp, load_id bigint);
create table raw_stocks.gaps(
  feed varchar, symbol varchar, gap_start timestamp, gap_end timestamp, cause varchar, healed_at timestamp);
create table raw_stocks.retention(
  load_id bigint, price_date date, raw_rows bigint, staging_rows bigint, archive varchar, cut_at timestamp);
"""


def differences(connection, table, left, right, left_out=()):
    """What differs in a table of two attached databases, as lines of text; doubles by `tolerance`."""
    described = connection.execute(f"describe {left}.{table}").fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    found = {name: kind for name, kind, *_ in connection.execute(f"describe {right}.{table}").fetchall()}
    if kinds != found:
        return [f"{table}: columns differ: {sorted(set(kinds.items()) ^ set(found.items()))}"]
    key = MODELS[table]
    checks = []
    for name, kind in kinds.items():
        if name in key or name in left_out:
            continue
        if kind == "DOUBLE":
            relative, absolute = tolerance(name)
            bound = f'greatest({absolute}, {relative} * greatest(abs(l."{name}"), abs(r."{name}")))'
            checks.append((name, f'((l."{name}" is null) <> (r."{name}" is null) '
                                 f'or not coalesce(abs(l."{name}" - r."{name}") <= {bound}, true))'))
        else:
            checks.append((name, f'l."{name}" is distinct from r."{name}"'))
    on = " and ".join(f'l."{k}" = r."{k}"' for k in key)
    keys = ", ".join(f'coalesce(l."{k}", r."{k}")' for k in key)
    lines = []
    for side, sql in (("missing on the right", f"r.{key[0]} is null"), ("missing on the left", f"l.{key[0]} is null")):
        for row in connection.execute(f"select {keys} from {left}.{table} l full join {right}.{table} r on {on} "
                                      f"where {sql} limit 5").fetchall():
            lines.append(f"{table} {row}: {side}")
    wrong = " or ".join(sql for _, sql in checks)
    names = ", ".join(f'l."{n}", r."{n}", {sql}' for n, sql in checks)
    for row in connection.execute(f"select {keys}, {names} from {left}.{table} l join {right}.{table} r on {on} "
                                  f"where {wrong} limit 5").fetchall():
        cells = row[len(key):]
        for i, (name, _) in enumerate(checks):
            if cells[3 * i + 2]:
                lines.append(f"{table} {row[:len(key)]}: {name} is {cells[3 * i]!r} and {cells[3 * i + 1]!r}")
    for side in (left, right):
        counted = connection.execute(f"select count(*), count(distinct ({', '.join(key)})) from {side}.{table}").fetchone()
        if counted[0] != counted[1]:
            lines.append(f"{table}: a key twice in {side}")
    return lines


class Dbt:
    """Real dbt, in this process, over one warehouse file."""

    def __init__(self, path, target_path):
        from dbt.cli.main import dbtRunner
        os.environ.update(DO_NOT_TRACK="1", DBT_SEND_ANONYMOUS_USAGE_STATS="false", DBT_VERSION_CHECK="false")
        self.runner, self.path, self.target_path = dbtRunner(), str(path), str(target_path)

    def __call__(self, *words):
        from dbt.adapters.factory import reset_adapters
        os.environ["TAPELINE_DUCKDB_PATH"] = self.path
        done = self.runner.invoke([
            "--quiet", "--log-level-file", "none", *words, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--target-path", self.target_path])
        reset_adapters()
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        DuckDBConnectionManager.close_all_connections()
        if not done.success:
            why = done.exception or "; ".join(f"{r.node.name}: {r.message}" for r in done.result if r.message
                                              and str(r.status) in ("error", "fail"))
            raise RuntimeError(f"dbt {' '.join(words)}: {why}")
        return done
