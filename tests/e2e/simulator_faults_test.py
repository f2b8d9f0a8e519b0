#!/usr/bin/env python3
"""What each fault of the simulated exchange does to raw, dead letters, gaps, models, API and status.

    simulator_faults_test.py TAPELINE

One run with every fault but stall, from a start two days back, so that midnights and halts are
passed at once; and one run whose feed is stalled. Prints `N passed, N failed`.
"""
import datetime
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import client

FAULTS = "drop=0.02,duplicate=0.03,malformed=0.02,reorder=0.05,zero=0.02,spike=0.02,halt=0.02,split=1"
checks = client.Checks()
check = checks.check


class Running:
    def __init__(self, binary, folder, faults, start):
        self.binary, self.data = binary, pathlib.Path(folder) / "data"
        self.out = open(pathlib.Path(folder) / "out", "w+", encoding="utf-8")
        self.process = subprocess.Popen([binary, "up", "--data-dir", self.data, "--listen", "127.0.0.1:0", "--symbols", "AAPL,MSFT", "--seed", "3",
                                         "--rate", "4", "--start", start, "--faults", faults], stdout=self.out, stderr=subprocess.STDOUT)
        self.until(lambda: json.loads((self.data / "lock").read_text())["address"] and (self.data / "tapeline.sock").exists())
        self.url = json.loads((self.data / "lock").read_text())["address"]

    def until(self, holds, seconds=120):
        for _ in range(seconds * 10):
            try:
                if holds():
                    return
            except (OSError, ValueError, KeyError):  # not there yet
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError("waited in vain:\n" + pathlib.Path(self.out.name).read_text(encoding="utf-8"))

    def get(self, path):
        return json.load(urllib.request.urlopen(self.url + path, timeout=30))

    def call(self, *words):
        return subprocess.run([self.binary, *words, "--data-dir", self.data], capture_output=True, text=True, timeout=120)

    def one(self, query):
        return json.loads(self.call("sql", "-c", query, "--format", "json").stdout or "[{}]")[0]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def all_faults(binary, folder):
    start = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    up = Running(binary, folder, FAULTS, start)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    up.until(lambda: up.one(f"select count(*) as n from stock_bars_1m where bar_start >= timestamp '{now}' - interval 3 minute")["n"] > 0)
    live = "not coalesce(bar_length is not null, false)"
    check("status names the faults", up.get("/api/v1/status")["feed"]["faults"] == FAULTS and FAULTS in up.call("status").stdout)
    metrics = urllib.request.urlopen(up.url + "/metrics", timeout=30).read().decode()
    check("the page's badge stays", up.get("/api/v1/status")["feed"]["badge"] == "SIMULATED" and "tapeline_ingest_gaps_total" in metrics)
    loads = up.one("select sum(consumed)::int c, sum(loaded)::int l, sum(duplicate)::int d, sum(superseded)::int s, sum(dead)::int x from raw_stocks.loads")
    check("the equation holds", loads["c"] == loads["l"] + loads["d"] + loads["s"] + loads["x"], loads)
    check("duplicate: the second of two messages counts as duplicate", loads["d"] > 50 and loads["s"] == 0, loads)
    letters = up.one("select count(*)::int n, count(*) filter (payload::varchar like '%symbol%price%hi')::int half, count(*) filter (reason <> '')::int why from raw_stocks.dead_letters")
    check("malformed: half a message is a dead letter with a reason", loads["x"] > 50 and letters == {"n": letters["n"], "half": letters["n"], "why": letters["n"]}, letters)
    zero = up.one(f"select count(*)::int n, count(*) filter (not is_valid and invalid_reason like '%price%')::int bad from stg_stock_prices where price = 0 and {live}")
    check("zero: in raw, not valid in staging, and staging says why", zero["n"] > 50 and zero["n"] == zero["bad"], zero)
    in_marts = up.one("select (select count(*) from int_stock_daily_aggregates where daily_close <= 0)::int + (select count(*) from stock_bars_1m where low <= 0)::int n")
    check("zero: in no daily row and no bar", in_marts["n"] == 0, in_marts)
    spikes = up.one(f"select count(*) filter (is_price_spike and is_valid)::int n, count(*)::int all_rows from stg_stock_prices where {live}")
    check("spike: marked in staging, there and back", 100 < spikes["n"] < spikes["all_rows"] / 10, spikes)
    order = up.one(f"select count(*)::int n from (select \"timestamp\" < lag(\"timestamp\") over (partition by symbol order by topic_offset) as late "
                   f"from raw_stocks.stock_prices where {live}) where late")
    check("reorder: messages stand behind later ones in the topic", order["n"] > 100, order)
    gaps = up.one("select count(*)::int n, count(distinct cause)::int causes, min(cause) as cause, count(distinct (symbol, gap_start))::int once, "
                  "bool_and(gap_end > gap_start) as ends from raw_stocks.gaps")
    check("halt: a gap with its cause", gaps["n"] > 3 and gaps["causes"] == 1 and gaps["cause"] == "trading halt" and gaps["ends"] and gaps["once"] == gaps["n"], gaps)
    inside = up.one(f"select count(*)::int n from raw_stocks.stock_prices p join raw_stocks.gaps g on p.symbol = g.symbol and p.\"timestamp\" >= g.gap_start "
                    f"and p.\"timestamp\" < g.gap_end where {live.replace('bar_length', 'p.bar_length')}")
    check("halt: no message in it", inside["n"] == 0, inside)
    gap = up.one("select symbol, gap_start, gap_end from raw_stocks.gaps order by gap_start limit 1")
    query = f"/api/v1/bars?symbol={gap['symbol']}&interval=1m&from={gap['gap_start']}&to={gap['gap_end']}"
    check("halt: the chart is told of it", [g["cause"] for g in up.get(query)["gaps"]] == ["trading halt"], up.get(query))
    splits = up.one("select count(*)::int n from (select daily_open / lag(daily_close) over (partition by symbol order by price_date) as r "
                    "from int_stock_daily_aggregates) where r between 0.45 and 0.56")
    check("split: the price halves at midnight, unadjusted", splits["n"] >= 2, splits)
    dropped = up.one(f"select count(*)::int n from (select symbol, price_date, count(distinct date_trunc('minute', \"timestamp\")) m from raw_stocks.stock_prices "
                     f"where {live} group by all) where m < 1440 - 20")
    check("drop, halt: minutes are missing", dropped["n"] > 0, dropped)
    check("it stops", up.stop() == 0)
    audit = up.call("audit")
    check("audit agrees", audit.returncode == 0, audit.stdout + audit.stderr)


def stalled(binary, folder):
    start = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    up = Running(binary, folder, "stall=1", start)
    query = "select count(*)::int n, coalesce(max(epoch(received_at) - epoch(\"timestamp\")), 0) late from raw_stocks.stock_prices where bar_length is null"
    begin = datetime.datetime.fromisoformat(start.replace("Z", "+00:00"))
    live = f"{query} and \"timestamp\" >= timestamp '{begin:%Y-%m-%d %H:%M:%S}' + interval 10 second"
    up.until(lambda: up.one(live)["n"] > 30)
    found = up.one(live)
    check("stall: everything comes, up to ten seconds late", 5 < found["late"] < 60, found)
    check("stall: no gap", up.one("select count(*)::int n from raw_stocks.gaps")["n"] == 0)
    check("stall: it stops", up.stop() == 0)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    for part in (all_faults, stalled):
        with tempfile.TemporaryDirectory(prefix="tapeline-faults-") as folder:
            part(binary, folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
