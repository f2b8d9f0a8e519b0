"""A built tapeline as the end-to-end tests see it: a program, a data directory, an address."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time


class Checks:
    """Counts what held, and prints a line for each."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, holds, said=""):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {name}" + (f": {str(said)[:600]}" if said and not holds else ""), flush=True)


def free_port():
    """A port that is free, and stays so while its program is killed and started again: the system gives none below 32768 away."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_768)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def until(what, holds, seconds=60, pause=0.05):
    """Waits until `holds()`; what it raises because nobody answers yet counts as no."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return
        except (OSError, ValueError):
            pass
        time.sleep(pause)
    raise RuntimeError(f"waited {seconds} s until {what}")


class Tapeline:
    """The program on a data directory `data` of `folder`; up.log there takes what `up` says."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.data = binary, folder, folder / "data"
        self.process = self.port = None

    def call(self, *words, timeout=300, **more):
        return subprocess.run([self.binary, *map(str, words), "--data-dir", self.data], capture_output=True, text=True, errors="replace",
                              timeout=timeout, **more)

    def state(self, query):
        """Rows of its state database, by a copy, as it lies after a kill; none where its tables were not made yet."""
        with tempfile.TemporaryDirectory() as copy:
            for part in self.data.glob("state.sqlite*"):
                shutil.copy(part, copy)
            with contextlib.closing(sqlite3.connect(os.path.join(copy, "state.sqlite"))) as connection:
                try:
                    return connection.execute(query).fetchall()
                except sqlite3.OperationalError:
                    return []

    def start(self, *flags, feed="none", environment=None):
        """`up` on a free port, or again on the one it had."""
        self.port = self.port or free_port()
        with open(self.folder / "up.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "up", "--feed", feed, "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}", *flags],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})})

    def up(self, environment=None, ready=True, feed="none"):
        self.port = free_port()
        self.start(feed=feed, environment=environment)
        if ready:
            until("it is ready", lambda: self.get("/-/ready")[0] == 200 or self.process.poll() is not None)

    def ended(self):
        """Whether it has ended by itself; says so."""
        if self.process.poll() is None:
            return False
        raise RuntimeError(f"it ended with {self.process.returncode}: {self.last_words()}")

    def exchange(self, method, path, body=None, headers=None):
        """Status, headers and body; (None, {}, b"") while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            return None, {}, b""
        finally:
            connection.close()

    def ask(self, method, path, body=None, headers=None):
        status, _, answer = self.exchange(method, path, body, headers)
        return status, answer

    def get(self, path):
        return self.ask("GET", path)

    def token(self):
        return (self.data / "token").read_text().strip()

    def post(self, lines):
        return self.ask("POST", "/api/v1/topics/stock_prices/records", b"\n".join(lines) + b"\n",
                        {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/x-ndjson"})

    def status(self):
        return json.loads(self.get("/api/v1/status")[1] or b"{}")

    def settle(self):
        def settled():
            status = self.status()
            return status.get("lag") == 0 and (status.get("dag") or {}).get("state") not in ("queued", "running", None)
        until("all is loaded", settled, 120)

    def stop(self):
        """Its exit code; what was wrong where it did not end as told."""
        if self.process is None or self.process.poll() is not None:
            return self.process and f"had ended with {self.process.returncode}"
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        return code if time.monotonic() - began < 12 else f"took {time.monotonic() - began:.1f} s"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def last_words(self):
        return (self.folder / "up.log").read_text(errors="replace")[-600:]

    def rows(self, query):
        return json.loads(self.call("sql", "-c", query, "--format", "json").stdout or "[]")

    def sound(self, checks, name):
        done = self.call("audit")
        checks.check(f"{name}: audit", done.returncode == 0, done.stdout + done.stderr)
        done = self.call("topic", "verify")
        checks.check(f"{name}: topic verify", done.returncode == 0, done.stdout + done.stderr)
