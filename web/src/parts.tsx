// Small pieces that several views share.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { arrow, change, direction, percent, price } from "./format";
import { paused } from "./state";
import type { Quote } from "./wire";

const kPaths = {
  pause: "M5 3v10M11 3v10",
  play: "M5 3l8 5-8 5z",
  sliders: "M2 5h7M13 5h1M2 11h1M7 11h7M11 3v4M5 9v4",
  help: "M5.500 6a2.500 2.500 0 1 1 3.600 2.200c-.8.4-1.100.8-1.100 1.600M8 12.600v.1",
  table: "M2 3h12v10H2zM2 6.500h12M2 9.700h12M6.500 3v10",
  chart: "M4 2v12M12 2v12M2.500 5h3v6h-3zM10.500 4h3v5h-3z",
  camera: "M2 5h3l1-2h4l1 2h3v8H2zM8 11a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400z",
  copy: "M6 6h8v8H6zM10 6V2H2v8h4",
  down: "M8 2v8M4.500 7L8 10.500 11.500 7M2 14h12",
  close: "M4 4l8 8M12 4l-8 8",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.700 10.700L14 14",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.500V8l2.500 1.500",
} as const;

export function Icon({ name }: { name: keyof typeof kPaths }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={kPaths[name]} />
    </svg>
  );
}

interface IconButtonProps {
  icon: keyof typeof kPaths;
  label: string;
  keys?: string;
  pressed?: boolean;
  onClick: () => void;
  children?: ComponentChildren;
}

export function IconButton({ icon, label, keys, pressed, onClick, children }: IconButtonProps) {
  return (
    <button
      type="button"
      class={children === undefined ? "button icon-only" : "button"}
      title={keys === undefined ? label : `${label} (${keys})`}
      aria-label={children === undefined ? label : undefined}
      aria-pressed={pressed}
      onClick={onClick}
    >
      <Icon name={icon} />
      {children}
    </button>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChoose: (value: T) => void;
}

export function Choice<T extends string>({ label, value, options, onChoose }: ChoiceProps<T>) {
  return (
    <select
      class="choice"
      aria-label={label}
      title={label}
      value={value}
      onChange={(event) => {
        const chosen = options.find(([each]) => each === event.currentTarget.value);
        if (chosen !== undefined) onChoose(chosen[0]);
      }}
    >
      {options.map(([each, shown]) => (
        <option key={each} value={each} selected={each === value}>
          {shown}
        </option>
      ))}
    </select>
  );
}

const kFlashPauseMs = 400;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A price that answers a change with a short tint of its background, at most 2.5 a second. */
export function FlashingPrice({ quote, size }: { quote: Quote; size?: string }) {
  const box = useRef<HTMLSpanElement>(null);
  const last = useRef({ symbol: quote.symbol, price: quote.price, at: 0 });
  useEffect(() => {
    const was = last.current;
    const at = Date.now();
    const same = was.symbol === quote.symbol;
    const moved = quote.price - was.price;
    last.current = { symbol: quote.symbol, price: quote.price, at: same ? was.at : 0 };
    if (!same || moved === 0 || calm.matches || at - was.at < kFlashPauseMs || paused.peek())
      return;
    last.current.at = at;
    const tint = getComputedStyle(document.documentElement)
      .getPropertyValue(moved > 0 ? "--up-tint" : "--down-tint")
      .trim();
    box.current?.animate(
      [
        { backgroundColor: tint },
        { backgroundColor: tint, offset: 0.33 },
        { backgroundColor: "transparent" },
      ],
      { duration: 1500, easing: "ease-out" },
    );
  }, [quote.symbol, quote.price]);
  return (
    <span ref={box} class={`flashing num ${size ?? ""}`}>
      {price(quote.price)}
    </span>
  );
}

/** ▲ +1.31 (+0.70 %), in the colour of its direction and never by colour alone. */
export function Change({ quote, short }: { quote: Quote; short?: boolean }) {
  const way = direction(quote.change);
  if (quote.change === null) {
    return (
      <span class="flat num small-note" title="No close before this day is known">
        {short === true ? "–" : "no previous close"}
      </span>
    );
  }
  return (
    <span class={`${way} num`}>
      <span class="arrow">{arrow(quote.change)}</span>
      {short === true
        ? percent(quote.changePct)
        : `${change(quote.change, quote.price)} (${percent(quote.changePct)})`}
    </span>
  );
}

/** A place between two ends, as for the day's range; empty where an end is unknown. */
export function RangeBar({
  low,
  high,
  at,
  label,
}: {
  low: number | null;
  high: number | null;
  at: number | null;
  label: string;
}) {
  const known = low !== null && high !== null && at !== null && high > low;
  const part = known ? Math.min(1, Math.max(0, (at - low) / (high - low))) : null;
  return (
    <div class="range">
      <span class="range-label">{label}</span>
      <span class="num">{price(low)}</span>
      <svg class="range-track" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect x="0" y="3" width="100" height="2" class="range-line" />
        {part !== null && <rect x={part * 97} y="0" width="3" height="8" class="range-mark" />}
      </svg>
      <span class="num">{price(high)}</span>
    </div>
  );
}
