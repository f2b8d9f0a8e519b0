#!/usr/bin/env python3
"""Checks a tapeline warehouse against real dbt running the shipped project.

    real_dbt.py WAREHOUSE.duckdb DBT [--skip-tests]

WAREHOUSE is a copy of a tapeline warehouse that no process has open; it is not written. DBT is a dbt
binary with dbt-duckdb whose Python has DuckDB, for example .venv/bin/dbt; run this with that Python.
Real dbt builds the project in two more copies: one whose models were dropped, and one as it is (an
incremental run). Afterwards all four tables of both must equal the original's. Exit status 0 if they do.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import duckdb

from tables import MODELS
from warehouse import PROJECT, differences


def copy(source, folder):
    target = folder / "stocks_fin.duckdb"
    folder.mkdir()
    shutil.copyfile(source, target)
    log = source.with_name(source.name + ".wal")
    if log.exists():
        shutil.copyfile(log, target.with_name(target.name + ".wal"))
    return target


def dbt(binary, warehouse, *words):
    environment = dict(os.environ, TAPELINE_DUCKDB_PATH=str(warehouse), DO_NOT_TRACK="1")
    done = subprocess.run(
        [binary, "--quiet", "--log-level-file", "none", *words, "--project-dir", PROJECT, "--profiles-dir", PROJECT,
         "--target-path", warehouse.parent / "target"], env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-2000:], sep="\n")
    return done.returncode == 0


def compare(name, original, copied):
    with duckdb.connect() as connection:
        connection.execute(f"attach '{original}' as left_side (read_only); attach '{copied}' as right_side (read_only)")
        good = True
        for table in MODELS:
            lines = differences(connection, table, "left_side", "right_side")
            count = connection.execute(f"select count(*) from left_side.{table}").fetchone()[0]
            print(f"{'FAIL' if lines else 'ok  '} {name} {table}: {count} rows", flush=True)
            for line in lines[:10]:
                print("      ", line)
            good &= not lines
    return good


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("warehouse", type=pathlib.Path)
    arguments.add_argument("dbt")
    arguments.add_argument("--skip-tests", action="store_true", help="run the models, not their data tests")
    options = arguments.parse_args()
    build = "run" if options.skip_tests else "build"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        original = copy(options.warehouse, folder / "original")
        with duckdb.connect(str(original)):
            pass  # replays the write-ahead log, so that the file can be attached read-only
        emptied, as_it_is = copy(original, folder / "emptied"), copy(original, folder / "as_it_is")
        with duckdb.connect(str(emptied)) as connection:
            for table in MODELS:
                connection.execute(f"drop table if exists {table}")
        good = True
        for name, warehouse in (("full refresh", emptied), ("incremental", as_it_is)):
            if dbt(options.dbt, warehouse, build):
                good &= compare(name, original, warehouse)
            else:
                print(f"FAIL {name}: dbt {build} failed")
                good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
