// The performance table without its pixels: sort keys, the filter language, and export.

import type { Column, TableRow } from "./columns";
import type { Cell } from "./wire";

export interface SortKey {
  column: string;
  descending: boolean;
}

/** A click sorts by one column: first click down for numbers' sake, then up, then off. */
export function clickSort(keys: readonly SortKey[], column: string, add: boolean): SortKey[] {
  const at = keys.findIndex((key) => key.column === column);
  const old = keys[at];
  const next: SortKey | null =
    old === undefined
      ? { column, descending: column !== "symbol" }
      : old.descending === (column !== "symbol")
        ? { column, descending: !old.descending }
        : null;
  if (!add) return next === null ? [] : [next];
  if (old === undefined) return next === null ? [...keys] : [...keys, next];
  return keys.flatMap((key, i) => (i !== at ? [key] : next === null ? [] : [next]));
}

function compareCells(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

/** Sorted by the keys, then by symbol; rows without a value come last in both directions. */
export function sortRows(
  rows: readonly TableRow[],
  keys: readonly SortKey[],
  columns: readonly Column[],
): TableRow[] {
  const sorters = keys.flatMap(({ column, descending }) => {
    const found = columns.find((each) => each.name === column);
    return found === undefined ? [] : [{ value: found.value, sign: descending ? -1 : 1 }];
  });
  return [...rows].sort((a, b) => {
    for (const { value, sign } of sorters) {
      const left = value(a);
      const right = value(b);
      if (left === null || right === null) {
        if (left !== right) return left === null ? 1 : -1;
        continue;
      }
      const order = compareCells(left, right);
      if (order !== 0) return order * sign;
    }
    return a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0;
  });
}

export interface Filter {
  matches: (row: TableRow) => boolean;
  /** What the filter does not understand, as a sentence; null when all is understood. */
  problem: string | null;
}

const kOperators: Readonly<Record<string, (order: number) => boolean>> = {
  ">": (order) => order > 0,
  "<": (order) => order < 0,
  ">=": (order) => order >= 0,
  "<=": (order) => order <= 0,
  "=": (order) => order === 0,
  "!=": (order) => order !== 0,
};

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9%σ$]/g, "");

/** Words are parts of symbols, any of them may match; comparisons like `rsi_14 < 30` must all. */
export function parseFilter(written: string, columns: readonly Column[]): Filter {
  const words: string[] = [];
  const conditions: ((row: TableRow) => boolean)[] = [];
  let problem: string | null = null;
  const term = /([^\s<>=!]+)\s*(>=|<=|!=|=|>|<)\s*([^\s<>=!]+)|(\S+)/g;
  for (const [, name, operator, wanted, word] of written.matchAll(term)) {
    if (name !== undefined && operator !== undefined && wanted !== undefined) {
      const column =
        columns.find((each) => plain(each.name) === plain(name)) ??
        columns.find((each) => plain(each.label) === plain(name));
      const test = kOperators[operator];
      if (column === undefined || test === undefined) {
        problem ??= `There is no column "${name}".`;
        continue;
      }
      conditions.push((row) => {
        const value = column.value(row);
        if (value === null) return false;
        if (typeof value !== "number") return test(compareCells(String(value), wanted));
        return Number.isFinite(Number(wanted)) && test(value - Number(wanted));
      });
    } else if (word !== undefined) {
      if (/[<>=!]/.test(word))
        problem ??= `"${word}" needs a column and a value, as in rsi_14 < 30.`;
      else words.push(word.toUpperCase());
    }
  }
  return {
    problem,
    matches: (row) =>
      (words.length === 0 || words.some((word) => row.symbol.includes(word))) &&
      conditions.every((condition) => condition(row)),
  };
}

function rawText(value: Cell): string {
  return value === null ? "" : String(value);
}

/** The shown rows and columns with exact values, and the class, so that no export hides it. */
export function exportRows(
  rows: readonly TableRow[],
  columns: readonly Column[],
  separator: "," | "\t",
): string {
  const withClass = columns.some((column) => column.name === "class");
  const quote = (text: string) => {
    const safe = /^[=+@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const head = columns.map((column) => column.name).concat(withClass ? [] : ["class"]);
  const body = rows.map((row) =>
    columns
      .map((column) => rawText(column.value(row)))
      .concat(withClass ? [] : [row.quote?.class ?? ""]),
  );
  return [head, ...body].map((line) => line.map(quote).join(separator) + "\n").join("");
}
