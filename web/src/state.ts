// What the page knows, as signals, and the few functions that change it. Views only read. Quotes
// are gathered as they come and shown once per animation frame, however many there are.

import { batch, computed, effect, signal, type Signal } from "@preact/signals";
import { ApiError, fetchLatestAnalytics, fetchQuotes, fetchStatus } from "./api";
import type { TableRow } from "./columns";
import { nextCadence, quoteAge } from "./freshness";
import { backoffMs, LiveStream, type Connection, type StreamEvent } from "./stream";
import { kDefaultView, parseView, viewQuery, type View } from "./url";
import {
  parseFeedGap,
  parseGapEvent,
  parseQuote,
  parseRun,
  parseStatus,
  type Analytics,
  type Quote,
  type RunEvent,
  type Status,
} from "./wire";

const first = parseView(location.search);
export const view = signal<View>(first.view);
export const notices = signal<string[]>(first.notices);

export const status = signal<Status | null>(null);
/** The last run that ended: while the next one goes on, its end is what counts. */
export const lastRun = signal<{ state: string; endedAt: number } | null>(null);
export const symbols = signal<string[]>([]);
export const connection = signal<Connection>({
  state: "connecting",
  since: Date.now(),
  retryAt: null,
});
export const analytics = signal<Analytics | null>(null);
/** Why the first answers have not come; old data stays where there is any. */
export const trouble = signal<{ message: string; hint: string } | null>(null);
/** The server wants a token before it answers. */
export const needsLogin = signal(false);
export const paused = signal(false);
/** The page's clock: ten times and once a second, for what shows tenths and what does not. */
export const now = signal(Date.now());
export const second = signal(Date.now());
/** The page's clock less the server's when its last status came. */
export const serverAhead = signal<{ server: number; page: number } | null>(null);

export interface Spark {
  of: "minutes" | "days";
  points: number[];
}

interface Live {
  quote: Signal<Quote | null>;
  spark: Signal<Spark>;
  sparkAt: number;
  /** The usual pause between quotes in ms; null until two came. */
  cadence: number | null;
  /** When the stream last brought a quote. */
  lastAt: number | null;
}

const lives = new Map<string, Live>();
const pending = new Map<string, Quote>();
let frame = 0;

function live(symbol: string): Live {
  let found = lives.get(symbol);
  if (found === undefined) {
    found = {
      quote: signal(null),
      spark: signal({ of: "minutes", points: [] }),
      sparkAt: 0,
      cadence: null,
      lastAt: null,
    };
    lives.set(symbol, found);
  }
  return found;
}

export function quoteOf(symbol: string): Signal<Quote | null> {
  return live(symbol).quote;
}

export function sparkOf(symbol: string): Signal<Spark> {
  return live(symbol).spark;
}

export function cadenceOf(symbol: string): number | null {
  return live(symbol).cadence;
}

/** The symbol that the chart shows: the one asked for, else the first there is. */
export const selected = computed<string | null>(
  () => view.value.symbol ?? symbols.value[0] ?? null,
);

export const selectedQuote = computed<Quote | null>(() =>
  selected.value === null ? null : quoteOf(selected.value).value,
);

export const tableRows = computed<TableRow[]>(() => {
  const mart = new Map(
    (analytics.value?.rows ?? []).map((row) => [String(row["symbol"]), row] as const),
  );
  return symbols.value.map((symbol) => ({
    symbol,
    mart: mart.get(symbol) ?? null,
    quote: quoteOf(symbol).value,
  }));
});

export const selectedMart = computed(
  () => analytics.value?.rows.find((row) => row["symbol"] === selected.value) ?? null,
);

export function changeView(change: Partial<View>, history: "push" | "replace" = "replace"): void {
  const next = { ...view.value, ...change };
  const query = viewQuery(next);
  if (query !== location.search) {
    const address = query === "" ? location.pathname : query;
    if (history === "push") window.history.pushState(null, "", address);
    else window.history.replaceState(null, "", address);
  }
  view.value = next;
}

export function selectSymbol(symbol: string): void {
  if (symbol !== selected.value) changeView({ symbol }, "push");
}

const gapListeners = new Set<(symbol: string) => void>();

/** Calls back when a gap of the feed began, grew or healed; with "*" for one of every symbol. */
export function onGap(listener: (symbol: string) => void): void {
  gapListeners.add(listener);
}

function gapChanged(symbol: string): void {
  for (const listener of gapListeners) listener(symbol);
}

const runListeners = new Set<(run: RunEvent | null) => void>();
const barListeners = new Set<(quote: Quote) => void>();

/** Calls back after each run that wrote marts; null where runs were missed. */
export function onRun(listener: (run: RunEvent | null) => void): void {
  runListeners.add(listener);
}

/** Calls back for every quote, at once, so that no minute of an open chart is lost. */
export function onQuote(listener: (quote: Quote) => void): void {
  barListeners.add(listener);
}

const kSparkStepMs = 300_000;
const kSparkPoints = 60;

function take(quote: Quote): void {
  const of = live(quote.symbol);
  const at = Date.now();
  if (of.lastAt !== null) of.cadence = nextCadence(of.cadence, at - of.lastAt);
  of.lastAt = at;
  pending.set(quote.symbol, quote);
  for (const listener of barListeners) listener(quote);
  if (!paused.value) schedule();
}

function schedule(): void {
  if (frame !== 0) return;
  frame = 1;
  if (document.hidden) window.setTimeout(show, 1000);
  else requestAnimationFrame(show);
}

function show(): void {
  frame = 0;
  if (paused.value) return;
  batch(() => {
    for (const quote of pending.values()) place(quote);
    pending.clear();
  });
}

function place(quote: Quote): void {
  const of = live(quote.symbol);
  of.quote.value = quote;
  if (quote.spark !== null) {
    placeSpark(of, quote);
  } else if (quote.eventTime - of.sparkAt >= kSparkStepMs) {
    const { of: kind, points } = of.spark.value;
    const known = kind === "minutes" ? points : [];
    of.spark.value = { of: "minutes", points: [...known, quote.price].slice(-kSparkPoints) };
    of.sparkAt = quote.eventTime;
  }
  if (!symbols.value.includes(quote.symbol)) {
    symbols.value = [...symbols.value, quote.symbol].sort();
  }
}

function placeSpark(of: Live, quote: Quote): void {
  if (quote.spark === null) return;
  of.spark.value = { of: quote.sparkOf, points: quote.spark };
  of.sparkAt = quote.eventTime;
}

/** A quote of an answer, asked for at `askedAt`. What the stream has brought since is newer than
 * any answer; but the spark line comes with answers only. */
function placeAnswer(quote: Quote, askedAt: number): void {
  const of = live(quote.symbol);
  const isOvertaken = of.lastAt !== null && of.lastAt >= askedAt;
  if (paused.value && of.quote.peek() !== null) {
    if (!isOvertaken) pending.set(quote.symbol, quote);
  } else if (isOvertaken) {
    placeSpark(of, quote);
  } else {
    pending.delete(quote.symbol);
    place(quote);
  }
}

export function setPaused(on: boolean): void {
  paused.value = on;
  if (on) return;
  schedule();
  ran(null);
}

/** The status as the stream last brought it, and when. */
let streamed: { status: Status; at: number } | null = null;

/** True where the server's status is not the stream's, which brings each change in a second. */
async function isBehind(): Promise<boolean> {
  const text = (of: Status) => JSON.stringify({ ...of, now: 0 });
  const next = await fetchStatus();
  return streamed === null || text(next) !== text(streamed.status);
}

function takeStatus(next: Status): void {
  status.value = next;
  const { dag } = next;
  if (dag !== null && dag.endedAt !== null) {
    lastRun.value = { state: dag.state, endedAt: dag.endedAt };
  }
  serverAhead.value = { server: next.now, page: Date.now() };
}

function hear(event: StreamEvent, data: string): void {
  let message: unknown;
  try {
    message = JSON.parse(data);
    if (event === "quote") take(parseQuote(message));
    else if (event === "status") {
      streamed = { status: parseStatus(message), at: Date.now() };
      takeStatus(streamed.status);
    }
    else if (event === "run") ran(parseRun(message));
    else if (event === "feed_gap") gapChanged(parseFeedGap(message).symbol);
    else if (parseGapEvent(message).stream === "run") ran(null);
  } catch (error) {
    console.warn(`a ${event} event was left out: ${String(error)}`);
  }
}

const kAnalyticsPauseMs = 2000;
let analyticsTimer = 0;
let analyticsFailures = 0;
let analyticsAsked = 0;
let analyticsShown = 0;

function ran(run: RunEvent | null): void {
  if (run !== null) lastRun.value = { state: run.state, endedAt: Date.now() };
  for (const listener of runListeners) listener(run);
  analyticsSoon(kAnalyticsPauseMs);
}

function analyticsSoon(pause: number): void {
  if (analyticsTimer !== 0) return;
  analyticsTimer = window.setTimeout(() => {
    analyticsTimer = 0;
    void refreshAnalytics();
  }, pause);
}

async function refreshAnalytics(): Promise<void> {
  const turn = ++analyticsAsked;
  try {
    const answer = await fetchLatestAnalytics();
    if (turn < analyticsShown || (paused.value && analytics.value !== null)) return;
    analyticsShown = turn;
    batch(() => {
      analytics.value = answer;
      addSymbols(answer.rows.map((row) => String(row["symbol"])));
    });
    await completeQuotes();
    analyticsFailures = 0;
    if (troubles === 0) trouble.value = null;
  } catch (error) {
    report(error);
    if (!needsLogin.value) analyticsSoon(backoffMs(++analyticsFailures));
  }
}

/** What came as history, or before its first day was in the mart, has neither a close to compare
 * with nor a spark line on the stream; once the mart knows them, the quotes' answer has both. */
async function completeQuotes(): Promise<void> {
  const lacks = (symbol: string) => {
    const quote = quoteOf(symbol).peek();
    return quote === null || quote.reference === null || quote.class === "history";
  };
  if (!symbols.value.some(lacks)) return;
  const askedAt = Date.now();
  const quotes = await fetchQuotes();
  batch(() => {
    for (const quote of quotes) {
      if (lacks(quote.symbol)) placeAnswer(quote, askedAt);
    }
  });
}

function addSymbols(more: readonly string[]): void {
  const all = new Set([...symbols.value, ...more]);
  if (all.size > symbols.value.length) symbols.value = [...all].sort();
}

function report(error: unknown): void {
  needsLogin.value = error instanceof ApiError && error.needsLogin;
  trouble.value =
    error instanceof ApiError
      ? { message: error.message, hint: error.hint }
      : { message: error instanceof Error ? error.message : String(error), hint: "" };
}

let troubles = 0;
let troubleTimer = 0;

/** Asks for everything at the start, again while that fails, and on Retry. */
async function loadAll(): Promise<boolean> {
  window.clearTimeout(troubleTimer);
  const askedAt = Date.now();
  try {
    const [nextStatus, quotes] = await Promise.all([fetchStatus(), fetchQuotes()]);
    batch(() => {
      if (streamed === null || streamed.at < askedAt) takeStatus(nextStatus);
      addSymbols(quotes.map((quote) => quote.symbol));
      for (const quote of quotes) placeAnswer(quote, askedAt);
      trouble.value = null;
      needsLogin.value = false;
    });
  } catch (error) {
    report(error);
    if (needsLogin.value) return false;
    troubleTimer = window.setTimeout(() => void resync(), backoffMs(++troubles));
    return false;
  }
  troubles = 0;
  await refreshAnalytics();
  return true;
}

/** After an interruption: everything anew, the charts too, since runs may have been missed. */
async function resync(): Promise<void> {
  if (!(await loadAll())) return;
  for (const listener of runListeners) listener(null);
}

const stream = new LiveStream(
  "/api/v1/stream",
  {
    message: hear,
    connection: (next) => {
      connection.value = next;
    },
    resync: () => void resync(),
    isBehind,
  },
  () => Date.now(),
);

export function retry(): void {
  stream.retryNow();
  void resync();
}

/** The newest price's time on the page's clock's terms, over all symbols. */
export const newest = computed<number | null>(() => {
  let latest: number | null = null;
  const at = Date.now();
  for (const symbol of symbols.value) {
    const quote = quoteOf(symbol).value;
    if (quote === null || quote.class === "history") continue;
    latest = Math.max(latest ?? 0, at - quoteAge(quote, at));
  }
  return latest;
});

export function start(): void {
  window.setInterval(() => {
    if (document.hidden) return;
    const at = Date.now();
    now.value = at;
    if (Math.floor(at / 1000) !== Math.floor(second.value / 1000)) second.value = at;
  }, 100);
  window.addEventListener("popstate", () => {
    const { view: next, notices: told } = parseView(location.search);
    batch(() => {
      view.value = { ...kDefaultView, ...next };
      notices.value = told;
    });
  });
  effect(() => {
    const symbol = selected.value;
    document.title = symbol === null ? "tapeline" : `${symbol} · tapeline`;
  });
  stream.start();
  void loadAll();
}
