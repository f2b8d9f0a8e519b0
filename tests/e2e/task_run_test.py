#!/usr/bin/env python3
"""`tapeline dag task run`: single tasks for a scheduler outside.

    task_run_test.py TAPELINE

Tasks run with and without a process that owns the directory. Commands are killed while their task works: the task is a
program that does not end by itself, so that its end is the kill's doing.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from client import Checks, Tapeline, until

DAG = "stock_data_ingestion"
TASKS = ["consume", "load", "transform", "test", "log_stats"]
OUTSIDE = {"TAPELINE_DAG_SCHEDULER": "outside"}
checks = Checks()
check = checks.check


def quotes(count, day):
    return "".join(json.dumps({"symbol": "TRT", "price": 10 + i, "timestamp": f"2024-03-{day:02d}T15:00:{i:02d}Z", "data_source": "desk"}) + "\n"
                   for i in range(count))


def run(tapeline, task, *flags, dag=DAG, run_id="dag__run", **more):
    return tapeline.call("dag", "task", "run", dag, task, "--run-id", run_id, *flags, env={**os.environ, **OUTSIDE}, **more)


def handed(tapeline, run_id, tries=1):
    """The five tasks of a run, each with what those before it printed; the exit codes."""
    returned, codes = {}, []
    for task in TASKS:
        done = run(tapeline, task, "--try", tries, "--input", json.dumps(returned), run_id=run_id)
        codes.append(done.returncode)
        if done.returncode == 0:
            returned[task] = json.loads(done.stdout.splitlines()[-1])
    return codes, returned


def runs(tapeline):
    return json.loads(tapeline.call("dag", "runs", DAG, "--json").stdout)


def tasks(tapeline, run_id="dag__run", dag=DAG):
    return [f"{row['task']} {row['state']} {row['try']}" for row in json.loads(tapeline.call("dag", "tasks", dag, run_id, "--json").stdout)]


def without_an_owner(tapeline):
    tapeline.call("topic", "produce", "stock_prices", input=quotes(5, 1))
    codes, returned = handed(tapeline, "alone")
    check("no owner: each task is a process of its own", codes == [0] * 5 and returned["load"]["loaded"] == 5, (codes, returned))
    check("no owner: the run is in the history", [(r["run_id"], r["type"], r["state"]) for r in runs(tapeline)] == [("alone", "outside", "success")],
          runs(tapeline))
    check("no owner: a load names its run", tapeline.rows("select run_id, loaded from loads") == [{"run_id": "alone", "loaded": 5}],
          tapeline.rows("from loads"))
    check("no owner: the marts are there", len(tapeline.rows("from stock_analytics")) == 1)
    again = run(tapeline, "load", "--input", json.dumps(returned), run_id="alone")
    check("no owner: the same batch again changes nothing, and says the same",
          again.returncode == 0 and json.loads(again.stdout) == returned["load"] and len(tapeline.rows("from loads")) == 1, again.stdout)


def with_an_owner(tapeline):
    tapeline.call("topic", "produce", "stock_prices", input=quotes(7, 2))
    codes, returned = handed(tapeline, "owned")
    check("owner: what tasks return is handed on", codes == [0] * 5 and returned["log_stats"]["loaded"] == 7, (codes, returned))
    check("owner: their log is on stderr", "7 consumed = 7 loaded" in run(tapeline, "load", "--input", "-", run_id="owned",
                                                                          input=json.dumps(returned)).stderr)
    check("owner: no --input means what the history has",
          json.loads(run(tapeline, "log_stats", run_id="owned").stdout or "0") == returned["load"])
    page = json.loads(tapeline.get(f"/api/v1/dags/{DAG}/runs")[1])["runs"]
    check("owner: the page has the run", ("owned", "outside") in [(r["run_id"], r["run_type"]) for r in page], page)
    check("owner: all tries are there", tasks(tapeline, "owned")[:4] == ["consume success 1", "load success 1", "load success 2", "transform success 1"],
          tasks(tapeline, "owned"))


def half_a_load(tapeline):
    """Of a batch that fails in the middle the first part is loaded, and the owner knows that."""
    tapeline.call("topic", "produce", "stock_prices", input=quotes(4, 4))
    batch = json.loads(run(tapeline, "consume", run_id="half").stdout)["ranges"][0]
    before = json.loads(tapeline.get("/api/v1/status")[1])["equation"]["consumed"]
    torn = {"ranges": [{**batch, "next": batch["next"] - 2}, {**batch, "first": batch["next"] - 1}]}
    done = run(tapeline, "load", "--input", json.dumps({"consume": torn}), run_id="half")
    known = json.loads(tapeline.get("/api/v1/status")[1])["equation"]["consumed"]
    check("half a load: fails, and what came before the failure is counted", (done.returncode, known - before) == (1, 2), (done, before, known))
    codes, _ = handed(tapeline, "other half")
    check("half a load: the next one loads the rest", codes == [0] * 5 and tapeline.rows(
        "select sum(consumed)::int as n from raw_stocks.loads")[0]["n"] == before + 4, codes)


def wrong_calls(tapeline):
    fair = returned_by_consume = json.loads(run(tapeline, "consume", run_id="wrong").stdout)
    tapeline.call("topic", "produce", "stock_prices", input=quotes(3, 3))
    fair = json.loads(run(tapeline, "consume", run_id="wrong").stdout)
    check("what is new is a batch", not returned_by_consume["ranges"] and len(fair["ranges"]) == 1, fair)
    foreign = {"ranges": [{**fair["ranges"][0], "topic_id": "0" * 32}]}
    hole = {"ranges": [{**fair["ranges"][0], "first": fair["ranges"][0]["first"] + 1}]}
    beyond = {"ranges": [{**fair["ranges"][0], "next": 10**12}]}
    odd = {"ranges": [{**fair["ranges"][0], "first": -5}, 7, None]}
    for name, batch in (("of another topic", foreign), ("after a hole", hole), ("beyond the log's end", beyond), ("with odd offsets", odd)):
        done = run(tapeline, "load", "--input", json.dumps({"consume": batch}), run_id="wrong")
        check(f"a batch {name} fails", done.returncode == 1 and "failed" in done.stderr, done)
    check("none of them loaded anything", tapeline.rows("select count(*) as n from loads where run_id = 'wrong'") == [{"n": 0}])
    for name, words in {"no run id": ["consume", "--run-id", ""], "an unknown task": ["consum"], "input that is no JSON": ["load", "--input", "{"],
                        "input that is no object": ["load", "--input", "[]"], "a try that is no number": ["load", "--try", "x"],
                        "a conf that is no object": ["load", "--conf", "3"], "a date that is none": ["load", "--logical-date", "soon"]}.items():
        done = run(tapeline, *words, run_id="wrong2")
        check(f"{name}: exit 2 and a reason", done.returncode == 2 and "error:" in done.stderr and "hint:" in done.stderr, done)
    check("such calls leave no run", "wrong2" not in [r["run_id"] for r in runs(tapeline)])
    done = tapeline.call("dag", "clear", DAG, "wrong")
    check("a run of a scheduler outside is not cleared here", done.returncode == 2 and "outside" in done.stderr, done)
    check("a failed task's run has failed; a task at its end says so",
          [r["state"] for r in runs(tapeline) if r["run_id"] == "wrong"] == ["failed"]
          and run(tapeline, "log_stats", "--end-of-run", run_id="wrong").returncode == 1)
    tapeline.call("dag", "pause", DAG)
    done = run(tapeline, "consume")
    check("a paused DAG's task is refused", done.returncode == 2 and "paused" in done.stderr, done)
    tapeline.call("dag", "unpause", DAG)
    done = run(tapeline, "load", "--input", json.dumps({"consume": fair}), run_id="wrong")
    check("the fair batch loads after all that", done.returncode == 0 and json.loads(done.stdout)["loaded"] == 3, done)


DAGS = """tasks:
  work:
    action: dbt
    params: {dbt: @PROGRAM@, args: build, project_dir: @FOLDER@}
  rest:
    action: retain
    upstream: [work]
"""
PROGRAM = """#!/bin/sh
echo $$ >> @FOLDER@/pids
test -e @FOLDER@/quick || exec sleep 600
"""


def killed(tapeline, folder):
    pids = folder / "pids"

    def begun(count):
        return lambda: pids.exists() and len(pids.read_text().split()) == count

    def ended(number):
        return not os.path.exists(f"/proc/{pids.read_text().split()[number]}/cwd")

    def start():
        return subprocess.Popen([tapeline.binary, "dag", "task", "run", "slow", "work", "--run-id", "kill", "--data-dir", tapeline.data],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **OUTSIDE})

    for number, how in enumerate((signal.SIGKILL, signal.SIGTERM)):
        command = start()
        until("the task works", begun(number + 1))
        check(f"{how.name}: it is shown as running", f"work running {number + 1}" in tasks(tapeline, "kill", "slow"), tasks(tapeline, "kill", "slow"))
        command.send_signal(how)
        command.wait(30)
        until("its work ends with it", lambda n=number: ended(n))
        until("that is a failed try", lambda n=number: f"work failed {n + 1}" in tasks(tapeline, "kill", "slow"))
    first = start()
    until("the task works", begun(3))
    second = start()
    first.kill()
    first.wait()
    (folder / "quick").touch()
    said = second.communicate(timeout=60)[0]
    check("a try waits for the end of the one before it", second.returncode == 0 and "work success 4" in tasks(tapeline, "kill", "slow"), said)
    check("what has nothing to do is skipped, with 99", run(tapeline, "rest", dag="slow", run_id="kill").returncode == 99)
    check("and the run is a success", [r["state"] for r in json.loads(tapeline.call("dag", "runs", "slow", "--json").stdout)] == ["success"])
    done = run(tapeline, "work", "--conf", '{"dbt": "/bin/sh", "args": "-c"}', dag="slow", run_id="conf")
    check("a run's conf does not say which program runs", done.returncode == 1 and "conf may not set 'dbt'" in done.stderr, done)
    (folder / "quick").unlink()
    command = start()
    until("the task works", begun(5))
    tapeline.kill()
    command.wait(30)
    until("the work of a dead owner ends", lambda: ended(4))
    check("the owner's death is the command's failure", command.returncode == 2, command.stdout.read())


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "slow.yml").write_text(DAGS.replace("@PROGRAM@", str(folder / "program")).replace("@FOLDER@", name))
        (folder / "program").write_text(PROGRAM.replace("@FOLDER@", name))
        (folder / "program").chmod(0o755)
        environment = {**OUTSIDE, "TAPELINE_DAG_FOLDER": str(folder / "slow.yml")}
        tapeline = Tapeline(pathlib.Path(sys.argv[1]).absolute(), folder)
        tapeline.up(environment=environment)
        tapeline.stop()
        without_an_owner(tapeline)
        tapeline.up(environment=environment)
        try:
            with_an_owner(tapeline)
            half_a_load(tapeline)
            wrong_calls(tapeline)
            killed(tapeline, folder)
            tapeline.up(environment=environment)
            check("the try that died with its owner has failed", "work failed 5" in tasks(tapeline, "kill", "slow"), tasks(tapeline, "kill", "slow"))
            check("nothing but scheduler-outside runs was made", {r["type"] for r in runs(tapeline)} == {"outside"}, runs(tapeline))
            # The program that stood for dbt has built nothing.
            check("the models take up what they had not seen", handed(tapeline, "last")[0] == [0] * 5)
            check("up with a scheduler outside ends as told", tapeline.stop() == 0, tapeline.last_words())
            tapeline.sound(checks, "afterwards")
        finally:
            tapeline.kill()
        done = subprocess.run([tapeline.binary, "generate", "airflow-dag"], capture_output=True, text=True)
        ours = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "airflow" / f"{DAG}.py"
        check("deploy/airflow has what `generate airflow-dag` prints", done.stdout == ours.read_text())
        for dag in ("full_tests", "retention"):
            done = tapeline.call("generate", "airflow-dag", dag, "--output", folder / f"{dag}.py")
            check(f"the file of {dag} is Python", done.returncode == 0 and compile((folder / f"{dag}.py").read_text(), dag, "exec"), done)
        done = tapeline.call("generate", "airflow-dag", "--output", folder / "none" / "dag.py")
        check("a folder that is not there is named", done.returncode == 2 and f"there is no folder '{folder}/none'" in done.stderr, done)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
