// What the page does when answers come late, connections die and requests fail. The page's clock
// is moved by hand, and the fake server says exactly what happens, so all of it needs the fake.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { drawn, startBrowser } from "./browser.mjs";

const { fake, get, open, scene, stop } = await startBrowser();
after(stop);

const skip = fake === null ? "needs the fake server's scenes" : false;
const isQuotes = (answer) => answer.url().endsWith("/api/v1/quotes");
const isBars = (request) => request.url().includes("/api/v1/bars");

/** A promise and what settles it. */
function later() {
  let done;
  const promise = new Promise((resolve) => (done = resolve));
  return { promise, done };
}

/** Opens a page whose clock can be moved, and counts what it asks for. */
async function openTimed(query, prepare) {
  const opened = await open(query, {
    prepare: async (page) => {
      await page.clock.install();
      await prepare?.(page);
    },
  });
  const asked = [];
  opened.page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await drawn(opened.page);
  return { ...opened, count: (path) => asked.filter((each) => each === path).length };
}

/** Waits until the page has taken everything that was pushed up to now. */
let marks = 0;
async function caughtUp(page) {
  const mark = `mark ${++marks}`;
  await scene({ feedError: mark });
  await page.waitForSelector(`.feed-error:has-text("${mark}")`);
  await scene({ feedError: null });
}

/** A server on which nothing happens by itself, until the test is over. */
async function quiet(t) {
  t.after(() => scene({ silent: false, feedError: null }));
  await scene({ silent: true });
}

test("an answer that comes late puts no older price over a newer one", { skip }, async (t) => {
  const late = later();
  const { page, close } = await open("?s=AAPL", {
    prepare: (each) =>
      each.route("**/api/v1/quotes", async (route) => {
        const response = await route.fetch();
        await late.promise;
        await route.fulfill({ response });
      }, { times: 1 }),
  });
  const shown = page.locator(".watch-row[data-symbol=AAPL] .flashing");
  await shown.waitFor();
  const first = await shown.innerText();
  await page.waitForFunction(
    (old) => document.querySelector("[data-symbol=AAPL] .flashing").innerText !== old,
    first,
  );
  await quiet(t);
  await caughtUp(page);
  const answered = page.waitForResponse((answer) => isQuotes(answer));
  late.done();
  await answered;
  // The line of the day comes with that answer only.
  await page.waitForFunction(
    () =>
      document.querySelector("[data-symbol=AAPL] .spark-line")?.getAttribute("d").split("L")
        .length > 5,
  );
  const { quotes } = await get("/api/v1/quotes");
  const { price } = quotes.find(({ symbol }) => symbol === "AAPL");
  assert.equal(await shown.innerText(), price.toFixed(2));
  await close();
});

test("a stream that died without a word is opened anew, all is asked again", { skip }, async (t) => {
  t.after(() => scene({ feedError: null }));
  const { page, count, close } = await openTimed("");
  await caughtUp(page);
  const before = count("/api/v1/stream");
  await scene({ does: "cut" });
  await scene({ feedError: "told to nobody" });
  const probed = page.waitForResponse((answer) => answer.url().endsWith("/api/v1/status"));
  await page.clock.fastForward(30_000);
  await probed;
  const opened = page.waitForRequest((request) => request.url().endsWith("/api/v1/stream"));
  const asked = page.waitForRequest(isQuotes);
  for (let i = 0; i < 20 && count("/api/v1/stream") === before; ++i) await page.clock.runFor(1000);
  await opened;
  await asked;
  await page.waitForSelector("[data-banner]", { state: "detached" });
  await page.waitForSelector(".feed-error:has-text('told to nobody')");
  await close();
});

test("a quiet market is no dead stream", { skip }, async (t) => {
  const { page, count, close } = await openTimed("");
  await quiet(t);
  await caughtUp(page);
  await caughtUp(page);
  const before = count("/api/v1/stream");
  for (let i = 1; i <= 4; ++i) {
    const probed = page.waitForResponse((answer) => answer.url().endsWith("/api/v1/status"));
    await page.clock.fastForward(31_000);
    await probed;
    await page.clock.runFor(6000);
  }
  assert.equal(count("/api/v1/stream"), before);
  assert.equal(await page.locator("[data-banner]").count(), 0);
  await close();
});

test("Tab reaches the watchlist whatever is selected and filtered", { skip }, async () => {
  for (const [query, typed] of [
    ["?s=NOPE", ""],
    ["?s=AAPL", "M"],
  ]) {
    const { page, close } = await open(query);
    await page.waitForSelector(".watch-row[data-symbol]");
    await page.fill("#search", typed);
    await page.waitForFunction(
      (wanted) => document.querySelector(".watch-row").dataset.symbol.includes(wanted),
      typed,
    );
    const first = await page.locator(".watch-row").first().getAttribute("data-symbol");
    assert.deepEqual(
      await page
        .locator(".watch-row[tabindex='0']")
        .evaluateAll((rows) => rows.map((row) => row.dataset.symbol)),
      [first],
      query,
    );
    await close();
  }
});

test("a paused chart stays as it is when a gap is found, until it goes on", { skip }, async (t) => {
  const { page, count, close } = await openTimed("?s=AAPL&r=1D");
  await quiet(t);
  await caughtUp(page);
  await page.keyboard.press("Space");
  await page.waitForSelector(".banner:has-text('PAUSED')");
  await page.clock.runFor(20_000);
  const before = count("/api/v1/bars");
  await scene({ does: "gap" });
  await caughtUp(page);
  await page.clock.runFor(20_000);
  assert.equal(count("/api/v1/bars"), before);
  const asked = page.waitForRequest(isBars);
  await page.keyboard.press("Space");
  await page.clock.runFor(5000);
  await asked;
  await close();
});

for (const [name, query] of [
  ["minutes", "?s=AAPL&r=1D&i=1m"],
  ["days", "?s=AAPL&r=6M"],
]) {
  test(`a refresh of ${name} that fails is tried again without a run`, { skip }, async (t) => {
    const { page, close } = await openTimed(query);
    await quiet(t);
    await caughtUp(page);
    // What earlier runs left to be done.
    await page.clock.runFor(60_000);
    await scene({ failBars: true });
    t.after(() => scene({ failBars: false }));
    await scene({ does: "run" });
    await caughtUp(page);
    for (const pause of [10_000, 2000, 5000]) {
      const failed = page.waitForResponse((answer) => isBars(answer.request()));
      await page.clock.runFor(pause + 1000);
      assert.equal((await failed).status(), 503);
      // The page has to have read the answer before its clock goes on.
      await page.evaluate(() => fetch("/api/v1/status").then((each) => each.text()));
    }
    await scene({ failBars: false });
    const answered = page.waitForResponse((answer) => isBars(answer.request()));
    await page.clock.runFor(31_000);
    assert.equal((await answered).status(), 200);
    await page.waitForSelector(".nothing", { state: "detached" });
    await close();
  });
}

test("a run that ends while the chart is loading is asked about after it", { skip }, async (t) => {
  const { page, close } = await openTimed("?s=AAPL&r=1D&i=1m");
  await quiet(t);
  await caughtUp(page);
  await page.clock.runFor(60_000);
  const late = later();
  await page.route((url) => url.pathname === "/api/v1/bars", async (route) => {
    await late.promise;
    await route.continue();
  }, { times: 1 });
  const began = page.waitForRequest(isBars);
  await page.keyboard.type("5");
  await page.clock.runFor(1000);
  await began;
  await scene({ does: "run" });
  await caughtUp(page);
  // The run's refresh comes due, the question's deadline does not.
  await page.clock.runFor(12_000);
  const answered = page.waitForResponse((answer) => isBars(answer.request()));
  late.done();
  await answered;
  await page.waitForSelector(".canvas[aria-label*='bars of 5m']");
  const again = page.waitForRequest(isBars);
  await page.clock.runFor(15_000);
  await again;
  await close();
});

test("a table that was not refreshed is asked for again, then all is well", { skip }, async (t) => {
  const { page, close } = await openTimed("");
  await quiet(t);
  await caughtUp(page);
  await page.clock.runFor(60_000);
  const problem = { code: "unavailable", message: "the warehouse is busy", hint: "" };
  await page.route(
    (url) => url.pathname === "/api/v1/analytics" && url.search === "",
    (route) => route.fulfill({ status: 503, json: { error: problem } }),
    { times: 1 },
  );
  await scene({ does: "run" });
  await caughtUp(page);
  await page.clock.runFor(2500);
  await page.waitForSelector(".banner[role=alert]:has-text('The warehouse is busy')");
  await page.clock.runFor(2500);
  await page.waitForSelector(".banner[role=alert]", { state: "detached" });
  const { load_id: loadId } = await get("/api/v1/analytics");
  await page.waitForSelector(`.performance table[data-load-id="${loadId}"]`);
  await close();
});
