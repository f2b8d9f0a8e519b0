// What the page knows of the columns of the table: label, unit, format, meaning. A column of the
// mart that is not listed here is shown raw under its own name, so a new metric needs no new page.

import type { Cell, MartRow, Quote } from "./wire";
import * as format from "./format";
import { clockTime, exchangeDate } from "./time";

export type ColumnSet = "overview" | "performance" | "technicals" | "quality" | "all";
export const kColumnSets: readonly { id: ColumnSet; label: string }[] = [
  { id: "overview", label: "Overview" },
  { id: "performance", label: "Performance" },
  { id: "technicals", label: "Technicals" },
  { id: "quality", label: "Quality" },
  { id: "all", label: "All" },
];

export type Kind =
  | "text"
  | "date"
  | "price"
  | "change"
  | "percent"
  | "distance"
  | "fraction"
  | "ratio"
  | "volume"
  | "count"
  | "flag"
  | "id"
  | "instant"
  | "raw";

/** A row of the table: the mart's latest row of a symbol and its live quote, either may lack. */
export interface TableRow {
  symbol: string;
  mart: MartRow | null;
  quote: Quote | null;
}

export interface Column {
  name: string;
  label: string;
  meaning: string;
  kind: Kind;
  value: (row: TableRow) => Cell;
}

type Described = readonly [label: string, kind: Kind, meaning: string];

const kMart: Readonly<Record<string, Described>> = {
  symbol: ["Symbol", "text", "Symbol"],
  stock_analytics_id: ["Row id", "id", "Hash of symbol and day"],
  price_date: ["Day", "date", "Trading day of this row, New York"],
  daily_open: ["Open", "price", "First price of the regular session"],
  daily_high: ["High", "price", "Highest price of the regular session"],
  daily_low: ["Low", "price", "Lowest price of the regular session"],
  daily_close: ["Close", "price", "Last price of the regular session so far"],
  total_volume: ["Volume", "volume", "Shares traded in the regular session"],
  avg_volume: ["Vol/quote", "volume", "Mean volume of a quote of the day"],
  daily_change_pct: ["Day %", "percent", "Close against the day's open"],
  daily_return_pct: ["Return", "percent", "Close against the previous row's close"],
  data_points_count: ["Quotes", "count", "Valid quotes of the day's regular session"],
  ma_7_day: ["MA7", "price", "Mean of the last 7 closes"],
  ma_30_day: ["MA30", "price", "Mean of the last 30 closes"],
  volatility_30_day: ["σ30 $", "price", "Standard deviation of the last 30 closes, in dollars"],
  return_volatility_30_day: [
    "Vol 30d p.a.",
    "fraction",
    "Standard deviation of the last 30 log returns, a year's worth, in percent",
  ],
  high_52_week: ["52w high", "price", "Highest high of the last 252 trading days"],
  low_52_week: ["52w low", "price", "Lowest low of the last 252 trading days"],
  momentum_vs_30ma: ["vs MA30", "percent", "Close against the mean of the last 30 closes"],
  pct_from_52w_high: ["vs 52w high", "distance", "Close against the 52-week high"],
  pct_from_52w_low: ["vs 52w low", "distance", "Close against the 52-week low"],
  volume_ratio: ["Vol ratio", "ratio", "Volume against the mean of the last 30 days"],
  rsi_14: ["RSI 14", "ratio", "Wilder's relative strength index over 14 closes, 0 to 100"],
  return_z_30_day: ["Return z", "ratio", "The day's return in deviations of the 30 before it"],
  is_anomaly: ["Anomaly", "flag", "The day's return is over four deviations away"],
  window_days: ["Days known", "count", "Daily rows behind this one, at most 252"],
  load_id: ["Load", "count", "The load that this row last came from"],
};

/** How many days a column looks back over; with fewer it is null. */
const kDaysNeeded: Readonly<Record<string, number>> = {
  daily_return_pct: 2,
  ma_7_day: 7,
  ma_30_day: 30,
  volatility_30_day: 30,
  momentum_vs_30ma: 30,
  volume_ratio: 30,
  rsi_14: 15,
  return_volatility_30_day: 31,
  return_z_30_day: 32,
  is_anomaly: 32,
  high_52_week: 252,
  low_52_week: 252,
  pct_from_52w_high: 252,
  pct_from_52w_low: 252,
};

/** Why a column of the mart has no value, as a sentence; null where the days are not the reason. */
export function missing(name: string, row: MartRow | null): string | null {
  const needed = kDaysNeeded[name];
  const known = row?.["window_days"];
  if (needed === undefined || typeof known !== "number" || known >= needed) return null;
  return `Needs ${needed} days, ${known} ${known === 1 ? "is" : "are"} known.`;
}

/** What hovering over a cell tells: what the number is, and all its digits, or why there is none. */
export function explain({ name, meaning }: Column, value: Cell, row: TableRow): string {
  if (value !== null) return `${meaning}: ${String(value)}`;
  return `${meaning}. ${missing(name, row.mart) ?? "Not known."}`;
}

const quoted = (read: (quote: Quote) => Cell) => (row: TableRow) =>
  row.quote === null ? null : read(row.quote);

const kLive: readonly Column[] = [
  {
    name: "last",
    label: "Last",
    kind: "price",
    meaning: "Live price",
    value: quoted((q) => q.price),
  },
  {
    name: "change",
    label: "Change",
    kind: "change",
    meaning: "Live price less the previous close, else less the last daily close before today",
    value: quoted((q) => q.change),
  },
  {
    name: "change_pct",
    label: "Change %",
    kind: "percent",
    meaning: "The change in percent",
    value: quoted((q) => q.changePct),
  },
  {
    name: "event_time",
    label: "Last quote",
    kind: "instant",
    meaning: "The exchange's time of the live price, New York",
    value: quoted((q) => new Date(q.eventTime).toISOString()),
  },
  {
    name: "data_source",
    label: "Source",
    kind: "text",
    meaning: "Where the live price comes from",
    value: quoted((q) => q.dataSource),
  },
  {
    name: "class",
    label: "Class",
    kind: "text",
    meaning: "Live, simulated, replay or history",
    value: quoted((q) => q.class),
  },
];

const kSets: Readonly<Record<Exclude<ColumnSet, "all">, readonly string[]>> = {
  overview: [
    "last",
    "change",
    "change_pct",
    "daily_change_pct",
    "total_volume",
    "volume_ratio",
    "ma_7_day",
    "ma_30_day",
    "rsi_14",
    "pct_from_52w_high",
    "event_time",
  ],
  performance: [
    "last",
    "daily_close",
    "daily_change_pct",
    "daily_return_pct",
    "momentum_vs_30ma",
    "high_52_week",
    "low_52_week",
    "pct_from_52w_high",
    "pct_from_52w_low",
  ],
  technicals: [
    "daily_close",
    "ma_7_day",
    "ma_30_day",
    "momentum_vs_30ma",
    "rsi_14",
    "volatility_30_day",
    "return_volatility_30_day",
    "volume_ratio",
    "avg_volume",
    "return_z_30_day",
    "is_anomaly",
  ],
  quality: [
    "price_date",
    "data_points_count",
    "window_days",
    "event_time",
    "data_source",
    "class",
    "is_anomaly",
    "load_id",
  ],
};

function martColumn(name: string): Column {
  const [label, kind, meaning] =
    kMart[name] ?? ([name, "raw", `Column ${name} of the mart`] as const);
  return { name, label, kind, meaning, value: (row) => row.mart?.[name] ?? null };
}

/** Every column there is: the symbol, the live ones, then the mart's in the mart's order. */
export function allColumns(mart: readonly string[]): Column[] {
  const symbol: Column = { ...martColumn("symbol"), value: (row) => row.symbol };
  return [symbol, ...kLive, ...mart.filter((name) => name !== "symbol").map(martColumn)];
}

/** The columns of a set, as far as this mart has them; "all" is the mart and the live ones. */
export function columnsOf(set: ColumnSet, mart: readonly string[]): Column[] {
  const all = allColumns(mart);
  if (set === "all") return all;
  const byName = new Map(all.map((column) => [column.name, column]));
  return ["symbol", ...kSets[set]].flatMap((name) => byName.get(name) ?? []);
}

/** True for columns that read best flush left. */
export function isTextual(kind: Kind): boolean {
  return kind === "text" || kind === "raw" || kind === "id";
}

/** True for values whose sign is good or bad news, shown by arrow and colour. */
export function isSigned(kind: Kind): boolean {
  return kind === "change" || kind === "percent";
}

export function showCell(value: Cell, kind: Kind, priceForDigits: number): string {
  if (value === null) return format.kNone;
  if (kind === "raw" || kind === "text" || kind === "date") return String(value);
  if (kind === "id") return `${String(value).slice(0, 8)}…`;
  if (kind === "flag") return value === true ? "yes" : value === false ? "no" : String(value);
  if (kind === "instant") {
    const at = Date.parse(String(value));
    return exchangeDate(at) === exchangeDate(Date.now()) ? clockTime(at) : exchangeDate(at);
  }
  if (typeof value !== "number") return String(value);
  switch (kind) {
    case "price":
      return format.price(value);
    case "change":
      return format.change(value, priceForDigits);
    case "percent":
    case "distance":
      return format.percent(value);
    case "fraction":
      return `${format.fixed(value * 100, 1)}\u202f%`;
    case "ratio":
      return format.fixed(value, 2);
    case "volume":
      return format.compact(value);
    case "count":
      return format.whole(value);
  }
}
