"use strict";
// Light or dark, as chosen the last time. A classic script, so that the colours are right at the first paint.
globalThis.obswarmTheme = (() => {
  const KEY = "obswarm-theme",
    SYSTEM = "(prefers-color-scheme: dark)";
  const MEDIA = { auto: SYSTEM, light: "not all", dark: "all" };
  // A browser may forbid the storage; the choice then lasts as long as the page.
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const listeners = [];
  let chosen = stored() in MEDIA ? stored() : "auto";

  const apply = () => {
    document.getElementById("dark").media = MEDIA[chosen];
  };
  const choose = (name) => {
    chosen = name;
    try {
      localStorage.setItem(KEY, name);
    } catch {
      /* see above */
    }
    apply();
    listeners.forEach((listener) => listener());
  };
  apply();
  matchMedia(SYSTEM).addEventListener("change", () => listeners.forEach((listener) => listener()));
  return { choose, chosen: () => chosen, onChange: (listener) => listeners.push(listener) };
})();
