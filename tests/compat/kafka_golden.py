#!/usr/bin/env python3
"""Runs tapeline on real Kafka and holds what it does against golden, and against what the original did.

    kafka_golden.py TAPELINE [--versions 3.4.0,4.3.1] [--only PART...] [--sets edge] [--data DIR]

Each part has a fresh broker for each version. What breaks while messages come in is in kafka_faults.py.

    contract  tests_msglog beside TAPELINE: the contract of a message log, on this broker
    golden    the golden script with TAPELINE_LOG=kafka, for each of the sets
    original  what a Python producer as the original's writes loads; a consumer as the original's reads ours, and sees our commits
    commands  each topic command answers on Kafka
    back      a topic that was cut, and one that was made anew, are noticed; so is what retention took; each goes on as it says
    faults    partitions added, records removed by retention, a message too large, an unknown topic, a start without Kafka
    logins    TLS, and over it PLAIN, SCRAM and OAUTHBEARER: works, or it is said what to change

Without Java, Maven or their repository everything is skipped. Prints a line a check and `N passed, N failed`.
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

from kafka_tapeline import ROOT, KafkaTapeline, counted, fresh, load_all, run, until
from kafka_broker import PASSWORD, USER, Kafka

PARTS = ("contract", "golden", "original", "commands", "back", "faults", "logins")
CLIENTS = ROOT / "third_party" / "kafka-clients"  # a Python with confluent-kafka and kafka-python


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


ORIGINAL = ('{"symbol": "%s", "price": %.2f, "high": 151.0, "low": 149.5, "open": 149.75, "volume": 0, '
            '"timestamp": "2025-01-0%dT14:3%d:00", "data_source": "finnhub"}')


def original(checks, kafka, given, work):
    name = f"{kafka.version}, the original's clients"
    python = CLIENTS / "bin" / "python"
    if not python.exists():
        print(f"skipped: {name}: third_party/kafka-clients is not there (make test-real-full)")
        return
    speak = lambda *words: subprocess.run([python, ROOT / "tests" / "compat" / "original_clients.py", *map(str, words)], capture_output=True, text=True)
    tapeline = KafkaTapeline(given.tapeline, work / "original", kafka.bootstrap)
    tapeline.call("import", "/dev/null")  # makes a market directory and the topic, whatever it says of the file
    done = speak("produce", kafka.bootstrap, 200)
    sent = [json.loads(line) for line in done.stdout.splitlines()]
    checks.check(f"{name}: its producer wrote {len(sent)}", len(sent) == 200, done.stderr[-300:])
    keys = {json.loads(line)["key"] for line in tapeline.call("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow", "--json").stdout.splitlines()}
    checks.check(f"{name}: without a key", keys <= {"", None} and keys, keys)
    load_all(tapeline)
    counts = counted(tapeline)
    checks.check(f"{name}: all are loaded", counts["loaded"] == len(sent) and counts["dead"] == 0, counts)
    rows = tapeline.rows('select symbol, "timestamp"::varchar as at, price::double as price, high::double as high, low::double as low, open::double as open, '
                         'volume, data_source, session::varchar as session from raw_stocks.stock_prices order by "timestamp"')
    want = [{"symbol": m["symbol"], "at": m["timestamp"].replace("T", " "), "price": m["price"], "high": m["high"], "low": m["low"], "open": m["open"],
             "volume": None, "data_source": "finnhub", "session": "regular"} for m in sent]
    wrong = [pair for pair in zip(want, rows) if any(abs(pair[0][c] - pair[1][c]) > 5e-7 if isinstance(pair[0][c], float) else pair[0][c] != pair[1][c] for c in want[0])]
    checks.check(f"{name}: a time without a zone is UTC, volume 0 is unknown, the rest is as it was sent", len(rows) == len(want) and not wrong, wrong[:2])
    groups = json.loads(tapeline.call("topic", "groups", "stock_prices", "--json").stdout or "[]")
    checks.check(f"{name}: the group's commits are Kafka's to see",
                 any(g["group"] == "airflow-stock-ingestion-snowflake" and g["kept_in"] == "log" and g["lag"] == 0 for g in groups), groups)
    tapeline.call("import", given.data / "daily" / "edge.csv.gz")
    ours = tapeline.rows("select count(*) as n from raw_stocks.stock_prices")[0]["n"] - len(sent)
    done = speak("consume", kafka.bootstrap, "another-group")
    read = [json.loads(line) for line in done.stdout.splitlines()]
    checks.check(f"{name}: its consumer reads its own {len(sent)} and our {ours}", len(read) == len(sent) + ours and ours > 0 and read[:200] == [{c: m[c] for c in read[0]} for m in sent],
                 (len(read), done.stderr[-600:]))
    checks.check(f"{name}: and finds its fields in ours", all(row[c] is not None for row in read[200:] for c in ("symbol", "price", "timestamp", "data_source")), read[-1:])
    # As the DAG of the original: from where tapeline's commits stand. Its own membership then keeps us from committing, and nothing else.
    speak("produce", kafka.bootstrap, 5)
    read = speak("consume", kafka.bootstrap, "airflow-stock-ingestion-snowflake").stdout.splitlines()
    checks.check(f"{name}: as a member of our group it reads on where we had committed", len(read) == 5, len(read))


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
    page = (ROOT / "docs" / "how-to" / "use-kafka.md").read_text()
    tapeline.up()
    greeting = (tapeline.folder / "up.log").read_text()
    checks.check(f"{name}: up says which log it is", f"log         Kafka at {kafka.bootstrap}" in greeting, greeting)
    families = set(re.findall(r"^# TYPE (tapeline_msglog_(?:kafka|spool)_\w+) ", tapeline.get("/metrics")[1].decode(), re.M))
    tapeline.stop()
    said = set()
    for row in re.findall(r"^\| (`tapeline_msglog_.*?) \|", page, re.M):
        first, *more = re.findall(r"`(\w+)`", row)
        place = re.match(r"tapeline_msglog_(?:kafka|spool)", first)[0]
        said |= {first} | {(first.rsplit("_spooled", 1)[0] if "_drained" in one or "_refused" in one else place) + one for one in more}
    checks.check(f"{name}: the page tells the metrics", families == said, sorted(families ^ said))
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
    kafka.topics("--delete", "--topic", "stock_prices")
    time.sleep(2)
    tapeline.call("topic", "produce", "stock_prices", input="\n".join(lines[:20]) + "\n")
    done = tapeline.call("dag", "trigger", "stock_data_ingestion", "--wait")
    said = tapeline.call("status")
    checks.check(f"{name}: a topic made anew is noticed", done.returncode != 0 and "does not reach" in said.stdout + said.stderr, said.stdout + said.stderr)


def faults(checks, kafka, given, work):
    name = f"{kafka.version}, faults"
    lines = [(ORIGINAL % (("AAPL", "MSFT", "IBM", "TSLA")[i % 4], 150 + i / 10, 2 + i // 10 % 8, i % 10)).replace(":00\"", f":{i % 60:02}.{i:06}\"")
             for i in range(400)]
    tapeline = KafkaTapeline(given.tapeline, work / "faults", kafka.bootstrap)
    tapeline.call("import", "/dev/null")
    produce = lambda some, **more: tapeline.call("topic", "produce", "stock_prices", input="\n".join(some) + "\n", **more)
    produce(lines[:100])
    load_all(tapeline)
    # Partitions are added; the symbols spread over them.
    kafka.topics("--alter", "--topic", "stock_prices", "--partitions", 3)
    produce(lines[100:200])
    load_all(tapeline)
    done = tapeline.call("audit")
    checks.check(f"{name}: partitions that were added are loaded", counted(tapeline)["raw"] == 200 and done.returncode == 0, done.stdout + done.stderr)
    described = json.loads(tapeline.call("topic", "describe", "stock_prices", "--json").stdout or "[]")
    checks.check(f"{name}: three partitions, and something in more than one",
                 len(described) == 3 and sum(one["end"] > 0 for one in described) > 1, described)
    # Retention takes what nobody has loaded: its records are deleted, as its own thread would.
    ends = {one["partition"]: one["end"] for one in described}
    produce(lines[200:300])
    described = json.loads(tapeline.call("topic", "describe", "stock_prices", "--json").stdout)
    lost = {one["partition"]: (one["end"] - ends[one["partition"]]) // 2 for one in described}
    wanted = work / "delete.json"
    wanted.write_text(json.dumps({"version": 1, "partitions": [{"topic": "stock_prices", "partition": at, "offset": ends[at] + gone}
                                                              for at, gone in lost.items() if gone > 0]}))
    deleted = kafka.tool("DeleteRecordsCommand", "--bootstrap-server", kafka.bootstrap, "--offset-json-file", wanted)
    load_all(tapeline)
    gaps = tapeline.rows("select feed, cause from raw_stocks.gaps where cause = 'retention'")
    checks.check(f"{name}: what retention took ({sum(lost.values())} messages) is a gap in each partition",
                 len(gaps) == sum(gone > 0 for gone in lost.values()) > 0, (gaps, deleted.stdout, deleted.stderr))
    empty = tapeline.rows("select sum(next_offset - first_offset)::bigint as n from raw_stocks.loads where consumed = 0")
    checks.check(f"{name}: and loads without messages say which", empty and empty[0]["n"] == sum(lost.values()), empty)
    checks.check(f"{name}: the rest is loaded", counted(tapeline)["raw"] == 300 - sum(lost.values()), counted(tapeline))
    # A topic that takes only short messages.
    kafka.topics("--create", "--topic", "small.stock_prices", "--config", "max.message.bytes=300")
    small = KafkaTapeline(given.tapeline, work / "small", kafka.bootstrap, TAPELINE_LOG_TOPIC_PREFIX="small.", TAPELINE_KAFKA_COMPRESSION_TYPE="none")
    small.call("import", "/dev/null")
    done = small.call("topic", "produce", "stock_prices", input=lines[0].replace("finnhub", "x" * 400) + "\n")
    checks.check(f"{name}: a message that is too large for the topic is refused, and what to change is said",
                 done.returncode == 2 and "max.message.bytes" in done.stderr, done.stderr)
    checks.check(f"{name}: a short one goes", small.call("topic", "produce", "stock_prices", input=lines[0] + "\n").returncode == 0)
    done = tapeline.call("topic", "tail", "nothing")
    checks.check(f"{name}: an unknown topic is said to be", done.returncode == 2 and "there is no topic 'nothing'" in done.stderr, done.stderr)
    # Away from the start: it starts all the same, takes messages, and loads them once Kafka is there.
    kafka.stop()
    done = produce(lines[300:])
    checks.check(f"{name}: without Kafka messages are taken, and it is said that they wait", done.returncode == 0 and "100 records wait in the spool" in done.stderr,
                 done.stdout + done.stderr)
    status = tapeline.call("status")
    checks.check(f"{name}: status shows them and since when", "100 records wait" in status.stdout and "the first for" in status.stdout, status.stdout + status.stderr)
    kafka.start()
    tapeline.up()
    until("the spool is empty", lambda: tapeline.spool() == 0 and tapeline.metric("tapeline_msglog_spool_records_drained_total") >= 100, 60, 0.5)
    until("all is loaded", lambda: tapeline.status().get("lag") == 0 and counted(tapeline)["raw"] == 400 - sum(lost.values()), 60, 0.5)
    checks.check(f"{name}: and go to Kafka with the next `up`", counted(tapeline)["raw"] == 400 - sum(lost.values()), counted(tapeline))
    checks.check(f"{name}: it stops as told", tapeline.stop() == 0, tapeline.last_words())


def newer_librdkafka():
    """The folder with the librdkafka that Python's Kafka client brings along, in the name that tapeline looks for; None where it is not there."""
    found = sorted(CLIENTS.glob("lib/python3*/site-packages/confluent_kafka.libs/librdkafka*.so.1"))
    folder = CLIENTS / "newer"
    if found and not folder.exists():
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):  # two versions are tried at once
            (folder / "librdkafka.so.1").symlink_to(found[0])
    return folder if found else None


def logins(checks, kafka, given, work):
    tokens = {"sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER" + (",SCRAM-SHA-256,SCRAM-SHA-512" if kafka.has_scram else ""),
              "oauthbearer.sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                                              f'unsecuredLoginStringClaim_sub="{USER}";'}
    with fresh(kafka, work / "logins-broker", tls=True, sasl=True, settings=[f"listener.name.sasl.{name}={value}" for name, value in tokens.items()]) as broker:
        login(checks, broker, given, work)
    if not kafka.has_scram:  # that came with 3.5, where there is no Zookeeper
        with Kafka(work / "scram-broker", "3.7.1", tls=True, sasl=True) as broker:
            login(checks, broker, given, work / "scram", only="SCRAM")


def login(checks, broker, given, work, only=""):
    """Each way to log in, with the librdkafka of this machine, and with a newer one: works, or it is said what to change."""
    ca = {"TAPELINE_KAFKA_SSL_CA_LOCATION": str(broker.ca)}
    by = lambda mechanism, password=PASSWORD: {**ca, "TAPELINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "TAPELINE_KAFKA_SASL_USERNAME": USER,
                                               "TAPELINE_KAFKA_SASL_MECHANISM": mechanism, "TAPELINE_KAFKA_SASL_PASSWORD": password}
    unsigned = {**ca, "TAPELINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "TAPELINE_KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
    unsigned_now = {**unsigned, "TAPELINE_KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT": "true",
                    "TAPELINE_KAFKA_SASL_OAUTHBEARER_CONFIG": f"principal={USER} lifeSeconds=4"}
    newer, refused = newer_librdkafka(), "refuses the login"
    old_scram = "cannot do SCRAM with Kafka 4.x" if broker.major >= 4 else None
    cases = [("TLS", broker.tls, {**ca, "TAPELINE_KAFKA_SECURITY_PROTOCOL": "SSL"}, None, None),
             ("an authority that nobody named", broker.tls, {"TAPELINE_KAFKA_SECURITY_PROTOCOL": "SSL"}, "certificate", None),
             ("PLAIN", broker.sasl, by("PLAIN"), None, None),
             ("PLAIN with a wrong password", broker.sasl, by("PLAIN", "wr0ng-one"), refused, None),
             ("OAUTHBEARER without tokens", broker.sasl, unsigned, "has no tokens", None),
             ("OAUTHBEARER, unsigned tokens", broker.sasl, unsigned_now, "2.2.0 or later", None),
             ("OAUTHBEARER, unsigned tokens, a newer librdkafka", broker.sasl, unsigned_now, None, newer)]
    if broker.has_scram:
        for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            cases += [(kind, broker.sasl, by(kind), old_scram, None),
                      (f"{kind} with a wrong password", broker.sasl, by(kind, "wr0ng-one"), old_scram or "SCRAM", None),
                      (f"{kind}, a newer librdkafka", broker.sasl, by(kind), None, newer),
                      (f"{kind} with a wrong password, a newer librdkafka", broker.sasl, by(kind, "wr0ng-one"), refused, newer)]
    for case, bootstrap, settings, wrong, library in cases:
        if only not in case:
            continue
        if "newer" in case and not library:
            print(f"skipped: {case}: third_party/kafka-clients is not there (make test-real-full)")
            continue
        folder, name = re.sub(r"\W+", "-", case), f"{broker.version}: {case}"
        if library:
            settings = {**settings, "LD_LIBRARY_PATH": str(library)}
        tapeline = KafkaTapeline(given.tapeline, work / folder, bootstrap, TAPELINE_LOG_TOPIC_PREFIX=f"{folder}.", **settings)
        said = tapeline.call("doctor").stdout
        answered = "1 broker of cluster" in said
        checks.check(f"{name}: {'answers' if wrong is None else 'is refused, and said to be: ' + wrong}", answered == (wrong is None) and (wrong or "") in said, said)
        if wrong is None:
            done = tapeline.call("import", given.data / "daily" / "edge.csv.gz")
            checks.check(f"{name}: a set loads", done.returncode == 0 and counted(tapeline)["loaded"] > 0, done.stderr[-300:])
            said += done.stdout + done.stderr
        if wrong is None and "unsigned" in case:
            tapeline.up()
            time.sleep(10)  # two tokens' lives
            status, answer = tapeline.post([(ORIGINAL % ("AAPL", 150, 2, 1)).encode()])
            checks.check(f"{name}: tokens are renewed", status == 200 and tapeline.get("/-/ready")[0] == 200 and tapeline.spool() == 0, (status, answer))
            tapeline.stop()
            said += (tapeline.folder / "up.log").read_text()
        checks.check(f"{name}: no password is shown", PASSWORD not in said and "wr0ng-one" not in said)


if __name__ == "__main__":
    sys.exit(run(__doc__, PARTS, globals()))
