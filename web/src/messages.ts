// The way from a number back to the bytes it came from: which bar or day is asked about, its raw
// rows, each with its place in the log, and the record that stands there.

import { signal } from "@preact/signals";
import { ApiError, fetchMessages, fetchRecord } from "./api";
import { barEnd } from "./bars";
import { sentence } from "./format";
import { isIntraday } from "./range";
import { clockMinutes, exchangeDate, longDate, toInstant, zoneName } from "./time";
import type { Bar, Interval, LogRecord, Message } from "./wire";

export interface Asked {
  symbol: string;
  title: string;
  /** As the API takes them: instants, or New York dates. */
  from: string;
  to: string;
  /** Of a bar of minutes; days are made of regular sessions only. */
  intraday: boolean;
}

export const kAtOnce = 100;

export const asked = signal<Asked | null>(null);
export const found = signal<{ total: number; messages: Message[] } | null>(null);
export const failed = signal<string | null>(null);
/** The record that is shown, under the row's timestamp: offsets repeat from topic to topic. */
export const opened = signal<{ timestamp: string; record: LogRecord | null } | null>(null);
let cancel = new AbortController();
let reading = new AbortController();

export function openDayMessages(symbol: string, date: string): void {
  show({ symbol, title: longDate(date), from: date, to: date, intraday: false });
}

export function openBarMessages(symbol: string, bar: Bar, interval: Interval): void {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const end = barEnd(bar.time, interval);
  if (!isIntraday(interval)) {
    const [from, to] = [day(bar.time), day(end - 1)];
    const title = from === to ? longDate(from) : `${longDate(from)} – ${longDate(to)}`;
    show({ symbol, title, from, to, intraday: false });
    return;
  }
  const title =
    `${longDate(exchangeDate(bar.time))}, ${clockMinutes(bar.time)} – ` +
    `${clockMinutes(end)} ${zoneName(bar.time)}`;
  show({ symbol, title, from: toInstant(bar.time), to: toInstant(end), intraday: true });
}

function show(what: Asked): void {
  asked.value = what;
  found.value = null;
  opened.value = null;
  reading.abort();
  void more();
}

export function close(): void {
  cancel.abort();
  reading.abort();
  asked.value = null;
}

function said(error: unknown): string {
  if (error instanceof ApiError) return `${sentence(error.message)} ${error.hint}`;
  return error instanceof Error ? error.message : String(error);
}

/** The instant after a row's, to the microsecond: no two rows of a symbol share one. */
function after(timestamp: string): string {
  const [whole = "", fraction = ""] = timestamp.slice(0, -1).split(".");
  const micros = Number(fraction.padEnd(6, "0")) + 1;
  return micros < 1_000_000
    ? `${whole}.${String(micros).padStart(6, "0")}Z`
    : toInstant(Date.parse(`${whole}Z`) + 1000);
}

export async function more(): Promise<void> {
  const what = asked.peek();
  if (what === null) return;
  cancel.abort();
  cancel = new AbortController();
  const stop = cancel.signal;
  failed.value = null;
  const have = found.peek();
  const last = have?.messages.at(-1);
  const from = last === undefined ? what.from : after(last.timestamp);
  try {
    const part = await fetchMessages(what.symbol, from, what.to, kAtOnce, stop);
    const messages = [...(have?.messages ?? []), ...part.messages];
    found.value = { total: have?.total ?? part.total, messages };
  } catch (error) {
    if (!stop.aborted) failed.value = said(error);
  }
}

export async function openRecord(message: Message): Promise<void> {
  const { timestamp, topic, partition, offset } = message;
  const isShown = opened.peek()?.timestamp === timestamp;
  opened.value = null;
  reading.abort();
  if (isShown) return;
  reading = new AbortController();
  const stop = reading.signal;
  failed.value = null;
  try {
    const record =
      topic === null || partition === null
        ? null
        : await fetchRecord(topic, partition, offset, stop);
    if (!stop.aborted) opened.value = { timestamp, record };
  } catch (error) {
    if (!stop.aborted) failed.value = said(error);
  }
}

/** True where a message is one of those that the bar or the day is made of. */
export function counts(message: Message, intraday: boolean): boolean {
  return intraday
    ? message.barLength === null || message.barLength === "1m"
    : message.session === "regular";
}
