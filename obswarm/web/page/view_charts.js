// Charts of the run over time: the load, the responses, and chosen metrics of the targets on the same time axis.

import { fill, h, moment, setText, clock } from "./dom.js";
import { chartFiles } from "./chart_files.js";
import { Metrics, OF_LOADTEST, OF_TARGETS, titleOf } from "./target_metrics.js";

const { drawHeat, makeChart, columns } = globalThis.obswarmCharts;

// As in reports.
const COLOURS = {
  start: "--good",
  takeover: "--c7",
  stop: "--c0",
  stage: "--c3",
  restart: "--c7",
  guard: "--bad",
  alert: "--bad",
  release: "--good",
  target: "--warn",
  note: "--c4",
};
const colourOf = (kind) => COLOURS[kind] || "--c7";
const ANNOTATIONS_SHOWN = 50;

const LOAD = [
  { title: "Users", unit: "number", lines: { users: "users", users_target: "target" } },
  { title: "Requests per second", unit: "per_second", lines: { rps: "requests" } },
  { title: "Latency", unit: "seconds", lines: { p50_s: "p50", p95_s: "p95", p99_s: "p99" } },
  { title: "Failures per second", unit: "per_second", lines: { failures_per_s: "failures" } },
  { title: "Requests in flight", unit: "number", lines: { in_flight: "in flight" } },
  {
    title: "Iterations per second",
    unit: "per_second",
    lines: { iterations_per_s: "finished", iterations_per_s_target: "target", dropped_per_s: "not started" },
    isFor: "iterations_per_s_target",
  },
  { title: "CPU of the busiest worker (100 % is one core)", unit: "ratio", lines: { cpu_ratio: "CPU" } },
];

export class ChartsView {
  #plots = [];
  #isZoomed = false;
  #drawn = "";

  constructor(live) {
    this.live = live;
    this.title = "Charts";
    this.sync = globalThis.uPlot.sync("live");
    const changed = () => {
      this.#drawn = "";
      live.changed();
    };
    this.targets = new Metrics(OF_TARGETS, live, changed);
    this.own = new Metrics(OF_LOADTEST, live, changed);
    this.logarithmic = h("input", { type: "checkbox", onchange: () => this.redraw() });
    this.hint = h("p", { class: "hint" });
    this.load = h("div", { class: "group" });
    this.canvas = h("canvas", { id: "heat", role: "img", "aria-label": "No requests yet." });
    this.ofTargets = h("div", { class: "group" });
    this.ofLoadtest = h("div", { class: "group" });
    this.annotations = h("ol", { class: "annotations" });
    this.element = h(
      "div",
      {},
      h("div", { class: "toolbar" }, h("label", {}, this.logarithmic, " Logarithmic axes for latencies"), this.hint),
      this.load,
      h("h3", {}, "Latency distribution over time"),
      this.canvas,
      this.targets.element,
      this.ofTargets,
      this.own.element,
      this.ofLoadtest,
      h("section", { "aria-label": "Annotations" }, h("h3", {}, "Annotations"), this.annotations),
    );
    new ResizeObserver(() => this.#resize()).observe(this.load);
  }

  show() {
    this.targets.show();
    this.own.show();
    this.redraw();
  }

  hide() {
    this.targets.hide();
    this.own.hide();
  }

  redraw() {
    this.#drawn = "";
    this.update();
  }

  update() {
    if (!this.element.isConnected) return;
    const { history } = this.live,
      charts = this.#charts();
    const drawn = JSON.stringify([
      charts.map(({ title, lines }) => [title, lines.map(({ label }) => label)]),
      this.logarithmic.checked,
      this.live.started_s,
    ]);
    if (drawn !== this.#drawn) this.#draw(charts);
    else this.#refresh(charts);
    this.#drawn = drawn;
    drawHeat(this.canvas, history.heatmap(this.live.started_s));
    this.#showAnnotations();
    const each =
      history.step > 1 ? ` Each point is ${history.step} s: rates are averages, percentiles the highest.` : "";
    setText(this.hint, `Drag across a chart to zoom, double-click to reset. Dashed lines are annotations.${each}`);
  }

  #charts() {
    const { history, started_s } = this.live;
    const time = history.time.map((each) => each - started_s),
      empty = new Array(time.length).fill(null);
    const hasValues = (name) => (history.columns[name] || []).some(Boolean);
    // User classes with a rate of iterations have no target number of users.
    const isOpen = hasValues("iterations_per_s_target") && !hasValues("users_target");
    const load = LOAD.filter(({ isFor }) => !isFor || hasValues(isFor)).map((chart) => ({
      title: chart.title,
      unit: chart.unit,
      stacked: false,
      time,
      place: this.load,
      lines: Object.entries(chart.lines)
        .filter(([name]) => name !== "users_target" || !isOpen)
        .map(([name, label]) => ({ label, values: history.columns[name] || empty })),
    }));
    const chosen = (metrics, place) =>
      metrics.chosen().map(({ metric, values }) => ({
        title: titleOf(metric),
        unit: metric.unit,
        stacked: false,
        time,
        place,
        lines: [{ label: metric.labels || metric.title, values: values(history.time) }],
      }));
    return [...load, ...chosen(this.targets, this.ofTargets), ...chosen(this.own, this.ofLoadtest)];
  }

  #draw(charts) {
    for (const { plot } of this.#plots) plot.destroy();
    fill(this.load);
    fill(this.ofTargets);
    fill(this.ofLoadtest);
    this.#isZoomed = false;
    this.#plots = charts.map((chart) => {
      const place = h("div"),
        about = {
          time: chart.time,
          annotations: this.#marks(),
          logarithmic: this.logarithmic.checked,
          sync: this.sync,
          end_label: "now",
          at_text: (time) => `${clock(time)} (${moment(time + this.live.started_s)})`,
        };
      const files = h("span", { class: "files" });
      chart.place.append(
        h("div", { class: "chart" }, h("div", { class: "heading" }, h("h3", {}, chart.title), files), place),
      );
      const plot = makeChart(chart, place, about);
      fill(files, chartFiles(chart, about, plot, this.live));
      plot.hooks.setSelect = [
        ...(plot.hooks.setSelect || []),
        (zoomed) => {
          if (zoomed.select.width > 0) this.#isZoomed = true;
        },
      ];
      plot.over.addEventListener("dblclick", () => {
        this.#isZoomed = false;
      });
      return { plot, chart, about, place };
    });
  }

  #refresh(charts) {
    this.#plots.forEach(({ plot, chart, about }, at) => {
      chart.lines.forEach((line, number) => {
        line.values = charts[at].lines[number].values;
      });
      about.time = charts[at].time;
      about.annotations = this.#marks();
      const isZoomed = this.#isZoomed;
      const { min, max } = plot.scales.x;
      plot.batch(() => {
        plot.setData([about.time, ...columns(chart, this.logarithmic.checked && chart.unit === "seconds")], !isZoomed);
        if (isZoomed) plot.setScale("x", { min, max });
      });
      plot.root.querySelector("canvas").setAttribute("aria-label", globalThis.obswarmCharts.describe(chart, about));
    });
  }

  #marks() {
    return this.live.annotations.map(({ time_s, kind }) => [time_s - this.live.started_s, colourOf(kind)]);
  }

  #showAnnotations() {
    const shown = this.live.annotations.slice(-ANNOTATIONS_SHOWN).reverse();
    const key = `${this.live.started_s} ${shown.map(({ time_s }) => time_s).join(" ")}`;
    if (this.annotations.dataset.key === key) return;
    this.annotations.dataset.key = key;
    fill(
      this.annotations,
      shown.length
        ? shown.map(({ time_s, kind, text }) => {
            const line = h(
              "li",
              {},
              h("span", { title: moment(time_s) }, clock(time_s - this.live.started_s)),
              " ",
              text,
            );
            line.style.borderColor = `var(${colourOf(kind)})`;
            return line;
          })
        : h("li", { class: "hint" }, "None yet."),
    );
  }

  #resize() {
    for (const { plot, place } of this.#plots) {
      const width = Math.max(place.clientWidth, 200);
      if (place.clientWidth && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
    if (this.element.isConnected) drawHeat(this.canvas, this.live.history.heatmap(this.live.started_s));
  }
}
