#!/usr/bin/env python3
"""What a running tapeline answers has the shape that its /openapi.json promises.

    openapi_test.py TAPELINE

Prints a line an address and `N passed, N failed`.
"""
import json
import pathlib
import re
import sys
import tempfile
import urllib.parse

from client import Tapeline, until

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name in ("integer", "number"):
        return not isinstance(value, bool) and isinstance(value, int if name == "integer" else (int, float))
    return isinstance(value, TYPES[name])


def problems(schemas, schema, value, at="answer"):
    """Where a value breaks its schema; only of the keywords that the description uses for answers."""
    if "$ref" in schema:
        return problems(schemas, schemas[schema["$ref"].rpartition("/")[2]], value, at)
    found = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_type(value, kind) for kind in kinds):
        return [f"{at} is {value!r:.60}, not {' or '.join(kinds)}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at} is {value!r:.60}, none of {schema['enum']}")
    if "anyOf" in schema:
        each = [problems(schemas, one, value, at) for one in schema["anyOf"]]
        found += min(each, key=len)
    for one in schema.get("allOf", []):
        found += problems(schemas, one, value, at)
    if schema.get("format") == "date-time" and isinstance(value, str):
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            found.append(f"{at} is {value!r}, no instant")
    if isinstance(value, (int, float)) and "minimum" in schema and value < schema["minimum"]:
        found.append(f"{at} is {value}, below {schema['minimum']}")
    if isinstance(value, dict):
        found += [f"{at} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, one in schema.get("properties", {}).items():
            if name in value:
                found += problems(schemas, one, value[name], f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            found += problems(schemas, schema["items"], one, f"{at}[{i}]")
    return found


def ask(tapeline, method, path, body=None, kind="application/json"):
    """Status, content type and body."""
    headers = {"Content-Type": kind, "Authorization": "Bearer " + tapeline.token()} if method == "POST" else {}
    status, said, text = tapeline.exchange(method, path, body, headers)
    return status, said.get_content_type() if said else None, text


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        tapeline = Tapeline(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        try:
            tapeline.up(feed="simulator")
            description = json.loads(ask(tapeline, "GET", "/openapi.json")[2])
            schemas = description["components"]["schemas"]
            dag = "/api/v1/dags/stock_data_ingestion"
            until("a run succeeded", lambda: b'"success"' in ask(tapeline, "GET", dag + "/runs")[2], 120, 0.2)
            runs = json.loads(ask(tapeline, "GET", dag + "/runs")[2])["runs"]
            run = urllib.parse.quote(next(r["run_id"] for r in runs if r["state"] == "success"), safe="")
            record = b'{"symbol":"AAPL"}\n'
            asked = [("GET", path, path, 200, None) for path in (
                "/-/ready", "/api/v1/status", "/api/v1/symbols", "/api/v1/quotes", "/api/v1/analytics",
                "/api/v1/topics", "/api/v1/dags")]
            asked += [
                ("GET", "/api/v1/bars", "/api/v1/bars?symbol=AAPL&interval=1m&limit=5", 200, None),
                ("GET", "/api/v1/bars", "/api/v1/bars?symbol=AAPL&interval=1d", 200, None),
                ("GET", "/api/v1/bars", "/api/v1/bars?symbol=AAPL", 400, None),
                ("GET", "/api/v1/analytics", "/api/v1/analytics?symbol=AAPL", 200, None),
                ("GET", "/api/v1/messages", "/api/v1/messages?symbol=AAPL&limit=3", 200, None),
                ("GET", "/api/v1/messages", "/api/v1/messages?symbol=AAPL&from=noon", 400, None),
                ("GET", "/api/v1/topics/{topic}/records", "/api/v1/topics/stock_prices/records?limit=3", 200, None),
                ("GET", "/api/v1/topics/{topic}/records", "/api/v1/topics/nope/records", 404, None),
                ("POST", "/api/v1/topics/{topic}/records", "/api/v1/topics/stock_prices/records", 200, record),
                ("GET", "/api/v1/dags/{dag}", dag, 200, None),
                ("GET", "/api/v1/dags/{dag}", "/api/v1/dags/nope", 404, None),
                ("GET", "/api/v1/dags/{dag}/runs", dag + "/runs", 200, None),
                ("GET", "/api/v1/dags/{dag}/runs", "/api/v1/dags/nope/runs", 404, None),
                ("GET", "/api/v1/dags/{dag}/runs/{run}/tasks", f"{dag}/runs/{run}/tasks", 200, None),
                ("GET", "/api/v1/dags/{dag}/runs/{run}/tasks", dag + "/runs/nope/tasks", 404, None),
                ("GET", "/api/v1/dags/{dag}/runs/{run}/tasks/{task}/log", f"{dag}/runs/{run}/tasks/load/log", 200, None),
                ("POST", "/api/v1/dags/{dag}/pause", dag + "/pause", 200, b""),
                ("POST", "/api/v1/dags/{dag}/unpause", dag + "/unpause", 200, b""),
                ("POST", "/api/v1/dags/{dag}/trigger", "/api/v1/dags/full_tests/trigger", 200, b""),
                ("POST", "/api/v1/dags/{dag}/trigger", "/api/v1/dags/nope/trigger", 404, b""),
            ]
            for method, route, path, expected, body in asked:
                kind = "application/x-ndjson" if "records" in route else "application/json"
                status, found, text = ask(tapeline, method, path, body, kind)
                answers = description["paths"][route][method.lower()]["responses"]
                wrong = [] if status == expected else [f"status {status}, expected {expected}: {text[:200]!r}"]
                content = answers.get(str(status), {}).get("content", {})
                if found not in content:
                    wrong.append(f"{status} with {found} is not described")
                else:
                    wrong += problems(schemas, content[found]["schema"], json.loads(text))
                passed, failed = passed + (not wrong), failed + bool(wrong)
                print(f"{'FAIL' if wrong else 'ok  '} {method} {path}")
                for line in wrong[:5]:
                    print("      ", line)
        finally:
            tapeline.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
