// What the chart draws: bars, gaps and the mart's averages of one symbol over a span of days,
// loaded when the view changes, loaded again where a run touched it, and grown by live quotes.

import { computed, effect, signal, untracked } from "@preact/signals";
import { ApiError, fetchAnalytics, fetchBars, fetchBarsBetween } from "./api";
import { areFlat, dayBar, growsLive, mergeBars, OpenBucket } from "./bars";
import {
  intervalFor,
  intervalMs,
  isIntraday,
  presetInterval,
  presetSpan,
  spanThatFits,
  type DaySpan,
  type Preset,
} from "./range";
import {
  analytics,
  onQuote,
  onGap,
  onRun,
  paused,
  quoteOf,
  selected,
  selectedMart,
  selectedQuote,
  status,
  view,
} from "./state";
import { backoffMs } from "./stream";
import { addDays, exchangeDate } from "./time";
import type { ChartType } from "./url";
import type { Bar, Gap, Interval, MartRow, Quote, RunEvent } from "./wire";

export interface ChartData {
  symbol: string;
  interval: Interval;
  span: DaySpan;
  bars: Bar[];
  gaps: Gap[];
  /** The mart's days of the span and a few before it, oldest first. */
  days: MartRow[];
  /** The server had more bars than the page asks for. */
  cut: boolean;
}

export const chart = signal<ChartData | null>(null);
/** The last bar as it grows; set between loads only. */
export const grown = signal<Bar | null>(null);
/** The bar that was clicked on, by index; what the legend shows while nothing is pointed at. */
export const pinned = signal<number | null>(null);
export const loading = signal(false);
export const problem = signal<{ message: string; hint: string } | null>(null);
/** Bars of all days known, weekly or, where these are few, daily: the overview under the chart. */
export const overview = signal<{ symbol: string; bars: Bar[]; days: number } | null>(null);

/** The last day with data of the selected symbol: the mart's or the live price's. */
export const anchor = computed<string | null>(() => {
  const day = selectedMart.value?.["price_date"];
  const mart = typeof day === "string" ? day.slice(0, 10) : null;
  const liveDay = selected.value === null ? null : dayOfQuote(selected.value);
  return mart === null ? liveDay : liveDay === null || mart > liveDay ? mart : liveDay;
});

function dayOfQuote(symbol: string): string | null {
  const quote = quoteOf(symbol).value;
  return quote === null ? null : exchangeDate(quote.eventTime);
}

export const firstDay = computed<string | null>(() => {
  const bar = overview.value?.bars[0];
  return bar === undefined ? anchor.value : new Date(bar.time).toISOString().slice(0, 10);
});

/** The preset in force: the one chosen; without a choice, the day where prices move or little else
 * is known, else half a year. */
export const preset = computed<Preset | null>(() => {
  const { preset: chosen, from } = view.value;
  if (chosen !== null) return chosen;
  if (from !== null) return null;
  const feed = status.value?.feed.class;
  const mart = selectedMart.value;
  const fewDays = Number(mart?.["window_days"] ?? kFewDays) < kFewDays;
  const manyQuotes = Number(mart?.["data_points_count"] ?? 0) >= kManyQuotes;
  const quoteClass = selectedQuote.value?.class ?? "history";
  const still = feed === undefined || feed === "none" || quoteClass === "history";
  return still && !(fewDays && manyQuotes) ? "6M" : "1D";
});
const kFewDays = 10;
const kManyQuotes = 20;

/** How the chart is drawn: as chosen, else as it suits the bars. */
export const chartType = computed<ChartType>(
  () =>
    view.value.type ?? (chart.value !== null && areFlat(chart.value.bars) ? "line" : "candles"),
);

interface Wanted {
  symbol: string;
  interval: Interval;
  span: DaySpan;
}

export const wanted = computed<Wanted | null>(() => {
  const symbol = selected.value;
  const last = anchor.value;
  if (symbol === null || last === null || status.value === null) return null;
  const { from, to, interval: chosen } = view.value;
  const everyDay = status.value.market.calendar === "SIM";
  const all =
    preset.value !== null
      ? presetSpan(preset.value, last, firstDay.value ?? last, everyDay)
      : { from: from ?? last, to: to ?? last };
  const interval =
    chosen ??
    (preset.value !== null ? presetInterval(preset.value, everyDay) : intervalFor(all));
  return { symbol, interval, span: spanThatFits(all, interval) };
});

let cancel = new AbortController();
let bucket: OpenBucket | null = null;

async function load(want: Wanted): Promise<void> {
  cancel.abort();
  cancel = new AbortController();
  const stop = cancel.signal;
  touched = null;
  missed = false;
  loading.value = true;
  try {
    const [bars, days, minutes] = await Promise.all([
      fetchBars(want.symbol, want.interval, want.span, stop),
      fetchAnalytics(want.symbol, { from: addDays(want.span.from, -10), to: want.span.to }, stop),
      openMinutes(want, stop),
    ]);
    bucket = newBucket(want.interval, bars.bars.at(-1) ?? null, minutes);
    if (!isSameView(chart.value, want)) pinned.value = null;
    grown.value = null;
    problem.value = null;
    chart.value = {
      ...want,
      bars: bars.bars,
      gaps: uniqueGaps(bars.gaps),
      days: days.rows,
      cut: bars.more,
    };
    failures = 0;
    const quote = quoteOf(want.symbol).value;
    if (quote !== null) grow(quote);
    // A run may have ended after the questions were asked.
    if (touched !== null) refreshIn(kOldDaysPauseMs);
  } catch (error) {
    if (stop.aborted) return;
    problem.value =
      error instanceof ApiError
        ? { message: error.message, hint: error.hint }
        : { message: error instanceof Error ? error.message : String(error), hint: "" };
    owe(want.span, true, backoffMs(++failures));
  } finally {
    if (!stop.aborted) loading.value = false;
  }
}

function isSameView(shown: ChartData | null, want: Wanted): boolean {
  return (
    shown?.symbol === want.symbol &&
    shown.interval === want.interval &&
    shown.span.from === want.span.from &&
    shown.span.to === want.span.to
  );
}

function uniqueGaps(gaps: readonly Gap[]): Gap[] {
  return [...new Map(gaps.map((gap) => [gap.start, gap])).values()];
}

/** The minutes that may belong to the chart's open bucket; none where the chart is of the past. */
async function openMinutes(want: Wanted, stop: AbortSignal): Promise<Bar[]> {
  const length = intervalMs(want.interval);
  const quote = quoteOf(want.symbol).value;
  if (length === null || length === 60_000 || quote === null) return [];
  if (exchangeDate(quote.eventTime) > want.span.to) return [];
  const from = quote.eventTime - length;
  return (await fetchBarsBetween(want.symbol, "1m", from, quote.eventTime + 60_000, stop)).bars;
}

function newBucket(
  interval: Interval,
  last: Bar | null,
  minutes: readonly Bar[],
): OpenBucket | null {
  const length = intervalMs(interval);
  if (length === null) return null;
  return new OpenBucket(length, last?.time ?? null, minutes);
}

function grow(quote: Quote): void {
  const shown = chart.value;
  if (shown === null || shown.symbol !== quote.symbol || !growsLive(shown.interval)) return;
  if (quote.class === "history" || exchangeDate(quote.eventTime) > shown.span.to) return;
  const live = isIntraday(shown.interval)
    ? quote.bar === null
      ? null
      : (bucket?.take(quote.bar) ?? null)
    : dayBar(quote);
  if (live === null) return;
  const last = shown.bars.at(-1);
  if (last !== undefined && live.time < last.time) return;
  if (last === undefined || live.time > last.time) shown.bars.push(live);
  else shown.bars[shown.bars.length - 1] = live;
  if (!paused.value) grown.value = live;
}

const kOldDaysPauseMs = 2000;
const kTodayPauseMs = 10_000;
/** The days that have to be asked for again; a load that begins asks for all of them. */
let touched: DaySpan | null = null;
/** Something may have been missed, so the open bucket too has to be asked for again. */
let missed = false;
let refreshTimer = 0;
let refreshAt = 0;
/** Requests that failed in a row: each is tried again, in the end every 30 seconds. */
let failures = 0;

function refreshIn(pause: number): void {
  const at = performance.now() + pause;
  if (refreshTimer !== 0 && refreshAt <= at) return;
  window.clearTimeout(refreshTimer);
  refreshAt = at;
  refreshTimer = window.setTimeout(() => void refresh(), pause);
}

/** Notes the days, all of them where `whole`, and asks for them after a pause. */
function owe({ from, to }: DaySpan, whole: boolean, pause: number): void {
  missed ||= whole;
  touched =
    touched === null
      ? { from, to }
      : { from: from < touched.from ? from : touched.from, to: to > touched.to ? to : touched.to };
  refreshIn(pause);
}

/** What a pause hides is asked for when it ends. */
function isHeld(): boolean {
  return paused.value && chart.value !== null;
}

function ran(run: RunEvent | null): void {
  if (isHeld()) return;
  if (selected.value !== null && outgrown(run)) overviewIn(kOldDaysPauseMs);
  const want = wanted.value;
  if (want === null) return;
  if (run !== null && run.symbols.length > 0 && !run.symbols.includes(want.symbol)) return;
  const from = run?.from ?? want.span.from;
  const to = run?.to ?? want.span.to;
  if (from > want.span.to || to < want.span.from) return;
  const ofToday = from >= want.span.to && run !== null;
  owe({ from, to }, run === null, ofToday ? kTodayPauseMs : kOldDaysPauseMs);
}

/** Fetches the touched days again and puts them in place of the old. */
async function refresh(): Promise<void> {
  refreshTimer = 0;
  const shown = chart.value;
  const days = touched;
  if (isHeld() || days === null || loading.value) return;
  if (missed || shown === null || !isIntraday(shown.interval)) {
    if (wanted.value !== null) await load(wanted.value);
    return;
  }
  touched = null;
  const span = {
    from: days.from > shown.span.from ? days.from : shown.span.from,
    to: days.to < shown.span.to ? days.to : shown.span.to,
  };
  const stop = cancel.signal;
  try {
    const [bars, fresh] = await Promise.all([
      fetchBars(shown.symbol, shown.interval, span, stop),
      fetchAnalytics(shown.symbol, span, stop),
    ]);
    if (chart.value !== shown || isHeld()) return;
    failures = 0;
    const merged = mergeBars(shown.bars, bars.bars, openBar(shown));
    const dayOf = (row: MartRow) => String(row["price_date"]).slice(0, 10);
    const old = shown.days.filter((row) => dayOf(row) < span.from);
    const later = shown.days.filter((row) => dayOf(row) > span.to);
    chart.value = { ...shown, bars: merged, days: [...old, ...fresh.rows, ...later] };
  } catch (error) {
    if (stop.aborted) return;
    console.warn(`the chart was not refreshed: ${String(error)}`);
    owe(days, false, backoffMs(++failures));
  }
}

/** The time of the bar that live minutes are growing. */
function openBar(shown: ChartData): number | null {
  const last = shown.bars.at(-1);
  const minute = quoteOf(shown.symbol).value?.bar?.start;
  return last !== undefined && minute !== undefined && minute >= last.time ? last.time : null;
}

const kWeeksEnough = 40;

async function loadOverview(symbol: string): Promise<void> {
  const stop = new AbortController().signal;
  try {
    const all = { from: "1970-01-02", to: anchor.value ?? "2100-01-01" };
    let { bars } = await fetchBars(symbol, "1w", all, stop);
    const isShort = bars.length < kWeeksEnough;
    if (isShort) ({ bars } = await fetchBars(symbol, "1d", all, stop));
    overviewFailures = 0;
    if (selected.value === symbol) overview.value = { symbol, bars, days: isShort ? 1 : 7 };
  } catch (error) {
    console.warn(`the overview was not loaded: ${String(error)}`);
    if (selected.value !== symbol) return;
    if (overview.value?.symbol !== symbol) overview.value = { symbol, bars: [], days: 1 };
    overviewIn(backoffMs(++overviewFailures));
  }
}

/** True where a run touched days that the overview does not end with. */
function outgrown(run: RunEvent | null): boolean {
  const known = overview.value;
  const last = known?.bars.at(-1);
  if (run === null || known === null || last === undefined) return true;
  if (run.symbols.length > 0 && !run.symbols.includes(selected.value ?? "")) return false;
  const day = new Date(last.time).toISOString().slice(0, 10);
  return run.from === null || run.from < day || (run.to ?? day) > addDays(day, known.days - 1);
}

let overviewTimer = 0;
let overviewFailures = 0;

function overviewIn(pause: number): void {
  if (overviewTimer !== 0) return;
  overviewTimer = window.setTimeout(() => {
    overviewTimer = 0;
    if (selected.value !== null) void loadOverview(selected.value);
  }, pause);
}

export function reload(): void {
  if (wanted.value !== null) void load(wanted.value);
}

export function start(): void {
  let key = "";
  effect(() => {
    const want = wanted.value;
    const next = JSON.stringify(want);
    if (want === null || next === key) return;
    key = next;
    untracked(() => void load(want));
  });
  let overviewOf = "";
  effect(() => {
    const symbol = selected.value;
    if (symbol === null || analytics.value === null || symbol === overviewOf) return;
    overviewOf = symbol;
    untracked(() => void loadOverview(symbol));
  });
  onQuote((quote) => {
    if (quote.symbol === selected.value) grow(quote);
  });
  onRun(ran);
  onGap((symbol) => {
    const want = wanted.value;
    if (want === null || isHeld() || (symbol !== "*" && symbol !== want.symbol)) return;
    owe(want.span, true, kOldDaysPauseMs);
  });
}
