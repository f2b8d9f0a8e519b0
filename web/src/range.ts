// Which days the chart shows and how finely. Presets count back from the last day with data (the
// anchor), so that an imported history of years ago opens on its own last day.

import { addDays, addMonths, daysBetween } from "./time";
import type { Interval } from "./wire";

export type Preset = "1D" | "5D" | "1M" | "6M" | "YTD" | "1Y" | "All";
export const kPresets: readonly Preset[] = ["1D", "5D", "1M", "6M", "YTD", "1Y", "All"];
export const kIntervals: readonly Interval[] = [
  "1m",
  "5m",
  "15m",
  "30m",
  "1h",
  "4h",
  "1d",
  "1w",
  "1M",
];

/** The longest span, in days, that an interval is drawn over: at most about 15,000 bars. */
const kSpanDays: Readonly<Record<Interval, number>> = {
  "1m": 10,
  "5m": 50,
  "15m": 150,
  "30m": 300,
  "1h": 600,
  "4h": 2500,
  "1d": 15_000,
  "1w": 100_000,
  "1M": 400_000,
};

const kPresetInterval: Readonly<Record<Preset, Interval>> = {
  "1D": "1m",
  "5D": "5m",
  "1M": "30m",
  "6M": "1d",
  YTD: "1d",
  "1Y": "1d",
  All: "1w",
};

/** Where every day trades around the clock it has four times the minutes: these are coarser. */
const kAroundTheClock: Readonly<Partial<Record<Preset, Interval>>> = {
  "1D": "5m",
  "5D": "15m",
  "1M": "1h",
};

const kMinutes: Readonly<Partial<Record<Interval, number>>> = {
  "1m": 1,
  "5m": 5,
  "15m": 15,
  "30m": 30,
  "1h": 60,
  "4h": 240,
};

/** First and last day, both shown. */
export interface DaySpan {
  from: string;
  to: string;
}

export function isIntraday(interval: Interval): boolean {
  return kMinutes[interval] !== undefined;
}

/** The length of an intraday interval in ms; null for days and longer. */
export function intervalMs(interval: Interval): number | null {
  const minutes = kMinutes[interval];
  return minutes === undefined ? null : minutes * 60_000;
}

export function presetSpan(
  preset: Preset,
  anchor: string,
  first: string,
  everyDayTrades: boolean,
): DaySpan {
  const from = {
    "1D": () => anchor,
    "5D": () => addDays(anchor, everyDayTrades ? -4 : -6),
    "1M": () => addDays(addMonths(anchor, -1), 1),
    "6M": () => addDays(addMonths(anchor, -6), 1),
    YTD: () => `${anchor.slice(0, 4)}-01-01`,
    "1Y": () => addDays(addMonths(anchor, -12), 1),
    All: () => first,
  }[preset]();
  return { from, to: anchor };
}

export function presetInterval(preset: Preset, everyDayTrades: boolean): Interval {
  return (everyDayTrades ? kAroundTheClock[preset] : undefined) ?? kPresetInterval[preset];
}

/** The finest interval of those that people use over a span of this length. */
export function intervalFor(span: DaySpan): Interval {
  const days = daysBetween(span.from, span.to) + 1;
  if (days <= 2) return "1m";
  if (days <= 10) return "5m";
  if (days <= 45) return "30m";
  return days <= 1100 ? "1d" : "1w";
}

/** The span itself, or the part of it at its end that the interval can be drawn over. */
export function spanThatFits(span: DaySpan, interval: Interval): DaySpan {
  const most = kSpanDays[interval];
  return daysBetween(span.from, span.to) < most
    ? span
    : { from: addDays(span.to, 1 - most), to: span.to };
}
