"""What messages a file's bars and trades become: the rules of design §4.1, written down a second time.

A row is a dict of text as a CSV file has it; the result is the messages in their order, for
marts.load. Nothing here is shared with tapeline; the exchange's days come from
tests/cases/market/xnys_special_days.csv and the time zone from Python.
"""
import csv
import datetime
import decimal
import gzip
import json
import pathlib
import zoneinfo

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
UTC = datetime.timezone.utc
SPECIAL_DAYS = pathlib.Path(__file__).resolve().parents[1] / "cases/market/xnys_special_days.csv"
MILLISECOND = datetime.timedelta(milliseconds=1)
MICROSECOND = datetime.timedelta(microseconds=1)
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240}
# The microsecond of its last millisecond that only a bar's length uses; trades of files begin at 500.
BAR_MICROSECOND = {"1d": 999, "1h": 998, "30m": 997, "15m": 996, "5m": 995, "1m": 994, "4h": 993}
TRADE_MICROSECOND = 500
SESSIONS = ("regular", "pre", "post", "closed")  # in this order those of one millisecond come
DROPPED = 0x1000000 | 0x4000000  # official close and open: reports, no trades
NO_PRICE = 0x2 | 0x4 | 0x8 | 0x200 | 0x40000 | 0x100000 | 0x2000000
EXTENDED = 0x400 | 0x2000 | 0x4000
CLOSING = 0x80


class Exchange:
    """New York's sessions by its special days: open, close and kind of each date."""

    def __init__(self):
        with open(SPECIAL_DAYS, newline="") as text:
            self.special = {datetime.date.fromisoformat(row["date"]): row for row in csv.DictReader(text)}

    def session(self, date):
        """Open, close (UTC) and whether it closes early; none on a date without one."""
        special = self.special.get(date)
        if date.weekday() >= 5 or special and special["kind"] == "holiday":
            return None
        at = lambda clock: datetime.datetime.combine(date, clock, NEW_YORK).astimezone(UTC)
        early = special is not None and special["kind"] == "early_close"
        close = datetime.time.fromisoformat(special["close"]) if early else datetime.time(16)
        return at(datetime.time(9, 30)), at(close), early

    def name_at(self, at):
        """pre, regular, post or closed, by time alone."""
        local = at.astimezone(NEW_YORK)
        session = self.session(local.date())
        if session is None:
            return "closed"
        opens, closes, early = session
        if opens <= at < closes:
            return "regular"
        if at < opens:
            return "pre" if local.hour >= 4 else "closed"
        return "post" if local.hour < (17 if early else 20) else "closed"

    def write(self, path, first_year=1990, last_year=2040):
        """The file that marts.Calendar reads."""
        stamp = lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")
        with gzip.open(path, "wt") as text:
            text.write("date,kind,open_utc,close_utc\n")
            date = datetime.date(first_year, 1, 1)
            while date.year <= last_year:
                session = self.session(date)
                if session is None:
                    text.write(f"{date},closed,,\n")
                else:
                    text.write(f"{date},{'early_close' if session[2] else 'regular'},{stamp(session[0])},{stamp(session[1])}\n")
                date += datetime.timedelta(days=1)


def instant(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def message(symbol, at, price, volume, so_far, session, bar_length):
    """Numbers go in as the text that they are: no float sees them."""
    number = lambda value: "null" if value is None else str(value)
    opened, high, low = so_far
    stamp = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return (f'{{"symbol":{json.dumps(symbol)},"price":{price},"open":{number(opened)},"high":{number(high)},"low":{number(low)},'
            f'"volume":{number(volume)},"timestamp":"{stamp}","data_source":"replay","session":"{session}",'
            f'"bar_length":{json.dumps(bar_length)},"schema_version":1}}')


class DaysSoFar:
    """Open, high and low of the regular session so far, of each symbol and date."""

    def __init__(self):
        self.days = {}

    def add(self, symbol, date, first, high, low):
        first, high, low = (decimal.Decimal(value) for value in (first, high, low))
        known = self.days.get((symbol, date))
        self.days[symbol, date] = (known[0], max(known[1], high), min(known[2], low)) if known else (first, high, low)

    def get(self, symbol, date):
        return self.days.get((symbol, date), (None, None, None))


def of_bars(rows, length, exchange):
    days = DaysSoFar()
    for row in rows:
        if length == "1d":
            date = row.get("date") or datetime_date(row["timestamp"])
            date = datetime.date.fromisoformat(date) if isinstance(date, str) else date
            session = exchange.session(date)
            midnight = datetime.datetime.combine(date, datetime.time(), NEW_YORK).astimezone(UTC)
            end = session[1] if session else midnight + datetime.timedelta(hours=23)
        else:
            end = instant(row["timestamp"]).astimezone(UTC) + datetime.timedelta(minutes=MINUTES[length])
        at = end.replace(microsecond=end.microsecond // 1000 * 1000) - MILLISECOND + BAR_MICROSECOND[length] * MICROSECOND
        day, name = at.astimezone(NEW_YORK).date(), exchange.name_at(at)
        if length == "1d":
            so_far = (row["open"], row["high"], row["low"]) if name == "regular" else (None, None, None)
        else:
            if name == "regular":
                days.add(row["symbol"], day, row["open"], row["high"], row["low"])
            so_far = days.get(row["symbol"], day)
        yield message(row["symbol"], at, row["close"], row["volume"] or None, so_far, name, length)


def datetime_date(text):
    """A day's bar stamped at UTC's midnight is of that date; else of New York's date."""
    at = instant(text).astimezone(UTC)
    return at.date() if at.time() == datetime.time() else at.astimezone(NEW_YORK).date()


def touches(row, at, exchange, algoseek):
    """Session, and whether the print sets a price and adds volume; none if it counts for nothing."""
    name = exchange.name_at(at)
    if not algoseek:
        return name, True
    bits = int(row.get("conditions") or "0", 16)
    if row.get("suspicious") in ("1", "true") or bits & DROPPED:
        return None
    session = exchange.session(at.astimezone(NEW_YORK).date())
    if name == "regular" and bits & EXTENDED:
        name = "post"
    elif session and bits & CLOSING and not bits & EXTENDED:
        if session[1] <= at <= session[1] + datetime.timedelta(minutes=10):
            name = "regular"
    return name, not bits & NO_PRICE


def of_trades(rows, algoseek, exchange):
    """One quote for a symbol's trades of one millisecond and session that stand together."""
    days, used, groups = DaysSoFar(), {}, {}
    last, last_regular, waiting = {}, {}, {}

    def close(symbol):
        millisecond, parts = groups.pop(symbol)
        day = symbol, millisecond.astimezone(NEW_YORK).date()
        for name in SESSIONS:
            price, volume, seen = *parts.get(name, (None, 0)), name in parts
            if price is not None:
                last[day] = price
                if name == "regular":
                    last_regular[day] = price
            owed = waiting.get((day, name), 0)
            if not seen and not owed:
                continue
            known = (last_regular if name == "regular" else last).get(day)
            if known is None:
                waiting[day, name] = owed + volume
                continue
            waiting[day, name] = 0
            place = used[symbol, millisecond] = used.get((symbol, millisecond), -1) + 1
            at = millisecond + (TRADE_MICROSECOND + place) * MICROSECOND
            yield message(symbol, at, known, volume + owed, days.get(*day), name, None)

    for row in rows:
        symbol, at = row["symbol"], instant(row["timestamp"]).astimezone(UTC)
        millisecond = at.replace(microsecond=at.microsecond // 1000 * 1000)
        if symbol in groups and groups[symbol][0] != millisecond:
            yield from close(symbol)
        found = touches(row, at, exchange, algoseek)
        if found is None:
            continue
        name, prices = found
        parts = groups.setdefault(symbol, (millisecond, {}))[1]
        price, volume = parts.get(name, (None, 0))
        parts[name] = (row["price"] if prices else price, volume + int(row["size"]))
        if prices and name == "regular":
            days.add(symbol, millisecond.astimezone(NEW_YORK).date(), row["price"], row["price"], row["price"])
    for symbol in sorted(groups):
        yield from close(symbol)
