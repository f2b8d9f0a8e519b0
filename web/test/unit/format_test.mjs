import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const format = await load("format");

test("prices have two decimals, and more only below a dollar", () => {
  assert.equal(format.price(1234.5), "1,234.50");
  assert.equal(format.price(0.1234), "0.1234");
  assert.equal(format.price(0.000012), "0.000012");
  assert.equal(format.price(null), "–");
});

test("a change has a sign, a real minus, and none when it rounds to nothing", () => {
  assert.equal(format.change(1.314, 189), "+1.31");
  assert.equal(format.change(-1.314, 189), "−1.31");
  assert.equal(format.change(0.0012, 0.5), "+0.0012");
  assert.equal(format.percent(0.0001), "0.00\u202f%");
  assert.equal(format.percent(-0.0001), "0.00\u202f%");
  assert.equal(format.percent(-0.5), "−0.50\u202f%");
});

test("large numbers are short and keep three figures", () => {
  assert.equal(format.compact(41_234_567), "41.2M");
  assert.equal(format.compact(999), "999");
  assert.equal(format.compact(1_570), "1.57K");
  assert.equal(format.compact(123_456), "123K");
  assert.equal(format.compact(999_499), "999K");
  assert.equal(format.compact(999_600), "1.00M");
  assert.equal(format.compact(-999_600), "−1.00M");
  assert.equal(format.compact(9_999_000), "10.0M");
  assert.equal(format.compact(99_970_000), "100M");
});

test("an age reads in tenths, seconds, minutes, hours, days", () => {
  assert.equal(format.age(400), "0.4\u202fs");
  assert.equal(format.age(42_900), "42\u202fs");
  assert.equal(format.age(65_000), "1:05");
  assert.equal(format.age(7_500_000), "2\u202fh\u202f05");
  assert.equal(format.age(400_000_000), "4\u202fd");
  assert.equal(format.age(-5), "0.0\u202fs");
  assert.equal(format.duration(8_040_000), "2h 14m");
});
