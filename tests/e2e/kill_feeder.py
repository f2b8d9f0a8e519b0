#!/usr/bin/env python3
"""Feeds a fixed, seeded list of messages to a tapeline that is killed again and again.

    kill_feeder.py FOLDER --data-dir DIR --port N --seed N

One request is outstanding; one whose answer was lost is sent again whole. FOLDER gets sent.ndjson,
every message in order, and acknowledged.ndjson, a line a request: which messages, and the offsets
that the answer gave them; each is on the disk before the next request goes out. Ends after the
request during which FOLDER/stop appears. The list has no end: the seed decides every message and
where requests begin; when they are sent is the machine's.
"""
import argparse
import datetime
import http.client
import itertools
import json
import math
import os
import pathlib
import random
import sys
import time
import zoneinfo

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
SYMBOLS = ("AAPL", "MSFT", "BRK.B", "NVDA", "EURUSD=X", "TSLA")
FIRST_DAY, DAYS = datetime.date(2023, 9, 1), 487  # up to the end of 2024
DEAD = ("not json", '{"symbol":"AAPL","price":1', '{"price":10.5,"timestamp":"2024-03-01T15:00:00Z","data_source":"mine"}',
        '{"symbol":"aapl","price":1,"timestamp":"2024-03-01T15:00:00Z","data_source":"mine"}',
        '{"symbol":"AAPL","timestamp":"2024-03-01T15:00:00Z","data_source":"mine"}',
        '{"symbol":"AAPL","price":"1","timestamp":"2024-03-01T15:00:00Z","data_source":"mine"}',
        '{"symbol":"AAPL","price":1,"timestamp":"yesterday","data_source":"mine"}', "[]", "42")
INVALID = ({"price": 0}, {"price": -3.5}, {"volume": -7}, {"high": 1.0, "low": 2.0}, {"open": -1})


def quote(rng, day):
    """One quote: mostly of the day, at times of one before it, in the session or outside of it."""
    if rng.random() < 0.06:
        day -= rng.randrange(1, 40)
    day = max(0, day)
    date = FIRST_DAY + datetime.timedelta(days=day % DAYS)
    minute = rng.randrange(4 * 60, 20 * 60 + 30) if rng.random() < 0.2 else rng.randrange(570, 960)
    at = datetime.datetime.combine(date, datetime.time(), NEW_YORK) + datetime.timedelta(
        minutes=minute, seconds=rng.randrange(60), milliseconds=rng.choice((0, 500, rng.randrange(1000))))
    symbol = rng.choice(SYMBOLS)
    level = 100 + 20 * math.sin(day / 9 + len(symbol)) + SYMBOLS.index(symbol) * 40
    price = round(level * rng.uniform(0.98, 1.02), rng.choice((2, 2, 4, 7)))
    message = {"symbol": symbol, "price": price, "high": round(price * 1.01, 4), "low": round(price * 0.99, 4),
               "open": rng.choice((None, round(level, 2))), "volume": rng.choice((None, 0, rng.randrange(1, 5000))),
               "timestamp": at.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z"),
               "data_source": rng.choice(("mine", "mine", "mine-ws", "other")), "schema_version": 1}
    if rng.random() < 0.3:
        message["previous_close"] = round(level, 2)
    if rng.random() < 0.5:
        message["session"] = "regular" if 570 <= minute < 960 else rng.choice(("pre", "post", "closed"))
    if rng.random() < 0.03:
        message["bar_length"] = rng.choice(("1m", "1d"))
    if rng.random() < 0.04:
        message.update(rng.choice(INVALID))
    return message


def messages(rng):
    """The list: new keys, keys again with the same or another payload, and what is no quote."""
    recent = [quote(rng, 0)]
    for place in itertools.count():
        chance = rng.random()
        if chance < 0.01:
            yield rng.choice(DEAD)
            continue
        message = dict(rng.choice(recent)) if chance < 0.12 else quote(rng, place // 40)
        if 0.05 <= chance < 0.1:
            message["price"] = round(rng.uniform(50, 400), 2)
        elif 0.1 <= chance < 0.12:
            message["received_at"] = "2025-01-02T03:04:05Z"
        if len(recent) < 3000:
            recent.append(message)
        else:
            recent[rng.randrange(len(recent))] = message
        yield json.dumps(message, separators=(",", ":"))


def requests(seed):
    listed = messages(random.Random(f"messages {seed}"))
    rng = random.Random(f"requests {seed}")
    while True:
        yield list(itertools.islice(listed, round(math.exp(rng.uniform(0, math.log(500)))))), rng.choice((0, 0, 0.02, 0.1))


class Feeder:
    def __init__(self, options):
        self.options, self.connection = options, None

    def post(self, lines):
        """The offsets of an answer; None if nobody knows what happened to the request."""
        try:
            if self.connection is None:
                self.token = (self.options.data_dir / "token").read_text().strip()
                self.connection = http.client.HTTPConnection("127.0.0.1", self.options.port, timeout=120)
            self.connection.request("POST", "/api/v1/topics/stock_prices/records", "\n".join(lines) + "\n", {
                "Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson"})
            answer = self.connection.getresponse()
            body = answer.read()
        except TimeoutError:
            raise  # an append that may still happen would come behind the ones sent after it
        except (OSError, http.client.HTTPException):
            self.connection = None
            return None
        if answer.status == 503:
            return None
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body[:400]!r}")
        return [record["offset"] for record in json.loads(body)["records"]]

    def run(self):
        folder, place = self.options.folder, 0
        with open(folder / "sent.ndjson", "w") as sent, open(folder / "acknowledged.ndjson", "w") as acknowledged:
            for lines, pause in requests(self.options.seed):
                sent.write("\n".join(lines) + "\n")
                sent.flush()
                os.fsync(sent.fileno())
                tries = 1
                while (offsets := self.post(lines)) is None:
                    tries += 1
                    time.sleep(0.01)
                acknowledged.write(json.dumps({"first": place, "next": place + len(lines), "tries": tries, "offsets": offsets}) + "\n")
                acknowledged.flush()
                os.fsync(acknowledged.fileno())
                place += len(lines)
                if (folder / "stop").exists():
                    return 0
                time.sleep(pause)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--data-dir", type=pathlib.Path, required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    return Feeder(arguments.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
