#!/usr/bin/env python3
"""What shells, `man` and other programs take from the command line, with the real ones where they are.

    cli_test.py TAPELINE

The calendar as CSV is compared cell by cell with tests/data/calendar (17 years, made elsewhere); bash, zsh
and fish complete commands with the scripts that they are given; man renders docs/tapeline.1. A shell that
is not installed is skipped. Signals end a command well, and a second one ends it at once. Prints `N passed, N failed`; exit status 0 only if all passed.
"""
import csv
import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import client

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
checks = client.Checks()
check = checks.check


def output(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stdout}{done.stderr}"


def calendar(binary):
    with gzip.open(ROOT / "tests/data/calendar/nyse_sessions.csv.gz", "rt", newline="") as file:
        wanted = list(csv.DictReader(file))
    columns = ["date", "kind", "open_utc", "close_utc"]
    text = output(binary, "calendar", "--from", wanted[0]["date"], "--to", wanted[-1]["date"], "--format", "csv")
    got = list(csv.DictReader(text.splitlines()))
    check("calendar: the columns", got and list(got[0]) == columns, text[:200])
    different = [(a, b) for a, b in zip(wanted, got) if any(a[column] != b[column] for column in columns)]
    check(f"calendar: {len(wanted)} days", len(got) == len(wanted) and not different, different[:3])
    done = subprocess.run([binary, "calendar", "--from", "2026-02-30", "--to", "2026-03-01"], capture_output=True)
    check("calendar: a date that is none is refused", done.returncode == 2)


# Each asks a shell what it would offer after a line, by the shell's own means.
BASH = """source /dev/stdin <<< "$SCRIPT"; COMP_WORDS=($LINE "$CURRENT"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tapeline
printf '%s\\n' "${COMPREPLY[@]}" """
ZSH = """autoload -Uz compinit && compinit -u -d "$HOME/dump"; eval "$SCRIPT"
_describe() { print -rl -- ${choices%%:*} }; _files() { print FILES }
words=(${=LINE} "$CURRENT_WORD"); CURRENT=$#words; _tapeline"""


def complete(shell, script, line, current):
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, SCRIPT=script, LINE=line, CURRENT=current, CURRENT_WORD=current, HOME=home)
        if shell == "bash":
            text = output("bash", "--norc", "-c", BASH, env=env)
        elif shell == "zsh":
            del env["CURRENT"]
            text = output("zsh", "-f", "-c", ZSH, env=env)
        else:
            path = pathlib.Path(home) / "tapeline.fish"
            path.write_text(script)
            text = output("fish", "--no-config", "-c", f'source {path}; complete --do-complete "{line} {current}"', env=env)
    return [row.split("\t")[0] for row in text.splitlines()]


def shells(binary):
    for shell in ("bash", "zsh", "fish"):
        script = output(binary, "completion", shell)
        if not shutil.which(shell):
            print(f"skip {shell}: it is not installed")
            continue
        for line, current, wanted in (("tapeline", "", {"up", "import", "dag", "completion"}),
                                      ("tapeline dag", "", {"clear", "next", "backfill", "trigger"}),
                                      ("tapeline dag clear", "--", {"--task", "--failed", "--json", "--data-dir"}),
                                      ("tapeline up", "--", {"--feed", "--listen"})):
            offered = complete(shell, script, line, current)
            check(f"{shell}: `{line} {current}`", wanted <= set(offered), offered[:40])
            check(f"{shell}: … and nothing of others", "--speed" not in offered and "verify" not in offered, offered)
    done = subprocess.run([binary, "completion", "tcsh"], capture_output=True, text=True)
    check("another shell is refused", done.returncode == 2 and "bash, zsh or fish" in done.stderr)


def man():
    if not shutil.which("man"):
        print("skip man: it is not installed")
        return
    env = dict(os.environ, MANWIDTH="100", MANPAGER="cat", LC_ALL="C.UTF-8")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", ROOT / "docs/tapeline.1"],
                          capture_output=True, text=True, env=env)
    check("man: renders without a warning", done.returncode == 0 and not done.stderr, done.stderr[:500])
    check("man: has the commands", "tapeline dag backfill DAG" in done.stdout and "--max-active-runs N" in done.stdout)


def interrupts(binary):
    """The first signal is waited for by a thread and ends a command well; a second one ends the process at once."""
    with tempfile.TemporaryDirectory() as folder:
        tapeline = client.Tapeline(binary, pathlib.Path(folder))
        tapeline.up()
        tapeline.stop()

        def tail():
            process = subprocess.Popen([binary, "topic", "tail", "stock_prices", "--data-dir", tapeline.data], stderr=subprocess.PIPE, text=True)
            process.stderr.readline()  # which directory it is: the signals have their thread by then
            return process

        process = tail()
        caught = int(re.search(r"SigCgt:\s+(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1], 16)
        process.send_signal(signal.SIGINT)
        check("interrupts: Ctrl-C ends a command", process.wait(60) == 0, process.returncode)
        check("interrupts: no handler runs", not any(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM)), f"{caught:x}")
        process = tail()
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):  # both are there when it goes on
            process.send_signal(number)
        check("interrupts: a second signal ends the process at once", process.wait(60) == -signal.SIGTERM, process.returncode)
        for limit in ("10abc", "-5", " 3", ""):
            done = tapeline.call("sql", "-c", "select 1", "--limit", limit)
            check(f"sql: no --limit '{limit}'", done.returncode == 2 and f"'{limit}' is no --limit" in done.stderr, done.stderr)
        tapeline.call("topic", "produce", "stock_prices", input="\x1b[2Jno\tquote\n")
        done = tapeline.call("topic", "tail", "stock_prices", "--from", "beginning", "--no-follow")
        check("tail: no record moves the terminal's cursor", "[2Jno quote" in done.stdout and "\x1b" not in done.stdout, done.stdout)
        done = tapeline.call("sql", "-c", "select 1")
        check("interrupts: a command that nothing interrupts ends by itself", done.returncode == 0, done.stderr)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    interrupts(binary)
    calendar(binary)
    shells(binary)
    man()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
