#!/usr/bin/env python3
"""Random loads with real dbt: an incremental run must leave what a full refresh would.

    incremental_equals_full.py [--seed N] [--scenarios N] [--steps N]

Each scenario keeps two warehouse files with the same raw rows. One is only ever run incrementally;
the other is run with --full-refresh when they are compared, in every column, load_id included.
A failing scenario prints its seed.
"""
import argparse
import datetime
import pathlib
import random
import sys
import tempfile
import time

import duckdb

from tables import MODELS
from warehouse import RAW, Dbt, differences

DAY = datetime.timedelta(days=1)
START = datetime.date(2024, 1, 1)


class Market:
    """Messages of a few symbols, with everything that may be wrong with them."""

    def __init__(self, rng, days):
        self.rng, self.days = rng, days
        self.symbols = {f"S{i}": START + DAY * rng.randrange(0, max(1, days // 3)) for i in range(rng.randrange(1, 6))}
        self.rows = {}  # (symbol, timestamp) -> row
        self.load_id = 0

    def quote(self, symbol, stamp, source, length, session, price=None, **given):
        price = price if price is not None else round(self.rng.uniform(1, 200), self.rng.choice((0, 2, 4)))
        price = price or 1
        row = dict(symbol=symbol, price=price, volume=self.rng.choice((None, 0, self.rng.randrange(1, 5000))),
                   timestamp=stamp, high=price + 1, low=max(price - 1, 0), open=self.rng.choice((price, None, 0, price + 0.5)),
                   data_source=source, previous_close=None, session=session, bar_length=length,
                   price_date=stamp.date(), price_hour=stamp.hour, received_at=None,
                   appended_at=stamp + datetime.timedelta(seconds=2), topic_offset=len(self.rows))
        row.update(given)
        return row

    def spoil(self, row):
        change = self.rng.choice(({"price": 0}, {"price": -1}, {"volume": -5}, {"high": 1, "low": 2}, {"open": -1}))
        return {**row, **change}

    def day_of(self, symbol, day):
        """Some quotes of one day, from one or several origins."""
        rng, rows = self.rng, []
        noon = datetime.datetime(day.year, day.month, day.day)
        origins = rng.sample([("replay", "1d"), ("simulator", None), ("finnhub", None), ("finnhub-ws", None), ("replay", "1m"),
                              ("replay", "1h"), ("replay", None)], rng.choice((1, 1, 1, 2, 3)))
        for source, length in origins:
            if length == "1d":
                rows.append(self.quote(symbol, noon + datetime.timedelta(hours=20, microseconds=-1), source, length, "regular"))
                continue
            for _ in range(rng.randrange(1, 9)):
                minute = rng.choice((600, 601, 602, 660, 780, 939, rng.randrange(0, 1440)))
                micro = rng.randrange(0, 60_000_000)
                session = "regular" if 570 <= minute < 960 and rng.random() < 0.9 else rng.choice(("pre", "post", "closed"))
                rows.append(self.quote(symbol, noon + datetime.timedelta(minutes=minute, microseconds=micro), source, length, session))
        return [self.spoil(r) if rng.random() < 0.1 else r for r in rows]

    def step(self):
        """One load: a list of rows, new keys or new values of old ones."""
        rng, rows = self.rng, []
        kind = rng.choice(("append", "append", "late", "correct", "vanish", "edge", "return", "ignored", "mixed", "mixed", "many", "session", "bulk"))
        days = {}
        for key, row in self.rows.items():
            days.setdefault((key[0], row["price_date"]), []).append(row)
        own = lambda symbol: sorted(d for s, d in days if s == symbol)
        if kind in ("append", "mixed") or not self.rows:
            for symbol, first in self.symbols.items():
                known = own(symbol)
                day = (known[-1] + DAY * rng.choice((0, 1, 1, 1, 3, 15)) if known else first)
                if rng.random() < 0.8:
                    rows += self.day_of(symbol, day)
        if kind in ("late", "mixed", "many"):
            for _ in range(rng.randrange(1, 4) if kind != "many" else 40):
                rows += self.day_of(rng.choice(list(self.symbols)), START + DAY * rng.randrange(0, self.days))
        if kind == "bulk" and self.days >= 300:  # more days than a model names one by one
            for day in rng.sample(range(self.days), rng.choice((120, self.days * 9 // 10))):
                rows += self.day_of(rng.choice(list(self.symbols)), START + DAY * day)[:2]
        if kind in ("correct", "mixed") and self.rows:
            for row in rng.sample(list(self.rows.values()), min(len(self.rows), rng.randrange(1, 6))):
                rows.append({**row, "price": row["price"] + rng.choice((-0.5, 0.25, 3)), "volume": rng.choice((None, 7, row["volume"]))})
        if kind == "session" and self.rows:
            for row in rng.sample(list(self.rows.values()), min(len(self.rows), 5)):
                rows.append({**row, "session": rng.choice(("pre", "post", "regular")), "data_source": rng.choice(("replay", row["data_source"]))})
        if kind in ("vanish", "edge") and days:
            picked = rng.sample(sorted(days), min(len(days), rng.randrange(1, 4)))
            if kind == "edge":
                symbol = rng.choice(sorted({s for s, _ in days}))
                known = own(symbol)
                picked = [(symbol, d) for d in rng.choice((known[:1], known[-1:], known[:2], known[-2:], known[1:2], known))]
            for key in picked:
                rows += [self.spoil(r) for r in days[key]]
        if kind == "return" and self.rows:
            rows += [{**r, "price": 42, "volume": 10, "high": 43, "low": 41, "open": 42} for r in self.rows.values()
                     if r["price"] <= 0 or (r["volume"] or 0) < 0][:50]
        if kind == "ignored":
            for symbol in self.symbols:
                day = rng.choice(own(symbol) or [START]) + DAY * rng.choice((0, 0, 1, 40))
                noon = datetime.datetime(day.year, day.month, day.day)
                for i in range(3):
                    rows.append(self.quote(symbol, noon + datetime.timedelta(hours=5, minutes=i, microseconds=rng.randrange(10**6)),
                                           "replay", rng.choice((None, "1h")), rng.choice(("pre", "closed")), price=rng.choice((0, 5))))
        rng.shuffle(rows)
        fresh = {}
        for row in rows:
            fresh[row["symbol"], row["timestamp"]] = row
        self.load_id += 1
        for key, row in fresh.items():
            row["load_id"] = self.load_id
            self.rows[key] = row
        return kind, list(fresh.values())


def write(path, rows, load_id):
    """As the loader: the old row of a key is replaced, and the load is counted."""
    with duckdb.connect(path) as connection:
        connection.execute("begin")
        connection.execute("create temp table batch as from raw_stocks.stock_prices limit 0")
        if rows:
            connection.executemany(f"insert into batch ({', '.join(rows[0])}) values ({', '.join('?' * len(rows[0]))})",
                                   [list(r.values()) for r in rows])
        replaced = connection.execute("select count(*) from batch join raw_stocks.stock_prices using (symbol, timestamp)").fetchone()[0]
        connection.execute("insert into raw_stocks.loads (load_id, consumed, loaded, duplicate, superseded, dead) values (?, ?, ?, 0, ?, 0)",
                           [load_id, len(rows), len(rows) - replaced, replaced])
        connection.execute("delete from raw_stocks.stock_prices as p using batch as b "
                           "where p.symbol = b.symbol and p.timestamp = b.timestamp")
        connection.execute("insert into raw_stocks.stock_prices from batch")
        connection.execute("commit")


def compare(left, right):
    with duckdb.connect() as connection:
        connection.execute(f"attach '{left}' as l1 (read_only); attach '{right}' as r1 (read_only)")
        return [line for table in MODELS for line in differences(connection, table, "l1", "r1")]


def scenario(seed, steps):
    rng = random.Random(seed)
    market = Market(rng, rng.choice((6, 40, 300, 700)))
    with tempfile.TemporaryDirectory() as folder:
        kept, fresh = f"{folder}/kept.duckdb", f"{folder}/fresh.duckdb"
        for path in (kept, fresh):
            with duckdb.connect(path) as connection:
                connection.execute(RAW)
        run_kept, run_fresh = Dbt(kept, f"{folder}/t1"), Dbt(fresh, f"{folder}/t2")
        history = []
        limits = ["--vars", "{most_branches: 2, most_ranges: 3}"] if seed % 2 else []  # as if the loads were large
        if rng.random() < 0.7:  # a long history first, in shuffled order
            rows = [r for s, first in market.symbols.items() for i in range(market.days)
                    if rng.random() < 0.9 for r in market.day_of(s, first + DAY * i)]
            market.load_id += 1
            for row in rows:
                row["load_id"] = market.load_id
            market.rows = {(r["symbol"], r["timestamp"]): r for r in rows}
            history.append("history")
            for path in (kept, fresh):
                write(path, list(market.rows.values()), market.load_id)
            if rng.random() < 0.5:
                run_kept("run")
        for step in range(steps):
            for _ in range(rng.choice((1, 1, 1, 2, 5))):  # several loads between two runs
                kind, rows = market.step()
                history.append(kind)
                for path in (kept, fresh):
                    write(path, rows, market.load_id)
            select = rng.choice(([], [], [], ["--select", "stg_stock_prices"], ["--select", "stg_stock_prices", "stock_bars_1m"]))
            run_kept("run", *select, *limits)
            if rng.random() < 0.15:
                run_kept("run", *limits)  # nothing new
            if not select and (rng.random() < 0.35 or step == steps - 1):
                run_fresh("run", "--full-refresh")
                lines = compare(kept, fresh)
                if lines:
                    print(f"FAIL seed {seed} step {step} after {' '.join(history[-8:])}")
                    for line in lines[:12]:
                        print("      ", line)
                    return False
        run_kept("run")
        run_kept("test")
        run_kept("test", "--vars", f"touched_after_load_id: {market.load_id - rng.randrange(0, 3)}")
        run_fresh("run", "--full-refresh")
        lines = compare(kept, fresh)
        print(f"{'FAIL' if lines else 'ok  '} seed {seed}: {len(market.rows)} rows, {len(history)} loads: {' '.join(history)}", flush=True)
        for line in lines[:12]:
            print("      ", line)
        return not lines


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--scenarios", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=6)
    options = arguments.parse_args()
    started, good = time.monotonic(), True
    for seed in range(options.seed, options.seed + options.scenarios):
        good &= scenario(seed, options.steps)
    print(f"{options.scenarios} scenarios in {time.monotonic() - started:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
