// The real page of the real program, in Chromium.
//
//     node page_test.mjs TAPELINE
//
// Starts the simulator on a directory and a port of its own and looks: ten prices move in time,
// nothing serious for axe, nothing asked of another host. Then it kills the server, starts it again
// without a feed, so that the data hold still, compares each cell of the table with SQL, and goes
// from a figure down to the message behind it. Then the same page over an imported history of days,
// and with a token before it.
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
const kHistory = fileURLToPath(new URL("../data/daily/wiki.csv.gz", import.meta.url));
const kTopic = "/api/v1/topics/stock_prices/records";
let directory = join(home, "data");
let env = { PATH: process.env.PATH, HOME: home };

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

/** What the program has said since its last start. */
let said = "";

/** Starts the program and answers when its start lines are there: the time of that. */
function up(...flags) {
  const child = spawn(
    tapeline,
    ["up", "--listen", new URL(base).host, "--data-dir", directory, ...flags],
    { env, stdio: ["ignore", "pipe", "pipe"] },
  );
  server = child;
  return new Promise((done, fail) => {
    said = "";
    const late = setTimeout(() => fail(new Error(`no start line: ${said}`)), 30_000);
    child.stderr.on("data", (text) => (said += text));
    child.stdout.on("data", (text) => {
      said += text;
      if (!said.includes(`dashboard   ${base}`) || !said.includes("stop ")) return;
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

function run(...words) {
  const { stdout, stderr, status } = spawnSync(tapeline, [...words, "--data-dir", directory], {
    env,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

const sql = (query) => JSON.parse(run("sql", "-c", query, "--format", "json"));

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
    // Nobody listens at first; then the new process does, and is not ready yet.
    if (page.serverWasKilled && /net::ERR_|status of 503/.test(message.text())) return;
    if (env.TAPELINE_API_TOKEN !== undefined && message.text().includes("401")) return;
    wrong(`${message.text()} ${message.location().url}`);
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
function expectedCells(classOfQuotes) {
  const marts = sql(
    "select * from marts_stocks.stock_analytics qualify row_number() over " +
      "(partition by symbol order by price_date desc) = 1 order by symbol",
  );
  const quotes = sql(
    "select symbol, price as last, price - reference as change, " +
      "100 * (price - reference)::double / reference as change_pct, " +
      `strftime("timestamp", '%Y-%m-%dT%H:%M:%S.%gZ') as event_time, data_source, ` +
      `'${classOfQuotes}' as class from (select *, coalesce(previous_close, (select ` +
      "max_by(daily_close, day.price_date) from marts_stocks.stock_analytics as day " +
      "where day.symbol = quote.symbol and day.price_date < quote.price_date)) as reference " +
      "from stg_stocks.stg_stock_prices as quote where is_valid) " +
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

async function compareTable(page, classOfQuotes) {
  await page.waitForSelector(".performance tbody tr");
  const expected = expectedCells(classOfQuotes);
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
  await check("every cell of the table is SQL's answer", async () => {
    const view = await open(browser, "?set=all");
    const note = await compareTable(view, "simulated");
    await view.context().close();
    return note;
  });
  await check("a finished run makes the page fetch the marts again", async () => {
    const view = await open(browser, "?s=AAPL&set=all&r=6M");
    await drawn(view);
    const [last] = sql(
      "select price, topic_offset from raw_stocks.stock_prices where symbol = 'AAPL' " +
        'order by "timestamp" desc limit 1',
    );
    const { records } = await get(`${kTopic}?offset=${last.topic_offset}&limit=1`);
    const price = Math.round(last.price * 110) / 100;
    const next = { ...JSON.parse(records[0].value), price, timestamp: new Date().toISOString() };
    const asked = [];
    view.on("request", (request) => asked.push(new URL(request.url()).pathname));
    const answer = await fetch(base + kTopic, {
      method: "POST",
      headers: {
        "content-type": "application/x-ndjson",
        authorization: `Bearer ${readFileSync(join(directory, "token"), "utf8").trim()}`,
      },
      body: JSON.stringify(next),
    });
    assert.equal(answer.status, 200);
    const cell = `td[data-column=daily_close][data-value="${price}"]`;
    await view.waitForSelector(`tr[data-symbol=AAPL] ${cell}`);
    assert.ok(asked.includes("/api/v1/analytics"), asked.join(" "));
    await view.waitForFunction((wanted) => __tapeline.chart().last.close === wanted, price);
    await whenQuiet();
    await view.context().close();
  });
  await check("a figure leads to its messages, and these to the bytes in the log", async () => {
    const view = await open(browser, "?s=AAPL&r=6M", { bypassCSP: true });
    await drawn(view);
    const [day] = sql(
      "select count(*) as messages from raw_stocks.stock_prices where symbol = 'AAPL' and " +
        "price_date = (select max(price_date) from raw_stocks.stock_prices where symbol = 'AAPL')",
    );
    await view.click(".figures button");
    const count = day.messages.toLocaleString("en-US");
    await view.waitForSelector(`dialog p:has-text("${count} message")`);
    await view.click("dialog tbody tr:first-of-type button");
    const shown = (await view.locator("dialog pre").innerText()).replace(/\n /g, "");
    const offset = Number(await view.locator("dialog tbody tr:first-of-type button").innerText());
    const { records } = await get(`${kTopic}?offset=${offset}&limit=1`);
    assert.equal(shown, records[0].value);
    assert.equal(JSON.parse(shown).symbol, "AAPL");
    assert.deepEqual(await serious(view), []);
    await view.keyboard.press("Escape");
    await view.locator(".canvas").focus();
    await view.keyboard.press("ArrowLeft");
    await view.keyboard.press("ArrowLeft");
    await view.keyboard.press("Enter");
    await view.waitForSelector("dialog[open] p:has-text('1 message in')");
    await view.context().close();
    return `${day.messages} messages of the day`;
  });

  await down("SIGTERM");
  directory = join(home, "days");
  run("import", kHistory);
  await up("--feed", "none");
  await check("an imported history of days opens on its months, with spark lines", async () => {
    const view = await open(browser, "", { bypassCSP: true });
    await drawn(view);
    assert.equal(await view.locator(".preset[aria-pressed=true]").first().innerText(), "6M");
    assert.equal(await view.locator(".watch-row .spark-line").count(), 2);
    assert.deepEqual(await serious(view), []);
    await view.getByRole("button", { name: "1D", exact: true }).click();
    await view.waitForSelector(".nothing:has-text('nothing finer than days')");
    await view.getByRole("button", { name: "Show six months of days" }).click();
    await view.waitForURL(/r=6M/);
    await drawn(view);
    await view.context().close();
  });
  await check("every cell of the imported table is SQL's answer", async () => {
    const view = await open(browser, "?set=all");
    const note = await compareTable(view, "history");
    await view.context().close();
    return note;
  });

  await down("SIGTERM");
  env = { ...env, TAPELINE_API_TOKEN: "all-of-it", TAPELINE_VIEW_TOKEN: "to-read" };
  await up("--feed", "none");
  await check("with a token set the page asks for it, and the printed link logs in once", async () => {
    assert.equal((await fetch(`${base}/api/v1/quotes`)).status, 401);
    const view = await open(browser, "", { bypassCSP: true });
    await view.waitForSelector("h1:has-text('asks for a token')");
    assert.deepEqual(await serious(view), []);
    await view.fill("input[name=token]", "guess");
    await view.keyboard.press("Enter");
    await view.waitForSelector("[role=alert]:has-text('not known')");
    await view.fill("input[name=token]", "to-read");
    await view.keyboard.press("Enter");
    await drawn(view);
    await view.context().close();
    const link = new URL(/http:\S+login\?code=\w+/.exec(said)[0]);
    const linked = await open(browser, link.pathname.slice(1) + link.search);
    await drawn(linked);
    assert.equal(new URL(linked.url()).search, "");
    await linked.context().close();
    assert.equal((await fetch(link, { redirect: "manual" })).status, 401);
  });
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
