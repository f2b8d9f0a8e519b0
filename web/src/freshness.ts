// How fresh a price is, judged by the page's own clock against the price's time: an open
// connection proves nothing, only a recent message does.

import { age, duration } from "./format";
import { clockMinutes, exchangeDate, longDate, zoneName } from "./time";
import type { Quote, Status } from "./wire";

export type Freshness =
  "live" | "simulated" | "replay" | "history" | "stale" | "closed" | "stopped";

export interface Shown {
  state: Freshness;
  /** The word in capitals; it always says where the price comes from. */
  label: string;
  /** Null where an age means nothing, as for a history. */
  ageMs: number | null;
}

const kStaleAfterMs = 20_000;

/** A replayed price is as old as its arrival, since its own time is long ago by design. */
export function quoteAge(quote: Quote, now: number): number {
  const since = quote.class === "replay" ? (quote.receivedAt ?? quote.eventTime) : quote.eventTime;
  return Math.max(0, now - since);
}

/** The usual pause between a symbol's quotes, a running mean. A night or a lost connection is one
 * pause, too; it counts as three usual ones, or nothing would be stale for hours after it. */
export function nextCadence(cadenceMs: number | null, pauseMs: number): number {
  return cadenceMs === null
    ? pauseMs
    : cadenceMs * 0.9 + Math.min(pauseMs, 3 * cadenceMs) * 0.1;
}

/** `cadenceMs` is the symbol's usual pause between quotes, null while unknown. */
export function freshness(
  quote: Quote,
  status: Status | null,
  cadenceMs: number | null,
  now: number,
): Shown {
  const ageMs = quoteAge(quote, now);
  const origin = originOf(quote.class);
  if (status?.feed.state === "closed") return { state: "closed", label: "CLOSED", ageMs };
  if (status?.feed.state === "stopped" || status?.feed.class === "none") {
    return { state: "stopped", label: "NO FEED", ageMs };
  }
  if (ageMs > Math.max(kStaleAfterMs, 3 * (cadenceMs ?? 0))) {
    return { state: "stale", label: "STALE", ageMs };
  }
  return { ...origin, ageMs };
}

function originOf(quoteClass: string): { state: Freshness; label: string } {
  if (quoteClass === "simulated") return { state: "simulated", label: "SIMULATED" };
  if (quoteClass === "replay") return { state: "replay", label: "REPLAY" };
  if (quoteClass === "history") return { state: "history", label: "HISTORY" };
  return { state: "live", label: "LIVE" };
}

/** The same for the feed as a whole, by its newest price. */
export function feedFreshness(status: Status, newest: number | null, now: number): Shown | null {
  const { feed } = status;
  if (feed.class === "none" || feed.state === "stopped") {
    return {
      state: "stopped",
      label: feed.class === "none" ? "NO FEED" : "FEED STOPPED",
      ageMs: null,
    };
  }
  if (newest === null) return null;
  const ageMs = Math.max(0, now - newest);
  if (feed.state === "closed") return { state: "closed", label: "CLOSED", ageMs };
  const cadence = feed.quotesPerSecond ? 1000 / feed.quotesPerSecond : 0;
  if (feed.state === "stale" || ageMs > Math.max(kStaleAfterMs, 3 * cadence)) {
    return { state: "stale", label: "STALE", ageMs };
  }
  return { ...originOf(feed.class), ageMs };
}

/** "Open · closes in 2h 14m", "At close 16:00 EST · opens Mon 24 Nov 2025 09:30". */
export function marketLine(status: Status, now: number): string {
  const { calendar, session, open, close, nextOpen } = status.market;
  if (calendar === "SIM") return "Simulated exchange · always open";
  if (status.feed.class === "replay") return "Replayed history";
  if (session === "regular" && close !== null) return `Open · closes in ${duration(close - now)}`;
  if (session === "pre" && open !== null) return `Pre-market · opens in ${duration(open - now)}`;
  const next =
    nextOpen === null
      ? ""
      : ` · opens ${longDate(exchangeDate(nextOpen))} ${clockMinutes(nextOpen)} ${zoneName(nextOpen)}`;
  if (session === "post") return `After hours${next}`;
  return close !== null && close <= now
    ? `At close ${clockMinutes(close)} ${zoneName(close)}${next}`
    : `Closed${next}`;
}

/** By how much the two clocks differ where that matters (over two seconds); null else. */
export function clockSkew(serverNow: number, pageNow: number): string | null {
  const difference = pageNow - serverNow;
  if (Math.abs(difference) <= 2000) return null;
  return `This computer's clock is ${age(Math.abs(difference))} ${difference > 0 ? "ahead of" : "behind"} the server's, ages are off by as much.`;
}
