#!/usr/bin/env python3
"""Real dbt builds the shipped project on copies of a tapeline warehouse; every table must be equal.

    shipped_project.py TAPELINE DBT [--seed N]

TAPELINE is the binary; DBT a dbt binary whose Python has dbt-duckdb (the script goes on with that
Python). A market directory takes real and made-up daily bars, minute bars and messages through the
topic in rounds: late, superseding, invalid and vanishing ones among them. After each round the
warehouse is copied and real dbt runs
  from empty      on raw alone;
  taking over     on tapeline's models of the round before, with the newer raw;
  incrementally   on its own models of the round before, with the newer raw.
At the end tapeline takes over from real dbt's models, and real dbt runs the data tests; then tapeline
cuts the days of the first year, and a full refresh of real dbt keeps their marts. "Equal" is of
warehouse.py. Prints the versions and `N passed, N failed`; exit status 0 only if all passed.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import zoneinfo

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "daily"
UTC = datetime.timezone.utc
OPEN = datetime.timedelta(hours=14, minutes=30)  # New York's in winter


def stamp(day, seconds):
    at = datetime.datetime(day.year, day.month, day.day, tzinfo=UTC) + OPEN + datetime.timedelta(seconds=seconds)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def weekdays(first, count):
    days = []
    while len(days) < count:
        if first.weekday() < 5:
            days.append(first)
        first += datetime.timedelta(days=1)
    return days


class Messages:
    """Quotes of a desk's own producer, remembered by key, so that they can be sent again otherwise."""

    def __init__(self, seed):
        self.random, self.sent, self.price = random.Random(seed), {}, {}

    def day(self, symbol, day, count=6):
        rows, chance = [], self.random
        for second in sorted(chance.sample(range(0, 23400), count)):
            price = round(self.price.get(symbol, 50.0) * (1 + chance.gauss(0, 0.01)), chance.choice((2, 4)))
            self.price[symbol] = price
            row = {"symbol": symbol, "price": price, "high": round(price * 1.02, 4), "low": round(price * 0.98, 4),
                   "open": round(price * 0.99, 4), "volume": chance.choice((None, 0, chance.randrange(1, 9000))),
                   "timestamp": stamp(day, second + chance.randrange(10**6) / 1e6), "data_source": "desk"}
            row.update(chance.choice([{}] * 12 + [{"price": 0}, {"price": -1}, {"volume": -5}, {"high": 1, "low": 2},
                                                  {"session": "post"}, {"open": None, "high": None, "low": None}]))
            rows.append(self.keep(row))
        return rows

    def keep(self, row):
        self.sent[row["symbol"], row["timestamp"]] = row
        return row

    def again(self, choose, **changed):
        return [self.keep({**row, **changed}) for row in list(self.sent.values()) if choose(row)]


def minute_bars(path, seed):
    chance, price = random.Random(seed), 80.0
    with open(path, "w") as out:
        out.write("timestamp,symbol,open,high,low,close,volume\n")
        for day in weekdays(datetime.date(2024, 1, 8), 5):
            for minute in range(-30, 400):  # some before the open and after the close
                if chance.random() < 0.85:
                    last, price = price, round(price * (1 + chance.gauss(0, 0.001)), 2)
                    out.write(f"{stamp(day, minute * 60)},TQBAR,{last},{max(last, price)},{min(last, price)},{price},"
                              f"{chance.randrange(1, 5000)}\n")


def rounds(messages):
    """Name and messages of each round."""
    chance = messages.random
    days = weekdays(datetime.date(2023, 1, 3), 320)
    early = [d for d in days if chance.random() < 0.7]
    yield "first messages", [r for s in ("TQA", "TQB", "TQC") for d in early for r in messages.day(s, d)]
    gone = early[40].isoformat()
    late = [r for d in days[60:70] for r in messages.day("TQA", d)] + messages.day("TQNEW", days[100])
    late += messages.again(lambda r: r["symbol"] == "TQB" and chance.random() < 0.05, price=77.5, volume=12)
    late += messages.again(lambda r: r["symbol"] == "TQC" and r["timestamp"].startswith(gone), price=-1)
    late += ["not json", {"symbol": "TQA", "timestamp": stamp(days[0], 0)}, {**late[0]}]
    yield "late, superseding and invalid messages", late
    back = messages.again(lambda r: r["symbol"] == "TQC" and r["timestamp"].startswith(gone), price=60, volume=3)
    back += [r for d in days for r in messages.day("TQB", d, 1)]  # more days than a model names one by one
    back += messages.again(lambda r: r["symbol"] == "TQA" and r["timestamp"] < days[3].isoformat(), session="pre")
    back += [messages.keep({"symbol": "AAPL", "price": 131.5, "high": 132, "low": 130, "open": 131, "volume": 10,
                            "timestamp": "2000-03-01T20:00:00Z", "data_source": "desk"})]
    yield "a day that returns, many days, the first day of an old symbol", back


class Tapeline:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def __call__(self, *words, given=None, environment=None):
        done = subprocess.run([self.binary, *words, "--data-dir", self.folder], input=given, capture_output=True, text=True,
                              env={**os.environ, **(environment or {})})
        if done.returncode:
            raise RuntimeError(f"tapeline {' '.join(map(str, words))}: exit {done.returncode}: {done.stderr[-800:]}")

    def send(self, rows):
        lines = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows)
        self("topic", "produce", "stock_prices", given=lines)
        self("dag", "trigger", "stock_data_ingestion", "--wait")


class Check:
    """Copies of the warehouse, real dbt on them, and what was equal."""

    def __init__(self, dbt, folder):
        self.binary, self.folder = dbt, folder
        self.passed = self.failed = self.made = 0

    def place(self):
        self.made += 1
        path = self.folder / f"copy{self.made}"
        path.mkdir()
        return path / "stocks_fin.duckdb"

    def copy(self, data):
        path = self.place()
        for end in ("", ".wal"):
            if (source := data / f"stocks_fin.duckdb{end}").exists():
                shutil.copyfile(source, f"{path}{end}")
        with duckdb.connect(str(path)) as connection:  # takes in the write-ahead log
            connection.execute("checkpoint")
        return path

    def with_models(self, raw, models=None):
        """Raw of one copy, with the models of another, or none."""
        path = self.place()
        shutil.copyfile(raw, path)
        with duckdb.connect(str(path)) as connection:
            for table in MODELS:
                connection.execute(f"drop table if exists {table}")
            if models:
                connection.execute(f"attach '{models}' as other (read_only)")
                for table in MODELS:
                    connection.execute(f"create table {table} as from other.{table}")
        return path

    def dbt(self, warehouse, *words):
        environment = dict(os.environ, TAPELINE_DUCKDB_PATH=str(warehouse), DO_NOT_TRACK="1")
        done = subprocess.run([self.binary, "--quiet", "--log-level-file", "none", *words, "--project-dir", PROJECT,
                               "--profiles-dir", PROJECT, "--target-path", warehouse.parent / "target"],
                              env=environment, capture_output=True, text=True)
        self.count(done.returncode == 0, f"dbt {' '.join(words)}", (done.stdout + done.stderr).splitlines()[-30:])

    def count(self, good, what, lines=()):
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)
        for line in () if good else lines:
            print("      ", line)

    def equal(self, what, ours, theirs, left_out=()):
        with duckdb.connect() as connection:
            connection.execute(f"attach '{ours}' as ours (read_only); attach '{theirs}' as theirs (read_only)")
            for table in MODELS:
                lines = differences(connection, table, "ours", "theirs", left_out)
                rows = connection.execute(f"select count(*) from ours.{table}").fetchone()[0]
                self.count(rows > 0 and not lines, f"{what}: {table}: {rows} rows", lines[:10])


def run(check, tapeline, seed):
    bars = check.folder / "minute.csv"
    minute_bars(bars, seed)
    for path in (DATA / "wiki.csv.gz", DATA / "edge.csv.gz", bars):
        tapeline("import", path)
    before = check.copy(tapeline.folder)
    theirs = check.with_models(before)
    check.dbt(theirs, "run")
    check.equal("imported files, from empty", before, theirs)
    for number, (name, rows) in enumerate(rounds(Messages(seed)), 1):
        taken_over = check.folder / f"taken_over{number}"
        shutil.copytree(tapeline.folder, taken_over)
        shutil.copyfile(theirs, taken_over / "stocks_fin.duckdb")
        tapeline.send(rows)
        after = check.copy(tapeline.folder)
        for how, models in (("real dbt takes over", before), ("real dbt goes on", theirs)):
            made = check.with_models(after, models)
            check.dbt(made, "run")
            check.equal(f"{name}, {how}", after, made)
        other = Tapeline(tapeline.binary, taken_over)
        other.send(rows)
        # Sent twice, the messages were appended at two times.
        check.equal(f"{name}, tapeline takes over", after, check.copy(taken_over), left_out=("ingest_lag_seconds",))
        before, theirs = after, made
    emptied = check.with_models(before)
    check.dbt(emptied, "build")
    check.equal("everything, from empty, with data tests", before, emptied)
    check.dbt(theirs, "test")
    with duckdb.connect(str(before), read_only=True) as connection:
        sums = connection.execute("select sum(loaded), sum(superseded), sum(duplicate), sum(dead) from raw_stocks.loads").fetchone()
        check.count(all(sums), "loaded {}, superseded {}, duplicate {}, dead {}: some of each".format(*sums))


def cut(check, tapeline):
    """Raw and staging rows of old days are given up; a full refresh keeps what the marts have of them."""
    new_york = datetime.datetime.now(zoneinfo.ZoneInfo("America/New_York")).date()
    days = (new_york - datetime.date(2023, 12, 29)).days
    tapeline("retention", "run", environment={"TAPELINE_RETENTION_RAW_DAYS": str(days)})
    after = check.copy(tapeline.folder)
    refreshed = check.with_models(after, after)
    check.dbt(refreshed, "build", "--full-refresh")
    check.equal("after a cut, full refresh", after, refreshed)
    check.dbt(refreshed, "run")
    check.equal("after a cut, incrementally", after, refreshed)


def versions(tapeline):
    from importlib.metadata import version
    print(subprocess.run([tapeline, "version"], capture_output=True, text=True).stdout.strip())
    print(f"dbt-core {version('dbt-core')}, dbt-duckdb {version('dbt-duckdb')}, DuckDB {duckdb.__version__}, "
          f"Python {sys.version.split()[0]}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=lambda p: pathlib.Path(p).absolute())
    arguments.add_argument("dbt", type=lambda p: pathlib.Path(p).absolute())
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    versions(options.tapeline)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        check = Check(options.dbt, folder)
        try:
            tapeline = Tapeline(options.tapeline, folder / "data")
            run(check, tapeline, options.seed)
            cut(check, tapeline)
        except RuntimeError as error:
            check.count(False, str(error))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    beside = pathlib.Path(sys.argv[2]).absolute().parent / "python" if len(sys.argv) > 2 else None
    try:
        import dbt.version  # noqa: F401
        import duckdb
    except ImportError:
        if not beside or not beside.exists() or beside == pathlib.Path(sys.executable):
            raise
        os.execv(beside, [str(beside), *sys.argv])
    from tables import MODELS
    from warehouse import PROJECT, differences

    sys.exit(main())
