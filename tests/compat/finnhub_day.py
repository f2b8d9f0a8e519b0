#!/usr/bin/env python3
"""Sends a day of real trades through the fake Finnhub's WebSocket, many times as fast, and holds the daily rows against golden.

    finnhub_day.py TAPELINE [--data DIR] [--day YYYYMMDD] [--only VARIANT...] [--speed N] [--slice] [--seed N] [--keep DIR]

Each variant has a fake and a data directory of its own; they run side by side.

    plain    nothing goes wrong
    repeats  frames come again; the connection ends in every way, RST with data under way among them; no trade is left out
    drops    what happens while the connection is away, the socket or a symbol mute, never comes
    split    a third of the trades has a frame of its own, so that milliseconds are split over frames

In the first three no millisecond of a symbol is split over frames. plain and repeats must give the golden rows
(rule `plain`) exactly; in drops each volume is short by exactly the dropped shares, each dropped print
lies in a row of raw_stocks.gaps, and the rest is equal where no dropped print set it; split must lose what the
repeat rule says, and how much that is is printed. --slice plays ten minutes around the open, and
computes the rows that golden would have. DIR has the form of shared/data: trades/ and golden/; without it
the test is skipped. Prints a line a check and `N passed, N failed`.
"""
import argparse
import asyncio
import collections
import concurrent.futures
import csv
import datetime
import decimal
import gzip
import itertools
import math
import pathlib
import random
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("support", "e2e", "oracle")]
import finnhub_faults
import quotes
import websocket
from client import Checks, until
from fake_finnhub import Clock, FakeFinnhub, Trade
from live_tapeline import KEY, LiveTapeline, traces

SYMBOLS = ("AIG", "BAC", "IBM", "SPY")
TICK_SECONDS = 0.04
FRAME_TRADES_MAX = 400
VARIANTS = ("plain", "repeats", "drops", "split")
CODES = (1000, 1001, 1005, 1006, 1008, 1011, 1012, 4000)


def data_folder(given):
    """Where the trades are: as told, in the repository, or beside the checkout; none if nowhere."""
    places = [given] if given else [ROOT / "tests" / "data", ROOT.parent / "shared" / "data"]
    return next((place for place in places if list((place / "trades").glob("*.csv.gz"))), None)


def at(day, clock):
    """Unix seconds of a time in New York."""
    return datetime.datetime.combine(day, datetime.time.fromisoformat(clock), quotes.NEW_YORK).timestamp()


def read_trades(data, day, begin, end):
    """All prints of begin <= t < end in the order of their time; those of one millisecond in the file's."""
    trades = []
    for symbol in SYMBOLS:
        with gzip.open(data / "trades" / f"{symbol}_{day:%Y%m%d}.csv.gz", "rt") as text:
            for row in csv.DictReader(text):
                ms = round(datetime.datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).timestamp() * 1000)
                if begin * 1000 <= ms < end * 1000:
                    trades.append(Trade(symbol, row["price"], ms, row["size"]))
    trades.sort(key=lambda trade: trade.time)
    return trades


def daily_rows(trades, session):
    """What golden says (data/README.md, rule plain), by symbol, of these trades alone."""
    rows = {}
    for symbol, prints in itertools.groupby(sorted(trades, key=lambda trade: trade.symbol), lambda trade: trade.symbol):
        prints = [trade for trade in prints if session[0] <= trade.time < session[1]]
        if not prints:
            continue
        prices = [decimal.Decimal(trade.price) for trade in prints]
        volume, points = sum(int(trade.volume) for trade in prints), len({trade.time for trade in prints})
        stamp = lambda ms: datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        rows[symbol] = {"daily_open": prices[0], "daily_high": max(prices), "daily_low": min(prices), "daily_close": prices[-1], "total_volume": volume,
                        "avg_volume": volume / points, "daily_change_pct": float((prices[-1] - prices[0]) / prices[0] * 100), "data_points_count": points,
                        "first_timestamp": stamp(prints[0].time), "last_timestamp": stamp(prints[-1].time)}
    return rows


def same(column, want, got):
    if column.endswith("_timestamp"):
        return str(want)[:23] == str(got).replace(" ", "T")[:23]
    if got is None:
        return want in ("", None)
    return math.isclose(float(want), float(got), rel_tol=1e-9, abs_tol=1e-7 if column.endswith("pct") else 1e-9)


def counted_by_the_repeat_rule(frames):
    """Shares by symbol: of equal prints of a millisecond as many as the frame that has most of them has."""
    most = collections.Counter()
    for frame in frames:
        for print_, count in collections.Counter(frame).items():
            most[print_] = max(most[print_], count)
    shares = collections.Counter()
    for print_, count in most.items():
        shares[print_.symbol] += int(print_.volume) * count
    return shares


class Player:
    """Sends the trades at their time of the fake's clock, and does to the stream what its variant says."""

    def __init__(self, fake, variant, trades, session, seed):
        self.fake, self.variant, self.trades, self.session = fake, variant, trades, session
        self.rng = random.Random(f"{variant} {seed}")
        self.frames, self.sent, self.dropped = [], [], []
        self.did, self.lag_max = collections.Counter(), 0.0

    def subscribed(self):
        return self.fake.subscribed() == set(SYMBOLS)

    async def until_subscribed(self):
        end = time.monotonic() + 120
        while not self.subscribed():
            if time.monotonic() > end:
                raise RuntimeError("nobody subscribed for 60 s")
            await asyncio.sleep(0.002)

    async def play(self):
        next_fault, place = self.fake.clock.now() + 20, 0
        last_fault = self.trades[-1].time / 1000 - 90
        if self.variant == "drops":  # what is mute can be told once it is known how often something trades, in the session only
            next_fault = self.session[0] / 1000 + 150
            last_fault = min(last_fault, self.session[1] / 1000 - 600)
        while place < len(self.trades):
            await asyncio.sleep(TICK_SECONDS)
            now = self.fake.clock.now()
            begin = place
            while place < len(self.trades) and self.trades[place].time < int(now * 1000):
                place += 1
            await self.deliver(self.trades[begin:place])
            if self.variant == "repeats":  # the pong tells what the client has read
                for stream in self.fake.open_streams():
                    await stream.write(websocket.frame(websocket.PING, b"%d" % len(self.frames)))
            self.lag_max = max(self.lag_max, self.fake.clock.now() - now)
            if next_fault <= now < last_fault:
                next_fault = now + self.rng.uniform(15, 90)
                place = await self.fault(place)
                if self.variant == "drops":
                    next_fault = self.fake.clock.now() + self.rng.uniform(120, 400)

    def cut(self, trades):
        """Frames; a new one begins where a millisecond does."""
        frame = []
        for trade in trades:
            alone = self.variant == "split" and self.rng.random() < 1 / 3
            if frame and (alone or len(frame) >= FRAME_TRADES_MAX and frame[-1].time != trade.time):
                yield frame
                frame = []
            frame.append(trade)
            if alone:
                yield frame
                frame = []
        if frame:
            yield frame

    async def deliver(self, trades):
        for frame in self.cut(trades):
            while True:
                if self.variant != "drops":
                    await self.until_subscribed()
                before = len(self.fake.dropped)
                await self.fake.deliver(frame)
                lost = {id(trade) for _, trade in self.fake.dropped[before:]}
                if not lost or self.variant == "drops":
                    break
            self.sent += [trade for trade in frame if id(trade) not in lost]
            self.dropped += [trade for trade in frame if id(trade) in lost]
            self.frames.append(frame)

    async def repeat(self, seconds, stream=None):
        """The frames of the last so many seconds again, whole; all that `stream` is not known to have read."""
        since = (self.fake.clock.now() - seconds) * 1000
        first = next((place for place in range(len(self.frames), 0, -1) if self.frames[place - 1][-1].time < since), 0)
        if stream and stream.last_pong.isdigit():
            first = min(first, int(stream.last_pong))
        for frame in self.frames[first:]:
            self.did["frames again"] += 1
            await self.fake.deliver(frame)

    async def fault(self, place):
        """One thing that goes wrong; the first trade that is still to be sent."""
        if not self.subscribed():
            return place  # it is away already
        if self.variant == "repeats":
            what = self.rng.choice(("again", "close", "close", "drop", "half-close"))
            if what == "again":
                await self.repeat(self.rng.uniform(1, 60))
            else:
                stream = self.fake.open_streams()[0]
                self.did[what] += 1
                await finnhub_faults.FAULTS[what].act(stream, **({"code": self.rng.choice(CODES)} if what == "close" else {}))
                while not stream.ended:
                    await asyncio.sleep(0.002)
                await self.until_subscribed()
                await self.repeat(60, stream)
        elif self.variant == "drops":
            what = self.rng.choice(("close", "close", "mute", "ping-only", "mute-symbol"))
            self.did[what] += 1
            stream = self.fake.open_streams()[0]
            if what == "close":
                await self.fake.start_play("drop-trades")  # until all symbols are subscribed again
                await finnhub_faults.close(stream, self.rng.choice(CODES))
                return await self.lose(place, lambda: stream.ended and self.subscribed())
            if what == "mute-symbol":
                asked = len(stream.messages)
                await self.fake.start_play(what, symbol=self.rng.choice(("BAC", "SPY")))
                return await self.lose(place, lambda: stream.ended or any(said.get("type") == "subscribe" for said in stream.messages[asked:]))
            await self.fake.start_play(what)
            return await self.lose(place, lambda: stream.ended and self.subscribed())
        return place

    async def lose(self, place, over):
        """Sends on while a fault drops; ends the fault when `over`."""
        end = time.monotonic() + 120
        while not over():
            if time.monotonic() > end:
                self.did["never noticed"] += 1
                break
            begin, now = place, int(self.fake.clock.now() * 1000)
            while place < len(self.trades) and self.trades[place].time < now:
                place += 1
            await self.deliver(self.trades[begin:place])
            await asyncio.sleep(TICK_SECONDS / 4)
        begin, now = place, int(self.fake.clock.now() * 1000)
        while place < len(self.trades) and self.trades[place].time < now:
            place += 1
        await self.deliver(self.trades[begin:place])  # what happened before the fault's end is lost, too
        self.fake.end()
        return place


def ms(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "").replace(" ", "T")).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000


def not_in_a_gap(dropped, gaps):
    stretches = [(gap["symbol"], ms(gap["gap_start"]), ms(gap["gap_end"])) for gap in gaps]
    return [trade for trade in dropped if not any(symbol in (None, "*", trade.symbol) and begin <= trade.time <= end for symbol, begin, end in stretches)]


def compare(checks, name, player, tapeline, golden):
    """The daily rows of tapeline against those that the trades say."""
    got = {row["symbol"]: row for row in tapeline.rows("select * from int_stocks.int_stock_daily_aggregates")}
    by_calls = {row["symbol"]: row["n"] for row in tapeline.rows(
        "select symbol, count(*)::int as n from raw_stocks.stock_prices where data_source = 'finnhub' and session = 'regular' group by 1")}
    full, delivered = daily_rows(player.trades, player.session), daily_rows(player.sent, player.session)
    wrong, cells = [], 0
    for symbol in SYMBOLS:
        mine, lost = got.get(symbol, {}), sum(int(trade.volume) for trade in player.dropped if trade.symbol == symbol
                                              and player.session[0] <= trade.time < player.session[1])
        if golden:
            wrong += [f"{symbol} {column}: golden {golden[symbol][column]}, computed {value}" for column, value in full[symbol].items()
                      if not same(column, golden[symbol][column], value)]
        if name != "split" and int(mine.get("total_volume") or 0) != full[symbol]["total_volume"] - lost:
            wrong.append(f"{symbol}: volume {mine.get('total_volume')}, expected {full[symbol]['total_volume']} less {lost} dropped shares")
        for column, want in (golden[symbol] if golden and name in ("plain", "repeats") else delivered[symbol]).items():
            if column not in full[symbol] or name == "split" and column in ("total_volume", "avg_volume", "data_points_count"):
                continue
            cells += 1
            if name == "drops" and column == "data_points_count":
                want = int(want) + by_calls.get(symbol, 0)
            if name == "drops" and column == "daily_change_pct" and mine:
                opened, closed = float(mine["daily_open"]), float(mine["daily_close"])
                want = (closed - opened) / opened * 100
            elif name == "drops" and column not in ("avg_volume", "data_points_count", "total_volume") and not same(column, full[symbol][column], want):
                continue  # a dropped print set it; a call may have brought it all the same
            if not same(column, want, mine.get(column)):
                wrong.append(f"{symbol} {column}: expected {want}, got {mine.get(column)}")
    checks.check(f"{name}: the daily rows, {cells} cells{', as golden has them' if golden and name != 'split' else ''}", not wrong, wrong[:6])
    return got


def run(checks, name, options, folder, day, trades, window, golden):
    session = tuple(int(instant.timestamp() * 1000) for instant in quotes.Exchange().session(day)[:2])
    with FakeFinnhub(folder, {KEY}).start() as fake:
        since = time.time()
        fake.clock = Clock(window[0], options.speed, since)
        start = datetime.datetime.fromtimestamp(window[0], datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        tapeline = LiveTapeline(options.tapeline.resolve(), folder / "tapeline", fake, SYMBOLS,
                                TAPELINE_DEBUG_CLOCK=f"{start},{options.speed},{since:.6f}", TAPELINE_FINNHUB_TIMEOUT_MS="20000",
                                # On a machine that is busy, seconds without a trade are no mute stream yet.
                                TAPELINE_FINNHUB_MUTE_MS="120000" if name == "drops" else "1200000",
                                TAPELINE_FINNHUB_SILENCE_MS="300000" if name == "drops" else "3000000")
        player = Player(fake, name, trades, session, options.seed)
        try:
            tapeline.up()
            tapeline.until_subscribed()
            began = time.monotonic()
            fake.run(player.play(), 7200)
            took, streams = time.monotonic() - began, len(fake.streams)
            until("all has come", lambda: tapeline.metric("tapeline_finnhub_trades_total") >= len(player.sent) or name == "repeats", 60)
            if name != "split":
                expected = sum(int(trade.volume) for trade in player.sent)
            else:
                expected = sum(counted_by_the_repeat_rule(player.frames).values())
            volume = lambda: sum(row["v"] for row in tapeline.rows("select sum(volume)::bigint as v from raw_stocks.stock_prices") if row["v"])
            try:
                until("all is loaded", lambda: volume() >= expected, 60)
            except RuntimeError:
                pass  # the comparison says what is missing
            tapeline.settle()
            said = ", ".join(f"{count} {what}" for what, count in player.did.items())
            print(f"{name}: {len(player.sent)} of {len(trades)} trades sent in {took:.0f} s, {len(fake.sent)} with repeats, at most {player.lag_max:.1f} s late "
                  f"by the clock; {streams} connections; {said or 'nothing went wrong'}", flush=True)
            got = compare(checks, name, player, tapeline, golden)
            if name in ("plain", "split"):
                gaps = [gap for gap in tapeline.gaps() if ms(gap["gap_start"]) < trades[-1].time]  # afterwards nothing trades: that is mute
                checks.check(f"{name}: one connection, no gap", streams == 1 and not gaps, (streams, gaps[:3]))
            if name == "drops":
                gaps, shares = tapeline.gaps(), sum(int(trade.volume) for trade in player.dropped)
                homeless = not_in_a_gap(player.dropped, gaps)
                checks.check(f"drops: {len(player.dropped)} dropped prints of {shares} shares lie in {len(gaps)} gaps", player.dropped and not homeless
                             and not player.did["never noticed"], (len(homeless), homeless[:3], dict(player.did)))
            if name == "split":
                says_what_is_lost(checks, player, got, session)
            checks.check(f"{name}: it stops", tapeline.stop() == 0, tapeline.last_words())
            tapeline.sound(checks, name)
        except Exception as why:  # whatever it is, the other variants go on
            checks.check(name, False, f"{type(why).__name__}: {why}; {tapeline.last_words()}")
        finally:
            tapeline.kill()
    found = traces(folder)
    checks.check(f"{name}: nothing that was said or written has the key", not found, found[:5])


def says_what_is_lost(checks, player, got, session):
    inside = [[trade for trade in frame if session[0] <= trade.time < session[1]] for frame in player.frames]
    kept, wrong = counted_by_the_repeat_rule(inside), []
    for symbol in SYMBOLS:
        sent = sum(int(trade.volume) for trade in player.sent if trade.symbol == symbol and session[0] <= trade.time < session[1])
        mine = int(got.get(symbol, {}).get("total_volume") or 0)
        wrong += [f"{symbol}: {mine} shares, the rule says {kept[symbol]}"] if mine != kept[symbol] else []
        print(f"split: {symbol}: the repeat rule loses {sent - mine} of {sent} shares, {100 * (sent - mine) / max(sent, 1):.2f} %")
    checks.check("split: what is lost is what the repeat rule says", not wrong, wrong)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tapeline", type=pathlib.Path)
    arguments.add_argument("--data", type=pathlib.Path)
    arguments.add_argument("--day", default="20131007")
    arguments.add_argument("--only", nargs="*", choices=VARIANTS, default=VARIANTS)
    arguments.add_argument("--speed", type=float, default=50)
    arguments.add_argument("--slice", action="store_true")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--keep", type=pathlib.Path)
    options = arguments.parse_args()
    data = data_folder(options.data)
    if data is None:
        print("skipped: a day of real trades, which are not beside this checkout")
        print("0 passed, 0 failed")
        return 0
    day = datetime.datetime.strptime(options.day, "%Y%m%d").date()
    window = (at(day, "09:28"), at(day, "09:38")) if options.slice else (at(day, "09:20"), at(day, "16:05"))
    trades, golden = read_trades(data, day, *window), None
    if not options.slice:
        with gzip.open(data / "golden" / "trades_plain_daily_aggregates.csv.gz", "rt") as text:
            golden = {row["symbol"]: row for row in csv.DictReader(text) if row["price_date"] == day.isoformat()}
    checks, folder = Checks(), options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tapeline-day-"))
    print(f"seed {options.seed}, {len(trades)} trades of {day}, {window[1] - window[0]:.0f} s at {options.speed:g} times the speed", flush=True)
    with concurrent.futures.ThreadPoolExecutor(len(VARIANTS)) as pool:
        for done in [pool.submit(run, checks, name, options, folder / name, day, trades, window, golden) for name in options.only]:
            done.result()
    if options.keep or checks.failed:
        print(f"files are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
