#!/usr/bin/env python3
"""Compares `tapeline dag next` with real Airflow 3.x: which schedules are taken, and when they fire.

    cron_equals_airflow.py TAPELINE [--cases N] [--seed N] [--fires N] [--write FILE]

Run it with a Python that has apache-airflow 3.x. Airflow's side is CronTriggerTimetable, asked as its
scheduler asks it: each fire is looked for from the one before. Cases are made of expressions (written
here, and by chance from the grammar, right and wrong ones) times zones times instants, many of them in
the hours round a clock change. --write keeps cases for the unit tests (tests/cases/dag/cron.txt) instead
of comparing. Exit status 0 if all are equal.
"""
import argparse
import datetime
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import warnings
import zoneinfo
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tapeline-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "True")
warnings.simplefilter("ignore")

import pendulum  # noqa: E402
from airflow.timetables.trigger import CronTriggerTimetable  # noqa: E402

UTC = datetime.timezone.utc
ZONES = ["UTC", "America/New_York", "Europe/London", "Europe/Dublin", "Europe/Berlin", "Australia/Lord_Howe",
         "Australia/Sydney", "Pacific/Chatham", "Pacific/Apia", "Pacific/Auckland", "America/Sao_Paulo",
         "Asia/Kathmandu", "Asia/Kolkata", "Africa/Casablanca", "Asia/Tehran", "Asia/Gaza", "Africa/Cairo",
         "America/St_Johns", "America/Nuuk", "America/Havana", "America/Santiago", "Antarctica/Troll",
         "Asia/Amman", "Asia/Pyongyang", "America/Caracas", "US/Eastern", "Etc/GMT+5", "Asia/Tokyo"]
WRITTEN = """
* * * * *|*/5 * * * *|0 * * * *|30 * * * *|0 0 * * *|30 2 * * *|30 1 * * *|*/30 1 * * *|*/30 2 * * *|*/30 1-3 * * *
0 1,2,3 * * *|15 0-5 * * *|0 */2 * * *|*/20 */3 * * *|0 0-23 * * *|0 */1 * * *|30 0-22,23 * * *|0 *,5 * * *|0 *,0-22 * * *
*/20 * * * 0|0 * 1 * *|0 * * 3,11 *|0 0 * * 7|0 0 * * SUN|0 0 * * sun-tue|0 0 * * fri-mon|0 0 * * 5-7|0 0 * * 0-7|0 0 * * 1-1
0 22-2 * * *|0 22-2/2 * * *|0 22-5/3 * * *|50-10/7 * * * *|0 0 25-5/4 * *|0 0 1 oct-feb *|0 0 1 nov-mar/2 *|0 0 * * sat-wed/2
0 0 L * *|0 0 1,L * *|0 0 28-L * *|0 0 L 2 *|0 0 l * 1|0 0 * * L5|0 0 * * l7|0 0 * * 5#3|0 0 * * fri#1,mon#2|0 0 * * mon-fri#1
0 0 * * 5#5|0 0 13 * 5|0 0 1-31 * 1|0 0 */2 * 1|0 0 * * 0-6|0 0 1 * 0-6|0 0 1 * */2|0 0 1-31 * *|0 0 15W * *|0 0 1W * *
0 0 W31 * *|0 0 15W * 1|0 0 15W * 6|0 0 13 * 5#2|0 0 15 * 1#3|0 0 29 2 *|0 0 29 2 4#5|0 0 31 2 *|0 0 31 2 1|0 0 30 2 *
0 0 ? * *|0 0 * * ?|0 0 ? * ?|? 0 * * *|0 0 1 ? *|0 0 ?,1 * *|@hourly|@daily|@midnight|@weekly|@monthly|@quarterly|@yearly
@annually|@DAILY|@Quarterly|@once|@continuous|@reboot| @daily|0 0 * * * 30|* * * * * */20|0 * * * * 0,30|0 1 * * * 15
0 0 1 1 * 0 2030|0 0 1 1 * 0 2020|0 0 1 1 * 0 2027-2029|0 0 1 1 * 0 */2|0 0 1 1 * 0 *|0 0 1 1 * 0 1969|* * * * * * * *
* * * *|5|60 * * * *|* 24 * * *|* * 0 * *|* * 32 * *|* * * 0 *|* * * 13 *|* * * * 8|-1 * * * *|*/0 * * * *|*/100 * * * *
59/15 * * * *|5/0 * * * *|10/ * * * *|/5 * * * *|5-5 * * * *|5-5/10 * * * *|1-2-3 * * * *|1,,2 * * * *|,1 * * * *|a * * * *
* * * jan *|* * * january *|* * jan * *|0 0 * jan-mar mon-fri|0 0 * JAN Mon|0 0 * * 1#6|0 0 * * 1#0|0 0 * * 1#|0 0 * * #1
0 0 * * 1#1,2|0 0 * * L|0 0 L-3 * *|0 0 LW * *|0 0 5L * *|0 0 15W,20 * *|0 0 32W * *|0 0 0W * *|0 0 5-0 * *|0 0 0-5 * *
0 0 0-0 * *|0 0 * 3-0 *|0 0 1 */5 *|0 0 31/5 * *|0 0 * * 7/2|0 0 * * 6/2|H * * * *|H/5 * * * *|0 0 * * *,1#1|0 0 15 * *,1#1
0 0 * * 0-6,1#1|0 0 1-30,L * *|00 007 * * *|0.5 * * * *|0 0 1 1|+5 * * * *|5 ,5 * * *|*-5 * * * *|5-* * * * *|** * * * *|*5 * * * *
0 0 1 1,7 *|15,45 9-16 * * 1-5|30 9 * * mon-fri|0 16 * * mon-fri|5 4 * * sun|23 0-20/2 * * *|0 12 1/2 * *|0 0 * */3 1#1|0 0 29 2 1|0 0 31 * *
""".strip("\n").replace("\n", "|").split("|")


def by_chance(rng):
    """An expression from the grammar; now and then with a field that is out of range or no field."""
    def value(low, high, names=()):
        if names and rng.random() < 0.3:
            return rng.choice(names)
        return str(rng.randint(low, high) if rng.random() < 0.97 else high + rng.randint(1, 3))

    def item(low, high, names=()):
        kind = rng.random()
        if kind < 0.15:
            return "*/" + str(rng.choice([1, 2, 3, 5, 7, 10, 15, 20, 30, high, high + 1]))
        if kind < 0.55:
            return value(low, high, names)
        text = f"{value(low, high, names)}-{value(low, high, names)}" if kind < 0.85 else value(low, high, names)
        return text + (f"/{rng.randint(1, 9)}" if kind > 0.7 else "")

    def field(low, high, names=(), more=(), star=0.4):
        if rng.random() < star:
            return "*"
        parts = [item(low, high, names) if not more or rng.random() < 0.8 else rng.choice(more)()
                 for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        return ",".join(parts)

    months = "jan feb mar apr may jun jul aug sep oct nov dec".split()
    week = "sun mon tue wed thu fri sat".split()
    fields = [field(0, 59, star=0.1), field(0, 23, star=0.35),
              field(1, 31, more=[lambda: "L", lambda: f"{rng.randint(1, 31)}W", lambda: f"{rng.randint(20, 31)}-L"], star=0.6),
              field(1, 12, months, star=0.75),
              field(0, 7, week, more=[lambda: f"{rng.choice(week + list('01234567'))}#{rng.randint(1, 5)}",
                                      lambda: f"L{rng.randint(0, 7)}",
                                      lambda: f"{rng.choice(week)}-{rng.choice(week)}#{rng.randint(1, 4)}"], star=0.6)]
    if rng.random() < 0.06:
        fields.append(field(0, 59))
        if rng.random() < 0.4:
            fields.append(field(2020, 2035))
    if rng.random() < 0.03:
        fields[rng.randrange(len(fields))] = rng.choice(["?", "x", "", "1--2", "1/2/3", "L", "5#2", "mon", "*,*", "-", "R"])
    text = " ".join(fields)
    return text.upper() if rng.random() < 0.1 else text


def changes(zone, first=2007, last=2045):
    """The instants at which a zone's clocks change."""
    info = zoneinfo.ZoneInfo(zone)
    found, at, end = [], datetime.datetime(first, 1, 1, tzinfo=UTC), datetime.datetime(last, 1, 1, tzinfo=UTC)
    step = datetime.timedelta(days=7)
    offset = lambda t: t.astimezone(info).utcoffset()
    while at < end:
        low, high = at, at + step
        if offset(low) != offset(high):
            while high - low > datetime.timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append(high.replace(microsecond=0))
        at += step
    return found


def airflow(expression, zone, after, count):
    """Fire times as text, or None where Airflow takes the expression for none, or finds no fire at all."""
    try:
        timetable = CronTriggerTimetable(expression, timezone=zone)
        timetable.validate()
    except Exception:  # it raises more kinds than its own; all refuse the DAG
        return None
    fires, at = [], pendulum.instance(after)
    for _ in range(count):
        try:
            at = timetable._get_next(at)
        except Exception:
            break
        fires.append(at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return fires or None


def tapeline(binary, expression, zone, after, count):
    done = subprocess.run([binary, "dag", "next", f"--cron={expression}", "--timezone", zone, "--after",
                           after.strftime("%Y-%m-%dT%H:%M:%SZ"), "--count", str(count)], capture_output=True, text=True)
    if done.returncode == 2:
        return None
    return done.stdout.split() if done.returncode == 0 else [f"exit {done.returncode}", done.stderr]


def cases(count, seed):
    rng = random.Random(seed)
    turns = {zone: changes(zone) for zone in ZONES}

    def instant(zone):
        if turns[zone] and rng.random() < 0.75:
            return rng.choice(turns[zone]) + datetime.timedelta(seconds=rng.randint(-5 * 3600, 3 * 3600))
        return datetime.datetime(2024, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=rng.randint(0, 5 * 365 * 86400))

    expressions = itertools.chain(WRITTEN, (by_chance(rng) for _ in itertools.count()))
    for expression in itertools.islice(expressions, count):
        zone = rng.choice(ZONES)
        yield expression, zone, instant(zone)
    # Those that say most about a clock change, at every kind of one.
    for expression in WRITTEN[:30]:
        for zone in rng.sample(ZONES, 10):
            if turns[zone]:
                yield expression, zone, rng.choice(turns[zone]) - datetime.timedelta(hours=rng.randint(1, 6))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline")
    arguments.add_argument("--cases", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--fires", type=int, default=12)
    arguments.add_argument("--write", metavar="FILE")
    options = arguments.parse_args()
    # R is drawn anew each time: nothing to compare.
    asked = [case for case in cases(options.cases, options.seed) if not re.search(r"(^| )[rR](\(|/|$| )", case[0])]
    expected = [airflow(*case, options.fires) for case in asked]
    if options.write:
        with open(options.write, "w", encoding="utf-8") as out:
            out.write("# schedule|zone|after|next fires, or none: as Airflow 3.x has them. "
                      "tests/compat/cron_equals_airflow.py --write made it.\n")
            for (expression, zone, after), fires in zip(asked, expected):
                out.write(f"{expression}|{zone}|{after:%Y-%m-%dT%H:%M:%SZ}|{' '.join(fires[:4]) if fires else 'none'}\n")
        return 0
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda case: tapeline(options.tapeline, *case, options.fires), asked))
    wrong = 0
    for case, ours, theirs in zip(asked, got, expected):
        if ours == theirs:
            continue
        wrong += 1
        if wrong <= 20:
            print(f"FAIL {case[0]!r} {case[1]} after {case[2]:%Y-%m-%dT%H:%M:%SZ}\n  airflow  {theirs}\n  tapeline {ours}")
    taken = sum(1 for fires in expected if fires)
    print(f"{len(asked) - wrong} of {len(asked)} cases equal (seed {options.seed}), {taken} of them schedules, "
          f"{sum(len(fires) for fires in expected if fires)} fires; {len(asked) - taken} refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
