#!/usr/bin/env python3
"""Real Airflow runs the DAG file of deploy/airflow; the warehouse is what the built-in scheduler leaves.

    airflow_runs.py TAPELINE AIRFLOW... [--full]

AIRFLOW are programs `airflow` of tools/real-airflow. For each, two data directories take the same messages in rounds:
late, doubled, superseding and invalid ones among them. In one the built-in scheduler does what there is to do, in the
other a running tapeline waits for Airflow. Without --full a round is one `airflow dags test`: a success, and one
whose `load` fails twice, after it was committed and before it began. With --full a real Airflow scheduler runs, and
besides: tasks that fail for good, cleared; the command killed with -9 and -15 in a load; tapeline killed with -9 in a
load; a backfill; both of the file's DAGs at once. After each round all tables are compared, cell by cell but for
load_id, run_id and tapeline's own times. Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from client import Checks, Tapeline, free_port, until  # noqa: E402
from tables import check_equal, read  # noqa: E402

DAG, ALIAS = "stock_data_ingestion", "stock_data_ingestion_snowflake"
FILE = ROOT / "deploy" / "airflow" / "stock_data_ingestion.py"

# What the DAG file runs for tapeline: it goes wrong where a file FOLDER/TASK.N, of the N-th call of a task, says how.
WRAPPER = """#!/usr/bin/env bash
folder=@FOLDER@ task=$5
number=$(( $(cat "$folder/$task.calls" 2>/dev/null || echo 0) + 1 ))
echo $number > "$folder/$task.calls"
how=$(cat "$folder/$task.$number" 2>/dev/null || cat "$folder/$task.all" 2>/dev/null)
case $how in
  before) echo "told to fail before the work"; exit 1 ;;
  after) "@TAPELINE@" "$@" > /dev/null; echo "told to fail after the work"; exit 1 ;;
  KILL|TERM)
    "@TAPELINE@" "$@" & command=$!
    until "@TAPELINE@" dag tasks @DAG@ "$7" --json 2> /dev/null | grep -A4 "\\"$task\\"" | grep -q '"running"'; do
      kill -0 $command || exit 1
    done
    kill -$how $command; wait $command; echo "command: exit $?"; exit 1 ;;
esac
exec "@TAPELINE@" "$@"
"""


class Messages:
    """A desk's quotes, by seed; what was sent can be sent again, with the same or another price."""

    def __init__(self, seed):
        self.random, self.sent = random.Random(seed), []

    def some(self, count, day):
        chance, rows = self.random, []
        for i in range(count):
            second = chance.randrange(23400)
            price = round(chance.uniform(20, 400), 2)
            rows.append({"symbol": chance.choice(["AFA", "AFB", "AFC"]), "price": price, "high": price + 1, "low": price - 1,
                         "open": price, "volume": chance.randrange(9000), "data_source": "desk",
                         "timestamp": f"2024-02-{day:02d}T{14 + (1800 + second) // 3600:02d}:{(1800 + second) % 3600 // 60:02d}:"
                                      f"{second % 60:02d}.{i:06d}Z"})
        again = [dict(row) for row in chance.sample(self.sent, min(len(self.sent), 9))]
        for row in again[::2]:
            row["price"] = round(row["price"] * 1.01, 2)
        self.sent += rows
        return [json.dumps(row) for row in rows + again] + ["not json", '{"symbol": "AFA"}']


class Airflow:
    """One Airflow with a home of its own, on SQLite, and the DAG file with short pauses."""

    def __init__(self, program, folder, tapeline):
        self.program, self.home, self.tapeline = program, folder / "airflow", tapeline
        self.faults = folder / "faults"
        self.processes = []
        (self.home / "dags").mkdir(parents=True)
        self.faults.mkdir()
        wrapper = self.faults / "tapeline"
        wrapper.write_text(WRAPPER.replace("@FOLDER@", str(self.faults)).replace("@TAPELINE@", str(tapeline.binary)).replace("@DAG@", DAG))
        wrapper.chmod(0o755)
        port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTHON"))},
            "PATH": f"{program.parent}:{os.environ['PATH']}", "AIRFLOW_HOME": str(self.home), "SCARF_ANALYTICS": "false",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False", "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__API__WORKERS": "1", "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "3600",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "TAPELINE": str(wrapper), "TAPELINE_DATA_DIR": str(tapeline.data)}
        self.port = port
        self.version = self.call("version").stdout.split()[-1]
        text = FILE.read_text().replace('"*/5 * * * *"', '"@daily"').replace("timedelta(seconds=300)", "timedelta(seconds=1)")
        (self.home / "dags" / FILE.name).write_text(text)
        migrated = self.call("db", "migrate")
        if migrated.returncode:
            raise RuntimeError(migrated.stderr[-1500:])

    @property
    def is_3(self):
        return self.version.startswith("3")

    def call(self, *words, timeout=600):
        return subprocess.run([self.program, *map(str, words)], env=self.environment, cwd=self.home, capture_output=True, text=True,
                              errors="replace", timeout=timeout)

    def fault(self, task, **how):
        """From now on: call number 1 of the task is the next one. `all` is of every call."""
        for path in self.faults.glob(f"{task}.*"):
            path.unlink()
        for number, what in how.items():
            (self.faults / f"{task}.{number.lstrip('_')}").write_text(what)

    def post(self, path, token="", method="POST", **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code}: {error.read()[:600]}") from error

    def calls(self, task):
        return int((self.faults / f"{task}.calls").read_text())

    def test_run(self, date):
        """`airflow dags test`: what the run, and each task, came to."""
        done = self.call("dags", "test", DAG, f"{date}T00:00:00+00:00")
        self.said = done.stdout[-6000:] + done.stderr[-6000:]
        return self.states()

    def ask(self, sql, *values):
        connection = sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def states(self, run_id=None, dag=DAG):
        """The state of a run (of the newest, if none is named) and "task state try" of its tasks."""
        rows = self.ask("select run_id, state from dag_run where dag_id = ? and (? is null or run_id = ?) order by id desc limit 1",
                        dag, run_id, run_id)
        if not rows:
            return "none", []
        tasks = self.ask("select task_id, coalesce(state, 'none'), try_number from task_instance where dag_id = ? and run_id = ?",
                         dag, rows[0][0])
        order = ["consume", "load", "transform", "test", "log_stats"]
        return rows[0][1], [" ".join(map(str, row)) for row in sorted(tasks, key=lambda row: order.index(row[0]))]

    def start(self):
        """The processes of a real scheduler."""
        words = [["api-server"], ["dag-processor"], ["scheduler"]] if self.is_3 else [["scheduler"]]
        for word in words:
            with open(self.home / f"{word[0]}.log", "ab") as log:
                self.processes.append(subprocess.Popen([self.program, *word], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
                                                       stdout=log, stderr=log, start_new_session=True))
            if word == ["api-server"]:
                until("the API server answers", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/version").status == 200, 120)
        until("the DAGs are known", lambda: len(self.ask("select dag_id from dag")) == 2, 180, 1)

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def wait(self, run_id=None, dag=DAG, seconds=240):
        until(f"the run {run_id} ends", lambda: self.states(run_id, dag)[0] in ("success", "failed"), seconds, 1)
        return self.states(run_id, dag)

    def trigger(self, run_id, dag=DAG, date=None):
        """In 3.x a run that is triggered has no logical date unless one is given."""
        done = self.call("dags", "trigger", "-r", run_id, *(["--logical-date" if self.is_3 else "--exec-date", date] if date else []), dag)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])

    def clear(self, run_id, task, date):
        """Takes the state of a task, and of those after it. In 3.x as its page does: by the run."""
        if self.is_3:
            token = self.post("/auth/token", method="GET")["access_token"]
            self.post(f"/api/v2/dags/{DAG}/clearTaskInstances", token, dry_run=False, dag_run_id=run_id, task_ids=[task], include_downstream=True,
                      only_failed=False, reset_dag_runs=True)
            return
        done = self.call("tasks", "clear", "-y", "-t", f"^{task}$", "-d", "-s", f"{date}T00:00:00+00:00", "-e", f"{date}T23:59:59+00:00", DAG)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])


class Case:
    """Two data directories that take the same messages: `ours` is Airflow's to run, `built_in` not."""

    def __init__(self, checks, binary, program, folder):
        self.checks, self.messages, self.rounds = checks, Messages(7), 0
        self.ours, self.built_in = Tapeline(binary, folder / "ours"), Tapeline(binary, folder / "built_in")
        for one in (self.ours, self.built_in):
            one.folder.mkdir(parents=True)
            one.up(environment={"TAPELINE_DAG_SCHEDULER": "outside"})
            if one is self.built_in:
                one.stop()
        self.airflow = Airflow(program, folder, self.ours)
        self.name = f"Airflow {self.airflow.version}"

    def check(self, what, holds, said=""):
        self.checks.check(f"{self.name}, {what}", holds, said)

    def send(self, count=400):
        self.rounds += 1
        lines = "\n".join(self.messages.some(count, self.rounds)) + "\n"
        for one in (self.ours, self.built_in):
            done = one.call("topic", "produce", "stock_prices", input=lines)
            if done.returncode:
                raise RuntimeError(done.stderr)

    def compare(self, what):
        done = self.built_in.call("dag", "trigger", DAG, "--wait")
        if done.returncode:
            raise RuntimeError(done.stderr)
        same_tables(self.checks, f"{self.name}, {what}", self.built_in, self.ours)

    def history(self, run_id, dag=DAG):
        """What tapeline's own history has of a run of Airflow's: "task state try" of each."""
        name = f"{dag}__{run_id}"
        runs = json.loads(self.ours.call("dag", "runs", DAG, "--json").stdout)
        found = [run for run in runs if run["run_id"] == name and run["type"] == "outside"]
        tasks = json.loads(self.ours.call("dag", "tasks", DAG, name, "--json").stdout or "[]")
        return (found[0]["state"] if found else "none"), [f"{task['task']} {task['state']} {task['try']}" for task in tasks]

    def run_id(self):
        return self.airflow.ask("select run_id from dag_run where dag_id = ? order by id desc limit 1", DAG)[0][0]

    def end(self):
        self.airflow.stop()
        self.ours.stop()


def same_tables(checks, name, one, other):
    """Every table, cell by cell, and what the loads add up to."""
    check_equal(checks, name, read(one), read(other), may_be_empty=())
    for what, sql in (("the equation of raw_stocks.loads", "select topic, topic_partition, min(first_offset), max(next_offset), sum(consumed), sum(loaded), "
                       "sum(duplicate), sum(superseded), sum(dead) from raw_stocks.loads group by all order by all"),
                      ("raw_stocks.consumer_offsets", "select topic, topic_partition, next_offset from raw_stocks.consumer_offsets order by all")):
        rows = [each.rows(sql) for each in (one, other)]
        checks.check(f"{name}: {what}", rows[0] and rows[0] == rows[1], rows)


ALL = ["consume success 1", "load success 1", "transform success 1", "test success 1", "log_stats success 1"]


def short(case):
    """`dags test` of 2.7.3 counts no tries: the calls of the program are counted instead."""
    succeeded = [line.rsplit(" ", 1)[0] for line in ALL]
    case.send()
    state, tasks = case.airflow.test_run("2026-11-20")
    case.check("success", (state, [t.rsplit(" ", 1)[0] for t in tasks]) == ("success", succeeded), f"{state} {tasks}\n{case.airflow.said}")
    case.check("success, in tapeline's history", case.history(case.run_id()) == ("success", ALL), case.history(case.run_id()))
    case.compare("success")
    case.send()
    case.airflow.fault("load", _1="after", _2="before")
    state, tasks = case.airflow.test_run("2026-11-21")
    case.check("load failed after its commit, and again before it began", state == "success" and case.airflow.calls("load") == 3,
               f"{state} {tasks}\n{case.airflow.said}")
    loads = [t for t in case.history(case.run_id())[1] if t.startswith("load")]
    # The second try never came to tapeline.
    case.check("its tries in tapeline's history", len(loads) == 2 and all(" success " in t for t in loads), loads)
    case.compare("load failed")


def full(case):
    airflow = case.airflow
    airflow.start()
    case.send()
    airflow.call("dags", "unpause", DAG)
    until("there is a scheduled run", lambda: airflow.states()[0] != "none", 120, 1)
    state, tasks = airflow.wait()
    case.check("a scheduled run", (state, tasks) == ("success", ALL), f"{state} {tasks}")
    case.check("a scheduled run, in tapeline's history", case.history(case.run_id()) == ("success", ALL), case.history(case.run_id()))
    case.compare("a scheduled run")

    case.send()
    airflow.fault("load", _1="after", _2="before")
    airflow.trigger("retries")
    state, tasks = airflow.wait("retries")
    case.check("failure with retries", state == "success" and tasks[1] == "load success 3", f"{state} {tasks}")
    case.compare("failure with retries")

    case.send()
    airflow.fault("load")
    airflow.fault("transform", all="before")
    airflow.trigger("fails", date="2026-11-10T00:00:00+00:00")
    state, tasks = airflow.wait("fails")
    case.check("failure for good", state == "failed" and tasks[2:4] == ["transform failed 3", "test upstream_failed 0"], f"{state} {tasks}")
    airflow.fault("transform")
    airflow.clear("fails", "transform", "2026-11-10")
    until("the cleared run goes on", lambda: airflow.states("fails")[0] != "failed", 60, 1)
    state, tasks = airflow.wait("fails")
    case.check("cleared", state == "success" and tasks[2] == "transform success 4", f"{state} {tasks}")
    case.compare("cleared")

    for how in ("KILL", "TERM"):
        case.send(300_000)
        airflow.fault("load", _1=how)
        airflow.trigger(f"command {how}".replace(" ", "-"))
        state, tasks = airflow.wait(f"command-{how}", seconds=400)
        case.check(f"the command ended with {how} in a load", state == "success" and tasks[1] == "load success 2", f"{state} {tasks}")
        history = case.history(f"command-{how}")
        case.check(f"the command ended with {how}: both tries in the history", [t.split()[0] for t in history[1]].count("load") == 2, history)
        case.compare(f"the command ended with {how}")

    case.send(300_000)
    airflow.fault("load")
    airflow.trigger("owner")
    until("load is running", lambda: any(t.startswith("load running") for t in case.history("owner")[1]), 120, 0.02)
    case.ours.kill()
    case.ours.start(environment={"TAPELINE_DAG_SCHEDULER": "outside"})
    state, tasks = airflow.wait("owner", seconds=400)
    case.check("tapeline killed with -9 in a load", state == "success", f"{state} {tasks}")
    case.compare("tapeline killed with -9 in a load")

    backfill(case)
    both(case)
    case.ours.sound(case.checks, case.name)


def backfill(case):
    airflow = case.airflow
    case.send()
    words = ["backfill", "create", "--dag-id", DAG, "--from-date", "2026-11-01", "--to-date", "2026-11-03", "--max-active-runs", "2"] \
        if airflow.is_3 else ["dags", "backfill", "-s", "2026-11-01", "-e", "2026-11-03", DAG]
    sql = "select run_id, state from dag_run where dag_id = ? and run_type like 'backfill%'"
    for _ in range(5):  # SQLite may be locked by the scheduler just then
        done = airflow.call(*words)
        if done.returncode == 0 or airflow.ask(sql, DAG):
            break
    case.check("a backfill is made", airflow.ask(sql, DAG), done.stdout[-1500:] + done.stderr[-1500:])
    until("the backfill ends", lambda: airflow.ask(sql, DAG) and all(s in ("success", "failed") for _, s in airflow.ask(sql, DAG)), 400, 1)
    runs = airflow.ask(sql, DAG)
    case.check("a backfill of three days", len(runs) == 3 and all(s == "success" for _, s in runs), runs)
    case.compare("a backfill")


def both(case):
    airflow = case.airflow
    case.send()
    airflow.call("dags", "unpause", ALIAS)
    airflow.trigger("both")
    airflow.trigger("both", ALIAS)
    ends = [airflow.wait("both", dag)[0] for dag in (DAG, ALIAS)]
    case.check("both DAGs at once", ends == ["success", "success"], ends)
    case.compare("both DAGs at once")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=lambda p: pathlib.Path(p).absolute())
    arguments.add_argument("airflow", type=lambda p: pathlib.Path(p).absolute(), nargs="+")
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--keep", type=pathlib.Path, help="where everything is left, to be looked at")
    options = arguments.parse_args()
    checks = Checks()
    printed = subprocess.run([options.tapeline, "generate", "airflow-dag"], capture_output=True, text=True).stdout
    checks.check("the file of deploy/ is what `tapeline generate airflow-dag` prints", printed == FILE.read_text())
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tapeline-airflow-"))
    try:
        for program in options.airflow:
            began = time.monotonic()
            case = Case(checks, options.tapeline, program, folder / program.parents[1].name)
            try:
                (full if options.full else short)(case)
            except RuntimeError as error:
                case.check("it came to its end", False, error)
            finally:
                case.end()
            print(f"{case.name}: {time.monotonic() - began:.0f} s", flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
