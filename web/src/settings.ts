// How this browser likes the page: kept in its own storage, not in the address.

import { effect, signal } from "@preact/signals";

export const kThemes = ["system", "light", "dark"] as const;
export type Theme = (typeof kThemes)[number];
export const kPalettes = ["classic", "red-up", "blue-orange"] as const;
export type Palette = (typeof kPalettes)[number];

function stored<T extends string>(key: string, all: readonly T[], fallback: T): T {
  try {
    const value = localStorage.getItem(`tapeline.${key}`);
    return all.find((each) => each === value) ?? fallback;
  } catch {
    return fallback;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(`tapeline.${key}`, value);
  } catch {
    // A browser without storage forgets; the page works.
  }
}

const kAsked = new URLSearchParams(location.search).get("theme");
const asked = kThemes.find((theme) => theme === kAsked);
export const theme = signal<Theme>(asked ?? stored("theme", kThemes, "system"));
export const palette = signal<Palette>(stored("palette", kPalettes, "classic"));
export const singleKeys = signal(stored("keys", ["on", "off"], "on") === "on");
/** Counts the changes of colour, for what is painted rather than styled. */
export const paintCount = signal(0);

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);

export function start(): void {
  prefersDark.addEventListener("change", () => {
    systemDark.value = prefersDark.matches;
  });
  effect(() => {
    const dark = theme.value === "dark" || (theme.value === "system" && systemDark.value);
    document.documentElement.dataset["theme"] = dark ? "dark" : "light";
    document.documentElement.dataset["palette"] = palette.value;
    paintCount.value = paintCount.peek() + 1;
  });
}

export function chooseTheme(next: Theme): void {
  theme.value = next;
  store("theme", next);
}

export function choosePalette(next: Palette): void {
  palette.value = next;
  store("palette", next);
}

export function chooseSingleKeys(on: boolean): void {
  singleKeys.value = on;
  store("keys", on ? "on" : "off");
}
