#!/usr/bin/env python3
"""Kills tapeline with -9 again and again while messages come in, and proves that nothing was lost.

    kill_test.py TAPELINE [--cycles N] [--seed N] [--keep DIR]

kill_feeder.py, a process of its own that outlives the kills, sends its list and keeps every
acknowledgement. A cycle starts tapeline, kills it at a random moment (while it starts, after some
time, right after an acknowledgement, as a new segment begins), and in every other cycle damages the
newest segment as a power cut may: behind the length that the last returned fdatasync covered, as
fdatasync_shim.c noted it, bytes are cut, zeroed or flipped. Most of those kills come between a write
and the end of its fdatasync, which the shim holds back for a moment; a kill finds bytes that are not
synced there only. Segments are small, so that the log has many of them. At the end tapeline runs undisturbed until all is loaded; then
topic, raw rows, equation and marts are compared with what the feeder's files say. Prints a line for
ten cycles and one for each check, and `N passed, N failed`.
"""
import argparse
import collections
import csv
import datetime
import gzip
import itertools
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zoneinfo

import client

HERE = pathlib.Path(__file__).resolve().parent
ORACLE = HERE.parent / "oracle" / "marts.py"
READY_SECONDS_MAX = 60
SEGMENT_BYTES = 150_000  # some hundred messages
TABLES = {"stock_prices": "raw_stocks", "stg_stock_prices": "stg_stocks", "int_stock_daily_aggregates": "int_stocks",
          "stock_analytics": "marts_stocks", "stock_bars_1m": "marts_stocks"}
COUNTS = ("consumed", "loaded", "duplicate", "superseded", "dead")
# XNYS in the years that the feeder's quotes are of: https://www.nyse.com/markets/hours-calendars
HOLIDAYS = set("2023-09-04 2023-11-23 2023-12-25 2024-01-01 2024-01-15 2024-02-19 2024-03-29 2024-05-27 2024-06-19 "
               "2024-07-04 2024-09-02 2024-11-28 2024-12-25".split())
EARLY_CLOSES = {"2023-11-24", "2024-07-03", "2024-11-29", "2024-12-24"}


def write_sessions(path):
    """The calendar file that the oracle reads."""
    new_york = zoneinfo.ZoneInfo("America/New_York")
    utc = lambda day, hour, minute: datetime.datetime.combine(day, datetime.time(hour, minute), new_york).astimezone(
        datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with gzip.open(path, "wt") as text:
        text.write("date,kind,open_utc,close_utc\n")
        for number in range(800):
            day = datetime.date(2023, 7, 1) + datetime.timedelta(days=number)
            if day.weekday() >= 5 or day.isoformat() in HOLIDAYS:
                text.write(f"{day},closed,,\n")
            else:
                early = day.isoformat() in EARLY_CLOSES
                text.write(f"{day},{'early_close' if early else 'regular'},{utc(day, 9, 30)},{utc(day, 13 if early else 16, 0)}\n")


def read_lines(path):
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


class Failure(Exception):
    """What ends the test at once."""


class Tapeline(client.Tapeline):
    """The program under test, whose syncs the shim notes; it keeps its port."""

    def __init__(self, binary, folder):
        super().__init__(binary, folder)
        self.notes, self.syncing, self.shim = folder / "synced", folder / "syncing", folder / "shim.so"
        self.port = client.free_port()
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self.shim, HERE / "fdatasync_shim.c", "-ldl"],
                       check=True)

    def start(self, pause_us=0):
        super().start(environment={"LD_PRELOAD": str(self.shim), "KILL_NOTES": str(self.notes), "KILL_SYNCING": str(self.syncing),
                                   "KILL_PAUSE_US": str(pause_us), "TAPELINE_LOG_SEGMENT_BYTES": str(SEGMENT_BYTES)})

    def wait_ready(self):
        """Seconds that it took."""
        began = time.monotonic()
        while True:
            status, body = self.get("/-/ready")
            if status == 200:
                return time.monotonic() - began
            if self.process.poll() is not None:
                raise Failure(f"tapeline ended by itself with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() - began > READY_SECONDS_MAX:
                raise Failure(f"not ready after {READY_SECONDS_MAX} s: {status} {body[:300]!r} {self.last_words()}")
            time.sleep(0.02)

    def strike(self):
        if self.process.poll() is not None:
            raise Failure(f"tapeline ended by itself with {self.process.returncode}: {self.last_words()}")
        self.kill()

    def output(self, *words):
        done = self.call(*words, timeout=900)
        if done.returncode:
            raise Failure(f"{' '.join(words)[:100]}: exit {done.returncode}: {done.stderr[-500:]}")
        return done.stdout

    def rows(self, query):
        return list(csv.DictReader(self.output("sql", "-c", query, "--format", "csv").splitlines()))

    def segments(self):
        return sorted(self.data.glob("log/stock_prices/*/*.segment"))

    def was_running_dag(self):
        """Whether the kill met a DAG run."""
        return bool(self.state("select 1 from runs where end_at is null limit 1"))


def damage(tapeline, rng, seen):
    """Damages the newest segment behind what was synced, and says how."""
    segments = tapeline.segments()
    if not segments:
        return
    lengths = [line.split(" ", 1) for line in read_lines(tapeline.notes)]
    synced = max((int(length) for length, path in lengths if pathlib.Path(path) == segments[-1]), default=0)
    with open(segments[-1], "r+b") as file:
        file.seek(synced)
        tail = file.read()
        unsynced = len(tail.rstrip(b"\0"))
        seen["with bytes not synced"] += unsynced > 0
        if not tail:
            return
        first = rng.randrange(max(1, unsynced))
        if rng.random() < 0.2:
            first = 0
        how = rng.choice(("cut", "zeroed", "flipped"))
        seen[how] += 1
        if how == "cut":
            file.truncate(synced + first)
            return
        file.seek(synced + first)
        piece = bytearray(tail[first:first + rng.choice((1, 100, 5000))])
        for place in range(len(piece)):
            piece[place] = 0 if how == "zeroed" else piece[place] ^ rng.randrange(256)
        file.write(piece)


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def wait_until(tapeline, what, holds):
    give_up = time.monotonic() + 60
    while not holds():
        if time.monotonic() > give_up:
            raise Failure(f"no {what} for 60 s: {tapeline.last_words()}")
        time.sleep(0.0005)


def cycle(tapeline, rng, number, seen, acknowledged):
    damaging = number % 2 == 1
    ways = ["while it starts", "later", "after an acknowledgement", "as a segment begins"]
    way = "while it starts" if number == 0 else rng.choice(ways + ["in a sync"] * 12 if damaging else ways + ["later"])
    seen[way] += 1
    pause_us = rng.choice((5000, 20000, 60000)) if damaging else 0
    tapeline.start(pause_us)
    if way == "while it starts":
        time.sleep(rng.uniform(0, 1.2 * seen["seconds to ready"] or 1.0))
    else:
        seen["seconds to ready"] = tapeline.wait_ready()
        seen["seconds to ready, most"] = max(seen["seconds to ready, most"], seen["seconds to ready"])
        time.sleep(rng.uniform(0, 4))
    if way == "after an acknowledgement":
        before = size_of(acknowledged)
        wait_until(tapeline, "acknowledgement", lambda: size_of(acknowledged) > before)
    elif way == "in a sync":
        before = size_of(tapeline.syncing)
        wait_until(tapeline, "sync", lambda: size_of(tapeline.syncing) > before)
        time.sleep(rng.uniform(0, pause_us / 1e6))
    elif way == "as a segment begins":
        before = tapeline.segments()
        wait_until(tapeline, "segment", lambda: tapeline.segments() != before)
    tapeline.strike()
    segments = tapeline.segments()
    seen["segments"] = len(segments)
    seen["in an empty segment"] += len(segments) > 1 and not segments[-1].read_bytes().rstrip(b"\0")
    seen["in a DAG run"] += tapeline.was_running_dag()
    if damaging:
        seen["damaged"] += 1
        damage(tapeline, rng, seen)


def settle(tapeline):
    """Waits until everything is loaded, transformed and tested; the last status."""
    give_up, before = time.monotonic() + 600, None
    while time.monotonic() < give_up:
        status = json.loads(tapeline.get("/api/v1/status")[1] or b"{}")
        run = status.get("dag") or {}
        if status.get("lag") == 0 and run.get("state") not in ("queued", "running", None) and run["run_id"] == before:
            return status
        before = run.get("run_id") if status.get("lag") == 0 else None
        time.sleep(2)
    raise Failure(f"not settled after 600 s: {status}")


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, wrong, said=""):
        """`wrong` is a list of findings."""
        self.passed += not wrong
        self.failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '} {name}{': ' + said if said else ''}", flush=True)
        for line in list(wrong)[:8]:
            print("      ", str(line)[:500], flush=True)


def is_prefixes(stretch, request):
    """Whether a stretch of the topic is nothing but beginnings of one request, one after another."""
    ends = {0}
    for value in stretch:
        ends = {end + 1 for end in ends if end < len(request) and request[end] == value} | ({1} if request[0] == value else set())
    return bool(ends) and (not stretch or bool(ends - {0}))


def check_topic(checks, topic, sent, acknowledged):
    """The topic holds the feeder's requests in their order; before each only beginnings of it."""
    wrong, position = [], 0
    if [record["offset"] for record in topic] != list(range(len(topic))):
        wrong.append("offsets are not 0, 1, 2, ...")
    values = [record["value"] for record in topic]
    for number, request in enumerate(acknowledged):
        lines, offsets = sent[request["first"]:request["next"]], request["offsets"]
        first = offsets[0]
        if offsets != list(range(first, first + len(lines))) or first < position:
            wrong.append(f"request {number} was acknowledged with offsets {first} to {offsets[-1]}, {len(offsets)} for {len(lines)}")
        elif values[first:first + len(lines)] != lines:
            wrong.append(f"request {number}: offsets {first} to {offsets[-1]} were acknowledged and hold something else")
        elif not is_prefixes(values[position:first], lines):
            wrong.append(f"request {number}: offsets {position} to {first} hold what was not sent then")
        position = offsets[-1] + 1
    if position != len(values):
        wrong.append(f"the topic ends at {len(values)}, the last acknowledgement at {position}")
    repeated = len(values) - len(sent)
    checks.check("every acknowledged message is in the topic, at its offset and in order", wrong,
                 f"{len(acknowledged)} requests, {len(sent)} messages, {repeated} repeated by requests that were sent again")


def check_raw(checks, tapeline, sent):
    """By the feeder's list alone: each key once, with the values of its last message."""
    last = {}
    for line in sent:
        try:
            said = json.loads(line)
            at = datetime.datetime.fromisoformat(said["timestamp"].replace("Z", "+00:00")).isoformat(timespec="microseconds")
            if said["symbol"].isupper() and not isinstance(said["price"], str):
                last[said["symbol"], at[:26] + "Z"] = said
        except (ValueError, KeyError, TypeError):
            continue  # no message with a key
    found, wrong = collections.Counter(), []
    for row in tapeline.rows("select * from raw_stocks.stock_prices"):
        at = datetime.datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).isoformat(timespec="microseconds")
        key = (row["symbol"], at[:26] + "Z")
        found[key] += 1
        said = last.get(key)
        if said is None:
            wrong.append(f"{key} was never sent")
            continue
        for name in ("price", "high", "low", "open", "previous_close"):
            want = said.get(name)
            if (row[name] == "") != (want is None) or want is not None and abs(float(row[name]) - want) > 5.1e-7:
                wrong.append(f"{key} {name}: sent {want}, found {row[name]!r}")
        for name in ("volume", "data_source", "bar_length"):
            want = said.get(name)
            if row[name] != ("" if want is None else str(want)):
                wrong.append(f"{key} {name}: sent {want}, found {row[name]!r}")
        if "session" in said and row["session"] != said["session"]:
            wrong.append(f"{key} session: sent {said['session']}, found {row['session']}")
    wrong += [f"{key} is in raw {count} times" for key, count in found.items() if count > 1]
    wrong += [f"{key} was acknowledged and is not in raw" for key in last if key not in found]
    checks.check("every acknowledged key is in raw once, with its last payload", wrong, f"{len(last)} keys")


def check_models(checks, name, tapeline, folder, lines):
    """All tables against the oracle's of these messages; the oracle's counts."""
    listed, out = folder / f"{name}.ndjson", folder / name
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([sys.executable, ORACLE, listed, out, "--calendar", folder / "sessions.csv.gz", "--against",
                           folder / "found"], capture_output=True, text=True)
    wrong = [line for line in done.stdout.splitlines() if not line.startswith("ok")]
    if done.returncode != 0 and not wrong:
        wrong = [done.stderr[-500:]]
    checks.check(f"raw, staging, daily, analytics and minutes are what the oracle makes of the {name}", wrong,
                 ", ".join(line[5:].split(",")[0] for line in done.stdout.splitlines() if line.startswith("ok")))
    return json.loads((out / "counts.json").read_text())


def check_all(checks, tapeline, folder, status):
    sent, acknowledged = read_lines(folder / "sent.ndjson"), [json.loads(line) for line in read_lines(folder / "acknowledged.ndjson")]
    done = tapeline.call("audit")
    checks.check("tapeline audit, through the running one", [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()[-8:])
    code = tapeline.stop()
    checks.check("it stops when told to", [f"exit {code}"] if code else [])
    done = tapeline.call("audit")
    checks.check("tapeline audit", [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()[-8:],
                 done.stdout.strip().split("\n")[-1])
    done = tapeline.call("topic", "verify")
    checks.check("tapeline topic verify", [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()[-8:])

    topic = [json.loads(line) for line in tapeline.output("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow",
                                                          "--json").split("\n") if line]
    check_topic(checks, topic, sent, acknowledged)
    check_raw(checks, tapeline, sent)

    (folder / "found").mkdir()
    for table, schema in TABLES.items():
        (folder / "found" / f"{table}.csv").write_text(tapeline.output("sql", "-c", f"select * from {schema}.{table}", "--format", "csv"))
    check_models(checks, "feeder's list", tapeline, folder, sent)
    loads = tapeline.rows("select * from raw_stocks.loads order by load_id")
    load_of = {offset: int(load["load_id"]) for load in loads for offset in range(int(load["first_offset"]), int(load["next_offset"]))}
    counted = check_models(checks, "topic", tapeline, folder, [
        json.dumps({"offset": record["offset"], "value": record["value"], "appended_at": record["appended_at"],
                    "load_id": load_of.get(record["offset"])}) for record in topic])

    wrong = [f"load {load['load_id']}: {load}" for load in loads
             if int(load["consumed"]) != sum(int(load[name]) for name in COUNTS[1:])
             or int(load["consumed"]) != int(load["next_offset"]) - int(load["first_offset"])]
    wrong += [f"load {after['load_id']} begins at {after['first_offset']}, the one before ends at {before['next_offset']}"
              for before, after in zip(loads, loads[1:]) if before["next_offset"] != after["first_offset"]]
    sums = {name: sum(int(load[name]) for load in loads) for name in COUNTS}
    raw = int(tapeline.rows("select count(*) as n from raw_stocks.stock_prices")[0]["n"])
    dead = int(tapeline.rows("select count(*) as n from raw_stocks.dead_letters")[0]["n"])
    wrong += [f"the loads say {sums}, the oracle {counted}"] if sums != counted else []
    wrong += [f"{raw} rows in raw, {sums['loaded']} loaded"] if raw != sums["loaded"] else []
    wrong += [f"{dead} dead letters, {sums['dead']} counted"] if dead != sums["dead"] else []
    wrong += [f"{len(topic)} messages, {sums['consumed']} consumed"] if len(topic) != sums["consumed"] else []
    wrong += [f"the status said {status['equation']}"] if any(status["equation"][name] != sums[name] for name in COUNTS) else []
    checks.check("the equation balances, load by load", wrong,
                 "{consumed} consumed = {loaded} loaded + {duplicate} duplicate + {superseded} superseded + {dead} dead".format(**sums)
                 + f", {len(loads)} loads")


def run(tapeline, folder, options, checks):
    rng, seen = random.Random(f"kills {options.seed}"), collections.Counter()
    acknowledged = folder / "acknowledged.ndjson"
    with open(folder / "feeder.log", "wb") as log:
        feeder = subprocess.Popen([sys.executable, HERE / "kill_feeder.py", folder, "--data-dir", tapeline.data, "--port",
                                   str(tapeline.port), "--seed", str(options.seed)], stdout=log, stderr=log)
    try:
        for number in range(options.cycles):
            cycle(tapeline, rng, number, seen, acknowledged)
            if feeder.poll() is not None:
                raise Failure("the feeder ended: " + (folder / "feeder.log").read_text()[-600:])
            if (number + 1) % 10 == 0 or number + 1 == options.cycles:
                print(f"{number + 1} cycles: killed while starting {seen['while it starts']}, later {seen['later']}, right after an "
                      f"acknowledgement {seen['after an acknowledgement']}, in a sync {seen['in a sync']}, as a segment begins "
                      f"{seen['as a segment begins']}; {seen['in a DAG run']} of all in a DAG run, {seen['in an empty segment']} while the "
                      f"newest of {seen['segments']} segments was empty; damaged {seen['damaged']} (cut {seen['cut']}, zeroed "
                      f"{seen['zeroed']}, flipped {seen['flipped']}; {seen['with bytes not synced']} had bytes not synced); "
                      f"{len(read_lines(acknowledged))} requests acknowledged, ready within {seen['seconds to ready, most']:.2f} s",
                      flush=True)
        tapeline.start()
        tapeline.wait_ready()
        time.sleep(1)
        (folder / "stop").touch()
        code = feeder.wait(timeout=60)
        checks.check("the feeder got an answer to everything it sent", [(folder / "feeder.log").read_text()[-600:]] if code else [])
    finally:
        if feeder.poll() is None:
            feeder.kill()
            feeder.wait()
    check_all(checks, tapeline, folder, settle(tapeline))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("--cycles", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--keep", type=pathlib.Path, help="an empty folder that is left as it is at the end")
    options = arguments.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {options.seed}", flush=True)
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tapeline-kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    write_sessions(folder / "sessions.csv.gz")
    checks, tapeline = Checks(), Tapeline(options.tapeline.resolve(), folder)
    try:
        run(tapeline, folder, options, checks)
    except Failure as why:
        checks.check("the cycles", [why])
    finally:
        tapeline.kill()
    if checks.failed or options.keep:
        print(f"files are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
