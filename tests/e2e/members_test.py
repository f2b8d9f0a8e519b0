#!/usr/bin/env python3
"""`tapeline produce`, `load` and `serve` on one data directory: they share the work, and whoever is killed with -9 is replaced.

    members_test.py TAPELINE [--rounds N] [--seed N] [--only kills|finnhub|words|busy] [--kafka VERSION] [--keep DIR]

Part kills: two producers, two loaders and a server on a topic of four partitions; a feeder posts records of its own through
the server's address and keeps what was acknowledged. First a loader is killed, then the owner, then N more of any part; each
is started again. At the end every acknowledged record is in raw once, the simulated exchange has no hole, loads join without
hole or overlap, and the audit finds nothing. Part finnhub: a fake Finnhub, two producers with one key, of which one works. Part busy: as many commands that never end as
the owner takes, and more; leases and commands go on.
With --kafka the topic is on a real broker. Prints how long others took to take over, a line for each check, and `N passed, N failed`.
"""
import argparse
import atexit
import collections
import http.client
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import client
import live_tapeline
from fake_finnhub import FakeFinnhub
from finnhub_market import Clock, Trade

PARTITIONS, LEASE, RATE = 4, 2.0, 40  # quotes a second, over ten symbols
ENVIRONMENT = {"TAPELINE_LOG_PARTITIONS": str(PARTITIONS), "TAPELINE_MEMBERS_LEASE_MS": str(int(LEASE * 1000))}


class Part:
    """A process of its own, and what it says."""

    started = []  # all of them

    def __init__(self, directory, role, *flags, environment=None):
        Part.started.append(self)
        self.directory, self.role, self.flags, self.environment = directory, role, flags, environment or {}
        self.number, self.process = 0, None
        self.start()

    def start(self):
        self.number += 1
        self.log = self.directory.folder / f"{self.role}.{id(self) % 9973}.{self.number}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.directory.binary, self.role, "--data-dir", self.directory.data, *self.flags], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT, **self.environment})

    @property
    def name(self):
        return f"{self.role}-{self.process.pid}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def said(self):
        return self.log.read_text(errors="replace")


class Directory(client.Tapeline):
    def status(self):
        """`tapeline status --json`; {} while nobody owns the directory or its owner has not begun to answer."""
        done = self.call("status", "--json")
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return {}
        return said if said.get("running") else {}

    def holders(self, role):
        """{partition: who has it}."""
        return {partition: member["name"] for member in self.status().get("members", []) if member["name"].startswith(role)
                for partition in member["partitions"]}

    def owner(self):
        said = json.loads((self.data / "lock").read_text() or "{}")
        return said.get("pid") if said.get("socket") else None


class Feeder:
    """Posts records through an address, again until they are acknowledged, and keeps each."""

    def __init__(self, port, directory):
        self.port, self.directory, self.sent, self.refused = port, directory, [], 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping.is_set():
            lot = []
            for _ in range(20):
                seconds, symbol = divmod(number, 20)
                lot.append({"symbol": f"F{symbol:02}", "price": 10 + number % 977 / 100, "timestamp": f"2025-01-06T{15 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z",
                            "data_source": "simulator", "volume": 1})
                number += 1
            while not self.post(lot):
                self.refused += 1
                time.sleep(0.05)
                if self.stopping.is_set():
                    return
            self.sent += lot
            time.sleep(0.02)

    def post(self, lot):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/api/v1/topics/stock_prices/records", "\n".join(map(json.dumps, lot)),
                               {"Authorization": f"Bearer {self.directory.token()}", "Content-Type": "application/x-ndjson"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self):
        self.stopping.set()
        self.thread.join()


def seconds_until(what, holds):
    began = time.monotonic()
    client.until(what, holds, 60, 0.1)
    return time.monotonic() - began


def kills(checks, binary, folder, rounds, dice):
    directory = Directory(binary, folder)
    port = client.free_port()
    producers = [Part(directory, "produce", "--feed", "simulator", "--rate", str(RATE))]
    client.until("somebody owns the directory", lambda: directory.status())
    producers.append(Part(directory, "produce", "--feed", "simulator", "--rate", str(RATE)))
    loaders = [Part(directory, "load") for _ in range(2)]
    server = Part(directory, "serve", "--listen", f"127.0.0.1:{port}")
    parts = [*producers, *loaders, server]
    shared = lambda of: sorted(collections.Counter(directory.holders(of[0].role).values()).values()) == [2, 2]
    client.until("two producers share four partitions", lambda: shared(producers))
    client.until("two loaders share four partitions", lambda: shared(loaders))
    checks.check("kills: two share four partitions, two each", set(directory.holders("load").values()) == {part.name for part in loaders}, directory.holders("load"))
    feeder = Feeder(port, directory)
    loads = lambda part: directory.rows(f"select count(*) as n from raw_stocks.loads where run_id = 'load__{part.name}'")[0]["n"]
    client.until("both loaders load", lambda: all(loads(part) > 0 for part in loaders))

    # A loader, then the owner.
    began = time.monotonic()
    loaders[0].kill()
    client.until("the other loads all", lambda: set(directory.holders("load").values()) == {loaders[1].name} and len(directory.holders("load")) == PARTITIONS)
    print(f"     a loader's partitions were taken over in {time.monotonic() - began:.1f} s, its lease is {LEASE:.0f} s")
    owner = next(part for part in parts if part.process.pid == directory.owner())
    checks.check("kills: the first one owns it", owner is producers[0], directory.owner())
    before = len(feeder.sent)
    began = time.monotonic()
    owner.kill()
    client.until("records are acknowledged again", lambda: len(feeder.sent) > before + 60)
    print(f"     the owner was replaced, and appends acknowledged, in {time.monotonic() - began:.1f} s")
    client.until("the other produces all", lambda: set(directory.holders("produce").values()) == {producers[1].name} and len(directory.holders("produce")) == PARTITIONS)
    for part in (loaders[0], owner):
        part.start()
    client.until("who came back has its share", lambda: shared(producers) and shared(loaders))

    killed = collections.Counter()
    for _ in range(rounds):
        of_owner = dice.random() < 0.5
        victim = next((part for part in parts if of_owner and part.process.pid == directory.owner()), None) or dice.choice(parts)
        killed["owner" if victim.process.pid == directory.owner() else victim.role] += 1
        before = len(feeder.sent)
        victim.kill()
        if dice.random() < 0.5:
            time.sleep(dice.random() * 2)  # how long it is away is part of the play
        victim.start()
        client.until("records are acknowledged again", lambda: len(feeder.sent) > before + 40)
    print(f"     killed besides: {dict(killed)}; {feeder.refused} posts were tried again, {len(feeder.sent)} records acknowledged")
    client.until("all have their share again", lambda: shared(producers) and shared(loaders))
    feeder.stop()
    server.process.send_signal(signal.SIGTERM)
    for part in producers:
        part.process.send_signal(signal.SIGTERM)
    ends = [part.process.wait(30) for part in (server, *producers)]
    checks.check("kills: what is told to stop stops", ends == [0, 0, 0], ends)
    client.until("all is loaded", lambda: directory.status().get("lag") == 0)
    loaders[0].process.send_signal(signal.SIGTERM)
    client.until("the last one owns it", lambda: directory.owner() == loaders[1].process.pid and directory.status().get("lag") == 0)
    loaders[1].process.send_signal(signal.SIGTERM)
    ends = [part.process.wait(30) for part in loaders]
    checks.check("kills: so do the loaders", ends == [0, 0], ends)

    rows = directory.rows("""select symbol, "timestamp"::varchar as at, count(*) as n from raw_stocks.stock_prices where symbol like 'F%' group by all""")
    sent = collections.Counter((one["symbol"], one["timestamp"][:19].replace("T", " ")) for one in feeder.sent)
    found = {(row["symbol"], row["at"]): row["n"] for row in rows}
    checks.check("kills: every acknowledged record is in raw, once", all(found.get(key) == 1 for key in sent), [key for key in sent if found.get(key) != 1][:5])
    extra = set(found) - set(sent)
    checks.check("kills: and at most the lot that was not acknowledged besides", len(extra) <= 20, sorted(extra)[:5])
    order = directory.rows("""select count(*) as n from (select topic_offset < lag(topic_offset) over (partition by symbol order by "timestamp") as back
                              from raw_stocks.stock_prices where symbol like 'F%') where back""")[0]["n"]
    checks.check("kills: each symbol in the order in which it was sent", order == 0, order)
    holes = directory.rows("""select symbol, "timestamp"::varchar as at, gap from (
        select symbol, "timestamp", epoch("timestamp") - epoch(lag("timestamp") over (partition by symbol order by "timestamp")) as gap
        from raw_stocks.stock_prices where symbol not like 'F%' and bar_length is null and not history
          and "timestamp" >= (select min(received_at) from raw_stocks.stock_prices where not history)) where gap > 2 * 10.0 / 40""")
    checks.check("kills: the simulated exchange has no hole", not holes, holes[:5])
    joins = directory.rows("""select count(*) as n from (select first_offset, lag(next_offset) over (partition by topic_id, topic_partition order by first_offset) as before
                              from raw_stocks.loads) where before is not null and before <> first_offset""")[0]["n"]
    checks.check("kills: loads join without hole or overlap", joins == 0, joins)
    who = {row["run_id"].split("-")[0] for row in directory.rows("select distinct run_id from raw_stocks.loads") if row["run_id"].startswith("load__")}
    checks.check("kills: loaders loaded", who == {"load__load"}, who)
    if os.environ.get("TAPELINE_LOG") == "kafka":
        checks.check("kills: audit", directory.call("audit").returncode == 0)
    else:
        directory.sound(checks, "kills")
    crashes = [part.log.name for part in parts if "assert" in part.said() or "terminate called" in part.said()]
    checks.check("kills: nobody crashed", not crashes, crashes)


def finnhub(checks, binary, folder):
    """The owner only loads; of two producers with one key one is connected, and the other takes over."""
    start, speed = 1381240800, 1  # 2013-10-08T14:00:00Z
    with FakeFinnhub(folder, {live_tapeline.KEY}, Clock(start, speed)).start() as fake:
        fake.limited = False
        settings = live_tapeline.LiveTapeline(binary, folder / "tapeline", fake, speed=speed, FETCH_INTERVAL="5", TAPELINE_FINNHUB_SPACING_MS="0",
                                              TAPELINE_DEBUG_CLOCK=f"2013-10-08T14:00:00Z,{speed},{fake.clock.since:.6f}").settings
        directory = Directory(binary, folder)
        loader = Part(directory, "load", environment=settings)
        client.until("the loader owns the directory", lambda: directory.status())
        producers = [Part(directory, "produce", "--feed", "finnhub", environment=settings) for _ in range(2)]
        client.until("one is subscribed", lambda: {"AAPL", "IBM"} <= fake.subscribed())
        client.until("it has all", lambda: len(directory.holders("produce")) == PARTITIONS)
        working = lambda: {directory.holders("produce").get(partition) for partition in range(PARTITIONS)}
        checks.check("finnhub: of two with one key one works", len(working()) == 1 and len(fake.streams) == 1, (working(), len(fake.streams)))
        first = next(part for part in producers if part.name in working())
        second = next(part for part in producers if part is not first)
        prices = iter(range(10_000, 20_000))

        def arrives(symbol):
            price = next(prices) / 100
            fake.emit(Trade(symbol, f"{price:.2f}", int(fake.clock.now() * 1000), "100"))
            client.until(f"{symbol} at {price} is in raw", lambda: directory.rows(
                f"select count(*) as n from raw_stocks.stock_prices where symbol = '{symbol}' and price = {price}")[0]["n"] == 1)
        arrives("AAPL")
        arrives("IBM")
        said = directory.status()
        checks.check("finnhub: the feed of another process is shown", said["feed"] and said["feed"]["state"] == "live" and len(said["feed"]["symbols"]) == 2, said.get("feed"))
        first.kill()
        took = seconds_until("the other is subscribed", lambda: working() == {second.name} and {"AAPL", "IBM"} <= fake.subscribed())
        print(f"     the other producer was subscribed {took:.1f} s after the first was killed")
        arrives("AAPL")
        client.until("the hole is written down", lambda: directory.rows("select count(*) as n from raw_stocks.gaps where feed = 'finnhub'")[0]["n"] > 0)
        gaps = directory.rows("select symbol, cause, gap_end - gap_start < interval 60 seconds as short from raw_stocks.gaps")
        checks.check("finnhub: the time without a producer is a gap", gaps and all(gap["short"] for gap in gaps), gaps)
        # The owner goes: the producer takes the directory, and feeds on.
        loader.kill()
        client.until("the producer owns the directory", lambda: directory.owner() == second.process.pid and directory.status())
        client.until("it is subscribed again", lambda: {"AAPL", "IBM"} <= fake.subscribed())
        arrives("IBM")
        second.process.send_signal(signal.SIGTERM)
        checks.check("finnhub: it stops", second.process.wait(30) == 0, second.said()[-300:])
        directory.sound(checks, "finnhub")
        traces = live_tapeline.traces(folder)
        checks.check("finnhub: the key is nowhere", not traces, traces[:3])


def words(checks, binary, folder):
    """What a person reads who does it wrong, or first."""
    directory = Directory(binary, folder)
    done = directory.call("produce", "--feed", "none")
    checks.check("words: a producer needs a feed", done.returncode == 2 and "--feed simulator" in done.stderr, done.stderr)
    done = directory.call("produce", "--feed", "finnhub", env={**os.environ, "HOME": str(folder), "FINNHUB_API_KEY": ""})
    checks.check("words: and finnhub a key", done.returncode == 2 and "needs a key" in done.stderr, done.stderr)
    done = directory.call("load", env={**os.environ, "TAPELINE_MEMBERS_LEASE_MS": "5"})
    checks.check("words: a lease has a least length", done.returncode == 2 and "members.lease_ms" in done.stderr, done.stderr)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = directory.call("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        checks.check("words: an address that is taken", done.returncode == 2 and "another program listens" in done.stderr, done.stderr)
    market = Part(directory, "load")
    client.until("it owns the directory", lambda: directory.status())
    done = directory.call("produce", "--feed", "simulator")
    checks.check("words: simulated and market data never share a directory", done.returncode == 2 and "never share" in done.stderr, done.stderr)
    done = directory.call("up", "--feed", "none")
    checks.check("words: `up` says who has it", done.returncode == 2 and str(market.process.pid) in done.stderr, done.stderr)
    done = directory.call("serve", "--listen", "127.0.0.1:99999")
    checks.check("words: an address that is none", done.returncode == 2 and "no address" in done.stderr, done.stderr)
    done = subprocess.run([binary, "member", "{}"], capture_output=True, text=True)
    checks.check("words: what members say to one another is no command", done.returncode == 2 and "no command" in done.stderr, done.stderr)
    server = Part(directory, "serve", "--listen", "127.0.0.1:0")
    client.until("it says where", lambda: "dashboard   http://127.0.0.1:" in server.said())
    directory.port = int(server.said().split("dashboard   http://127.0.0.1:")[1].split()[0])
    checks.check("words: the dashboard through another process", b"tapeline" in directory.get("/")[1].lower() and directory.get("/-/ready")[0] == 200)
    wrong = directory.ask("GET", "/api/v1/status", headers={"Host": "evil.example"})[0]
    checks.check("words: a wrong Host is refused there too", wrong == 421 or wrong == 403, wrong)
    checks.check("words: writing needs the token there too", directory.ask("POST", "/api/v1/topics/stock_prices/records", b"{}", {"Content-Type": "application/x-ndjson"})[0] == 401)
    wrong = directory.ask("POST", "/api/v1/commands", b'{"argv":["member","{}"]}', {"Content-Type": "application/json", "Authorization": f"Bearer {directory.token()}"})[0]
    checks.check("words: commands come over the socket only", wrong == 403, wrong)
    for part in (server, market):
        part.process.send_signal(signal.SIGTERM)
        checks.check(f"words: {part.role} stops", part.process.wait(30) == 0, part.said()[-300:])


def busy(checks, binary, folder):
    """Commands that go on until they are stopped take nothing from members, nor from other commands."""
    directory = Directory(binary, folder)
    owner = Part(directory, "produce", "--feed", "simulator", "--rate", str(RATE))
    client.until("somebody owns the directory", lambda: directory.status())
    member = Part(directory, "produce", "--feed", "simulator", "--rate", str(RATE))
    client.until("two producers share four partitions", lambda: collections.Counter(directory.holders("produce").values()) == {owner.name: 2, member.name: 2})
    of_member = next(partition for partition, name in directory.holders("produce").items() if name == member.name)
    ends = lambda: [partition["end"] for topic in json.loads(directory.get("/api/v1/topics")[1])["topics"] for partition in topic["partitions"]]
    server = Part(directory, "serve", "--listen", "127.0.0.1:0")
    client.until("it says where", lambda: "dashboard   http://127.0.0.1:" in server.said())
    directory.port = int(server.said().split("dashboard   http://127.0.0.1:")[1].split()[0])

    endless, refused = [], None
    while len(endless) < 20 and not refused:
        words = ["status", "--watch"] if len(endless) % 2 else ["topic", "tail", "stock_prices", "--from", "beginning"]
        one = subprocess.Popen([binary, *words, "--data-dir", directory.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        client.until("it says something, or ends", lambda: select.select([one.stdout], [], [], 0)[0] or one.poll() is not None)
        if one.poll() is None:
            endless.append(one)
        else:
            refused = one
    said = refused and refused.communicate()[1]
    checks.check("busy: one too many is refused, with the cause and what to do", refused and refused.returncode == 2 and "--no-follow" in said and "until they are stopped" in said, said)
    checks.check("busy: several run at once", len(endless) >= 3, len(endless))
    before = ends()[of_member]
    client.until("the member produces on", lambda: ends()[of_member] > before + 20 * LEASE)
    done = directory.call("status", "--json", timeout=30)
    checks.check("busy: other commands are answered", done.returncode == 0, done.stderr)
    checks.check("busy: and both have their leases", collections.Counter(directory.holders("produce").values()) == {owner.name: 2, member.name: 2}, directory.holders("produce"))
    endless.pop().kill()
    ends_soon = lambda: directory.call("topic", "tail", "stock_prices", "--no-follow").returncode == 0
    checks.check("busy: what ends by itself is taken", ends_soon())
    def another():
        endless.append(subprocess.Popen([binary, "status", "--watch", "--data-dir", directory.data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return endless[-1].stdout.readline() != ""
    client.until("one that is stopped makes room", another)
    for one in endless:
        one.kill()
        one.communicate()
    for part in (server, member, owner):
        part.process.send_signal(signal.SIGTERM)
        checks.check(f"busy: {part.role} stops", part.process.wait(30) == 0, part.said()[-300:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tapeline")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["kills", "finnhub", "words", "busy"])
    parser.add_argument("--kafka", metavar="VERSION")
    parser.add_argument("--keep", type=pathlib.Path)
    wanted = parser.parse_args()
    checks = client.Checks()
    folder = wanted.keep or pathlib.Path(tempfile.mkdtemp(prefix="members_"))
    binary = pathlib.Path(wanted.tapeline).resolve()
    parts = {"words": words, "busy": busy, "kills": lambda *of: kills(*of, wanted.rounds, random.Random(wanted.seed)), "finnhub": finnhub}
    if wanted.kafka:
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "compat"))
        import kafka_broker
        broker = kafka_broker.Kafka(folder / "kafka", wanted.kafka).__enter__()
        os.environ.update(TAPELINE_LOG="kafka", KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap)
        atexit.register(broker.__exit__)
    for name, part in parts.items():
        if wanted.only and name != wanted.only:
            continue
        (folder / name).mkdir(parents=True)
        before = len(Part.started)
        try:
            part(checks, binary, folder / name)
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            checks.check(name, False, failure)
        finally:
            for one in Part.started[before:]:
                if one.process.poll() is None:
                    one.kill()
    if not wanted.keep and not checks.failed:
        shutil.rmtree(folder, ignore_errors=True)
    elif checks.failed:
        print(f"kept: {folder}")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
