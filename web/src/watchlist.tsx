// The watchlist: each symbol with its day in a line, its price and its change, as they come.

import { computed, signal } from "@preact/signals";
import {
  analytics,
  changeView,
  cadenceOf,
  quoteOf,
  second,
  selected,
  selectSymbol,
  sparkOf,
  status,
  symbols,
} from "./state";
import { freshness } from "./freshness";
import { age, direction } from "./format";
import { Change, FlashingPrice, Icon } from "./parts";

export const search = signal("");
const order = signal<"symbol" | "change">("symbol");

export const shownSymbols = computed<string[]>(() => {
  const wanted = search.value.trim().toUpperCase();
  const found = symbols.value.filter((symbol) => symbol.includes(wanted));
  if (order.value === "symbol") return found;
  second.value;
  const changeOf = (symbol: string) =>
    quoteOf(symbol).peek()?.changePct ?? Number.NEGATIVE_INFINITY;
  return [...found].sort((a, b) => changeOf(b) - changeOf(a));
});

export function stepSymbol(by: number): void {
  const all = shownSymbols.peek();
  const at = all.indexOf(selected.peek() ?? "");
  const next = all[(at + by + all.length) % all.length];
  if (next !== undefined) selectSymbol(next);
}

const kSparkReach = 4;

function Spark({ symbol }: { symbol: string }) {
  const quote = quoteOf(symbol).value;
  const { of, points: known } = sparkOf(symbol).value;
  const points = quote === null || of === "days" ? known : [...known, quote.price];
  if (points.length < 2) return <svg class="spark" viewBox="0 0 64 22" aria-hidden="true" />;
  const bottom = Math.min(...points);
  const top = Math.max(...points);
  const reference = of === "minutes" ? (quote?.referencePrice ?? null) : null;
  // A close that is far away, as before a split, would press the day into a flat line.
  const reach = (top - bottom) * kSparkReach;
  const base =
    reference !== null && reference > bottom - reach && reference < top + reach ? reference : null;
  const low = Math.min(bottom, base ?? bottom);
  const high = Math.max(top, base ?? top);
  const y = (value: number) =>
    (high === low ? 11 : 20 - ((value - low) / (high - low)) * 18).toFixed(1);
  const x = (i: number) => ((i / (points.length - 1)) * 64).toFixed(1);
  const moved =
    of === "minutes" ? (quote?.change ?? null) : (points.at(-1) ?? 0) - (points[0] ?? 0);
  const line = points.map((value, i) => `${x(i)} ${y(value)}`).join("L");
  return (
    <svg
      class={`spark ${direction(moved)}`}
      viewBox="0 0 64 22"
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <title>
        {of === "minutes"
          ? "The day so far; dotted: the previous close"
          : `The closes of ${points.length} days`}
      </title>
      {base !== null && <path class="spark-base" d={`M0 ${y(base)}H64`} />}
      <path class="spark-line" d={`M${line}`} />
    </svg>
  );
}

function Row({ symbol, focusable }: { symbol: string; focusable: boolean }) {
  const quote = quoteOf(symbol).value;
  const isSelected = selected.value === symbol;
  const shown =
    quote === null ? null : freshness(quote, status.value, cadenceOf(symbol), second.value);
  const old = shown?.state === "stale";
  return (
    <li>
      <button
        type="button"
        class={`watch-row${isSelected ? " selected" : ""}${old ? " old" : ""}`}
        data-symbol={symbol}
        aria-current={isSelected ? "true" : undefined}
        tabIndex={focusable ? 0 : -1}
        onClick={() => selectSymbol(symbol)}
      >
        <span class="watch-symbol">
          {symbol}
          {shown?.state === "stale" && (
            <span class="watch-age" title="No quote for a while">
              <Icon name="clock" /> {age(shown.ageMs ?? 0)}
            </span>
          )}
        </span>
        <Spark symbol={symbol} />
        {quote === null ? (
          <span class="watch-figures muted">no live price</span>
        ) : (
          <span class="watch-figures">
            <FlashingPrice quote={quote} />
            <Change quote={quote} short />
          </span>
        )}
      </button>
    </li>
  );
}

function moveFocus(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(".watch-row")];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at + by];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  next.focus();
}

export function Watchlist() {
  const list = shownSymbols.value;
  const focusRow = list.find((symbol) => symbol === selected.value) ?? list[0];
  return (
    <nav class="watchlist" aria-label="Watchlist">
      <div class="watch-head">
        <div class="field">
          <Icon name="search" />
          <input
            id="search"
            type="search"
            placeholder="Symbol"
            aria-label="Filter symbols; Enter opens the first"
            autocomplete="off"
            spellcheck={false}
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              const best =
                shownSymbols.value.find((symbol) => symbol === search.value.trim().toUpperCase()) ??
                shownSymbols.value[0];
              if (event.key === "Enter" && best !== undefined) {
                changeView({ symbol: best }, "push");
                search.value = "";
                event.currentTarget.blur();
              } else if (event.key === "Escape") {
                search.value = "";
                event.currentTarget.blur();
              }
            }}
          />
          <kbd aria-hidden="true">/</kbd>
        </div>
        <button
          type="button"
          class="button small"
          title={
            order.value === "symbol"
              ? "Ordered by symbol; press for change"
              : "Ordered by change; press for symbol"
          }
          onClick={() => (order.value = order.value === "symbol" ? "change" : "symbol")}
        >
          {order.value === "symbol" ? "A–Z" : "±%"}
        </button>
      </div>
      <ul class="watch-rows" onKeyDown={moveFocus}>
        {list.map((symbol) => (
          <Row key={symbol} symbol={symbol} focusable={symbol === focusRow} />
        ))}
        {list.length === 0 && symbols.value.length > 0 && (
          <li class="watch-none">No symbol contains “{search.value.trim().toUpperCase()}”.</li>
        )}
        {symbols.value.length === 0 && analytics.value !== null && (
          <li class="watch-none">Symbols appear as their first message comes.</li>
        )}
        {symbols.value.length === 0 &&
          analytics.value === null &&
          [0, 1, 2, 3, 4].map((i) => <li key={i} class="watch-row skeleton" aria-hidden="true" />)}
      </ul>
    </nav>
  );
}
