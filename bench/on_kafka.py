"""The Kafka part of bench/run: one broker of its own, and rows beside bare librdkafka and the original's way.

Rates and latency are bench_kafka's; the rest is the program's, on data directories of their own.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

from program import Table, Tapeline, imported, messages, middle, quantiles, quotes_file, resident_mb, simulated, stop, sync_floor

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "compat"))
from kafka_broker import Kafka, NoKafka

HEADING = "\n## On Kafka\n"
MESSAGES_MAX = 4_000_000
AWAY_SECONDS, AWAY_RATE = 600, 1_000
# A broker as it comes waits three seconds for more members when a group's first one joins.
SETTINGS = ["group.initial.rebalance.delay.ms=3000"]
DISORDER = """select count(*) as rows, count(*) filter (where timestamp <= before) as disordered from (
              select timestamp, lag(timestamp) over (partition by symbol order by topic_offset) as before
              from raw_stocks.stock_prices)"""


def on(kafka, name, **more):
    """The environment of a data directory on the broker."""
    return {"TAPELINE_LOG": "kafka", "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "TAPELINE_LOG_TOPIC_PREFIX": f"{name}-", **more}


def bench(release, *words):
    done = subprocess.run([release / "bench_kafka", *map(str, words)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rates(table, release, kafka, count, pairs):
    rows = bench(release, "rates", kafka.bootstrap, count, pairs)
    of = lambda what: (f"{middle([row[what]['per_s'] for row in rows])} records/s, "
                       f"{middle([row[what]['cpu_us'] for row in rows], '{:.2f}')} CPU-us each")
    ratio = lambda ours, theirs: middle([row[ours]["per_s"] / row[theirs]["per_s"] for row in rows], "{:.2f}x")
    table.add(f"produce, {count:,} records of 137 bytes, one thread", of("produce"),
              f"bare librdkafka, which waits once, at the end: {of('bare_produce')} ({ratio('produce', 'bare_produce')})")
    table.add("produce, two threads", of("produce_by_two"), f"bare librdkafka: {ratio('produce_by_two', 'bare_produce')}")
    table.add("consume", of("consume"), f"bare librdkafka: {of('bare_consume')} ({ratio('consume', 'bare_consume')})")


def imports(table, release, folder, kafka, count):
    file = quotes_file(release, folder, count)
    for compression, said in (("none", ""), ("lz4", ", compressed with lz4")):
        tapeline = Tapeline(release, folder / f"import-{compression}", on(kafka, f"import-{compression}", TAPELINE_KAFKA_COMPRESSION_TYPE=compression))
        sent, loaded, whole = imported(tapeline, file, count)
        table.add(f"file to Kafka to raw, exactly once, `tapeline import`, {count:,} rows{said}", f"{count / loaded:,.0f} messages/s",
                  f"from the command's start; all sent after {sent:.1f} s; with models and tests {count / whole:,.0f}/s")


def metric(port, name):
    page = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    page.request("GET", "/metrics")
    return float(re.search(rf"^{name} (\S+)", page.getresponse().read().decode(), re.MULTILINE)[1])


def away(table, release, folder, kafka):
    """What a feed gives in ten minutes goes to the spool while there is no broker."""
    count = AWAY_SECONDS * AWAY_RATE
    tapeline = Tapeline(release, folder / "away", on(kafka, "away"))
    process, port, _ = tapeline.up("--feed", "none")
    token = (tapeline.folder / "token").read_text().strip()
    lines = messages(release, count, 0).splitlines(keepends=True)
    kafka.kill()
    writer = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.monotonic()
    for i in range(0, count, 5_000):
        writer.request("POST", "/api/v1/topics/stock_prices/records", b"".join(lines[i:i + 5_000]),
                       {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {token}"})
        answer = writer.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the spool took nothing: {answer.status} {body.decode()}")
    spooled = time.monotonic() - began
    waiting, size = metric(port, "tapeline_msglog_spool_records"), metric(port, "tapeline_msglog_spool_size_bytes")
    kafka.start()
    began, drained = time.monotonic(), None
    raw = lambda: tapeline.objects("sql", "-c", "select count(*) as rows from raw_stocks.stock_prices")[0]["rows"]
    while raw() < count:
        if time.monotonic() - began > 300:
            raise SystemExit(f"{raw()} of {count} after five minutes")
        if drained is None and metric(port, "tapeline_msglog_spool_records") == 0:
            drained = time.monotonic() - began
        time.sleep(0.1)
    caught_up = time.monotonic() - began
    found = tapeline.objects("sql", "-c", DISORDER)[0]
    stop(process)
    if (found["rows"], found["disordered"]) != (count, 0):
        raise SystemExit(f"after the broker was away: {found}")
    table.add(f"broker away for {AWAY_SECONDS // 60} minutes of {AWAY_RATE:,} quotes/s: caught up in raw", f"{caught_up:.1f} s",
              f"from the broker's first answer; {waiting:,.0f} records waited in {size / 1e6:.0f} MB of spool, pushed in {spooled:.0f} s; "
              f"spool empty after {min(drained or caught_up, caught_up):.1f} s; {count:,} rows, each symbol in order")


def latency(table, release, folder, kafka, seconds):
    rows = {row["who"]: row for row in bench(release, "latency", kafka.bootstrap, 1_000, max(seconds, 11))}
    of = lambda row: f"p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.1f} ms"
    floor = sync_floor(folder, 4096, 500)
    table.add("produce to consume, 1,000 records/s", of(rows["log"]),
              f"bare librdkafka, linger 0: {of(rows['bare'])}; Kafka syncs nothing; fdatasync {quantiles(floor)}")
    here, _, memory_here = simulated(Tapeline(release, folder / "here"), 1_000, 1, seconds)
    there, cpu, memory = simulated(Tapeline(release, folder / "there", on(kafka, "live")), 1_000, 1, seconds)
    table.add("feed to SSE client through Kafka, 1,000 quotes/s", quantiles(there),
              f"on the embedded log, synced, in the same minute: {quantiles(here)}; {cpu * 100:.0f} % of a core without the broker")
    table.add("memory of `tapeline up` then", f"{memory:.0f} MB", f"on the embedded log {memory_here:.0f} MB; the broker beside it, "
              f"heap up to 512 MB, {resident_mb(kafka.brokers[0].process.pid):.0f} MB")


def original(table, release, folder, kafka, peer):
    """The original's producer and consumer, in kafka-python."""
    sent = 2_000
    ndjson = folder / "original.ndjson"
    ndjson.write_bytes(messages(release, sent, 0))
    topic = "original"
    kafka.topics("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    send = peer.seconds("original_produce", brokers=kafka.bootstrap, topic=topic, ndjson=str(ndjson), messages=sent)
    read = [peer.seconds("original_consume", brokers=kafka.bootstrap, topic=topic, messages=100) for _ in range(3)] if send else [None]
    table.add("the original's producer: a message, flush, wait", f"{sent / send:,.0f} messages/s" if send else "skipped",
              f"{sent:,} messages, kafka-python; by design it sends ten quotes every 60 s")
    table.add("the original's consume of 100 records", f"{middle(read, '{:.2f}')} s" if read[0] else "skipped",
              "its poll settings, three runs; 3 s of each are Kafka's wait for more members; every 5 minutes: 0.33 messages/s by design")


def part(release, folder, given, peer):
    """The section of the page."""
    busy = os.getloadavg()[0]
    if not (release / "bench_kafka").exists():
        print("skipped: Kafka: bench_kafka is not built (-DTAPELINE_BENCH=ON)")
        return f"{HEADING}\nSkipped: `bench_kafka` was not built.\n"
    table, count = Table(), min(given.messages, MESSAGES_MAX)
    with contextlib.ExitStack() as stack:
        try:
            kafka = stack.enter_context(Kafka(folder / "kafka", given.kafka_version, settings=SETTINGS))
        except NoKafka as why:
            print(f"skipped: Kafka: {why}")
            return f"{HEADING}\nSkipped: {why}.\n"
        rates(table, release, kafka, count, given.pairs)
        imports(table, release, folder, kafka, count)
        latency(table, release, folder, kafka, given.seconds)
        away(table, release, folder, kafka)
        original(table, release, folder, kafka, peer)
    rows = "\n".join(f"| {what} | {value} | {beside} |" for what, value, beside in table.rows)
    nice = os.nice(0)
    return f"""{HEADING}
One broker of Kafka {given.kafka_version} on the same {os.cpu_count()} cores, started for it, as it comes; one partition, `acks=all`,
idempotent, not compressed unless said, one run.

| what | value | peer or note |
|---|---|---|
{rows}

Load average before: {busy:.1f}{f', everything measured at niceness {nice}' if nice else ''}. Pairs: {given.pairs}, the order changes. The log waits for
each 10,000 records, as an import does; with two that append, one sends while the other waits. The spool was filled as fast as it
took the records, not over ten minutes. Again: `bench/run build/release --only kafka`.
"""
