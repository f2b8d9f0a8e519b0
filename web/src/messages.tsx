// The way from a number back to the bytes it came from: the raw rows behind a bar or a day, each
// with its place in the log, and the record that stands there.

import { signal } from "@preact/signals";
import { ApiError, fetchMessages, fetchRecord } from "./api";
import { barEnd } from "./bars";
import { counted, price, sentence, whole } from "./format";
import { Modal } from "./modal";
import { isIntraday } from "./range";
import { clockMinutes, clockTime, exchangeDate, longDate, toInstant, zoneName } from "./time";
import type { Bar, Interval, LogRecord, Message } from "./wire";

interface Asked {
  symbol: string;
  title: string;
  /** As the API takes them: instants, or New York dates. */
  from: string;
  to: string;
  /** Of a bar of minutes; days are made of regular sessions only. */
  intraday: boolean;
}

const kAtOnce = 100;

const asked = signal<Asked | null>(null);
const found = signal<{ total: number; messages: Message[] } | null>(null);
const failed = signal<string | null>(null);
const opened = signal<{ offset: number; record: LogRecord | null } | null>(null);
let cancel = new AbortController();

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
  void more();
}

function close(): void {
  cancel.abort();
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

async function more(): Promise<void> {
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

async function openRecord({ topic, partition, offset }: Message): Promise<void> {
  if (opened.peek()?.offset === offset) {
    opened.value = null;
    return;
  }
  try {
    const record =
      topic === null || partition === null
        ? null
        : await fetchRecord(topic, partition, offset, cancel.signal);
    opened.value = { offset, record };
  } catch (error) {
    failed.value = said(error);
  }
}

/** JSON with air, anything else as it is. */
function readable(value: string): string {
  try {
    JSON.parse(value);
  } catch {
    return value;
  }
  // By hand and not by stringify, which would round a number that is longer than a double.
  return value.replace(/,"/g, ',\n "');
}

function counts(message: Message, intraday: boolean): boolean {
  return intraday
    ? message.barLength === null || message.barLength === "1m"
    : message.session === "regular";
}

function time(message: Message, { intraday, from, to }: Asked): string {
  const day = intraday || from === to ? "" : `${exchangeDate(message.at)} `;
  const fraction = message.timestamp.slice(0, -1).split(".")[1] ?? "";
  return `${day}${clockTime(message.at)}${fraction === "" ? "" : `.${fraction}`}`;
}

function Row({ message, what }: { message: Message; what: Asked }) {
  const isOpen = opened.value?.offset === message.offset;
  const record = opened.value?.record ?? null;
  return (
    <>
      <tr class={counts(message, what.intraday) ? "" : "aside"}>
        <th scope="row" class="num">
          {time(message, what)}
        </th>
        <td>{price(message.price)}</td>
        <td>{whole(message.volume)}</td>
        <td>
          <button
            type="button"
            class="link"
            aria-expanded={isOpen}
            onClick={() => void openRecord(message)}
          >
            {message.offset}
          </button>
        </td>
        <td>{message.loadId}</td>
        <td class="textual">
          {message.session}
          {message.barLength === null ? "" : ` ${message.barLength}`}
        </td>
        <td class="textual">{message.dataSource}</td>
      </tr>
      {isOpen && (
        <tr class="record">
          <td colSpan={7}>
            {record === null ? (
              <p>
                The log no longer holds this record: its retention is shorter than the warehouse's.
              </p>
            ) : (
              <div>
                <p>
                  Topic {message.topic}, partition {message.partition}, offset {message.offset},
                  key {record.key ?? "none"}, appended {record.appendedAt}
                </p>
                <pre tabIndex={0}>{readable(record.value)}</pre>
              </div>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

function Rows({ what }: { what: Asked }) {
  const known = found.value;
  if (known === null) return failed.value === null ? <p class="muted">Reading …</p> : null;
  const { total, messages } = known;
  const left = total - messages.length;
  const aside = messages.some((message) => !counts(message, what.intraday));
  return (
    <>
      <p class="muted">
        {total === 0
          ? "No message is loaded for this time yet."
          : `${counted(total, "message")} in raw_stocks.stock_prices, oldest first. ` +
            "An offset opens the record as it came in."}
        {aside &&
          (what.intraday
            ? " Dimmed ones are bars of more than a minute, which this bar leaves out."
            : " Dimmed ones are of other sessions; a day is made of the regular one.")}
      </p>
      {total > 0 && (
        <div class="messages-box" tabIndex={0} role="region" aria-label="Messages">
          <table class="data">
            <thead>
              <tr>
                <th scope="col">Time (NY)</th>
                <th scope="col">Price</th>
                <th scope="col">Volume</th>
                <th scope="col">Offset</th>
                <th scope="col">Load</th>
                <th scope="col" class="textual">
                  Session
                </th>
                <th scope="col" class="textual">
                  Source
                </th>
              </tr>
            </thead>
            <tbody>
              {messages.map((message) => (
                <Row key={message.timestamp} message={message} what={what} />
              ))}
            </tbody>
          </table>
          {left > 0 && (
            <button type="button" class="button" onClick={() => void more()}>
              Show {whole(Math.min(kAtOnce, left))} more of {whole(left)}
            </button>
          )}
        </div>
      )}
    </>
  );
}

export function MessagesDialog() {
  const what = asked.value;
  return (
    <Modal title={what === null ? null : `${what.symbol} · ${what.title}`} wide onClose={close}>
      {what !== null && <Rows what={what} />}
      {failed.value !== null && (
        <p class="bad" role="alert">
          {failed.value}
        </p>
      )}
    </Modal>
  );
}
