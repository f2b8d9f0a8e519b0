#!/usr/bin/env python3
"""Breaks Kafka, the network and tapeline while quotes come in: none is lost, none is doubled, each symbol keeps its order.

    kafka_faults.py TAPELINE [--versions 3.4.0,4.3.1] [--only PART...] [--kills 3] [--seed N]

Each part has fresh brokers for each version. Quotes are posted without end meanwhile; afterwards the topic, raw and every
table are held against the list of what was acknowledged, and against the embedded log's tables.

    kills       --kills times the broker is killed with SIGKILL, and --kills times tapeline: while the broker is away, while it
                comes back, and at any moment of a load
    three       three brokers, two partitions, replication 3: leaders killed in turn; then two of three, so that nobody controls
    network     the broker in a network namespace: the cable cut for a while under load, in the middle of loads, and while
                tapeline starts (where this user may make one)
    slow        a line of 20 ms and 64 kB/s, one that loses connections, one that goes dumb
    disk        the broker's disk is full, and larger after a while (where this user may mount one)
    twins       two tapelines with one client id and one group in one topic; two on one data directory
    clock       our clock far ahead of the brokers', and far behind; stamps made by the brokers

Without Java, Maven or their repository everything is skipped. Prints figures, a line a check and `N passed, N failed`.
"""
import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

from kafka_broker import Kafka
from kafka_tapeline import ROOT, KafkaTapeline, Load, counted, fresh, run, until
from slow_line import SlowLine

PARTS = ("kills", "three", "network", "slow", "disk", "twins", "clock")


def running_task(tapeline):
    """What task a killed tapeline was in."""
    found = tapeline.state("select task from task_tries where end_at is null order by run desc limit 1") or \
        tapeline.state("select 'a run' from runs where end_at is null limit 1")
    return found[0][0] if found else "no task"


def timed(times, holds, what):
    began = time.monotonic()
    until(what, holds, 120, 0.05)
    times.append(time.monotonic() - began)


def under_kills(checks, name, kafka, given, work, **settings):
    """The brokers are started on this thread: they die with the thread that did."""
    chance, met, began = random.Random(given.seed), collections.Counter(), time.monotonic()
    ready, drained = [], []
    tapeline = KafkaTapeline(given.tapeline, work / "kafka", kafka.bootstrap, **settings)
    tapeline.up()
    load = Load(tapeline)

    def strike():
        tapeline.kill()
        met[running_task(tapeline)] += 1
        timed(ready, lambda: tapeline.again() or True, "tapeline takes messages again")

    for at in range(given.kills):
        time.sleep(chance.uniform(0.5, 2))
        kafka.kill(1 + at % len(kafka.brokers))
        time.sleep(chance.uniform(0.2, 2))
        if at % 3 == 0:
            strike()  # while the broker is away
        kafka.start()
        if at % 3 == 1:
            strike()  # while what was spooled is carried over
        timed(drained, lambda: tapeline.spool() == 0, "the spool is empty")
        if at % 3 == 2:
            until("a run is under way", lambda: tapeline.status().get("dag", {}).get("state") == "running", 60, 0.01)
            time.sleep(chance.uniform(0, 0.2))
            strike()
    load.prove(checks, name, given.tapeline, work / "embedded", began)
    print(f"figures: {name}: {given.kills} kills of a broker, {sum(met.values())} of tapeline (met {dict(met.most_common())}); seconds until tapeline was "
          f"ready: median {statistics.median(ready):.1f}, most {max(ready):.1f}; until the spool was empty: median "
          f"{statistics.median(drained):.1f}, most {max(drained):.1f}", flush=True)
    checks.check(f"{name}: a post was refused only by one that was starting or stopping", all(said.startswith("503") for said in load.refused), load.refused[:3])
    checks.check(f"{name}: the spool took over (at most {load.spooled_most} records)", load.spooled_most > 0 or len(kafka.brokers) > 1)
    checks.check(f"{name}: it stops as told", tapeline.stop() == 0, tapeline.last_words())


def kills(checks, kafka, given, work):
    under_kills(checks, f"{kafka.version}, broker and tapeline killed", kafka, given, work / "kills")


def three(checks, kafka, given, work):
    settings = {"TAPELINE_LOG_PARTITIONS": "2", "TAPELINE_LOG_REPLICATION": "3"}
    with fresh(kafka, work / "three-brokers", brokers=3) as brokers:
        under_kills(checks, f"{kafka.version}, three brokers, leaders and tapeline killed", brokers, given, work / "three", **settings)
        name, began = f"{kafka.version}, nobody controls", time.monotonic()
        tapeline = KafkaTapeline(given.tapeline, work / "controller", brokers.bootstrap, TAPELINE_LOG_TOPIC_PREFIX="c.", **settings)
        tapeline.up()
        load = Load(tapeline)
        first = brokers.controller()
        brokers.kill(first)
        until("another one controls", lambda: brokers.controller() not in (None, first), 60, 1)
        until("the spool is empty", lambda: tapeline.spool() == 0, 60)
        checks.check(f"{name}: with a controller killed and another in its place messages go to Kafka", True)
        brokers.kill(brokers.controller())
        until("the spool takes over", lambda: tapeline.spool() > 0, 60)
        time.sleep(3)
        brokers.start()
        load.prove(checks, name, given.tapeline, work / "controller-embedded", began)
        tapeline.stop()


def network(checks, kafka, given, work):
    name, began = f"{kafka.version}, cable cut", time.monotonic()
    with Namespace() as space:
        if not space.made:
            print("skipped: a cable to cut, because this user may not make network namespaces")
            return
        with fresh(kafka, work / "far", host=space.there, inside=space.inside) as broker:
            tapeline = KafkaTapeline(given.tapeline, work / "network", broker.bootstrap)
            tapeline.up()
            load = Load(tapeline)
            chance = random.Random(given.seed)
            for seconds in (0.3, 2, 8, 20):
                time.sleep(chance.uniform(1, 3))
                space.cut()
                time.sleep(seconds)
                space.mend()
                until("the spool is empty", lambda: tapeline.spool() == 0, 90, 0.1)
            space.cut()
            time.sleep(1)
            tapeline.kill()
            tapeline.again()
            time.sleep(2)
            health = tapeline.call("status").stdout
            checks.check(f"{name}: status says what waits, and that nobody answers", "records wait" in health, health)
            space.mend()
            load.prove(checks, name, given.tapeline, work / "network-embedded", began)
            checks.check(f"{name}: the spool took over (at most {load.spooled_most} records)", load.spooled_most > 0)
            checks.check(f"{name}: it stops as told", tapeline.stop() == 0, tapeline.last_words())


class Namespace:
    """A network of its own, at the other end of a cable. `made` where this user may do it."""

    def __init__(self):
        number = os.getpid() % 200 + 20
        self.name, self.cable, self.here, self.there = f"tapeline-{number}", f"tl{number}", f"198.18.{number}.1", f"198.18.{number}.2"
        self.inside = ["ip", "netns", "exec", self.name]

    def ip(self, *words):
        return subprocess.run(["ip", *words], capture_output=True).returncode == 0

    def __enter__(self):
        self.made = bool(shutil.which("ip")) and self.ip("netns", "add", self.name) and all(self.ip(*words.split()) for words in (
            f"link add {self.cable} type veth peer name far netns {self.name}", f"addr add {self.here}/30 dev {self.cable}", f"link set {self.cable} up",
            f"-n {self.name} addr add {self.there}/30 dev far", f"-n {self.name} link set far up", f"-n {self.name} link set lo up"))
        return self

    def __exit__(self, *_):
        self.ip("netns", "delete", self.name)
        self.ip("link", "delete", self.cable)

    def cut(self):
        self.ip("-n", self.name, "link", "set", "far", "down")

    def mend(self):
        self.ip("-n", self.name, "link", "set", "far", "up")


def slow(checks, kafka, given, work):
    name, began = f"{kafka.version}, slow line", time.monotonic()
    with SlowLine() as line, fresh(kafka, work / "slow-broker", settings=[f"advertised.listeners=PLAINTEXT://127.0.0.1:{line.port}"]) as broker:
        line.to = broker.brokers[0].ports[0]
        tapeline = KafkaTapeline(given.tapeline, work / "slow", f"127.0.0.1:{line.port}")
        tapeline.up()
        load = Load(tapeline)
        line.pause, line.rate = 0.02, 64_000
        time.sleep(10)
        line.pause, line.rate = 0.3, 1_000_000
        time.sleep(10)
        line.pause, line.rate = 0.0, None
        for _ in range(10):  # connections break, in the middle of whatever they carry
            time.sleep(0.7)
            line.drop()
        line.dumb = True  # takes what is sent, and answers nothing
        time.sleep(12)
        line.dumb = False
        line.drop()
        load.prove(checks, name, given.tapeline, work / "slow-embedded", began)
        checks.check(f"{name}: the spool took over (at most {load.spooled_most} records)", load.spooled_most > 0)
        checks.check(f"{name}: no post was refused", not load.refused, load.refused[:3])
        checks.check(f"{name}: it stops as told", tapeline.stop() == 0, tapeline.last_words())


def disk(checks, kafka, given, work):
    name, began = f"{kafka.version}, the broker's disk is full", time.monotonic()
    place = work / "disk"
    place.mkdir()
    mount = lambda options: subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode == 0
    if not mount("size=40m"):
        print("skipped: full disks, because this user may not mount one")
        return
    try:
        with fresh(kafka, work / "full", settings=[f"log.dirs={place}/data"]) as broker:
            tapeline = KafkaTapeline(given.tapeline, work / "on-disk", broker.bootstrap, TAPELINE_KAFKA_COMPRESSION_TYPE="none")
            tapeline.up()
            load = Load(tapeline, lot=400, pause=0.1)
            until("something is loaded", lambda: counted(tapeline)["raw"] > 0)
            with contextlib.suppress(OSError), open(place / "ballast", "wb") as file:
                while file.write(bytes(4096)):
                    file.flush()
            until("the broker has given up, and the spool takes over", lambda: not broker.brokers[0].running() and tapeline.spool() > 0, 120, 0.1)
            said = tapeline.call("status").stdout
            checks.check(f"{name}: status says what waits", "records wait" in said, said)
            said = tapeline.call("doctor").stdout
            checks.check(f"{name}: doctor says that no broker answers", "no broker" in said or "brokers are down" in said.lower() or "refused" in said, said)
            mount("remount,size=512m")
            broker.start()
            load.prove(checks, name, given.tapeline, work / "disk-embedded", began)
            checks.check(f"{name}: no post was refused", not load.refused, load.refused[:3])
            tapeline.stop()
    finally:
        subprocess.run(["umount", place], check=False)


def twins(checks, kafka, given, work):
    name, began = f"{kafka.version}, two with one id", time.monotonic()
    settings = {"TAPELINE_KAFKA_CLIENT_ID": "the-same"}
    one, other = (KafkaTapeline(given.tapeline, work / which, kafka.bootstrap, **settings) for which in ("one", "other"))
    for each in (one, other):
        each.up()
    loads = [Load(one, ["TWA", "TWB", "TWC"]), Load(other, ["TWX", "TWY"])]
    second = one.call("up", "--feed", "none", "--listen", "127.0.0.1:0")
    checks.check(f"{name}: a second on one data directory is refused", second.returncode == 2 and str(one.process.pid) in second.stderr, second.stderr)
    time.sleep(8)
    kafka.kill()
    time.sleep(2)
    kafka.start()
    time.sleep(3)
    for load in loads:
        load.end()
    for each in (one, other):
        each.all_is_loaded()
    until("both have loaded what the other sent", lambda: counted(one)["raw"] == counted(other)["raw"], 60, 0.5)
    keys = set().union(*(load.keys() for load in loads))
    counts = [counted(each) for each in (one, other)]
    print(f"figures: {name}: {time.monotonic() - began:.0f} s: {sum(load.posted for load in loads)} messages acknowledged, {len(keys)} keys, in raw {counts}", flush=True)
    checks.check(f"{name}: each has what both sent, once", all(c["raw"] == c["loaded"] == len(keys) and c["dead"] == 0 for c in counts), counts)
    group = one.call("topic", "lag", "stock_prices")
    checks.check(f"{name}: the group that both commit to shows no lag", group.returncode == 0, group.stderr)
    for each in (one, other):
        done = each.call("audit")
        checks.check(f"{name}: audit", done.returncode == 0, done.stdout + done.stderr)
        each.stop()


def clock(checks, kafka, given, work):
    """Records carry our clock's time, unless the topic takes the brokers'."""
    shim = work / "clock_shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, ROOT / "tests" / "support" / "clock_shim.c"], check=True)
    for case, seconds, type_of_stamps in (("two days ahead", 2 * 86400, "CreateTime"), ("two days behind", -2 * 86400, "CreateTime"),
                                          ("300 days ahead, the brokers' stamps", 300 * 86400, "LogAppendTime"),
                                          ("300 days behind, the brokers' stamps", -300 * 86400, "LogAppendTime")):
        name, began = f"{kafka.version}, our clock {case}", time.monotonic()
        prefix = re.sub(r"\W+", "-", case) + "."
        kafka.topics("--create", "--topic", f"{prefix}stock_prices", "--config", f"message.timestamp.type={type_of_stamps}")
        wrong = {"LD_PRELOAD": str(shim), "CLOCK_SHIM_SECONDS": str(seconds)}
        tapeline = KafkaTapeline(given.tapeline, work / prefix, kafka.bootstrap, TAPELINE_LOG_TOPIC_PREFIX=prefix, **wrong)
        tapeline.up()
        load = Load(tapeline)
        time.sleep(5)
        if kafka.major >= 4 and seconds > 0 and type_of_stamps == "CreateTime":
            # Since 3.6 Kafka takes no stamp of more than an hour ahead. They wait until the clock is right.
            said = (tapeline.folder / "up.log").read_text()
            checks.check(f"{name}: what Kafka does not take waits, and why is said", tapeline.spool() > 0 and "ahead of the brokers'" in said, said[-600:])
            tapeline.kill()
            for each in wrong:
                del tapeline.settings[each]
            tapeline.again()
        load.prove(checks, name, given.tapeline, work / f"{prefix}embedded", began)
        checks.check(f"{name}: no post was refused", all(said.startswith("503") for said in load.refused), load.refused[:3])
        tapeline.stop()


if __name__ == "__main__":
    sys.exit(run(__doc__, PARTS, globals()))
