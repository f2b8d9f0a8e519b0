#!/usr/bin/env python3
"""The same rows as CSV and as Parquet, as pandas, pyarrow and DuckDB write them, make the same raw table.

    columnar.py TAPELINE        # a Python with pandas, pyarrow and duckdb

Each case is a frame that is written once as CSV and once as Parquet, with the types that people
have in such files; both are imported, and raw is compared cell by cell.
"""
import datetime
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

RAW = "select * exclude (received_at, appended_at, topic_offset, load_id) from raw_stocks.stock_prices order by symbol, \"timestamp\""


def frames():
    rng = random.Random(3)
    count = 3000
    at = pd.Series([pd.Timestamp("2024-01-02 14:30:00") + pd.Timedelta(milliseconds=7 * i + rng.randrange(7)) for i in range(count)])
    price = [round(100 + rng.gauss(0, 3), rng.choice((0, 2, 4, 6))) for _ in range(count)]
    trades = pd.DataFrame({"timestamp": at, "symbol": [rng.choice(("AAPL", "MSFT")) for _ in range(count)], "price": price,
                           "size": [rng.randrange(1, 900) for _ in range(count)]})
    yield "trades, doubles, no zone", trades, {}
    yield "trades, UTC", trades.assign(timestamp=at.dt.tz_localize("UTC")), {}
    yield "trades, New York's zone", trades.assign(timestamp=at.dt.tz_localize("UTC").dt.tz_convert("America/New_York")), {}
    yield "trades, nanoseconds", trades.assign(timestamp=at + pd.to_timedelta([rng.randrange(1000) for _ in range(count)], "ns")), {}
    yield "trades, milliseconds", trades, {"coerce_timestamps": "ms", "allow_truncated_timestamps": True}
    yield "trades, INT96", trades, {"use_deprecated_int96_timestamps": True}
    yield "trades, single precision", trades.assign(price=pd.Series(price, dtype="float32")), {}
    yield "trades, sums of doubles", trades.assign(price=[0.1 + 0.2 + p for p in price]), {}
    yield "trades, dictionary", trades.assign(symbol=trades.symbol.astype("category")), {"use_dictionary": True}
    yield "trades, sizes as doubles", trades.assign(size=trades["size"].astype(float)), {}
    yield "trades, small integers", trades.assign(size=trades["size"].astype("uint16")), {}
    yield "trades, times as text", trades.assign(timestamp=at.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")), {}
    yield "trades, columns nobody knows", trades.assign(venue="X", tags=[["a", "b"]] * count, nothing=None), {}
    yield "trades, plain and uncompressed", trades, {"compression": "none", "use_dictionary": False, "data_page_size": 1000}
    yield "trades, many row groups", trades, {"row_group_size": 100, "compression": "gzip"}
    yield "trades, version 2 pages", trades, {"version": "2.6", "data_page_version": "2.0", "compression": "zstd"}
    days = pd.bdate_range("2023-01-03", periods=200)
    bars = pd.DataFrame({"date": days, "symbol": "IBM", "open": 100.0, "high": 110.5, "low": 90.25, "close": [100 + i / 8 for i in range(200)],
                         "volume": [float(1000 * i) if i % 7 else None for i in range(200)]})
    yield "bars, dates as midnights", bars, {}
    yield "bars, dates", bars.assign(date=days.date), {}
    yield "bars, dates as text", bars.assign(date=days.strftime("%Y-%m-%d")), {}
    yield "bars, New York's midnights", bars.assign(date=days.tz_localize("America/New_York")), {}
    minutes = pd.DataFrame({"timestamp": pd.date_range("2024-01-02 14:30", periods=300, freq="min", tz="UTC"), "symbol": "SPY", "open": 1.0, "high": 2.0,
                            "low": 0.5, "close": 1.5, "volume": pd.array([10, None, 30] * 100, dtype="Int64")})
    yield "bars of a minute, missing volumes", minutes, {}


def raw_of(tapeline, folder, file):
    data = pathlib.Path(folder) / f"{file.suffix[1:]}-{file.stem}"
    done = subprocess.run([tapeline, "import", file, "--data-dir", data], capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr
    return subprocess.run([tapeline, "sql", "-c", RAW, "--format", "csv", "--data-dir", data], capture_output=True, text=True, check=True).stdout


def compare(tapeline, name, write_csv, write_parquet):
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / "f.csv", pathlib.Path(folder) / "f.parquet"]
        write_csv(files[0])
        write_parquet(files[1])
        csv, parquet = (raw_of(tapeline, folder, file) for file in files)
    same = csv == parquet and csv.count("\n") > 50
    print(f"{'ok  ' if same else 'FAIL'} {name}" + ("" if same else f"\n  CSV: {csv[:600]}\n  Parquet: {parquet[:600]}"), flush=True)
    return same


def main():
    tapeline = sys.argv[1]
    results = []
    for name, frame, options in frames():
        table = pa.Table.from_pandas(frame, preserve_index=False)
        plain = frame.drop(columns="tags", errors="ignore")
        results.append(compare(tapeline, name, lambda file: plain.to_csv(file, index=False), lambda file: pq.write_table(table, file, **options)))
    decimals = ("select timestamp '2024-01-02 14:30:00' + to_milliseconds(i * 13) as timestamp, 'AAPL' as symbol, (100 + i / 1000)::decimal(12, 4) as price, "
                "i::hugeint + 1 as size from range(2000) t(i)")
    writer = duckdb.connect()
    results.append(compare(tapeline, "trades, decimals and wide integers, by DuckDB", lambda file: writer.execute(f"copy ({decimals}) to '{file}' (header)"),
                           lambda file: writer.execute(f"copy ({decimals.replace('i::hugeint', 'i')}) to '{file}'")))
    wide = decimals.replace("timestamp '2024-01-02 14:30:00'", "timestamptz '2024-01-02 14:30:00+00'").replace("decimal(12, 4)", "decimal(38, 10)")
    writer.execute("set timezone = 'America/New_York'")
    results.append(compare(tapeline, "trades, zoned times and 38 digits, by DuckDB", lambda file: writer.execute(f"copy ({decimals}) to '{file}' (header)"),
                           lambda file: writer.execute(f"copy ({wide.replace('i::hugeint', 'i')}) to '{file}'")))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
