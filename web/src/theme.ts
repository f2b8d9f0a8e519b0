// Runs before the first paint, so that the page never flashes in the wrong colours.

const stored = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const asked = new URLSearchParams(location.search).get("theme");
const wanted = asked === "light" || asked === "dark" ? asked : stored("tapeline.theme");
const dark =
  wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset["theme"] = dark ? "dark" : "light";
document.documentElement.dataset["palette"] = stored("tapeline.palette") ?? "classic";

export {};
