// What the page shows is in its address: every view can be linked, bookmarked and gone back to.
// Unknown keys are left out, values that make no sense fall back and are named in a notice.

import { kColumnSets, type ColumnSet } from "./columns";
import { kIntervals, kPresets, type Preset } from "./range";
import type { SortKey } from "./table";
import type { Interval } from "./wire";

export const kChartTypes = ["candles", "hollow", "bars", "line"] as const;
export type ChartType = (typeof kChartTypes)[number];
export const kScales = ["linear", "log", "pct"] as const;
export type Scale = (typeof kScales)[number];

export interface View {
  symbol: string | null;
  /** Null where `from` and `to` were set by hand, or where nothing was chosen yet. */
  preset: Preset | null;
  from: string | null;
  to: string | null;
  /** Null: the interval that belongs to the range. */
  interval: Interval | null;
  /** Null: what suits the bars. */
  type: ChartType | null;
  scale: Scale;
  asTable: boolean;
  set: ColumnSet;
  sort: SortKey[];
  filter: string;
}

export const kDefaultView: View = {
  symbol: null,
  preset: null,
  from: null,
  to: null,
  interval: null,
  type: null,
  scale: "linear",
  asTable: false,
  set: "overview",
  sort: [],
  filter: "",
};

const kSymbol = /^[A-Z0-9][A-Z0-9.:^=/-]{0,23}$/;

function isDate(text: string): boolean {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  // Browsers take the 30th of February for a day in March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

export function parseView(search: string): { view: View; notices: string[] } {
  const query = new URLSearchParams(search);
  const notices: string[] = [];
  const read = <T>(key: string, parse: (text: string) => T | undefined): T | null => {
    const written = query.get(key);
    if (written === null || written === "") return null;
    const value = parse(written);
    if (value === undefined) notices.push(`"${key}=${written.slice(0, 30)}" is not understood.`);
    return value ?? null;
  };
  const oneOf =
    <T extends string>(all: readonly T[]) =>
    (text: string) =>
      all.find((each) => each === text);
  const dateOf = (text: string) => (isDate(text) ? text : undefined);

  const preset = read("r", oneOf(kPresets));
  const from = read("from", dateOf);
  const to = read("to", dateOf);
  const whole = preset === null && from !== null && to !== null && from <= to;
  if (preset === null && !whole && (from !== null || to !== null)) {
    notices.push("A range needs both its days, the first one first.");
  }
  const view: View = {
    symbol: read("s", (text) => {
      const upper = text.toUpperCase();
      return kSymbol.test(upper) ? upper : undefined;
    }),
    preset,
    from: whole ? from : null,
    to: whole ? to : null,
    interval: read("i", oneOf(kIntervals)),
    type: read("t", oneOf(kChartTypes)),
    scale: read("scale", oneOf(kScales)) ?? kDefaultView.scale,
    asTable: read("as", oneOf(["table"])) !== null,
    set: read("set", oneOf(kColumnSets.map(({ id }) => id))) ?? kDefaultView.set,
    sort: read("sort", parseSort) ?? [],
    filter: (query.get("f") ?? "").slice(0, 200),
  };
  return { view, notices };
}

function parseSort(text: string): SortKey[] | undefined {
  const keys = text.split(",").map((part) => ({
    column: part.replace(/^-/, ""),
    descending: part.startsWith("-"),
  }));
  return keys.every(({ column }) => /^[a-z0-9_]+$/.test(column)) ? keys : undefined;
}

/** "?s=AAPL&r=6M", without what is as it would be anyway. */
export function viewQuery(view: View): string {
  const query = new URLSearchParams();
  if (view.symbol !== null) query.set("s", view.symbol);
  if (view.preset !== null) query.set("r", view.preset);
  else if (view.from !== null && view.to !== null) {
    query.set("from", view.from);
    query.set("to", view.to);
  }
  if (view.interval !== null) query.set("i", view.interval);
  if (view.type !== null) query.set("t", view.type);
  if (view.scale !== kDefaultView.scale) query.set("scale", view.scale);
  if (view.asTable) query.set("as", "table");
  if (view.set !== kDefaultView.set) query.set("set", view.set);
  if (view.sort.length > 0) {
    query.set("sort", view.sort.map((key) => (key.descending ? "-" : "") + key.column).join(","));
  }
  if (view.filter !== "") query.set("f", view.filter);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
