// The real page of the real program, in Chromium.
//
//     node page_test.mjs TAPELINE
//
// Starts the simulator on a directory and a port of its own and looks: ten prices move in time,
// nothing serious for axe, nothing asked of another host. Then it kills the server, starts it again
// without a feed, so that the data hold still, and compares each cell of the table with SQL.
// CHROMIUM names another browser than /usr/bin/chromium. Prints `N passed, N failed`.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const kSymbols = 10;
const kMovingSecondsMax = 10;
const kDesktop = { width: 1440, height: 900 };
const kPhone = { width: 390, height: 844 };

if (process.argv.length !== 3) {
  console.error("usage: node page_test.mjs TAPELINE");
  process.exit(2);
}
const tapeline = resolve(process.argv[2]);
const fromWeb = createRequire(fileURLToPath(new URL("../../web/package.json", import.meta.url)));
const { chromium } = fromWeb("playwright-core");
const axe = readFileSync(fromWeb.resolve("axe-core/axe.min.js"), "utf8");
const home = mkdtempSync(join(tmpdir(), "tapeline-page-"));
const directory = join(home, "data");
const env = { PATH: process.env.PATH, HOME: home };

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

const base = `http://127.0.0.1:${await freePort()}`;
let server = null;

/** Starts the program and answers when its start lines name the dashboard: the time of that. */
function up(...flags) {
  const child = spawn(
    tapeline,
    ["up", "--listen", new URL(base).host, "--data-dir", directory, ...flags],
    { env, stdio: ["ignore", "pipe", "pipe"] },
  );
  server = child;
  return new Promise((done, fail) => {
    let said = "";
    const late = setTimeout(() => fail(new Error(`no start line: ${said}`)), 30_000);
    child.stderr.on("data", (text) => (said += text));
    child.stdout.on("data", (text) => {
      said += text;
      if (!said.includes(`dashboard   ${base}`)) return;
      clearTimeout(late);
      done(performance.now());
    });
    child.on("exit", (code) => fail(new Error(`the program ended with ${code}: ${said}`)));
  });
}

async function down(signal) {
  if (server === null || server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((done) => server.once("exit", done));
  server.kill(signal);
  await ended;
}

function sql(query) {
  const { stdout, stderr, status } = spawnSync(
    tapeline,
    ["sql", "-c", query, "--format", "json", "--data-dir", directory],
    { env, encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const get = async (path) => (await fetch(base + path)).json();

let passed = 0;
let failed = 0;

async function check(name, body) {
  try {
    const note = await body();
    ++passed;
    console.log(`ok    ${name}${note === undefined ? "" : `: ${note}`}`);
  } catch (error) {
    ++failed;
    console.log(`FAIL  ${name}\n${error.stack}`);
  }
}

const wrongs = [];

/** A page of its own; what it logs as an error or asks of another host is kept in `wrongs`. */
async function open(browser, query = "", options = {}) {
  const context = await browser.newContext({ viewport: kDesktop, ...options });
  const page = await context.newPage();
  const wrong = (what) => wrongs.push(`${query}: ${what}`);
  page.on("pageerror", (error) => wrong(error.message));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    if (page.serverWasKilled && message.text().includes("net::ERR_")) return;
    wrong(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== base) wrong(`asked ${url}`);
  });
  await page.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`against the policy: ${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  await page.goto(`${base}/${query}`);
  return page;
}

async function drawn(page) {
  const bars = () => page.evaluate(() => globalThis.__tapeline?.chart()?.bars ?? 0);
  const late = performance.now() + 20_000;
  while ((await bars()) < 2) {
    if (performance.now() > late) {
      throw new Error(`${await bars()} bars drawn; ${await page.locator("main").innerText()}`);
    }
    await sleep(100);
  }
}

/** Waits until so many prices of the watchlist differ from those that were shown first. */
const moved = (page, count) =>
  page.waitForFunction(
    (wanted) => {
      const first = (globalThis.__first ??= new Map());
      const changed = [...document.querySelectorAll(".watch-row[data-symbol]")].filter((row) => {
        const price = row.querySelector(".watch-figures .flashing")?.textContent;
        if (price === undefined) return false;
        if (!first.has(row.dataset.symbol)) first.set(row.dataset.symbol, price);
        if (first.get(row.dataset.symbol) !== price) first.set(row.dataset.symbol, null);
        return first.get(row.dataset.symbol) === null;
      });
      return changed.length >= wanted;
    },
    count,
    { timeout: 30_000, polling: 50 },
  );

async function serious(page) {
  await page.addScriptTag({ content: axe });
  const { violations } = await page.evaluate("axe.run()");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

/** What each cell must say: the mart's latest row, and the newest valid quote beside it. */
function expectedCells() {
  const marts = sql(
    "select * from marts_stocks.stock_analytics qualify row_number() over " +
      "(partition by symbol order by price_date desc) = 1 order by symbol",
  );
  const quotes = sql(
    "select symbol, price as last, price - previous_close as change, " +
      "100 * (price - previous_close)::double / previous_close as change_pct, " +
      `strftime("timestamp", '%Y-%m-%dT%H:%M:%S.%gZ') as event_time, data_source, ` +
      "'simulated' as class from stg_stocks.stg_stock_prices where is_valid " +
      `qualify row_number() over (partition by symbol order by "timestamp" desc) = 1`,
  );
  return new Map(
    marts.map((row) => [row.symbol, { ...quotes.find((q) => q.symbol === row.symbol), ...row }]),
  );
}

const kComputed = new Set(["change", "change_pct"]);

function isEqual(column, shown, expected) {
  if (expected === null) return shown === "";
  if (!kComputed.has(column)) return shown === String(expected);
  return shown !== "" && Math.abs(Number(shown) - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
}

async function compareTable(page) {
  await page.waitForSelector(".performance tbody tr");
  const expected = expectedCells();
  const shown = await page.locator(".performance tbody tr").evaluateAll((rows) =>
    rows.map((row) => ({
      symbol: row.dataset.symbol,
      cells: [...row.querySelectorAll("[data-column]")].map(({ dataset, textContent }) => ({
        column: dataset.column,
        value: dataset.value,
        text: textContent,
      })),
    })),
  );
  assert.deepEqual(shown.map(({ symbol }) => symbol).sort(), [...expected.keys()].sort());
  const differing = [];
  let count = 0;
  for (const { symbol, cells } of shown) {
    const row = expected.get(symbol);
    assert.deepEqual(cells.map(({ column }) => column).sort(), Object.keys(row).sort());
    for (const { column, value, text } of cells) {
      ++count;
      if (!isEqual(column, value, row[column])) {
        differing.push(`${symbol}.${column}: shown ${value}, SQL ${row[column]}`);
      } else if (text.trim() === "") {
        differing.push(`${symbol}.${column} shows nothing`);
      }
    }
  }
  assert.deepEqual(differing, []);
  return `${count} cells of ${shown.length} symbols`;
}

async function whenQuiet() {
  for (let i = 0; i < 200; ++i) {
    const { ready, lag, dag, equation } = await get("/api/v1/status");
    if (ready && lag === 0 && dag?.state === "success") return equation;
    await sleep(100);
  }
  throw new Error("the pipeline did not come to rest");
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
try {
  const began = await up("--seed", "7");
  const page = await open(browser);
  await check(`${kSymbols} symbols move within ${kMovingSecondsMax} s of the start line`, async () => {
    await moved(page, kSymbols);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds <= kMovingSecondsMax, `they took ${seconds.toFixed(1)} s`);
    return `${seconds.toFixed(1)} s`;
  });
  await check("the chart draws, and says that the data are simulated", async () => {
    await drawn(page);
    await page.waitForSelector(".symbol-head .badge:has-text('SIMULATED')");
    await page.waitForSelector(".strip :text('balanced')");
  });
  for (const [query, viewport] of [
    ["?theme=light", kDesktop],
    ["?theme=dark&set=all&r=6M", kDesktop],
    ["?theme=light&r=6M", kPhone],
    ["?theme=dark&set=all", kPhone],
  ]) {
    await check(`axe and width: ${query} at ${viewport.width}`, async () => {
      const view = await open(browser, query, { viewport, bypassCSP: true, reducedMotion: "reduce" });
      await drawn(view);
      assert.deepEqual(await serious(view), []);
      const width = await view.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= viewport.width, `${width} pixels wide`);
      await view.context().close();
    });
  }
  await check("a killed server is said, and the page recovers when it is back", async () => {
    page.serverWasKilled = true;
    await down("SIGKILL");
    await page.waitForSelector("[data-banner]", { timeout: 15_000 });
    assert.equal(await page.locator(".watch-row[data-symbol]").count(), kSymbols);
    await up("--feed", "none");
    await page.waitForSelector("[data-banner]", { state: "detached", timeout: 30_000 });
    await page.waitForSelector(".strip:has-text('no feed')");
  });
  await check("what was consumed is loaded, duplicate, superseded or dead", async () => {
    const { consumed, loaded, duplicate, superseded, dead } = await whenQuiet();
    assert.equal(consumed, loaded + duplicate + superseded + dead);
    return `${consumed} consumed`;
  });
  await check("every cell of the table is SQL's answer", async () =>
    compareTable(await open(browser, "?set=all")),
  );
  await check("no error in the console, nothing against the policy, no other host asked", () =>
    assert.deepEqual(wrongs, []),
  );
} catch (error) {
  ++failed;
  console.log(`FAIL  ${error.stack}`);
} finally {
  await browser.close();
  await down("SIGTERM");
  rmSync(home, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
