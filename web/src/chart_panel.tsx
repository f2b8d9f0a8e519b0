// The chart and everything around it: range and interval, the legend that follows the crosshair,
// the same bars as a table, the days' slider, and why there is nothing where there is nothing.

import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { areFlat } from "./bars";
import {
  chart,
  chartType,
  grown,
  loading,
  overview,
  pinned,
  preset,
  problem,
  reload,
  wanted,
} from "./chart_data";
import { DaySlider } from "./day_slider";
import { age, compact, counted, direction, percent, price, sentence, whole } from "./format";
import { openBarMessages } from "./messages";
import { Choice, Icon, IconButton } from "./parts";
import { PriceChart } from "./price_chart";
import { intervalFor, isIntraday, kIntervals, kPresets } from "./range";
import { paintCount } from "./settings";
import { changeView, selected, selectedMart, selectedQuote, status, view } from "./state";
import { clockMinutes, exchangeDate, longDate, zoneName } from "./time";
import type { ChartType, Scale, View } from "./url";
import type { Bar, Interval } from "./wire";

let drawn: PriceChart | null = null;
const cursor = signal<number | null>(null);
const legendTurn = signal(0);
const behind = signal(0);
const spoken = signal("");

export function drawnChart(): PriceChart | null {
  return drawn;
}

export function chooseInterval(interval: Interval): void {
  changeView(
    { interval: wanted.peek()?.interval === interval ? view.peek().interval : interval },
    "push",
  );
}

const kTypeNames: readonly (readonly [ChartType, string])[] = [
  ["candles", "Candles"],
  ["hollow", "Hollow candles"],
  ["bars", "Bars"],
  ["line", "Line"],
];
const kScaleNames: readonly (readonly [Scale, string])[] = [
  ["linear", "Linear"],
  ["log", "Log"],
  ["pct", "Percent"],
];

function Toolbar() {
  const { scale, asTable } = view.value;
  const interval = wanted.value?.interval ?? "1m";
  return (
    <div class="toolbar">
      <div class="presets" role="group" aria-label="Range">
        {kPresets.map((each) => (
          <button
            key={each}
            type="button"
            class="preset"
            aria-pressed={preset.value === each}
            onClick={() =>
              changeView({ preset: each, from: null, to: null, interval: null }, "push")
            }
          >
            {each}
          </button>
        ))}
      </div>
      <div class="tools">
        <Choice
          label="Interval"
          value={interval}
          options={kIntervals.map((each) => [each, each] as const)}
          onChoose={chooseInterval}
        />
        <Choice
          label="Chart type"
          value={chartType.value}
          options={kTypeNames}
          onChoose={(next) => changeView({ type: next })}
        />
        <Choice
          label="Price scale"
          value={scale}
          options={kScaleNames}
          onChoose={(next) => changeView({ scale: next })}
        />
        <IconButton
          icon="table"
          label="View as table"
          pressed={asTable}
          onClick={() => changeView({ asTable: !asTable })}
        />
        <IconButton icon="camera" label="Save as picture" keys="Alt+S" onClick={savePicture} />
      </div>
    </div>
  );
}

export function savePicture(): void {
  const picture = drawn?.picture();
  const shown = chart.peek();
  if (picture === undefined || shown === null) return;
  const feed = selectedQuote.peek()?.class ?? "history";
  picture.toBlob((blob) => {
    if (blob === null) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${shown.symbol}-${shown.interval}-${feed}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}

function barTime(bar: Bar, interval: Interval): string {
  if (!isIntraday(interval)) return longDate(new Date(bar.time).toISOString().slice(0, 10));
  return `${longDate(exchangeDate(bar.time))} ${clockMinutes(bar.time)} ${zoneName(bar.time)}`;
}

const kFromMart = ", this day's included, from the mart";

function Legend() {
  legendTurn.value;
  const shown = chart.value;
  const at = drawn?.barAt(cursor.value ?? pinned.value) ?? null;
  if (shown === null || at === null) return <div class="legend" />;
  const { bar, averages } = at;
  const isOne = bar.high === bar.low;
  const moved = bar.open === 0 ? null : ((bar.close - bar.open) / bar.open) * 100;
  const way = direction(bar.close - bar.open);
  const part = (name: string, value: string, colour = "", meaning = "") => (
    <span class="legend-part" title={meaning}>
      <span class={`legend-name ${colour}`}>{name}</span>
      <span class={`num ${colour === "" ? way : ""}`}>{value}</span>
    </span>
  );
  return (
    <div class="legend">
      <span class="legend-time num">{barTime(bar, shown.interval)}</span>
      {isOne ? (
        part("Price", price(bar.close))
      ) : (
        <>
          {part("O", price(bar.open))}
          {part("H", price(bar.high))}
          {part("L", price(bar.low))}
          {part("C", price(bar.close))}
          <span class={`legend-part legend-change num ${way}`} title="Close against the bar's open">
            {percent(moved)}
          </span>
        </>
      )}
      <span class="legend-part" title="Shares traded in this bar">
        <span class="legend-name">V</span>
        <span class="num">{compact(bar.volume)}</span>
      </span>
      {part("MA7", price(averages.ma7), "ma7", `Mean of 7 daily closes${kFromMart}`)}
      {part("MA30", price(averages.ma30), "ma30", `Mean of 30 daily closes${kFromMart}`)}
      <button
        type="button"
        class="link legend-messages"
        title="The messages behind this bar. Click a bar to keep it here."
        onClick={() => openBarMessages(shown.symbol, bar, shown.interval)}
      >
        {bar.count === null ? "Messages" : counted(bar.count, "message")}
      </button>
    </div>
  );
}

/** One sentence of what the chart shows, for those who cannot see it. */
const summary = computed(() => {
  const shown = chart.value;
  if (shown === null) return "Price chart, loading";
  const first = shown.bars[0];
  const last = shown.bars.at(-1);
  if (first === undefined || last === undefined) return `Price chart of ${shown.symbol}, no bars`;
  const high = price(Math.max(...shown.bars.map((bar) => bar.high)));
  const low = price(Math.min(...shown.bars.map((bar) => bar.low)));
  return (
    `Price chart of ${shown.symbol}, ${shown.bars.length} bars of ${shown.interval} from ` +
    `${barTime(first, shown.interval)}: between ${low} and ${high}, ` +
    `last ${price(last.close)}. Left and right arrow keys read bar by bar, ` +
    `Enter shows the messages behind one.`
  );
});

function speak(index: number | null): void {
  const at = drawn?.barAt(index) ?? null;
  const shown = chart.peek();
  if (at === null || shown === null) return;
  const { bar } = at;
  spoken.value =
    `${barTime(bar, shown.interval)}, open ${price(bar.open)}, high ${price(bar.high)}, ` +
    `low ${price(bar.low)}, close ${price(bar.close)}, volume ${compact(bar.volume)}`;
}

function chartKey(event: KeyboardEvent): void {
  if (drawn === null || event.altKey || event.metaKey) return;
  const far = event.ctrlKey ? 10 : 1;
  const step = { ArrowLeft: -far, ArrowRight: far, Home: -1e9, End: 1e9 }[event.key];
  if (step !== undefined) speak(drawn.step(step));
  else if (event.key === "+" || event.key === "=") drawn.zoom(0.7);
  else if (event.key === "-") drawn.zoom(1 / 0.7);
  else if (event.key === "Enter") openAt(cursor.peek() ?? pinned.peek());
  else if (event.key === "Escape") {
    pinned.value = null;
    drawn.clearCrosshair();
  }
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function openAt(index: number | null): void {
  const at = drawn?.barAt(index) ?? null;
  const shown = chart.peek();
  if (at !== null && shown !== null) openBarMessages(shown.symbol, at.bar, shown.interval);
}

function Canvas() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current === null) return;
    let frame = 0;
    let seen = 0;
    drawn = new PriceChart(
      box.current,
      (index) => {
        cursor.value = index;
        legendTurn.value = legendTurn.peek() + 1;
      },
      (follows) => {
        if (follows) seen = chart.peek()?.bars.length ?? 0;
        if (follows) behind.value = 0;
      },
      (index) => (pinned.value = index),
    );
    const target = drawn;
    const stops = [
      paintCount.subscribe(() => target.paint()),
      chart.subscribe((data) => {
        if (data === null) return;
        target.setData(data);
        seen = data.bars.length;
        behind.value = 0;
      }),
      grown.subscribe((bar) => {
        if (bar === null || frame !== 0) return;
        frame = requestAnimationFrame(() => {
          frame = 0;
          target.grow();
          if (target.isBehind())
            behind.value = Math.max(0, (chart.peek()?.bars.length ?? 0) - seen);
        });
      }),
      chartType.subscribe((type) => target.setType(type)),
      view.subscribe(({ scale }) => target.setScale(scale)),
      pinned.subscribe((index) => target.pin(index)),
      watermark.subscribe((text) => target.setWatermark(text)),
      levels.subscribe((text) => target.setLevels(JSON.parse(text))),
    ];
    return () => {
      cancelAnimationFrame(frame);
      for (const stop of stops) stop();
      target.remove();
      drawn = null;
    };
  }, []);
  return (
    <div
      class="canvas"
      role="group"
      aria-roledescription="chart"
      aria-label={summary.value}
      tabIndex={0}
      onKeyDown={chartKey}
      data-bars={chart.value?.bars.length ?? 0}
    >
      <div class="canvas-box" ref={box} />
    </div>
  );
}

const watermark = computed(() => {
  const quote = selectedQuote.value;
  if (status.value?.data.kind === "simulated" || quote?.class === "simulated") return "SIMULATED";
  return quote?.class === "replay" ? "REPLAY" : "";
});

/** As text, so that it changes only when a level does. */
const levels = computed(() => {
  const quote = selectedQuote.value;
  const mart = selectedMart.value;
  const figure = (name: string) => {
    const value = mart?.[name];
    return typeof value === "number" ? value : null;
  };
  return JSON.stringify({
    previousClose: quote?.referencePrice ?? quote?.previousClose ?? null,
    high52: figure("high_52_week"),
    low52: figure("low_52_week"),
  });
});

const kTableRows = 500;

function BarsTable() {
  const shown = chart.value;
  grown.value;
  if (shown === null) return <div class="bars-table" />;
  const bars = shown.bars.slice(-kTableRows).reverse();
  return (
    <div class="bars-table" tabIndex={0} role="region" aria-label="Bars of the chart">
      <table class="data">
        <caption>
          {shown.symbol}, {shown.interval} bars, newest first
          {shown.bars.length > bars.length
            ? `, the last ${bars.length} of ${shown.bars.length}`
            : ""}
        </caption>
        <thead>
          <tr>
            {["Time", "Open", "High", "Low", "Close", "Volume"].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {bars.map((bar) => (
            <tr key={bar.time}>
              <th scope="row">
                <button
                  type="button"
                  class="link"
                  title="The messages behind this bar"
                  onClick={() => openBarMessages(shown.symbol, bar, shown.interval)}
                >
                  {barTime(bar, shown.interval)}
                </button>
              </th>
              <td>{price(bar.open)}</td>
              <td>{price(bar.high)}</td>
              <td>{price(bar.low)}</td>
              <td>{price(bar.close)}</td>
              <td>{whole(bar.volume)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Why the chart is empty, with the way out. */
function Nothing() {
  const failed = problem.value;
  if (failed !== null) {
    return (
      <div class="nothing" role="alert">
        <h3>The chart could not be loaded</h3>
        <p>
          {sentence(failed.message)} {failed.hint}
        </p>
        {chart.value !== null && <p class="muted">What is drawn is from before.</p>}
        <button type="button" class="button primary" onClick={reload}>
          Try again
        </button>
      </div>
    );
  }
  const shown = chart.value;
  if (shown === null || shown.bars.length > 0 || shown.symbol !== selected.value) return null;
  const { span, symbol, interval } = shown;
  const days = shown.days.filter((row) => String(row["price_date"]).slice(0, 10) >= span.from);
  const onlyDays = isIntraday(interval) && days.length > 0;
  const when =
    span.from === span.to
      ? `on ${longDate(span.from)}`
      : `from ${longDate(span.from)} to ${longDate(span.to)}`;
  const show = (change: Partial<View>) =>
    changeView({ preset: null, from: null, to: null, interval: null, ...change }, "push");
  return (
    <div class="nothing">
      <h3>
        No bars of {interval} {when}
      </h3>
      <p>
        {onlyDays
          ? `Of ${symbol}, nothing finer than days can be drawn here. A chart within a day needs ` +
            "quotes, trades or bars of a minute."
          : `Nothing of ${symbol} was sent for this time, or it is not loaded yet.`}
      </p>
      <button
        type="button"
        class="button primary"
        onClick={() => show(onlyDays ? { preset: "6M" } : { preset: "All" })}
      >
        {onlyDays ? "Show six months of days" : "Show all there is"}
      </button>
    </div>
  );
}

function Notes() {
  const shown = chart.value;
  const want = wanted.value;
  const notes: string[] = [];
  if (status.value?.data.unadjusted === true) notes.push("Unadjusted for splits and dividends");
  if (shown !== null) {
    if (isIntraday(shown.interval)) notes.push("New York time");
    if (areFlat(shown.bars) && view.value.type === null)
      notes.push("One price a bar, so drawn as a line");
    const gaps = shown.gaps.length;
    if (gaps > 0) {
      const minutes = shown.gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
      const causes = [
        ...new Set(shown.gaps.map((gap) => gap.cause).filter((cause) => cause !== "")),
      ];
      notes.push(
        `${counted(gaps, "gap")}, ${age(minutes)} hatched` +
          (causes.length > 0 ? ` (${causes.join(", ")})` : ""),
      );
    }
    if (shown.cut) notes.push("more bars than can be drawn, the first are shown");
  }
  const asked = view.value.interval;
  if (
    want !== null &&
    asked !== null &&
    preset.value !== null &&
    preset.value !== "1D" &&
    intervalFor(want.span) !== asked
  ) {
    notes.push(`${longDate(want.span.from)} – ${longDate(want.span.to)}`);
  }
  return <p class="notes">{notes.join(" · ")}</p>;
}

export function ChartPanel() {
  const asTable = view.value.asTable;
  const other = chart.value !== null && chart.value.symbol !== selected.value;
  overview.value;
  return (
    <>
      <Toolbar />
      <Legend />
      <div
        class={`chart-area${loading.value && other ? " waiting" : ""}${asTable ? " as-table" : ""}`}
      >
        <Canvas />
        {asTable && <BarsTable />}
        {chart.value === null && problem.value === null && (
          <div class="chart-skeleton" aria-hidden="true" />
        )}
        <Nothing />
        {behind.value > 0 && !asTable && (
          <button type="button" class="pill" onClick={() => drawn?.follow()}>
            <Icon name="play" /> {behind.value} new {behind.value === 1 ? "bar" : "bars"}
          </button>
        )}
        <div class="hidden" aria-live="polite">
          {spoken.value}
        </div>
      </div>
      <DaySlider>
        <Notes />
      </DaySlider>
    </>
  );
}
