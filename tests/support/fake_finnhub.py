#!/usr/bin/env python3
"""A Finnhub of ours on loopback, over real TLS and real WebSocket: the documented and the reported behaviour.

    fake_finnhub.py FOLDER [--port N] [--stream-port N] [--control-port N] [--key KEY] [--walk TRADES_A_SECOND]

A test makes a FakeFinnhub in its own process; the program is for trying by hand: it prints the settings
that lead tapeline to it, and takes `POST /play`, `/end` and `/trades` with JSON on the control port
(`GET /faults` lists them, `GET /record` says what came in and what went out). FOLDER gets the
certificates. What it plays is in finnhub_faults.py; facts and their sources in docs/finnhub.md.
Nothing here tells time but Clock, so that a fake can run at many times the speed of the day.
"""
import argparse
import asyncio
import collections
import http.server
import json
import pathlib
import random
import socket
import sys
import threading
import time
import typing
import urllib.parse

import certificates
import finnhub_faults
import websocket
from finnhub_market import Clock, Market, Trade

SYMBOLS_MAX = 50  # of the free plan
CALLS_A_MINUTE, CALLS_A_SECOND = 60, 30
PING_SECONDS = 60
PIECE = 1 << 18  # what is given to TLS at a time: with all of a million trades at once it is very slow


class Call:
    """One HTTP request."""

    def __init__(self, fake, writer, method, target, headers, where):
        self.fake, self.writer, self.method, self.headers, self.where = fake, writer, method, headers, where
        parts = urllib.parse.urlsplit(target)
        self.path, self.query = parts.path, dict(urllib.parse.parse_qsl(parts.query))
        self.key = self.query.get("token") or headers.get("x-finnhub-token")

    async def write(self, data):
        await asyncio.sleep(0)  # lets the loop see a client that went away: drain() alone does not
        if self.writer.is_closing():
            raise ConnectionResetError("the client went away")
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status, body, kind="application/json", headers=None):
        body = body.encode()
        lines = {"Content-Type": kind, "Content-Length": len(body), **(headers or {})}
        reason = http.HTTPStatus(status).phrase
        await self.write((f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode() + body)


class Stream:
    """One open stream: whose it is, what it subscribed to, what came in."""

    def __init__(self, fake, number, key, writer):
        self.fake, self.number, self.key, self.writer = fake, number, key, writer
        self.symbols, self.over_limit, self.messages, self.pongs, self.last_pong = {}, set(), [], 0, b""
        self.opened_at, self.ended, self.silent, self.leaving, self.frames = fake.clock.now(), None, None, False, 0
        self.closing, self.writing = asyncio.Event(), asyncio.Lock()

    async def write(self, data, pause=None):
        """A frame, which nothing interrupts; with a pause it goes a byte at a time."""
        if self.ended or self.silent:
            return False
        size = 1 if pause else PIECE
        try:
            async with self.writing:
                for at in range(0, len(data), size):
                    if self.writer.is_closing():
                        raise ConnectionResetError("the client went away")
                    self.writer.write(data[at:at + size])
                    await self.writer.drain()
                    await asyncio.sleep(pause or 0)
        except (ConnectionError, RuntimeError) as why:  # asyncio says the latter of a half-closed TLS
            self.end(f"lost: {why}")
            return False
        self.frames += 1
        return True

    async def say(self, **message):
        if self.fake.playing("mute"):
            return False
        return await self.write(websocket.frame(websocket.TEXT, json.dumps(message).encode()))

    async def wait_closing(self, seconds_max):
        try:
            await asyncio.wait_for(self.closing.wait(), seconds_max)
        except asyncio.TimeoutError:
            pass

    def end(self, why):
        if not self.ended:
            self.ended = why
            self.closing.set()
            self.writer.close()

    async def take(self, text):
        """A message of the client."""
        said = json.loads(text)
        self.messages.append(said)
        if self.fake.playing("deaf"):
            return
        symbol = said.get("symbol")
        if said.get("type") == "subscribe":
            if symbol in self.fake.invalid:
                await self.say(msg=f"Invalid symbol {symbol}", type="error")
            elif symbol not in self.symbols and len(self.symbols) >= self.fake.symbols_max:
                self.over_limit.add(symbol)
                await self.say(msg="Subscribing to too many symbols", type="error")
            else:
                self.symbols[symbol] = self.fake.clock.now()
        elif said.get("type") == "unsubscribe":
            self.symbols.pop(symbol, None)
            self.over_limit.discard(symbol)

    async def read(self, reader):
        """Until the client or a fault ends it."""
        try:
            while not self.ended:
                final, opcode, payload = await websocket.read(reader)
                if opcode == websocket.TEXT and final:
                    await self.take(payload.decode())
                elif opcode == websocket.PING and not (self.fake.playing("no-pong") or self.fake.playing("mute")):
                    await self.write(websocket.frame(websocket.PONG, payload))
                elif opcode == websocket.PONG:
                    self.pongs += 1
                    self.last_pong = payload
                elif opcode == websocket.CLOSE:
                    self.closing.set()
                    await self.write(websocket.frame(websocket.CLOSE, payload[:2]))
                    self.end("closed by the client with " + str(int.from_bytes(payload[:2], "big") if payload else None))
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as why:
            self.end(f"ended by the client: {type(why).__name__}")
        except ValueError as why:
            self.fake.broken.append(f"stream {self.number}: {why}")
            self.end(f"the client broke the protocol: {why}")

    async def ping(self):
        while not self.ended:
            await asyncio.sleep(self.fake.clock.real(self.fake.ping_seconds))
            if not self.fake.playing("mute") and not self.fake.playing("no-pings"):
                await self.say(type="ping")
                await self.write(websocket.frame(websocket.PING, b"ping"))


class Play(typing.NamedTuple):
    name: str
    symbol: str | None
    times: list  # how many are left, in a list of one; None: no end
    how: dict


class FakeFinnhub:
    """REST and stream on two ports, in a thread of its own. What it saw and did stands in its lists.

    requests   Call of each REST request and handshake, in order
    streams    Stream of each accepted handshake
    sent       (stream number, Trade) of each trade that went out, repeats included
    dropped    (reason, Trade) of each that did not
    broken     where a client broke a protocol
    """

    def __init__(self, folder, keys=("fake-key",), clock=None):
        self.certificates = certificates.Certificates(pathlib.Path(folder) / "certificates")
        self.keys, self.clock, self.market, self.invalid = set(keys), clock or Clock(), Market(), set()
        self.symbols_max, self.ping_seconds, self.limited = SYMBOLS_MAX, PING_SECONDS, True
        self.requests, self.streams, self.sent, self.dropped, self.broken = [], [], [], [], []
        self.plays, self.counts, self.times = [], collections.Counter(), collections.defaultdict(collections.deque)
        self.loop, self.tasks, self.callers = asyncio.new_event_loop(), set(), set()

    # --- from the test's thread ---

    def start(self, rest_port=0, stream_port=0):
        self.stopped = asyncio.Event()
        listeners = [socket.create_server(("127.0.0.1", port), backlog=128) for port in (rest_port, stream_port)]
        self.rest_port, self.stream_port = (listener.getsockname()[1] for listener in listeners)
        self.thread = threading.Thread(target=self._run, args=(listeners,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def rest_url(self):
        return f"https://localhost:{self.rest_port}/api/v1"

    @property
    def stream_url(self):
        return f"wss://localhost:{self.stream_port}"

    @property
    def ca_file(self):
        return self.certificates.authority

    def run(self, coroutine, seconds_max=120):
        """Runs a coroutine of ours in the fake's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds_max)

    def play(self, fault, symbol=None, times=None, **how):
        """Starts a fault, for some symbol and some times only if wanted; one of `now` happens at once."""
        self.run(self.start_play(fault, symbol, times, **how))

    def end(self, fault=None):
        """Ends a fault, or all of them."""
        self.plays = [play for play in self.plays if fault not in (None, play.name)]

    def emit(self, *trades, forced=False):
        """One message of these trades; `forced` also of symbols that nobody subscribed to. How many went out."""
        return self.run(self.deliver(trades, forced))

    def open_streams(self):
        return [stream for stream in self.streams if not stream.ended and not stream.leaving]

    def subscribed(self):
        return {symbol for stream in self.open_streams() for symbol in stream.symbols}

    # --- faults ---

    async def start_play(self, fault, symbol=None, times=None, **how):
        known = finnhub_faults.FAULTS.get(fault)
        if known is None:
            raise ValueError(f"there is no fault '{fault}'; GET /faults lists them")
        if known.place == "now":
            for stream in self.open_streams():
                await known.act(stream, **how)
        else:
            self.plays.append(Play(fault, symbol, [times], how))
        if known.place == "connect":  # it shall be met: no call goes on over a connection that stands
            for writer in list(self.callers):
                writer.close()

    def playing(self, fault, symbol=None):
        return any(play.name == fault and play.symbol in (None, symbol) for play in self.plays)

    def taken(self, place, symbol=None):
        """The first fault of a place, as (act, how), one of its times used up; (None, {}) if none plays."""
        for play in self.plays:
            if finnhub_faults.FAULTS[play.name].place == place and play.symbol in (None, symbol):
                if play.times[0] is not None:
                    play.times[0] -= 1
                    if play.times[0] <= 0:
                        self.plays = [other for other in self.plays if other is not play]
                self.counts[play.name] += 1
                return finnhub_faults.FAULTS[play.name].act, play.how
        return None, {}

    # --- in the fake's thread ---

    def _run(self, listeners):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve(listeners))

    async def _serve(self, listeners):
        for listener, serve in zip(listeners, (self._rest, self._stream)):
            listener.setblocking(False)
            self._spawn(self._accept(listener, serve))
        await self.stopped.wait()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for listener in listeners:
            listener.close()

    def _spawn(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def until_stopped(self):
        await self.stopped.wait()

    async def _accept(self, listener, serve):
        while True:
            bare, _ = await self.loop.sock_accept(listener)
            self.counts["connections"] += 1
            self._spawn(self._meet(bare, serve))

    async def _meet(self, bare, serve):
        """TLS, then HTTP."""
        act, how = self.taken("connect")
        if callable(act):
            try:
                await act(self, bare, **how)
            finally:
                bare.close()
            return
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self.loop.connect_accepted_socket(lambda: protocol, bare, ssl=self.certificates.context(act or "good"),
                                                                   ssl_handshake_timeout=20)
        except OSError as why:
            self.counts[f"handshakes of TLS that failed: {type(why).__name__}"] += 1
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self.loop)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, RuntimeError):
            pass
        finally:
            writer.close()

    async def _request(self, reader, writer, where):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        method, target, _ = head[0].split(" ")
        call = Call(self, writer, method, target, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}, where)
        call.at, call.clock = time.monotonic(), self.clock.now()
        self.requests.append(call)
        return call

    async def _rest(self, reader, writer):
        self.callers.add(writer)
        try:
            await self._calls(reader, writer)
        finally:
            self.callers.discard(writer)

    async def _calls(self, reader, writer):
        while not writer.is_closing():
            call = await self._request(reader, writer, "rest")
            if call is None:
                return
            symbol = call.query.get("symbol")
            act, how = self.taken("rest", symbol)
            if act:
                await act(call, **how)
            elif not call.path.startswith("/api/v1/"):
                await call.answer(200, finnhub_faults.HTML, "text/html")
            elif call.key not in self.keys:
                await call.answer(401, '{"error":"Invalid API key"}')
            elif self._over_limit(call.key):
                await call.answer(429, finnhub_faults.LIMIT)
            else:
                await self._answer(call, call.path.removeprefix("/api/v1/"), symbol)
            if call.headers.get("connection", "").lower() == "close":
                return

    def _over_limit(self, key):
        """The documented limits, by the fake's clock."""
        now, seen = self.clock.now(), self.times[key]
        while seen and seen[0] <= now - 60:
            seen.popleft()
        over = self.limited and (len(seen) >= CALLS_A_MINUTE or sum(at > now - 1 for at in seen) >= CALLS_A_SECOND)
        seen.append(now)
        self.counts["calls over the limit"] += over
        return over

    async def _answer(self, call, what, symbol):
        ms = int(self.clock.now() * 1000)
        session = self.market.session(ms)
        if what == "quote" and symbol:
            await call.answer(200, self.market.quote(symbol))
        elif what == "stock/market-status":
            is_open = bool(session) and session[0] <= ms < session[1]
            name = None if not session else "regular" if is_open else "pre-market" if ms < session[0] else "post-market"
            await call.answer(200, json.dumps({"exchange": "US", "holiday": None, "isOpen": is_open, "session": name,
                                               "timezone": "America/New_York", "t": ms // 1000}))
        elif what == "stock/market-holiday":
            await call.answer(200, '{"data":[],"exchange":"US","timezone":"America/New_York"}')
        elif what == "stock/symbol":
            await call.answer(200, json.dumps([{"currency": "USD", "description": name, "displaySymbol": name, "figi": "", "mic": "XNYS", "symbol": name,
                                                "type": "Common Stock"} for name in sorted(self.market.days)]))
        else:
            await call.answer(403, '{"error":"You don\'t have access to this resource."}')

    async def _stream(self, reader, writer):
        call = await self._request(reader, writer, "stream")
        if call is None:
            return
        act, how = self.taken("handshake")
        if act:
            return await act(call, **how)
        said = call.headers
        if said.get("upgrade", "").lower() != "websocket" or said.get("sec-websocket-version") != "13" or "sec-websocket-key" not in said:
            self.broken.append(f"a handshake with {sorted(said)}")
            return await call.answer(400, "not a WebSocket handshake", "text/plain")
        if call.key not in self.keys:
            return await call.answer(401, '{"error":"Invalid API key"}')
        await call.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                         + websocket.accept(said["sec-websocket-key"]).encode() + b"\r\n\r\n")
        stream = Stream(self, len(self.streams), call.key, writer)
        others = [other for other in self.open_streams() if other.key == call.key]
        self.streams.append(stream)
        self._spawn(stream.ping())
        if others:  # one connection a key: a second one costs both
            self.counts["second connections"] += 1
            for both in (*others, stream):
                self._spawn(finnhub_faults.close(both, 1008, "one connection per key"))
        await stream.read(reader)

    async def deliver(self, trades, forced=False):
        reasons = [[self._why_not(stream, trade, forced) for trade in trades] for stream in self.open_streams()]
        for stream, why in zip(self.open_streams(), reasons):
            kept = [trade for trade, reason in zip(trades, why) if reason is None]
            if kept:
                act, how = self.taken("frames")
                for part in act(kept, **how) if act else finnhub_faults.whole(kept):
                    await stream.write(part, how.get("pause"))
                self.sent += [(stream.number, trade) for trade in kept]
        out = 0
        for trade, *why in zip(trades, *reasons):
            self.market.see(trade)
            if why and not all(why):
                out += 1
            else:
                self.dropped.append((why[0] if why else "no stream", trade))
        return out

    def _why_not(self, stream, trade, forced):
        """Why a stream does not get a trade; none if it does."""
        if stream.ended or stream.silent:
            return "ended"
        for fault in ("mute", "ping-only", "drop-trades", "mute-symbol"):
            if self.playing(fault, trade.symbol):
                return fault
        if trade.symbol not in stream.symbols and not forced:
            return "over the limit" if trade.symbol in stream.over_limit else "not subscribed"
        return None


# --- by hand ---------------------------------------------------------------------------------------------


class Control(http.server.BaseHTTPRequestHandler):
    fake = None

    def log_message(self, *_):
        pass

    def _say(self, value, status=200):
        body = json.dumps(value, indent=1).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/faults":
            return self._say({name: f"{fault.place}: {fault.does}" for name, fault in finnhub_faults.FAULTS.items()})
        fake = self.fake
        self._say({"requests": len(fake.requests), "streams": [{"symbols": sorted(stream.symbols), "ended": stream.ended} for stream in fake.streams],
                   "sent": len(fake.sent), "dropped": dict(collections.Counter(reason for reason, _ in fake.dropped)),
                   "playing": [play.name for play in fake.plays], "counts": dict(fake.counts), "broken": fake.broken})

    def do_POST(self):
        try:
            said = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            if self.path == "/play":
                self.fake.play(said.pop("name"), **said)
            elif self.path == "/end":
                self.fake.end(said.get("name"))
            elif self.path == "/trades":
                return self._say({"sent": self.fake.emit(*(Trade(**trade) for trade in said))})
            self._say({"playing": [play.name for play in self.fake.plays]})
        except (KeyError, TypeError, ValueError) as why:
            self._say({"error": str(why)}, 400)


def walk(fake, rate):
    """Made-up trades of whatever is subscribed to."""
    rng, prices = random.Random(1), collections.defaultdict(lambda: 100.0)
    while True:
        time.sleep(rng.expovariate(rate))
        symbols = sorted(fake.subscribed())
        if symbols:
            symbol = rng.choice(symbols)
            prices[symbol] *= rng.uniform(0.999, 1.001)
            fake.emit(Trade(symbol, f"{prices[symbol]:.2f}", int(fake.clock.now() * 1000), str(rng.randrange(1, 500))))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    for name in ("--port", "--stream-port", "--control-port"):
        arguments.add_argument(name, type=int, default=0)
    arguments.add_argument("--key", default="fake-key")
    arguments.add_argument("--walk", type=float, default=0, metavar="TRADES_A_SECOND")
    options = arguments.parse_args()
    with FakeFinnhub(options.folder, {options.key}).start(options.port, options.stream_port) as fake:
        Control.fake = fake
        control = http.server.ThreadingHTTPServer(("127.0.0.1", options.control_port), Control)
        print(f"export FINNHUB_API_KEY={options.key} TAPELINE_FINNHUB_REST_URL={fake.rest_url} TAPELINE_FINNHUB_STREAM_URL={fake.stream_url} "
              f"TAPELINE_FINNHUB_CA_FILE={fake.ca_file}\n# control: http://127.0.0.1:{control.server_address[1]}", flush=True)
        if options.walk:
            threading.Thread(target=walk, args=(fake, options.walk), daemon=True).start()
        try:
            control.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    sys.exit(main())
