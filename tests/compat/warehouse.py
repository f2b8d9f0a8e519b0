"""What the scripts of this folder share: the raw tables, dbt in this process, and what differs between two files."""
import os
import pathlib
import re

import duckdb

from tables import MODELS, tolerance

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt"

# The tables that tapeline makes, where a case may leave columns null that tapeline never does.
RAW = "".join(re.findall(r'R"sql\((.*?)\)sql"', (ROOT / "src/warehouse/duckdb/migrations.cc").read_text(), re.S)).replace(" not null", "")


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
