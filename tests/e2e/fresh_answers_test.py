#!/usr/bin/env python3
"""No answer of the API is older than what was committed before it was asked for.

    fresh_answers_test.py TAPELINE

Four that keep asking see to it that answers are kept whenever they can be. Beside them, after each run,
`dbt run` and retention cut that has ended, the API must show at least what `tapeline sql` showed before.
Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import datetime
import json
import pathlib
import re
import shutil
import sys
import tempfile
import threading

import client

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LATEST = "/api/v1/analytics"
checks = client.Checks()
check = checks.check


def quotes(day, first, count):
    begin = datetime.datetime.combine(day, datetime.time(15), datetime.timezone.utc)
    return [json.dumps({"symbol": "A", "price": 1 + i % 9, "volume": 1, "data_source": "replay", "bar_length": None,
                        "timestamp": (begin + datetime.timedelta(seconds=i)).isoformat().replace("+00:00", "Z")}).encode()
            for i in range(first, first + count)]


def minutes_of(day):
    return f"/api/v1/bars?symbol=A&interval=1m&from={day}&to={day}"


class Asking:
    """Asks the same again and again, while it is entered."""

    def __init__(self, tapeline, day):
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(tapeline, path)) for path in (LATEST, minutes_of(day)) * 2]

    def ask(self, tapeline, path):
        while not self.over.is_set():
            tapeline.get(path)

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def shown(tapeline, day):
    """The load of the newest rows, and how many quotes the minutes have."""
    latest = json.loads(tapeline.get(LATEST)[1])
    return latest["load_id"] or 0, sum(bar["count"] for bar in json.loads(tapeline.get(minutes_of(day))[1])["bars"])


def stored(tapeline, day):
    row = tapeline.rows("select coalesce(max(load_id), 0) as load_id, (select coalesce(sum(quote_count), 0)::bigint from stock_bars_1m "
                        f"where price_date = '{day}') as quotes from stock_analytics")[0]
    return row["load_id"], row["quotes"]


def runs(tapeline, day):
    older = []
    for i in range(12):
        tapeline.post(quotes(day, i * 50, 50))
        for _ in range(4):
            known = stored(tapeline, day)
            found = shown(tapeline, day)
            if found < known or found[1] < known[1]:
                older.append((known, found))
    tapeline.settle()
    check("while runs go on no answer is older than what SQL saw", not older, older)
    check("after the last all is shown", shown(tapeline, day)[1] == 600, shown(tapeline, day))


def own_model(tapeline, folder):
    project = folder / "project"
    shutil.copytree(ROOT / "dbt", project)
    model = project / "models" / "marts" / "stock_analytics.sql"
    text = model.read_text()
    model.write_text(text.replace("coalesce(abs(return_z_30_day) > 4, false) as is_anomaly", "true as is_anomaly"))
    check("the model is another", model.read_text() != text)
    strange = lambda: json.loads(tapeline.get(LATEST)[1])["rows"][0]["is_anomaly"]
    check("before it runs its rows are as they were", strange() is False, strange())
    done = tapeline.call("dbt", "run", "--full-refresh", "--select", "stock_analytics", "--project-dir", project)
    check("a model of one's own runs", done.returncode == 0, done.stdout + done.stderr)
    check("after `dbt run` its rows are there", strange() is True, strange())
    done = tapeline.call("dbt", "run", "--full-refresh")
    check("the shipped models run again", done.returncode == 0, done.stdout + done.stderr)
    check("and their rows are there", strange() is False, strange())


def cut(tapeline, old):
    path = f"/api/v1/messages?symbol=A&from={old}&to={old}"
    total = lambda: json.loads(tapeline.get(path)[1])["total"]
    check("raw has the old day", (total(), total()) == (50, 50), total())
    done = tapeline.call("retention", "run")
    check("the day is given up", done.returncode == 0, done.stderr)
    check("after the cut no answer has it", total() == 0, total())


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="tapeline-fresh-") as name:
        folder = pathlib.Path(name)
        tapeline = client.Tapeline(binary, folder)
        tapeline.up(environment={"TAPELINE_RETENTION_RAW_DAYS": "30"})
        try:
            # Today's run of retention comes at the start; later it would take the old day away.
            client.until("retention has run", lambda: "success" in tapeline.call("dag", "runs", "retention").stdout, 60)
            today = datetime.date.today()
            old = today - datetime.timedelta(200)
            tapeline.post(quotes(old, 0, 50))
            tapeline.settle()
            day = today - datetime.timedelta(3)
            with Asking(tapeline, day):
                runs(tapeline, day)
                own_model(tapeline, folder)
                cut(tapeline, old)
            first = tapeline.get(LATEST)[1]
            cached = lambda: int(re.search(rb"^tapeline_serve_answers_cached_total (\d+)", tapeline.get("/metrics")[1], re.MULTILINE)[1])
            before = cached()
            check("when it is quiet the same is answered without being read again",
                  tapeline.get(LATEST)[1] == first and cached() == before + 1, cached() - before)
        finally:
            tapeline.stop()
            tapeline.kill()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
