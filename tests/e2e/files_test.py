#!/usr/bin/env python3
"""Files in and out of the built program.

    files_test.py TAPELINE [--only NAME]

The same rows as CSV, gzip, zip, Parquet, a folder and a pattern make the same raw table; raw that is
exported and imported into an empty directory makes the same marts; an import that is killed goes on
where it was; exports are whole or not there. Prints a line a check and `N passed, N failed`.
"""
import argparse
import contextlib
import csv
import gzip
import io
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAILY = ROOT / "tests" / "data" / "daily" / "wiki.csv.gz"
RAW = ("select symbol, \"timestamp\", price, volume, high, low, open, data_source, previous_close, session, bar_length, price_date, "
       "price_hour from raw_stocks.stock_prices order by 1, 2")
MARTS = ("select * exclude (load_id) from stock_analytics order by symbol, price_date",
         "select * exclude (load_id) from int_stock_daily_aggregates order by symbol, price_date",
         "select * exclude (load_id) from stock_bars_1m order by symbol, bar_start")


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, holds, said=""):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {name}" + (f": {str(said)[:400]}" if said and not holds else ""), flush=True)


class Tapeline:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.data = binary, folder, folder / "data"

    def call(self, *words, data=None, **more):
        return subprocess.run([self.binary, *map(str, words), "--data-dir", data or self.data], capture_output=True,
                              timeout=600, cwd=self.folder, **more)

    def text(self, query, data=None):
        return self.call("sql", "-c", query, "--format", "csv", data=data).stdout.decode()

    def marts(self, data=None):
        return [self.text(query, data) for query in MARTS]

    def start(self):
        process = subprocess.Popen([self.binary, "up", "--feed", "none", "--data-dir", self.data, "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            # Asked before `up` has the directory, `status` would take it itself.
            if (self.data / "tapeline.sock").exists() and self.call("status").returncode == 0:
                return process
            time.sleep(0.05)
        raise RuntimeError("up did not start")


def trades(rows, symbol="ZZ", day=2):
    """Trades of one morning, a few of them in the same millisecond."""
    rng = random.Random(f"{rows} {symbol} {day}")
    yield "timestamp,symbol,price,size"
    at = 0
    for _ in range(rows):
        at += rng.choice((0, 0, 1, 20))
        seconds = at // 1000
        yield (f"2024-01-{day:02}T{14 + (1800 + seconds) // 3600:02}:{(1800 + seconds) // 60 % 60:02}:{seconds % 60:02}.{at % 1000:03}Z,"
               f"{symbol},{100 + rng.randrange(1000) / 100:.2f},{rng.randrange(1, 500)}")


def forms(checks, tapeline):
    """One set of rows in every form that a file may have."""
    folder = tapeline.folder / "forms"
    many = folder / "many" / "deep"
    many.mkdir(parents=True)
    texts = {f"t{day}.csv": "\n".join(trades(2000, f"S{day}", day)) + "\n" for day in (2, 3, 4)}
    for name, text in texts.items():
        (many.parent / name).write_text(text)
    shutil.move(many.parent / "t4.csv", many / "t4.csv")
    (many.parent / "README.md").write_text("not rows")
    (many.parent / ".hidden.csv").write_text("not rows")
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(texts.items()):
            archive.writestr(f"2024/{name}", text)
        archive.writestr("2024/notes.pdf", "not rows")
    with zipfile.ZipFile(folder / "stored.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, text in sorted(texts.items()):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(gzip.compress(text.encode()) if name == "t3.csv" else text.encode())
    rows = [line for text in texts.values() for line in text.splitlines()[1:]]
    quoted = [",".join(f'"{field}"' for field in row.split(",")) if i % 3 == 0 else row for i, row in enumerate(rows)]
    (folder / "mixed.csv").write_bytes(b"\xef\xbb\xbf" + b"timestamp,symbol,price,size\r\n" +
                                       b"".join(row.encode() + (b"\r\n" if i % 2 else b"\n") for i, row in enumerate(quoted)))
    inputs = {"files": [many.parent / "t2.csv", many.parent / "t3.csv", many / "t4.csv"], "a folder": [many.parent],
              "a pattern": [folder / "m*" / "t?.csv", folder / "many" / "d[e]*"], "zip": [folder / "all.zip"],
              "zip, stored, 64-bit, gzip inside": [folder / "stored.zip"], "quotes, CRLF and LF, a byte order mark": [folder / "mixed.csv"]}
    expected = None
    for number, (name, words) in enumerate(inputs.items()):
        data = tapeline.folder / f"forms-{number}"
        done = tapeline.call("import", *words, "--json", data=data)
        raw = tapeline.text(RAW, data)
        expected = expected or raw
        said = json.loads(done.stdout or b"{}")
        checks.check(f"forms: {name}", done.returncode == 0 and raw == expected and said.get("rows") == 6000, (said, done.stderr[-300:]))
        if name == "zip":
            checks.check("forms: what is no rows is passed over and told", any("1 other file" in note for note in said.get("notes", [])), said.get("notes"))
    for ending in ("parquet", "csv", "ndjson", "json"):
        done = tapeline.call("export", "raw_stocks.stock_prices", "-o", f"raw.{ending}", data=tapeline.folder / "forms-0")
        checks.check(f"forms: exported as {ending}", done.returncode == 0, done.stderr[-300:])
    for ending in ("parquet", "csv"):
        data = tapeline.folder / f"again-{ending}"
        done = tapeline.call("import", f"raw.{ending}", data=data)
        checks.check(f"forms: raw out as {ending} and in again is the same raw", done.returncode == 0 and tapeline.text(RAW, data) == expected,
                     done.stderr[-300:])
        checks.check(f"forms: {ending}, and the same marts", tapeline.marts(data) == tapeline.marts(tapeline.folder / "forms-0"))
    zoned = "select \"timestamp\" at time zone 'UTC' as timestamp, symbol, price, volume as size from raw_stocks.stock_prices"
    tapeline.call("export", "-c", zoned, "-o", "zoned.parquet", data=tapeline.folder / "forms-0")
    done = tapeline.call("import", "zoned.parquet", data=tapeline.folder / "zoned", env={**os.environ, "TZ": "America/New_York"})
    ends = [tapeline.text('select count(*), min("timestamp"), max("timestamp") from raw_stocks.stock_prices', tapeline.folder / data) for data in ("forms-0", "zoned")]
    checks.check("forms: instants of Parquet are the same whatever the machine's time zone is", done.returncode == 0 and ends[0] == ends[1], (ends, done.stderr[-300:]))
    rows = list(csv.DictReader(open(tapeline.folder / "raw.csv", encoding="utf-8")))
    array = json.load(open(tapeline.folder / "raw.json", encoding="utf-8"))
    lines = [json.loads(line) for line in open(tapeline.folder / "raw.ndjson", encoding="utf-8")]
    checks.check("forms: JSON is an array, NDJSON an object a line, of the same rows as CSV", array == lines and len(rows) == len(lines) and
                 all(row["timestamp"] == line["timestamp"] and float(row["price"]) == line["price"] for row, line in zip(rows, lines)))


def bad(checks, tapeline):
    """What cannot be read says why, and leaves nothing behind."""
    folder = tapeline.folder / "bad"
    folder.mkdir()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", "\n".join(trades(3000)))
    packed = whole.getvalue()
    escape = io.BytesIO()
    with zipfile.ZipFile(escape, "w") as archive:
        archive.writestr("../t.csv", "x")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", b"\n" * (100 << 20))
    encrypted = bytearray(packed)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + flags] |= 1
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt.bak", "x")
    head = b"timestamp,symbol,price,size\n"
    cases = {
        "cut.zip": (packed[:len(packed) // 2], b"no end"), "flipped.zip": (packed[:200] + bytes([packed[200] ^ 255]) + packed[201:], b"damaged"),
        "escape.zip": (escape.getvalue(), b"leads out"), "bomb.zip": (bomb.getvalue(), b"zip bomb"), "encrypted.zip": (bytes(encrypted), b"encrypted"),
        "other.zip": (other.getvalue(), b"no file of rows"), "cut.parquet": (b"PAR1" + b"x" * 100, b"cut.parquet"),
        "semicolons.csv": (head.replace(b",", b";"), b"';'"), "tabs.csv": (head.replace(b",", b"\t"), b"tabs"),
        "missing.csv": (b"timestamp,symbol,price\n", b"neither trades nor bars"), "cr.csv": (head.replace(b"\n", b"\r") + b"x\r", b"CR alone"),
        "dates.csv": (b"date,symbol,open,high,low,close,volume\n01/02/2024,ZZ,1,2,1,2,3\n", b"2025-01-04"),
        "simulated.csv": (b"timestamp,symbol,price,open,high,low,data_source\n2024-01-02T15:00:00Z,ZZ,1,1,1,1,simulator\n", b"made up"),
        "utf16.csv": (head.decode().encode("utf-16"), b"UTF-16"),
        "huge.csv": (head + b'2024-01-02T15:00:00Z,"' + b"x" * 100_000 + b'",1,1\n', b"longer than"),
        "open.csv": (head + b'2024-01-02T15:00:00Z,"ZZ,1,1\n', b"not closed"), "empty.csv": (b"", b"is empty"),
    }
    for name, (content, reason) in cases.items():
        (folder / name).write_bytes(content)
        done = tapeline.call("import", folder / name)
        checks.check(f"bad: {name}", done.returncode == 2 and name.encode() in done.stderr and reason in done.stderr, (done.returncode, done.stderr[-300:]))
    (tapeline.folder / "none").mkdir()
    for words, reason in ((["none"], b"no file to read"), (["no*.such"], b"no file matches"), (["not-there.csv"], b"no file 'not")):
        words = [str(tapeline.folder / word) for word in words]
        done = tapeline.call("import", *words)
        checks.check(f"bad: {words[0].rpartition('/')[2]}", done.returncode == 2 and reason.replace(b"'not", b"'") in done.stderr, done.stderr[-300:])
    good = tapeline.folder / "good.csv"
    good.write_text("\n".join(trades(100)))
    checks.check("bad: a good one afterwards", tapeline.call("import", good).returncode == 0)
    os.link(tapeline.data / "stocks_fin.duckdb", tapeline.folder / "link.duckdb")
    os.symlink(tapeline.data / "stocks_fin.duckdb", tapeline.folder / "symlink.parquet")
    for name in ("link.duckdb", "symlink.parquet", "data/stocks_fin.duckdb", "data"):
        done = tapeline.call("import", tapeline.folder / name)
        checks.check(f"bad: {name} is the warehouse itself", done.returncode == 2 and b"data directory" in done.stderr, done.stderr[-300:])
        done = tapeline.call("export", "loads", "--force", "-o", tapeline.folder / name)
        checks.check(f"bad: nothing is exported over {name}", done.returncode == 2, done.stderr[-300:])
    checks.check("bad: it is whole", tapeline.call("audit").returncode == 0)


def resumed(checks, tapeline):
    """An import that is killed anywhere goes on where it was."""
    path = tapeline.folder / "large.csv.gz"
    rows = 800_000
    with gzip.open(path, "wt", compresslevel=1) as text:
        text.write("\n".join(trades(rows, "ZZ")) + "\n")
    small = tapeline.folder / "small.csv"
    small.write_text("\n".join(trades(5000, "YY", 3)))
    done = tapeline.call("import", path, small, "--json")
    whole = json.loads(done.stdout)
    expected = tapeline.text(RAW)
    meanwhile = tapeline.text("select count(*) from raw_stocks.loads where run_id = 'import'").splitlines()[1]
    checks.check("resumed: a lot was loaded while the rest was sent", int(meanwhile) > 0, whole)
    rng = random.Random(5)
    for number in range(6):
        data = tapeline.folder / f"killed-{number}"
        kinds = []
        again = {}
        for attempt in range(20):
            process = subprocess.Popen([tapeline.binary, "import", path, small, "--json", "--data-dir", data], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            if attempt < 3:
                wait_for_messages(process, data, rng.randrange(1, 300_000))
                kinds.append(rng.choice((signal.SIGKILL, signal.SIGINT)))
                process.send_signal(kinds[-1])
            out, err = process.communicate(timeout=300)
            if process.returncode == 0:
                again = json.loads(out)
                break
        raw = tapeline.text(RAW, data)
        counts = tapeline.text("select sum(loaded) l, sum(duplicate) d, sum(superseded) s, sum(dead) x from raw_stocks.loads", data).splitlines()[1]
        loaded, duplicate, superseded, dead = map(int, counts.split(","))
        checks.check(f"resumed {number}: raw is that of an import in one go", raw == expected, (kinds, err[-300:]))
        checks.check(f"resumed {number}: each message once but for the newest lots of a kill",
                     loaded == whole["loaded"] and duplicate <= 5000 * len(kinds) and superseded == dead == 0, counts)
        checks.check(f"resumed {number}: it went on and did not begin anew", again.get("resumed_at", 0) > 0 or duplicate <= 5000, again)
    done = tapeline.call("import", path, small, "--json")
    once_more = json.loads(done.stdout)
    checks.check("resumed: after its end the same import begins anew", once_more["resumed_at"] == 0 and once_more["duplicate"] == whole["loaded"], once_more)


def wait_for_messages(process, data, at_least):
    """Until the import has noted so many messages, or is over."""
    while process.poll() is None:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{data}/state.sqlite?mode=ro", uri=True)) as state:
                noted = state.execute("select value from settings where key like 'import.%'").fetchone()
        except sqlite3.Error:
            noted = None  # not there yet
        if noted and int(noted[0]) >= at_least:
            return
        time.sleep(0.002)


def exported(checks, tapeline):
    tapeline.call("import", DAILY)
    out = tapeline.folder / "out.csv"
    for where in ("alone", "through up"):
        process = tapeline.start() if where == "through up" else None
        done = tapeline.call("export", "stock_analytics", "--symbol", "AAPL", "--symbol", "MSFT", "--from", "2013-01-02", "--to", "2013-01-03",
                             "-o", out, "--force", "--json")
        rows = list(csv.DictReader(out.open()))
        checks.check(f"exported, {where}: symbols and dates", sorted((row["symbol"], row["price_date"]) for row in rows) == [
            ("AAPL", "2013-01-02"), ("AAPL", "2013-01-03"), ("MSFT", "2013-01-02"), ("MSFT", "2013-01-03")], done.stderr)
        checks.check(f"exported, {where}: --json says what was written", json.loads(done.stdout) == {
            "file": str(out), "format": "csv", "rows": 4, "bytes": out.stat().st_size}, done.stdout)
        done = tapeline.call("export", "--query", "select symbol, count(*) as n from raw_stocks.stock_prices group by 1 order by 1; ")
        checks.check(f"exported, {where}: a query, to stdout", done.stdout == b"symbol,n\nAAPL,3270\nMSFT,3270\n", done.stdout + done.stderr)
        done = tapeline.call("export", "--query", "select symbol, price_date, price from raw_stocks.stock_prices", "--symbol", "MSFT", "--to",
                             "2000-03-01", "--format", "ndjson")
        checks.check(f"exported, {where}: a query, by symbol and date", json.loads(done.stdout) == {
            "symbol": "MSFT", "price_date": "2000-03-01", "price": 90.81}, done.stdout + done.stderr)
        before = out.read_bytes()
        wrong = {"a file that is there": (["loads", "-o", out], b"--force"), "no such table": (["nothing"], b"nothing"),
                 "what is no name": (["loads; drop table x"], b"no table's name"), "a table and a query": (["loads", "-c", "select 1"], b"both"),
                 "nothing": ([], b"nothing to export"), "a write": (["-c", "delete from raw_stocks.loads"], b"SELECT"),
                 "a file as a table": (["-c", "from read_csv('x')"], b"read_csv"), "no such column": (["loads", "--symbol", "X"], b"needs a column"),
                 "a date": (["stock_analytics", "--from", "1/2/2024"], b"not a date"), "a format": (["loads", "--format", "xls"], b"no format"),
                 "Parquet to stdout": (["loads", "--format", "parquet"], b"--output"), "a folder": (["loads", "--force", "-o", tapeline.folder], b"no file"),
                 "a device": (["loads", "--force", "-o", "/dev/null"], b"no file"), "no such folder": (["loads", "-o", "no/such/x.csv"], b"no folder")}
        for name, (words, reason) in wrong.items():
            done = tapeline.call("export", *words)
            checks.check(f"exported, {where}: {name} is refused", done.returncode == 2 and reason in done.stderr, (done.returncode, done.stderr[-300:]))
        for ending in ("csv", "parquet"):
            done = tapeline.call("export", "-c", "select case when i < 900000 then i else cast('x' || i as bigint) end as i "
                                 "from range(1000000) t(i)", "-o", f"failed.{ending}")
            left = [path.name for path in tapeline.folder.glob("failed*")]
            checks.check(f"exported, {where}: a query that fails on the way leaves no {ending}", done.returncode == 2 and not left, (left, done.stderr[-300:]))
        checks.check(f"exported, {where}: the file that was there is untouched", out.read_bytes() == before)
        if process:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def bounded(checks, tapeline):
    """Memory does not grow with what is exported; an export that ends early leaves nothing."""
    tapeline.call("import", DAILY)
    query = "select i, i * 1.5 as x, 'a text of some length ' || i as text, timestamp '2024-01-01' + to_seconds(i) as at from range({}) t(i)"

    def peak(ending, rows):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        done = subprocess.run([sys.executable, "-c", code, tapeline.binary, "export", "-c", query.format(rows), "-o", tapeline.folder / f"x.{ending}",
                               "--force", "--data-dir", tapeline.data], capture_output=True, text=True)
        return int(done.stdout or 0) / 1024, done.stderr, before
    for ending in ("csv", "parquet"):
        few, error, _ = peak(ending, 50_000)
        many, error, _ = peak(ending, 1_000_000)
        checks.check(f"bounded: twenty times the rows as {ending} take no twenty times the memory ({few:.0f} and {many:.0f} MB)",
                     0 < many < few + 120, error)
    process = subprocess.Popen([tapeline.binary, "export", "-c", query.format(50_000_000), "-o", tapeline.folder / "long.csv", "--data-dir",
                                tapeline.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    part = tapeline.folder / "long.csv.part"
    for _ in range(2000):
        if part.exists() and part.stat().st_size > 1 << 20:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    checks.check("bounded: Ctrl-C ends it and leaves nothing", process.returncode == 2 and not list(tapeline.folder.glob("long*")), err)
    mount = tapeline.folder / "tiny"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True).returncode:
        print("skipped: a full disk, because this user may not mount one")
        return
    try:
        for ending in ("csv", "parquet"):
            done = tapeline.call("export", "-c", query.format(500_000), "-o", mount / f"x.{ending}")
            checks.check(f"bounded: {ending} on a full disk says so and leaves nothing",
                         done.returncode == 2 and b"space" in done.stderr and not list(mount.iterdir()), done.stderr[-300:])
    finally:
        subprocess.run(["umount", mount], check=False)


def replayed(checks, tapeline):
    """`replay` takes what `import` takes."""
    tapeline.call("import", DAILY)
    tapeline.call("export", "raw_stocks.stock_prices", "--symbol", "AAPL", "-o", "aapl.parquet")
    data = tapeline.folder / "replay"
    process = subprocess.Popen([tapeline.binary, "replay", tapeline.folder / "aapl.parquet", "--speed", "max", "--data-dir", data, "--listen",
                                "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = ""
    for _ in range(600):
        found = tapeline.text("select count(*) n, min(data_source) s, max(bar_length) l from raw_stocks.stock_prices", data)
        if "3270,replay,1d" in found:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    checks.check("replayed: every row of a Parquet file", process.wait(30) == 0 and "3270,replay,1d" in found, found)


PARTS = {"forms": forms, "bad": bad, "resumed": resumed, "exported": exported, "bounded": bounded, "replayed": replayed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--only", choices=PARTS)
    args = parser.parse_args()
    checks = Checks()
    for name, part in PARTS.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="tapeline-files-") as folder:
                part(checks, Tapeline(args.binary.resolve(), pathlib.Path(folder)))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
