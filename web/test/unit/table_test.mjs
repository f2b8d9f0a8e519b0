import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../load.mjs";

const table = await load("table");
const { allColumns, columnsOf, showCell } = await load("columns");
const columns = allColumns(["symbol", "rsi_14", "brand_new", "is_anomaly"]);
const row = (symbol, rsi, brandNew = null, quote = null) => ({
  symbol,
  quote,
  mart: { symbol, rsi_14: rsi, brand_new: brandNew, is_anomaly: false },
});
const names = (rows) => rows.map((each) => each.symbol).join(" ");
const rows = [row("B", 50), row("A", null), row("C", 70), row("D", 50)];

test("rows without a value come last in both directions, ties by symbol", () => {
  const by = (descending) =>
    names(table.sortRows(rows, [{ column: "rsi_14", descending }], columns));
  assert.equal(by(true), "C B D A");
  assert.equal(by(false), "B D C A");
  assert.equal(names(table.sortRows(rows, [], columns)), "A B C D");
});

test("a second key orders what the first leaves equal", () => {
  const keys = [
    { column: "rsi_14", descending: false },
    { column: "symbol", descending: true },
  ];
  assert.equal(names(table.sortRows(rows, keys, columns)), "D B C A");
});

test("clicks go down, up, off; shift-click adds a key", () => {
  const once = table.clickSort([], "rsi_14", false);
  assert.deepEqual(once, [{ column: "rsi_14", descending: true }]);
  const twice = table.clickSort(once, "rsi_14", false);
  assert.deepEqual(twice, [{ column: "rsi_14", descending: false }]);
  assert.deepEqual(table.clickSort(twice, "rsi_14", false), []);
  assert.equal(table.clickSort(once, "symbol", true).length, 2);
  assert.deepEqual(table.clickSort(once, "symbol", false), [
    { column: "symbol", descending: false },
  ]);
});

test("the filter takes parts of symbols and comparisons, by name or label", () => {
  const filtered = (text) => names(rows.filter(table.parseFilter(text, columns).matches));
  assert.equal(filtered("rsi_14 < 60"), "B D");
  assert.equal(filtered("RSI14>=50 c"), "C");
  assert.equal(filtered("a b"), "B A");
  assert.equal(filtered(""), "B A C D");
  assert.equal(filtered("rsi_14 > x"), "");
});

test("a filter that is not understood says why and hides nothing for it", () => {
  const filter = table.parseFilter("nonsense > 3", columns);
  assert.match(filter.problem, /no column "nonsense"/);
  assert.ok(filter.matches(rows[0]));
  assert.match(table.parseFilter("rsi_14 <", columns).problem, /needs a column and a value/);
  assert.equal(table.parseFilter("rsi_14 < 30", columns).problem, null);
});

test("an export has exact values and always the class", () => {
  const quote = {
    symbol: "A",
    price: 1.5,
    change: null,
    changePct: null,
    class: "simulated",
    eventTime: 0,
    dataSource: "simulator",
  };
  const shown = columns.filter(({ name }) => ["symbol", "rsi_14", "brand_new"].includes(name));
  const written = table.exportRows([row("A", 38.591234567891, 'x "y", z', quote)], shown, ",");
  assert.equal(
    written,
    'symbol,rsi_14,brand_new,class\nA,38.591234567891,"x ""y"", z",simulated\n',
  );
  assert.match(table.exportRows([row("A", 1, "=1+1")], shown, "\t"), /\t'=1\+1\t/);
});

test("a column that the page does not know is shown raw in All", () => {
  assert.equal(columnsOf("all", ["symbol", "brand_new"]).at(-1).kind, "raw");
  assert.equal(showCell(0.123456789, "raw", 0), "0.123456789");
  assert.ok(!columnsOf("overview", ["symbol", "rsi_14"]).some(({ name }) => name === "ma_7_day"));
});

test("cells read as their kind", () => {
  assert.equal(showCell(0.2512, "fraction", 0), "25.1\u202f%");
  assert.equal(showCell(null, "price", 0), "–");
  assert.equal(showCell(true, "flag", 0), "yes");
  assert.equal(showCell(-3, "percent", 0), "−3.00\u202f%");
});
