// The strip along the bottom: where the prices come from, how old they are, and whether every
// message of the topic is accounted for.

import { computed } from "@preact/signals";
import { feedFreshness, marketLine } from "./freshness";
import { age, fixed, kNone, whole } from "./format";
import { connection, lastRun, newest, now, second, status, symbols } from "./state";

/** The word and age of the feed; the connection's trouble comes before the feed's. */
const chip = computed(() => {
  if (connection.value.state === "reconnecting") {
    return { state: "stale", label: "RECONNECTING", ageMs: now.value - connection.value.since };
  }
  if (status.value === null) return { state: "waiting", label: "CONNECTING", ageMs: null };
  return (
    feedFreshness(status.value, newest.value, now.value) ?? {
      state: "waiting",
      label: "WAITING",
      ageMs: null,
    }
  );
});

export function FreshnessChip() {
  const { state, label, ageMs } = chip.value;
  return (
    <span class={`chip ${state}`} data-state={state}>
      <span class="dot" />
      {label}
      {ageMs !== null && <span class="num chip-age">{age(ageMs)}</span>}
    </span>
  );
}

export function MarketLine() {
  return status.value === null ? null : (
    <span class="market num">{marketLine(status.value, second.value)}</span>
  );
}

function Equation() {
  const of = status.value?.equation;
  if (of === undefined) return null;
  const title = of.balanced
    ? "Every message read from the topic is loaded, a duplicate, superseded, or a dead letter."
    : "Some messages are not accounted for.";
  return (
    <span class="strip-part equation" title={title}>
      <span>
        consumed <b class="num">{whole(of.consumed)}</b>
      </span>
      <span class="op">=</span>
      <span>
        loaded <b class="num">{whole(of.loaded)}</b>
      </span>
      <span class="op">+</span>
      <span>
        duplicate <b class="num">{whole(of.duplicate)}</b>
      </span>
      <span class="op">+</span>
      <span>
        superseded <b class="num">{whole(of.superseded)}</b>
      </span>
      <span class="op">+</span>
      <span>
        dead <b class="num">{whole(of.dead)}</b>
      </span>
      <span class={of.balanced ? "good" : "bad"}>
        {of.balanced ? "✓ balanced" : "✕ not balanced"}
      </span>
    </span>
  );
}

export function StatusStrip() {
  const of = status.value;
  if (of === null) {
    return (
      <footer class="strip" aria-label="Pipeline status">
        <FreshnessChip />
      </footer>
    );
  }
  const { feed, dag, tests, lag } = of;
  const ended = lastRun.value;
  return (
    <footer class="strip" aria-label="Pipeline status">
      <FreshnessChip />
      {feed.class !== "none" && (
        <span
          class={`strip-part ${feed.error === null ? "" : "bad feed-error"}`}
          title={feed.error ?? "The feed that prices come from"}
        >
          feed {feed.name}
          {feed.state === "live" ? "" : ` ${feed.state}`}
          {feed.error === null ? "" : `: ${feed.error}`}
        </span>
      )}
      {feed.class !== "none" && feed.symbols > 0 && (
        <span class="strip-part num" title="Symbols that the feed has sent, of those known">
          {feed.symbols}/{Math.max(feed.symbols, symbols.value.length)} symbols
          {feed.overLimit > 0 ? `, ${feed.overLimit} not streamed` : ""}
        </span>
      )}
      {feed.class !== "none" && (
        <span class="strip-part num">
          {feed.quotesPerSecond === null ? kNone : fixed(feed.quotesPerSecond, 1)} quotes/s
        </span>
      )}
      <span class="strip-part num" title="Messages in the topic that are not loaded yet">
        lag {whole(lag)}
      </span>
      <Equation />
      {dag !== null && (
        <span
          class="strip-part"
          title={
            dag.paused
              ? `Nothing is loaded until: tapeline dag unpause ${dag.id}`
              : `DAG ${dag.id}, run ${dag.runId}`
          }
        >
          {dag.paused ? (
            <span class="bad">DAG paused</span>
          ) : ended === null ? (
            `DAG ${dag.state}`
          ) : (
            <>
              last run{" "}
              <span class={ended.state === "failed" ? "bad" : ""}>
                {ended.state === "failed" ? "✕ failed" : "ok"}
              </span>{" "}
              <span class="num run-age">{age(second.value - ended.endedAt)} ago</span>
            </>
          )}
        </span>
      )}
      {tests !== null && (
        <span
          class={`strip-part num ${tests.fail > 0 ? "bad" : ""}`}
          title="Data tests of the last run that passed, of all"
        >
          {tests.fail > 0 ? "✕ " : ""}
          {tests.pass}/{tests.pass + tests.warn + tests.fail} data tests
          {tests.warn > 0 ? `, ${tests.warn} warn` : ""}
        </span>
      )}
    </footer>
  );
}
