import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const bars = await load("bars");
const range = await load("range");
const kMinute = 60_000;
const kStart = Date.UTC(2026, 0, 6, 14, 30);
const minute = (i, open, high, low, close, volume) => ({
  time: kStart + i * kMinute,
  open,
  high,
  low,
  close,
  volume,
  count: 1,
});
const live = (i, open, high, low, close, volume) => ({
  start: kStart + i * kMinute,
  open,
  high,
  low,
  close,
  volume,
  count: 1,
});

test("an open bucket is the aggregate of its minutes", () => {
  const bucket = new bars.OpenBucket(5 * kMinute, kStart, [minute(0, 10, 12, 9, 11, 100)]);
  assert.deepEqual(bucket.take(live(1, 11, 15, 11, 14, 50)), {
    time: kStart,
    open: 10,
    high: 15,
    low: 9,
    close: 14,
    volume: 150,
    count: 2,
  });
});

test("a minute told twice counts once", () => {
  const bucket = new bars.OpenBucket(5 * kMinute, kStart, [minute(0, 10, 12, 9, 11, 100)]);
  bucket.take(live(0, 10, 13, 9, 12, 140));
  assert.equal(bucket.take(live(0, 10, 13, 9, 12, 150)).volume, 150);
});

test("buckets of four hours count from New York's midnight, in winter and in summer", () => {
  const kNoon = Date.UTC(2026, 0, 6, 17);
  const before = kNoon - 4 * 60 * kMinute;
  const bucket = new bars.OpenBucket(4 * 60 * kMinute, before, []);
  assert.equal(bucket.take(live(149, 1, 1, 1, 1, 1)).time, before);
  assert.deepEqual(bucket.take(live(150, 2, 2, 2, 2, 2)), {
    time: kNoon,
    open: 2,
    high: 2,
    low: 2,
    close: 2,
    volume: 2,
    count: 1,
  });
  assert.equal(bucket.take(live(3, 9, 9, 9, 9, 9)), null);
  const summer = Date.UTC(2026, 6, 6, 13, 31);
  assert.equal(bars.bucketStart(summer, 4 * 60 * kMinute), Date.UTC(2026, 6, 6, 12));
});

test("a bar ends where the next may begin", () => {
  const end = (written, interval) =>
    new Date(bars.barEnd(Date.parse(written), interval)).toISOString();
  assert.equal(end("2026-01-06T14:30:00Z", "5m"), "2026-01-06T14:35:00.000Z");
  assert.equal(end("2026-02-28", "1d"), "2026-03-01T00:00:00.000Z");
  assert.equal(end("2026-01-26", "1w"), "2026-02-02T00:00:00.000Z");
  assert.equal(end("2026-12-01", "1M"), "2027-01-01T00:00:00.000Z");
});

test("bars of one price each are told from candles", () => {
  const flat = Array.from({ length: 8 }, (_, i) => minute(i, 5, 5, 5, 5, 1));
  const candle = minute(9, 5, 6, 4, 5, 1);
  assert.equal(bars.areFlat([...flat, candle]), true);
  assert.equal(bars.areFlat([...flat, candle, candle, candle]), false);
  assert.equal(bars.areFlat([minute(0, 5, 5, 5, 5, 1)]), false);
});

test("unknown volume stays unknown in an aggregate", () => {
  assert.equal(bars.aggregate([minute(0, 1, 1, 1, 1, null)], kStart).volume, null);
  assert.equal(
    bars.aggregate([minute(0, 1, 1, 1, 1, null), minute(1, 1, 1, 1, 1, 7)], kStart).volume,
    7,
  );
  assert.equal(bars.aggregate([], kStart), null);
});

test("today's bar of days waits for the first regular price", () => {
  const quote = {
    session: "regular",
    open: 10,
    high: 12,
    low: 9,
    price: 11,
    volume: null,
    eventTime: kStart,
  };
  assert.equal(bars.dayBar(quote).time, Date.UTC(2026, 0, 6));
  assert.equal(bars.dayBar(quote).close, 11);
  assert.equal(bars.dayBar({ ...quote, open: null }), null);
  assert.equal(bars.dayBar({ ...quote, session: "post" }), null);
});

test("averages are the mart's last day that is not after the bar", () => {
  const days = [
    { price_date: "2026-01-05", ma_7_day: 1, ma_30_day: null },
    { price_date: "2026-01-06", ma_7_day: 2, ma_30_day: 5 },
    { price_date: "2026-01-08", ma_7_day: 3, ma_30_day: 6 },
  ];
  const day = (date) => ({ time: Date.parse(date) });
  const ma7 = (list, interval) => bars.averagesOf(list, days, interval).map((each) => each.ma7);
  assert.deepEqual(
    ma7([day("2026-01-04"), day("2026-01-05"), day("2026-01-07"), day("2026-01-08")], "1d"),
    [null, 1, 2, 3],
  );
  assert.deepEqual(ma7([{ time: kStart }, { time: kStart + 86_400_000 }], "5m"), [2, 2]);
  assert.deepEqual(ma7([day("2026-01-01"), day("2026-01-06")], "1w"), [1, 3]);
});

test("a gap shades every bar that it touches, however short it is", () => {
  const bar = (i) => ({ time: kStart + i * kMinute });
  const data = {
    interval: "1m",
    bars: [bar(0), bar(1), bar(5), bar(6)],
    gaps: [
      { start: kStart + 10_000, end: kStart + 12_000, cause: "" },
      { start: kStart + 1.5 * kMinute, end: kStart + 5.1 * kMinute, cause: "" },
      { start: kStart - 60 * kMinute, end: kStart - 59 * kMinute, cause: "" },
    ],
  };
  const spans = bars.shadedSpans(data);
  assert.deepEqual(spans[0], [kStart, kStart]);
  assert.deepEqual(spans[1], [kStart + kMinute, kStart + 5 * kMinute]);
  assert.deepEqual(bars.shadedSpans({ ...data, interval: "1d" }), []);
});

test("a gap's empty slots are the bars that did not come", () => {
  const data = {
    interval: "5m",
    bars: [{ time: kStart + 5 * kMinute }],
    gaps: [{ start: kStart - 2 * kMinute, end: kStart + 15 * kMinute, cause: "" }],
  };
  assert.deepEqual(bars.emptySlots(data), [[kStart, kStart + 10 * kMinute]]);
  assert.deepEqual(bars.emptySlots({ ...data, interval: "1d" }), []);
});

test("presets count back from the last day with data", () => {
  const span = (preset, every = false) =>
    range.presetSpan(preset, "2026-11-20", "2018-01-02", every);
  assert.deepEqual(span("1D"), { from: "2026-11-20", to: "2026-11-20" });
  assert.equal(span("5D").from, "2026-11-14");
  assert.equal(span("5D", true).from, "2026-11-16");
  assert.equal(span("6M").from, "2026-05-21");
  assert.equal(span("YTD").from, "2026-01-01");
  assert.equal(span("All").from, "2018-01-02");
});

test("a day around the clock opens on bars that can be told apart", () => {
  assert.equal(range.presetInterval("1D", false), "1m");
  assert.equal(range.presetInterval("1D", true), "5m");
  assert.equal(range.presetInterval("1Y", true), "1d");
});

test("an interval too fine for its span shows the span's end", () => {
  const span = { from: "2025-11-21", to: "2026-11-20" };
  assert.deepEqual(range.spanThatFits(span, "1d"), span);
  assert.deepEqual(range.spanThatFits(span, "1m"), { from: "2026-11-11", to: "2026-11-20" });
  assert.equal(range.intervalFor(span), "1d");
});

test("an answer replaces all bars but those that live minutes know more of", () => {
  const of = (i, close, count) => ({ ...minute(i, 10, 12, 9, close, 100), count });
  const times = (list) => list.map((bar) => [(bar.time - kStart) / kMinute, bar.close, bar.count]);
  const shown = [of(0, 1, 5), of(1, 2, 5), of(2, 3, 9), of(3, 4, 2)];
  const answer = [of(0, 10, 3), of(1, 20, 4), of(2, 30, 8), of(3, 40, 1)];
  const open = kStart + 3 * kMinute;
  assert.deepEqual(times(bars.mergeBars(shown, answer, open)), [
    [0, 10, 3],
    [1, 20, 4],
    [2, 3, 9],
    [3, 4, 2],
  ]);
  const whole = [of(2, 30, 9), of(3, 40, 1), of(5, 50, 1)];
  assert.deepEqual(times(bars.mergeBars(shown, whole, open)), [
    [0, 1, 5],
    [1, 2, 5],
    [2, 30, 9],
    [3, 4, 2],
    [5, 50, 1],
  ]);
  assert.deepEqual(times(bars.mergeBars(shown, answer, null)).at(-2), [2, 30, 8]);
});
