// Keys that work anywhere on the page, as traders know them. Single keys can be switched off.

import { chooseInterval, drawnChart, savePicture } from "./chart_panel";
import { openHelp } from "./dialogs";
import { singleKeys } from "./settings";
import { changeView, paused, setPaused, view } from "./state";
import { search, stepSymbol } from "./watchlist";
import type { Interval } from "./wire";

const kMinutes: Readonly<Record<string, Interval>> = {
  "1": "1m",
  "5": "5m",
  "15": "15m",
  "30": "30m",
  "60": "1h",
  "240": "4h",
};
const kDigitsPauseMs = 600;

let digits = "";
let digitsTimer = 0;

function takeDigit(digit: string): void {
  digits = (digits + digit).slice(-3);
  window.clearTimeout(digitsTimer);
  digitsTimer = window.setTimeout(() => {
    const interval = kMinutes[digits];
    digits = "";
    if (interval !== undefined) chooseInterval(interval);
  }, kDigitsPauseMs);
}

function focusSearch(letter: string): void {
  const field = document.getElementById("search");
  if (!(field instanceof HTMLInputElement)) return;
  search.value = letter.toUpperCase();
  field.focus();
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.matches("input:not([type=range]), select, textarea")
  );
}

function altKey(code: string): boolean {
  const { scale } = view.peek();
  if (code === "KeyR") drawnChart()?.fit();
  else if (code === "KeyL") changeView({ scale: scale === "log" ? "linear" : "log" });
  else if (code === "KeyP") changeView({ scale: scale === "pct" ? "linear" : "pct" });
  else if (code === "KeyS") savePicture();
  else if (code === "KeyG") document.getElementById("from-day")?.focus();
  else return false;
  return true;
}

function singleKey(event: KeyboardEvent): boolean {
  const onButton =
    event.target instanceof HTMLElement && event.target.matches("button, a, summary");
  if (event.key === "/") focusSearch("");
  else if (event.key === "?") openHelp();
  else if (event.key === "[") stepSymbol(-1);
  else if (event.key === "]") stepSymbol(1);
  else if (event.key === " " && !onButton) setPaused(!paused.peek());
  else if (/^[0-9]$/.test(event.key)) takeDigit(event.key);
  else if (/^[a-zA-Z]$/.test(event.key)) focusSearch(event.key);
  else return false;
  return true;
}

export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey) return;
    if (document.querySelector("dialog[open]") !== null) return;
    if (
      (event.ctrlKey && event.key === "k") ||
      (event.altKey && !event.ctrlKey && altKey(event.code))
    ) {
      if (event.ctrlKey) focusSearch("");
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.altKey || isTyping(event.target) || !singleKeys.peek()) return;
    if (singleKey(event)) event.preventDefault();
  });
}
