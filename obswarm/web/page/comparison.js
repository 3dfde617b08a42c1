// The comparison of two runs as tables.

import { endpointLabel, format, h } from "./dom.js";
import { Table } from "./table.js";

const UNITS = { throughput: "per_second", error_ratio: "ratio" };
const TITLES = { throughput: "requests/s", error_ratio: "failed" };
const TONES = { worse: "bad", slower: "bad", better: "good", faster: "good" };
const MOST_UNCHANGED = 10;

const unitOf = (name) => UNITS[name] || "seconds";
// The error ratio's change is a difference, all others are relative.
const change = (name, value) =>
  value === null || value === undefined
    ? "–"
    : `${value > 0 ? "+" : ""}${format("ratio", value)}${name === "error_ratio" ? " points" : ""}`;

const COLUMNS = [
  { id: "what", title: "", isText: true, text: (row) => row.title },
  { id: "base", title: "base", text: (row) => format(row.unit, row.base) },
  { id: "run", title: "run", text: (row) => format(row.unit, row.run) },
  { id: "change", title: "change", text: (row) => change(row.measure, row.change) },
  {
    id: "interval",
    title: "interval",
    text: (row) =>
      row.low === null || row.low === undefined
        ? "–"
        : `${change(row.measure, row.low)} to ${change(row.measure, row.high)}`,
  },
  {
    id: "verdict",
    title: "verdict",
    isText: true,
    text: (row) => row.verdict,
    tone: (row) => TONES[row.verdict] || "",
  },
];

const table = (label, rows) => {
  const made = new Table({
    label,
    key: (row) => row.title,
    empty: "Nothing to compare.",
    columns: COLUMNS.map((column, at) => (at ? column : { ...column, title: label })),
  });
  made.update(rows);
  // Cards have no headings.
  made.element.prepend(h("h4", { class: "narrow" }, label));
  return made.element;
};

const isChanged = ({ measures }) => Object.values(measures).some(({ verdict }) => verdict in TONES);

/* Elements for the JSON of `obswarm runs compare --json`. */
export const comparison = (found) => {
  const [total, ...rest] = found.endpoints;
  const endpoints = [
    total,
    ...rest.filter(isChanged),
    ...rest.filter((each) => !isChanged(each)).slice(0, MOST_UNCHANGED),
  ].filter(Boolean);
  const hidden = found.endpoints.length - endpoints.length;
  const sentences = [
    ...found.doubts,
    ...found.explanation.sentences,
    ...found.unjudged.map((each) => `${endpointLabel(each)}: ${each.reason}`),
    ...found.only.map((each) => `${endpointLabel(each)} is in the ${each.run} only.`),
    ...found.settings.map(({ name, base, run }) => `Configured differently: ${name}: ${base} → ${run}.`),
  ];
  return [
    h("h3", {}, `${found.base} (base) and ${found.run} (run)`),
    h(
      "p",
      { class: "hint" },
      `Intervals are of ${format("ratio", found.confidence)} confidence; what may be due to chance is no difference.`,
    ),
    sentences.length
      ? h(
          "ul",
          {},
          sentences.map((each) => h("li", {}, each)),
        )
      : null,
    endpoints.map((each) =>
      table(
        endpointLabel(each),
        Object.entries(each.measures).map(([measure, values]) => ({
          ...values,
          measure,
          title: TITLES[measure] || measure.replaceAll("_", " "),
          unit: unitOf(measure),
        })),
      ),
    ),
    hidden ? h("p", { class: "hint" }, `${hidden} more endpoints have not changed.`) : null,
    found.targets.length
      ? table(
          "metrics of the targets",
          found.targets.map((each) => ({ ...each, title: `${each.target}: ${each.figure}` })),
        )
      : null,
  ];
};
