"""What the fake Finnhub knows: prints, the time, and each symbol's day so far."""
import datetime
import decimal
import json
import pathlib
import sys
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import quotes


class Trade(typing.NamedTuple):
    """One print. price, volume and conditions are JSON text, so that any may be wrong; conditions None: absent."""
    symbol: str
    price: str
    time: int  # ms
    volume: str = "1"
    conditions: str | None = '["1"]'

    def json(self):
        conditions = "" if self.conditions is None else f'"c":{self.conditions},'
        return f'{{{conditions}"p":{self.price},"s":{json.dumps(self.symbol)},"t":{self.time},"v":{self.volume}}}'


class Clock:
    """The clock of the machine, or one that read `start` at the real instant `since` and runs `speed` times as fast."""

    def __init__(self, start=None, speed=1.0, since=None):
        self.since = time.time() if since is None else since
        self.start, self.speed = self.since if start is None else start, speed

    def now(self):
        return self.start + (time.time() - self.since) * self.speed

    def real(self, seconds):
        return seconds / self.speed


class Market:
    """What /quote says of a symbol: its regular session so far, by the prints that were seen."""

    def __init__(self):
        self.exchange, self.sessions, self.days, self.previous, self.fixed = quotes.Exchange(), {}, {}, {}, {}

    def session(self, ms):
        """Open and close in ms of the session on whose UTC date this is; none where there is none."""
        day = ms // 86_400_000
        if day not in self.sessions:
            found = self.exchange.session((datetime.datetime(1970, 1, 1) + datetime.timedelta(days=day)).date())
            self.sessions[day] = found and tuple(int(at.timestamp() * 1000) for at in found[:2])
        return self.sessions[day]

    def see(self, trade):
        session = self.session(trade.time)
        if not session or not session[0] <= trade.time < session[1]:
            return
        try:
            price = decimal.Decimal(trade.price)
        except decimal.InvalidOperation:
            return
        if not price.is_finite() or price <= 0:
            return
        day, known = trade.time // 86_400_000, self.days.get(trade.symbol)
        if known is None or known["day"] != day:
            if known:
                self.previous[trade.symbol] = known["c"]
            known = self.days[trade.symbol] = {"day": day, "o": price, "h": price, "l": price, "c": price, "t": 0}
        known["h"], known["l"] = max(known["h"], price), min(known["l"], price)
        if trade.time >= known["t"]:
            known["c"], known["t"] = price, trade.time

    def quote(self, symbol):
        """JSON; all zeros for a symbol that nobody traded."""
        if symbol in self.fixed:
            return self.fixed[symbol]
        known = self.days.get(symbol)
        if known is None:
            return '{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}'
        before = self.previous.get(symbol, known["o"])
        change = known["c"] - before
        return (f'{{"c":{known["c"]},"d":{change},"dp":{float(change / before * 100):.4f},"h":{known["h"]},"l":{known["l"]},"o":{known["o"]},'
                f'"pc":{before},"t":{known["t"] // 1000}}}')
