// The performance table: every column of the mart, live prices beside them, sorted and filtered
// as the address says. Each cell carries its exact value in data-value.

import { computed, signal, untracked } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import {
  allColumns,
  columnsOf,
  explain,
  isSigned,
  isTextual,
  kColumnSets,
  showCell,
  type Column,
  type TableRow,
} from "./columns";
import { arrow, direction } from "./format";
import { freshness } from "./freshness";
import { openDayMessages } from "./messages";
import { IconButton } from "./parts";
import {
  analytics,
  cadenceOf,
  changeView,
  quoteOf,
  second,
  selected,
  selectSymbol,
  status,
  tableRows,
  view,
} from "./state";
import { clickSort, exportRows, parseFilter, sortRows } from "./table";

const every = computed(() => allColumns(analytics.value?.columns ?? []));
const columns = computed(() => columnsOf(view.value.set, analytics.value?.columns ?? []));
const filter = computed(() => parseFilter(view.value.filter, every.value));
const told = signal("");

/** Shown rows in order; live values move a row at most once a second, so that a click hits. */
const rows = computed<TableRow[]>(() => {
  second.value;
  analytics.value;
  const { matches } = filter.value;
  const keys = view.value.sort;
  const all = every.value;
  return untracked(() => sortRows(tableRows.value.filter(matches), keys, all));
});

/** Columns whose cells lead to the messages behind the row. */
const kLeading: ReadonlySet<string> = new Set(["price_date", "data_points_count", "load_id"]);

function Cell({ column, row }: { column: Column; row: TableRow }) {
  const value = column.value(row);
  const signed = isSigned(column.kind) && typeof value === "number";
  const shown = showCell(value, column.kind, row.quote?.price ?? 0);
  const day = row.mart?.["price_date"];
  const leads = kLeading.has(column.name) && typeof day === "string" && value !== null;
  const warm = column.name === "is_anomaly" && value === true;
  return (
    <td
      title={explain(column, value, row)}
      data-column={column.name}
      data-value={value === null ? "" : String(value)}
      class={`${isTextual(column.kind) ? "textual" : ""} ${signed ? direction(value) : ""} ${value === null ? "dim" : ""} ${warm ? "bad" : ""}`}
    >
      {signed && <span class="arrow">{arrow(value)}</span>}
      {leads ? (
        <button
          type="button"
          class="link"
          tabIndex={-1}
          title={`${explain(column, value, row)}. Opens the messages of this day.`}
          onClick={(event) => {
            event.stopPropagation();
            openDayMessages(row.symbol, day.slice(0, 10));
          }}
        >
          {shown}
        </button>
      ) : (
        shown
      )}
    </td>
  );
}

function Row({ row, focusable }: { row: TableRow; focusable: boolean }) {
  const live = { ...row, quote: quoteOf(row.symbol).value };
  const isSelected = selected.value === row.symbol;
  const shown =
    live.quote === null
      ? null
      : freshness(live.quote, status.value, cadenceOf(row.symbol), second.value);
  return (
    <tr
      class={`${isSelected ? "selected" : ""} ${shown?.state === "stale" ? "old" : ""}`}
      data-symbol={row.symbol}
      onClick={() => selectSymbol(row.symbol)}
    >
      <th scope="row" data-column="symbol" data-value={row.symbol}>
        <button
          type="button"
          class="row-symbol"
          tabIndex={focusable ? 0 : -1}
          aria-current={isSelected ? "true" : undefined}
          onClick={() => selectSymbol(row.symbol)}
        >
          {row.symbol}
        </button>
      </th>
      {columns.value.slice(1).map((column) => (
        <Cell key={column.name} column={column} row={live} />
      ))}
    </tr>
  );
}

function Header({ column }: { column: Column }) {
  const keys = view.value.sort;
  const at = keys.findIndex((key) => key.column === column.name);
  const key = keys[at];
  const sorted = key === undefined ? undefined : key.descending ? "descending" : "ascending";
  return (
    <th
      scope="col"
      aria-sort={sorted}
      class={isTextual(column.kind) ? "textual" : ""}
      data-column={column.name}
    >
      <button
        type="button"
        title={`${column.meaning} (${column.name}). Shift-click adds to the order.`}
        onClick={(event) => changeView({ sort: clickSort(keys, column.name, event.shiftKey) })}
      >
        {column.label}
        <span class="sort-mark" aria-hidden="true">
          {key === undefined ? "" : key.descending ? "▾" : "▴"}
          {key !== undefined && keys.length > 1 ? at + 1 : ""}
        </span>
      </button>
    </th>
  );
}

function rowKeys(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>(".row-symbol")];
  const next = all[all.findIndex((each) => each === document.activeElement) + by];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}

function tell(text: string): void {
  told.value = text;
  window.setTimeout(() => (told.value = ""), 3000);
}

async function copy(): Promise<void> {
  try {
    await navigator.clipboard.writeText(exportRows(rows.peek(), columns.peek(), "\t"));
    tell(`${rows.peek().length} rows copied`);
  } catch {
    tell("The browser did not allow copying; the CSV works without asking.");
  }
}

function download(): void {
  const classes = new Set(rows.peek().map((row) => row.quote?.class ?? "history"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(
    new Blob([exportRows(rows.peek(), columns.peek(), ",")], { type: "text/csv" }),
  );
  link.download = `tapeline-performance-${[...classes].sort().join("-")}.csv`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Performance() {
  const { set, filter: written } = view.value;
  const known = analytics.value;
  const box = useRef<HTMLDivElement>(null);
  const list = rows.value;
  const focusRow = list.some((row) => row.symbol === selected.value)
    ? selected.value
    : list[0]?.symbol;
  useEffect(() => box.current?.scrollTo({ left: 0 }), [set]);
  return (
    <section class="performance" aria-labelledby="performance-title">
      <div class="section-head">
        <h2 id="performance-title">Performance</h2>
        <div class="tabs" role="group" aria-label="Columns">
          {kColumnSets.map(({ id, label }) => (
            <button
              key={id}
              type="button"
              class="preset"
              aria-pressed={set === id}
              onClick={() => changeView({ set: id })}
            >
              {label}
            </button>
          ))}
        </div>
        <p id="filter-problem" class="filter-problem" role="status">
          {filter.value.problem ?? told.value}
        </p>
        <div class="tools">
          <div class="field filter">
            <input
              id="table-filter"
              type="text"
              placeholder="Filter: rsi_14 < 30  volume_ratio > 1.5"
              aria-label="Filter the table by symbol or by comparisons such as rsi_14 < 30"
              aria-invalid={filter.value.problem !== null}
              aria-describedby="filter-problem"
              autocomplete="off"
              spellcheck={false}
              value={written}
              onInput={(event) => changeView({ filter: event.currentTarget.value })}
            />
          </div>
          <IconButton icon="copy" label="Copy as TSV" onClick={() => void copy()} />
          <IconButton icon="down" label="Download CSV" onClick={download} />
        </div>
      </div>
      <div class="table-box" ref={box}>
        <table class="data" data-load-id={known?.loadId ?? ""}>
          <caption class="hidden">Latest mart row and live price of each symbol</caption>
          <thead>
            <tr>
              {columns.value.map((column) => (
                <Header key={column.name} column={column} />
              ))}
            </tr>
          </thead>
          <tbody onKeyDown={rowKeys}>
            {list.map((row) => (
              <Row key={row.symbol} row={row} focusable={row.symbol === focusRow} />
            ))}
          </tbody>
        </table>
        {known === null && <div class="table-skeleton" aria-hidden="true" />}
        {known !== null && list.length === 0 && (
          <p class="table-none">
            {tableRows.value.length === 0
              ? "Rows appear with the first finished run."
              : "No symbol passes the filter."}
          </p>
        )}
      </div>
    </section>
  );
}
