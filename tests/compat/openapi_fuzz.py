#!/usr/bin/env python3
"""Schemathesis makes requests from /openapi.json, bodies of records among them, and judges the answers.

    openapi_fuzz.py TAPELINE SCHEMATHESIS [--examples N] [--seed N]

Every route is asked but the event stream, whose answer has no end. No answer may be a 5xx (503 apart, which the description promises), of another form than described, or
accept what it should refuse. Afterwards `tapeline audit` must pass. Exit status 0 only if all is well.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from client import Tapeline, until

HERE = pathlib.Path(__file__).resolve().parent

# A query of a thousand symbols can be longer than a request header may be: 431 refuses it, too.
SETTINGS = """[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431]
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("schemathesis", type=pathlib.Path)
    arguments.add_argument("--examples", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=7)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="tapeline-openapi-") as folder:
        tapeline = Tapeline(options.tapeline.resolve(), pathlib.Path(folder))
        (pathlib.Path(folder) / "schemathesis.toml").write_text(SETTINGS)
        tapeline.up()
        try:
            token = tapeline.token()
            # Something to be found by each route: a symbol with quotes, and a run by name (openapi_hooks.py).
            tapeline.post([json.dumps({"symbol": "AAPL", "price": 200 + n / 8, "timestamp": f"2025-01-03T15:{n % 60:02}:00Z", "data_source": "mine"}).encode()
                           for n in range(60)])
            begun = tapeline.call("dag", "trigger", "stock_data_ingestion", "--run-id", "fuzzed", "--wait")
            if begun.returncode:
                raise RuntimeError(begun.stderr)
            fuzzed = subprocess.run(
                [options.schemathesis, "run", f"http://127.0.0.1:{tapeline.port}/openapi.json", "-H", f"Authorization: Bearer {token}",
                 "--exclude-path-regex", "stream", "--exclude-checks", "unsupported_method,ignored_auth,positive_data_acceptance",
                 "--max-examples", str(options.examples), "--seed", str(options.seed), "--request-timeout", "30", "--no-color"],
                cwd=folder, env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(HERE)}).returncode
            alive = tapeline.process.poll() is None
            tapeline.call("dag", "unpause", "stock_data_ingestion")
            until("all is loaded", lambda: tapeline.status().get("lag") == 0, 120)
            records = tapeline.rows("select sum(consumed)::int as n from raw_stocks.loads")
        finally:
            stopped = tapeline.stop()
        audit = tapeline.call("audit")
    print(f"{records} records came from it\n{audit.stdout.strip()}")
    good = records and records[0]["n"] and fuzzed == 0 and alive and stopped == 0 and audit.returncode == 0
    print(f"{int(good)} passed, {int(not good)} failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
