#!/usr/bin/env python3
"""Compares the models under real dbt with tests/oracle/marts.py on random messages.

    oracle_equals_models.py [--seed N] [--scenarios N] [--messages N]

The raw rows come from the oracle (there is no loader here), in several loads; so the four models are
compared, not the loading.
"""
import argparse
import csv
import datetime
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb

from tables import MODELS
from warehouse import RAW, Dbt

ORACLE = pathlib.Path(__file__).resolve().parents[1] / "oracle/marts.py"


def messages(rng, count):
    """Messages of some symbols over many days, some twice, some corrected, some broken, in random order."""
    start, made = datetime.datetime(2024, 2, 25, 5), []
    days, lengths = rng.choice((3, 60, 400)), (None, None, None, "1d", "1m", "1h")
    level = {f"S{i}": rng.uniform(0.5, 300) for i in range(rng.randrange(1, 5))}
    for place in range(count):
        if made and rng.random() < 0.15:
            old = dict(rng.choice(made))
            if rng.random() < 0.6:
                old["price"] = round(old["price"] * 1.01, 4)
            made.append(old)
            continue
        symbol = rng.choice(list(level))
        level[symbol] *= rng.uniform(0.95, 1.06)
        price = round(level[symbol], rng.choice((0, 2, 6))) or 1
        at = start + datetime.timedelta(days=rng.randrange(days), minutes=rng.choice((600, 601, rng.randrange(1140))),
                                        microseconds=rng.randrange(60_000_000))
        made.append({"symbol": symbol, "price": price, "high": round(price * 1.01, 4), "low": round(price * 0.99, 4),
                     "open": rng.choice((price, None, 0)), "volume": rng.choice((None, 0, rng.randrange(10_000))),
                     "timestamp": at.isoformat() + "Z", "session": rng.choice(("regular", "regular", "regular", "pre", "post")),
                     "data_source": rng.choice(("replay", "finnhub", "finnhub-ws")), "bar_length": rng.choice(lengths),
                     "previous_close": rng.choice((None, price)), "schema_version": 1})
        if rng.random() < 0.05:
            made[-1].update(rng.choice(({"price": -1}, {"volume": -3}, {"high": 0.1}, {"open": -2})))
    return made


def export(connection, folder):
    for table in MODELS:
        found = connection.execute(f"select * from {table}")
        names = [c[0] for c in found.description]
        with open(folder / f"{table.split('.')[1]}.csv", "w", newline="") as text:
            out = csv.writer(text, lineterminator="\n")
            out.writerow(names)
            for row in found.fetchall():
                out.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else
                              v.isoformat() + "Z" if isinstance(v, datetime.datetime) else repr(v) if isinstance(v, float) else v
                              for v in row])


def scenario(seed, count):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        path = folder / "stocks_fin.duckdb"
        dbt = Dbt(path, folder / "target")
        with duckdb.connect(str(path)) as connection:
            connection.execute(RAW)
        lines, load_id = [], 0
        for place, message in enumerate(messages(rng, count)):
            load_id += place % max(1, count // 3) == 0
            value = "{" if rng.random() < 0.01 else json.dumps(message)
            lines.append(json.dumps({"offset": place, "value": value, "appended_at": "2025-06-01T00:00:00Z", "load_id": load_id}))
        for upto in range(1, load_id + 1):
            so_far = [line for line in lines if json.loads(line)["load_id"] <= upto]
            (folder / "messages.ndjson").write_text("\n".join(so_far) + "\n")
            subprocess.run([sys.executable, ORACLE, folder / "messages.ndjson", folder / "want"], check=True, capture_output=True)
            with duckdb.connect(str(path)) as connection:
                # The oracle's staging rows hold what raw must: values, load_id, and appended_at by the lag.
                connection.execute(f"""
                  create temp table want as select * from read_csv('{folder}/want/stg_stock_prices.csv', all_varchar=true);
                  delete from raw_stocks.stock_prices;
                  insert into raw_stocks.stock_prices by name select symbol, price, volume,
                    cast(replace("timestamp", 'Z', '') as timestamp) as "timestamp", high, low, open, data_source, previous_close,
                    session, bar_length, price_date, price_hour, load_id, timestamp '2025-06-01' as appended_at from want""")
            dbt("run")
        with duckdb.connect(str(path), read_only=True) as connection:
            export(connection, folder)
        done = subprocess.run([sys.executable, ORACLE, folder / "messages.ndjson", folder / "want", "--against", folder],
                              capture_output=True, text=True)
        print(f"seed {seed}: {done.stderr.strip()}\n{done.stdout}", end="", flush=True)
        return done.returncode == 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--scenarios", type=int, default=4)
    arguments.add_argument("--messages", type=int, default=4000)
    options = arguments.parse_args()
    good = [scenario(seed, options.messages) for seed in range(options.seed, options.seed + options.scenarios)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
