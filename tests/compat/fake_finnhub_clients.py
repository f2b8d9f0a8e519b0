#!/usr/bin/env python3
"""Clients that others wrote (websockets, httpx) meet the fake Finnhub: it speaks what it says it speaks.

    fake_finnhub_clients.py        under a Python that has both, see tools/check

Otherwise the fake would only prove that tapeline and it agree. Each fault is played to them, and each must
see it for what it is. Prints a line a check and `N passed, N failed`.
"""
import asyncio
import json
import pathlib
import ssl
import sys
import tempfile
import time

import httpx
import websockets

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "e2e")]
import finnhub_faults
from client import Checks
from fake_finnhub import FakeFinnhub, Trade

KEY = "fake-key"
# What a client is told: the status and the beginning of a body, or the name of what it raises.
REST = {"rest-429": 429, "rest-429-retry-after": 429, "rest-401": 401, "rest-403": 403, "rest-403-text": 403, "rest-500": 500, "rest-502": 502, "rest-echo": 500,
        "rest-redirect": 302, "rest-truncated": "RemoteProtocolError", "rest-drip": "TimeoutError", "rest-hang": "ReadTimeout", "rest-reset": "ReadError",
        "rest-no-http": "RemoteProtocolError", "rest-endless-headers": "RemoteProtocolError", "connect-reset": "ConnectError",
        "connect-silent": "ConnectTimeout", "connect-plain": "ConnectError", "certificate-expired": "has expired",
        "certificate-wrong-host": "Hostname mismatch", "certificate-self-signed": "self-signed", "certificate-another-authority": "local issuer"}
HANDSHAKE = {"stream-401": "401", "stream-429": "429", "stream-503": "503", "stream-html": "200", "stream-redirect": "isn't a valid URI",
             "stream-bad-accept": "Sec-WebSocket-Accept", "stream-hang": "timed out", "stream-reset": "valid HTTP response"}
BROKEN = {"invalid-utf8": "1007", "oversized-frame": "1009", "masked-frame": "incorrect masking", "reserved-bit": "reserved bits", "unknown-opcode": "invalid opcode",
          "lone-continuation": "unexpected continuation", "long-ping": "control frame too long", "close-1-byte": "close frame too short",
          "drop": "no close frame", "half-close": "no close frame"}


class Clients:
    def __init__(self, checks, fake):
        self.checks, self.fake = checks, fake
        self.context = ssl.create_default_context(cafile=str(fake.ca_file))

    async def play(self, *words, **how):
        await asyncio.to_thread(lambda: self.fake.play(*words, **how))

    async def quote(self, headers=None, **query):
        async with httpx.AsyncClient(verify=self.context, timeout=1) as client:
            return await asyncio.wait_for(client.get(self.fake.rest_url + "/quote", params={"symbol": "AAPL", **query}, headers=headers), 3)

    async def rest(self):
        check, key = self.checks.check, {"X-Finnhub-Token": KEY}
        self.fake.market.see(Trade("AAPL", "261.74", 1381240800_000))
        answer = await self.quote(headers=key)
        check("a quote", answer.json()["c"] == 261.74 and answer.json()["t"] == 1381240800, answer.text)
        check("the key may be in the query", (await self.quote(token=KEY)).json() == answer.json())
        check("another key is refused", (await self.quote(headers={"X-Finnhub-Token": "wrong"})).status_code == 401)
        for name, fault in finnhub_faults.FAULTS.items():
            if fault.place not in ("rest", "connect"):
                continue
            await self.play(name, **{"rest-old-t": {"t": 1}, "rest-huge": {"megabytes": 2}, "rest-drip": {"pause": 0.2}}.get(name, {}))
            try:
                answer = await self.quote(headers=key)
                seen = answer.status_code
            except (httpx.HTTPError, asyncio.TimeoutError) as why:
                seen = f"{type(why).__name__}: {why}"
            self.fake.end(name)
            wanted = REST.get(name, 200)
            check(name, seen == wanted or str(wanted) in str(seen), seen)

    async def open(self, *symbols):
        connection = await websockets.connect(f"{self.fake.stream_url}/?token={KEY}", ssl=self.context, max_size=100 << 20, open_timeout=1)
        for symbol in symbols:
            await connection.send(json.dumps({"type": "subscribe", "symbol": symbol}))
        known = lambda: set(symbols) <= {symbol for stream in self.fake.open_streams() for symbol in (*stream.symbols, *stream.over_limit)}
        while not known():
            await asyncio.sleep(0.01)
        return connection

    async def messages(self, connection, count, seconds=5):
        return [await asyncio.wait_for(connection.recv(), seconds) for _ in range(count)]

    async def emit(self, *trades):
        return await asyncio.to_thread(self.fake.emit, *trades)

    async def stream(self):
        check = self.checks.check
        for name, said in HANDSHAKE.items():
            await self.play(name, times=1)
            try:
                await self.open()
                seen = "open"
            except (websockets.WebSocketException, ValueError, asyncio.TimeoutError, OSError) as why:
                seen = f"{type(why).__name__}: {why}"
            self.fake.end()
            check(name, said in seen, seen)
        connection, now = await self.open("A", "B"), int(time.time() * 1000)
        first, second, third = Trade("A", "1", now, "100"), Trade("B", "2.50", now, "200", None), Trade("A", "3", now + 1, "1e2", "null")
        sent = await self.emit(first, second, Trade("C", "9", now))
        text, = await self.messages(connection, 1)
        check("trades, of what is subscribed to", sent == 2 and json.loads(text) == {"type": "trade", "data": [
            {"c": ["1"], "p": 1, "s": "A", "t": now, "v": 100}, {"p": 2.5, "s": "B", "t": now, "v": 200}]}, text)
        for name, fault in finnhub_faults.FAULTS.items():
            if fault.place == "frames":
                await self.play(name, times=1, **({"pause": 0.001} if name == "drip-frames" else {}))
                await self.emit(first, second, third)
                got = await self.messages(connection, {"repeat-frames": 3, "single-trades": 3}.get(name, 1))
                trades = [(trade["s"], trade["p"]) for message in got for trade in json.loads(message)["data"]]
                times = 3 if name.startswith("repeat") else 1
                check(name, sorted(trades) == sorted([("A", 1), ("A", 3), ("B", 2.5)] * times) and isinstance(got[0], bytes) == (name == "binary"), got)
        await asyncio.wait_for(await connection.ping(), 3)
        await self.play("mute")
        await self.emit(first)
        try:
            seen = await self.messages(connection, 1, 0.3)
        except asyncio.TimeoutError:
            seen = None
        self.fake.end()
        check("mute", seen is None, seen)
        await connection.close()
        for name, said in [*BROKEN.items(), *(("close", str(code)) for code in (1000, 1001, 1008, 1011, 1012, 4000)), ("close", "no close frame")]:
            connection = await self.open("A")
            await self.play(name, **({"code": int(said) if said.isdigit() else 1006} if name == "close" else {}))
            try:
                seen = await self.messages(connection, 1)
            except websockets.ConnectionClosed as why:
                seen = str(why)
            check(f"{name}: {said}", said in seen, seen)
            await connection.close()
        connection = await self.open(*(f"S{number}" for number in range(65)))
        errors = [json.loads(text) for text in await self.messages(connection, 15)]
        check("65 symbols: 15 errors without a name", errors == [{"msg": "Subscribing to too many symbols", "type": "error"}] * 15, errors[:2])
        check("65 symbols: 50 are delivered", await self.emit(*(Trade(f"S{number}", "1", now) for number in range(65))) == 50)
        second = await self.open()
        for which in (connection, second):
            try:
                await self.messages(which, 2)
                seen = "open"
            except websockets.ConnectionClosed as why:
                seen = str(why)
            check("a second connection drops both", "1008" in seen, seen)
        check("nobody broke a protocol", not [line for line in self.fake.broken if "closed" not in line], self.fake.broken)


async def meet(checks, fake):
    clients = Clients(checks, fake)
    await clients.rest()
    await clients.stream()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, FakeFinnhub(folder, {KEY}).start() as fake:
        fake.limited = False
        asyncio.run(meet(checks, fake))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
