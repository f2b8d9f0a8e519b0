#!/usr/bin/env python3
"""Imports made-up files of many shapes and compares every table with an independent computation.

    variants_test.py TAPELINE [--seed N] [--rounds N] [--only KIND] [--slices DIR] [--keep DIR]

A round makes files of daily, hour, minute or other bars, or of trades, of invented symbols, around
days on which something is different (clock changes, holidays, early closes, year ends), dressed as
files are found (gzip, CRLF, quotes, byte order mark, columns in any order, several symbols a file, no
newline at the end). What tapeline makes of them is compared with tests/oracle: raw rows and the four
models, cell by cell, and the counts; then all is imported again, which may only count duplicates.
--slices takes the rows from a folder of the form of shared/data instead: some symbols, some days.
Prints a line a round and `N passed, N failed`.
"""
import argparse
import csv
import datetime
import decimal
import gzip
import io
import itertools
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import marts
import quotes

TABLES = {"stock_prices": "raw_stocks", "stg_stock_prices": "stg_stocks", "int_stock_daily_aggregates": "int_stocks",
          "stock_analytics": "marts_stocks", "stock_bars_1m": "marts_stocks"}
COUNTS = ("consumed", "loaded", "duplicate", "superseded", "dead")
SYMBOLS = ("ZZA", "BRK.B", "BF-B", "EURUSD=X", "X:BTCUSD", "A/B", "ZZ^C", "Q", "0700.HK", "9", "ZZZZZZZZZZZZZZZZZZZZZZZZ", "NULL", "NAN",
           "TRUE", "1E5", "INF")
# The days around these are of each round: clocks, holidays, early closes, closures, year ends, leap days.
DAYS = [datetime.date.fromisoformat(day) for day in (
    "1990-04-12", "1992-11-27", "1996-02-29", "1997-10-27", "1999-12-31", "2000-02-29", "2001-09-10", "2001-09-17", "2003-12-26",
    "2004-06-11", "2006-04-03", "2006-10-30", "2007-03-12", "2007-11-05", "2008-03-10", "2012-10-31", "2013-07-03", "2013-11-04",
    "2015-12-24", "2018-12-05", "2020-03-09", "2020-02-28", "2021-12-31", "2022-06-17", "2023-11-24", "2024-02-29", "2024-03-11",
    "2024-11-04", "2024-11-29", "2024-12-24", "2025-01-09", "2025-07-03", "2026-03-09", "2026-11-02")]
BITS = (0x1, 0x2, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x2000, 0x4000, 0x40000, 0x100000, 0x200000, 0x1000000, 0x2000000,
        0x4000000, 0x20000000)
EXCHANGE = quotes.Exchange()
TODAY = datetime.date.today()
NEW_YORK, UTC = quotes.NEW_YORK, quotes.UTC


# --- rows ------------------------------------------------------------------------------------------


class Walk:
    """A price as decimal text, of one of several habits."""

    def __init__(self, rng):
        self.rng = rng
        self.habit = rng.choice(("walk", "walk", "walk", "flat", "rises", "falls", "penny", "high"))
        self.places = {"penny": 6, "high": 2}.get(self.habit, rng.choice((0, 2, 2, 4, 6)))
        self.level = {"penny": rng.uniform(0.00001, 0.9), "high": rng.uniform(1e5, 6e6)}.get(self.habit, rng.uniform(3, 900))

    def step(self):
        if self.habit == "rises":
            self.level *= 1 + self.rng.uniform(0.0005, 0.03)
        elif self.habit == "falls":
            self.level *= 1 - self.rng.uniform(0.0005, 0.01)
        elif self.habit != "flat":
            self.level *= math.exp(self.rng.gauss(0, 0.02))
        if self.rng.random() < 0.004:
            self.level *= self.rng.choice((2, 0.5, 1 / 7, 10))  # a split
        self.level = min(self.level, 9e9)
        return self.text(self.level)

    def text(self, value):
        value = max(decimal.Decimal(1).scaleb(-self.places), round(decimal.Decimal(value), self.places))
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text and self.rng.random() < 0.5 else text

    def bar(self):
        first = self.step()
        last = self.step() if self.habit != "flat" else first
        spread = 0 if self.habit == "flat" else abs(self.rng.gauss(0, 0.01))
        high, low = max(first, last, key=decimal.Decimal), min(first, last, key=decimal.Decimal)
        return {"open": first, "close": last, "high": max(high, self.text(float(high) * (1 + spread)), key=decimal.Decimal),
                "low": min(low, self.text(float(low) * (1 - spread)), key=decimal.Decimal)}


def volume_of(rng):
    return str(rng.choice((0, 1, 100, rng.randrange(10_000), rng.randrange(10**9), 10**12 if rng.random() < 0.05 else 500)))


def spoil(rng, row):
    """What staging must judge: now and then a bar that no bar should be."""
    if rng.random() < 0.01:
        row.update(rng.choice(({"close": "0"}, {"close": "-1.5"}, {"high": "0.000001"}, {"volume": "-7"}, {"open": "-2"}, {"volume": ""})))
    return row


def daily_rows(rng):
    rows = []
    for symbol in rng.sample(SYMBOLS, rng.randrange(1, 5)):
        walk, date = Walk(rng), rng.choice(DAYS)
        wanted = rng.choice((1, 2, 7, 14, 15, 16, 29, 30, 31, 32, 60, 251, 252, 253, 300, 540))
        gaps = rng.choice((0, 0, 0.03, 0.6))
        while wanted:
            date += datetime.timedelta(days=1)
            if date >= TODAY:
                break  # a message from more than a day ahead is a dead letter
            closed = EXCHANGE.session(date) is None
            if rng.random() < gaps or closed and rng.random() > 0.003:
                continue
            wanted -= 1
            rows.append(spoil(rng, {"date": date.isoformat(), "symbol": symbol, **walk.bar(), "volume": volume_of(rng)}))
    return rows


def session_days(rng, count):
    date = rng.choice(DAYS) - datetime.timedelta(days=rng.randrange(5))
    days = []
    while len(days) < count:
        days.append(date)
        date += datetime.timedelta(days=1)
    return days


def stamp(rng, at):
    """An instant as files write it."""
    at = at.astimezone(UTC)
    fraction = f".{at.microsecond // 1000:03}" if at.microsecond or rng.random() < 0.5 else ""
    way = rng.random()
    if way < 0.7:
        return at.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
    if way < 0.8:
        return at.strftime("%Y-%m-%d %H:%M:%S") + fraction
    if way < 0.9:
        return at.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "+00:00"
    local = at.astimezone(NEW_YORK)
    offset = local.strftime("%z")
    return local.strftime("%Y-%m-%dT%H:%M:%S") + fraction + offset[:3] + ":" + offset[3:]


def bar_rows(rng, length):
    minutes = quotes.MINUTES[length]
    days = session_days(rng, rng.randrange(2, 6) if minutes < 60 else rng.randrange(5, 60))
    rows = []
    for symbol in rng.sample(SYMBOLS, rng.randrange(1, 4)):
        walk, density = Walk(rng), rng.choice((0.02, 0.3, 0.9)) if minutes < 60 else 0.8
        for date in days:
            if EXCHANGE.session(date) is None and rng.random() < 0.9:
                continue
            midnight = datetime.datetime.combine(date, datetime.time(4), NEW_YORK).astimezone(UTC)
            at = midnight - datetime.timedelta(minutes=midnight.minute % minutes)
            for place in range(17 * 60 // minutes):
                if rng.random() < density or place in (5 * 60 // minutes, 5 * 60 // minutes + 1):
                    rows.append(spoil(rng, {"timestamp": stamp(rng, at + place * datetime.timedelta(minutes=minutes)), "symbol": symbol,
                                            **walk.bar(), "volume": volume_of(rng)}))
    if rng.random() < 0.3:
        rows.sort(key=lambda row: quotes.instant(row["timestamp"]))
    return rows or bar_rows(rng, length)


def trade_rows(rng):
    rows = []
    symbols = {symbol: Walk(rng) for symbol in rng.sample(SYMBOLS, rng.randrange(1, 4))}
    for date in session_days(rng, rng.randrange(1, 4)):
        session = EXCHANGE.session(date)
        edges = [edge.astimezone(NEW_YORK) for edge in session[:2]] if session else []
        ats = []
        for _ in range(rng.randrange(1, 400)):
            if edges and rng.random() < 0.3:
                at = rng.choice(edges) + datetime.timedelta(milliseconds=rng.choice((-1, 0, 1, 599_999, 600_000, 600_001, rng.randrange(-5000, 5000))))
            else:
                at = datetime.datetime.combine(date, datetime.time(), NEW_YORK) + datetime.timedelta(milliseconds=rng.randrange(86_400_000))
            ats += [at] * rng.choice((1, 1, 1, 2, 5))
        ats.sort(key=lambda at: at.astimezone(UTC))
        if rng.random() < 0.2:  # some come late
            for _ in range(len(ats) // 20 + 1):
                ats.insert(rng.randrange(len(ats)), ats.pop(rng.randrange(len(ats))))
        for at in ats:
            symbol = rng.choice(list(symbols))
            bits = 0
            for _ in range(rng.choice((0, 1, 1, 2, 3))):
                bits |= rng.choice(BITS)
            rows.append({"timestamp": stamp(rng, at), "symbol": symbol, "price": symbols[symbol].step(), "size": volume_of(rng),
                         "exchange": "N", "conditions": f"{bits:x}" if bits or rng.random() < 0.5 else "",
                         "suspicious": rng.choice("0000001")})
    if rng.random() < 0.3:
        rows.sort(key=lambda row: row["symbol"])
    return rows


def sliced_rows(rng, kind, folder):
    """Rows of real files: some symbols, and a stretch of days of each."""
    files = sorted((folder / {"daily": "daily", "1h": "hour", "1m": "minute", "trades": "trades"}[kind]).glob("*.csv.gz"))
    rows = []
    for path in rng.sample(files, rng.randrange(1, min(3, len(files)) + 1)):
        with gzip.open(path, "rt", newline="") as text:
            by_symbol = {}
            for row in csv.DictReader(text):
                by_symbol.setdefault(row["symbol"], []).append(row)
        for symbol in rng.sample(list(by_symbol), rng.randrange(1, min(3, len(by_symbol)) + 1)):
            own = by_symbol[symbol]
            if rng.random() < 0.7:
                first, last = sorted((rng.randrange(len(own)), rng.randrange(len(own))))
                own = own[first:last + 1]
            rows += own[:60_000]
    return rows


# --- files -----------------------------------------------------------------------------------------


def dressed(rng, rows):
    """The rows as the bytes of a file."""
    names = list(rows[0])
    if rng.random() < 0.3:
        rng.shuffle(names)
    heads = [name.upper() if rng.random() < 0.1 else name for name in names]
    ending = rng.choice(("\n", "\n", "\r\n"))
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    text = io.StringIO()
    out = csv.writer(text, lineterminator=ending, quoting=quoting)
    extra = rng.random() < 0.2
    out.writerow(heads + ["note"] * extra)
    for row in rows:
        out.writerow([row[name] for name in names] + ["a, \"b\""] * extra)
    body = text.getvalue()
    if rng.random() < 0.2:
        body = body.removesuffix(ending)
    elif rng.random() < 0.1:
        body += ending
    packed = body.encode()
    if rng.random() < 0.2:
        packed = b"\xef\xbb\xbf" + packed
    if rng.random() < 0.5:
        place = rng.randrange(len(packed))
        parts = (packed[:place], packed[place:]) if rng.random() < 0.3 else (packed,)
        return "csv.gz", b"".join(map(gzip.compress, parts))
    return "csv", packed


def split_in_files(rng, rows):
    """The rows in one file or several, whole days of a symbol together."""
    way = rng.choice(("one", "symbol", "days"))
    if way == "one":
        return [rows]
    parts = {}
    for row in rows:
        key = row["symbol"] if way == "symbol" else quotes.datetime_date(row["timestamp"]) if "timestamp" in row else row["date"][:7]
        parts.setdefault(key, []).append(row)
    parts = list(parts.values())
    rng.shuffle(parts)
    return [list(itertools.chain(*parts[first::8])) for first in range(min(8, len(parts)))]


# --- one round -------------------------------------------------------------------------------------


class Tapeline:
    def __init__(self, binary, folder):
        self.binary, self.data = binary, str(folder / "data")

    def call(self, *words):
        done = subprocess.run([self.binary, *map(str, words), "--data-dir", self.data], capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))[:200]}: exit {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def counts(self):
        sums = ", ".join(f"coalesce(sum({name}), 0) as {name}" for name in COUNTS)
        text = self.call("sql", "-c", f"select {sums} from raw_stocks.loads", "--format", "json")
        return {name: int(value) for name, value in json.loads(text)[0].items()}


def expected_tables(messages, calendar):
    rows, _, counts = marts.load(messages, "market", calendar)
    staged = marts.stage(rows)
    days = marts.daily(staged)
    return {"stock_prices": [row._asdict() for row in rows.values()], "stg_stock_prices": staged,
            "int_stock_daily_aggregates": days, "stock_analytics": marts.analytics(days), "stock_bars_1m": marts.bars(staged)}, counts


def compare(tapeline, folder, messages, calendar, seen):
    """Differences between the tables and what the oracle makes of the messages."""
    tables, counts = expected_tables(messages, calendar)
    wrong = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        path.write_text(tapeline.call("sql", "-c", f"select * from {TABLES[name]}.{name}", "--format", "csv"))
        seen["cells"] += len(table) * len(marts.COLUMNS[name].split())
        wrong += [f"{name}: {line}" for line in marts.differences(name, path, table)]
    found = tapeline.counts()
    wrong += [f"counted {found}, expected {dict(counts)}"] if found != dict(counts) else []
    return wrong


def messages_of(kind, rows, algoseek):
    if kind == "trades":
        return list(quotes.of_trades(rows, algoseek, EXCHANGE))
    return list(quotes.of_bars(rows, "1d" if kind == "daily" else kind, EXCHANGE))


def play(rng, tapeline, folder, kind, calendar, slices, seen):
    """One to three imports into one directory, each compared; then the last one again."""
    messages, said = [], []
    for step in range(rng.choice((1, 1, 2, 3))):
        if step and rng.random() < 0.3:
            kind = rng.choice(("daily", "1m", "trades")) if not slices else kind
        rows = (sliced_rows(rng, kind, slices) if slices else daily_rows(rng) if kind == "daily" else trade_rows(rng) if kind == "trades"
                else bar_rows(rng, kind))
        parts = split_in_files(rng, rows) if kind != "trades" or rng.random() < 0.5 else [rows]
        algoseek, files = kind == "trades" and rng.random() < 0.6, []
        for place, part in enumerate(parts):
            ending, content = dressed(rng, part)
            files.append(folder / f"{step}_{place}.{ending}")
            files[-1].write_bytes(content)
        flags = ["--conditions", "algoseek"] if algoseek else []
        if kind not in ("daily", "trades"):
            flags = ["--bar-length", kind] if rng.random() < 0.5 else []
        words = ["import", *files, *flags]
        tapeline.call(*words)
        made = messages_of(kind, itertools.chain(*parts), algoseek)
        messages += made
        seen["rows"] += len(rows)
        said.append(f"{kind}{' algoseek' if algoseek else ''} {len(rows)} rows in {len(parts)} files")
        wrong = compare(tapeline, folder, messages, calendar, seen)
        if wrong:
            return said, [f"after import {step + 1}: {line}" for line in wrong]
    if rng.random() < 0.5:
        tapeline.call(*words)
        said.append("again")
        wrong = compare(tapeline, folder, messages + made, calendar, seen)
    try:
        tapeline.call("audit")
    except RuntimeError as why:
        wrong.append(str(why))
    return said, wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--only", choices=("daily", "1m", "5m", "15m", "30m", "1h", "4h", "trades"))
    arguments.add_argument("--slices", type=pathlib.Path)
    arguments.add_argument("--keep", type=pathlib.Path)
    options = arguments.parse_args()
    seed = options.seed
    work = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tapeline-variants-"))
    work.mkdir(parents=True, exist_ok=True)
    EXCHANGE.write(work / "sessions.csv.gz")
    calendar = marts.Calendar(work / "sessions.csv.gz")
    kinds = ("daily", "trades", "1m", "1h") if options.slices else ("daily", "trades", "1m", "daily", "trades", "1h", "daily", "5m", "trades",
                                                                      "15m", "1m", "30m", "daily", "4h")
    passed = failed = 0
    seen = {"rows": 0, "cells": 0}
    for number in range(options.rounds):
        round_seed = f"variants {seed + number}"
        rng = random.Random(round_seed)
        kind = options.only or kinds[(seed + number) % len(kinds)]
        folder = work / str(seed + number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            said, wrong = play(rng, Tapeline(options.tapeline.resolve(), folder), folder, kind, calendar, options.slices, seen)
        except (RuntimeError, subprocess.TimeoutExpired) as why:
            said, wrong = [kind], [str(why)]
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '} --seed {seed + number}: {'; '.join(said)}", flush=True)
        for line in wrong[:8]:
            print("      ", line[:400])
        if not wrong and not options.keep:
            shutil.rmtree(folder)
    print(f"{seen['rows']} rows imported, {seen['cells']} cells compared")
    if failed:
        print(f"files are in {work}")
    elif not options.keep:
        shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
