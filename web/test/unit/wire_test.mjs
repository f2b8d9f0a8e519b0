import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeServer } from "../fake_server.mjs";
import { load } from "../load.mjs";

const wire = await load("wire");
const kQuote = {
  symbol: "AAPL",
  price: 150.25,
  change: 1.15,
  change_pct: 0.77,
  reference: "previous_close",
  reference_price: 149.1,
  previous_close: 149.1,
  open: null,
  high: null,
  low: null,
  volume: null,
  session: "regular",
  event_time: "2025-01-04T14:30:00.412345Z",
  received_at: null,
  data_source: "simulator",
  class: "simulated",
  bar: null,
};

test("a quote keeps what is unknown as null and never as 0", () => {
  const quote = wire.parseQuote(kQuote);
  assert.equal(quote.price, 150.25);
  assert.equal(quote.volume, null);
  assert.equal(quote.open, null);
  assert.equal(quote.spark, null);
  assert.equal(quote.eventTime, Date.parse("2025-01-04T14:30:00.412Z"));
});

test("a field that does not fit is named with its path and what it is", () => {
  const told = (change) => {
    try {
      wire.parseQuote({ ...kQuote, ...change });
    } catch (error) {
      return error.message;
    }
    return "no error";
  };
  assert.equal(told({ price: "150" }), '"quote.price" should be a number but is "150"');
  assert.match(told({ price: undefined }), /"quote.price" should be a number but is nothing/);
  assert.match(told({ event_time: "2025-01-04 14:30:00" }), /an instant in UTC/);
  assert.match(told({ reference: "yesterday" }), /previous_close or daily_close/);
  assert.match(told({ bar: { bar_start: "2025-01-04T14:30:00Z" } }), /"quote.bar.open"/);
  assert.match(told({ spark: [1, null] }), /"quote.spark\[1\]"/);
});

test("a bar of days is its New York date, a bar of minutes is an instant", () => {
  const bar = { open: 1, high: 1, low: 1, close: 1, volume: null, count: 1 };
  const { bars } = wire.parseBars({
    symbol: "A",
    interval: "1d",
    gaps: [],
    more: false,
    bars: [
      { time: "2025-01-04", ...bar },
      { time: "2025-01-04T14:30:00Z", ...bar },
    ],
  });
  assert.equal(bars[0].time, Date.UTC(2025, 0, 4));
  assert.equal(bars[1].time, Date.UTC(2025, 0, 4, 14, 30));
});

test("analytics keep every column, known or not, and nothing else", () => {
  const { rows } = wire.parseAnalytics({
    columns: ["symbol", "brand_new", "ma_7_day"],
    load_id: 3,
    rows: [{ symbol: "A", brand_new: true, ma_7_day: null, stray: 1 }],
  });
  assert.deepEqual(rows, [{ symbol: "A", brand_new: true, ma_7_day: null }]);
  assert.throws(() =>
    wire.parseAnalytics({ columns: ["symbol", "x"], rows: [{ symbol: "A", x: {} }], load_id: 1 }),
  );
});

test("an error body is read, and a body of another kind is none", () => {
  assert.deepEqual(wire.parseProblem({ error: { code: "c", message: "m", hint: "h" } }), {
    code: "c",
    message: "m",
    hint: "h",
  });
  assert.equal(wire.parseProblem("<html>"), null);
});

test("every answer of the fake server is understood", async () => {
  const server = await startFakeServer();
  try {
    const get = async (path) => (await fetch(server.url + path)).json();
    const to = new Date().toISOString();
    const from = new Date(Date.now() - 3 * 86_400_000).toISOString();
    assert.equal(wire.parseStatus(await get("/api/v1/status")).equation.balanced, true);
    assert.equal(wire.parseQuotes(await get("/api/v1/quotes")).length, 10);
    assert.equal(wire.parseAnalytics(await get("/api/v1/analytics")).rows.length, 10);
    for (const interval of ["1m", "4h", "1d", "1w"]) {
      const { bars } = wire.parseBars(
        await get(`/api/v1/bars?symbol=AAPL&interval=${interval}&from=${from}&to=${to}`),
      );
      assert.ok(bars.length > 0);
      assert.ok(bars.every((bar, i) => i === 0 || bar.time > bars[i - 1].time));
    }
    const day = "symbol=AAPL&from=2026-01-06&to=2026-01-06";
    const { total, messages } = wire.parseMessages(await get(`/api/v1/messages?${day}`));
    assert.equal(messages.length, total);
    assert.match(messages[0].timestamp, /\.\d{6}Z$/);
    const { topic, offset } = messages[0];
    const place = `/api/v1/topics/${topic}/records?offset=${offset}`;
    const [record] = wire.parseRecords(await get(place));
    assert.equal(record.offset, offset);
    assert.match(record.value, /"symbol":"AAPL"/);
  } finally {
    await server.stop();
  }
});
