#!/usr/bin/env python3
"""Runs the case files beside this script under a real dbt and says where it differs.

    oracle.py DBT [case ...]        DBT: the dbt binary; its Python has dbt-duckdb

Ends with `N passed, N failed`, a case each. dbt is imported once and forked for each command, a
case a core, since importing it costs more than the command. Checked as by our own runner (src/transform/cases_test.cc): exit codes, printed lines, rows.
A line that our runner alone can print is not in a case file, so nothing is left out, but for
`lacks` after quiet and what a case marks with "# ours: VERB": that step is skipped.
"""

import contextlib
import multiprocessing
import os
import pathlib
import re
import shlex
import sys
import tempfile
import traceback

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


def forked(folder, work):
    """What `work` prints and returns (its exit code), in a process of its own that starts in `folder`."""
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.chdir(folder)
                os.dup2(printed.fileno(), 1)
                os.dup2(printed.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", 1)
                code = work()
            except BaseException:
                traceback.print_exc()
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return code, printed.read()


def run_dbt(words):
    """As the script `dbt` does: click exits."""
    from dbt.cli.main import cli

    os.environ.update(DO_NOT_TRACK="1", SHOP_ENV="from env", DBT_USE_COLORS="False")
    sys.argv = ["dbt", *words]
    try:
        cli(words, prog_name="dbt")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def query(folder, sql):
    """The rows of the last statement, null as None; RuntimeError with DuckDB's message."""
    import json

    import duckdb

    def ask():
        try:
            with duckdb.connect("shop.duckdb") as connection:
                found = connection.execute(sql)
                rows = found.fetchall() if found.description else []
        except duckdb.Error as error:
            print(str(error).strip().splitlines()[-1])
            return 1
        print(json.dumps([[v if v is None or isinstance(v, bool) else str(v) for v in r] for r in rows]))
        return 0

    code, printed = forked(folder, ask)
    if code:
        raise RuntimeError(printed.strip())
    return json.loads(printed)


def cell(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def run_case(path):
    problems = []
    steps, ours = read_case(path)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
        (root / "profiles.yml").write_text(PROFILES)
        (root / "models").mkdir()
        printed, code = [], 0
        for verb, rest, lines in steps:
            if f"{verb} {rest}".strip() in ours:
                continue
            if verb == "file":
                target = root / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("".join(line + "\n" for line in lines))
            elif verb == "sql":
                query(folder, rest + "\n" + "\n".join(lines))
            elif verb == "run":
                words = shlex.split(rest)[1:]
                code, text = forked(folder, lambda: run_dbt(words))
                printed = [normalised(line) for line in text.splitlines()]
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
                    got = [" | ".join(cell(v) for v in row) for row in query(folder, rest)]
                except RuntimeError as error:
                    got = [str(error)]
                if got != [line.strip() for line in lines]:
                    problems.append(f"rows {rest}\n      {got}\n      the case says {[l.strip() for l in lines]}")
    return problems


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        import dbt.adapters.duckdb  # noqa: F401
        import dbt.cli.main  # noqa: F401
        from dbt.version import installed
    except ImportError:
        python = pathlib.Path(sys.argv[1]).absolute().parent / "python"
        if python == pathlib.Path(sys.executable):
            raise
        os.execv(python, [str(python), *sys.argv])
    here = pathlib.Path(__file__).parent
    cases = [here / (name + ".case") for name in sys.argv[2:]] or sorted(here.glob("*.case"))
    bad = 0
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for path, problems in zip(cases, pool.imap(run_case, cases)):
            bad += bool(problems)
            print(f"{'DIFFERS' if problems else 'same   '} {path.stem}", flush=True)
            for problem in problems:
                print("    " + problem)
    print(f"under dbt-core {installed.to_version_string(skip_matcher=True)}")
    print(f"{len(cases) - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
