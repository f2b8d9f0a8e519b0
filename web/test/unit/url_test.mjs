import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const { parseView, viewQuery, kDefaultView } = await load("url");

test("what an address says comes back as the same address", () => {
  for (const query of [
    "",
    "?s=AAPL&r=6M&i=1d",
    "?s=BRK.B&from=2026-01-01&to=2026-02-01&t=hollow&scale=log",
    "?as=table&set=all&sort=-change_pct%2Csymbol&f=rsi_14+%3C+30",
  ]) {
    const { view, notices } = parseView(query);
    assert.deepEqual(notices, []);
    assert.equal(viewQuery(view), query);
  }
});

test("unknown keys are left out and bad values fall back with a notice", () => {
  const { view, notices } = parseView("?utm=1&r=9Y&i=2m&s=%3Cscript%3E&sort=DROP%20TABLE");
  assert.deepEqual(view, kDefaultView);
  assert.equal(notices.length, 4);
  assert.match(notices.join(" "), /s=<script>/);
});

test("a range needs both its days in order, and a preset wins over it", () => {
  assert.equal(parseView("?from=2026-01-01").view.from, null);
  assert.equal(parseView("?from=2026-02-01&to=2026-01-01").notices.length, 1);
  assert.equal(parseView("?from=2026-13-01&to=2026-01-01").view.from, null);
  assert.equal(parseView("?r=1Y&from=2026-01-01&to=2026-02-01").view.from, null);
});

test("a day that no month has is no range", () => {
  const { view, notices } = parseView("?from=2025-02-30&to=2025-03-10");
  assert.equal(view.from, null);
  assert.match(notices[0], /2025-02-30/);
  assert.equal(parseView("?from=2024-02-29&to=2025-03-10").view.from, "2024-02-29");
});
