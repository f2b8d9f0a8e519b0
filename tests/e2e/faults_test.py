#!/usr/bin/env python3
"""Gives the built program everything bad that may reach it, and wants a clear answer each time.

    faults_test.py TAPELINE [--only NAME]

Bad messages, the first of a topic among them; files that cannot be read; SIGTERM while it loads; a
clock that steps back; a full and a read-only disk (where this user may mount one); damaged files of
its own; settings; user SQL; bad HTTP. After each part the equation balances and `tapeline audit` passes. Prints a line a
check and `N passed, N failed`.
"""
import argparse
import base64
import datetime
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from client import Checks, Tapeline, until

CLOCK_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* The real-time clock, moved by the seconds that the file CLOCK_OFFSET says. */
int clock_gettime(clockid_t which, struct timespec* at) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int failed = real(which, at);
  const char* path = getenv("CLOCK_OFFSET");
  FILE* file = which == CLOCK_REALTIME && path ? fopen(path, "re") : NULL;
  long offset = 0;
  if (file && fscanf(file, "%ld", &offset) == 1) at->tv_sec += offset;
  if (file) fclose(file);
  return failed;
}
"""


def message(**fields):
    said = {"symbol": "AAPL", "price": 10.5, "timestamp": "2024-03-01T15:00:00Z", "data_source": "mine", "schema_version": 1, **fields}
    return json.dumps({name: value for name, value in said.items() if value != "absent"}).encode()


def messages(checks, tapeline):
    soon = datetime.datetime.now(datetime.timezone.utc)
    ahead = lambda hours: (soon + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    dead = [b"poison", b"{}", b"[]", b"42", b"null", b'"x"', b'{"symbol":"AAPL","price":1', b"\xff\xfe\x00\x01", b'{"symbol":"AA\xffL"}',
            message().replace(b"10.5", b"NaN"), message().replace(b"10.5", b"Infinity"), message().replace(b"10.5", b"1e400"),
            message().replace(b"10.5", b"1e13"), message().replace(b"10.5", b"-1e13"), message().replace(b"10.5", b"0x10"),
            message().replace(b"10.5", b"01"), message().replace(b"10.5", b"10."), message(price="10.5"), message(price=True),
            message(price=None), message(price=[1]), message(price="absent"), message(symbol="absent"), message(symbol=7),
            message(symbol=""), message(symbol="aapl"), message(symbol="A" * 25), message(symbol="^GSPC"), message(symbol="A\u0000"),
            message(timestamp="absent"), message(timestamp="yesterday"), message(timestamp=1709305200), message(timestamp="2024-02-30T15:00:00Z"),
            message(timestamp="2024-03-01"), message(timestamp=ahead(26)), message(timestamp="9999-12-31T23:59:59Z"),
            message(data_source="simulator"), message(data_source="simulator-2"), message(note="x" * (1 << 16)), message() + b"}", b"\xef\xbb\xbf" + message(), b"[" * 100_000, b'{"a":' * 100_000, message(note="absent")[:-1] + b',"x":[' + b"[" * 5000 + b"}"]
    good = [message(symbol=f"S{i}", **fields) for i, fields in enumerate((
        {}, {"price": -1}, {"price": 0}, {"volume": -5}, {"volume": None}, {"high": 1, "low": 2}, {"unknown": {"deep": [1, {"a": None}]}},
        {"price": 1.23456789}, {"timestamp": "2024-03-01 15:00:00"}, {"timestamp": "2024-03-01T15:00:00.1234567+01:00"},
        {"timestamp": ahead(20)}, {"timestamp": "1971-01-01T00:00:00Z"}, {"note": "x" * 65_000}, {"price": 999999999999},
        # what is optional and does not fit is read as absent
        {"data_source": "absent"}, {"data_source": "Mine"}, {"volume": 1.5}, {"volume": "7"}, {"volume": 10**19}, {"high": "x"},
        {"bar_length": "2m"}, {"session": "lunch"}, {"volume": 1e3}, {"received_at": 7}, {"previous_close": [1]}))]
    tapeline.up()
    status, body = tapeline.post(dead[:1])
    checks.check("messages: a poison message may be the first", status == 200, body)
    tapeline.settle()
    status, body = tapeline.post(dead[1:] + good)
    checks.check("messages: whatever a line holds is a record", status == 200 and len(json.loads(body)["records"]) == len(dead) + len(good) - 1,
                 body[:300])
    huge = message(note="x" * (1 << 20))
    status, body = tapeline.post([huge])
    checks.check("messages: a record over 1 MB is refused and says so", status in (400, 413) and b"1" in body, (status, body[:200]))
    status, body = tapeline.post([b'{"key":"k","value_base64":"' + base64.b64encode(b"\x00\xff\n") + b'"}'])
    checks.check("messages: any bytes may come as base64", status == 200, body)
    status, body = tapeline.post([b'{"key":"k","value_base64":"***"}'])
    checks.check("messages: what is no base64 is refused", status == 400, (status, body[:200]))
    done = tapeline.call("topic", "produce", "stock_prices", input='{"key":"k","value_base64":"/wAK"}\n\n{"value_base64":"***"}\n')
    checks.check("messages: the command names the line that it cannot read, and takes none", done.returncode == 2 and "line 3" in done.stderr, done.stderr)
    done = tapeline.call("topic", "produce", "stock_prices", "--json", input='{"key":"k","value_base64":"/wAK"}\n')
    checks.check("messages: the command takes base64 too", json.loads(done.stdout) == [{"topic": "stock_prices", "appended": 1}], done)
    tapeline.settle()
    loads = tapeline.rows("select sum(consumed)::int c, sum(loaded)::int l, sum(dead)::int d from raw_stocks.loads")[0]
    checks.check("messages: each is counted once", loads == {"c": len(dead) + len(good) + 2, "l": len(good), "d": len(dead) + 2},
                 (loads, len(dead), len(good)))
    letters = tapeline.rows("select topic_offset as o, reason as r, payload::varchar as p from raw_stocks.dead_letters order by 1")
    wrong = [letter["o"] for letter in letters if not letter["r"]]
    checks.check("messages: each dead letter has a reason", letters and not wrong, wrong)
    alive = [letter for letter in tapeline.rows("select symbol as s from raw_stocks.stock_prices") if not letter["s"].startswith("S")]
    checks.check("messages: no bad one got into raw", not alive, alive)
    metrics = tapeline.get("/metrics")[1].decode()
    dead_lines = [line for line in metrics.splitlines() if "dead" in line and not line.startswith("#")]
    checks.check("messages: /metrics counts them", any(float(line.split()[-1]) == len(dead) + 2 for line in dead_lines), dead_lines)
    mended = tapeline.rows("select count(*)::int n from raw_stocks.stock_prices where high is null and bar_length is null and (volume is null or "
                           "volume in (-5, 1000)) and data_source in ('mine', 'unknown')")[0]["n"]
    checks.check("messages: what does not fit in an optional field is absent", mended == len(good) - 1, mended)
    checks.check("messages: it stops", tapeline.stop() == 0)
    tapeline.sound(checks, "messages")


def files(checks, tapeline):
    folder = tapeline.folder / "files"
    folder.mkdir()
    head = b"date,symbol,open,high,low,close,volume\n"
    row = b"2024-01-02,ZZ,1,2,1,2,10\n"
    packed = gzip.compress((head + row * 20000), mtime=0)
    cases = {
        "missing.csv": None, "empty.csv": b"", "blank.csv": b"\n\n", "header.csv": head, "binary.csv": os.urandom(5000), "nul.csv": head + b"2024-01-02,Z\0,1,2,1,2,10\n",
        "cut.csv.gz": packed[:len(packed) // 2], "flipped.csv.gz": packed[:60] + bytes([packed[60] ^ 0xff]) + packed[61:], "gzip_header.csv.gz": packed[:6],
        "words.csv": b"hello world\n" * 3, "fields.csv": head + row + b"2024-01-03,ZZ,1,2\n", "price.csv": head + b"2024-01-02,ZZ,one,2,1,2,10\n",
        "nan.csv": head + b"2024-01-02,ZZ,nan,2,1,2,10\n", "date.csv": head + b"2024-02-30,ZZ,1,2,1,2,10\n", "year.csv": head + b"1789-07-14,ZZ,1,2,1,2,10\n",
        "symbol.csv": head + b"2024-01-02,zz top,1,2,1,2,10\n", "quote.csv": head + b'2024-01-02,"ZZ,1,2,1,2,10\n', "volume.csv": head + b"2024-01-02,ZZ,1,2,1,2,1.5\n",
        "utf16.csv": (head + row).decode().encode("utf-16"), "huge_line.csv": head + b"x" * (3 << 20), "twice.csv": b"date,date,symbol,open,high,low,close,volume\n",
        "single.csv": b"timestamp,symbol,open,high,low,close,volume\n2024-01-02T15:00:00Z,ZZ,1,2,1,2,10\n", "html.csv": b"<!doctype html><html>not found</html>",
    }
    for name, content in cases.items():
        path = folder / name
        if content is not None:
            path.write_bytes(content)
        done = tapeline.call("import", path)
        fine = name == "header.csv"  # no rows, no mistake
        answered = done.returncode == 0 if fine else done.returncode in (1, 2) and name.split(".")[0] in done.stderr + done.stdout or (
            name == "single.csv" and "--bar-length" in done.stderr)
        checks.check(f"files: {name}", answered, (done.returncode, done.stderr[-250:]))
    done = tapeline.call("import", folder)
    checks.check("files: a folder", done.returncode in (1, 2) and "error" in done.stderr, (done.returncode, done.stderr[-250:]))
    (folder / "good.csv").write_bytes(head + row)
    done = tapeline.call("import", folder / "good.csv", folder / "price.csv")
    checks.check("files: a bad one among good ones names itself", done.returncode in (1, 2) and "price.csv" in done.stderr, done.stderr[-250:])
    done = tapeline.call("import", folder / "good.csv")
    checks.check("files: a good one afterwards", done.returncode == 0, done.stderr[-250:])
    tapeline.sound(checks, "files")


def big_file(path, rows):
    start = datetime.datetime(2024, 1, 2, 14, 30)
    with gzip.open(path, "wt", compresslevel=1) as text:
        text.write("timestamp,symbol,price,size\n")
        for i in range(rows):
            text.write(f"{(start + datetime.timedelta(milliseconds=i * 20)).isoformat(timespec='milliseconds')}Z,ZZ,{100 + i % 7},1\n")


def sigterm(checks, tapeline):
    path, rows = tapeline.folder / "big.csv.gz", 400_000
    big_file(path, rows)
    rng = random.Random(11)
    for number in range(4):
        process = subprocess.Popen([tapeline.binary, "import", path, "--data-dir", tapeline.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(rng.uniform(0.3, 2.5))
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        # The signal may come between its last line and its end.
        checks.check(f"sigterm: import {number} ends soon, with 0 only if it was done", process.returncode in ((0, -15) if "imported" in out else (1, 2, -15, 143))
                     and time.monotonic() - began < 12, (process.returncode, time.monotonic() - began, out, err[-300:]))
    done = tapeline.call("import", path)
    loaded = tapeline.rows("select count(*)::int n, sum(volume)::int v from raw_stocks.stock_prices")[0]
    checks.check("sigterm: importing again ends with each row once", done.returncode == 0 and loaded == {"n": rows, "v": rows}, (done.stderr[-300:], loaded))
    tapeline.sound(checks, "sigterm, import")
    acknowledged = 0
    for number in range(3):
        tapeline.up()
        for batch in range(6):
            lines = [message(symbol=f"T{number}", timestamp=f"2024-04-01T15:{batch:02}:{i // 100:02}.{i % 100:02}Z") for i in range(5000)]
            status, body = tapeline.post(lines)
            acknowledged += len(lines) if status == 200 else 0
        checks.check(f"sigterm: up stops in time in the middle of loads {number}", tapeline.stop() == 0, tapeline.process.returncode)
    tapeline.up()
    tapeline.settle()
    found = tapeline.rows("select count(*)::int n from raw_stocks.stock_prices where symbol like 'T%'")[0]["n"]
    checks.check("sigterm: what was acknowledged is loaded after the next start", found == acknowledged, (found, acknowledged))
    tapeline.stop()
    tapeline.sound(checks, "sigterm, up")


def clock(checks, tapeline):
    source, shim, offset = tapeline.folder / "clock.c", tapeline.folder / "clock.so", tapeline.folder / "offset"
    source.write_text(CLOCK_SHIM)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    offset.write_text("0\n")
    tapeline.up({"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(offset)})
    steps = (0, -7200, -7200, 86_400 * 3, 0, -86_400 * 400, 3600)
    for number, seconds in enumerate(steps):
        offset.write_text(f"{seconds}\n")
        status, body = tapeline.post([message(symbol=f"C{number}")])
        checks.check(f"clock: {seconds:+} s, a message is taken", status == 200, body[:200])
        tapeline.settle()
        checks.check(f"clock: {seconds:+} s, it is loaded", tapeline.rows(f"select 1 as x from raw_stocks.stock_prices where symbol = 'C{number}'") != [])
        checks.check(f"clock: {seconds:+} s, it is ready", tapeline.get("/-/ready")[0] == 200)
    done = tapeline.call("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow", "--json")
    stamps = [json.loads(line)["appended_at"] for line in done.stdout.splitlines()]
    checks.check("clock: appended_at never goes back in a partition", stamps == sorted(stamps) and len(stamps) == len(steps), stamps)
    checks.check("clock: it stops", tapeline.stop() == 0)
    tapeline.sound(checks, "clock")


def mounted(folder, options):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode == 0


def disk(checks, tapeline):
    mount = tapeline.folder / "disk"
    mount.mkdir()
    if not mounted(mount, "size=48m"):
        print("skipped: full and read-only disks, because this user may not mount one")
        return
    try:
        tapeline.data = mount / "data"
        (mount / "ballast").write_bytes(b"x" * (4 << 20))
        tapeline.up()
        acknowledged, answer = 0, (200, b"")
        while answer[0] == 200 and acknowledged < 2_000_000:
            lines = [message(symbol=f"D{acknowledged % 97}", timestamp=f"2024-05-01T15:00:{i // 1000:02}.{i % 1000:03}{acknowledged // 2000:03}Z", note="x" * 150)
                     for i in range(2000)]
            answer = tapeline.post(lines)
            acknowledged += len(lines) if answer[0] == 200 else 0
        checks.check("disk: full is a 503 with a reason", answer[0] == 503 and (b"space" in answer[1] or b"full" in answer[1]), answer)
        ready = tapeline.get("/-/ready")
        checks.check("disk: full, /-/ready says so", ready[0] == 503 and (b"space" in ready[1] or b"full" in ready[1]), ready)
        checks.check("disk: full, it still answers", tapeline.get("/api/v1/status")[0] == 200 and tapeline.process.poll() is None)
        (mount / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=400m", mount], check=True)
        until("messages are taken again", lambda: tapeline.post([message(symbol="AGAIN")])[0] == 200)
        acknowledged += 1
        until("it is ready again", lambda: tapeline.get("/-/ready")[0] == 200)
        checks.check("disk: with room again it is ready by itself", True)
        tapeline.settle()
        ends = [json.loads(line) for line in tapeline.call("topic", "list", "--json").stdout.splitlines() if line.startswith("{")]
        consumed = tapeline.rows("select sum(consumed)::int as c from raw_stocks.loads")[0]["c"]
        checks.check("disk: nothing that was acknowledged is missing", consumed >= acknowledged, (consumed, acknowledged, ends))
        checks.check("disk: it stops", tapeline.stop() == 0)
        tapeline.sound(checks, "disk")
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        for words in (("up", "--feed", "none", "--listen", "127.0.0.1:0"), ("status",), ("import", "/dev/null"), ("sql", "-c", "select 1")):
            done = tapeline.call(*words, timeout=60)
            checks.check(f"disk: read-only, `{words[0]}` says so", done.returncode in (1, 2) and "ead-only" in done.stderr, (done.returncode, done.stderr[-300:]))
    finally:
        tapeline.kill()
        subprocess.run(["umount", mount], check=False)
        tapeline.data = tapeline.folder / "data"


def anew(checks, tapeline):
    """As where a full disk has lost DuckDB its file: everything is opened again, in the same process."""
    tapeline.up()
    lines = [message(symbol=f"N{i % 7}", timestamp=f"2024-05-01T15:{i // 60:02}:{i % 60:02}Z") for i in range(600)]

    def said():
        return (tapeline.folder / "up.log").read_text().count("opening everything anew")

    for end in (200, 400, 600):
        checks.check(f"anew: messages up to {end} are taken", tapeline.post(lines[end - 200:end])[0] == 200)
        tapeline.process.send_signal(signal.SIGUSR1)
        until("it says so", lambda: said() == end // 200)
        until("what was acknowledged is loaded", lambda: tapeline.status().get("equation", {}).get("consumed") == end)
        until("the same address answers", lambda: tapeline.get("/-/ready")[0] == 200)
    checks.check("anew: it stops", tapeline.stop() == 0)
    checks.check("anew: it greets once", (tapeline.folder / "up.log").read_text().count("dashboard") == 1)
    tapeline.up(environment={"TAPELINE_API_TOKEN": "a-token-of-the-test"})
    printed = lambda: re.findall(r"log in +http://[^/]+(/\S+)", (tapeline.folder / "up.log").read_text())
    until("it greets", printed)
    link = printed()[0]
    for number, answer in ((4, 303), (5, 401)):
        tapeline.process.send_signal(signal.SIGUSR1)
        until("it says so", lambda: said() == number)
        until("the same address answers", lambda: tapeline.get("/-/ready")[0] == 200)
        checks.check(f"anew: the link that was printed logs in once, {answer}", tapeline.get(link)[0] == answer)
    checks.check("anew: no other link is printed", printed() == [link], printed())
    checks.check("anew: it stops again", tapeline.stop() == 0)
    tapeline.sound(checks, "anew")


def own_files(checks, tapeline):
    """Each of its own files damaged, in a copy of a sound directory: told, or mended."""
    path = tapeline.folder / "some.csv.gz"
    big_file(path, 5000)
    tapeline.call("import", path)
    sound = tapeline.folder / "sound"
    shutil.copytree(tapeline.data, sound)

    def garble(file, at=0.5, size=64):
        content = bytearray(file.read_bytes())
        place = int(len(content) * at)
        content[place:place + size] = os.urandom(min(size, max(1, len(content) - place)))
        file.write_bytes(content)

    segment = next((tapeline.data / "log/stock_prices").glob("*/*.segment")).relative_to(tapeline.data)
    cases = {"tapeline.json is garbage": lambda d: (d / "tapeline.json").write_bytes(os.urandom(50)),
             "tapeline.json is empty": lambda d: (d / "tapeline.json").write_bytes(b""),
             "a newer layout": lambda d: (d / "tapeline.json").write_text((d / "tapeline.json").read_text().replace('"layout":1', '"layout":99').replace('"layout": 1', '"layout": 99')),
             "state.sqlite is garbage": lambda d: (d / "state.sqlite").write_bytes(os.urandom(9000)),
             "the warehouse is garbage": lambda d: garble(d / "stocks_fin.duckdb", 0, 9000),
             "the warehouse is cut": lambda d: os.truncate(d / "stocks_fin.duckdb", (d / "stocks_fin.duckdb").stat().st_size // 2),
             "the log is damaged": lambda d: garble(d / segment, 0.02),
             "the topic's file is damaged": lambda d: garble(d / "log/stock_prices/topic", 0.2, 10),
             "the log is gone": lambda d: shutil.rmtree(d / "log"),
             "a folder where a file belongs": lambda d: ((d / "state.sqlite").unlink(), (d / "state.sqlite").mkdir())}
    for name, harm in cases.items():
        shutil.rmtree(tapeline.data)
        shutil.copytree(sound, tapeline.data)
        harm(tapeline.data)
        done = tapeline.call("audit", timeout=120)
        checks.check(f"own files: {name}, `audit` says it", done.returncode in (1, 2) and len(done.stderr + done.stdout) > 20
                     and "terminate" not in done.stderr, (done.returncode, done.stdout[-200:], done.stderr[-300:]))
        tapeline.up(ready=False)
        until("it ends or answers", lambda: tapeline.process.poll() is not None or tapeline.get("/-/ready")[0] is not None, 60)
        time.sleep(1)
        code, ready = tapeline.process.poll(), tapeline.get("/-/ready")
        told = code in (1, 2) or ready[0] == 503 or ready[0] == 200 and name == "the log is damaged"  # told by `status` and failed runs, and by `audit` and `topic verify`
        checks.check(f"own files: {name}, `up` ends or is not ready", told, (code, ready))
        if code is None:
            checks.check(f"own files: {name}, `up` stops", tapeline.stop() == 0)
    shutil.rmtree(tapeline.data)
    shutil.copytree(sound, tapeline.data)
    tapeline.sound(checks, "own files")


def settings(checks, tapeline):
    for name, key in (("LOG_SEGMENT_BYTES", "log.segment_bytes"), ("LOG_RETENTION_BYTES", "log.retention_bytes"),
                      ("WAREHOUSE_MEMORY_BYTES", "warehouse.memory_bytes"), ("WAREHOUSE_THREADS", "warehouse.threads")):
        wrong = []
        for value in ("-5", "0", "x", "", "1e9", "9223372036854775807", "99999999999999999999"):
            done = tapeline.call("import", "/dev/null", env={**os.environ, f"TAPELINE_{name}": value}, timeout=60)
            if done.returncode != 2 or key not in done.stderr:
                wrong.append((value, done.returncode, done.stderr[-200:]))
        checks.check(f"settings: {key} out of its range is refused by name", not wrong, wrong)


def user_sql(checks, tapeline):
    """Attacks through the command line: with nobody in the directory, and through a running `up`."""
    secret, file = tapeline.folder / "secret.csv", tapeline.data / "stocks_fin.duckdb"
    secret.write_text("a\ncanary7f3a\n")
    path = tapeline.folder / "some.csv.gz"
    big_file(path, 1000)
    tapeline.call("import", path)
    deep = "repeat('[', 90000) || repeat(']', 90000)"
    attacks = [f"select * from read_text('{secret}')", f"select * from '{secret}'", f"select * from read_blob('{file}')",
               f"/* /* */ explain select 1 -- */ select octet_length(content) from read_blob('{file}')",
               "/* /* */ explain select 1 -- */ select * from duckdb_settings()", f"copy (select 42) to '{file}'",
               f"copy raw_stocks.stock_prices to '{tapeline.folder}/out.csv'", f"attach '{file}' as again", "install httpfs", "load httpfs",
               "select getenv('HOME')", "select current_setting('temp_directory')", "from duckdb_secrets()", "delete from raw_stocks.stock_prices",
               "commit; drop table raw_stocks.stock_prices", "begin", "checkpoint", "explain analyze delete from raw_stocks.stock_prices",
               "set threads = 1", "pragma database_list", "call force_checkpoint()", "create temp table x (a int)", "select ?", "select",
               "select 1; select 2", f"select json_structure({deep})", f"select ({deep})::json::variant", f"select json_transform('1', {deep})",
               "select len(range(1000000000))", "select repeat('x', 3000000000)", "(" * 50_000 + "select 1" + ")" * 50_000,
               "select " + "1+" * 20_000 + "1", "select " + "not " * 20_000 + "true",
               "select [" * 2000 + "1" + "]" * 2000, "select * from a" + " join a" * 5000, "with recursive r(n) as (select 1 union all select n + 1 from r) "
               "select count(*) from r", "select * from range(1000000000000)", "select pg_sleep(100)", "select '" + "x" * 900_000, "select \x00\x01\x02"]
    for running in (False, True):
        if running:
            tapeline.up()
        wrong = []
        for attack in attacks:
            done = subprocess.run([tapeline.binary, "sql", "--timeout", "2s", "--data-dir", tapeline.data], input=attack, capture_output=True, text=True,
                                  errors="replace", timeout=120)
            if done.returncode not in (1, 2) or "error: " not in done.stderr or "canary7f3a" in done.stdout + done.stderr:
                wrong.append((attack[:80], done.returncode, done.stdout[-100:], done.stderr[-200:]))
            if running and tapeline.process.poll() is not None:
                wrong.append((attack[:80], "ended the server with", tapeline.process.returncode))
                tapeline.up()
        how = "through a running up" if running else "alone"
        checks.check(f"sql: {len(attacks)} attacks are refused, {how}", not wrong, wrong)
        many = tapeline.rows("select count(*)::int as n from raw_stocks.stock_prices")
        checks.check(f"sql: the rows are still there, {how}", many == [{"n": 1000}], many)
    checks.check("sql: no file was written", not (tapeline.folder / "out.csv").exists())
    checks.check("sql: up stops", tapeline.stop() == 0)
    tapeline.sound(checks, "sql")


def bad_http(checks, tapeline):
    tapeline.up()
    host = f"Host: 127.0.0.1:{tapeline.port}\r\n"
    cases = {
        "garbage": os.urandom(300) + b"\r\n\r\n", "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200), "nothing": b"",
        "HTTP/0.9": b"GET /\r\n", "no host": b"GET / HTTP/1.1\r\n\r\n", "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "two hosts": f"GET / HTTP/1.1\r\n{host}Host: evil.example\r\n\r\n".encode(), "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        "many headers": f"GET / HTTP/1.1\r\n{host}".encode() + b"".join(b"X%d: y\r\n" % i for i in range(5000)) + b"\r\n",
        "a long header": f"GET / HTTP/1.1\r\n{host}X: ".encode() + b"a" * 200_000 + b"\r\n\r\n",
        "a negative length": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n".encode(),
        "a huge length": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n".encode(),
        "two lengths": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab".encode(),
        "length and chunks": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
        "bad chunks": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
        "a method of its own": f"BREW / HTTP/1.1\r\n{host}\r\n".encode(), "TRACE": f"TRACE / HTTP/1.1\r\n{host}\r\n".encode(), "CONNECT": b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        "out of the folder": f"GET /../../../../etc/passwd HTTP/1.1\r\n{host}\r\n".encode(), "out of it, encoded": f"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n{host}\r\n".encode(),
        "a zero byte": f"GET /index.html%00.js HTTP/1.1\r\n{host}\r\n".encode(), "bad escapes": f"GET /%zz%f HTTP/1.1\r\n{host}\r\n".encode(),
        "no token": f"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\n{host}Content-Type: application/x-ndjson\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "commands over TCP": f"POST /api/v1/commands HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "an upgrade": f"GET / HTTP/1.1\r\n{host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n".encode(), "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "line feeds only": b"GET / HTTP/1.1\nHost: x\n\n", "a folded header": f"GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n".encode(),
    }
    for name, sent in cases.items():
        with socket.create_connection(("127.0.0.1", tapeline.port), timeout=10) as wire:
            answer = b""
            try:
                wire.sendall(sent)
                wire.shutdown(socket.SHUT_WR)
                while len(answer) < 100_000 and (piece := wire.recv(65536)):
                    answer += piece
            except (ConnectionError, TimeoutError) as why:
                answer = answer or repr(why).encode()
        harmless = name in ("an upgrade", "a folded header")
        refused = answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4", b"Connection")) or answer.startswith(b"ConnectionReset")
        checks.check(f"http: {name}", (refused or harmless) and b"root:" not in answer and tapeline.process.poll() is None, answer[:120])
        if name in ("out of the folder", "out of it, encoded", "a zero byte", "bad escapes"):
            continue
    idle = [socket.create_connection(("127.0.0.1", tapeline.port), timeout=10) for _ in range(300)]
    for wire in idle[:100]:
        wire.sendall(b"GET / HT")
    checks.check("http: 300 idle and half requests, others are answered", tapeline.get("/-/healthy")[0] == 200)
    for wire in idle:
        wire.close()
    token = tapeline.token()
    write = lambda **headers: tapeline.ask("POST", "/api/v1/topics/stock_prices/records", message() + b"\n",
                                           {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson",
                                            **{name.replace("_", "-"): value for name, value in headers.items()}})[0]
    checks.check("http: a wrong token is 401", write(Authorization="Bearer wrong") in (401, 403))
    checks.check("http: another origin is 403", write(Origin="https://evil.example") == 403)
    checks.check("http: a form's content type is 415", write(Content_Type="text/plain") in (400, 415))
    checks.check("http: then one that is right", write() == 200)
    checks.check("http: it stops", tapeline.stop() == 0)
    tapeline.sound(checks, "http")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    parts = {part.__name__: part for part in (messages, files, sigterm, clock, disk, anew, own_files, settings, user_sql, bad_http)}
    arguments.add_argument("--only", choices=parts)
    options = arguments.parse_args()
    checks = Checks()
    for name, part in parts.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="tapeline-faults-") as folder:
            tapeline = Tapeline(options.tapeline.resolve(), pathlib.Path(folder))
            try:
                part(checks, tapeline)
            except (RuntimeError, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as why:
                checks.check(name, False, f"{type(why).__name__}: {why}")
            finally:
                tapeline.kill()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
