"""What equal means for the tables of two tapelines: which tables, by which key, without which columns, how near."""
import json
import math

MODELS = {
    "stg_stocks.stg_stock_prices": ("symbol", "timestamp"),
    "int_stocks.int_stock_daily_aggregates": ("symbol", "price_date"),
    "marts_stocks.stock_analytics": ("symbol", "price_date"),
    "marts_stocks.stock_bars_1m": ("symbol", "bar_start"),
}
TABLES = {"raw_stocks.stock_prices": ("symbol", "timestamp"), "raw_stocks.dead_letters": ("topic_partition", "topic_offset"), **MODELS}
# What depends on how a log cut the messages into loads, on which log it is, and on our own clock.
OURS = {"load_id", "run_id", "topic_id", "fingerprint", "received_at", "appended_at", "loaded_at", "first_seen", "ingest_lag_seconds"}


def tolerance(column):
    """(relative, absolute) for a column of doubles: sums of floating point depend on how the rows came in."""
    if column == "rsi_14":
        return 0.0, 1e-5
    if column.startswith(("pct_", "momentum_")):
        return 0.0, 1e-7
    return 1e-9, 1e-12  # the absolute part: sums that cancel to nothing


def same(column, one, other):
    if isinstance(one, float) and isinstance(other, (int, float)) or isinstance(other, float) and isinstance(one, int):
        relative, absolute = tolerance(column)
        return math.isclose(one, other, rel_tol=relative, abs_tol=absolute)
    return one == other


def read(tapeline, leave_out=OURS, tables=TABLES):
    """Every row of the tables, in the order of their keys: {table: (columns, rows)}, without the columns to leave out."""
    found = {}
    for table, key in tables.items():
        order = ", ".join(f'"{column}"' for column in key)
        done = tapeline.call("sql", "-c", f"select * from {table} order by {order}", "--format", "ndjson")
        if done.returncode:
            raise RuntimeError(f"{table}: {done.stderr[-400:]}")
        columns, rows = [], []
        for line in done.stdout.splitlines():
            row = json.loads(line)
            columns = columns or [name for name in row if name not in leave_out]
            rows.append(tuple(row[name] for name in columns))
        found[table] = columns, rows
    return found


def differences(want, got):
    """What differs in a table as `read` gives it: a line of text for each of the first cells."""
    (columns, rows), (others, its) = want, got
    if rows and its and columns != others:
        return [f"columns differ: {sorted(set(columns) ^ set(others))}"]
    lines = [] if len(rows) == len(its) else [f"{len(rows)} rows and {len(its)}"]
    for one, other in zip(rows, its):
        if one == other:
            continue
        lines += [f"{one[:2]}: {name} is {a!r} and {b!r}" for name, a, b in zip(columns, one, other) if not same(name, a, b)]
        if len(lines) > 5:
            break
    return lines


def check_equal(checks, name, want, got, may_be_empty=("marts_stocks.stock_bars_1m",)):
    """A check for each table: that it has rows, and that they are the other's."""
    for table in want:
        differ = differences(want[table], got[table])
        count = len(want[table][1])
        checks.check(f"{name}: {table}: {count} rows are equal", not differ and (count or table in may_be_empty), differ[:3])
