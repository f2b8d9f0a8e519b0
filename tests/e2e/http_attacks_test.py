#!/usr/bin/env python3
"""Attacks the HTTP server of the built program and wants a clear answer, or a closed connection, each time.

    http_attacks_test.py TAPELINE [--only NAME]

Request smuggling, traversal, other hosts and origins, odd methods and sizes, pipelining, half-open and
reset connections, slow headers, a thousand event streams, readers that stop reading, more connections
than there may be. After each part the program answers as before, and its memory has a bound. Prints a
line a check and `N passed, N failed`.
"""
import argparse
import hashlib
import json
import pathlib
import re
import resource
import select
import socket
import struct
import sys
import tempfile
import time

import faults_test
from faults_test import until

SMUGGLED = b"GET /-/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONNECTIONS_MAX = 4096
ANSWER = re.compile(rb"HTTP/1\.[01] (\d\d\d) ")  # a second one may follow a body at once


class Attack:
    def __init__(self, tapeline, checks):
        self.tapeline, self.checks = tapeline, checks
        self.token = (tapeline.data / "token").read_text().strip().encode()
        self.second = 0

    def connect(self, receive_buffer=0):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.tapeline.port))
        return connection

    def send(self, data, end=False):
        """All that comes back until the server closes; the request's own connection asks it to."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return read_all(connection)

    def request(self, method, path, headers=(), body=b"", host=b"localhost", more=b""):
        lines = [b"%s %s HTTP/1.1" % (method, path)]
        if host is not None:
            lines.append(b"Host: " + host)
        lines += [b"Connection: close", *headers]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        return self.send(b"\r\n".join(lines) + b"\r\n\r\n" + body + more)

    def wants(self, name, answer, *statuses):
        """One answer, of one of these statuses; 0 stands for a connection closed without a word."""
        found = [int(code) for code in ANSWER.findall(answer)] or [0]
        self.checks.check(name, len(found) == 1 and found[0] in statuses, f"{found} {answer[:200]!r}")
        self.checks.check(f"{name}: no other site may read it", b"access-control-" not in answer.lower())
        return answer

    def write_headers(self, *more):
        return [b"Authorization: Bearer " + self.token, *(more or [b"Content-Type: application/x-ndjson"])]

    def quotes(self, count, symbol="A"):
        lines = []
        for _ in range(count):
            self.second += 1
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_700_000_000 + self.second))
            lines.append(json.dumps({"symbol": symbol, "price": 100 + self.second / 100, "timestamp": at + "Z", "data_source": "desk"}).encode())
        status, body = self.tapeline.post(lines)
        return status == 200 and len(json.loads(body)["records"]) == count

    def still_well(self, part):
        self.checks.check(f"{part}: alive", self.tapeline.process.poll() is None)
        self.checks.check(f"{part}: answers", self.tapeline.get("/-/healthy")[0] == 200)
        self.checks.check(f"{part}: takes records", self.quotes(1))

    def memory(self):
        found = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.tapeline.process.pid}/status").read_text())
        return int(found[1]) * 1024

    def metric(self, name):
        found = re.search(rf"^{name} (\S+)$", self.tapeline.get("/metrics")[1].decode(), re.M)
        return float(found[1]) if found else None

    # The parts.

    def smuggling(self):
        post = b"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(self.write_headers()) + b"\r\n"
        for name, headers, body in [
            ("both lengths", b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("both lengths, the other way round", b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("two lengths", b"Content-Length: 1\r\nContent-Length: 60\r\n", b"x" + SMUGGLED),
            ("a list of lengths", b"Content-Length: 1, 60\r\n", b"x" + SMUGGLED),
            ("a signed length", b"Content-Length: +1\r\n", b"x" + SMUGGLED),
            ("a negative length", b"Content-Length: -1\r\n", b"x" + SMUGGLED),
            ("a hexadecimal length", b"Content-Length: 0x1\r\n", b"x" + SMUGGLED),
            ("a length past 64 bits", b"Content-Length: 18446744073709551617\r\n", b"x" + SMUGGLED),
            ("an encoding that is none", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("chunked, but not last", b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("a hidden encoding", b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("a blank before the colon", b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED),
            ("a chunk of no number", b"Transfer-Encoding: chunked\r\n", b"zz\r\nx\r\n0\r\n\r\n" + SMUGGLED),
            ("a chunk past 64 bits", b"Transfer-Encoding: chunked\r\n", b"10000000000000001\r\nx\r\n0\r\n\r\n" + SMUGGLED),
            ("a chunk longer than it says", b"Transfer-Encoding: chunked\r\n", b"1\r\nxyz\r\n0\r\n\r\n" + SMUGGLED),
        ]:
            self.wants(name, self.send(post + headers + b"\r\n" + body), 400, 413, 501, 0)
        for name, line in [("a folded header", b"X-A: 1\r\n 2"), ("a bare CR", b"X-A: 1\rGET / HTTP/1.1"), ("a zero byte", b"X-A: \0"),
                           ("a header without a colon", b"X-A"), ("a header without a name", b": 1")]:
            answer = self.send(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + line + b"\r\n\r\n")
            self.wants(name, answer, 400, *([200] if name == "a folded header" else []))
        self.wants("bare line feeds", self.send(b"GET /-/healthy HTTP/1.1\nHost: localhost\n\n", end=True), 400, 505, 0)
        self.wants("no HTTP at all", self.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, end=True), 400, 0)
        self.wants("another version", self.send(b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"), 505)
        # Above there is no record to read, or it stands in a body that was refused.

    def traversal(self):
        for path in ["/../token", "/../../etc/passwd", "/%2e%2e/token", "/%2e%2e%2ftoken", "/..%2ftoken", "/..%5ctoken", "/..\\token",
                     "/%252e%252e/token", "/%c0%ae%c0%ae/token", "/%e0%80%ae/token", "/....//token", "/./token", "//etc/passwd", "///", "/assets/../../token",
                     "/api/v1/../../token", "/%00", "/index.html%00.txt", "/%", "/%zz", "/%ff", "/a%0d%0ab", "/..;/token", "/file:///etc/passwd"]:
            answer = self.wants(f"path {path}", self.request(b"GET", path.encode()), 400, 404, 200)
            leaked = self.token in answer or b"root:" in answer
            self.checks.check(f"path {path}: no file", not leaked and (b" 200 " not in answer[:20] or b"<html" in answer.lower()), answer[:200])
        for target in [b"http://localhost/-/healthy", b"http://evil.example/-/healthy", b"*", b"evil.example:80", b"-/healthy", b"?", b"/\xff\xfe"]:
            self.wants(f"target {target!r}", self.request(b"GET", target), 400, 404)

    def hosts(self):
        for host in [b"evil.example", b"localhost.evil.example", b"evil.example#localhost", b"", b"localhost@evil.example", b"127.0.0.1.evil.example",
                     b"localhost:8787:1", b"[::1", b"0x7f.1"]:
            self.wants(f"host {host!r}", self.request(b"GET", b"/api/v1/status", host=host), 400, 421)
        self.wants("no host", self.request(b"GET", b"/api/v1/status", host=None), 400)
        self.wants("two hosts", self.request(b"GET", b"/api/v1/status", [b"Host: evil.example"]), 400)
        self.wants("our own name", self.request(b"GET", b"/api/v1/status", host=b"LOCALHOST:1"), 200)

    def origins(self):
        path, line = b"/api/v1/topics/stock_prices/records", b'{"symbol":"X"}\n'
        for origin in [b"http://evil.example", b"null", b"http://localhost.evil.example", b"file://", b"http://localhost:1", b""]:
            self.wants(f"origin {origin!r}", self.request(b"POST", path, self.write_headers(b"Content-Type: application/json", b"Origin: " + origin), line), 403)
        for site in [b"cross-site", b"same-site", b"", b"evil"]:
            self.wants(f"site {site!r}", self.request(b"POST", path, self.write_headers(b"Content-Type: application/json", b"Sec-Fetch-Site: " + site), line), 403)
        for kind in [None, b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"", b"json", b"application/jsonx",
                     b"text/plain; application/json"]:
            headers = self.write_headers(*([b"Content-Type: " + kind] if kind is not None else [b"X-None: 1"]))
            self.wants(f"type {kind!r}", self.request(b"POST", path, headers, line), 415)
        cookie = b"tapeline_" + hashlib.sha256(self.token).hexdigest()[:8].encode()
        self.wants("login by cookie: only the body is wrong", self.request(b"POST", path, [b"Content-Type: application/json", b"Cookie: " + cookie + b"=" + self.token], b""), 400)
        for header in [b"Authorization: Bearer", b"Authorization: Bearer ", b"Authorization: Basic " + self.token, b"Authorization: Bearer " + self.token[:-1],
                       b"Authorization: Bearer " + self.token + b"0", b"Cookie: " + cookie + b"=", b"Cookie: " + cookie + b"=%",
                       b"Cookie: x" + cookie + b"=" + self.token]:
            self.wants(f"login {header[:24]!r}", self.request(b"POST", path, [b"Content-Type: application/json", header], line), 401)
        self.wants("commands over TCP", self.request(b"POST", b"/api/v1/commands", self.write_headers(b"Content-Type: application/json"), b'{"argv":["status"]}'), 403)

    def methods(self):
        whole = self.request(b"GET", b"/openapi.json")
        head = self.wants("HEAD", self.request(b"HEAD", b"/openapi.json"), 200)
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        self.checks.check("HEAD: the length and no body", head.endswith(b"\r\n\r\n") and length == len(whole.split(b"\r\n\r\n", 1)[1]))
        self.wants("HEAD of a stream", self.request(b"HEAD", b"/api/v1/stream"), 200)
        for method in [b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"CONNECT", b"PROPFIND", b"get"]:
            self.wants(method.decode(), self.request(method, b"/api/v1/status", [b"Origin: http://evil.example"]), 400, 404, 405, 501)
        answer = self.wants("TRACE", self.request(b"TRACE", b"/api/v1/status", [b"X-Mine: 12345"]), 400, 405, 501)
        self.checks.check("TRACE: no echo", b"12345" not in answer)

    def sizes(self):
        self.wants("a long header", self.request(b"GET", b"/", [b"X-A: " + b"a" * 20_000]), 431)
        self.wants("many headers", self.request(b"GET", b"/", [b"X-%d: 1" % i for i in range(3000)]), 431)
        self.wants("a long target", self.request(b"GET", b"/" + b"a" * 20_000), 414, 431)
        self.wants("a long query value", self.request(b"GET", b"/api/v1/bars?symbol=" + b"A" * 9_000), 400)
        self.wants("an endless header", self.send(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 1_000_000), 431)
        self.wants("a body without end", self.request(b"POST", b"/api/v1/topics/stock_prices/records",
                                                      self.write_headers() + [b"Content-Length: 1000000000000000000"]), 413)
        self.wants("a body where none is taken", self.request(b"GET", b"/-/healthy", body=b"x" * 100_000), 200, 413)
        chunks = b"".join(b"%x\r\n%s\r\n" % (65_536, b"x" * 65_536) for _ in range(200))
        self.wants("chunks past the limit", self.request(b"POST", b"/api/v1/topics/stock_prices/records",
                                                         self.write_headers() + [b"Transfer-Encoding: chunked"], more=chunks), 413)
        self.wants("an upload that nobody admits", self.request(b"POST", b"/api/v1/login", [b"Content-Type: text/plain"], b"x" * 2_000_000), 413, 415, 403, 401)

    def texts(self):
        for path in [b"/api/v1/bars?symbol=%ff", b"/api/v1/bars?symbol=A%00", b"/api/v1/stream?symbols=%F0%9F%98", b"/api/v1/stream?interval_ms=-1"]:
            self.wants(f"query {path!r}", self.request(b"GET", path), 400)
        self.wants("a login of no UTF-8", self.request(b"POST", b"/api/v1/login", [b"Content-Type: application/json"], b'{"token":"\xff"}'), 400, 401)
        self.wants("a login nested deep", self.request(b"POST", b"/api/v1/login", [b"Content-Type: application/json"], b"[" * 50_000), 400, 401, 413)

    def pipelining(self):
        many = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200 + b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        self.checks.check("200 requests at once", ANSWER.findall(self.send(many)) == [b"200"] * 201)
        bad = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n" + SMUGGLED
        found = ANSWER.findall(self.send(bad))
        self.checks.check("nothing after what cannot be read", found == [b"200", b"400"], found)
        with self.connect() as connection:  # asks and never reads
            connection.settimeout(2)
            try:
                for _ in range(2000):
                    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
            except OSError:
                pass
            self.still_well("a client that asks and never reads")

    def broken(self):
        answer = self.send(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", end=True)
        self.wants("half-open after the request", answer, 200)
        self.wants("half-open in the middle of a header", self.send(b"GET / HTTP/1.1\r\nHo", end=True), 0, 400)
        self.wants("half-open in the middle of a body", self.send(
            b"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(self.write_headers())
            + b"\r\nContent-Length: 100\r\n\r\n{", end=True), 0, 400)
        for path in [b"/openapi.json", b"/api/v1/stream", b"/metrics"]:
            for _ in range(50):
                connection = self.connect()
                connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
        until("the streams are gone", lambda: self.metric("tapeline_serve_sse_readers") == 0)
        self.checks.check("resets leave no reader behind", self.metric("tapeline_serve_sse_readers") == 0)

    def slow(self):
        """Headers and bodies that trickle in: they are ended with 408, and others are served meanwhile."""
        slow = [self.connect() for _ in range(200)]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        bodies = [self.connect() for _ in range(100)]
        head = b"POST /api/v1/topics/stock_prices/records HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(self.write_headers()) + b"\r\nContent-Length: 100\r\n\r\n"
        for connection in bodies:
            connection.sendall(head)
        answered = {}

        def trickle():
            for connection in slow + bodies:
                try:
                    connection.send(b"x")
                except OSError:
                    pass
            ready, _, _ = select.select([c for c in slow if c not in answered], [], [], 0.5)
            for connection in ready:
                try:
                    answered[connection] = connection.recv(4096)
                except OSError:
                    answered[connection] = b""
            return len(answered) == len(slow)

        self.still_well("while headers and bodies trickle")
        until("slow headers are refused", trickle, 60)
        self.checks.check("slow headers are refused", all(b" 408 " in said[:20] for said in answered.values()), list(answered.values())[:1])
        for connection in slow + bodies:
            connection.close()

    def streams(self):
        clients = 1000
        before = self.memory()
        readers = [self.connect(4096) for _ in range(clients)]
        for reader in readers:
            reader.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until("a thousand streams are open", lambda: self.metric("tapeline_serve_sse_readers") == clients)
        self.checks.check("the metrics count them", self.metric("tapeline_serve_sse_readers") == clients)
        idle = (self.memory() - before) / clients
        print(f"     an idle stream takes {idle / 1024:.1f} KiB")
        self.checks.check("an idle stream takes at most 48 KiB", idle <= 48 << 10, idle)
        # Nobody of the thousand reads from here on; a reader that does gets the newest.
        with self.connect() as good:
            good.sendall(b"GET /api/v1/stream?symbols=LAST HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(60):
                self.checks.check("records are taken all the while", self.quotes(500)) if _ % 20 == 0 else self.quotes(500)
            self.quotes(1, "LAST")
            seen = b""
            deadline = time.monotonic() + 60
            while b'"symbol":"LAST"' not in seen and time.monotonic() < deadline:
                seen += good.recv(65_536)
            self.checks.check("a reader beside them gets its value", b'"symbol":"LAST"' in seen)
        stalled = (self.memory() - before) / clients
        print(f"     a stalled one, 30,000 values later, {stalled / 1024:.1f} KiB")
        self.checks.check("a stalled stream takes at most 96 KiB", stalled <= 96 << 10, stalled)
        # What a stalled reader finds when it reads again ends with the newest value of its symbol.
        newest = 100 + (self.second - 1) / 100
        seen, deadline = b"", time.monotonic() + 60
        while f'"price":{newest:g}'.encode() not in seen and time.monotonic() < deadline:
            seen += readers[0].recv(65_536)
        self.checks.check("who reads again finds the newest", f'"price":{newest:g}'.encode() in seen, seen[-300:])
        values = seen.count(b"event: quote")
        self.checks.check("and few of those before", values < 2000, values)
        for reader in readers:
            reader.close()
        until("they are gone", lambda: self.metric("tapeline_serve_sse_readers") == 0)

    def too_many(self):
        held = []
        refused = 0
        try:
            for _ in range(CONNECTIONS_MAX + 64):
                held.append(self.connect())
            for connection in held[CONNECTIONS_MAX:]:
                refused += b" 503 " in connection.recv(4096)[:20]
        finally:
            for connection in held:
                connection.close()
        self.checks.check("connections past the limit are told so", refused == 64, refused)
        until("there is room again", lambda: self.tapeline.get("/-/healthy")[0] == 200)


def read_all(connection):
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except OSError:
        pass
    return received


PARTS = ["smuggling", "traversal", "hosts", "origins", "methods", "sizes", "texts", "pipelining", "broken", "slow", "streams", "too_many"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("--only", choices=PARTS)
    options = arguments.parse_args()
    # Sockets of this side; the program raises its own limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    checks = faults_test.Checks()
    with tempfile.TemporaryDirectory(prefix="tapeline-attacks-") as folder:
        tapeline = faults_test.Tapeline(options.tapeline.resolve(), pathlib.Path(folder))
        tapeline.up()
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10_000), hard))
        try:
            attack = Attack(tapeline, checks)
            for part in PARTS:
                if options.only in (None, part):
                    getattr(attack, part)()
                    attack.still_well(part)
            if tapeline.process.poll() is None:
                tapeline.settle()
        finally:
            stopped = tapeline.stop()
        checks.check("it ends as it should", stopped == 0, stopped)
        audit = tapeline.call("audit")
        checks.check("the audit passes", audit.returncode == 0, audit.stdout)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
