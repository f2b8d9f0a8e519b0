"""A tapeline that follows the fake Finnhub, on a clock that a test may start when and run as fast as it wants."""
import base64
import json
import pathlib
import re
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import client

# It differs from its URL-encoded form, and no word of a log has it by chance.
KEY = "cF1n+nh/ub=kEy&7%q~x"


def metrics_of(text):
    """{(name, labels): value}; labels as the text has them, in order."""
    return {(name, labels or ""): float(value) for name, labels, value in re.findall(r"^(\w+)(?:\{(.*?)\})? (\S+)$", text, re.M)}


class LiveTapeline(client.Tapeline):
    """Whatever it answers is kept in said.txt of its folder, for `traces`."""

    def __init__(self, binary, folder, fake, symbols=("AAPL", "IBM"), start="2013-10-08T14:00:00Z", speed=60, key=KEY, **settings):
        super().__init__(binary, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.fake, self.symbols = fake, symbols
        self.settings = {"FINNHUB_API_KEY": key, "STOCKS": ",".join(symbols), "TAPELINE_FINNHUB_REST_URL": fake.rest_url,
                         "TAPELINE_FINNHUB_STREAM_URL": fake.stream_url, "TAPELINE_FINNHUB_CA_FILE": str(fake.ca_file),
                         "TAPELINE_DEBUG_CLOCK": f"{start},{speed}", "XDG_DATA_HOME": str(folder / "share"),
                         "TAPELINE_FINNHUB_TIMEOUT_MS": "1500", "TAPELINE_LOG_LEVEL": "debug", **settings}

    def up(self, ready=True, **settings):
        self.settings.update(settings)
        super().up(self.settings, ready, feed="finnhub")
        self.ended()

    def call(self, *words, environment=None, **more):
        done = super().call(*words, env={**client.os.environ, **self.settings, **(environment or {})}, **more)
        self.keep(" ".join(map(str, words)), done.stdout + done.stderr)
        return done

    def exchange(self, method, path, body=None, headers=None):
        status, said, answer = super().exchange(method, path, body, headers)
        self.keep(f"{method} {path} {status} {said}", answer.decode(errors="replace"))
        return status, said, answer

    def keep(self, what, text):
        with open(self.folder / "said.txt", "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{what}\n{text}\n")

    def metrics(self):
        return metrics_of(self.get("/metrics")[1].decode())

    def metric(self, name, **labels):
        """The sum of a metric's values that have these labels."""
        return sum(value for (found, has), value in self.metrics().items()
                   if found == name and all(f'{label}="{wanted}"' in has for label, wanted in labels.items()))

    def records(self, offset=0):
        """(offset, message) of the topic from `offset` on."""
        found = []
        while True:
            said = json.loads(self.get(f"/api/v1/topics/stock_prices/records?offset={offset}&limit=1000")[1] or b"{}")
            found += [(record["offset"], json.loads(record["value"])) for record in said.get("records", [])]
            offset = said.get("next", offset)
            if not said.get("records") or offset >= said["end"]:
                return found

    def end_offset(self):
        return json.loads(self.get("/api/v1/topics/stock_prices/records?from=end&limit=1")[1])["end"]

    def gaps(self):
        return self.rows("select * from raw_stocks.gaps order by gap_start, symbol")

    def until_subscribed(self, symbols=None):
        client.until(f"{symbols or self.symbols} are subscribed to", lambda: set(symbols or self.symbols) <= self.fake.subscribed())


def spellings(key):
    """The forms in which a key may be found, as bytes; pieces of it too."""
    raw = key.encode()
    found = {"raw": raw, "first half": raw[:len(raw) // 2], "second half": raw[len(raw) // 2:], "URL-encoded": urllib.parse.quote(key, safe="").encode(),
             "URL-encoded, small": re.sub("%..", lambda hit: hit[0].lower(), urllib.parse.quote(key, safe="")).encode(),
             "form-encoded": urllib.parse.quote_plus(key).encode(), "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "reversed": raw[::-1],
             "JSON": json.dumps(key).strip('"').replace("/", "\\/").encode(), "UTF-16": key.encode("utf-16-le")}
    for shift in range(3):  # base64 looks different at each place modulo 3; ends depend on what is beside it
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            found[f"{name} at {shift}"] = encode(b"\0" * shift + raw).rstrip(b"=")[4 if shift else 0:-2]
    return found


def traces(folder, key=KEY):
    """Where under a folder the key can be found, as (file, spelling)."""
    forms = spellings(key)
    found = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [(str(path.relative_to(folder)), name) for name, form in forms.items() if form in content or form in path.name.encode()]
    return found
