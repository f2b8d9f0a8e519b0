// The JSON of the HTTP API, and nothing else knows it: each parser takes `unknown`, checks what
// the page relies on, and names the path of what does not fit. Unknown is null, never 0.

export type Interval = "1m" | "5m" | "15m" | "30m" | "1h" | "4h" | "1d" | "1w" | "1M";
export type Cell = string | number | boolean | null;

/** Instants are milliseconds since 1970 UTC; prices are US dollars; percentages are in percent. */
export interface MinuteBar {
  start: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number | null;
  count: number | null;
}

export interface Quote {
  symbol: string;
  price: number;
  change: number | null;
  changePct: number | null;
  reference: "previous_close" | "daily_close" | null;
  referencePrice: number | null;
  previousClose: number | null;
  open: number | null;
  high: number | null;
  low: number | null;
  volume: number | null;
  session: string;
  eventTime: number;
  receivedAt: number | null;
  dataSource: string;
  class: string;
  bar: MinuteBar | null;
  spark: number[] | null;
  /** What the spark line is made of: the day's minutes, or days where no minute is known. */
  sparkOf: "minutes" | "days";
}

export interface Feed {
  name: string;
  class: string;
  badge: string;
  state: string;
  symbols: number;
  lastEventTime: number | null;
  quotesPerSecond: number | null;
  /** Symbols that the vendor does not stream; an older tapeline says nothing of them. */
  overLimit: number;
  error: string | null;
}

export interface Equation {
  consumed: number;
  loaded: number;
  duplicate: number;
  superseded: number;
  dead: number;
  balanced: boolean;
}

export interface Status {
  version: string;
  now: number;
  ready: boolean;
  feed: Feed;
  market: {
    calendar: string;
    session: string;
    open: number | null;
    close: number | null;
    nextOpen: number | null;
  };
  data: { kind: string; directory: string; unadjusted: boolean };
  equation: Equation;
  lag: number | null;
  dag: {
    id: string;
    paused: boolean;
    runId: string;
    state: string;
    startedAt: number | null;
    endedAt: number | null;
  } | null;
  tests: { pass: number; warn: number; fail: number } | null;
}

/** `time` is the bar's start in ms for intraday bars, midnight UTC of the New York date else. */
export interface Bar {
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number | null;
  count: number | null;
}

export interface Gap {
  start: number;
  end: number;
  cause: string;
}

export interface Bars {
  symbol: string;
  interval: string;
  bars: Bar[];
  gaps: Gap[];
  more: boolean;
}

/** A raw row as it was loaded, with the place of its message in the log. */
export interface Message {
  /** The exchange's time as written, to the microsecond. */
  timestamp: string;
  at: number;
  price: number;
  volume: number | null;
  session: string;
  barLength: string | null;
  dataSource: string;
  loadId: number;
  topic: string | null;
  partition: number | null;
  offset: number;
}

export interface Messages {
  total: number;
  messages: Message[];
}

/** A record of the topic: its bytes as text, base64 where they are none. */
export interface LogRecord {
  offset: number;
  appendedAt: string;
  key: string | null;
  value: string;
}

export type MartRow = Readonly<Record<string, Cell>>;

export interface Analytics {
  columns: string[];
  rows: MartRow[];
  loadId: number | null;
}

export interface RunEvent {
  dag: string;
  runId: string;
  state: string;
  from: string | null;
  to: string | null;
  symbols: string[];
}

export interface ApiProblem {
  code: string;
  message: string;
  hint: string;
}

export class WireError extends Error {
  constructor(path: string, expected: string, found: unknown) {
    const shown = JSON.stringify(found) ?? "nothing";
    super(`"${path}" should be ${expected} but is ${shown.slice(0, 60)}`);
    this.name = "WireError";
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new WireError(path, "an object", value);
  }
  return value as Fields;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new WireError(path, "a list", value);
  return value as readonly unknown[];
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string") throw new WireError(path, "text", value);
  return value;
}

function number(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new WireError(path, "a number", value);
  }
  return value;
}

function flag(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw new WireError(path, "true or false", value);
  return value;
}

const kInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const kDate = /^\d{4}-\d\d-\d\d$/;

function instant(value: unknown, path: string): number {
  const written = text(value, path);
  const ms = kInstant.test(written) ? Date.parse(written) : Number.NaN;
  if (Number.isNaN(ms)) throw new WireError(path, "an instant in UTC", value);
  return ms;
}

function date(value: unknown, path: string): string {
  const written = text(value, path);
  if (!kDate.test(written)) throw new WireError(path, "a date", value);
  return written;
}

function orNull<T>(
  parse: (value: unknown, path: string) => T,
  value: unknown,
  path: string,
): T | null {
  return value === null || value === undefined ? null : parse(value, path);
}

function minuteBar(value: unknown, path: string): MinuteBar {
  const of = fields(value, path);
  return {
    start: instant(of["bar_start"], `${path}.bar_start`),
    open: number(of["open"], `${path}.open`),
    high: number(of["high"], `${path}.high`),
    low: number(of["low"], `${path}.low`),
    close: number(of["close"], `${path}.close`),
    volume: orNull(number, of["volume"], `${path}.volume`),
    count: orNull(number, of["quote_count"], `${path}.quote_count`),
  };
}

export function parseQuote(value: unknown, path = "quote"): Quote {
  const of = fields(value, path);
  const price = (name: string) => orNull(number, of[name], `${path}.${name}`);
  const reference = orNull(text, of["reference"], `${path}.reference`);
  if (reference !== null && reference !== "previous_close" && reference !== "daily_close") {
    throw new WireError(`${path}.reference`, "previous_close or daily_close", reference);
  }
  return {
    symbol: text(of["symbol"], `${path}.symbol`),
    price: number(of["price"], `${path}.price`),
    change: price("change"),
    changePct: price("change_pct"),
    reference,
    referencePrice: price("reference_price"),
    previousClose: price("previous_close"),
    open: price("open"),
    high: price("high"),
    low: price("low"),
    volume: price("volume"),
    session: orNull(text, of["session"], `${path}.session`) ?? "",
    eventTime: instant(of["event_time"], `${path}.event_time`),
    receivedAt: orNull(instant, of["received_at"], `${path}.received_at`),
    dataSource: orNull(text, of["data_source"], `${path}.data_source`) ?? "",
    class: text(of["class"], `${path}.class`),
    bar: orNull(minuteBar, of["bar"], `${path}.bar`),
    spark:
      orNull(list, of["spark"], `${path}.spark`)?.map((each, i) =>
        number(each, `${path}.spark[${i}]`),
      ) ?? null,
    sparkOf: of["spark_of"] === "days" ? "days" : "minutes",
  };
}

export function parseQuotes(value: unknown): Quote[] {
  return list(fields(value, "answer")["quotes"], "quotes").map((each, i) =>
    parseQuote(each, `quotes[${i}]`),
  );
}

export function parseStatus(value: unknown): Status {
  const of = fields(value, "status");
  const feed = fields(of["feed"], "feed");
  const market = fields(of["market"], "market");
  const data = fields(of["data"], "data");
  const equation = fields(of["equation"], "equation");
  const count = (name: string) => number(equation[name], `equation.${name}`);
  return {
    version: text(of["version"], "version"),
    now: instant(of["now"], "now"),
    ready: flag(of["ready"], "ready"),
    feed: {
      name: text(feed["name"], "feed.name"),
      class: text(feed["class"], "feed.class"),
      badge: text(feed["badge"], "feed.badge"),
      state: text(feed["state"], "feed.state"),
      symbols: number(feed["symbols"], "feed.symbols"),
      lastEventTime: orNull(instant, feed["last_event_time"], "feed.last_event_time"),
      quotesPerSecond: orNull(number, feed["quotes_per_second"], "feed.quotes_per_second"),
      overLimit: orNull(number, feed["over_limit"], "feed.over_limit") ?? 0,
      error: orNull(text, feed["error"], "feed.error"),
    },
    market: {
      calendar: text(market["calendar"], "market.calendar"),
      session: text(market["session"], "market.session"),
      open: orNull(instant, market["open"], "market.open"),
      close: orNull(instant, market["close"], "market.close"),
      nextOpen: orNull(instant, market["next_open"], "market.next_open"),
    },
    data: {
      kind: text(data["kind"], "data.kind"),
      directory: text(data["directory"], "data.directory"),
      unadjusted: flag(data["unadjusted"], "data.unadjusted"),
    },
    equation: {
      consumed: count("consumed"),
      loaded: count("loaded"),
      duplicate: count("duplicate"),
      superseded: count("superseded"),
      dead: count("dead"),
      balanced: flag(equation["balanced"], "equation.balanced"),
    },
    lag: orNull(number, of["lag"], "lag"),
    dag: orNull(parseDag, of["dag"], "dag"),
    tests: orNull(parseTests, of["tests"], "tests"),
  };
}

function parseDag(value: unknown, path: string): NonNullable<Status["dag"]> {
  const of = fields(value, path);
  return {
    id: text(of["id"], `${path}.id`),
    paused: flag(of["paused"], `${path}.paused`),
    runId: orNull(text, of["run_id"], `${path}.run_id`) ?? "",
    state: orNull(text, of["state"], `${path}.state`) ?? "",
    startedAt: orNull(instant, of["started_at"], `${path}.started_at`),
    endedAt: orNull(instant, of["ended_at"], `${path}.ended_at`),
  };
}

function parseTests(value: unknown, path: string): NonNullable<Status["tests"]> {
  const of = fields(value, path);
  return {
    pass: number(of["pass"], `${path}.pass`),
    warn: number(of["warn"], `${path}.warn`),
    fail: number(of["fail"], `${path}.fail`),
  };
}

export function parseBars(value: unknown): Bars {
  const of = fields(value, "answer");
  return {
    symbol: text(of["symbol"], "symbol"),
    interval: text(of["interval"], "interval"),
    bars: list(of["bars"], "bars").map((each, i) => bar(each, `bars[${i}]`)),
    gaps: list(of["gaps"], "gaps").map((each, i) => {
      const gap = fields(each, `gaps[${i}]`);
      return {
        start: instant(gap["start"], `gaps[${i}].start`),
        end: instant(gap["end"], `gaps[${i}].end`),
        cause: orNull(text, gap["cause"], `gaps[${i}].cause`) ?? "",
      };
    }),
    more: flag(of["more"], "more"),
  };
}

function bar(value: unknown, path: string): Bar {
  const of = fields(value, path);
  const written = text(of["time"], `${path}.time`);
  return {
    time: kDate.test(written) ? Date.parse(written) : instant(written, `${path}.time`),
    open: number(of["open"], `${path}.open`),
    high: number(of["high"], `${path}.high`),
    low: number(of["low"], `${path}.low`),
    close: number(of["close"], `${path}.close`),
    volume: orNull(number, of["volume"], `${path}.volume`),
    count: orNull(number, of["count"], `${path}.count`),
  };
}

export function parseAnalytics(value: unknown): Analytics {
  const of = fields(value, "answer");
  const columns = list(of["columns"], "columns").map((each, i) => text(each, `columns[${i}]`));
  const rows = list(of["rows"], "rows").map((each, i) => {
    const row = fields(each, `rows[${i}]`);
    text(row["symbol"], `rows[${i}].symbol`);
    return Object.fromEntries(columns.map((name) => [name, cell(row[name], `rows[${i}].${name}`)]));
  });
  return { columns, rows, loadId: orNull(number, of["load_id"], "load_id") };
}

function cell(value: unknown, path: string): Cell {
  if (value === undefined) return null;
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  return number(value, path);
}

export function parseMessages(value: unknown): Messages {
  const of = fields(value, "answer");
  return {
    total: number(of["total"], "total"),
    messages: list(of["messages"], "messages").map((each, i) => message(each, `messages[${i}]`)),
  };
}

function message(value: unknown, path: string): Message {
  const of = fields(value, path);
  return {
    timestamp: text(of["timestamp"], `${path}.timestamp`),
    at: instant(of["timestamp"], `${path}.timestamp`),
    price: number(of["price"], `${path}.price`),
    volume: orNull(number, of["volume"], `${path}.volume`),
    session: text(of["session"], `${path}.session`),
    barLength: orNull(text, of["bar_length"], `${path}.bar_length`),
    dataSource: text(of["data_source"], `${path}.data_source`),
    loadId: number(of["load_id"], `${path}.load_id`),
    topic: orNull(text, of["topic"], `${path}.topic`),
    partition: orNull(number, of["partition"], `${path}.partition`),
    offset: number(of["offset"], `${path}.offset`),
  };
}

export function parseRecords(value: unknown): LogRecord[] {
  return list(fields(value, "answer")["records"], "records").map((each, i) => {
    const path = `records[${i}]`;
    const of = fields(each, path);
    return {
      offset: number(of["offset"], `${path}.offset`),
      appendedAt: text(of["appended_at"], `${path}.appended_at`),
      key: orNull(text, of["key"], `${path}.key`),
      value:
        orNull(text, of["value"], `${path}.value`) ??
        text(of["value_base64"], `${path}.value_base64`),
    };
  });
}

export function parseRun(value: unknown): RunEvent {
  const of = fields(value, "run");
  return {
    dag: text(of["dag"], "run.dag"),
    runId: text(of["run_id"], "run.run_id"),
    state: text(of["state"], "run.state"),
    from: orNull(date, of["from"], "run.from"),
    to: orNull(date, of["to"], "run.to"),
    symbols: (orNull(list, of["symbols"], "run.symbols") ?? []).map((each, i) =>
      text(each, `run.symbols[${i}]`),
    ),
  };
}

export function parseGapEvent(value: unknown): { stream: string; missed: number } {
  const of = fields(value, "gap");
  return { stream: text(of["stream"], "gap.stream"), missed: number(of["missed"], "gap.missed") };
}

/** Whose gap began, grew or healed; "*" stands for every symbol. */
export function parseFeedGap(value: unknown): { symbol: string } {
  return { symbol: text(fields(value, "feed_gap")["symbol"], "feed_gap.symbol") };
}

/** The error body of an answer that is no success; null where the body is something else. */
export function parseProblem(value: unknown): ApiProblem | null {
  try {
    const of = fields(fields(value, "answer")["error"], "error");
    return {
      code: text(of["code"], "error.code"),
      message: text(of["message"], "error.message"),
      hint: orNull(text, of["hint"], "error.hint") ?? "",
    };
  } catch {
    return null;
  }
}
