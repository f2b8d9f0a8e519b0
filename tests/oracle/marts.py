#!/usr/bin/env python3
"""What the warehouse must hold after a list of messages: all four models, computed without SQL.

    marts.py MESSAGES.ndjson OUT [--kind market|simulated] [--calendar SIM|SESSIONS.csv.gz]
    marts.py MESSAGES.ndjson OUT --against DIR      compares with DIR/<table>.csv as well

A line of MESSAGES is a message as it was appended, or {"offset":N,"value":"<message>"} with, if
known, "appended_at" and "load_id"; the lines are in load order. Writes OUT/<table>.csv for raw
rows, the models and the dead letters, and OUT/counts.json with the equation's counts. A column that
the input cannot tell (ingest_lag_seconds without appended_at, load_id without load_id) is left out
of a comparison. Exit status 1 if a comparison finds a difference. Nothing here is shared with the
models: the definitions are written down a second time.
"""
import argparse
import collections
import csv
import datetime
import decimal
import gzip
import hashlib
import json
import math
import pathlib
import re
import sys
import zoneinfo

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
UTC = datetime.timezone.utc
MICRO = decimal.Decimal("0.000001")
PRICE_LIMIT = decimal.Decimal(10) ** 12
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.:^=/-]{0,23}")
SOURCE = re.compile(r"[a-z][a-z0-9-]{0,31}")
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d)?")
SESSIONS = ("pre", "regular", "post", "closed")
BAR_LENGTHS = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
PRICES = ("price", "high", "low", "open", "previous_close")
PAYLOAD = ("price", "open", "high", "low", "volume", "previous_close", "session", "bar_length", "data_source")

Row = collections.namedtuple("Row", (
    "symbol timestamp price open high low volume previous_close data_source session bar_length "
    "price_date price_hour appended_at load_id"))


class Dead(Exception):
    """Why a message is a dead letter."""


# --- messages to rows ------------------------------------------------------------------------------


def instant(text):
    found = STAMP.fullmatch(text)
    if not found:
        raise Dead("timestamp is not RFC 3339")
    day, clock, fraction, zone = found.groups()
    try:
        zone = "+00:00" if zone in (None, "Z", "z") else zone
        at = datetime.datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')}{zone}")
        return at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Dead("timestamp is not a time") from None


class Calendar:
    """`SIM`: every New York date is one regular session; else the sessions of a file."""

    def __init__(self, name):
        self.sessions = None
        if name != "SIM":
            with gzip.open(name, "rt", newline="") as text:
                self.sessions = {r["date"]: r for r in csv.DictReader(text)}

    def session(self, at, source, bar_length):
        if self.sessions is None:
            return "regular"
        local = at.replace(tzinfo=UTC).astimezone(NEW_YORK)
        day = self.sessions.get(local.date().isoformat())
        if day is None or not day["open_utc"]:
            return "closed"
        opens, closes = instant(day["open_utc"]), instant(day["close_utc"])
        late = datetime.timedelta(minutes=10 if source == "finnhub" and bar_length is None else 0)
        if opens <= at < closes + late:
            return "regular"
        if at < opens:
            return "pre" if local.hour >= 4 else "closed"
        return "post" if local.hour < (17 if day["kind"] == "early_close" else 20) else "closed"


def refuse_constant(text):
    raise ValueError(text)


def decode(text, appended_at, load_id, kind, calendar):
    try:
        said = json.loads(text, parse_float=decimal.Decimal, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Dead("not JSON") from None
    if not isinstance(said, dict):
        raise Dead("not a JSON object")

    def number(name):
        value = said.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, decimal.Decimal)):
            raise Dead(f"{name} is not a number")
        with decimal.localcontext(decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN)):
            value = decimal.Decimal(value)
            if abs(value) >= PRICE_LIMIT:
                raise Dead(f"{name} is too large")
            value = value.quantize(MICRO)
        if abs(value) >= PRICE_LIMIT:
            raise Dead(f"{name} is too large")
        return value + 0  # no minus zero

    def text_of(name, form=None, values=None):
        value = said.get(name)
        if value is not None and (not isinstance(value, str) or (form and not form.fullmatch(value))
                                  or (values and value not in values)):
            raise Dead(f"{name} has not the form")
        return value

    def optional(read, *of):
        """What is optional and does not fit is read as absent."""
        try:
            return read(*of)
        except Dead:
            return None

    symbol, stamp, price = text_of("symbol", SYMBOL), text_of("timestamp"), number("price")
    for name, value in (("symbol", symbol), ("price", price), ("timestamp", stamp)):
        if value is None:
            raise Dead(f"{name} is missing")
    at = instant(stamp)
    if appended_at is not None and at > appended_at + datetime.timedelta(days=1):
        raise Dead("timestamp is more than a day ahead")
    source = optional(text_of, "data_source", SOURCE) or "unknown"
    if (source.split("-")[0] == "simulator") != (kind == "simulated"):
        raise Dead("data_source does not fit the directory")
    prices = {name: optional(number, name) for name in PRICES if name != "price"} | {"price": price}
    volume = said.get("volume")
    if isinstance(volume, bool) or not isinstance(volume, (int, decimal.Decimal)) or volume != int(volume) or not -2**63 <= volume < 2**63:
        volume = None
    if volume == 0 and "schema_version" not in said and source == "finnhub":
        volume = None
    volume = None if volume is None else int(volume)
    bar_length = optional(text_of, "bar_length", None, BAR_LENGTHS)
    session = optional(text_of, "session", None, SESSIONS) or calendar.session(at, source, bar_length)
    local = at.replace(tzinfo=UTC).astimezone(NEW_YORK)
    return Row(symbol=symbol, timestamp=at, volume=volume, data_source=source, session=session, bar_length=bar_length,
               price_date=local.date(), price_hour=local.hour, appended_at=appended_at, load_id=load_id, **prices)


def load(lines, kind, calendar):
    """Raw rows by key, dead letters, and the counts of the equation."""
    rows, dead, counts = {}, [], collections.Counter(consumed=0, loaded=0, duplicate=0, superseded=0, dead=0)
    for place, line in enumerate(lines):
        offset, text, appended_at, load_id = place, line, None, None
        try:
            outer = json.loads(line)
        except (ValueError, RecursionError):
            outer = None
        if isinstance(outer, dict) and isinstance(outer.get("value"), str) and "symbol" not in outer:
            offset, text, load_id = outer.get("offset", place), outer["value"], outer.get("load_id")
            appended_at = instant(outer["appended_at"]) if outer.get("appended_at") else None
        counts["consumed"] += 1
        try:
            row = decode(text, appended_at, load_id, kind, calendar)
        except Dead as why:
            counts["dead"] += 1
            dead.append((offset, str(why)))
            continue
        key = (row.symbol, row.timestamp)
        if key not in rows:
            counts["loaded"] += 1
        elif all(getattr(rows[key], name) == getattr(row, name) for name in PAYLOAD):
            counts["duplicate"] += 1
            continue
        else:
            counts["superseded"] += 1
        rows[key] = row
    return rows, dead, counts


# --- the models ------------------------------------------------------------------------------------


def percent(now, before):
    if now is None or before is None or before == 0:
        return None
    return float(now - before) / float(before) * 100


def highest(values):
    return max((v for v in values if v is not None), default=None)


def lowest(values):
    return min((v for v in values if v is not None), default=None)


def total(values):
    known = [v for v in values if v is not None]
    return min(sum(known), 2**63 - 1) if known else None


def highest_load(rows):
    return highest(r.load_id for r in rows)


def stage(rows):
    staged, previous = [], {}
    for row in sorted(rows.values(), key=lambda r: (r.symbol, r.timestamp)):
        broken = []
        if row.price <= 0:
            broken.append("price <= 0")
        if row.volume is not None and row.volume < 0:
            broken.append("volume < 0")
        if row.high is not None and row.low is not None and row.high < row.low:
            broken.append("high < low")
        if row.open is not None and row.open < 0:
            broken.append("open < 0")
        change = None
        if not broken:
            change = percent(row.price, previous.get(row.symbol))
            previous[row.symbol] = row.price
        lag = None if row.appended_at is None else (row.appended_at - row.timestamp) / datetime.timedelta(seconds=1)
        staged.append({**row._asdict(), "is_valid": not broken, "invalid_reason": ", ".join(broken) or None,
                       "price_change_pct": change, "is_price_spike": change is not None and abs(change) > 20,
                       "ingest_lag_seconds": lag, "row": row})
    return staged


def one_origin(rows, prefer_day_bar):
    """The rows of the origin that a day or a minute uses, and its name."""
    origins = collections.defaultdict(list)
    for row in rows:
        origins[row.data_source.split("-")[0], row.bar_length].append(row)

    def rank(item):
        (source, length), members = item
        return (not (prefer_day_bar and length == "1d"), -(total(r.volume for r in members) or 0), -len(members),
                source, length or "")

    return min(origins.items(), key=rank)


def daily(staged):
    days = collections.defaultdict(list)
    for entry in staged:
        days[entry["symbol"], entry["price_date"]].append(entry)
    table, previous = [], {}
    for (symbol, day), entries in sorted(days.items()):
        counting = [e["row"] for e in entries if e["is_valid"] and e["session"] == "regular"]
        if not counting:
            continue
        (source, length), rows = one_origin(counting, True)
        volumes = [r.volume for r in rows if r.volume is not None]
        opened = next((r.open for r in rows if r.open is not None), None)
        close = rows[-1].price
        table.append(dict(
            symbol=symbol, price_date=day, daily_open=opened, daily_high=highest(r.high for r in rows),
            daily_low=lowest(r.low for r in rows), daily_close=close, total_volume=total(volumes),
            avg_volume=sum(volumes) / len(volumes) if volumes else None, daily_change_pct=percent(close, opened),
            daily_return_pct=percent(close, previous.get(symbol)), data_points_count=len(rows),
            first_timestamp=rows[0].timestamp, last_timestamp=rows[-1].timestamp, origin_source=source,
            origin_bar_length=length, load_id=highest_load(e["row"] for e in entries)))
        previous[symbol] = close
    return table


def mean(values):
    return math.fsum(values) / len(values)


def deviation(values):
    middle = mean(values)
    return math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (len(values) - 1))


def wilder(closes):
    """The relative strength index of the last close, from at most 252."""
    closes = closes[-252:]
    if len(closes) < 15:
        return None
    changes = [float(b - a) for a, b in zip(closes, closes[1:])]
    gain = sum(c for c in changes[:14] if c > 0) / 14
    loss = sum(-c for c in changes[:14] if c < 0) / 14
    for change in changes[14:]:
        gain = (13 * gain + max(change, 0)) / 14
        loss = (13 * loss + max(-change, 0)) / 14
    return 50.0 if gain + loss == 0 else 100 * gain / (gain + loss)


def analytics(days):
    symbols = collections.defaultdict(list)
    for day in days:
        symbols[day["symbol"]].append(day)
    table = []
    for symbol, history in sorted(symbols.items()):
        closes = [d["daily_close"] for d in history]
        returns = [None] + [math.log(float(b) / float(a)) for a, b in zip(closes, closes[1:])]
        for i, day in enumerate(history):
            n = i + 1
            last = lambda size, values: values[n - size:n]
            row = {name: day[name] for name in ("symbol price_date daily_open daily_high daily_low daily_close total_volume "
                                                "avg_volume daily_change_pct daily_return_pct data_points_count").split()}
            row["stock_analytics_id"] = hashlib.md5(f"{symbol}|{day['price_date']}".encode()).hexdigest()
            row["ma_7_day"] = float(sum(last(7, closes)) / 7) if n >= 7 else None
            month = last(30, closes) if n >= 30 else None
            row["ma_30_day"] = average = float(sum(month) / 30) if month else None
            row["volatility_30_day"] = (0.0 if min(month) == max(month) else deviation([float(c) for c in month])) if month else None
            row["return_volatility_30_day"] = None
            if n >= 31:
                spread = deviation(last(30, returns))
                row["return_volatility_30_day"] = 0.0 if spread < 1e-12 else spread * math.sqrt(252)
            year = last(252, history) if n >= 252 else None
            row["high_52_week"] = high = highest(d["daily_high"] for d in year) if year else None
            row["low_52_week"] = low = lowest(d["daily_low"] for d in year) if year else None
            close = closes[i]
            row["momentum_vs_30ma"] = (float(close) - average) / average * 100 if average else None
            row["pct_from_52w_high"], row["pct_from_52w_low"] = percent(close, high), percent(close, low)
            volumes = [d["total_volume"] for d in last(30, history)] if n >= 30 else [None]
            row["volume_ratio"] = None
            if None not in volumes and sum(volumes):
                row["volume_ratio"] = volumes[-1] / (sum(volumes) / 30)
            row["rsi_14"] = wilder(closes[:n])
            row["return_z_30_day"] = None
            if n >= 32:
                before = returns[i - 30:i]
                spread = deviation(before)
                if spread >= 1e-12:
                    row["return_z_30_day"] = (returns[i] - mean(before)) / spread
            row["is_anomaly"] = row["return_z_30_day"] is not None and abs(row["return_z_30_day"]) > 4
            row["window_days"] = min(n, 252)
            row["load_id"] = day["load_id"]
            table.append(row)
    return table


def bars(staged):
    minutes = collections.defaultdict(list)
    for entry in staged:
        minutes[entry["symbol"], entry["timestamp"].replace(second=0, microsecond=0)].append(entry)
    table = []
    for (symbol, start), entries in sorted(minutes.items()):
        counting = [e["row"] for e in entries if e["is_valid"] and e["bar_length"] in (None, "1m")]
        if not counting:
            continue
        _, rows = one_origin(counting, False)
        prices = [r.price for r in rows]
        table.append(dict(symbol=symbol, bar_start=start, price_date=rows[0].price_date, open=prices[0], high=max(prices),
                          low=min(prices), close=prices[-1], volume=total(r.volume for r in rows), quote_count=len(rows),
                          load_id=highest_load(e["row"] for e in entries)))
    return table


# --- tables as text --------------------------------------------------------------------------------

COLUMNS = {
    "stock_prices": "symbol price volume timestamp high low open data_source previous_close session bar_length price_date "
                    "price_hour",
    "stg_stock_prices": "symbol timestamp price open high low volume previous_close data_source session bar_length price_date "
                        "price_hour is_valid invalid_reason price_change_pct is_price_spike ingest_lag_seconds load_id",
    "int_stock_daily_aggregates": "symbol price_date daily_open daily_high daily_low daily_close total_volume avg_volume "
                                  "daily_change_pct daily_return_pct data_points_count first_timestamp last_timestamp "
                                  "origin_source origin_bar_length load_id",
    "stock_analytics": "stock_analytics_id symbol price_date daily_open daily_high daily_low daily_close total_volume avg_volume "
                       "daily_change_pct daily_return_pct data_points_count ma_7_day ma_30_day volatility_30_day "
                       "return_volatility_30_day high_52_week low_52_week momentum_vs_30ma pct_from_52w_high pct_from_52w_low "
                       "volume_ratio rsi_14 return_z_30_day is_anomaly window_days load_id",
    "stock_bars_1m": "symbol bar_start price_date open high low close volume quote_count load_id",
}
KEYS = {"stock_prices": ("symbol", "timestamp"), "stg_stock_prices": ("symbol", "timestamp"),
        "int_stock_daily_aggregates": ("symbol", "price_date"), "stock_analytics": ("symbol", "price_date"),
        "stock_bars_1m": ("symbol", "bar_start")}
DOUBLES = set("price_change_pct ingest_lag_seconds avg_volume daily_change_pct daily_return_pct ma_7_day ma_30_day "
              "volatility_30_day return_volatility_30_day momentum_vs_30ma pct_from_52w_high pct_from_52w_low volume_ratio "
              "rsi_14 return_z_30_day".split())
DECIMALS = set("price open high low close previous_close daily_open daily_high daily_low daily_close high_52_week "
               "low_52_week".split())
TIMES = {"timestamp", "bar_start", "first_timestamp", "last_timestamp"}


def as_text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, float):
        return repr(value)
    return str(value)


def same(column, want, got):
    if want == "" or got == "":
        return want == got
    if column in DOUBLES:
        one, other = float(want), float(got)
        if column == "rsi_14":
            return abs(one - other) <= 1e-5
        if column.startswith(("pct_", "momentum_")):
            return abs(one - other) <= 1e-7
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if column in DECIMALS:
        return decimal.Decimal(want) == decimal.Decimal(got)
    if column in TIMES:
        return instant(want) == instant(got)
    return want == got


def differences(name, path, want):
    """Where the table in a CSV file is not the one that was computed."""
    with open(path, newline="", encoding="utf-8") as text:
        found = list(csv.DictReader(text))
    norm = lambda column, value: instant(value) if column in TIMES else value
    got = {tuple(norm(k, r[k]) for k in KEYS[name]): r for r in found}
    wrong = [f"{len(found) - len(got)} keys twice"] if len(found) != len(got) else []
    # What no row of the input can tell is not compared.
    columns = [c for c in COLUMNS[name].split()
               if c not in ("load_id", "ingest_lag_seconds") or any(r[c] is not None for r in want)]
    for row in want:
        key = tuple(row[k] if k in TIMES else as_text(row[k]) for k in KEYS[name])
        mine = got.pop(key, None)
        if mine is None:
            wrong.append(f"{key} is missing")
            continue
        wrong += [f"{key} {c}: expected {as_text(row[c])!r}, got {mine.get(c)!r}" for c in columns
                  if c not in mine or not same(c, as_text(row[c]), mine[c])]
    return wrong + [f"{key} is too much" for key in got]


def compare(name, path, want):
    wrong = differences(name, path, want)
    print(f"{'FAIL' if wrong else 'ok  '} {name}: {len(want)} rows, {len(wrong)} differences", flush=True)
    for line in wrong[:10]:
        print("      ", line)
    return not wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("messages")
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--kind", choices=("market", "simulated"), default="market")
    arguments.add_argument("--calendar", default="SIM")
    arguments.add_argument("--against", type=pathlib.Path)
    options = arguments.parse_args()
    with open(options.messages, encoding="utf-8", errors="surrogateescape", newline="\n") as text:
        lines = [line.rstrip("\n") for line in text]
    rows, dead, counts = load(lines, options.kind, Calendar(options.calendar))
    staged = stage(rows)
    days = daily(staged)
    tables = {"stock_prices": [r._asdict() for r in rows.values()], "stg_stock_prices": staged,
              "int_stock_daily_aggregates": days, "stock_analytics": analytics(days), "stock_bars_1m": bars(staged)}
    options.out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        with open(options.out / f"{name}.csv", "w", newline="", encoding="utf-8") as text:
            out = csv.writer(text, lineterminator="\n")
            out.writerow(COLUMNS[name].split())
            out.writerows([as_text(row[c]) for c in COLUMNS[name].split()] for row in table)
    with open(options.out / "dead_letters.csv", "w", newline="", encoding="utf-8") as text:
        out = csv.writer(text, lineterminator="\n")
        out.writerow(("topic_offset", "reason"))
        out.writerows(dead)
    (options.out / "counts.json").write_text(json.dumps(counts) + "\n")
    print(" ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
    good = True
    if options.against:
        for name, table in tables.items():
            if (options.against / f"{name}.csv").exists():
                good &= compare(name, options.against / f"{name}.csv", table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
