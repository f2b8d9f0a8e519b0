#!/usr/bin/env python3
"""Backups and cuts of a tapeline that is busy, killed, or out of room.

    backup_test.py TAPELINE [--rounds N] [--kills N] [--seed N] [--only NAME]

load: while a producer sends and an import runs (then: a fast simulator), backups at random moments
are restored; each restored directory must pass an audit as it stands and again once it has loaded
what waited, hold every message of its manifest once, and have topics that begin those of the
original. kill: SIGKILL while a backup is made and while one is restored. damage: what is no backup
is refused. full: no room (where this user may mount a disk). retention: a cut, killed at times; late
rows for cut days and a full refresh change no cell of a mart at or before it. Prints a line a check
and `N passed, N failed`.
"""
import argparse
import csv
import datetime
import gzip
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zoneinfo

from kill_feeder import messages

MARTS = ("int_stocks.int_stock_daily_aggregates", "marts_stocks.stock_analytics", "marts_stocks.stock_bars_1m")
DAG = "stock_data_ingestion"


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, name, holds, said=""):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {name}" + (f": {str(said)[:600]}" if said and not holds else ""), flush=True)


class Tapeline:
    """The program on one data directory."""

    started = []  # what runs, or ran

    def __init__(self, binary, data):
        self.binary, self.data, self.process = binary, data, None

    def call(self, *words, given=None, environment=None):
        return subprocess.run([self.binary, *map(str, words), "--data-dir", self.data], input=given, capture_output=True, text=True,
                              errors="replace", timeout=600, env={**os.environ, **(environment or {})})

    def output(self, *words, **more):
        done = self.call(*words, **more)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr[-600:]}")
        return done.stdout

    def rows(self, query):
        return list(csv.DictReader(self.output("sql", "-c", query, "--format", "csv").splitlines()))

    def up(self, *flags, environment=None):
        log = self.data.parent / (self.data.name + ".log")
        with open(log, "ab") as out:
            self.process = subprocess.Popen([self.binary, "up", "--data-dir", self.data, "--listen", "127.0.0.1:0", *flags],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
            self.started.append(self.process)
        until("it is ready", lambda: "dashboard" in log.read_text(errors="replace").rsplit("\n  tapeline ", 1)[-1] and self.ready())

    def ready(self):
        found = json.loads((self.data / "lock").read_text() or "{}").get("address", "")
        if not found:
            return False
        connection = http.client.HTTPConnection(found.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def audit(self):
        done = self.call("audit")
        return done.returncode == 0, done.stdout + done.stderr

    def run_dag(self):
        self.output("dag", "trigger", DAG, "--wait")


def until(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise RuntimeError(f"waited {seconds} s until {what}")


class Sending:
    """Sends messages, a lot at a time, and imports a file, while it is entered."""

    def __init__(self, tapeline, bars, seed):
        self.tapeline, self.bars, self.over = tapeline, bars, threading.Event()
        self.listed = messages(random.Random(seed))

    def __enter__(self):
        self.over.clear()
        self.threads = [threading.Thread(target=work) for work in (self.produce, self.imports)]
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def produce(self):
        while not self.over.is_set():
            self.tapeline.call("topic", "produce", "stock_prices", given="\n".join(itertools.islice(self.listed, 2000)) + "\n")

    def imports(self):
        while not self.over.is_set():
            self.tapeline.call("import", self.bars)


def some_bars(path, rows):
    source = pathlib.Path(__file__).resolve().parents[1] / "data" / "daily" / "wiki.csv.gz"
    with gzip.open(source, "rt") as given, open(path, "w") as out:
        out.writelines(itertools.islice(given, rows))
    return path


def begins(restored, original):
    """Whether each segment of a restored log is a first part of the original's."""
    for segment in restored.glob("log/stock_prices/0/*.segment"):
        whole = original / segment.relative_to(restored)
        if not whole.exists() or not whole.read_bytes().startswith(segment.read_bytes()):
            return False
    return True


def check_restored(check, name, binary, backup, restored, original):
    """A restored directory, as it stands and after what waited was loaded. The backup's manifest."""
    done = Tapeline(binary, restored).call("backup", "restore", backup, "--to", restored)
    check(f"{name}: restored", done.returncode == 0, done.stderr)
    manifest = json.loads((backup / "backup.json").read_text())
    part = manifest["partitions"][0]
    check(f"{name}: the warehouse is not ahead of the log", part["next_to_load"] <= part["end_offset"], part)
    check(f"{name}: its topic begins the original's", begins(restored, original))
    again = Tapeline(binary, restored)
    check(f"{name}: audit as it stands", *again.audit())
    again.run_dag()
    check(f"{name}: audit after what waited", *again.audit())
    status = json.loads(again.output("status", "--json"))
    check(f"{name}: each message counts once", status["consumed"] == part["end_offset"] and status["lag"] == 0, status)
    row = again.rows("select count(*) as n, count(distinct (symbol, \"timestamp\")) as keys from raw_stocks.stock_prices")[0]
    check(f"{name}: no key twice", row["n"] == row["keys"] == str(status["loaded"]), row)
    return manifest


def test_load(check, binary, folder, options):
    rng = random.Random(options.seed)
    market = Tapeline(binary, folder / "market")
    market.up("--feed", "none", environment={"TAPELINE_LOG_SEGMENT_BYTES": "300000"})
    waiting = 0
    sending = Sending(market, some_bars(folder / "bars.csv", 1500), options.seed)
    for number in range(options.rounds):
        backup, restored = folder / f"backup{number}", folder / f"restored{number}"
        with sending:
            time.sleep(rng.uniform(0, 1.5))  # the moment is the point
            market.output("backup", "create", backup)
        manifest = check_restored(check, f"backup {number}", binary, backup, restored, market.data)
        part = manifest["partitions"][0]
        waiting += part["end_offset"] > part["next_to_load"]
        if number == 0:
            check_privacy(check, backup, market.data)
            done = market.call("backup", "verify", backup)
            check("verify proves it", done.returncode == 0 and "whole" in done.stderr, done.stdout + done.stderr)
            check("and leaves nothing", not backup.with_name(backup.name + ".verify").exists())
        shutil.rmtree(backup)
        shutil.rmtree(restored)
    market.stop()
    check("after the backups, audit of the original", *market.audit())
    print(f"     {waiting} of {options.rounds} backups had messages above the warehouse's offset")

    simulated = Tapeline(binary, folder / "simulated")
    simulated.up("--rate", "20000")
    time.sleep(rng.uniform(1, 3))
    simulated.output("backup", "create", folder / "simulated_backup")
    simulated.stop()
    check_restored(check, "simulator", binary, folder / "simulated_backup", folder / "simulated_restored", simulated.data)
    again = Tapeline(binary, folder / "simulated_restored")
    before = json.loads(again.output("status", "--json"))["consumed"]
    again.up()  # the pipeline goes on where the backup stood
    until("it goes on", lambda: json.loads(again.output("status", "--json"))["consumed"] > before)
    again.stop()
    check("simulator: audit after it went on", *again.audit())


def check_privacy(check, backup, data):
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [backup, *backup.rglob("*")]}
    check("a backup is its owner's only", all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes)
    token = (data / "token").read_bytes().strip()
    check("and has no token", not any(token in path.read_bytes() for path in backup.rglob("*") if path.is_file()))


def test_kill(check, binary, folder, options):
    rng = random.Random(options.seed)
    data = Tapeline(binary, folder / "data")
    data.output("import", some_bars(folder / "bars.csv", 3000))
    data.output("topic", "produce", "stock_prices", given="\n".join(itertools.islice(messages(random.Random(1)), 20000)) + "\n")
    data.run_dag()
    began = time.monotonic()
    data.output("backup", "create", folder / "whole")
    takes = time.monotonic() - began
    killed = 0
    for number in range(options.kills):
        data.up("--feed", "none")
        to = folder / f"killed{number}"
        making = subprocess.Popen([binary, "backup", "create", to, "--data-dir", data.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, takes))
        data.kill()
        finished = making.wait(60) == 0
        whole = (to / "backup.json").exists()
        killed += not whole
        done = data.call("backup", "verify", to)
        check(f"killed backup {number}: {'whole' if whole else 'refused'}",
              (done.returncode == 0) == whole and whole >= finished, done.stderr)
        if not whole:
            done = data.call("backup", "restore", to, "--to", folder / "never")
            check(f"killed backup {number}: not restored", done.returncode == 2 and not (folder / "never").exists(), done.stderr)
    check("after kills while backing up, audit", *data.audit())
    for number in range(options.kills):
        to = folder / f"again{number}"
        restoring = subprocess.Popen([binary, "backup", "restore", folder / "whole", "--to", to], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.15))
        restoring.kill()
        restoring.wait()
        if not to.exists():
            done = data.call("backup", "restore", folder / "whole", "--to", to)
            check(f"killed restore {number}: works the next time", done.returncode == 0, done.stderr)
        check(f"killed restore {number}: audit", *Tapeline(binary, to).audit())
        check(f"killed restore {number}: nothing left beside it", not to.with_name(to.name + ".restoring").exists())
    print(f"     {killed} of {options.kills} kills met a backup in the making")


def test_damage(check, binary, folder, options):
    data = Tapeline(binary, folder / "data")
    data.output("import", some_bars(folder / "bars.csv", 300))
    backup = folder / "backup"
    data.output("backup", "create", backup)
    files = json.loads((backup / "backup.json").read_text())["files"]

    def refused(name, change, says, verify=1):
        copy = folder / "copy"
        shutil.copytree(backup, copy)
        change(copy)
        done = data.call("backup", "verify", copy)
        check(f"{name}: verify says so", done.returncode == verify and says in done.stderr, done.stderr)
        done = data.call("backup", "restore", copy, "--to", folder / "to")
        check(f"{name}: restore refuses", done.returncode == 2 and says in done.stderr, done.stderr)
        check(f"{name}: nothing is left", sorted(p.name for p in folder.iterdir()) == ["backup", "bars.csv", "copy", "data"], list(folder.iterdir()))
        shutil.rmtree(copy)

    def flip(path):
        def change(copy):
            damaged = bytearray((copy / "data" / path).read_bytes())
            damaged[len(damaged) // 2] ^= 1
            (copy / "data" / path).write_bytes(damaged)
        return change

    def rewrite(**fields):
        def change(copy):
            said = json.loads((copy / "backup.json").read_text())
            (copy / "backup.json").write_text(json.dumps({**said, **fields}))
        return change

    for path in [file["path"] for file in files if file["bytes"] > 0]:
        refused(f"a bit of {path}", flip(path), f"'{path}'")
    refused("a longer file", lambda copy: (copy / "data/state.sqlite").open("ab").write(b"x"), "another size")
    refused("a missing file", lambda copy: (copy / "data/stocks_fin.duckdb").unlink(), "is missing")
    refused("no manifest", lambda copy: (copy / "backup.json").unlink(), "there is no backup", verify=2)
    refused("half a manifest", lambda copy: os.truncate(copy / "backup.json", 100), "no JSON object", verify=2)
    refused("a newer format", rewrite(format=2), "newer tapeline", verify=2)
    refused("a newer layout", rewrite(layout=99), "newer tapeline", verify=2)
    refused("a path out of it", rewrite(files=[*files, {"path": "../../x", "bytes": 0, "sha256": ""}]), "'../../x'", verify=2)
    for name, to, says in (("the data directory itself", data.data, "not empty"), ("a folder with files", backup, "not empty")):
        done = data.call("backup", "restore", backup, "--to", to)
        check(f"restore into {name} is refused", done.returncode == 2 and says in done.stderr, done.stderr)
    data.up("--feed", "none")
    done = data.call("backup", "restore", backup, "--to", data.data)
    check("restore into a running one is refused", done.returncode == 2 and "running tapeline" in done.stderr, done.stderr)
    done = data.call("compact")
    check("compact of a running one is refused", done.returncode == 2 and "another tapeline" in done.stderr, done.stderr)
    for name, to, says in (("the data directory", data.data / "backup", "lies in the data directory"), ("a full folder", backup, "not empty")):
        done = data.call("backup", "create", to)
        check(f"backup into {name} is refused", done.returncode == 2 and says in done.stderr, done.stderr)
    data.stop()
    data.output("compact")
    check("audit after compact", *data.audit())


def test_full(check, binary, folder, options):
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True).returncode:
        print("skipped: full disks, because this user may not mount one")
        return
    try:
        data = Tapeline(binary, folder / "data")
        data.output("import", some_bars(folder / "bars.csv", 6000))
        data.output("topic", "produce", "stock_prices", given="\n".join(itertools.islice(messages(random.Random(2)), 30000)) + "\n")
        data.run_dag()
        data.output("backup", "create", folder / "backup")
        data.up("--feed", "none")
        for size in ("6m", "14m"):  # full in the log, full in the warehouse
            subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
            done = data.call("backup", "create", disk / "backup")
            check(f"backup to a disk of {size}: says so", done.returncode == 2 and re.search("No space|not enough|full", done.stderr), done.stderr)
            check(f"backup to a disk of {size}: leaves nothing", not any(disk.iterdir()), list(disk.iterdir()))
            done = data.call("backup", "restore", folder / "backup", "--to", disk / "to")
            check(f"restore to a disk of {size}: says so", done.returncode == 2 and "No space" in done.stderr, done.stderr)
            check(f"restore to a disk of {size}: leaves nothing", not any(disk.iterdir()), list(disk.iterdir()))
        data.output("topic", "produce", "stock_prices", given='{"symbol":"AAPL","price":1,"timestamp":"2024-06-03T15:00:00Z","data_source":"mine"}\n')
        data.run_dag()
        data.stop()
        check("the pipeline went on", *data.audit())
    finally:
        subprocess.run(["umount", disk], check=False)


def cells(tapeline, up_to=None):
    """Every cell of the marts and of the daily rows, of all days or those up to one."""
    where = f"where price_date <= date '{up_to}'" if up_to else ""
    return {table: tapeline.output("sql", "-c", f"select * from {table} {where} order by all", "--format", "csv") for table in MARTS}


def test_retention(check, binary, folder, options):
    data = Tapeline(binary, folder / "data")
    data.output("import", some_bars(folder / "bars.csv", 400))
    listed = list(itertools.islice(messages(random.Random(options.seed)), 8000))
    data.output("topic", "produce", "stock_prices", given="\n".join(listed) + "\n")
    data.run_dag()
    days = [row["price_date"] for row in data.rows("select distinct price_date from raw_stocks.stock_prices order by 1")]
    first, second = days[len(days) - 120], days[len(days) - 60]
    today = datetime.datetime.now(zoneinfo.ZoneInfo("America/New_York")).date()
    keep = lambda day: {"TAPELINE_RETENTION_RAW_DAYS": str((today - datetime.date.fromisoformat(day)).days)}

    done = data.call("retention", "run")
    check("without a setting it says how", done.returncode == 2 and "retention.raw_days" in done.stderr, done.stderr)
    before = cells(data)
    dry = json.loads(data.output("retention", "run", "--dry-run", "--json", environment=keep(first)))
    check("a dry run keeps everything", cells(data) == before and dry["raw_rows"] > 0, dry)

    # SIGKILL while it cuts: all or nothing.
    rng, cut = random.Random(options.seed), 0
    environment = {**keep(first), "TAPELINE_RETENTION_ARCHIVE_DIR": str(folder / "archive")}
    for number in range(options.kills):
        cutting = subprocess.Popen([binary, "retention", "run", "--data-dir", data.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, **(environment if number % 2 else keep(first))})
        time.sleep(rng.uniform(0, 0.5))
        cutting.kill()
        cutting.wait()
        row = data.rows("select (select count(*) from retention) as cuts, (select coalesce(sum(loaded), 0) from loads) - "
                        "(select count(*) from raw_stocks.stock_prices) as gone")[0]
        cut = int(row["cuts"])
        check(f"killed cut {number}: all or nothing", (cut, int(row["gone"])) in ((0, 0), (1, dry["raw_rows"])), row)
        if cut:
            break
    data.output("retention", "run", environment=environment)
    check("after the cut, audit", *data.audit())
    check("the cut changes no cell of a mart", cells(data) == before)
    kept = data.rows(f"select count(*) as n from raw_stocks.stock_prices where price_date <= date '{first}'")[0]["n"]
    check("raw has no row of a cut day", kept == "0", kept)
    archived = list((folder / "archive").glob("*")) if (folder / "archive").exists() else []
    check("the archive has whole files only", all(path.suffix == ".parquet" and path.read_bytes()[-4:] == b"PAR1" for path in archived), archived[:3])

    # Late rows for cut days, and rows for others, with the pipeline running.
    late = [line for line in listed if line.startswith("{") and '"timestamp"' in line]
    changed = [json.dumps({**json.loads(line), "price": 1.5}) for line in late[:3000]]
    counts = lambda: json.loads(data.output("status", "--json"))
    was = counts()
    data.up("--feed", "none", environment=keep(first))
    data.output("topic", "produce", "stock_prices", given="\n".join(changed) + "\n")
    data.run_dag()
    data.stop()
    now = counts()
    dead = data.rows("select count(*) as n from dead_letters where reason like 'before_retention%'")[0]["n"]
    check("late rows of cut days are dead letters", 1000 < int(dead) <= now["dead"] - was["dead"] and now["consumed"] - was["consumed"] == len(changed), (dead, was, now))
    check("late rows change no cell of a cut day", cells(data, first) == filtered(before, first))
    check("audit after late rows", *data.audit())

    data.output("dbt", "build", "--full-refresh")
    check("a full refresh changes no cell of a cut day", cells(data, first) == filtered(before, first))
    check("windows after the cut see the days before it", windows_full(data, first))
    check("audit after a full refresh", *data.audit())

    # A second cut, and a full refresh of what a first has left; then a backup of it all.
    frozen = cells(data, second)
    data.output("retention", "run", environment=keep(second))
    data.output("dbt", "build", "--full-refresh")
    check("a second cut and a full refresh change no cell up to it", cells(data, second) == frozen)
    check("audit after the second cut", *data.audit())
    data.output("backup", "create", folder / "backup")
    done = data.call("backup", "verify", folder / "backup")
    check("a backup of it is whole", done.returncode == 0, done.stdout + done.stderr)

    # The daily DAG does the same.
    data.output("dag", "trigger", "retention", "--wait", environment=keep(days[-2]))
    check("the DAG cuts too", data.rows("select count(*) as n from retention")[0]["n"] == "3")
    check("audit after the DAG's cut", *data.audit())


def filtered(tables, day):
    """The rows of days up to one, as `cells` gives them."""
    kept = {}
    for table, text in tables.items():
        lines = text.splitlines(keepends=True)
        place = next(csv.reader([lines[0]])).index("price_date")
        kept[table] = "".join([lines[0], *[line for line in lines[1:] if next(csv.reader([line]))[place] <= day]])
    return kept


def windows_full(tapeline, day):
    row = tapeline.rows(f"select count(*) as n from stock_analytics where price_date > date '{day}' and window_days > 100")[0]
    return int(row["n"]) > 0


TESTS = {"load": test_load, "kill": test_kill, "damage": test_damage, "full": test_full, "retention": test_retention}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=lambda p: str(pathlib.Path(p).resolve()))
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--kills", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", choices=TESTS)
    options = arguments.parse_args()
    check = Checks()
    for name, test in TESTS.items():
        if options.only and name != options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            try:
                test(check, options.tapeline, pathlib.Path(folder), options)
            except (RuntimeError, OSError, KeyError, subprocess.TimeoutExpired) as error:
                check(f"{name}: {error!r}", False)
            for process in Tapeline.started:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            print(f"     {name}: {time.monotonic() - began:.0f} s", flush=True)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
