"""What the scripts on real Kafka share: a tapeline whose topics are there, quotes that come without end, and their proof."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("e2e", "support", "compat")]
from client import Checks, Tapeline, until
from kafka_broker import Kafka, NoKafka
from live_tapeline import metrics_of
from tables import OURS, TABLES, check_equal, read

DAG = "stock_data_ingestion"
SYMBOLS = ["KFA", "KFB", "KFC", "KFD", "KFE", "KFF", "KFG", "KFH"]


class KafkaTapeline(Tapeline):
    """A tapeline whose topics are on these brokers."""
    made = []  # ended with the part that made them

    def __init__(self, binary, folder, bootstrap, **settings):
        self.made.append(self)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(binary, folder)
        self.settings = {"TAPELINE_LOG": "kafka", "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "XDG_DATA_HOME": str(folder / "share"),
                         "XDG_CONFIG_HOME": str(folder / "config"), **settings}

    def call(self, *words, **more):
        return super().call(*words, env={**os.environ, **self.settings}, **more)

    def up(self, **more):
        super().up(environment=self.settings, **more)

    def again(self):
        """Starts it where it was, and waits until it takes messages, which it does without Kafka, too."""
        self.start(environment=self.settings)
        until("it takes messages again", lambda: "version" in self.status() or self.ended(), 60)

    def metric(self, name):
        return metrics_of((self.get("/metrics")[1] or b"").decode()).get((name, ""), 0)

    def spool(self):
        return int(self.metric("tapeline_msglog_spool_records"))

    def all_is_loaded(self, seconds=180):
        until("the spool is empty", lambda: self.get("/-/ready")[0] == 200 and self.spool() == 0, seconds, 0.2)
        self.settle()


def tables(tapeline):
    """What is compared with the embedded log's: there each message has another offset."""
    return read(tapeline, OURS | {"topic_offset"}, {name: key for name, key in TABLES.items() if name != "raw_stocks.dead_letters"})


def counted(tapeline):
    sums = ", ".join(f"coalesce(sum({c}), 0)::bigint as {c}" for c in ("consumed", "loaded", "duplicate", "superseded", "dead"))
    return tapeline.rows(f"select {sums}, (select count(*) from raw_stocks.stock_prices) as raw from raw_stocks.loads")[0]


def load_all(tapeline):
    """Runs the DAG until nothing is left to load."""
    for _ in range(10):
        tapeline.call("dag", "trigger", DAG, "--wait")
        status = json.loads(tapeline.call("status", "--json").stdout or "{}")
        if status.get("lag") == 0:
            return


@contextlib.contextmanager
def fresh(kafka, folder, **more):
    with Kafka(folder, kafka.version, **more) as broker:
        yield broker


def quote(number, symbols=SYMBOLS):
    """The message of a number: a symbol's come in the order of their times; every 50th corrects the one before it."""
    corrects = number % 50 == 49 and number >= len(symbols)
    of = number - len(symbols) if corrects else number
    day, second = divmod(of // len(symbols), 3000)
    at = datetime.datetime(2025, 1, 6, 14, 30) + datetime.timedelta(days=day // 5 * 7 + day % 5, seconds=7 * second)
    price = round(100 + of % 977 / 10 + (1 if corrects else 0), 2)
    return json.dumps({"symbol": symbols[of % len(symbols)], "price": price, "high": price + 1, "low": price - 1, "open": price, "volume": 100,
                       "timestamp": at.isoformat() + "Z", "data_source": "desk"}).encode()


def out_of_order(tapeline):
    """Messages that came into the topic for the first time after a later one of their symbol."""
    wrong = []
    for partition in range(len(json.loads(tapeline.call("topic", "describe", "stock_prices", "--json").stdout))):
        seen, last = set(), {}
        said = tapeline.call("topic", "tail", "stock_prices", "--partition", partition, "--from", "beginning", "--no-follow", "--json").stdout
        for value in (json.loads(line)["value"] for line in said.splitlines()):
            if value in seen:
                continue
            seen.add(value)
            row = json.loads(value)
            if row["timestamp"] < last.get(row["symbol"], ""):
                wrong.append(value)
            last[row["symbol"]] = row["timestamp"]
    return wrong


class Load(threading.Thread):
    """Posts quotes without end, until `prove`; a lot that nobody acknowledged is offered again, so that it may come twice."""

    def __init__(self, tapeline, symbols=SYMBOLS, lot=40, pause=0.2):
        super().__init__(daemon=True)
        self.tapeline, self.symbols, self.lot, self.pause = tapeline, symbols, lot, pause
        self.posted, self.spooled_most, self.refused, self.over = 0, 0, [], threading.Event()
        self.start()

    def lines(self):
        return [quote(number, self.symbols) for number in range(self.posted)]

    def keys(self):
        return {(row["symbol"], row["timestamp"]) for row in map(json.loads, self.lines())}

    def run(self):
        status = None  # what nobody has acknowledged may be there: it is offered until somebody does
        while not self.over.wait(self.pause) or status != 200:
            status, answer = self.tapeline.post([quote(self.posted + i, self.symbols) for i in range(self.lot)])
            if status == 200:
                self.posted += self.lot
            elif status is not None:  # None: it is not there
                self.refused.append(f"{status} {answer[:200]}")
            self.spooled_most = max(self.spooled_most, self.tapeline.spool())

    def end(self):
        self.over.set()
        self.join(120)

    def prove(self, checks, name, binary, folder, began):
        """Ends it, and holds what was loaded against the list and against the embedded log's tables."""
        self.end()
        self.tapeline.all_is_loaded()
        lines = self.lines()
        keys = self.keys()
        counts = counted(self.tapeline)
        twice = self.tapeline.rows('select count(*) - count(distinct (symbol, "timestamp")) as n from raw_stocks.stock_prices')[0]["n"]
        print(f"figures: {name}: {time.monotonic() - began:.0f} s: {len(lines)} messages acknowledged, {len(keys)} keys, {counts['raw']} in raw; "
              f"{len(keys) - counts['raw']} lost, {twice} doubled; consumed {counts['consumed']} = loaded {counts['loaded']} + duplicate "
              f"{counts['duplicate']} + superseded {counts['superseded']} + dead {counts['dead']}; at most {self.spooled_most} in the spool", flush=True)
        checks.check(f"{name}: 0 lost, 0 doubled", len(keys) == counts["raw"] == counts["loaded"] > 0 and twice == 0 and counts["dead"] == 0 and
                     counts["consumed"] == counts["loaded"] + counts["duplicate"] + counts["superseded"] >= len(lines), counts)
        wrong = out_of_order(self.tapeline)
        checks.check(f"{name}: each symbol's messages stand in the topic in their order", wrong == [], wrong[:3])
        self.compare(checks, name, binary, folder, lines)

    def compare(self, checks, name, binary, folder, lines):
        folder.mkdir(parents=True)
        embedded = Tapeline(binary, folder)
        embedded.call("import", "/dev/null")  # makes a market directory, whatever it says of the file
        embedded.call("topic", "produce", "stock_prices", input=b"\n".join(lines).decode() + "\n")
        load_all(embedded)
        check_equal(checks, f"{name}, as on the embedded log", tables(embedded), tables(self.tapeline))
        done = self.tapeline.call("audit")
        checks.check(f"{name}: audit", done.returncode == 0, done.stdout[-400:] + done.stderr[-400:])


def run(doc, parts, of):
    """The main of a script: `parts` are functions in `of`, each with a fresh broker for each version."""
    words = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("tapeline", type=lambda path: pathlib.Path(path).resolve())
    words.add_argument("--versions", default="3.4.0", type=lambda text: text.split(","))
    words.add_argument("--only", nargs="*", choices=parts, default=list(parts))
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
                        of[part](checks, kafka, given, pathlib.Path(folder))
                    except (RuntimeError, subprocess.SubprocessError, LookupError, OSError, ValueError) as why:
                        checks.check(f"{version}: {part} came to its end", False, repr(why))
                    finally:
                        while KafkaTapeline.made:
                            KafkaTapeline.made.pop().kill()
    except NoKafka as why:
        print(f"skipped: real Kafka: {why}")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if not checks.failed else 1
