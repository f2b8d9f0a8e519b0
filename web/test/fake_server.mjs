// A small stand-in for tapeline's HTTP API, for development and tests: made-up prices from a seed,
// the built page from dist/, and POST /fake {…} to set a scene. It keeps to the API's contract.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const kDist = join(dirname(fileURLToPath(import.meta.url)), "../dist");
const kPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";
const kTypes = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".svg": "image/svg+xml",
};
const kMinute = 60_000;
const kDay = 86_400_000;
const kSymbols = {
  AAPL: 189,
  AMZN: 178,
  COIN: 244,
  GOOGL: 135,
  META: 505,
  MSFT: 406,
  NFLX: 604,
  NVDA: 875,
  TSLA: 175,
  UBER: 78,
};

function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const seedOf = (text) =>
  [...text].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 16777619), 2166136261);
const round = (value, digits = 2) => Number(value.toFixed(digits));
const zone = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

function dateOf(ms) {
  const part = Object.fromEntries(zone.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}`;
}

function midnightOf(date) {
  for (const hours of [4, 5]) {
    const at = Date.parse(date) + hours * 3_600_000;
    if (dateOf(at) === date && dateOf(at - 1) !== date) return at;
  }
  return Date.parse(date) + 5 * 3_600_000;
}

const iso = (ms) => new Date(ms).toISOString();

/** Minutes of one day of one symbol, from its open to where it must end. */
function minutesOf(symbol, date, open, close, until) {
  const next = random(seedOf(symbol + date));
  const start = midnightOf(date);
  const count = 1440;
  const bars = [];
  let price = open;
  for (let i = 0; i < count; ++i) {
    const at = start + i * kMinute;
    const left = count - i;
    const opened = price;
    price += (close - price) / left + (next() - 0.5) * open * 0.0011;
    if (i === count - 1) price = close;
    const high = Math.max(opened, price) * (1 + next() * 0.0003);
    const low = Math.min(opened, price) * (1 - next() * 0.0003);
    const volume = Math.floor(200 + next() * 900 * (1 + 3 * Math.exp(-(((i - 600) / 200) ** 2))));
    if (at < until) {
      bars.push({
        at,
        open: round(opened),
        high: round(high),
        low: round(low),
        close: round(price),
        volume,
        count: 3 + Math.floor(next() * 9),
      });
    }
  }
  return bars;
}

function history(symbol, last, now) {
  const next = random(seedOf(symbol));
  const days = [];
  const closes = [last];
  for (let i = 0; i < 700; ++i) closes.unshift(closes[0] / (1 + (next() - 0.487) * 0.034));
  const today = dateOf(now);
  for (let i = 700; i >= 0; --i) {
    const date = new Date(Date.parse(today) - i * kDay).toISOString().slice(0, 10);
    const open = round(closes[700 - i] * (1 + (next() - 0.5) * 0.008));
    const close = round(closes[700 - i]);
    days.push({
      date,
      open,
      close,
      high: round(Math.max(open, close) * (1 + next() * 0.009)),
      low: round(Math.min(open, close) * (1 - next() * 0.009)),
      volume: Math.floor(2e6 + next() * 6e6),
    });
  }
  return days;
}

const kColumns = [
  "stock_analytics_id",
  "symbol",
  "price_date",
  "daily_open",
  "daily_high",
  "daily_low",
  "daily_close",
  "total_volume",
  "avg_volume",
  "daily_change_pct",
  "daily_return_pct",
  "data_points_count",
  "ma_7_day",
  "ma_30_day",
  "volatility_30_day",
  "return_volatility_30_day",
  "high_52_week",
  "low_52_week",
  "momentum_vs_30ma",
  "pct_from_52w_high",
  "pct_from_52w_low",
  "volume_ratio",
  "rsi_14",
  "return_z_30_day",
  "is_anomaly",
  "window_days",
  "load_id",
];

function martRow(symbol, days, i, loadId) {
  const day = days[i];
  const window = (count, of) => (i + 1 < count ? null : days.slice(i + 1 - count, i + 1).map(of));
  const mean = (values) => values && values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = (values) => {
    if (!values) return null;
    const middle = mean(values);
    return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
  };
  const part = (value, of) => (of ? ((value - of) / of) * 100 : null);
  const back = window(31, (d) => d.close);
  const returns = back && back.slice(1).map((v, k) => Math.log(v / back[k]));
  const ma30 = mean(window(30, (d) => d.close));
  const year = window(252, (d) => d);
  const high = year && Math.max(...year.map((d) => d.high));
  const low = year && Math.min(...year.map((d) => d.low));
  const moves = window(15, (d) => d.close);
  const steps = moves && moves.slice(1).map((v, k) => v - moves[k]);
  const gain = steps && steps.reduce((s, v) => s + Math.max(0, v), 0);
  const loss = steps && steps.reduce((s, v) => s + Math.max(0, -v), 0);
  const z = returns && (returns.at(-1) - mean(returns)) / deviation(returns);
  return {
    stock_analytics_id: `${(seedOf(symbol + day.date) >>> 0).toString(16)}`,
    symbol,
    price_date: day.date,
    daily_open: day.open,
    daily_high: day.high,
    daily_low: day.low,
    daily_close: day.close,
    total_volume: day.volume,
    avg_volume: day.volume / 5321,
    daily_change_pct: part(day.close, day.open),
    daily_return_pct: i === 0 ? null : part(day.close, days[i - 1].close),
    data_points_count: 5321,
    ma_7_day: mean(window(7, (d) => d.close)),
    ma_30_day: ma30,
    volatility_30_day: deviation(window(30, (d) => d.close)),
    return_volatility_30_day: returns && deviation(returns) * Math.sqrt(252),
    high_52_week: high,
    low_52_week: low,
    momentum_vs_30ma: ma30 && part(day.close, ma30),
    pct_from_52w_high: high && part(day.close, high),
    pct_from_52w_low: low && part(day.close, low),
    volume_ratio:
      mean(window(30, (d) => d.volume)) && day.volume / mean(window(30, (d) => d.volume)),
    rsi_14: steps && (gain + loss === 0 ? 50 : (100 * gain) / (gain + loss)),
    return_z_30_day: z,
    is_anomaly: z === null ? null : Math.abs(z) > 4,
    window_days: Math.min(i + 1, 252),
    load_id: loadId,
  };
}

const kLengths = { "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240 };

function bucketed(bars, keyOf, timeOf) {
  const out = [];
  for (const bar of bars) {
    const key = keyOf(bar);
    const last = out.at(-1);
    if (last?.key === key) {
      last.high = Math.max(last.high, bar.high);
      last.low = Math.min(last.low, bar.low);
      last.close = bar.close;
      last.volume += bar.volume;
      last.count += bar.count ?? 1;
    } else {
      out.push({
        key,
        time: timeOf(bar),
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        volume: bar.volume,
        count: bar.count ?? 1,
      });
    }
  }
  return out.map(({ key: _, ...bar }) => bar);
}

/** A server on a port of its own choosing (or `port`); `scene` changes what it tells. */
export async function startFakeServer({ port = 0, tickMs = 100, scene = {} } = {}) {
  const state = {
    empty: false,
    feedClass: "simulated",
    feedName: "simulator",
    badge: "SIMULATED",
    feedState: "live",
    feedError: null,
    calendar: "SIM",
    session: "regular",
    silent: false,
    refuseStream: false,
    failBars: false,
    unadjusted: true,
    kind: "simulated",
    ageMs: 0,
    nextOpen: null,
    close: null,
    token: null,
    ...scene,
  };
  const born = Date.now();
  const chance = random(7);
  const readers = new Set();
  let consumed = 48_211;
  let offset = 48_214;
  let loadId = 12;
  let ranAt = born;
  const world = new Map();
  for (const [symbol, price] of Object.entries(kSymbols)) {
    const days = history(symbol, price, born);
    const today = days.at(-1);
    const minutes = minutesOf(symbol, today.date, today.open, today.close, born);
    const upTo =
      minutes.length > 0
        ? minutes
        : [{ at: born - (born % kMinute), ...today, volume: 900, count: 4 }];
    Object.assign(today, {
      close: upTo.at(-1).close,
      high: Math.max(...upTo.map((m) => m.high)),
      low: Math.min(...upTo.map((m) => m.low)),
      volume: upTo.reduce((s, m) => s + m.volume, 0),
    });
    world.set(symbol, { days, minutes: upTo, at: born });
  }

  const quoteOf = (symbol, withSpark) => {
    const { days, minutes, at } = world.get(symbol);
    const today = days.at(-1);
    const previous = days.at(-2).close;
    const minute = minutes.at(-1);
    const hasPrevious = symbol !== "UBER";
    return {
      symbol,
      price: today.close,
      change: round(today.close - previous),
      change_pct: ((today.close - previous) / previous) * 100,
      reference: hasPrevious ? "previous_close" : "daily_close",
      reference_price: previous,
      previous_close: hasPrevious ? previous : null,
      open: today.open,
      high: today.high,
      low: today.low,
      volume: today.volume,
      session: state.session,
      event_time: iso(at - state.ageMs),
      received_at: iso(at - state.ageMs),
      data_source: state.feedName,
      class: state.feedClass,
      bar: {
        bar_start: iso(minute.at),
        open: minute.open,
        high: minute.high,
        low: minute.low,
        close: minute.close,
        volume: minute.volume,
        quote_count: minute.count,
      },
      ...(withSpark && {
        spark_of: "minutes",
        spark: minutes
          .filter((m, i) => i % Math.max(1, Math.ceil(minutes.length / 58)) === 0)
          .map((m) => m.close),
      }),
    };
  };

  const status = () => ({
    version: "0.1.0",
    now: iso(Date.now()),
    ready: true,
    feed: {
      name: state.feedName,
      class: state.feedClass,
      badge: state.badge,
      state: state.feedState,
      error: state.feedError,
      symbols: state.empty ? 0 : world.size,
      last_event_time: state.empty
        ? null
        : iso(Math.max(...[...world.values()].map((w) => w.at)) - state.ageMs),
      quotes_per_second: state.empty ? 0 : 9.8,
    },
    market: {
      calendar: state.calendar,
      session: state.session,
      open: null,
      close: state.close,
      next_open: state.nextOpen,
    },
    data: { kind: state.kind, directory: "simulated", unadjusted: state.unadjusted },
    equation: state.empty
      ? { consumed: 0, loaded: 0, duplicate: 0, superseded: 0, dead: 0, balanced: true }
      : { consumed, loaded: consumed - 5, duplicate: 4, superseded: 1, dead: 0, balanced: true },
    lag: state.empty ? 0 : 3,
    dag: state.empty
      ? null
      : {
          id: "stock_data_ingestion",
          paused: false,
          run_id: `run-${loadId}`,
          state: "success",
          started_at: iso(ranAt - 200),
          ended_at: iso(ranAt),
        },
    tests: state.empty ? null : { pass: 38, warn: 0, fail: 0, at: iso(ranAt) },
  });

  const written = (event, data, id) =>
    `event: ${event}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
  const send = (event, data, id) => {
    const text = written(event, data, id);
    for (const reader of readers) reader.write(text);
  };
  let told = "";
  const tellStatus = () => {
    const { now: _, ...rest } = status();
    const changed = JSON.stringify(rest);
    if (changed !== told) send("status", status());
    told = changed;
  };

  const tick = () => {
    if (state.silent || state.empty || state.feedState !== "live") return;
    const symbols = [...world.keys()];
    const symbol = symbols[Math.floor(chance() * symbols.length)];
    const of = world.get(symbol);
    const today = of.days.at(-1);
    const at = Date.now();
    const price = round(today.close * (1 + (chance() - 0.5) * 0.0006));
    const size = 1 + Math.floor(chance() * 40);
    let minute = of.minutes.at(-1);
    if (at - minute.at >= kMinute) {
      minute = {
        at: at - (at % kMinute),
        open: price,
        high: price,
        low: price,
        close: price,
        volume: 0,
        count: 0,
      };
      of.minutes.push(minute);
    }
    Object.assign(minute, {
      high: Math.max(minute.high, price),
      low: Math.min(minute.low, price),
      close: price,
      volume: minute.volume + size,
      count: minute.count + 1,
    });
    Object.assign(today, {
      close: price,
      high: Math.max(today.high, price),
      low: Math.min(today.low, price),
      volume: today.volume + size,
    });
    of.at = at;
    ++consumed;
    send("quote", quoteOf(symbol, false), `topic-1:${++offset}`);
  };
  const martNow = () =>
    [...world].map(([name, { days }]) => martRow(name, days, days.length - 1, loadId));
  let latest = martNow();
  const run = () => {
    const today = dateOf(Date.now());
    ++loadId;
    ranAt = Date.now();
    latest = martNow();
    send("run", {
      dag: "stock_data_ingestion",
      run_id: `run-${loadId}`,
      state: "success",
      loaded: 20,
      from: today,
      to: today,
      symbols: [...world.keys()],
    });
  };
  const timers = [
    setInterval(tick, tickMs),
    setInterval(tellStatus, 1000),
    setInterval(() => {
      if (!state.silent && !state.empty) run();
    }, 2000),
    setInterval(() => readers.forEach((reader) => reader.write(": heartbeat\n\n")), 5000),
  ];

  const barsAnswer = (query) => {
    const symbol = query.get("symbol") ?? "";
    const interval = query.get("interval") ?? "1m";
    const of = world.get(symbol);
    const from = Date.parse(query.get("from") ?? "");
    const to = Date.parse(query.get("to") ?? "");
    const limit = Number(query.get("limit") ?? 5000);
    if (of === undefined || state.empty)
      return { symbol, interval, bars: [], gaps: [], more: false };
    const length = kLengths[interval];
    let bars;
    let gaps = [];
    if (length !== undefined) {
      const minutes = of.days
        .slice(0, -1)
        .filter((d) => midnightOf(d.date) + kDay > from && midnightOf(d.date) < to)
        .flatMap((d) => minutesOf(symbol, d.date, d.open, d.close, Infinity))
        .concat(of.minutes);
      const start = midnightOf(of.days.at(-1).date) - 5 * 3_600_000;
      gaps = [
        { start: iso(start), end: iso(start + 42 * kMinute), cause: "feed disconnected" },
      ].filter((g) => Date.parse(g.end) > from && Date.parse(g.start) < to);
      const kept = minutes.filter(
        (m) =>
          m.at >= from &&
          m.at < to &&
          !gaps.some((g) => m.at >= Date.parse(g.start) && m.at < Date.parse(g.end)),
      );
      const start0 = (m) => {
        const midnight = midnightOf(dateOf(m.at));
        return midnight + Math.floor((m.at - midnight) / (length * kMinute)) * length * kMinute;
      };
      bars =
        length === 1
          ? kept.map(({ at, ...bar }) => ({ time: iso(at), ...bar }))
          : bucketed(kept, start0, (m) => iso(start0(m)));
    } else {
      const days = of.days.filter((d) => d.date >= dateOf(from) && d.date <= dateOf(to - 1));
      const week = (d) =>
        new Date(Date.parse(d.date) - ((new Date(d.date).getUTCDay() + 6) % 7) * kDay)
          .toISOString()
          .slice(0, 10);
      const key = { "1d": (d) => d.date, "1w": week, "1M": (d) => `${d.date.slice(0, 7)}-01` }[
        interval
      ];
      bars = bucketed(days, key, key);
    }
    return { symbol, interval, bars: bars.slice(0, limit), gaps, more: bars.length > limit };
  };

  const messagesAnswer = (query) => {
    const from = query.get("from");
    const at = from.includes("T") ? Date.parse(from) : midnightOf(from) + 9.5 * 3_600_000;
    const total = 3;
    const messages = Array.from({ length: total }, (_, i) => ({
      timestamp: iso(at + i * 1000).replace("Z", "250Z"),
      price: 100.25 + i,
      open: null,
      high: null,
      low: null,
      volume: i === 0 ? null : 10 * i,
      previous_close: null,
      session: i === 2 ? "post" : "regular",
      bar_length: null,
      data_source: "simulator",
      received_at: iso(at),
      appended_at: iso(at),
      load_id: 7,
      topic: "stock_prices",
      partition: 0,
      offset: 41 + i,
    }));
    return { symbol: query.get("symbol"), total, messages };
  };

  const recordsAnswer = (query) => {
    const at = Number(query.get("offset"));
    const value = JSON.stringify({ symbol: "AAPL", price: 100.25, timestamp: iso(Date.now()) });
    const records =
      at === 43 ? [] : [{ offset: at, appended_at: iso(Date.now()), key: "AAPL", value }];
    return { topic: "stock_prices", partition: 0, records, next: at + 1, earliest: 0, end: 99 };
  };

  const analyticsAnswer = (query) => {
    if (state.empty) return { columns: kColumns, rows: [], load_id: null };
    const symbol = query.get("symbol");
    if (symbol === null) {
      return { columns: kColumns, rows: latest, load_id: loadId };
    }
    const days = world.get(symbol)?.days ?? [];
    const rows = days.flatMap((d, i) =>
      d.date >= (query.get("from") ?? "") && d.date <= (query.get("to") ?? "9999")
        ? [martRow(symbol, days, i, loadId)]
        : [],
    );
    return { columns: kColumns, rows, load_id: loadId };
  };

  /** What happens once: the streams end, or die without a word; a run ends; a gap is found. */
  const deeds = {
    drop: () => readers.forEach((reader) => reader.destroy()),
    cut: () => readers.clear(),
    run,
    gap: () => send("feed_gap", { symbol: "*" }),
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const json = (body, code = 200) => {
      response.writeHead(code, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.method === "POST" && url.pathname === "/fake") {
      let body = "";
      for await (const chunk of request) body += chunk;
      const { does, ...change } = JSON.parse(body);
      Object.assign(state, change);
      tellStatus();
      deeds[does]?.();
      return json({ done: true });
    }
    if (request.method === "POST" && url.pathname === "/api/v1/login") {
      let body = "";
      for await (const chunk of request) body += chunk;
      if (JSON.parse(body).token !== state.token) {
        return json(
          { error: { code: "invalid_argument", message: "the token is not known here", hint: "" } },
          401,
        );
      }
      state.token = null;
      response.writeHead(204);
      return response.end();
    }
    if (state.token !== null && url.pathname.startsWith("/api/")) {
      return json(
        { error: { code: "invalid_argument", message: "the request carries no token", hint: "" } },
        401,
      );
    }
    switch (url.pathname) {
      case "/api/v1/messages":
        return json(messagesAnswer(url.searchParams));
      case "/api/v1/topics/stock_prices/records":
        return json(recordsAnswer(url.searchParams));
      case "/api/v1/status":
        return json(status());
      case "/api/v1/symbols":
        return json({ symbols: state.empty ? [] : [...world.keys()] });
      case "/api/v1/quotes":
        return json({ quotes: state.empty ? [] : [...world.keys()].map((s) => quoteOf(s, true)) });
      case "/api/v1/analytics":
        return json(analyticsAnswer(url.searchParams));
      case "/api/v1/bars":
        if (state.failBars) {
          return json(
            {
              error: {
                code: "unavailable",
                message: "the warehouse is busy with another command",
                hint: "Wait for `tapeline dbt build` to end, then try again.",
              },
            },
            503,
          );
        }
        return json(barsAnswer(url.searchParams));
      case "/api/v1/stream":
        if (state.refuseStream)
          return json({ error: { code: "unavailable", message: "not now", hint: "" } }, 503);
        response.writeHead(200, {
          "content-type": "text/event-stream",
          "cache-control": "no-store",
        });
        response.write(written("status", status()));
        for (const symbol of state.empty ? [] : world.keys()) {
          response.write(written("quote", quoteOf(symbol, false)));
        }
        readers.add(response);
        response.on("close", () => readers.delete(response));
        return;
    }
    const name = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
    const file = join(kDist, name);
    if (!file.startsWith(kDist) || !existsSync(file))
      return json(
        { error: { code: "not_found", message: `there is no "${url.pathname}"`, hint: "" } },
        404,
      );
    response.writeHead(200, {
      "content-type": kTypes[extname(file)] ?? "application/octet-stream",
      "content-security-policy": kPolicy,
      "x-content-type-options": "nosniff",
    });
    response.end(await readFile(file));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => {
      timers.forEach(clearInterval);
      readers.forEach((reader) => reader.destroy());
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startFakeServer({ port: Number(process.env.PORT ?? 8788) });
  console.log(url);
}
