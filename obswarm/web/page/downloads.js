// Links to the files of a run.

import { address } from "./api.js";
import { fill, h } from "./dom.js";

const FILES = [
  ["endpoints (CSV)", "csv/stats"],
  ["failures (CSV)", "csv/failures"],
  ["exceptions (CSV)", "csv/exceptions"],
  ["over time (CSV)", "csv/stats_history"],
  ["result (JSON)", "result"],
  ["report (HTML)", "report"],
];

export const linksOf = (id) =>
  FILES.map(([title, path]) =>
    h("a", { href: address(`/runs/${encodeURIComponent(id)}/${path}`, { download: 1 }) }, title),
  );

/* Fill an element with the links of a run, if it has others. */
export const downloads = (element, id) => {
  if (element.dataset.id === (id || "")) return;
  element.dataset.id = id || "";
  fill(element, id ? ["Download: ", linksOf(id).flatMap((link) => [link, " "])] : null);
};
