#!/usr/bin/env python3
"""Runs tapeline on real Kafka, breaks the brokers meanwhile, and holds the tables against the embedded log's and golden.

    kafka_golden.py TAPELINE [--versions 3.4.0,4.3.1] [--only PART...] [--sets edge] [--data DIR] [--kills 3] [--seed N]

Each part has a fresh broker for each version.

    contract  tests_msglog beside TAPELINE: the contract of a message log, on this broker
    golden    the golden script with TAPELINE_LOG=kafka, for each of the sets
    kills     messages arrive over HTTP while the broker is killed with SIGKILL and started again, --kills times: none is
              lost, none is doubled, the spool fills and drains, and every table equals that of the embedded log
    original  bytes as the original's producer writes them load, and a consumer of the same group sees what is committed
    commands  each topic command answers on Kafka
    back      a topic that was cut, and one that was made anew, are noticed; so is what retention took; each goes on as it says
    tls       TLS, and SASL over it
    three     three brokers, two partitions, replication 3: leaders are killed in turn

Without Java, Maven or their repository everything is skipped. Prints a line a check and `N passed, N failed`.
"""
import argparse
import contextlib
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("e2e", "support", "compat")]
from client import Checks, Tapeline, until
from kafka_broker import PASSWORD, USER, Kafka, NoKafka
from live_tapeline import metrics_of

PARTS = ("contract", "golden", "kills", "original", "commands", "back", "tls", "three")
# What depends on how a log cut the messages into loads, and on our own clock.
TABLES = {
    "raw_stocks.stock_prices": "symbol, \"timestamp\"",
    "stg_stocks.stg_stock_prices": "symbol, \"timestamp\"",
    "int_stocks.int_stock_daily_aggregates": "symbol, price_date",
    "marts_stocks.stock_analytics": "symbol, price_date",
    "marts_stocks.stock_bars_1m": "symbol, bar_start",
}
OURS = {"load_id", "run_id", "fetched_at", "appended_at", "loaded_at", "topic_offset", "received_at", "ingest_lag_seconds", "dbt_loaded_at",
        "updated_at"}
LINES_AT_ONCE = 40


class KafkaTapeline(Tapeline):
    """A tapeline whose topics are on these brokers."""

    def __init__(self, binary, folder, bootstrap, **settings):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(binary, folder)
        self.settings = {"TAPELINE_LOG": "kafka", "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "XDG_DATA_HOME": str(folder / "share"),
                         "XDG_CONFIG_HOME": str(folder / "config"), **settings}

    def call(self, *words, **more):
        return super().call(*words, env={**os.environ, **self.settings}, **more)

    def up(self, **more):
        super().up(environment=self.settings, **more)

    def spool(self):
        return int(metrics_of(self.get("/metrics")[1].decode()).get(("tapeline_msglog_spool_records", ""), 0))

    def metric(self, name):
        return metrics_of(self.get("/metrics")[1].decode()).get((name, ""), 0)


def tables(tapeline):
    """Every row of every table, without what is ours."""
    found = {}
    for table, key in TABLES.items():
        done = tapeline.call("sql", "-c", f"select * from {table} order by {key}", "--format", "json")
        rows = json.loads(done.stdout or "[]") if done.returncode == 0 else [done.stderr]
        found[table] = [{name: value for name, value in row.items() if name not in OURS} if isinstance(row, dict) else row for row in rows]
    return found


def same_tables(checks, name, want, got):
    for table, rows in want.items():
        differ = next((f"{a} is {b}" for a, b in zip(rows, got[table]) if a != b), "")
        checks.check(f"{name}: {table} equals the embedded log's, {len(rows)} rows", rows and rows == got[table],
                     differ or f"{len(got[table])} rows: {got[table][:1]}")


def counted(tapeline):
    sums = ", ".join(f"coalesce(sum({c}), 0)::bigint as {c}" for c in ("consumed", "loaded", "duplicate", "superseded", "dead"))
    return tapeline.rows(f"select {sums}, (select count(*) from raw_stocks.stock_prices) as raw from raw_stocks.loads")[0]


def load_all(tapeline):
    """Runs the DAG until nothing is left to load."""
    for _ in range(10):
        tapeline.call("dag", "trigger", "stock_data_ingestion", "--wait")
        status = json.loads(tapeline.call("status", "--json").stdout or "{}")
        if status.get("lag") == 0:
            return


def messages(binary, folder, files):
    """A set's messages as tapeline makes them of its files, and the tables of the embedded log."""
    embedded = Tapeline(binary, folder)
    done = embedded.call("import", *files)
    if done.returncode:
        raise RuntimeError(f"import: {done.stderr[-400:]}")
    lines = embedded.call("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow", "--json").stdout.splitlines()
    return [json.loads(line)["value"].encode() for line in lines], tables(embedded)


def contract(checks, kafka, given, work):
    tests = given.tapeline.parent / "tests_msglog"
    done = subprocess.run([tests, "--gtest_filter=RealKafka*", "--gtest_brief=1"], capture_output=True, text=True,
                          env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap})
    passed = re.search(r"\[  PASSED  \] (\d+) test", done.stdout)
    checks.check(f"{kafka.version}: contract of a message log, {passed and passed[1]} tests", done.returncode == 0 and passed and int(passed[1]) > 10,
                 done.stdout[-500:])


def golden(checks, kafka, given, work):
    for name in given.sets:
        with fresh(kafka, work / f"golden-{name}") as broker:
            done = subprocess.run([sys.executable, ROOT / "tests" / "golden", given.tapeline, "--data", given.data, "--only", name],
                                  capture_output=True, text=True, env={**os.environ, "TAPELINE_LOG": "kafka", "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap})
            print(done.stdout.rstrip(), flush=True)
            checks.check(f"{kafka.version}: golden {name}", done.returncode == 0, done.stdout[-300:] + done.stderr[-300:])


@contextlib.contextmanager
def fresh(kafka, folder, **more):
    with Kafka(folder, kafka.version, **more) as broker:
        yield broker


def kill_in_turn(kafka, kills, chance, ended):
    """Kills a broker, waits a little, starts it again; over and over."""
    for at in range(kills):
        if ended.wait(chance.uniform(0.5, 2)):
            return
        kafka.kill(1 + at % len(kafka.brokers))
        ended.wait(chance.uniform(0.5, 3))
        kafka.start()


def under_kills(checks, name, kafka, given, work, **settings):
    """Posts a set's messages while brokers die, and compares the tables."""
    chance = random.Random(given.seed)
    files = [given.data / "daily" / f"{given.sets[0]}.csv.gz"]
    lines, want = messages(given.tapeline, work / "embedded", files)
    tapeline = KafkaTapeline(given.tapeline, work / "kafka", kafka.bootstrap, **settings)
    tapeline.up()
    ended = threading.Event()
    killer = threading.Thread(target=kill_in_turn, args=(kafka, given.kills, chance, ended))
    posted, spooled_most, refused = 0, 0, 0
    try:
        killer.start()
        # Spread over the kills; what is left goes when they are over.
        while killer.is_alive() or posted < len(lines):
            lot = lines[posted:posted + LINES_AT_ONCE]
            if lot:
                status, answer = tapeline.post(lot)
                if status == 200:
                    posted += len(lot)
                else:
                    refused += 1
                    print(f"     posting: {status} {answer[:200]}", flush=True)
            spooled_most = max(spooled_most, tapeline.spool())
            time.sleep(0.2 if killer.is_alive() else 0)
        until("the spool is empty", lambda: tapeline.spool() == 0, 120, 0.5)
        tapeline.settle()
    finally:
        ended.set()
        killer.join()
    counts = counted(tapeline)
    checks.check(f"{name}: {len(lines)} messages acknowledged over {given.kills} kills, {refused} posts refused", posted == len(lines) and refused == 0)
    checks.check(f"{name}: none lost, none doubled in raw ({counts})", counts["raw"] == len(lines) and counts["loaded"] == len(lines) and
                 counts["dead"] == 0 and counts["consumed"] == counts["loaded"] + counts["duplicate"] + counts["superseded"], counts)
    checks.check(f"{name}: the spool took over (at most {spooled_most} records)", spooled_most > 0 or len(kafka.brokers) > 1)
    same_tables(checks, name, want, tables(tapeline))
    done = tapeline.call("audit")
    checks.check(f"{name}: audit", done.returncode == 0, done.stdout[-400:] + done.stderr[-400:])
    checks.check(f"{name}: it stops as told", tapeline.stop() == 0, tapeline.last_words())


def kills(checks, kafka, given, work):
    under_kills(checks, f"{kafka.version}, broker killed", kafka, given, work / "kills")


def three(checks, kafka, given, work):
    with fresh(kafka, work / "three-brokers", brokers=3) as brokers:
        under_kills(checks, f"{kafka.version}, three brokers, leaders killed", brokers, given, work / "three",
                    TAPELINE_LOG_PARTITIONS="2", TAPELINE_LOG_REPLICATION="3")


ORIGINAL = ('{"symbol": "%s", "price": %.2f, "high": 151.0, "low": 149.5, "open": 149.75, "volume": 0, '
            '"timestamp": "2025-01-0%dT14:3%d:00", "data_source": "finnhub"}')


def original(checks, kafka, given, work):
    name = f"{kafka.version}, the original's messages"
    tapeline = KafkaTapeline(given.tapeline, work / "original", kafka.bootstrap)
    tapeline.call("import", "/dev/null")  # makes a market directory and the topic, whatever it says of the file
    lines = [ORIGINAL % ("AAPL", 150 + i / 10, 2 + i // 10, i % 10) for i in range(40)]
    sent = subprocess.run([*kafka._java("-Xmx128m"), "kafka.tools.ConsoleProducer", "--bootstrap-server", kafka.bootstrap, "--topic", "stock_prices"],
                          input="\n".join(lines) + "\n", capture_output=True, text=True)
    if sent.returncode:
        sent = subprocess.run([*kafka._java("-Xmx128m"), "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", kafka.bootstrap, "--topic",
                               "stock_prices"], input="\n".join(lines) + "\n", capture_output=True, text=True)
    checks.check(f"{name}: Kafka's own producer wrote {len(lines)}", sent.returncode == 0, sent.stderr[-300:])
    load_all(tapeline)
    counts = counted(tapeline)
    checks.check(f"{name}: loaded", counts["loaded"] == len(lines) and counts["dead"] == 0, counts)
    row = tapeline.rows("select count(*) as n from raw_stocks.stock_prices where volume is null and data_source = 'finnhub'")
    checks.check(f"{name}: volume 0 reads as unknown", row and row[0]["n"] == len(lines), row)
    groups = json.loads(tapeline.call("topic", "groups", "stock_prices", "--json").stdout or "[]")
    checks.check(f"{name}: the group's commits are Kafka's to see",
                 any(g["group"] == "airflow-stock-ingestion-snowflake" and g["kept_in"] == "log" and g["lag"] == 0 for g in groups), groups)


def commands(checks, kafka, given, work):
    name = f"{kafka.version}, commands"
    tapeline = KafkaTapeline(given.tapeline, work / "commands", kafka.bootstrap, TAPELINE_LOG_TOPIC_PREFIX="commands.",
                             TAPELINE_KAFKA_SASL_PASSWORD="s3cr3t-of-the-test")
    tapeline.call("import", given.data / "daily" / "edge.csv.gz")
    answers = {}
    for words, exit in ((("topic", "list"), 0), (("topic", "describe", "stock_prices"), 0), (("topic", "groups", "stock_prices"), 0),
                        (("topic", "lag", "stock_prices"), 0), (("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow"), 0),
                        (("topic", "verify"), 2), (("topic", "accept", "stock_prices"), 0), (("backup", "create", work / "backup"), 2),
                        (("topic", "describe", "stock_price"), 2), (("status",), 0), (("doctor",), None), (("audit",), 0), (("config", "show"), 0)):
        done = tapeline.call(*words)
        answers[" ".join(map(str, words[:2]))] = done.stdout + done.stderr
        if exit is not None:
            checks.check(f"{name}: {' '.join(map(str, words[:3]))} exits {exit}", done.returncode == exit, f"{done.returncode} {done.stdout[-200:]} {done.stderr[-300:]}")
    checks.check(f"{name}: verify says what to use instead", "kafka-dump-log" in answers["topic verify"], answers["topic verify"])
    checks.check(f"{name}: backup says what to use instead", "replicas" in answers["backup create"], answers["backup create"])
    checks.check(f"{name}: doctor names the cluster", "1 broker of cluster" in answers["doctor"], answers["doctor"])
    checks.check(f"{name}: the spool shows in status", "spool" in answers["status"], answers["status"])
    checks.check(f"{name}: no secret is shown", not any("s3cr3t" in text for text in answers.values()) and "***" in answers["config show"])
    produced = tapeline.call("topic", "produce", "stock_prices", input="no quote at all\n")
    checks.check(f"{name}: topic produce", produced.returncode == 0, produced.stderr)
    load_all(tapeline)
    checks.check(f"{name}: a poison message is a dead letter, and what comes after it loads", counted(tapeline)["dead"] == 1, counted(tapeline))


def back(checks, kafka, given, work):
    name = f"{kafka.version}, a log that is not what it was"
    lines = [(ORIGINAL % ("AAPL", 150 + i / 10, 2 + i // 10 % 8, i % 10)).replace(":00\"", f":{i % 60:02}.{i:06}\"") for i in range(600)]
    tapeline = KafkaTapeline(given.tapeline, work / "back", kafka.bootstrap)
    tapeline.call("import", "/dev/null")
    for i in range(0, 300, 50):
        tapeline.call("topic", "produce", "stock_prices", input="\n".join(lines[i:i + 50]) + "\n")
    load_all(tapeline)
    before = counted(tapeline)
    # A power cut: the tail that was only in the page cache is gone; then the topic outgrows what was loaded.
    kafka.kill()
    segment = kafka.segments("stock_prices")[-1]
    with open(segment, "r+b") as file:
        file.truncate(segment.stat().st_size // 2)
    kafka.start()
    for i in range(300, 600, 50):
        tapeline.call("topic", "produce", "stock_prices", input="\n".join(lines[i:i + 50]) + "\n")
    done = tapeline.call("dag", "trigger", "stock_data_ingestion", "--wait")
    status = tapeline.call("status")
    checks.check(f"{name}: a tail that was cut off is noticed, though the topic is longer now", done.returncode != 0 and
                 "is not the one that was loaded" in status.stdout + status.stderr, done.stdout + status.stderr)
    checks.check(f"{name}: nothing was loaded of it", counted(tapeline) == before, (before, counted(tapeline)))
    tapeline.call("topic", "accept", "stock_prices", "--yes")
    load_all(tapeline)
    checks.check(f"{name}: after `topic accept` everything is in raw once", counted(tapeline)["raw"] == len(lines), counted(tapeline))
    # Made anew.
    for tool in ("kafka.admin.TopicCommand", "org.apache.kafka.tools.TopicCommand"):
        if kafka.tool(tool, "--bootstrap-server", kafka.bootstrap, "--delete", "--topic", "stock_prices").returncode == 0:
            break
    time.sleep(2)
    tapeline.call("topic", "produce", "stock_prices", input="\n".join(lines[:20]) + "\n")
    done = tapeline.call("dag", "trigger", "stock_data_ingestion", "--wait")
    said = tapeline.call("status")
    checks.check(f"{name}: a topic made anew is noticed", done.returncode != 0 and "does not reach" in said.stdout + said.stderr, said.stdout + said.stderr)


def tls(checks, kafka, given, work):
    with fresh(kafka, work / "tls-broker", tls=True, sasl=True) as broker:
        ca = {"TAPELINE_KAFKA_SSL_CA_LOCATION": str(broker.ca)}
        login = {**ca, "TAPELINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "TAPELINE_KAFKA_SASL_USERNAME": USER}
        plain = {**login, "TAPELINE_KAFKA_SASL_MECHANISM": "PLAIN", "TAPELINE_KAFKA_SASL_PASSWORD": PASSWORD}
        cases = {"TLS": (broker.tls, {**ca, "TAPELINE_KAFKA_SECURITY_PROTOCOL": "SSL"}, True), "SASL PLAIN over TLS": (broker.sasl, plain, True),
                 "an authority that nobody named": (broker.tls, {"TAPELINE_KAFKA_SECURITY_PROTOCOL": "SSL"}, False),
                 "a wrong password": (broker.sasl, {**plain, "TAPELINE_KAFKA_SASL_PASSWORD": "wr0ng-one"}, False)}
        if broker.has_scram:
            cases["SCRAM over TLS"] = (broker.sasl, {**plain, "TAPELINE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}, None)
        for case, (bootstrap, settings, good) in cases.items():
            tapeline = KafkaTapeline(given.tapeline, work / re.sub(r"\W", "-", case), bootstrap, TAPELINE_LOG_TOPIC_PREFIX=re.sub(r"\W", "-", case) + ".",
                                     **settings)
            said = tapeline.call("doctor").stdout
            answered = "1 broker of cluster" in said
            if good is None:  # as the librdkafka that this was built with can
                checks.check(f"{kafka.version}: {case}: works, or doctor says why not", answered or "cannot do SCRAM with Kafka 4.x" in said, said)
                continue
            checks.check(f"{kafka.version}: {case}: {'answers' if good else 'is refused'}", answered == good, said)
            checks.check(f"{kafka.version}: {case}: no password is shown", PASSWORD not in said and "wr0ng-one" not in said)
            if good:
                done = tapeline.call("import", given.data / "daily" / "edge.csv.gz")
                checks.check(f"{kafka.version}: {case}: a set loads", done.returncode == 0 and counted(tapeline)["loaded"] > 0, done.stderr[-300:])


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("tapeline", type=lambda path: pathlib.Path(path).resolve())
    words.add_argument("--versions", default="3.4.0", type=lambda text: text.split(","))
    words.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    words.add_argument("--sets", default=["edge"], type=lambda text: text.split(","))
    words.add_argument("--data", type=pathlib.Path, default=ROOT / "tests" / "data")
    words.add_argument("--kills", type=int, default=3)
    words.add_argument("--seed", type=int, default=int(time.time()))
    given = words.parse_args()
    print(f"seed {given.seed}", flush=True)
    checks = Checks()
    try:
        for version in given.versions:
            for part in given.only:
                with tempfile.TemporaryDirectory() as folder, Kafka(pathlib.Path(folder) / "broker", version) as kafka:
                    print(f"== Kafka {version}: {part}", flush=True)
                    try:
                        globals()[part](checks, kafka, given, pathlib.Path(folder))
                    except (RuntimeError, subprocess.TimeoutExpired, LookupError, ValueError) as why:
                        checks.check(f"{version}: {part} came to its end", False, repr(why))
    except NoKafka as why:
        print(f"skipped: real Kafka: {why}")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if not checks.failed else 1


if __name__ == "__main__":
    sys.exit(main())
