#!/usr/bin/env python3
"""`init`, `doctor` and the first words of a newcomer, on an empty HOME.

    first_steps_test.py TAPELINE

Prints a line a check and `N passed, N failed`.
"""
import json
import os
import pathlib
import pty
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile

import client

KEY = "c0ffee0123456789abcd"
checks = client.Checks()
check = checks.check


class Newcomer:
    def __init__(self, binary, folder):
        self.binary, self.home = binary, pathlib.Path(folder) / "home"
        self.home.mkdir()
        self.environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        self.config = self.home / ".config" / "tapeline"

    def call(self, *words, **environment):
        return subprocess.run([self.binary, *words], capture_output=True, text=True, timeout=120, cwd=self.home, stdin=subprocess.DEVNULL,
                              env={**self.environment, **environment})

    def doctor(self, *words, **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = f"127.0.0.1:{probe.getsockname()[1]}"
        done = self.call("doctor", "--json", *words, **{"TAPELINE_LISTEN": free, **environment})
        return done.returncode, {row["check"]: row for row in json.loads(done.stdout or "[]") if row["result"] != "note"}

    def typing(self, answers, *words):
        """What a person sees who types these lines at a terminal; the exit code."""
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.home)
            os.execve(self.binary, [str(self.binary), *words], self.environment)
        seen = b""
        waiting = list(answers)
        while True:
            ready, _, _ = select.select([terminal], [], [], 60)
            try:
                piece = os.read(terminal, 4096) if ready else b""
            except OSError:
                piece = b""
            if not ready:
                os.kill(process, signal.SIGKILL)  # it waits for what nobody types
            if not piece:
                break
            seen += piece
            if waiting and seen.rstrip(b" ").endswith((b":", b"[y/N]")):
                os.write(terminal, waiting.pop(0).encode() + b"\n")
        _, status = os.waitpid(process, 0)
        return seen.decode(errors="replace"), os.waitstatus_to_exitcode(status), waiting


def doctor(new):
    code, found = new.doctor()
    check("doctor on an empty HOME finds nothing to fix", code == 0 and {"machine", "port", "feed", "configuration"} <= set(found), found)
    check("doctor leaves nothing behind", list(new.home.iterdir()) == [], list(new.home.iterdir()))
    done = new.call("doctor", TAPELINE_LISTEN="127.0.0.1:0")
    check("doctor says what to do next", done.returncode == 0 and "tapeline up" in done.stdout, done.stdout + done.stderr)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, found = new.doctor(TAPELINE_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
        check("a port that is taken", code == 1 and found["port"]["result"] == "FIX" and "--listen" in found["port"]["fix"], found.get("port"))
    code, found = new.doctor(TAPELINE_LISTEN="nowhere")
    check("an address that is none", code == 1 and found["port"]["result"] == "FIX", found.get("port"))
    code, found = new.doctor(STOCKS="AAPL,no symbol", TAPELINE_WAREHOUSE_THREADS="two")
    check("values that cannot be read", code == 1 and found["configuration"]["result"] == "FIX", found.get("configuration"))
    code, found = new.doctor(TAPELINE_FEED="finnhub")
    check("a feed without its key", code == 1 and "init" in found["feed"]["fix"], found.get("feed"))
    new.config.mkdir(parents=True)
    (new.config / "tapeline.toml").write_text("feed = [")
    code, found = new.doctor()
    check("a configuration that is no TOML", code == 1 and found["configuration"]["result"] == "FIX" and "disk" in found, found)
    (new.config / "tapeline.toml").unlink()
    (new.config / "secrets.env").write_text(f"FINNHUB_API_KEY={KEY}\n")
    (new.config / "secrets.env").chmod(0o644)
    code, found = new.doctor()
    check("secrets that others may read", code == 1 and "chmod 600" in found["configuration"]["fix"] and KEY not in str(found), found.get("configuration"))
    (new.config / "secrets.env").unlink()
    data = new.home / "data"
    (new.home / "d.csv").write_text("date,symbol,open,high,low,close,volume\n2024-01-02,ZZ,1,2,1,2,10\n")
    check("import", new.call("import", "d.csv", "--data-dir", str(data)).returncode == 0)
    code, found = new.doctor("--data-dir", str(data))
    check("a data directory in order", code == 0 and found["files"]["result"] == "ok", found)
    whole = json.loads((data / "tapeline.json").read_text())
    for what, change, reason in (("a newer layout", {"layout": 99}, "newer tapeline"), ("a kind that nobody knows", {"kind": "moon"}, "does not describe"),
                                 ("a layout that is none", {"layout": "x"}, "does not describe")):
        (data / "tapeline.json").write_text(json.dumps({**whole, **change}))
        code, found = new.doctor("--data-dir", str(data))
        done = new.call("status", "--data-dir", str(data))
        check(what, code == 1 and found["files"]["result"] == "FIX" and reason in found["files"]["says"] and done.returncode == 2 and reason in done.stderr,
              (found.get("files"), done.stderr))
    (data / "tapeline.json").write_text(json.dumps(whole))
    (data / "stocks_fin.duckdb").rename(new.home / "away")
    code, found = new.doctor("--data-dir", str(data))
    check("a warehouse that is missing", code == 1 and found["files"]["result"] == "FIX", found.get("files"))
    (new.home / "begun").mkdir()
    (new.home / "begun" / "lock").touch()
    done = new.call("import", "d.csv", "--data-dir", str(new.home / "begun"))
    check("a directory in whose making somebody was killed", done.returncode == 0, done.stderr)
    os.mkfifo(new.home / "pipe.csv")
    done = new.call("import", "pipe.csv", "--data-dir", str(new.home / "begun"))
    check("a pipe is not waited for", done.returncode == 2 and "pipe or a device" in done.stderr, done.stderr)
    done = new.call("calendar", "--from", "1700-01-01", "--to", "1700-01-05")
    check("years that the calendar does not know", done.returncode == 2 and "1990 to 2040" in done.stderr, done.stdout + done.stderr)
    code, found = new.doctor("--data-dir", str(new.home))
    check("a folder that is something else", code == 1 and found["data directory"]["result"] == "FIX", found.get("data directory"))


def init(new):
    done = new.call("init", "--yes")
    toml = new.config / "tapeline.toml"
    check("init --yes takes the defaults", done.returncode == 0 and 'feed = "simulator"' in toml.read_text() and str(toml) in done.stdout, done.stderr)
    before = toml.read_text()
    done = new.call("init", "--yes", "--symbols", "IBM")
    check("init overwrites nothing by itself", done.returncode == 2 and "--force" in done.stderr and toml.read_text() == before, done.stderr)
    done = new.call("init", "--yes", "--force", "--feed", "finnhub", "--symbols", "ibm, aapl", "--json", FINNHUB_API_KEY=KEY)
    secrets = new.config / "secrets.env"
    check("init with a key of the environment", done.returncode == 0 and json.loads(done.stdout)["feed"] == "finnhub" and
          'symbols = ["IBM", "AAPL"]' in toml.read_text() and secrets.read_text() == f"FINNHUB_API_KEY={KEY}\n", done.stderr)
    check("the key's file is its owner's", secrets.stat().st_mode & 0o777 == 0o600, oct(secrets.stat().st_mode))
    check("the key is printed nowhere, nor in tapeline.toml", KEY not in done.stdout + done.stderr + toml.read_text())
    check("the old file is kept", (new.config / "tapeline.toml.old").read_text() == before)
    code, found = new.doctor()
    check("doctor takes what init wrote", code == 0 and found["feed"]["says"].startswith("finnhub") and KEY not in str(found), found)
    shown = new.call("config", "show", "--origin")
    check("config show says where it comes from", "secrets.env" in shown.stdout and KEY not in shown.stdout, shown.stdout[:300])
    for words, reason in ((("--feed", "bloomberg"), "no feed"), (("--symbols", "a b"), "symbol"), (("--feed", "finnhub"), "needs an API key"),
                          (("--symbols", " , "), "no symbol")):
        done = new.call("init", "--yes", "--folder", str(new.home / "x"), *words)
        check(f"init {' '.join(words)} is refused", done.returncode == 2 and reason in done.stderr and not (new.home / "x").exists(), done.stderr)
    folder = str(new.home / "typed")
    seen, code, waiting = new.typing([KEY, "MSFT,AAPL", "~/prices"], "init", "--folder", folder)
    typed = (new.home / "typed" / "tapeline.toml").read_text()
    check("three questions at a terminal", code == 0 and not waiting and 'feed = "finnhub"' in typed and '"MSFT", "AAPL"' in typed and
          f'data_dir = "{new.home}/prices"' in typed, (seen, typed))
    check("the key is not shown as it is typed", KEY not in seen, seen)
    seen, code, waiting = new.typing(["", "", "", "n"], "init", "--folder", folder)
    check("a file that is there is asked about, and No keeps it", code == 2 and not waiting and (new.home / "typed" / "tapeline.toml").read_text() == typed, seen)
    seen, code, waiting = new.typing(["", "", "", "y"], "init", "--folder", folder)
    check("Enter takes the defaults", code == 0 and 'feed = "simulator"' in (new.home / "typed" / "tapeline.toml").read_text(), seen)


def words(new):
    """What is typed wrong is answered with its cause and how to mend it; what runs is said as it is."""
    (new.home / "file").write_text("")
    running = client.Tapeline(new.binary, new.home)
    running.up({"HOME": str(new.home)}, feed="simulator")
    try:
        here = f" --data-dir {running.data}"
        said = new.call("sql", "-c", "from marts_stocks.nobodys", "--data-dir", str(running.data)).stderr
        check("a table that is not there", "there is no table 'marts_stocks.nobodys'" in said and "with their first run" in said, said)
        client.until("the models have run", lambda: new.call("sql", "-c", "from stock_analytics", "--data-dir", str(running.data)).returncode == 0)
        for line, code, wanted in (
                ("dag --help", 0, "dag backfill DAG"), ("help dag trigger", 0, "--conf JSON"), ("dag", 2, "`tapeline dag --help`"), ("-v", 2, "`tapeline --help`"),
                ("up --symbols , --data-dir new", 2, "--symbols AAPL"), ("up --data-dir file/data", 2, "is a file, where a directory should be"),
                ("dbt nope" + here, 2, "`tapeline dbt --help`"), ("sql -c 'drop table x'" + here, 1, "this is no SELECT"),
                ("export stock_analytics -o none/x.csv" + here, 2, "no folder"), ("export stock_analytics -o x.xlsx" + here, 2, "no format 'xlsx'"),
                ("export stock_analytics -o x.csv" + here, 0, "exported"), ("status" + here, 0, "feed      live, 10 symbols")):
            done = new.call(*shlex.split(line), TAPELINE_LISTEN=f"127.0.0.1:{client.free_port()}")
            check(f"`{line.removesuffix(here)}`: {wanted}", done.returncode == code and wanted in done.stdout + done.stderr, (done.returncode, done.stdout[-300:] + done.stderr))
        listed = {row["path"] for row in json.loads(new.call("symbols", "list", "--json", "--data-dir", str(running.data)).stdout)}
        check("symbols list says that they come from the simulator", listed == {"simulator"}, listed)
        check("what to try names the program as it was called", f"{new.binary} sql" in running.last_words(), running.last_words())
        check("it stops", running.stop() == 0)
    finally:
        running.kill()


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    for part in (doctor, init, words):
        with tempfile.TemporaryDirectory(prefix="tapeline-first-") as folder:
            part(Newcomer(binary, folder))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
