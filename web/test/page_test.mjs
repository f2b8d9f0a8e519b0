// The built page in a real browser. Where BASE_URL names a server, the scenes are left out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { drawn, kDesktop, kPhone, startBrowser } from "./browser.mjs";

const kAxe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const { base, browser, fake, get, open, scene, stop } = await startBrowser();
after(stop);

async function serious(page) {
  await page.addScriptTag({ content: kAxe });
  const { violations } = await page.evaluate("axe.run()");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`)
          .slice(0, 4)
          .join(" | ")}`,
    );
}

const firstSymbol = async () => (await get("/api/v1/symbols")).symbols[0];

test("the page draws a chart and a watchlist without an error or a foreign request", async () => {
  const { page, wrongs, close } = await open();
  await drawn(page);
  const { symbols } = await get("/api/v1/symbols");
  assert.deepEqual(
    await page.locator(".watch-row").evaluateAll((rows) => rows.map((row) => row.dataset.symbol)),
    symbols,
  );
  for (const preset of ["5D", "1M", "6M", "All"]) {
    await page.getByRole("button", { name: preset, exact: true }).first().click();
    await page.waitForURL(new RegExp(`r=${preset}`));
  }
  await drawn(page);
  assert.deepEqual(wrongs, []);
  await close();
});

test("every cell of the table is the API's value", async () => {
  const { page, close } = await open("?set=all");
  await page.waitForSelector(".performance tbody tr");
  await page.keyboard.press("Space");
  const cells = () =>
    page
      .locator(".performance tbody tr")
      .evaluateAll((rows) =>
        Object.fromEntries(
          rows.map((row) => [
            row.dataset.symbol,
            Object.fromEntries(
              [...row.querySelectorAll("[data-column]")].map((cell) => [
                cell.dataset.column,
                cell.dataset.value,
              ]),
            ),
          ]),
        ),
      );
  for (let attempt = 0; ; ++attempt) {
    const { columns, rows, load_id: loadId } = await get("/api/v1/analytics");
    const shown = await page.locator(".performance table").getAttribute("data-load-id");
    if (shown !== String(loadId)) {
      assert.ok(attempt < 40, "the table never showed the load that the API has");
      await page.keyboard.press("Space");
      await page.waitForTimeout(400);
      await page.keyboard.press("Space");
      continue;
    }
    const found = await cells();
    let differing = 0;
    for (const row of rows) {
      for (const column of columns) {
        const expected = row[column] === null ? "" : String(row[column]);
        if (found[row.symbol]?.[column] !== expected) ++differing;
      }
    }
    if (differing === 0) break;
    assert.ok(attempt < 40, `${differing} cells differ at load ${loadId}`);
    await page.waitForTimeout(100);
  }
  await close();
});

test("headers sort, shift-click adds a key, the filter filters, the address tells", async () => {
  const { page, close } = await open();
  await page.waitForSelector(".performance tbody tr");
  const header = (column) => page.locator(`.performance thead th[data-column=${column}] button`);
  await header("rsi_14").click();
  await header("last").click({ modifiers: ["Shift"] });
  assert.match(decodeURIComponent(page.url()), /sort=-rsi_14,-last/);
  assert.equal(
    await page.locator("th[data-column=rsi_14]").first().getAttribute("aria-sort"),
    "descending",
  );
  const values = await page
    .locator(".performance tbody td[data-column=rsi_14]")
    .evaluateAll((all) => all.map((cell) => Number(cell.dataset.value || -1)));
  assert.deepEqual(
    values,
    [...values].sort((a, b) => b - a),
  );
  const symbol = await firstSymbol();
  await page.fill("#table-filter", symbol);
  await page.waitForFunction(
    (wanted) =>
      [...document.querySelectorAll(".performance tbody tr")].every((row) =>
        row.dataset.symbol.includes(wanted),
      ),
    symbol,
  );
  await page.fill("#table-filter", "nonsense > 1");
  await page.waitForSelector(".filter-problem:has-text('no column')");
  await close();
});

test("the keyboard alone finds a symbol, an interval, the bars and the help", async () => {
  const { page, wrongs, close } = await open();
  await drawn(page);
  const { symbols } = await get("/api/v1/symbols");
  const last = symbols.at(-1);
  await page.keyboard.type(last.toLowerCase());
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`s=${last}`));
  await drawn(page);
  await page.keyboard.press("[");
  if (symbols.length > 1) await page.waitForURL(new RegExp(`s=${symbols.at(-2)}`));
  await page.keyboard.type("15");
  await page.waitForURL(/i=15m/);
  await drawn(page);
  await page.locator(".canvas").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.match(await page.locator("[aria-live=polite]").innerText(), /open [\d.,]+, high/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Alt+l");
  await page.waitForURL(/scale=log/);
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "detached" }).catch(() => undefined);
  await page.keyboard.press("Space");
  await page.waitForSelector(".banner:has-text('PAUSED')");
  await page.keyboard.press("Space");
  await page.goBack();
  assert.deepEqual(wrongs, []);
  await close();
});

test("Tab reaches every part, each with a visible focus", async () => {
  const { page, close } = await open();
  await drawn(page);
  const reached = new Set();
  for (let i = 0; i < 60; ++i) {
    await page.keyboard.press("Tab");
    const part = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === null || at === document.body) return "";
      const style = getComputedStyle(at);
      if (style.outlineStyle === "none") return `without focus ring: ${at.outerHTML.slice(0, 80)}`;
      return (
        [
          ".skip",
          ".watch-row",
          ".preset",
          ".choice",
          ".canvas",
          "#from-day",
          "#table-filter",
          ".row-symbol",
          ".credits a",
        ].find((each) => at.matches(each)) ?? ""
      );
    });
    assert.ok(!part.startsWith("without"), part);
    reached.add(part);
  }
  for (const part of [
    ".skip",
    ".watch-row",
    ".preset",
    ".choice",
    ".canvas",
    "#from-day",
    "#table-filter",
    ".row-symbol",
  ]) {
    assert.ok(reached.has(part), `Tab does not reach ${part}`);
  }
  await close();
});

test("axe finds nothing serious: light, dark, each palette, as table, on a phone, licences", async () => {
  const views = [
    ["?theme=light", kDesktop],
    ["?theme=dark&r=6M", kDesktop],
    ["?theme=dark&as=table&set=all", kDesktop],
    ["?theme=light&r=1Y", kPhone],
    ["licences.html?theme=dark", kDesktop],
  ];
  for (const [query, viewport] of views) {
    const { page, close } = await open(query, { axe: true, viewport });
    if (query.startsWith("?")) await drawn(page);
    await page.waitForTimeout(300);
    assert.deepEqual(await serious(page), [], query);
    for (const palette of ["red-up", "blue-orange"]) {
      await page.evaluate((name) => (document.documentElement.dataset.palette = name), palette);
      assert.deepEqual(await serious(page), [], `${query} ${palette}`);
    }
    await close();
  }
});

test("nothing is wider than a phone, and than 320 pixels", async () => {
  for (const viewport of [kPhone, { width: 320, height: 640 }]) {
    for (const query of ["?r=1D", "?r=6M&set=all", "?as=table"]) {
      const { page, close } = await open(query, { viewport });
      await drawn(page);
      const [content, window] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        innerWidth,
      ]);
      assert.ok(content <= window, `${query}: ${content} > ${window}`);
      await close();
    }
  }
});

test("simulated data say so on the symbol, in the strip and in the file's name", async (t) => {
  const status = await get("/api/v1/status");
  if (status.data.kind !== "simulated") return t.skip("the data are not simulated");
  const { page, close } = await open();
  await drawn(page);
  await page.waitForSelector(".symbol-head .badge:has-text('SIMULATED')");
  await page.waitForSelector(".strip .chip:has-text('SIMULATED')");
  await page.waitForSelector(".notes:has-text('Unadjusted')");
  const [saved] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download CSV" }).click(),
  ]);
  assert.match(saved.suggestedFilename(), /simulated/);
  await close();
});

test("prices are pushed: they change without another request", async (t) => {
  const status = await get("/api/v1/status");
  if (status.feed.state !== "live" || status.feed.class === "none") return t.skip("no live feed");
  const { page, close } = await open();
  await drawn(page);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  const read = () => page.locator(".watch-figures").allInnerTexts();
  const old = (await read()).join();
  await page.waitForFunction(
    (was) =>
      [...document.querySelectorAll(".watch-figures")].map((each) => each.innerText).join() !== was,
    old,
    { timeout: 10_000 },
  );
  assert.ok(!asked.includes("/api/v1/quotes"), "quotes were polled");
  await close();
});

test("a lost stream is said, the data stay, and the page recovers by itself", async () => {
  const { page, close } = await open();
  await drawn(page);
  const before = await page.locator(".watch-row").count();
  if (fake !== null) await scene({ refuseStream: true, does: "drop" });
  else await page.context().setOffline(true);
  await page.waitForSelector("[data-banner]", { timeout: 45_000 }).catch(() => undefined);
  if (fake !== null) {
    assert.equal(await page.locator("[data-banner=reconnecting]").count(), 1);
    assert.match(await page.locator(".banners > [role=status]").innerText(), /is reconnecting/);
    assert.equal(await page.locator("[role=status]:has-text('ago')").count(), 0);
    assert.equal(await page.locator(".strip .chip").getAttribute("data-state"), "stale");
  }
  assert.equal(await page.locator(".watch-row").count(), before);
  if (fake !== null) await scene({ refuseStream: false });
  else await page.context().setOffline(false);
  await page.waitForSelector("[data-banner]", { state: "detached", timeout: 40_000 });
  await page.waitForFunction(
    () => document.querySelector(".strip .chip").dataset.state !== "stale",
  );
  await close();
});

test("stale, closed, replayed, empty and failing states are said in words", async (t) => {
  if (fake === null) return t.skip("needs the fake server's scenes");
  const told = async (change, query, selector, undo) => {
    await scene(change);
    const { page, close } = await open(query);
    await page.waitForSelector(selector, { timeout: 10_000 });
    await close();
    await scene(undo);
  };
  await told({ silent: true, ageMs: 42_000 }, "", ".symbol-head .badge.stale:has-text('STALE')", {
    silent: false,
    ageMs: 0,
  });
  await told(
    { feedState: "closed", session: "closed", calendar: "XNYS", nextOpen: "2026-11-23T14:30:00Z" },
    "",
    ".market:has-text('opens Mon 23 Nov 2026 09:30 EST')",
    { feedState: "live", session: "regular", calendar: "SIM", nextOpen: null },
  );
  await told(
    { feedClass: "replay", feedName: "replay", kind: "market" },
    "",
    ".symbol-head .badge.replay:has-text('REPLAY')",
    { feedClass: "simulated", feedName: "simulator", kind: "simulated" },
  );
  await told(
    { feedState: "reconnecting", feedError: "the stream: refused: HTTP status 503" },
    "",
    ".strip .bad:has-text('feed simulator reconnecting: the stream: refused: HTTP status 503')",
    { feedState: "live", feedError: null },
  );
  await told({ empty: true }, "", "h1:has-text('Waiting for the first quotes')", { empty: false });
  await told(
    { empty: true, feedClass: "none", feedName: "none" },
    "",
    "h1:has-text('No prices yet')",
    { empty: false, feedClass: "simulated", feedName: "simulator" },
  );
  await told({ failBars: true }, "", ".nothing:has-text('The warehouse is busy')", {
    failBars: false,
  });
  await told({}, "?s=NOPE", "h1:has-text('NOPE is not known here')", {});
  await told({}, "?r=9Y", ".banner:has-text('is not understood')", {});
});

test("two tabs share one stream, and the second takes over when the first closes", async (t) => {
  if (fake === null) return t.skip("counts the fake server's streams");
  const context = await browser.newContext({ viewport: kDesktop });
  const streams = [];
  context.on("request", (request) => {
    if (request.url().includes("/stream")) streams.push(request.url());
  });
  const first = await context.newPage();
  await first.goto(base);
  await drawn(first);
  const second = await context.newPage();
  await second.goto(base);
  await drawn(second);
  await second.waitForTimeout(500);
  assert.equal(streams.length, 1);
  assert.equal(await second.locator(".strip .chip").getAttribute("data-state"), "simulated");
  // Between the two streams something may have been missed.
  const asked = second.waitForRequest((request) => request.url().endsWith("/api/v1/quotes"));
  await first.close();
  for (let i = 0; i < 50 && streams.length < 2; ++i) await second.waitForTimeout(100);
  assert.equal(streams.length, 2);
  await asked;
  await context.close();
});

test("the growing bar is the server's, for minutes, larger buckets and days", async (t) => {
  if (fake === null) return t.skip("stops the fake server's quotes to compare");
  for (const interval of ["1m", "5m", "4h", "1d"]) {
    const { page, close } = await open(`?s=AAPL&r=5D&i=${interval}`);
    await drawn(page);
    const before = await page.evaluate(() => globalThis.__tapeline.chart().last);
    await page.waitForFunction(
      (old) => JSON.stringify(globalThis.__tapeline.chart().last) !== old,
      JSON.stringify(before),
      { timeout: 20_000 },
    );
    await scene({ silent: true });
    await page.waitForTimeout(300);
    const to = new Date(Date.now() + 60_000).toISOString();
    const from = new Date(Date.now() - 86_400_000).toISOString();
    const { bars } = await get(
      `/api/v1/bars?symbol=AAPL&interval=${interval}&from=${from}&to=${to}`,
    );
    const { last } = await page.evaluate(() => globalThis.__tapeline.chart());
    await scene({ silent: false });
    const { time, open: opened, high, low, close: closed, volume } = bars.at(-1);
    assert.deepEqual(
      [last.time, last.open, last.high, last.low, last.close, last.volume],
      [Date.parse(time), opened, high, low, closed, volume],
      interval,
    );
    await close();
  }
});

test("the days' slider moves by key, and the address and the chart follow", async () => {
  const { page, close } = await open("?r=1Y");
  await drawn(page);
  await page.waitForSelector("#from-day");
  const before = (await page.evaluate(() => globalThis.__tapeline.chart())).bars;
  await page.locator("#from-day").focus();
  for (let i = 0; i < 3; ++i) await page.keyboard.press("PageUp");
  await page.waitForURL(/from=\d{4}-\d\d-\d\d&to=/);
  await page.waitForFunction((old) => globalThis.__tapeline.chart().bars < old, before);
  await page.goBack();
  await page.waitForURL(/r=1Y/);
  await page.waitForFunction((old) => globalThis.__tapeline.chart().bars === old, before);
  await close();
});

test("a reader who has panned back is not moved, and is told of new bars", async (t) => {
  if (fake === null) return t.skip("needs a minute that ends soon");
  const { page, close } = await open("?r=1D&i=1m");
  await drawn(page);
  await page.locator(".canvas").focus();
  for (let i = 0; i < 6; ++i) await page.keyboard.press("+");
  const box = await page.locator(".canvas").boundingBox();
  await page.mouse.move(box.x + 300, box.y + 150);
  await page.mouse.down();
  await page.mouse.move(box.x + 900, box.y + 150, { steps: 5 });
  await page.mouse.up();
  const from = (await page.evaluate(() => globalThis.__tapeline.chart())).from;
  await page.waitForSelector(".pill", { timeout: 75_000 });
  const now = await page.evaluate(() => globalThis.__tapeline.chart());
  assert.ok(Math.abs(now.from - from) < 2, `${from} became ${now.from}`);
  await page.locator(".pill").click();
  await page.waitForSelector(".pill", { state: "detached" });
  await close();
});

test("a clicked bar stays in the legend and leads to its messages and their bytes", async (t) => {
  if (fake === null) return t.skip("knows the fake server's messages");
  const { page, wrongs, close } = await open("?s=AAPL&r=6M", { axe: true });
  await drawn(page);
  const box = await page.locator(".canvas").boundingBox();
  await page.mouse.click(box.x + box.width / 3, box.y + 120);
  const pointed = await page.locator(".legend-time").innerText();
  await page.mouse.move(box.x + box.width / 3, box.y - 60);
  await page.waitForTimeout(200);
  assert.equal(await page.locator(".legend-time").innerText(), pointed);
  await page.click(".legend-messages");
  await page.waitForSelector(`dialog[open] h2:has-text("${pointed}")`);
  await page.waitForSelector("dialog p:has-text('3 messages'):has-text('Dimmed')");
  assert.equal(await page.locator("dialog tr.aside").count(), 1);
  const offsets = page.locator("dialog td .link");
  await offsets.nth(0).click();
  await page.waitForSelector("dialog pre:has-text('\"symbol\":\"AAPL\"')");
  assert.deepEqual(await serious(page), []);
  await offsets.nth(2).click();
  await page.waitForSelector("dialog .record:has-text('no longer holds')");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "detached" });
  assert.deepEqual(wrongs, []);
  await close();
});

test("an offset that two topics share opens one record", async (t) => {
  if (fake === null) return t.skip("knows the fake server's messages");
  const { page, close } = await open("?s=AAPL&r=6M", {
    prepare: (each) =>
      each.route("**/api/v1/messages?*", async (route) => {
        const response = await route.fetch();
        const json = await response.json();
        for (const message of json.messages) message.offset = 41;
        await route.fulfill({ response, json });
      }),
  });
  await drawn(page);
  await page.click(".legend-messages");
  await page.locator("dialog td .link").nth(1).click();
  await page.waitForSelector("dialog tr.record");
  assert.equal(await page.locator("dialog tr.record").count(), 1);
  await close();
});

test("a chart that is resized goes on showing its whole range", async () => {
  const { page, close } = await open("?r=1Y");
  await drawn(page);
  for (const width of [700, 1300]) {
    await page.setViewportSize({ width, height: 900 });
    await page.waitForTimeout(400);
    const { bars, from, to } = await page.evaluate(() => globalThis.__tapeline.chart());
    assert.ok(from < 1 && to >= bars - 1, `${width}: ${from} to ${to} of ${bars}`);
  }
  await close();
});

test("where a token is wanted the page asks for it, and goes on with the right one", async (t) => {
  if (fake === null) return t.skip("needs the fake server's scenes");
  await scene({ token: "right" });
  const { page, close } = await open("", { axe: true });
  await page.waitForSelector("h1:has-text('asks for a token')");
  assert.deepEqual(await serious(page), []);
  await page.fill("input[name=token]", "wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[role=alert]:has-text('not known')");
  await page.fill("input[name=token]", "right");
  await page.keyboard.press("Enter");
  await drawn(page);
  assert.equal(await page.locator("[data-banner]").count(), 0);
  await close();
});
