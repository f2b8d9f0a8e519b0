// The days that the chart shows, as two handles on all days there are. The handles are native
// range inputs, so keys and screen readers work as everywhere.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { anchor, firstDay, overview, wanted } from "./chart_data";
import { changeView } from "./state";
import { addDays, daysBetween, longDate } from "./time";

/** The days while a handle is held, before the chart follows. */
const held = signal<{ from: string; to: string } | null>(null);
let timer = 0;

function commit(): void {
  const days = held.peek();
  window.clearTimeout(timer);
  if (days === null) return;
  held.value = null;
  changeView({ preset: null, from: days.from, to: days.to, interval: null }, "push");
}

function move(from: string, to: string): void {
  held.value = { from, to };
  window.clearTimeout(timer);
  timer = window.setTimeout(commit, 350);
}

export function DaySlider({ children }: { children: ComponentChildren }) {
  const first = firstDay.value;
  const last = anchor.value;
  const span = held.value ?? wanted.value?.span ?? null;
  const known = overview.value;
  if (first === null || last === null || span === null || known === null || first >= last) {
    return (
      <div class={known === null ? "slider" : "slider bare"}>
        <div class="slider-days">{children}</div>
      </div>
    );
  }
  const all = Math.max(1, daysBetween(first, last));
  const place = (date: string) => Math.min(all, Math.max(0, daysBetween(first, date)));
  const from = place(span.from);
  const to = Math.max(from, place(span.to));
  const { bars } = known;
  const low = Math.min(...bars.map((bar) => bar.close));
  const high = Math.max(...bars.map((bar) => bar.close));
  const x = (days: number) => (days / all) * 1000;
  const y = (close: number) => (high === low ? 18 : 32 - ((close - low) / (high - low)) * 28);
  const line = bars
    .map((bar, i) => {
      const days =
        i === bars.length - 1 ? all : place(new Date(bar.time).toISOString().slice(0, 10));
      return `${x(days).toFixed(1)} ${y(bar.close).toFixed(1)}`;
    })
    .join("L");
  return (
    <div class="slider" role="group" aria-label="Days shown">
      <svg
        class="slider-picture"
        viewBox="0 0 1000 36"
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {bars.length > 1 && <path class="slider-area" d={`M${line}L1000 36L0 36Z`} />}
        {bars.length > 1 && <path class="slider-line" d={`M${line}`} />}
        <rect class="slider-out" x="0" y="0" width={x(from)} height="36" />
        <rect class="slider-out" x={x(to)} y="0" width={1000 - x(to)} height="36" />
      </svg>
      <input
        id="from-day"
        type="range"
        min={0}
        max={all}
        step={1}
        value={from}
        aria-label="First day"
        aria-valuetext={longDate(span.from)}
        onInput={(event) => {
          const day = Math.min(Number(event.currentTarget.value), to);
          event.currentTarget.value = String(day);
          move(addDays(first, day), span.to);
        }}
      />
      <input
        type="range"
        min={0}
        max={all}
        step={1}
        value={to}
        aria-label="Last day"
        aria-valuetext={longDate(span.to)}
        onInput={(event) => {
          const day = Math.max(Number(event.currentTarget.value), from);
          event.currentTarget.value = String(day);
          move(span.from, addDays(first, day));
        }}
      />
      <div class="slider-days">
        <span class="num">{longDate(span.from)}</span>
        {children}
        <span class="num">{longDate(span.to)}</span>
      </div>
    </div>
  );
}
