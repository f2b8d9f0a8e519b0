// The symbol in large: price, change, how old and from where, and its key figures.

import { freshness } from "./freshness";
import { age, compact, fixed, kNone, percent, price, whole } from "./format";
import { missing } from "./columns";
import { openDayMessages } from "./messages";
import { Change, FlashingPrice, Icon, RangeBar } from "./parts";
import { cadenceOf, now, second, selected, selectedMart, selectedQuote, status } from "./state";
import { clockTime, exchangeDate, longDate, zoneName } from "./time";
import type { Quote } from "./wire";

function AsOf({ quote }: { quote: Quote }) {
  const shown = freshness(quote, status.value, cadenceOf(quote.symbol), now.value);
  const at = quote.eventTime;
  const today = exchangeDate(at) === exchangeDate(second.value);
  return (
    <span class="as-of">
      <span class={`badge ${shown.state}`}>
        {shown.state === "stale" && <Icon name="clock" />}
        {shown.label}
        {shown.state === "stale" && shown.ageMs !== null && (
          <span class="num"> {age(shown.ageMs)}</span>
        )}
      </span>
      {shown.state !== "simulated" && quote.class === "simulated" && (
        <span class="badge simulated">SIMULATED</span>
      )}
      {shown.state !== "replay" && quote.class === "replay" && (
        <span class="badge replay">REPLAY</span>
      )}
      <span class="num">
        as of {today ? "" : `${longDate(exchangeDate(at))} `}
        {clockTime(at)} {zoneName(at)}
      </span>
      <span class="dim as-of-source">{quote.dataSource}</span>
      {shown.state !== "stale" && shown.state !== "stopped" && shown.ageMs !== null && (
        <span class="num dim">{age(shown.ageMs)}</span>
      )}
    </span>
  );
}

export function SymbolHead() {
  const symbol = selected.value;
  const quote = selectedQuote.value;
  const mart = selectedMart.value;
  const close = mart?.["daily_close"];
  const stale =
    quote !== null &&
    freshness(quote, status.value, cadenceOf(quote.symbol), second.value).state === "stale";
  return (
    <div class={`symbol-head${stale ? " old" : ""}`}>
      <h1>{symbol ?? " "}</h1>
      {quote !== null ? (
        <>
          <FlashingPrice quote={quote} size="big" />
          <span class="big-change">
            <Change quote={quote} />
          </span>
          {quote.reference === "daily_close" && (
            <span class="dim small-note">against the last daily close</span>
          )}
          <AsOf quote={quote} />
        </>
      ) : typeof close === "number" ? (
        <>
          <span class="num big">{price(close)}</span>
          <span class="as-of">
            <span class="badge history">HISTORY</span>
            close of {longDate(String(mart?.["price_date"]).slice(0, 10))}
          </span>
        </>
      ) : (
        <span class="num big dim">{kNone}</span>
      )}
    </div>
  );
}

export function KeyFigures() {
  const symbol = selected.value;
  const quote = selectedQuote.value;
  const mart = selectedMart.value;
  const of = (name: string) => {
    const value = mart?.[name];
    return typeof value === "number" ? value : null;
  };
  const last = quote?.price ?? of("daily_close");
  const ratio = (value: number | null) => (value === null ? kNone : fixed(value, 2));
  const volatility = of("return_volatility_30_day");
  const day = mart?.["price_date"];
  const count = of("data_points_count");
  /** What a figure of the mart means, or why there is none. */
  const told = (name: string, meaning: string) =>
    of(name) === null ? (missing(name, mart) ?? meaning) : meaning;
  const figures: [string, string, string][] = [
    ["Open", price(quote?.open ?? of("daily_open")), "First price of the day's regular session"],
    [
      "Prev close",
      price(quote?.referencePrice ?? quote?.previousClose ?? null),
      quote?.reference === "daily_close"
        ? "The last daily close before this day, from the mart"
        : "The previous day's close, as the feed tells it",
    ],
    ["Volume", compact(quote?.volume ?? of("total_volume")), "Shares traded on this day so far"],
    [
      "Vol ratio",
      ratio(of("volume_ratio")),
      told("volume_ratio", "Volume against the mean of 30 days"),
    ],
    ["RSI 14", ratio(of("rsi_14")), told("rsi_14", "Relative strength index over 14 closes")],
    [
      "vs MA30",
      percent(of("momentum_vs_30ma")),
      told("momentum_vs_30ma", "Close against the mean of 30 closes"),
    ],
    [
      "Vol 30d p.a.",
      volatility === null ? kNone : `${fixed(volatility * 100, 1)}\u202f%`,
      told("return_volatility_30_day", "A year's deviation of log returns, from 30 days"),
    ],
  ];
  return (
    <div class="figures">
      <RangeBar
        label="Day"
        low={quote?.low ?? of("daily_low")}
        high={quote?.high ?? of("daily_high")}
        at={last}
      />
      <RangeBar label="52 weeks" low={of("low_52_week")} high={of("high_52_week")} at={last} />
      <dl>
        {figures.map(([name, value, meaning]) => (
          <div key={name} title={meaning}>
            <dt>{name}</dt>
            <dd class="num">{value}</dd>
          </div>
        ))}
        {symbol !== null && typeof day === "string" && count !== null && (
          <div>
            <dt>Messages</dt>
            <dd>
              <button
                type="button"
                class="link num"
                title="The messages that this day's figures come from, down to their bytes"
                onClick={() => openDayMessages(symbol, day.slice(0, 10))}
              >
                {whole(count)}
              </button>
            </dd>
          </div>
        )}
      </dl>
    </div>
  );
}
