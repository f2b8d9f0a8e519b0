// Builds dist/: index.html, the hashed app and style sheet, theme.js, the licences page, and a
// .gz beside each. Fails where the first page outgrows its budget.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const kRoot = dirname(fileURLToPath(import.meta.url));
const kDist = join(kRoot, "dist");
const kBudgets = { js: 100_000, css: 12_000 };
const kNotices = [
  {
    name: "lightweight-charts",
    texts: ["notices/lightweight-charts.NOTICE", "node_modules/lightweight-charts/LICENSE"],
  },
  { name: "fancy-canvas", texts: ["notices/fancy-canvas.LICENSE"] },
  { name: "preact", texts: ["node_modules/preact/LICENSE"] },
  { name: "@preact/signals", texts: ["node_modules/@preact/signals/LICENSE"] },
  { name: "@preact/signals-core", texts: ["node_modules/@preact/signals-core/LICENSE"] },
];

async function bundle(entry, format) {
  const { outputFiles } = await build({
    entryPoints: [join(kRoot, "src", entry)],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: "es2022",
    charset: "utf8",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "warning",
  });
  return outputFiles[0].contents;
}

const escaped = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function licencesPage(style) {
  const parts = kNotices.map(({ name, texts }) => {
    const about = join(kRoot, "node_modules", name, "package.json");
    const { version, license } = JSON.parse(readFileSync(about, "utf8"));
    return (
      `<section><h2>${name} ${version}</h2><p>${escaped(license)}</p>` +
      texts
        .map(
          (file) =>
            `<pre>${escaped(readFileSync(join(kRoot, file), "utf8").replace(/^\n+|\s+$/g, ""))}</pre>`,
        )
        .join("") +
      "</section>"
    );
  });
  return readFileSync(join(kRoot, "src/licences.html"), "utf8")
    .replace("app.css", style)
    .replace("<!-- licences -->", () => parts.join("\n"));
}

function write(name, content) {
  writeFileSync(join(kDist, name), content);
  const packed = gzipSync(content, { level: 9 });
  writeFileSync(join(kDist, `${name}.gz`), packed);
  return packed.length;
}

const hashed = (stem, ending, content) =>
  `${stem}-${createHash("sha256").update(content).digest("hex").slice(0, 8)}.${ending}`;

rmSync(kDist, { recursive: true, force: true });
mkdirSync(kDist);
const [app, theme, style] = await Promise.all([
  bundle("main.tsx", "esm"),
  bundle("theme.ts", "iife"),
  bundle("style.css"),
]);
const appName = hashed("app", "js", app);
const styleName = hashed("app", "css", style);
const page = readFileSync(join(kRoot, "src/index.html"), "utf8")
  .replace("app.css", styleName)
  .replace("app.js", appName);
const sizes = { js: write(appName, app) + write("theme.js", theme), css: write(styleName, style) };
write("index.html", page);
write("licences.html", licencesPage(styleName));
for (const [kind, size] of Object.entries(sizes)) {
  console.log(`${kind}: ${size} of ${kBudgets[kind]} bytes, gzipped`);
  if (size > kBudgets[kind]) {
    console.error(`the first page's ${kind} is over its budget`);
    process.exitCode = 1;
  }
}
