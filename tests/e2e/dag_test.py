#!/usr/bin/env python3
"""Runs of the real pipeline are cleared, marked, cancelled and backfilled, and each message counts once.

    dag_test.py TAPELINE

Starts `tapeline up` with the simulator and changes runs of stock_data_ingestion from the command line and
over the API while new quotes come, kills the process with SIGKILL in between, and goes on without one.
At the end `tapeline audit` must find nothing. Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import client

DAG = "stock_data_ingestion"
WAIT_SECONDS_MAX = 60
checks = client.Checks()
check = checks.check


class Pipeline:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.data = binary, folder, folder / "data"
        self.process = None

    def up(self):
        out = open(self.folder / "up.out", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [self.binary, "up", "--data-dir", self.data, "--listen", "127.0.0.1:0", "--rate", "500"], stdout=out, stderr=out)
        self.address = self.until(lambda: re.search(r"dashboard +(http://[^/\s]+)", (self.folder / "up.out").read_text()))[1]
        self.until(lambda: any(run["state"] == "success" for run in self.runs()))

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=WAIT_SECONDS_MAX)

    def until(self, there):
        end = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < end:
            if found := there():
                return found
            time.sleep(0.05)
        raise RuntimeError("it did not come: " + (self.folder / "up.out").read_text())

    def run(self, *words):
        done = subprocess.run([self.binary, *words, "--data-dir", self.data, "--json"], capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr

    def runs(self):
        code, rows, error = self.run("dag", "runs", DAG, "--limit", "50")
        return rows if code == 0 else []

    def post(self, path, **params):
        token = (self.data / "token").read_text().strip()
        request = urllib.request.Request(f"{self.address}/api/v1/dags/{DAG}/{path}?{urllib.parse.urlencode(params)}", b"",
                                         {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS_MAX) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def ended(pipeline, run_id):
    return pipeline.until(lambda: next((run for run in pipeline.runs() if run["run_id"] == run_id and run["end"]), None))


def change_while_running(pipeline):
    first = next(run["run_id"] for run in pipeline.runs() if run["state"] == "success")
    code, rows, error = pipeline.run("dag", "clear", DAG, first, "--wait")
    check("a run is cleared and runs again", code == 0 and rows[0]["state"] == "success", error)
    code, rows, error = pipeline.run("dag", "clear", DAG, first, "--task", "load", "--wait")
    check("its load runs again, on the same batch", code == 0, error)
    code, rows, error = pipeline.run("dag", "tasks", DAG, first)
    tries = [row["try"] for row in rows if row["task"] == "load"]
    check("each time is a try of its own", tries == [1, 2, 3], tries)

    code, rows, error = pipeline.run("dag", "trigger", DAG, "--conf", '{"days": "all"}', "--run-id", "all days", "--wait")
    check("a run takes parameters", code == 0 and rows[0]["state"] == "success", error)

    cancelled = 0
    for i in range(10):
        pipeline.run("dag", "trigger", DAG, "--run-id", f"c{i}")
        code, rows, error = pipeline.run("dag", "cancel", DAG, f"c{i}")
        cancelled += code == 0
        check(f"cancel {i}: done, or too late with a word", code == 0 or "has ended" in error, error)
    code, rows, error = pipeline.run("dag", "mark", DAG, first, "failed")
    check("a run is marked failed", code == 0 and rows[0]["state"] == "failed", error)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    stretch = ["--from", today, "--to", today]
    code, rows, error = pipeline.run("dag", "backfill", DAG, *stretch)
    check("no run of it is ever missing", code == 2 and "--which" in error, error)
    code, rows, error = pipeline.run("dag", "backfill", DAG, *stretch, "--which", "failed", "--dry-run")
    again = [row["run_id"] for row in rows or [] if row["action"] == "run again"]
    check("a dry run says what it would do", first in again and "runs, at most 1 at a time" in error, f"{again} {error}")
    code, rows, error = pipeline.run("dag", "backfill", DAG, *stretch, "--which", "failed", "--wait")
    check("failed runs are backfilled", code == 0 and first in [row["run_id"] for row in rows], error)
    return first


def change_over_http(pipeline, run):
    status, answer = pipeline.post(f"runs/{run}/clear", task="test", downstream="true")
    check("clear over HTTP", status == 200 and answer["cleared"] == ["test", "log_stats"], answer)
    check("… and it ends", ended(pipeline, run)["state"] == "success")
    status, answer = pipeline.post(f"runs/{run}/mark", state="failed")
    check("mark over HTTP", status == 200 and answer["state"] == "failed", answer)
    status, answer = pipeline.post(f"runs/{run}/cancel")
    check("what has ended is not cancelled", status == 400, answer)
    status, answer = pipeline.post("runs/none/clear")
    check("an unknown run is 404", status == 404, answer)
    status, answer = pipeline.post(f"runs/{run}/mark", state="tired")
    check("a state that is none is 400", status == 400, answer)
    status, answer = pipeline.post("trigger", conf="[1]")
    check("conf that is no object is 400", status == 400, answer)


def import_ends(binary, folder):
    """With a DAG of one's own, whose models fail or which has none."""
    (folder / "dags").mkdir()
    (folder / "day.csv").write_text("date,symbol,open,high,low,close,volume\n2024-01-02,ZZ,1,2,1,2,10\n")
    for name, more, code in (("fails", "  models: {upstream: [load], action: dbt, params: {dbt: /bin/false}}\n", 1), ("is not there", "", 0)):
        (folder / "dags" / f"{DAG}.yml").write_text('schedule: "@continuous"\ntasks:\n  consume:\n  load: {upstream: [consume]}\n' + more)
        done = subprocess.run([binary, "import", folder / "day.csv", "--data-dir", folder / name], capture_output=True, text=True, timeout=WAIT_SECONDS_MAX,
                              env={**os.environ, "TAPELINE_DAG_FOLDER": str(folder / "dags")})
        check(f"import ends where the DAG's dbt {name}", done.returncode == code and "1 consumed = 1 loaded" in done.stdout, done)


def main():
    with tempfile.TemporaryDirectory(prefix="tapeline-dag-") as folder:
        pipeline = Pipeline(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        pipeline.up()
        run = change_while_running(pipeline)
        change_over_http(pipeline, run)
        for kill in range(3):
            pipeline.run("dag", "clear", DAG, run)
            pipeline.run("dag", "trigger", DAG, "--run-id", f"k{kill}")
            pipeline.end(signal.SIGKILL)
            pipeline.up()
            check(f"after kill {kill} the cleared run ends", ended(pipeline, run)["state"] == "success")
            check(f"… and the triggered one", ended(pipeline, f"k{kill}")["state"] == "success")
        pipeline.end(signal.SIGTERM)
        code, rows, error = pipeline.run("dag", "clear", DAG, run)
        check("without a running tapeline it is run here", code == 0 and rows[0]["state"] == "success", error)
        code, rows, error = pipeline.run("dag", "backfill", "full_tests", "--from", "2026-11-20", "--to", "2026-11-21")
        check("days of a cron DAG are backfilled", code == 0 and [row["state"] for row in rows] == ["success"] * 2, error)
        code, rows, error = pipeline.run("audit")
        check("the audit finds nothing", code == 0, f"{rows} {error}")
        import_ends(pipeline.binary, pathlib.Path(folder))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
