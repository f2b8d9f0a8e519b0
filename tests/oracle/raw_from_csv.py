#!/usr/bin/env python3
"""Makes rows of raw_stocks.stock_prices from bar and trade files.

    raw_from_csv.py FILE.csv.gz... [--bar-length 1m|5m|15m|30m|1h|4h|1d] [--load-id N]

A file with a `date` column holds daily bars, one with a `conditions` column trades, any other bars
whose length is the one given, else the one that the folder names (minute, hour). Trades follow the
plain rule: every print counts, conditions are ignored. Prints CSV with a header to stdout.
"""
import argparse
import csv
import datetime
import gzip
import pathlib
import sys
import zoneinfo

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
UTC = datetime.timezone.utc
COLUMNS = ("symbol price volume timestamp high low open data_source previous_close session bar_length "
           "price_date price_hour received_at appended_at topic_offset load_id").split()
SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400}
# The microsecond of a bar's last millisecond that only its length uses.
BAR_MICROSECOND = {"1d": 999, "1h": 998, "30m": 997, "15m": 996, "5m": 995, "1m": 994, "4h": 993}
FILE_TRADE_MICROSECOND = 500


def thanksgiving(year):
    first = datetime.date(year, 11, 1)
    return first + datetime.timedelta(days=(3 - first.weekday()) % 7 + 21)


def closes_early(day):
    """By the New York Stock Exchange's rules from 1993 on: at one o'clock."""
    if day == thanksgiving(day.year) + datetime.timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return day.weekday() < 4
    if (day.month, day.day) == (12, 26):
        return day.weekday() == 4 and day.year in (1997, 2003)
    if (day.month, day.day) == (7, 3):
        return day.weekday() in (0, 1, 3) or (day.weekday() == 2 and day.year >= 2013)
    return (day.month, day.day) == (7, 5) and day.weekday() == 4 and day.year < 2013


def session_bounds(day):
    """Open and close of a session day; every day of the files is one."""
    at = lambda hour, minute: datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)
    return at(9, 30).astimezone(UTC), at(13 if closes_early(day) else 16, 0).astimezone(UTC)


def session_at(stamp, day):
    """pre, regular, post or closed, by time alone."""
    opens, closes = session_bounds(day)
    if opens <= stamp < closes:
        return "regular"
    hour = stamp.astimezone(NEW_YORK).hour
    if stamp < opens:
        return "pre" if hour >= 4 else "closed"
    return "post" if hour < (17 if closes_early(day) else 20) else "closed"


class DaySoFar:
    """Open, high and low of the regular session so far, per symbol."""

    def __init__(self):
        self.days = {}

    def see(self, symbol, day, regular, first, high, low):
        known = self.days.get((symbol, day))
        if regular:
            if known is None:
                known = (first, high, low)
            else:
                known = (known[0], max(known[1], high, key=float), min(known[2], low, key=float))
            self.days[symbol, day] = known
        return known or ("", "", "")


def row(stamp, symbol, price, volume, so_far, session, bar_length, day):
    opened, high, low = so_far
    naive = stamp.astimezone(UTC).replace(tzinfo=None)
    text = naive.isoformat(sep=" ", timespec="microseconds")
    appended = (naive + datetime.timedelta(seconds=1)).isoformat(sep=" ", timespec="microseconds")
    return [symbol, price, volume, text, high, low, opened, "replay", "", session, bar_length,
            day.isoformat(), stamp.astimezone(NEW_YORK).hour, "", appended]


def daily_bars(lines):
    for bar in lines:
        day = datetime.date.fromisoformat(bar["date"])
        stamp = session_bounds(day)[1] - datetime.timedelta(microseconds=1000 - BAR_MICROSECOND["1d"])
        yield row(stamp, bar["symbol"], bar["close"], bar["volume"], (bar["open"], bar["high"], bar["low"]),
                  "regular", "1d", day)


def bars(lines, length):
    so_far = DaySoFar()
    for bar in lines:
        start = datetime.datetime.fromisoformat(bar["timestamp"].replace("Z", "+00:00"))
        stamp = start + datetime.timedelta(seconds=SECONDS[length],
                                           microseconds=BAR_MICROSECOND[length] - 1000)
        day = stamp.astimezone(NEW_YORK).date()
        session = session_at(stamp, day)
        known = so_far.see(bar["symbol"], day, session == "regular", bar["open"], bar["high"], bar["low"])
        yield row(stamp, bar["symbol"], bar["close"], bar["volume"], known, session, length, day)


def trades(lines):
    so_far = DaySoFar()
    pending = None  # symbol, time text, last price, volume, first price, highest, lowest

    def quote():
        symbol, when, price, volume, first, high, low = pending
        stamp = datetime.datetime.fromisoformat(when.replace("Z", "+00:00"))
        stamp += datetime.timedelta(microseconds=FILE_TRADE_MICROSECOND)
        day = stamp.astimezone(NEW_YORK).date()
        session = session_at(stamp, day)
        known = so_far.see(symbol, day, session == "regular", first, high, low)
        return row(stamp, symbol, price, str(volume), known, session, "", day)

    for trade in lines:
        symbol, when, price, size = trade["symbol"], trade["timestamp"], trade["price"], int(trade["size"])
        if pending and pending[:2] == (symbol, when):
            pending = (symbol, when, price, pending[3] + size, pending[4],
                       max(pending[5], price, key=float), min(pending[6], price, key=float))
            continue
        if pending:
            yield quote()
        pending = (symbol, when, price, size, price, price, price)
    if pending:
        yield quote()


def rows_of(path, bar_length=None):
    """The file's rows, without topic_offset and load_id."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        lines = csv.DictReader(text)
        if "date" in lines.fieldnames:
            yield from daily_bars(lines)
        elif "conditions" in lines.fieldnames:
            yield from trades(lines)
        else:
            folder = pathlib.Path(path).resolve().parent.name
            yield from bars(lines, bar_length or {"minute": "1m", "hour": "1h"}[folder])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="+")
    arguments.add_argument("--bar-length", choices=SECONDS)
    arguments.add_argument("--load-id", type=int, default=1)
    options = arguments.parse_args()
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    offset = 0
    for path in options.files:
        for values in rows_of(path, options.bar_length):
            out.writerow([*values, offset, options.load_id])
            offset += 1


if __name__ == "__main__":
    main()
