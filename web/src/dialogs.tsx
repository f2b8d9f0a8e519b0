// The two dialogs: how the page looks, and what the keys do.

import { signal } from "@preact/signals";
import { Modal } from "./modal";
import {
  choosePalette,
  chooseSingleKeys,
  chooseTheme,
  kPalettes,
  kThemes,
  palette,
  singleKeys,
  theme,
  type Palette,
  type Theme,
} from "./settings";

const opened = signal<"help" | "settings" | null>(null);

export function openHelp(): void {
  opened.value = "help";
}

export function openSettings(): void {
  opened.value = "settings";
}

const kThemeNames: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };
const kPaletteNames: Record<Palette, [string, string]> = {
  classic: ["Classic", "green up, red down"],
  "red-up": ["Red up", "as in East Asia"],
  "blue-orange": ["Blue and orange", "safe for colour-blind eyes"],
};

const kKeys: readonly (readonly [string, string])[] = [
  ["letters /", "find a symbol"],
  ["[ ]", "previous, next symbol"],
  ["1 5 15 30 60 240", "interval in minutes"],
  ["← →", "in the chart: one bar; with Ctrl, ten"],
  ["+ −", "in the chart: zoom"],
  ["Enter", "in the chart: the messages behind a bar"],
  ["Alt+R", "reset the view"],
  ["Alt+L", "logarithmic scale"],
  ["Alt+P", "percent scale"],
  ["Alt+S", "save the chart as a picture"],
  ["Alt+G", "go to the days' slider"],
  ["Space", "pause, resume"],
  ["?", "these keys"],
  ["Esc", "close"],
];

function Settings() {
  return (
    <>
      <fieldset>
        <legend>Theme</legend>
        {kThemes.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="theme"
              checked={theme.value === each}
              onChange={() => chooseTheme(each)}
            />
            {kThemeNames[each]}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>Colours of up and down</legend>
        {kPalettes.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="palette"
              checked={palette.value === each}
              onChange={() => choosePalette(each)}
            />
            <span>
              {kPaletteNames[each][0]} <span class="dim">{kPaletteNames[each][1]}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>Keyboard</legend>
        <label>
          <input
            type="checkbox"
            checked={singleKeys.value}
            onChange={(event) => chooseSingleKeys(event.currentTarget.checked)}
          />
          Single keys do something
        </label>
      </fieldset>
    </>
  );
}

function Help() {
  return (
    <dl class="keys">
      {kKeys.map(([keys, does]) => (
        <div key={keys}>
          <dt>
            {keys.split(" ").map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Dialogs() {
  const which = opened.value;
  const title = which === null ? null : which === "help" ? "Keyboard" : "Display";
  return (
    <Modal title={title} onClose={() => (opened.value = null)}>
      {which === "help" ? <Help /> : <Settings />}
    </Modal>
  );
}
