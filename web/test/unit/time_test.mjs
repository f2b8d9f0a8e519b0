import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const time = await load("time");
const kMinute = 60_000;

test("chart time is New York's wall clock in winter and in summer", () => {
  assert.equal(time.toChartTime(Date.UTC(2025, 0, 6, 14, 30)), Date.UTC(2025, 0, 6, 9, 30) / 1000);
  assert.equal(time.toChartTime(Date.UTC(2025, 6, 7, 13, 30)), Date.UTC(2025, 6, 7, 9, 30) / 1000);
});

test("chart time rises and can be turned back over both clock changes", () => {
  for (const day of [Date.UTC(2026, 2, 8), Date.UTC(2026, 10, 1), Date.UTC(2006, 9, 29)]) {
    let last = Number.NEGATIVE_INFINITY;
    for (let at = day; at < day + 86_400_000; at += kMinute) {
      const shown = time.toChartTime(at);
      assert.ok(shown > last, `at ${new Date(at).toISOString()}`);
      assert.equal(time.fromChartTime(shown), at);
      last = shown;
    }
  }
});

test("a date begins at New York's midnight, and on clock-change days too", () => {
  assert.equal(time.startOfExchangeDate("2026-11-01"), Date.UTC(2026, 10, 1, 4));
  assert.equal(time.startOfExchangeDate("2026-11-02"), Date.UTC(2026, 10, 2, 5));
  assert.equal(time.startOfExchangeDate("2026-03-08"), Date.UTC(2026, 2, 8, 5));
  assert.equal(time.startOfExchangeDate("2026-03-09"), Date.UTC(2026, 2, 9, 4));
  assert.equal(time.exchangeDate(Date.UTC(2026, 10, 2, 4, 59)), "2026-11-01");
});

test("the zone's name and clock follow the season", () => {
  assert.equal(time.zoneName(Date.UTC(2026, 6, 1)), "EDT");
  assert.equal(time.zoneName(Date.UTC(2026, 0, 1)), "EST");
  assert.equal(time.clockTime(Date.UTC(2026, 0, 1, 0, 0, 7)), "19:00:07");
});

test("months back end on the month's last day where it is shorter", () => {
  assert.equal(time.addMonths("2026-08-31", -6), "2026-02-28");
  assert.equal(time.addMonths("2026-01-15", -1), "2025-12-15");
  assert.equal(time.addDays("2026-03-01", -1), "2026-02-28");
  assert.equal(time.longDate("2026-11-22"), "Sun 22 Nov 2026");
});
