#!/usr/bin/env python3
"""A DAG whose models are built by real dbt leaves what the built-in engine leaves.

    external_dbt.py TAPELINE DBT

DBT is a dbt binary with dbt-duckdb. Two data directories take the same messages in rounds; in one the tasks transform
and test are the built-in ones, in the other they have `action: dbt`, with the shipped project. After each round all
tables are compared, cell by cell but for load_id, run_id and tapeline's own times. Then dbt fails, and is killed with
tapeline: the models are as they were, and the next run makes up for it. All the while SQL is answered.
Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

from airflow_runs import DAG, Messages, same_tables
from client import Checks, Tapeline, until

DAGS = """default_args: {retries: 0}
tasks:
  consume:
  load: {upstream: [consume]}
  transform: {upstream: [load], action: dbt, params: {dbt: @DBT@, args: run}}
  test: {upstream: [transform], action: dbt, report_only: true, params: {dbt: @DBT@, args: test}}
  log_stats: {upstream: [test], trigger_rule: all_done}
"""


def main():
    binary, dbt = (pathlib.Path(word).absolute() for word in sys.argv[1:3])
    checks = Checks()
    check = checks.check
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dag = folder / f"{DAG}.yml"
        dag.write_text(DAGS.replace("@DBT@", str(dbt)))
        theirs, built_in = Tapeline(binary, folder / "theirs"), Tapeline(binary, folder / "built_in")
        environment = {"TAPELINE_DAG_FOLDER": str(dag)}
        messages = Messages(11)

        def send(count=300):
            lines = "\n".join(messages.some(count, send.day)) + "\n"
            send.day += 1
            for one in (theirs, built_in):
                one.call("topic", "produce", "stock_prices", input=lines)
        send.day = 1

        def compare(what):
            done = built_in.call("dag", "trigger", DAG, "--wait")
            check(f"{what}: the built-in run", done.returncode == 0, done.stderr)
            same_tables(checks, what, built_in, theirs)

        def trigger():
            return theirs.call("dag", "trigger", DAG, "--wait")

        for one in (theirs, built_in):
            one.folder.mkdir()
            one.up(environment={"TAPELINE_DAG_SCHEDULER": "outside"})
            one.stop()
        theirs.up(environment=environment)
        try:
            for what in ("from empty", "incrementally"):
                send()
                done = trigger()
                check(f"{what}: dbt's run", done.returncode == 0, done.stdout + done.stderr)
                compare(what)
            marts = theirs.rows("from stock_analytics order by all")

            send()
            theirs.stop()
            dag.write_text(DAGS.replace("@DBT@", str(dbt)).replace("args: run", "args: [run, --select, no_such_flag, --no-such-flag]"))
            theirs.up(environment=environment)
            check("dbt that fails fails the run", trigger().returncode == 1)
            check("and leaves the models as they were", theirs.rows("from stock_analytics order by all") == marts)
            theirs.stop()
            dag.write_text(DAGS.replace("@DBT@", str(dbt)))
            theirs.up(environment=environment)
            run = subprocess.Popen([binary, "dag", "trigger", DAG, "--wait", "--data-dir", theirs.data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            copy = theirs.data / "dbt" / "external" / "stocks_fin.duckdb"
            until("dbt has its copy", lambda: (theirs.data / "dbt" / "external" / "project").exists() and copy.exists())
            began = time.monotonic()
            check("SQL is answered while dbt works", theirs.rows("select count(*) as n from raw_stocks.stock_prices")[0]["n"] > 0 and run.poll() is None,
                  f"{time.monotonic() - began:.1f} s")
            theirs.kill()
            run.wait(60)
            until("dbt has ended with tapeline", lambda: not subprocess.run(["pgrep", "-f", str(copy.parent)], capture_output=True).stdout)
            theirs.up(environment=environment)
            until("the run goes on after the start, and ends", lambda: theirs.status().get("lag") == 0 and not theirs.rows(
                "select 1 from raw_stocks.stock_prices r left join stg_stocks.stg_stock_prices s using (symbol, \"timestamp\") where s.symbol is null limit 1"), 180, 1)
            check("afterwards", trigger().returncode == 0)
            compare("afterwards")
            check("its copy is gone", not copy.parent.exists())
            theirs.stop()
            theirs.sound(checks, "real dbt's models")
        finally:
            theirs.kill()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
