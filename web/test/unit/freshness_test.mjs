import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const { clockSkew, feedFreshness, freshness, marketLine, nextCadence } = await load("freshness");
const { backoffMs } = await load("stream");
const kNow = Date.UTC(2026, 10, 20, 17);
const quote = (change = {}) => ({
  class: "live",
  eventTime: kNow - 400,
  receivedAt: kNow - 300,
  ...change,
});
const status = (feed = {}, market = {}) => ({
  feed: {
    name: "finnhub",
    class: "live",
    state: "live",
    symbols: 10,
    quotesPerSecond: 10,
    lastEventTime: null,
    badge: "",
    ...feed,
  },
  market: {
    calendar: "XNYS",
    session: "regular",
    open: null,
    close: null,
    nextOpen: null,
    ...market,
  },
});

test("a recent price is live, and says what kind it is", () => {
  assert.deepEqual(freshness(quote(), status(), 100, kNow), {
    state: "live",
    label: "LIVE",
    ageMs: 400,
  });
  assert.equal(freshness(quote({ class: "simulated" }), status(), 100, kNow).label, "SIMULATED");
  assert.equal(freshness(quote({ class: "history" }), status(), 100, kNow).label, "HISTORY");
});

test("a price goes stale after three of its usual pauses, twenty seconds at least", () => {
  const after = (ms, cadence) =>
    freshness(quote({ eventTime: kNow - ms }), status(), cadence, kNow).state;
  assert.equal(after(19_000, 100), "live");
  assert.equal(after(21_000, 100), "stale");
  assert.equal(after(80_000, 30_000), "live");
  assert.equal(after(91_000, 30_000), "stale");
});

test("a night without quotes does not make the next hours' silence usual", () => {
  assert.equal(nextCadence(null, 900), 900);
  assert.equal(nextCadence(1000, 2000), 1100);
  assert.equal(nextCadence(1000, 63_000_000), 1200);
});

test("a replayed price is as old as its arrival", () => {
  const replayed = quote({
    class: "replay",
    eventTime: Date.UTC(2013, 9, 7),
    receivedAt: kNow - 500,
  });
  assert.deepEqual(freshness(replayed, status(), 100, kNow), {
    state: "replay",
    label: "REPLAY",
    ageMs: 500,
  });
});

test("a closed market is closed and not stale, however old the price", () => {
  assert.equal(
    freshness(quote({ eventTime: 0 }), status({ state: "closed" }), 100, kNow).state,
    "closed",
  );
  assert.equal(feedFreshness(status({ state: "closed" }), kNow - 9e6, kNow).state, "closed");
});

test("the feed's state is its newest price's, or that there is none", () => {
  assert.equal(feedFreshness(status(), kNow - 100, kNow).state, "live");
  assert.equal(feedFreshness(status(), kNow - 30_000, kNow).state, "stale");
  assert.equal(feedFreshness(status(), null, kNow), null);
  assert.equal(feedFreshness(status({ class: "none" }), null, kNow).label, "NO FEED");
});

test("the market line tells what comes next", () => {
  assert.equal(
    marketLine(status({}, { close: kNow + 8_040_000 }), kNow),
    "Open · closes in 2h 14m",
  );
  const closed = {
    session: "closed",
    close: Date.UTC(2026, 10, 20, 21),
    nextOpen: Date.UTC(2026, 10, 23, 14, 30),
  };
  assert.equal(
    marketLine(status({}, closed), Date.UTC(2026, 10, 21)),
    "At close 16:00 EST · opens Mon 23 Nov 2026 09:30 EST",
  );
});

test("clocks that differ by over two seconds are said to", () => {
  assert.equal(clockSkew(kNow, kNow + 1900), null);
  assert.match(clockSkew(kNow, kNow - 5000), /5.0\u202fs behind/);
});

test("the stream is tried again after 0, 2, 5, 10, then every 30 seconds", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map(backoffMs), [0, 2000, 5000, 10_000, 30_000, 30_000]);
});
