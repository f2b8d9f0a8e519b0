#!/usr/bin/env python3
"""Has the fake Finnhub play every misbehaviour against a running `tapeline up`, and holds docs/finnhub.md against what follows.

    finnhub_test.py TAPELINE [--only PART] [--long]

The tables of that page are what is expected: what is counted, what is shown, whether the connection
stays. Everything runs at 60 times the speed of the clock, within a Tuesday's session of 2013. Parts run side
by side, each with a fake and a data directory of its own; whatever they said and wrote is searched
for the key at the end. --long adds what takes longer: a million trades at once, and the hour that a refused symbol waits.
Prints a line a check and `N passed, N failed`.
"""
import argparse
import asyncio
import concurrent.futures
import datetime
import pathlib
import re
import signal
import socket
import ssl
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import finnhub_faults
import websocket
from client import Checks, until
from fake_finnhub import Clock, FakeFinnhub, Trade
from live_tapeline import KEY, LiveTapeline, traces

START, SPEED = 1381240800, 60  # 2013-10-08T14:00:00Z
CLOSE_BEFORE = 1381176000  # 2013-10-07T20:00:00Z
PREFIX = "tapeline_finnhub_"


def table():
    """The page's rows by name: (title of the section, {column: text})."""
    rows, section, columns = {}, "", []
    for line in (ROOT / "docs" / "finnhub.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if line.startswith("### "):
            section, columns = line[4:], []
        elif cells and not columns:
            columns = cells
        elif cells and columns[0] == "name":
            found = re.match(r"`([\w-]+)`", cells[0])
            if found:
                rows[found[1]] = section, dict(zip(columns, cells))
    return rows


ROWS = table()


def counted(row):
    """The metric that a row names, as (name, labels)."""
    found = re.search(r"`(\w+)(?:\{(\w+)=\"(\w+)\"\})?`", row.get("counted", ""))
    return found and (PREFIX + found[1], {found[2]: found[3]} if found[2] else {})


class Part:
    """One fake, one tapeline, and the checks of a part."""

    def __init__(self, checks, binary, folder, name, symbols=("AAPL", "IBM"), start=START, **settings):
        self.checks, self.name, self.folder = checks, name, folder
        folder.mkdir()
        self.fake = FakeFinnhub(folder, {KEY}, Clock(start, SPEED))
        self.fake.limited = False
        self.prices = 10_000  # cents; no two trades of a part have the same price
        settings = {"FETCH_INTERVAL": "15", "TAPELINE_FINNHUB_SPACING_MS": "0", "TAPELINE_FINNHUB_CALLS_PER_MINUTE": "1800",
                    "TAPELINE_FINNHUB_SILENCE_MS": "1800000", **settings}
        self.fake.start()
        self.tapeline = LiveTapeline(binary, folder / "tapeline", self.fake, symbols, speed=SPEED, **settings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tapeline.kill()
        self.fake.stop()

    def up(self, **settings):
        start = datetime.datetime.fromtimestamp(self.fake.clock.start, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.tapeline.up(TAPELINE_DEBUG_CLOCK=f"{start},{SPEED},{self.fake.clock.since:.6f}", **settings)

    def check(self, what, holds, said=""):
        self.checks.check(f"{self.name}: {what}", holds, said)

    def trade(self, symbol="AAPL", volume="100", **more):
        """A trade of now, at a price of its own."""
        self.prices += 1
        return Trade(symbol, more.pop("price", f"{self.prices / 100:.2f}"), more.pop("time", int(self.fake.clock.now() * 1000)), volume, **more)

    def arrives(self, trade, since=0, source=None, seconds=60):
        """Waits until a trade's price is in the topic; its message."""
        found = []

        def there():
            found[:] = [message for _, message in self.tapeline.records(since) if message["symbol"] == trade.symbol and f"{message['price']:.2f}" == trade.price
                        and source in (None, message["data_source"])]
            return found
        until(f"{trade} is appended", there, seconds)
        return found[0]

    def sent_arrives(self, since=0, **more):
        trade = self.trade(**more)
        self.fake.emit(trade)
        return self.arrives(trade, since)

    def rises(self, metric, base, by=1):
        name, labels = metric
        until(f"{name}{labels} rises", lambda: self.tapeline.metric(name, **labels) >= base + by, 60)

    def shown(self):
        """What the feed says of itself."""
        return str(self.tapeline.status().get("feed"))

    def story(self):
        """The newest requests and the metrics that moved, for a check that failed."""
        return ([(call.path, call.query.get("symbol"), round(call.clock - START)) for call in self.fake.requests[-6:]],
                round(self.fake.clock.now() - START), {labels: value for (name, labels), value in self.tapeline.metrics().items() if "calls_total" in name and value})

    def ends(self):
        """It stops when told; its data are sound; the fake found nothing to object to."""
        self.check("it stops", self.tapeline.stop() == 0, self.tapeline.last_words())
        self.tapeline.sound(self.checks, self.name)
        self.check("it never broke a protocol", not self.fake.broken, self.fake.broken)


# --- calls -------------------------------------------------------------------------------------------

REST_HOW = {"rest-old-t": {"t": CLOSE_BEFORE}, "rest-429-retry-after": {"retry_after": 90}}
ALL_WAIT = ("rest-429", "rest-429-retry-after", "rest-401")  # they say something of the key, not of the symbol


def call_fault(part, name, row, long):
    fake, tapeline = part.fake, part.tapeline
    metric, since = counted(row), tapeline.end_offset()
    base, asked = tapeline.metric(metric[0], **metric[1]), len(fake.requests)
    for_all = name in ALL_WAIT or name.startswith(("connect", "certificate"))
    fake.play(name, symbol=None if for_all else "AAPL", **REST_HOW.get(name, {}))
    moved = part.trade()
    fake.emit(moved)
    part.rises(metric, base)
    part.check(f"{name}: {metric[1]} is counted", True)
    words = re.findall(r"`(.+?)`", row["shown"])
    if words:
        until("it is shown", lambda: any(word in part.shown() for word in words) or not fake.plays, 30)
        shown = part.shown()
        part.check(f"{name}: it shows {words[0]}", words[0] in shown, shown)
    if not for_all:
        other = part.trade("IBM")
        fake.emit(other)
        part.arrives(other, since)
        part.check(f"{name}: another symbol is not delayed", True)
    found = [message for _, message in tapeline.records(since) if message["symbol"] == "AAPL"]
    part.check(f"{name}: nothing of it is appended", not found, found)
    fake.end(name)
    if name.startswith("rest-403") and not long:
        return
    fake.emit(moved := part.trade())
    part.arrives(moved, since, seconds=180)  # the longest wait is an hour, a minute of ours
    part.check(f"{name}: what comes afterwards is appended", True)
    return asked


def answers(checks, binary, folder, long):
    calls(checks, binary, folder, long, lambda does: does.startswith(("2", "3", "4", "5")))


def no_answers(checks, binary, folder, long):
    calls(checks, binary, folder, long, lambda does: not does.startswith(("2", "3", "4", "5")))


def calls(checks, binary, folder, long, chosen):
    names = [name for name, (section, row) in ROWS.items() if section.startswith("Calls") and not name.startswith("rest-403") and chosen(row["what Finnhub does"])]
    with Part(checks, binary, folder, "calls", TAPELINE_FINNHUB_STREAM="false") as part:
        part.fake.emit(part.trade(), part.trade("IBM"))
        part.up()
        until("the first quotes are appended", lambda: part.tapeline.end_offset() >= 2)
        for name in names:
            try:
                asked = call_fault(part, name, ROWS[name][1], long)
            except RuntimeError as why:
                part.check(name, False, f"{why}; {part.shown()}; {part.story()}")
                part.fake.end()
            if name == "rest-429-retry-after":
                waits = [after.clock - before.clock for before, after in zip(part.fake.requests[asked:], part.fake.requests[asked + 1:])]
                part.check(f"{name}: it waits as long as it is told", max(waits, default=0) >= 90, waits)
        part.check("no redirect is followed", not [call.path for call in part.fake.requests if call.path == "/blocked"])
        part.check("a huge answer is not read to its end", part.fake.counts["huge megabytes"] < 60, part.fake.counts["huge megabytes"])
        part.check("the key goes in a header, never in the address", all(call.query.get("token") is None and call.headers.get("x-finnhub-token") == KEY
                                                                        for call in part.fake.requests))
        part.ends()


def refused_symbols(checks, binary, folder, long):
    """403: the symbol waits for an hour, the others do not."""
    with Part(checks, binary, folder, "403", TAPELINE_FINNHUB_STREAM="false") as part:
        part.fake.emit(part.trade(), part.trade("IBM"))
        part.up()
        until("the first quotes are appended", lambda: part.tapeline.end_offset() >= 2)
        for name in ("rest-403", "rest-403-text") if long else ("rest-403",):
            call_fault(part, name, ROWS[name][1], long)
        part.ends()


def call_limits(checks, binary, folder, long):
    """The documented limits are kept with 50 symbols that all are due at once."""
    symbols = [f"S{number}" for number in range(50)]
    settings = {"FETCH_INTERVAL": "5", "TAPELINE_FINNHUB_CALLS_PER_MINUTE": "60", "TAPELINE_FINNHUB_SPACING_MS": "100"}
    with Part(checks, binary, folder, "limits", symbols, TAPELINE_FINNHUB_STREAM="false", **settings) as part:
        part.up()
        until("180 calls were made", lambda: len(part.fake.requests) >= 180)
        at = [call.clock for call in part.fake.requests]
        # Calls are spread by the clock of the caller; on their way they may meet.
        most = max(sum(first <= other < first + 60 for other in at) for first in at)
        part.check("at most 60 calls a minute, and a few that met on their way", most <= 66, most)
        asked = {call.query["symbol"] for call in part.fake.requests}
        part.check("each symbol has its turn", len(asked) == 50, len(asked))
        part.check("it stops", part.tapeline.stop() == 0)


# --- stream ------------------------------------------------------------------------------------------

def reopened(part, before):
    """Waits until a stream newer than number `before` has all symbols."""
    until("it is connected and subscribed again", lambda: any(stream.number >= before and set(part.tapeline.symbols) <= set(stream.symbols)
                                                              for stream in part.fake.open_streams()), 30)


def gap_since(part, cause, count):
    """Waits for one more healed gap of a cause than there were."""
    found = []

    def there():
        found[:] = [gap for gap in part.tapeline.gaps() if gap["cause"] == cause and gap["healed_at"]]
        return len(found) > count
    until(f"a gap {cause} is recorded and healed", there, 60)
    return found[-1]


def healed(part, cause):
    return sum(gap["cause"] == cause and bool(gap["healed_at"]) for gap in part.tapeline.gaps())


def loses_connection(part, name, act, metric, cause="disconnect"):
    """After `act`: counted, connected again, a gap, the next trade appended, none twice."""
    fake, tapeline = part.fake, part.tapeline
    part.sent_arrives()
    base, gaps, streams = tapeline.metric(metric[0], **metric[1]), healed(part, cause), len(fake.streams)
    act()
    part.rises(metric, base)
    reopened(part, streams)
    part.sent_arrives()
    part.sent_arrives(symbol="IBM")
    gap = gap_since(part, cause, gaps)
    part.check(f"{name}: counted, reconnects, a gap {cause}", gap["gap_start"] <= gap["gap_end"], gap)


def frames(checks, binary, folder, long):
    """What comes on an open stream."""
    with Part(checks, binary, folder, "stream") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        tapeline.until_subscribed()
        part.sent_arrives(), part.sent_arrives(symbol="IBM")
        for name, (section, row) in ROWS.items():
            known = finnhub_faults.FAULTS.get(name)
            if not section.startswith("On the open") or known is None or known.place not in ("now", "frames"):
                continue
            try:
                if known.place == "frames":
                    framed(part, name, row)
                elif name == "close":
                    for code in (1000, 1001, 1005, 1006, 1008, 1011, 1012, 4000):
                        loses_connection(part, f"close {code}", lambda: fake.play("close", code=code, reason=KEY), counted(row))
                elif "reconnects" in row["what follows"]:
                    loses_connection(part, name, lambda: fake.play(name), counted(row))
                else:
                    stays(part, name, row)
            except RuntimeError as why:
                part.check(name, False, f"{why}; {part.shown()}")
                fake.end()
                until("it is subscribed", lambda: set(tapeline.symbols) <= fake.subscribed(), 60)
        part.ends()


def stays(part, name, row):
    fake, tapeline, metric = part.fake, part.tapeline, counted(row)
    base, streams, pongs = tapeline.metric(metric[0], **metric[1]) if metric else 0, len(fake.streams), fake.open_streams()[0].pongs
    gaps = healed(part, "malformed") if "gap" in row["what follows"] else None
    fake.play(name)
    part.sent_arrives()
    if metric:
        part.rises(metric, base)
    if gaps is not None:
        gap_since(part, "malformed", gaps)
    if name == "protocol-ping":
        until("a pong came", lambda: fake.open_streams()[0].pongs > pongs)
    part.check(f"{name}: {metric[0].removeprefix(PREFIX) if metric else 'answered'}, and the connection stays", len(fake.streams) == streams)


# Of 100 and 300 shares of AAPL and 200 of IBM.
FRAMED = {"repeat-in-frame": (3, {"AAPL": 1200, "IBM": 600})}


def framed(part, name, row):
    fake, tapeline, metric, since = part.fake, part.tapeline, counted(row), part.tapeline.end_offset()
    base, streams = tapeline.metric(metric[0], **metric[1]), len(fake.streams)
    first, second, third = part.trade(), part.trade("IBM", "200"), part.trade(volume="300")
    third = third._replace(time=first.time + 7)
    fake.play(name, times=1, **({"pause": 0.001} if name == "drip-frames" else {}))
    fake.emit(first, second, third)
    for trade in (first, second, third):
        part.arrives(trade, since)
    part.sent_arrives()
    part.rises(metric, base)
    times, volumes = FRAMED.get(name, (1, {"AAPL": 400, "IBM": 200}))
    ours = {f"{trade.price}" for trade in (first, second, third)}
    found = {}
    for _, message in tapeline.records(since):
        if f"{message['price']:.2f}" in ours:
            found[message["symbol"]] = found.get(message["symbol"], 0) + message["volume"]
    part.check(f"{name}: its shares count {'once' if times == 1 else f'{times} times'}, on the same connection", found == volumes and len(fake.streams) == streams,
               (found, volumes))


def handshakes(checks, binary, folder, long):
    names = [name for name, (section, _) in ROWS.items() if section.startswith("Opening")]
    with Part(checks, binary, folder, "handshake") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        tapeline.until_subscribed()
        part.sent_arrives(), part.sent_arrives(symbol="IBM")
        for name in [*names, "certificate-expired", "connect-silent"]:
            row = ROWS[name][1] if name in names else {"counted": '`reconnects_total{cause="refused"}`', "shown": ""}
            try:
                metric = counted(row)
                base, streams, gaps = tapeline.metric(metric[0], **metric[1]), len(fake.streams), healed(part, "disconnect")
                lost = part.trade()
                fake.play(name)
                fake.play("close", code=1006)
                fake.emit(lost)
                part.rises(metric, base, 2)
                words = re.findall(r"`(.+?)`", row["shown"])
                shown = part.shown()
                part.check(f"{name}: counted at each try" + (f", shows {words[0]}" if words else ""), all(word in shown for word in words), shown)
                fake.end(name)
                reopened(part, streams)
                part.sent_arrives(), part.sent_arrives(symbol="IBM")
                gap = gap_since(part, "disconnect", gaps)
                part.check(f"{name}: connects afterwards, and the gap has what was lost", ms(gap["gap_start"]) <= lost.time <= ms(gap["gap_end"]), (gap, lost))
            except RuntimeError as why:
                part.check(name, False, f"{why}; {part.shown()}")
                fake.end()
                until("it is subscribed", lambda: set(tapeline.symbols) <= fake.subscribed(), 60)
        brief_connection(part)
        part.ends()


def brief_connection(part):
    """A connection that brings a trade and its own end at once heals the gap before it, and begins another."""
    fake, streams, gaps = part.fake, len(part.fake.streams), healed(part, "disconnect")
    fake.play("stream-brief", times=1, client=part.tapeline.process)
    fake.play("close", code=1006)
    reopened(part, streams)
    part.sent_arrives(), part.sent_arrives(symbol="IBM")
    gap_since(part, "disconnect", gaps)
    before_next = fake.streams[-1].opened_at * 1000 - 10
    found = [gap for gap in part.tapeline.gaps() if ms(gap["gap_start"]) <= before_next <= ms(gap["gap_end"])]
    part.check("stream-brief: what came after its end is in a gap", found, (before_next, part.tapeline.gaps()[-3:]))


def before_the_open(checks, binary, folder, long):
    """The stream is lost as the session begins, before anything trades in it: all was well until then."""
    with Part(checks, binary, folder, "before the open", start=START - 1890) as part:  # 09:28:30 in New York
        fake, tapeline = part.fake, part.tapeline
        fake.ping_seconds = 10
        part.up()
        tapeline.until_subscribed()
        early = part.trade()
        fake.emit(early)
        part.arrives(early)
        until("the session has begun", lambda: fake.clock.now() > START - 1790)
        gaps = healed(part, "disconnect")
        fake.play("close", code=1006)
        reopened(part, 1)
        part.sent_arrives()
        gap = gap_since(part, "disconnect", gaps)
        part.check("the gap begins at the last message, not at the last trade of before the open", ms(gap["gap_start"]) > early.time + 45_000, (gap, early))
        part.check("it stops", tapeline.stop() == 0)


def ms(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "T")).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000


def flow(part, rounds, symbols=("AAPL", "IBM")):
    """Trades one after another, about a second of the clock apart. They teach the feed how often something trades."""
    for _ in range(rounds):
        part.fake.emit(*(part.trade(symbol) for symbol in symbols))
        time.sleep(1.3 / SPEED)


def silences(checks, binary, folder, long):
    with Part(checks, binary, folder, "silence", TAPELINE_FINNHUB_MUTE_MS="90000") as part:
        fake, tapeline = part.fake, part.tapeline
        fake.ping_seconds = 10
        part.up()
        tapeline.until_subscribed()
        flow(part, 80)
        for name in ("mute", "ping-only"):
            try:
                metric, streams, gaps = counted(ROWS[name][1]), len(fake.streams), healed(part, "mute_socket")
                base = tapeline.metric(metric[0], **metric[1])
                fake.play(name)
                lost = [part.trade(), part.trade("IBM")]
                fake.emit(*lost)
                part.rises(metric, base)
                fake.end(name)
                reopened(part, streams)
                flow(part, 40)
                gap = gap_since(part, "mute_socket", gaps)
                part.check(f"{name}: found, reconnects, and the gap has what was lost", all(ms(gap["gap_start"]) <= trade.time <= ms(gap["gap_end"]) for trade in lost),
                           (gap, lost))
            except RuntimeError as why:
                part.check(name, False, f"{why}; {part.shown()}")
                fake.end()
                flow(part, 40)
        try:
            reopened(part, 0)
            stream, streams = fake.open_streams()[-1], len(fake.streams)
            metric, gaps, asked = counted(ROWS["mute-symbol"][1]), healed(part, "mute_symbol"), len(stream.messages)
            base = tapeline.metric(metric[0], **metric[1])
            fake.play("mute-symbol", symbol="AAPL")
            lost = [part.trade()]
            fake.emit(*lost)
            until("a mute symbol is found", lambda: (flow(part, 5), tapeline.metric(metric[0], **metric[1]) > base)[1], 60)
            until("it is asked for again", lambda: {"type": "subscribe", "symbol": "AAPL"} in stream.messages[asked:])
            fake.end()
            flow(part, 3)
            gap = gap_since(part, "mute_symbol", gaps)
            part.check("mute-symbol: found, asked for again on the same connection, and its gap has what was lost",
                       gap["symbol"] == "AAPL" and len(fake.streams) == streams and ms(gap["gap_start"]) <= lost[0].time <= ms(gap["gap_end"]), (gap, lost))
        except RuntimeError as why:
            part.check("mute-symbol", False, f"{why}; {part.shown()}")
            fake.end()
        quiet = tapeline.metric(PREFIX + "mute_total"), len(fake.streams)
        for _ in range(12):  # IBM trades on, and /quote says of AAPL what the stream said
            flow(part, 10, ("IBM",))
        part.check("a quiet symbol is left in peace", quiet == (tapeline.metric(PREFIX + "mute_total"), len(fake.streams)))
        held_up(part)
        part.ends()


def held_up(part):
    """The machine is busy elsewhere for longer than a silence may last, while messages come that take several reads each."""
    fake, tapeline = part.fake, part.tapeline
    flow(part, 3)
    before, gaps = (tapeline.metric(PREFIX + "mute_total"), len(fake.streams)), len(tapeline.gaps())
    tapeline.process.send_signal(signal.SIGSTOP)
    until_clock = fake.clock.now() + 180
    while fake.clock.now() < until_clock:
        fake.emit(*(part.trade(symbol) for symbol in ("AAPL", "IBM") * 200))
        time.sleep(0.1)
    tapeline.process.send_signal(signal.SIGCONT)
    part.sent_arrives(), part.sent_arrives(symbol="IBM")
    after = tapeline.metric(PREFIX + "mute_total"), len(fake.streams)
    part.check("who was held up finds what came meanwhile, and nothing mute", before == after and len(tapeline.gaps()) == gaps, (before, after, tapeline.gaps()[gaps:]))


def flooded(checks, binary, folder, long):
    """Messages without a pause and without a trade: the calls go on, and it stops when told."""
    with Part(checks, binary, folder, "flooded") as part:
        part.up()
        part.tapeline.until_subscribed()
        stream = part.fake.open_streams()[0]

        async def flood():
            while not stream.ended:
                await stream.write(websocket.frame(websocket.TEXT, b'{"type":"ping"}') * 2000)
        asyncio.run_coroutine_threadsafe(flood(), part.fake.loop)
        part.rises((PREFIX + "frames_total", {"type": "ping"}), 50_000)
        calls = len(part.fake.requests)
        until("the calls go on", lambda: len(part.fake.requests) > calls + 2, 30)
        part.check("the calls go on", len(part.fake.streams) == 1)
        part.ends()


def silence(checks, binary, folder, long):
    """No message at all, and nothing learned yet of how often it trades."""
    with Part(checks, binary, folder, "no message", TAPELINE_FINNHUB_SILENCE_MS="90000") as part:
        fake = part.fake
        fake.ping_seconds = 20
        part.up()
        part.tapeline.until_subscribed()
        flow(part, 3)
        gaps, streams = healed(part, "silent"), len(fake.streams)
        fake.play("mute")
        lost = part.trade()
        fake.emit(lost)
        part.rises((PREFIX + "reconnects_total", {"cause": "silent"}), 0)
        fake.end()
        reopened(part, streams)
        part.sent_arrives()
        gap = gap_since(part, "silent", gaps)
        part.check("mute: found without knowing how often it trades, and the gap has what was lost", ms(gap["gap_start"]) <= lost.time <= ms(gap["gap_end"]), (gap, lost))
        part.ends()


def odd_trades(checks, binary, folder, long):
    """Trades of all kinds in one message: each by itself is taken or counted, and harms no other."""
    with Part(checks, binary, folder, "trades") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        tapeline.until_subscribed()
        part.sent_arrives(), part.sent_arrives(symbol="IBM")
        good = {"conditions null": {"conditions": "null"}, "conditions absent": {"conditions": None}, "conditions empty": {"conditions": "[]"},
                "conditions of numbers": {"conditions": "[1,24]"}, "conditions of everything": {"conditions": '[null,{},[],"x",""]'},
                "conditions a text": {"conditions": '"1"'}, "volume as 1e2": {"volume": "1e2"}, "volume as 100.0": {"volume": "100.0"}, "volume 0": {"volume": "0"},
                "late by a minute": {"time": -60_000}, "in the pre-market": {"time": -3 * 3600_000}}
        bad = {"price 0": {"price": "0"}, "price below zero": {"price": "-5"}, "price null": {"price": "null"},
               "price a text": {"price": '"12,5"'}, "price a list": {"price": "[1]"}, "volume below zero": {"volume": "-1"}, "volume null": {"volume": "null"},
               "a day ahead": {"time": 86_400_000}, "in 1970": {"time": -1381240800000}}
        for name, fields in good.items():
            fields = dict(fields)
            since, trade = tapeline.end_offset(), part.trade(**{**fields, "time": int(fake.clock.now() * 1000) + fields.pop("time", 0)})
            fake.emit(trade)
            try:
                message = part.arrives(trade, since)
                part.check(f"{name}: appended", message["volume"] == int(float(trade.volume)) and message["data_source"] == "finnhub-ws", message)
            except RuntimeError as why:
                part.check(name, False, why)
        for name, fields in bad.items():
            fields = dict(fields)
            base, since = tapeline.metric(PREFIX + "trades_unreadable_total"), tapeline.end_offset()
            time_ms = int(fake.clock.now() * 1000) + fields.pop("time", 0)
            fake.emit(part.trade("IBM"), part.trade(**{**fields, "time": time_ms}), marker := part.trade("IBM"))
            try:
                part.rises((PREFIX + "trades_unreadable_total", {}), base)
                part.arrives(marker, since)
                found = [message for _, message in tapeline.records(since) if message["symbol"] == "AAPL" and message["data_source"] == "finnhub-ws"]
                part.check(f"{name}: counted, not appended; those beside it are", not found, found)
            except RuntimeError as why:
                part.check(name, False, why)
        for name, fields in {"price NaN": {"price": "NaN"}, "price 1e400": {"price": "1e400"}, "volume 1e400": {"volume": "1e400"}}.items():
            base, gaps = tapeline.metric(PREFIX + "frames_total", type="malformed"), healed(part, "malformed")
            lost = part.trade("IBM")
            fake.emit(lost, part.trade(**fields))
            part.rises((PREFIX + "frames_total", {"type": "malformed"}), base)
            part.sent_arrives(), part.sent_arrives(symbol="IBM")
            gap = gap_since(part, "malformed", gaps)
            part.check(f"{name}: the message is counted as malformed, what it held is in a gap", ms(gap["gap_start"]) <= lost.time <= ms(gap["gap_end"]), (gap, lost))
        since = tapeline.end_offset()
        fake.emit(part.trade("ZZZZ"), Trade("<script>", "5", int(fake.clock.now() * 1000)), forced=True)
        part.sent_arrives(since)
        others = {message["symbol"] for _, message in tapeline.records(since)} - {"AAPL", "IBM"}
        part.check("symbols that nobody follows are not appended", not others, others)
        since, twin = tapeline.end_offset(), part.trade()
        fake.emit(twin, twin)
        message = part.arrives(twin, since)
        part.check("two equal trades in one message are two", message["volume"] == 200, message)
        fake.emit(twin, twin)
        fake.emit(twin)
        marker = part.trade()
        fake.emit(marker)
        part.arrives(marker, since)
        total = sum(message["volume"] for _, message in tapeline.records(since) if f"{message['price']:.2f}" == twin.price)
        part.check("and stay two when they come again", total == 200, total)
        if long:
            base, at = tapeline.metric(PREFIX + "trades_total"), int(fake.clock.now() * 1000) - 1_000_000
            for first in range(0, 1_000_000, 50_000):
                fake.run(fake.deliver([Trade("AAPL", f"{100 + number % 977 / 100:.2f}", at + number, "1") for number in range(first, first + 50_000)]), 300)
            until("a million trades were taken", lambda: tapeline.metric(PREFIX + "trades_total") >= base + 1_000_000, 300)
            part.sent_arrives(symbol="IBM")
            tapeline.settle()
            volume = tapeline.rows(f"select sum(volume)::bigint as v from raw_stocks.stock_prices where symbol = 'AAPL' and timestamp >= make_timestamp({at * 1000})"
                                   f" and timestamp < make_timestamp({(at + 1_000_000) * 1000})")[0]["v"]
            part.check("a million trades at once are a million shares", volume >= 1_000_000, volume)
        part.ends()


# --- what the key and its limits are about -------------------------------------------------------------

def symbol_limit(checks, binary, folder, long):
    symbols = [f"S{number}" for number in range(65)]
    with Part(checks, binary, folder, "65 symbols", symbols, TAPELINE_FINNHUB_SYMBOLS_MAX="65") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        until("50 are subscribed to", lambda: len(fake.subscribed()) == 50)
        until("what was refused is known", lambda: tapeline.metric(PREFIX + "subscriptions_refused_total", reason="over_limit") >= 15)
        marker = part.trade("S0")
        fake.emit(*(part.trade(symbol) for symbol in symbols), marker)
        part.arrives(marker)
        by_stream = {message["symbol"] for _, message in tapeline.records() if message["data_source"] == "finnhub-ws"}
        part.check("50 come by the stream", by_stream == set(symbols[:50]), sorted(by_stream))
        until("the others come by calls", lambda: set(symbols[50:]) <= {message["symbol"] for _, message in tapeline.records() if message["data_source"] == "finnhub"}, 40)
        part.check("the others come by calls", True)
        part.check("and it is shown which", "over_limit" in tapeline.get("/api/v1/status")[1].decode() + tapeline.get("/api/v1/symbols")[1].decode()
                   + tapeline.call("symbols", "list").stdout)
        tapeline.call("symbols", "remove", "S0")
        until("the freed place is used", lambda: "S0" not in fake.subscribed() and len(fake.subscribed()) == 50)
        part.check("a place that is freed is used by the next", len(fake.subscribed() & set(symbols[50:])) == 1, fake.subscribed())
        part.ends()


def symbols_change(checks, binary, folder, long):
    with Part(checks, binary, folder, "symbols") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        tapeline.until_subscribed()
        done = tapeline.call("symbols", "add", "MSFT")
        part.check("symbols add", done.returncode == 0, done.stderr)
        tapeline.until_subscribed({"MSFT", "AAPL", "IBM"})
        part.sent_arrives(symbol="MSFT")
        done = tapeline.call("symbols", "remove", "IBM")
        until("it is unsubscribed from", lambda: "IBM" not in fake.subscribed())
        part.check("symbols remove", done.returncode == 0 and len(fake.streams) == 1, (done.stderr, [stream.ended for stream in fake.streams], part.shown()))
        listed = tapeline.call("symbols", "list").stdout
        part.check("symbols list", "MSFT" in listed and "AAPL" in listed and "IBM" not in listed, listed)
        part.check("it stops", tapeline.stop() == 0)
        part.up()
        tapeline.until_subscribed({"MSFT", "AAPL"})
        part.check("a restart keeps what was added and removed", "IBM" not in fake.subscribed(), fake.subscribed())
        part.ends()


def one_connection(checks, binary, folder, long):
    with Part(checks, binary, folder, "one connection") as part:
        fake, tapeline = part.fake, part.tapeline
        part.up()
        tapeline.until_subscribed()
        part.sent_arrives(), part.sent_arrives(symbol="IBM")
        second = LiveTapeline(binary, folder / "second", fake)
        second.up(**tapeline.settings)
        until("the second one says why it waits", lambda: "another tapeline" in str(second.status().get("feed")), 60)
        part.sent_arrives()
        part.check("a second tapeline with the key waits, and the first goes on", len(fake.streams) == 1 and fake.counts["second connections"] == 0)
        part.check("the second one stops", second.stop() == 0)
        part.check("the key's trace in the second's files", not traces(second.folder), traces(second.folder))
        # Somebody else opens a connection with the key: the vendor drops both.
        metric = (PREFIX + "reconnects_total", {"cause": "disconnect"})
        loses_connection(part, "somebody else connects with the key", lambda: stranger(fake), metric)
        tapeline.kill()
        lost = part.trade()
        fake.emit(lost)
        part.up()
        tapeline.until_subscribed()
        flow(part, 5)
        gap = gap_since(part, "restart", 0)
        part.check("kill -9: the gap has what was lost", ms(gap["gap_start"]) <= lost.time <= ms(gap["gap_end"]), (gap, lost))
        part.check("no second connection was ever opened by ours", fake.counts["second connections"] == 1, fake.counts)
        part.ends()


def words(checks, binary, folder, long):
    """What commands say of the settings, right and wrong ones."""
    with Part(checks, binary, folder, "words") as part:
        tapeline = part.tapeline
        part.up()
        tapeline.until_subscribed()
        for command in ("config show", "config show --origin", "config show --json", "doctor", "status", "status --json", "symbols list", "symbols list --json", "dag list"):
            tapeline.call(*command.split())
        for path in ("status", "symbols", "quotes", "topics", "dags"):
            tapeline.get(f"/api/v1/{path}")
        tapeline.get("/metrics"), tapeline.get("/openapi.json"), tapeline.get("/-/ready")
        part.check("it stops", tapeline.stop() == 0)
        for name, value in {"TAPELINE_FINNHUB_CA_FILE": str(folder / "none.pem"), "TAPELINE_FINNHUB_REST_URL": "finnhub.io", "TAPELINE_DEBUG_CLOCK": "noon",
                            "TAPELINE_FINNHUB_STREAM_URL": "http://localhost", "TAPELINE_FINNHUB_STREAM": "maybe", "FETCH_INTERVAL": "-1"}.items():
            done = tapeline.call("up", "--feed", "finnhub", "--listen", "127.0.0.1:0", environment={name: value}, timeout=20)
            part.check(f"{name} that is wrong is refused by name", done.returncode == 2 and "error: " in done.stderr, (done.returncode, done.stderr))


def stranger(fake):
    """A handshake of our own with the same key."""
    context = ssl.create_default_context(cafile=str(fake.ca_file))
    with socket.create_connection(("127.0.0.1", fake.stream_port), timeout=10) as bare, context.wrap_socket(bare, server_hostname="localhost") as wire:
        wire.sendall(f"GET /?token={urllib.parse.quote(KEY, safe='')} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        while wire.recv(4096):
            pass


PARTS = (answers, no_answers, refused_symbols, call_limits, frames, handshakes, before_the_open, silences, silence, flooded, odd_trades, symbol_limit, symbols_change, one_connection, words)


def page(checks):
    """Each fault that is played has its row, and each row is played."""
    known = {name for name, fault in finnhub_faults.FAULTS.items() if fault.place in ("rest", "handshake", "frames", "now") or name.startswith(("connect", "certificate"))}
    known |= {"mute", "ping-only", "mute-symbol"}
    known -= {"error-too-many", "stream-brief"}  # the part "65 symbols"; brief_connection
    checks.check("docs/finnhub.md tells all that the fake plays", known == set(ROWS), sorted(known ^ set(ROWS)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("--only", choices=[part.__name__ for part in PARTS])
    arguments.add_argument("--long", action="store_true")
    options = arguments.parse_args()
    checks = Checks()
    page(checks)
    with tempfile.TemporaryDirectory(prefix="tapeline-finnhub-") as folder:
        folder = pathlib.Path(folder)

        def play(part):
            began = time.monotonic()
            try:
                part(checks, options.tapeline.resolve(), folder / part.__name__, options.long)
            except Exception as why:  # whatever it is, the other parts go on
                checks.check(part.__name__, False, f"{type(why).__name__}: {why}")
            print(f"{part.__name__}: {time.monotonic() - began:.0f} s", flush=True)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(play, [part for part in PARTS if options.only in (None, part.__name__)]))
        found = traces(folder)
        checks.check("nothing that was said or written has the key", not found, found[:10])
        read = [path for path in folder.rglob("*") if path.is_file()]
        print(f"searched {len(read)} files, {sum(path.stat().st_size for path in read) >> 20} MB")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
