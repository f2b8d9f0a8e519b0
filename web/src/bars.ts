// Bars while they grow. A bucket of the chart is the aggregate of its minutes, and each minute is
// replaced whole by what the server last said of it, so nothing is counted twice whether a minute
// came from the mart, from the stream, or from both.

import { intervalMs, isIntraday } from "./range";
import { exchangeDate, startOfExchangeDate } from "./time";
import type { Bar, Cell, Gap, Interval, MartRow, MinuteBar, Quote } from "./wire";

/** The mart's moving averages as they stand at a bar; null where the window is not full. */
export interface Averages {
  ma7: number | null;
  ma30: number | null;
}

const kSlotsPerGap = 400;

/** The start of the bucket that holds a minute: buckets count from New York's midnight. */
export function bucketStart(minute: number, length: number): number {
  const midnight = startOfExchangeDate(exchangeDate(minute));
  return midnight + Math.floor((minute - midnight) / length) * length;
}

const kFlatShare = 0.8;

/** True where most bars are of one price, as those made of one message each: candles of these are
 * dashes, and a line says more. */
export function areFlat(bars: readonly Bar[]): boolean {
  const flat = bars.filter((bar) => bar.high === bar.low).length;
  return bars.length > 1 && flat >= bars.length * kFlatShare;
}

/** When a bar ends: instants for minutes, midnight UTC of New York dates for days and longer. */
export function barEnd(time: number, interval: Interval): number {
  const length = intervalMs(interval);
  if (length !== null) return time + length;
  const start = new Date(time);
  if (interval === "1M") return start.setUTCMonth(start.getUTCMonth() + 1);
  return start.setUTCDate(start.getUTCDate() + (interval === "1w" ? 7 : 1));
}

/** One bar of several minutes, in order of time; null for none. */
export function aggregate(minutes: readonly Bar[], time: number): Bar | null {
  const sorted = [...minutes].sort((a, b) => a.time - b.time);
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return null;
  const sum = (of: (bar: Bar) => number | null) =>
    sorted.reduce<number | null>((total, bar) => {
      const value = of(bar);
      return value === null ? total : (total ?? 0) + value;
    }, null);
  return {
    time,
    open: first.open,
    high: Math.max(...sorted.map((bar) => bar.high)),
    low: Math.min(...sorted.map((bar) => bar.low)),
    close: last.close,
    volume: sum((bar) => bar.volume),
    count: sum((bar) => bar.count),
  };
}

/** The minutes of the chart's last bucket, and the bar they make. */
export class OpenBucket {
  private readonly minutes = new Map<number, Bar>();
  private start: number | null;

  constructor(
    private readonly length: number,
    lastBar: number | null,
    minutes: readonly Bar[],
  ) {
    this.start = lastBar;
    for (const minute of minutes) this.put(minute);
  }

  /** Takes a live minute; the bar it changes, or null where the minute is of an older bucket. */
  take(live: MinuteBar): Bar | null {
    const { start, open, high, low, close, volume, count } = live;
    return this.put({ time: start, open, high, low, close, volume, count });
  }

  private put(minute: Bar): Bar | null {
    const start = bucketStart(minute.time, this.length);
    if (this.start !== null && start < this.start) return null;
    if (start !== this.start) {
      this.minutes.clear();
      this.start = start;
    }
    this.minutes.set(minute.time, minute);
    return aggregate([...this.minutes.values()], start);
  }
}

/** Today's daily bar as the quote tells it; null before the day's first regular price. */
export function dayBar(quote: Quote): Bar | null {
  if (quote.session !== "regular") return null;
  if (quote.open === null || quote.high === null || quote.low === null) return null;
  return {
    time: Date.parse(exchangeDate(quote.eventTime)),
    open: quote.open,
    high: quote.high,
    low: quote.low,
    close: quote.price,
    volume: quote.volume,
    count: null,
  };
}

/** Replaces bars of the same time by the mart's and adds the others, in order. `open` is the bar
 * that live minutes are growing: it is newer than any answer. So is the one before it while it has
 * more messages: it closed after the run that the answer is of. The next answer replaces it. */
export function mergeBars(
  old: readonly Bar[],
  fresh: readonly Bar[],
  open: number | null,
): Bar[] {
  const byTime = new Map(old.map((bar) => [bar.time, bar]));
  const closed = open === null ? undefined : old[old.findIndex((bar) => bar.time === open) - 1];
  for (const bar of fresh) {
    if (bar.time === open) continue;
    if (bar.time === closed?.time && (bar.count ?? 0) < (closed.count ?? 0)) continue;
    byTime.set(bar.time, bar);
  }
  return [...byTime.values()].sort((a, b) => a.time - b.time);
}

/** True where live minutes and day bars may extend this interval without a new request. */
export function growsLive(interval: Interval): boolean {
  return intervalMs(interval) !== null || interval === "1d";
}

function martNumber(value: Cell | undefined): number | null {
  return typeof value === "number" ? value : null;
}

/** Each bar's averages: those of the mart's last day that is not after the bar. */
export function averagesOf(
  bars: readonly Bar[],
  days: readonly MartRow[],
  interval: Interval,
): Averages[] {
  let at = -1;
  return bars.map((bar, i) => {
    const next = bars[i + 1];
    const date = isIntraday(interval)
      ? exchangeDate(bar.time)
      : interval === "1d"
        ? new Date(bar.time).toISOString().slice(0, 10)
        : next === undefined
          ? "9999-12-31"
          : new Date(next.time - 1).toISOString().slice(0, 10);
    while (String(days[at + 1]?.["price_date"] ?? "~").slice(0, 10) <= date) ++at;
    const row = days[at];
    return { ma7: martNumber(row?.["ma_7_day"]), ma30: martNumber(row?.["ma_30_day"]) };
  });
}

/** The first and the last bar that a gap touches, of those that are there and those that are not:
 * a bar that a gap cuts into is shaded too, since part of it may be missing. */
export function shadedSpans(data: {
  interval: Interval;
  bars: readonly Bar[];
  gaps: readonly Gap[];
}): [number, number][] {
  const length = intervalMs(data.interval);
  if (length === null) return [];
  const empty = emptySlots(data);
  return data.gaps.flatMap((gap, i) => {
    const first = bucketStart(gap.start, length);
    const touched = data.bars
      .filter((bar) => bar.time >= first && bar.time < gap.end)
      .map((bar) => bar.time)
      .concat(empty[i] ?? []);
    return touched.length === 0 ? [] : [[Math.min(...touched), Math.max(...touched)]];
  });
}

/** The moments in a gap at which a bar was expected and is not there. */
export function emptySlots(data: {
  interval: Interval;
  bars: readonly Bar[];
  gaps: readonly Gap[];
}): number[][] {
  const length = intervalMs(data.interval);
  if (length === null) return [];
  const known = new Set(data.bars.map((bar) => bar.time));
  return data.gaps.map((gap) => {
    const slots: number[] = [];
    let at = bucketStart(gap.start, length);
    if (at < gap.start) at += length;
    for (; at < gap.end && slots.length < kSlotsPerGap; at += length) {
      if (!known.has(at)) slots.push(at);
    }
    return slots;
  });
}
