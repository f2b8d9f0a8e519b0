"""The peers of bench/run, each in a process of its own: PYTHON bench/peers.py WHAT, arguments as JSON on stdin.

Prints one line of JSON with the seconds that the measured part took. Needs the package duckdb; `pandas` needs pandas,
what sends and reads on Kafka kafka-python.
"""

import json
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ("{symbol: 'VARCHAR', price: 'DECIMAL(18,6)', high: 'DECIMAL(18,6)', low: 'DECIMAL(18,6)', "
           "open: 'DECIMAL(18,6)', volume: 'BIGINT', timestamp: 'TIMESTAMP', data_source: 'VARCHAR'}")


def connect(path, memory=None):
    import duckdb
    base = duckdb.connect(path)
    base.execute("set threads = 2")
    base.execute("set enable_progress_bar = false")
    if memory:
        base.execute(f"set memory_limit = '{memory}B'")
    return base


def plain_sql(database, memory):
    """bench/plain.sql from a loaded raw table, its checkpoint included."""
    base = connect(database, memory)
    began = time.monotonic()
    base.execute((HERE / "plain.sql").read_text())
    return time.monotonic() - began


def models(database, statements):
    """The shipped models' compiled SQL, from a loaded raw table."""
    base = connect(database)
    began = time.monotonic()
    for schema, name, sql in statements:
        base.execute(f"create schema if not exists {schema}")
        base.execute(f"create or replace table {schema}.{name} as {sql}")
    base.execute("checkpoint")
    return time.monotonic() - began


def read_json(database, ndjson):
    """Messages into a table by DuckDB's own reader of JSON: no log, no keys, no offsets."""
    base = connect(database)
    began = time.monotonic()
    base.execute(f"create table raw as select * from read_json('{ndjson}', format = 'newline_delimited', "
                 f"columns = {COLUMNS})")
    base.execute("checkpoint")
    return time.monotonic() - began


def read_csv(database, csv):
    """A file of quotes into a table by DuckDB's own reader of CSV: no log, no keys, no offsets."""
    base = connect(database)
    began = time.monotonic()
    base.execute(f"create table raw as select * from read_csv('{csv}')")
    base.execute("checkpoint")
    return time.monotonic() - began


def pandas(ndjson):
    """Staging, days, minutes and moving averages in memory, from a frame that is already there; nothing is stored."""
    import pandas as pd
    base = connect(":memory:")
    frame = base.execute(f"select symbol, price::double as price, high::double as high, low::double as low, "
                         f"open::double as open, volume, timestamp from read_json('{ndjson}', "
                         f"format = 'newline_delimited', columns = {COLUMNS})").df()
    base.close()
    began = time.monotonic()
    frame = frame.sort_values(["symbol", "timestamp"], kind="stable")
    frame["is_valid"] = ~((frame.price <= 0) | (frame.volume < 0) | (frame.high < frame.low) | (frame.open < 0))
    frame["change"] = frame.groupby("symbol", sort=False).price.pct_change() * 100
    frame["price_date"] = frame.timestamp.dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    frame["minute"] = frame.timestamp.dt.floor("min")
    rules = {"open": ("price", "first"), "high": ("price", "max"), "low": ("price", "min"),
             "close": ("price", "last"), "volume": ("volume", "sum"), "count": ("price", "size")}
    frame.groupby(["symbol", "minute"], sort=False).agg(**rules)
    days = frame.groupby(["symbol", "price_date"]).agg(**rules).reset_index()
    for rows in (7, 30):
        days[f"ma_{rows}"] = days.groupby("symbol").close.transform(lambda close, n=rows: close.rolling(n).mean())
    return time.monotonic() - began


def original(database, ndjson, messages):
    """As the system that this one follows: json.loads a message, a row an INSERT, 100 records a commit."""
    base = connect(database)
    base.execute("create table raw (symbol varchar, price double, volume bigint, timestamp timestamp, high double, "
                 "low double, open double, data_source varchar)")
    lines = pathlib.Path(ndjson).open().readlines()[:messages]
    began = time.monotonic()
    for first in range(0, len(lines), 100):
        base.execute("begin")
        for line in lines[first:first + 100]:
            m = json.loads(line)
            base.execute("insert into raw values (?, ?, ?, ?, ?, ?, ?, ?)",
                         [m["symbol"], m["price"], m["volume"], m["timestamp"], m["high"], m["low"], m["open"],
                          m["data_source"]])
        base.execute("commit")
    return time.monotonic() - began


def original_produce(brokers, topic, ndjson, messages):
    """As the original's producer: a message, its answer, a flush, the next message."""
    import kafka
    with open(ndjson, encoding="utf-8") as file:
        quotes = [json.loads(next(file)) for _ in range(messages)]
    producer = kafka.KafkaProducer(bootstrap_servers=brokers, value_serializer=lambda value: json.dumps(value).encode(),
                                   acks="all", retries=3)
    producer.send(topic, quotes[0]).get(timeout=10)  # connected
    began = time.monotonic()
    for quote in quotes:
        producer.send(topic, quote).get(timeout=10)
        producer.flush()
    took = time.monotonic() - began
    producer.close()
    return took


def original_consume(brokers, topic, messages):
    """As the original's task: joins its group, reads up to 100 records, leaves. From the start, or it would read none."""
    import kafka
    began = time.monotonic()
    consumer = kafka.KafkaConsumer(topic, bootstrap_servers=brokers, group_id="airflow-stock-ingestion-snowflake",
                                   auto_offset_reset="earliest", enable_auto_commit=True, consumer_timeout_ms=10_000,
                                   max_poll_records=messages, value_deserializer=json.loads)
    read = 0
    for _ in consumer:
        read += 1
        if read == messages:
            break
    consumer.close()
    assert read == messages, read
    return time.monotonic() - began


PEERS = {"plain_sql": plain_sql, "models": models, "read_json": read_json, "read_csv": read_csv, "pandas": pandas,
         "original": original, "original_produce": original_produce, "original_consume": original_consume}

if __name__ == "__main__":
    print(json.dumps({"seconds": PEERS[sys.argv[1]](**json.load(sys.stdin))}))
