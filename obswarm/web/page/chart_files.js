// A chart as a file: its values as CSV, or a picture of it as PNG. Both are made in the browser.

import { h } from "./dom.js";

const MARGIN = 12;
const HEADING = 28;

const save = (blob, name) => {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/* The values of a chart as CSV: the time in seconds since 1970, the seconds of the run, and each line. */
export const csvOf = (chart, time, started_s) => {
  const heading = ["time_s", "elapsed_s", ...chart.lines.map(({ label }) => label)];
  // A program that shows tables would take a text that begins like this for a formula.
  const safe = heading.map((text) => quoted(/^[=+\-@\t]/.test(text) ? `'${text}` : text));
  const rows = time.map((elapsed, at) => [
    (started_s + elapsed).toFixed(3),
    elapsed.toFixed(3),
    ...chart.lines.map(({ values }) => values[at] ?? ""),
  ]);
  return [safe, ...rows].map((row) => row.join(",")).join("\r\n") + "\r\n";
};

/* A picture of a chart as it is now, with its title and the names of its lines. */
const picture = (chart, plot) => {
  const style = getComputedStyle(document.body),
    drawn = plot.root.querySelector("canvas"),
    scale = drawn.width / plot.width;
  const canvas = h("canvas", { width: drawn.width + 2 * MARGIN * scale });
  canvas.height = drawn.height + (2 * HEADING + MARGIN) * scale;
  const context = canvas.getContext("2d");
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  context.fillStyle = style.color;
  context.font = `600 14px ${style.fontFamily}`;
  context.fillText(chart.title, MARGIN, 20);
  context.font = `12px ${style.fontFamily}`;
  let left = MARGIN;
  plot.series.slice(1).forEach(({ label, stroke }, at) => {
    context.fillStyle = (typeof stroke === "function" ? stroke(plot, at + 1) : stroke) || style.color;
    context.fillRect(left, HEADING + 4, 10, 10);
    context.fillStyle = style.color;
    context.fillText(label, left + 14, HEADING + 14);
    left += 30 + context.measureText(label).width;
  });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(drawn, MARGIN * scale, 2 * HEADING * scale);
  return canvas;
};

const named = (chart, live, ending) => {
  const title = chart.title.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-+|-+$/g, "");
  return `${[live.status?.run_id, title].filter(Boolean).join("_")}.${ending}`;
};

/* Buttons that save a chart. */
export const chartFiles = (chart, about, plot, live) => [
  h(
    "button",
    {
      type: "button",
      "aria-label": `Save ${chart.title} as PNG`,
      onclick: () => picture(chart, plot).toBlob((blob) => blob && save(blob, named(chart, live, "png"))),
    },
    "PNG",
  ),
  h(
    "button",
    {
      type: "button",
      "aria-label": `Save ${chart.title} as CSV`,
      onclick: () =>
        save(
          new Blob([csvOf(chart, about.time, live.started_s)], { type: "text/csv" }),
          named(chart, live, "csv"),
        ),
    },
    "CSV",
  ),
];
