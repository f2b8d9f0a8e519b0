#!/usr/bin/env python3
"""Runs the shipped project with real dbt over the market data for tests, and compares with golden.

    golden.py [--data DIR] [--only NAME...]

DIR has the form of tests/data (the default): daily/, minute/, hour/, trades/ and golden/; sets that
are not there are left out. Prints a line a table; exit status 0 only if every cell agrees.
"""
import argparse
import csv
import gzip
import math
import pathlib
import subprocess
import sys
import tempfile

import duckdb

from warehouse import RAW, Dbt

HERE = pathlib.Path(__file__).resolve().parent
ABSOLUTE = {"rsi_14": 1e-5, "momentum_vs_30ma": 1e-7, "pct_from_52w_high": 1e-7, "pct_from_52w_low": 1e-7}
TABLES = {"daily_aggregates": "int_stocks.int_stock_daily_aggregates", "stock_analytics": "marts_stocks.stock_analytics"}


def same(column, want, got):
    if want == "" or got is None:
        return want == "" and got is None
    if column.endswith("_timestamp"):  # golden has milliseconds
        return want == got.isoformat(timespec="milliseconds") + "Z"
    if column in ("symbol", "price_date"):
        return want == str(got)
    if column in ("data_points_count", "window_days"):
        return int(want) == got
    if column in ABSOLUTE:
        return abs(float(want) - float(got)) <= ABSOLUTE[column]
    return math.isclose(float(want), float(got), rel_tol=1e-9, abs_tol=1e-9)


def compare(name, golden, connection, table, symbols):
    want = [r for r in csv.DictReader(gzip.open(golden, "rt")) if not symbols or r["symbol"] in symbols]
    found = connection.execute(f"select * from {table}")
    columns = [c[0] for c in found.description]
    got = {(r["symbol"], str(r["price_date"])): r for r in (dict(zip(columns, row)) for row in found.fetchall())}
    wrong = [f"{len(got)} rows, expected {len(want)}"] if len(got) != len(want) else []
    cells = 0
    for row in want:
        mine = got.get((row["symbol"], row["price_date"]))
        if mine is None:
            wrong.append(f"{row['symbol']} {row['price_date']} is missing")
            continue
        for column, value in row.items():
            cells += 1
            if not same(column, value, mine[column]):
                wrong.append(f"{row['symbol']} {row['price_date']} {column}: expected {value}, got {mine[column]}")
    print(f"{'FAIL' if wrong else 'ok  '} {name} {table}: {len(want)} rows, {cells} cells, {len(wrong)} differ", flush=True)
    for line in wrong[:5]:
        print("      ", line)
    return not wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, default=HERE.parent / "data")
    arguments.add_argument("--only", nargs="*")
    options = arguments.parse_args()
    sets = [(n, [options.data / f"daily/{n}.csv.gz"], n, ()) for n in ("wiki", "edge", "yahoo")]
    sets += [(n, sorted((options.data / n).glob("*.gz")), n, ()) for n in ("hour", "minute")]
    sets += [("trades", sorted((options.data / "trades").glob("IBM_*.gz")), "trades_plain", ("IBM",))]
    good = True
    for name, files, stem, symbols in sets:
        files = [f for f in files if f.exists()]
        if not files or (options.only and name not in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            raw, path = f"{folder}/raw.csv", f"{folder}/stocks_fin.duckdb"
            with open(raw, "w") as out:
                subprocess.run([sys.executable, HERE.parent / "oracle/raw_from_csv.py", *files], stdout=out, check=True)
            with duckdb.connect(path) as connection:
                connection.execute(RAW)
                connection.execute(f"insert into raw_stocks.stock_prices select * from read_csv('{raw}', all_varchar=true)")
                rows = connection.execute("select count(*) from raw_stocks.stock_prices").fetchone()[0]
                connection.execute("insert into raw_stocks.loads values (1, 'golden', 't', 'stock_prices', 0, 0, ?, ?, ?, "
                                   "0, 0, 0, '', now()::timestamp)", [rows, rows, rows])
            Dbt(path, f"{folder}/target")("build")
            with duckdb.connect(path, read_only=True) as connection:
                for what, table in TABLES.items():
                    expected = options.data / "golden" / f"{stem}_{what}.csv.gz"
                    if expected.exists():
                        good &= compare(name, expected, connection, table, symbols)
                for quotes in sorted((options.data / "golden").glob(f"{stem}_quotes_*")):
                    day = quotes.name.split("_")[-1][:8]
                    want = list(csv.DictReader(gzip.open(quotes, "rt")))
                    got = connection.execute(
                        "select timestamp, price, open, high, low, volume from stg_stocks.stg_stock_prices where symbol = "
                        f"'{want[0]['symbol']}' and session = 'regular' and strftime(price_date, '%Y%m%d') = '{day}' "
                        "order by 1").fetchall()
                    equal = len(want) == len(got) and all(
                        w["timestamp"] == g[0].isoformat(timespec="milliseconds") + "Z"
                        and all(float(w[c]) == float(v) for c, v in zip(("price", "open", "high", "low", "volume"), g[1:]))
                        for w, g in zip(want, got))
                    print(f"{'ok  ' if equal else 'FAIL'} {name} quotes of {day}: {len(want)} expected, {len(got)} found")
                    good &= equal
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
