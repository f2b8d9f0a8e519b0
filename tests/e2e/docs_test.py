#!/usr/bin/env python3
"""Holds the documentation against the program.

    docs_test.py TAPELINE [--update]

Starts `tapeline up` on a directory of its own and compares: the metric families of /metrics with
docs/metrics.md, and the names of the process's threads with the table in docs/ARCHITECTURE.md.
Then, without it: relative links of README.md and docs/ must lead to a file, and each `tapeline ...`
command in README.md and docs/how-to must be one that the program understands. --update writes
docs/metrics.md. Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
METRICS = ROOT / "docs" / "metrics.md"
PAGES = [ROOT / "README.md", ROOT / "THIRD_PARTY_NOTICES.md", *sorted((ROOT / "docs").rglob("*.md"))]
START_SECONDS_MAX = 60

HEAD = """# Metrics

Generated from `/metrics` of a running `tapeline up`; `tests/e2e/docs_test.py` compares the two and
writes this page with `--update`. Values begin at zero with each start of the process. `le` marks a
histogram's buckets and is left out.

| metric | type | labels | what it says |
|---|---|---|---|
"""


class Running:
    """A `tapeline up`, and the address that it prints."""

    def __init__(self, binary, folder, feed="simulator", environment=None):
        folder = pathlib.Path(folder) / feed
        folder.mkdir()
        self.out = open(pathlib.Path(folder) / "up.out", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [binary, "up", "--feed", feed, "--data-dir", str(pathlib.Path(folder) / "data"), "--listen", "127.0.0.1:0"],
            stdout=self.out, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})

    def said(self):
        self.out.flush()
        return pathlib.Path(self.out.name).read_text(encoding="utf-8")

    def address(self):
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"dashboard +(http://\S+)", self.said())
            if found:
                return found[1]
            time.sleep(0.05)
        raise RuntimeError("`tapeline up` did not start:\n" + self.said())

    def threads(self):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        return {(task / "comm").read_text().strip() for task in tasks.iterdir()}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.out.close()


def families(text):
    """name -> (type, labels, help), as the text format tells them."""
    found = {}
    for name, help_text in re.findall(r"^# HELP (\S+) (.*)$", text, re.M):
        kind = re.search(rf"^# TYPE {name} (\S+)$", text, re.M)[1]
        labels = {}
        for listed in re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*?)\}} ", text, re.M):
            for label, value in re.findall(r'(\w+)="([^"]*)"', listed):
                if label != "le":
                    labels.setdefault(label, []).append(value)
        found[name] = (kind, sorted(labels), help_text.rstrip("."))
    return found


def finnhub_metrics(binary, folder):
    """Those of a feed that finds nobody at the other end."""
    nobody = {"FINNHUB_API_KEY": "no-key", "TAPELINE_FINNHUB_REST_URL": "http://127.0.0.1:1",
              "TAPELINE_FINNHUB_STREAM_URL": "ws://127.0.0.1:1", "XDG_DATA_HOME": folder}
    running = Running(binary, folder, "finnhub", nobody)
    try:
        return urllib.request.urlopen(running.address() + "/metrics").read().decode()
    finally:
        running.stop()


def metrics_page(found):
    rows = [f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |"
            for name, (kind, labels, text) in sorted(found.items())]
    return HEAD + "\n".join(rows) + "\n"


def stale_metrics(text):
    page = METRICS.read_text(encoding="utf-8") if METRICS.exists() else ""
    return sorted(set(metrics_page(families(text)).splitlines()) ^ set(page.splitlines()))


def threads_that_differ(running):
    """The table's names with a range or a placeholder spelled out; main has the program's name."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    said = set()
    for name in re.findall(r"^\| `([\w<>.-]+)` \|", page.split("## Threads")[1].split("\n## ")[0], re.M):
        span = re.fullmatch(r"(.*-)(\d+)\.\.(\d+)", name)
        if span:
            said |= {f"{span[1]}{i}" for i in range(int(span[2]), int(span[3]) + 1)}
        else:
            said.add({"feed-<name>": "feed-simulator", "main": "tapeline"}.get(name, name))
    return [f"only in the page or only in the process: {name}" for name in sorted(said ^ running.threads())]


def dead_links(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.split("#")[0]
        if path and not re.match(r"[a-z]+:", target) and not (page.parent / path).exists():
            yield f"{page.relative_to(ROOT)}: there is no {target}"


def commands(page):
    """Each `tapeline ...` line of a page, without prompt, comment, pipe and redirection."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(tapeline [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    for line in lines:
        found = re.match(r"\s*(?:\$ )?(?:\S+ \| )?(?:build/release/)?tapeline (?=[a-z-])(.*)", line)
        if found and "…" not in found[1]:
            words = shlex.split(re.split(r"\s[|<>]\s|\s&$", found[1])[0], comments=True)
            yield ["dbt"] if words[0] == "dbt" else words


def misunderstood(binary, page):
    for words in commands(page):
        done = subprocess.run([binary, *words, "--help"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{page.relative_to(ROOT)}: tapeline {shlex.join(words)}: {done.stderr.strip()}"


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    findings = {}
    with tempfile.TemporaryDirectory() as folder:
        running = Running(binary, folder)
        try:
            address = running.address()
            urllib.request.urlopen(address + "/api/v1/status").read()  # requests are counted too
            text = urllib.request.urlopen(address + "/metrics").read().decode()
            text += finnhub_metrics(binary, folder)
            if "--update" in sys.argv:
                METRICS.write_text(metrics_page(families(text)), encoding="utf-8")
            findings["metrics.md tells the metrics of /metrics"] = stale_metrics(text)
            if pathlib.Path("/proc/self").exists():
                findings["ARCHITECTURE.md tells the threads"] = threads_that_differ(running)
            else:
                print("skipped: ARCHITECTURE.md tells the threads: /proc is not mounted here")
        finally:
            running.stop()
    findings["links lead somewhere"] = [line for page in PAGES for line in dead_links(page)]
    shown = [page for page in PAGES if page.name == "README.md" or page.parent.name == "how-to"]
    findings["commands are understood"] = [line for page in shown for line in misunderstood(binary, page)]
    for name, lines in findings.items():
        print(f"{'FAILED' if lines else 'ok'}: {name}")
        for line in lines:
            print(f"  {line}")
    failed = sum(1 for lines in findings.values() if lines)
    print(f"{len(findings) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
