// A browser before the built page, for the tests. Without BASE_URL the page is the fake server's,
// with scenes; with BASE_URL that of what answers there. CHROMIUM names the browser.

import { chromium } from "playwright-core";
import { startFakeServer } from "./fake_server.mjs";

const isRoot = process.getuid?.() === 0;
export const kDesktop = { width: 1440, height: 900 };
export const kPhone = { width: 390, height: 844 };

/** Waits until the chart has bars. */
export const drawn = (page) =>
  page.waitForFunction(() => (globalThis.__tapeline?.chart()?.bars ?? 0) > 1, null, {
    timeout: 15_000,
  });

export async function startBrowser() {
  const fake = process.env.BASE_URL === undefined ? await startFakeServer() : null;
  const base = fake?.url ?? process.env.BASE_URL;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: isRoot ? ["--no-sandbox"] : [],
  });

  /** A page of its own, and what it must not do: log an error, or ask another host. */
  async function open(query = "", options = {}) {
    const { axe, prepare, ...rest } = options;
    const context = await browser.newContext({
      viewport: kDesktop,
      reducedMotion: "reduce",
      bypassCSP: axe === true,
      ...rest,
    });
    const page = await context.newPage();
    const wrongs = [];
    page.on("console", (message) => {
      if (message.type() === "error") wrongs.push(message.text());
    });
    page.on("pageerror", (error) => wrongs.push(error.message));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== new URL(base).origin)
        wrongs.push(request.url());
    });
    await prepare?.(page);
    await page.goto(base + "/" + query);
    return { page, wrongs, close: () => context.close() };
  }

  return {
    base,
    browser,
    fake,
    open,
    get: async (path) => (await fetch(base + path)).json(),
    scene: (change) => fetch(`${base}/fake`, { method: "POST", body: JSON.stringify(change) }),
    stop: async () => {
      await browser.close();
      await fake?.stop();
    },
  };
}
