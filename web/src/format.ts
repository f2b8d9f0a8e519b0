// Numbers as people read them. A real minus sign, tabular width, and a dash for what is unknown.

export const kNone = "–";
const kMinus = "−";

const grouped = new Map<number, Intl.NumberFormat>();

export function fixed(value: number, digits: number): string {
  let format = grouped.get(digits);
  if (format === undefined) {
    format = new Intl.NumberFormat("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    grouped.set(digits, format);
  }
  const shown = format.format(value);
  return /[1-9]/.test(shown) ? shown.replace("-", kMinus) : shown.replace("-", "");
}

/** Two decimals for what costs a dollar or more, four below it, six below a cent. */
export function priceDigits(value: number): number {
  const size = Math.abs(value);
  return size >= 1 || size === 0 ? 2 : size >= 0.01 ? 4 : 6;
}

export function price(value: number | null): string {
  return value === null ? kNone : fixed(value, priceDigits(value));
}

function signed(value: number, digits: number): string {
  const shown = fixed(value, digits);
  return value > 0 && /[1-9]/.test(shown) ? `+${shown}` : shown;
}

/** A change has the decimals of the price that it belongs to. */
export function change(value: number | null, of: number): string {
  return value === null ? kNone : signed(value, priceDigits(of));
}

export function percent(value: number | null, digits = 2): string {
  return value === null ? kNone : `${signed(value, digits)}\u202f%`;
}

export function direction(value: number | null): "up" | "down" | "flat" {
  return value === null || value === 0 ? "flat" : value > 0 ? "up" : "down";
}

export function arrow(value: number | null): string {
  const way = direction(value);
  return way === "up" ? "▲" : way === "down" ? "▼" : "";
}

/** 41,234,567 as 41.2M. */
export function compact(value: number | null): string {
  if (value === null) return kNone;
  const size = Math.abs(value);
  for (const [unit, letter] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const) {
    // What rounds up to the next unit is written in it: 999,600 is 1.00M and not 1,000K.
    const scaled = size / unit;
    if (scaled >= 0.9995) {
      return fixed(value / unit, scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2) + letter;
    }
  }
  return fixed(value, Number.isInteger(value) ? 0 : 2);
}

export function whole(value: number | null): string {
  return value === null ? kNone : fixed(value, 0);
}

/** How long ago: tenths below ten seconds, then 42 s, 1:05, 2 h 05, 3 d. */
export function age(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${fixed(seconds, 1)}\u202fs`;
  if (seconds < 60) return `${Math.floor(seconds)}\u202fs`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  if (seconds < 172_800) {
    return `${Math.floor(seconds / 3600)}\u202fh\u202f${two((seconds % 3600) / 60)}`;
  }
  return `${Math.floor(seconds / 86_400)}\u202fd`;
}

/** 2h 14m, for what is still to come. */
export function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)}d`;
  return hours > 0 ? `${hours}h ${minutes % 60}m` : `${minutes}m`;
}

/** "1 message", "1,440 messages". */
export function counted(count: number, one: string): string {
  return `${whole(count)} ${one}${count === 1 ? "" : "s"}`;
}

/** An error's message as a sentence. */
export function sentence(message: string): string {
  const whole = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
