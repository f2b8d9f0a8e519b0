// Questions to the server. Every one has a deadline, and an answer that is no success becomes an
// Error whose message a person can act on.

import {
  parseAnalytics,
  parseBars,
  parseMessages,
  parseProblem,
  parseQuotes,
  parseRecords,
  parseStatus,
  type Analytics,
  type Bar,
  type Bars,
  type Interval,
  type LogRecord,
  type Messages,
  type Quote,
  type Status,
} from "./wire";
import { startOfExchangeDate, addDays, toInstant } from "./time";
import type { DaySpan } from "./range";

const kDeadlineMs = 15_000;
const kBarsPerPage = 5000;
const kPagesMax = 4;

export class ApiError extends Error {
  constructor(
    message: string,
    readonly hint: string,
    /** The server wants a token first. */
    readonly needsLogin = false,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const get = (path: string, cancel?: AbortSignal): Promise<unknown> =>
  ask(path, { headers: { accept: "application/json" } }, cancel);

async function ask(path: string, request: RequestInit, cancel?: AbortSignal): Promise<unknown> {
  const deadline = AbortSignal.timeout(kDeadlineMs);
  const stop = new AbortController();
  const end = () => stop.abort();
  for (const signal of [deadline, cancel]) {
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end, { once: true });
  }
  let answer: Response;
  let body: unknown;
  try {
    answer = await fetch(path, { ...request, signal: stop.signal });
    body = await answer.json().catch(() => null);
  } catch (error) {
    if (cancel?.aborted) throw error;
    throw deadline.aborted
      ? new ApiError("the server did not answer in 15 seconds", "It may be busy; try again.")
      : new ApiError("the server cannot be reached", "Is tapeline still running?");
  } finally {
    cancel?.removeEventListener("abort", end);
  }
  if (answer.ok) return body;
  const problem = parseProblem(body);
  throw new ApiError(
    problem?.message ?? `the server answered ${answer.status}`,
    problem?.hint ?? "",
    answer.status === 401,
  );
}

/** Logs this browser in: from now on it sends a cookie that scripts cannot read. */
export async function login(token: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  await ask("/api/v1/login", { method: "POST", headers, body: JSON.stringify({ token }) });
}

export async function fetchStatus(): Promise<Status> {
  return parseStatus(await get("/api/v1/status"));
}

export async function fetchQuotes(): Promise<Quote[]> {
  return parseQuotes(await get("/api/v1/quotes"));
}

export async function fetchLatestAnalytics(): Promise<Analytics> {
  return parseAnalytics(await get("/api/v1/analytics"));
}

export async function fetchAnalytics(
  symbol: string,
  span: DaySpan,
  cancel: AbortSignal,
): Promise<Analytics> {
  // What the chart draws of them.
  const columns = "symbol,price_date,ma_7_day,ma_30_day";
  const query = new URLSearchParams({ symbol, from: span.from, to: span.to, columns });
  return parseAnalytics(await get(`/api/v1/analytics?${query}`, cancel));
}

/** Raw rows from `from` on, oldest first: instants, or New York dates, `to` as the API means it. */
export async function fetchMessages(
  symbol: string,
  from: string,
  to: string,
  limit: number,
  cancel: AbortSignal,
): Promise<Messages> {
  const query = new URLSearchParams({ symbol, from, to, limit: String(limit) });
  return parseMessages(await get(`/api/v1/messages?${query}`, cancel));
}

/** The record at an offset; null where the log no longer has it. */
export async function fetchRecord(
  topic: string,
  partition: number,
  offset: number,
  cancel: AbortSignal,
): Promise<LogRecord | null> {
  const query = new URLSearchParams({
    partition: String(partition),
    offset: String(offset),
    limit: "1",
  });
  const path = `/api/v1/topics/${encodeURIComponent(topic)}/records?${query}`;
  const [record] = parseRecords(await get(path, cancel));
  return record?.offset === offset ? record : null;
}

/** The bars of whole New York days, page after page; `more` is true where even that was cut. */
export async function fetchBars(
  symbol: string,
  interval: Interval,
  span: DaySpan,
  cancel: AbortSignal,
): Promise<Bars> {
  const to = startOfExchangeDate(addDays(span.to, 1));
  return fetchBarsBetween(symbol, interval, startOfExchangeDate(span.from), to, cancel);
}

export async function fetchBarsBetween(
  symbol: string,
  interval: Interval,
  from: number,
  to: number,
  cancel: AbortSignal,
): Promise<Bars> {
  let whole: Bars | null = null;
  let start = from;
  for (let page = 0; page < kPagesMax; ++page) {
    const query = new URLSearchParams({
      symbol,
      interval,
      from: toInstant(start),
      to: toInstant(to),
      limit: String(kBarsPerPage),
    });
    const part = parseBars(await get(`/api/v1/bars?${query}`, cancel));
    whole =
      whole === null
        ? part
        : { ...part, bars: joined(whole.bars, part.bars), gaps: [...whole.gaps, ...part.gaps] };
    const last = part.bars.at(-1);
    if (!part.more || last === undefined || last.time < start) break;
    start = last.time + 1;
  }
  return whole ?? { symbol, interval, bars: [], gaps: [], more: false };
}

function joined(old: readonly Bar[], next: readonly Bar[]): Bar[] {
  const last = old.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
  return [...old, ...next.filter((bar) => bar.time > last)];
}
