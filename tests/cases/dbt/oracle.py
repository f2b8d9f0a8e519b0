#!/usr/bin/env python3
"""Runs the case files beside this script under a real dbt and says where it differs.

    oracle.py DBT [case ...]        DBT: the dbt binary, with dbt-duckdb beside it

Checked as by our own runner (src/transform/cases_test.cc): exit codes, printed lines, rows.
A line that our runner alone can print is not in a case file, so nothing is left out, but for
`lacks` after quiet and what a case marks with "# ours: VERB": that step is skipped.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PROFILES = """\
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, schema: main, threads: 1}
    prod: {type: duckdb, path: shop.duckdb, schema: prod, threads: 1}
"""


def read_case(path):
    steps = []
    ours = []
    for line in path.read_text().splitlines():
        if line.startswith("# ours:"):
            ours.append(line[7:].strip())
        if line.startswith("#"):
            continue
        if line.startswith("  "):
            steps[-1][2].append(line[2:])
        elif not line:
            if steps:
                steps[-1][2].append("")
        else:
            verb, _, rest = line.partition(" ")
            steps.append((verb, rest, []))
    for _, _, lines in steps:
        while lines and not lines[-1]:
            lines.pop()
    return steps, ours


def normalised(line):
    line = re.sub(r"\x1b\[\d*m", "", line)
    line = re.sub(r"^\d\d:\d\d:\d\d  ?", "", line)
    line = re.sub(r" in [\d.]+s\]", " in [TIME]]", line)
    line = re.sub(r" \.{2,} ", " .. ", line)
    return line.rstrip()


def query(python, folder, sql):
    """The rows of the last statement as texts, null as None."""
    code = (
        "import duckdb, json, sys\n"
        "c = duckdb.connect(sys.argv[1]).execute(sys.argv[2])\n"
        "rows = c.fetchall() if c.description else []\n"
        "print(json.dumps([[v if v is None or isinstance(v, bool) else str(v) for v in r] for r in rows]))"
    )
    done = subprocess.run([python, "-c", code, "shop.duckdb", sql], cwd=folder, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    import json

    return json.loads(done.stdout)


def cell(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def run_case(dbt, path):
    problems = []
    steps, ours = read_case(path)
    python = str(pathlib.Path(dbt).parent / "python")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
        (root / "profiles.yml").write_text(PROFILES)
        (root / "models").mkdir()
        env = dict(os.environ, DO_NOT_TRACK="1", SHOP_ENV="from env", DBT_USE_COLORS="False")
        printed, code = [], 0
        for verb, rest, lines in steps:
            if f"{verb} {rest}".strip() in ours:
                continue
            if verb == "file":
                target = root / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("".join(line + "\n" for line in lines))
            elif verb == "sql":
                query(python, folder, rest + "\n" + "\n".join(lines))
            elif verb == "run":
                words = shlex.split(rest)[1:]
                done = subprocess.run([dbt, *words], cwd=folder, env=env, text=True, capture_output=True)
                code = done.returncode
                printed = [normalised(line) for line in (done.stdout + done.stderr).splitlines()]
            elif verb == "exit" and code != int(rest):
                problems.append(f"exit {code}, the case says {rest}\n      " + "\n      ".join(printed[-12:]))
            elif verb == "says":
                at = 0
                for wanted in lines:
                    wanted = normalised(wanted.strip())
                    found = [i for i in range(at, len(printed)) if wanted in printed[i]]
                    if not found:
                        problems.append(f"not printed: {wanted}\n      " + "\n      ".join(printed))
                        break
                    at = found[0] + 1
            elif verb == "lacks":
                problems += [f"printed: {line}" for line in lines if any(line.strip() in p for p in printed)]
            elif verb == "rows":
                try:
                    got = [" | ".join(cell(v) for v in row) for row in query(python, folder, rest)]
                except RuntimeError as error:
                    got = [str(error)]
                if got != [line.strip() for line in lines]:
                    problems.append(f"rows {rest}\n      {got}\n      the case says {[l.strip() for l in lines]}")
    return problems


def main():
    dbt = sys.argv[1]
    here = pathlib.Path(__file__).parent
    cases = [here / (name + ".case") for name in sys.argv[2:]] or sorted(here.glob("*.case"))
    bad = 0
    for path in cases:
        problems = run_case(dbt, path)
        bad += bool(problems)
        print(f"{'DIFFERS' if problems else 'same   '} {path.stem}", flush=True)
        for problem in problems:
            print("    " + problem)
    print(f"{len(cases) - bad} of {len(cases)} are the same under dbt")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
