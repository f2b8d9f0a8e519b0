// The two dialogs: how the page looks, and what the keys do.

import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { IconButton } from "./parts";
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
  const dialog = useRef<HTMLDialogElement>(null);
  const which = opened.value;
  useEffect(() => {
    if (which !== null && dialog.current?.open === false) dialog.current.showModal();
  }, [which]);
  const close = () => dialog.current?.close();
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onClose={() => (opened.value = null)}
      onClick={(event) => event.target === dialog.current && close()}
    >
      {which !== null && (
        <div class="dialog-body">
          <div class="dialog-head">
            <h2 id="dialog-title">{which === "help" ? "Keyboard" : "Display"}</h2>
            <IconButton icon="close" label="Close" onClick={close} />
          </div>
          {which === "help" ? <Help /> : <Settings />}
        </div>
      )}
    </dialog>
  );
}
