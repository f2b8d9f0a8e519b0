// The Markets page: put together, given its keys, and started.

import { render } from "preact";
import { ChartPanel, drawnChart } from "./chart_panel";
import { start as startChart } from "./chart_data";
import { Dialogs, openHelp, openSettings } from "./dialogs";
import { clockSkew } from "./freshness";
import { age, duration, sentence } from "./format";
import { startKeys } from "./keys";
import { LoginPanel } from "./login";
import { MessagesDialog } from "./messages_dialog";
import { IconButton } from "./parts";
import { Performance } from "./performance";
import { start as startSettings } from "./settings";
import {
  analytics,
  connection,
  needsLogin,
  notices,
  paused,
  retry,
  second,
  selected,
  serverAhead,
  setPaused,
  start as startState,
  status,
  symbols,
  trouble,
} from "./state";
import { FreshnessChip, MarketLine, StatusStrip } from "./status_strip";
import { KeyFigures, SymbolHead } from "./symbol_head";
import { Watchlist } from "./watchlist";

function Header() {
  return (
    <header class="top">
      <a class="skip" href="#main">
        Skip to the chart
      </a>
      <span class="brand">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path class="brand-wick" d="M4.500 1.500v13M11.500 1.500v13" />
          <rect class="brand-up" x="2.500" y="6" width="4" height="6" rx=".6" />
          <rect class="brand-down" x="9.500" y="3.500" width="4" height="6" rx=".6" />
        </svg>
        tapeline
      </span>
      <span class="page-name">Markets</span>
      <MarketLine />
      <span class="spacer" />
      <FreshnessChip />
      <IconButton
        icon={paused.value ? "play" : "pause"}
        label={paused.value ? "Resume" : "Pause"}
        keys="Space"
        onClick={() => setPaused(!paused.value)}
      />
      <IconButton icon="sliders" label="Display" onClick={openSettings} />
      <IconButton icon="help" label="Keyboard" keys="?" onClick={openHelp} />
    </header>
  );
}

const kOfflineAfterMs = 20_000;

function Banners() {
  const { state, since, retryAt } = connection.value;
  const lostFor = second.value - since;
  const server = serverAhead.value;
  const skew = server === null ? null : clockSkew(server.server, server.page);
  const lost =
    state !== "reconnecting" || needsLogin.value
      ? null
      : lostFor > kOfflineAfterMs
        ? "offline"
        : "reconnecting";
  return (
    <div class="banners">
      {/* Said once: the banner counts seconds, and would be read out with each. */}
      <p class="hidden" role="status">
        {lost !== null && `The page is ${lost}; what you see is from before.`}
      </p>
      {lost !== null && (
        <div class="banner warn" data-banner={lost}>
          <b>{lost.toUpperCase()}</b>
          <span>
            The stream was lost {age(Math.max(0, lostFor))} ago; what you see is from then.
            {retryAt !== null &&
              retryAt > second.value &&
              ` Next try in ${Math.ceil((retryAt - second.value) / 1000)} s.`}
          </span>
          <button type="button" class="button small" onClick={retry}>
            Retry now
          </button>
        </div>
      )}
      {trouble.value !== null && state !== "reconnecting" && !needsLogin.value && (
        <div class="banner warn" role="alert">
          <span>
            Not everything could be loaded. {sentence(trouble.value.message)} {trouble.value.hint}
          </span>
          <button type="button" class="button small" onClick={retry}>
            Retry
          </button>
        </div>
      )}
      {paused.value && (
        <div class="banner" role="status">
          <b>PAUSED</b>
          <span>Prices keep coming in and are shown when you resume.</span>
          <button type="button" class="button small" onClick={() => setPaused(false)}>
            Resume
          </button>
        </div>
      )}
      {skew !== null && (
        <div class="banner">
          <span>{skew}</span>
        </div>
      )}
      {notices.value.length > 0 && (
        <div class="banner" role="status">
          <span>From the address: {notices.value.join(" ")}</span>
          <button type="button" class="button small" onClick={() => (notices.value = [])}>
            Close
          </button>
        </div>
      )}
    </div>
  );
}

const kBorn = Date.now();

function Waiting() {
  const of = status.value;
  const simulated = of?.feed.class === "simulated";
  const none = of?.feed.class === "none";
  const waited = second.value - kBorn;
  return (
    <div class="waiting-panel">
      <h1>
        {none
          ? "No prices yet"
          : `Waiting for the first quotes from ${of?.feed.name ?? "the feed"}`}
      </h1>
      <p>
        {none
          ? "No feed runs here. Import a file of daily bars, minutes or trades while this runs, and " +
            "they appear by themselves. Or stop it and start the simulated exchange."
          : simulated
            ? "They usually come in under five seconds."
            : "They come with the first trade that the feed sends."}
      </p>
      {none ? (
        <pre>
          tapeline import prices.csv --data-dir {of.data.directory}
          {"\n"}
          tapeline up
        </pre>
      ) : (
        <p class="num dim">
          {waited < 1000 ? " " : `for ${waited < 60_000 ? age(waited) : duration(waited)}`}
        </p>
      )}
    </div>
  );
}

function Unknown({ symbol }: { symbol: string }) {
  return (
    <div class="waiting-panel">
      <h1>{symbol} is not known here</h1>
      <p>No message of this symbol has come. Its page fills by itself when one does.</p>
      {symbols.value.length > 0 && <p>Pick one from the watchlist, or type its letters.</p>}
    </div>
  );
}

function Main() {
  const symbol = selected.value;
  const loaded = status.value !== null && analytics.value !== null;
  if (needsLogin.value) return <LoginPanel />;
  if (loaded && symbol === null) return <Waiting />;
  if (loaded && symbol !== null && symbols.value.length > 0 && !symbols.value.includes(symbol)) {
    return <Unknown symbol={symbol} />;
  }
  return (
    <section class="panel" aria-label={symbol === null ? "Chart" : `${symbol}, price and chart`}>
      <SymbolHead />
      <ChartPanel />
      <KeyFigures />
    </section>
  );
}

function Page() {
  return (
    <>
      <Header />
      <div class="columns">
        <Watchlist />
        <main id="main" tabIndex={-1}>
          <Main />
          <Performance />
          <div class="credits">
            <span>tapeline {status.value?.version ?? ""}</span>
            <a href="https://www.tradingview.com/" rel="noopener noreferrer" target="_blank">
              Charts: TradingView Lightweight Charts™
            </a>
            <a href="/licences.html">Licences</a>
          </div>
        </main>
      </div>
      <Banners />
      <StatusStrip />
      <Dialogs />
      <MessagesDialog />
    </>
  );
}

startSettings();
const root = document.getElementById("app");
if (root !== null) render(<Page />, root);
startState();
startChart();
startKeys();
Object.assign(window, { __tapeline: { chart: () => drawnChart()?.facts() ?? null } });
