// Metrics of the targets, and those of the load test itself: which there are, which are chosen, and their values.

import { get } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { store, stored } from "./storage.js";

const EVERY_MS = 2000;
// The API gives so many at once.
const MOST_CHOSEN = 20;
const MOST_SAMPLES = 4000;


export const OF_TARGETS = { title: "Metrics of the targets", path: "/targets", key: "obswarm-target-metrics" };
export const OF_LOADTEST = { title: "The load test's own metrics", path: "/custom", key: "obswarm-custom-metrics" };

/* Name of a metric; only those of targets have one. */
export const titleOf = ({ target, title }) => (target ? `${target}: ${title}` : title);

export class Metrics {
  #ids;
  #samples = new Map();
  #timer = null;
  #run = null;

  constructor(source, live, changed) {
    Object.assign(this, { source, live, changed });
    this.#ids = new Set(stored(source.key));
    this.metrics = [];
    this.summary = h("summary", {}, source.title);
    this.filter = h("input", { type: "search", oninput: () => this.#list() });
    this.list = h("div", { class: "choices" });
    this.note = h("p", { class: "hint" });
    this.element = h(
      "details",
      { class: "picker", hidden: true },
      this.summary,
      h("label", {}, "Filter ", this.filter),
      this.note,
      this.list,
    );
  }

  show() {
    this.hide();
    this.#poll();
  }

  hide() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /* The chosen metrics: [{metric, values}]; `values` gives a value for each of the times in seconds since 1970. */
  chosen() {
    return this.metrics
      .filter(({ id }) => this.#ids.has(id))
      .map((metric) => ({ metric, values: (time) => valuesAt(this.#samples.get(metric.id), time) }));
  }

  async #poll() {
    try {
      if (this.live.isConnected) await this.#ask();
    } catch {
      /* The connection's banner says so, and the next poll asks again. */
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.element.isConnected ? setTimeout(() => this.#poll(), EVERY_MS) : null;
  }

  async #ask() {
    const found = await get(this.source.path);
    if (found.run_id !== this.#run) {
      this.#run = found.run_id;
      this.#samples.clear();
    }
    const before = this.metrics.map(({ id }) => id).join("\n"),
      targets = found.targets ?? [],
      problems = targets.filter(({ problem }) => problem).map(({ target, problem }) => `${target}: ${problem}`);
    this.metrics = found.metrics;
    this.element.hidden = targets.length + found.metrics.length === 0;
    setText(this.note, problems.join(" "));
    if (before !== this.metrics.map(({ id }) => id).join("\n")) {
      this.#list();
      this.changed();
    }
    const ids = this.chosen()
      .map(({ metric }) => metric.id)
      .slice(0, MOST_CHOSEN);
    if (!ids.length) return;
    // Metrics that were chosen just now have no samples yet: everything is asked for.
    const since = Math.min(...ids.map((id) => this.#samples.get(id)?.time.at(-1) ?? 0));
    const { series } = await get(`${this.source.path}/series`, { metric: ids, since: since || null });
    for (const { id, time_s, values } of series) this.#add(id, time_s, values);
    this.live.changed();
  }

  #add(id, times, values) {
    const found = this.#samples.get(id) || { time: [], values: [] };
    this.#samples.set(id, found);
    times.forEach((time, at) => {
      if (found.time.length && time <= found.time.at(-1)) return;
      found.time.push(time);
      found.values.push(values[at]);
    });
    while (found.time.length > MOST_SAMPLES) {
      found.time = found.time.filter((_, at) => at % 2);
      found.values = found.values.filter((_, at) => at % 2);
    }
  }

  #list() {
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = this.metrics.filter((metric) =>
      `${titleOf(metric)} ${metric.name} ${metric.labels}`.toLowerCase().includes(wanted),
    );
    setText(
      this.summary,
      `${this.source.title} (${this.#ids.size ? `${this.chosen().length} of ` : ""}${this.metrics.length})`,
    );
    const focused = document.activeElement?.dataset?.id;
    fill(
      this.list,
      shown.slice(0, 200).map((metric) =>
        h(
          "label",
          {},
          h("input", {
            type: "checkbox",
            checked: this.#ids.has(metric.id),
            "data-id": metric.id,
            onchange: (event) => this.#choose(metric.id, event.target),
          }),
          ` ${titleOf(metric)}${metric.labels ? ` (${metric.labels})` : ""}`,
        ),
      ),
    );
    if (focused) [...this.list.querySelectorAll("input")].find((each) => each.dataset.id === focused)?.focus();
  }

  #choose(id, box) {
    if (box.checked && this.chosen().length >= MOST_CHOSEN) {
      box.checked = false;
      setText(this.note, `At most ${MOST_CHOSEN} metrics are shown at once.`);
      return;
    }
    this.#ids[box.checked ? "add" : "delete"](id);
    if (!box.checked) this.#samples.delete(id);
    store(this.source.key, [...this.#ids]);
    setText(this.summary, `${this.source.title} (${this.chosen().length} of ${this.metrics.length})`);
    this.changed();
    this.show();
  }
}

/* The value at each time: that of the last sample before; samples stand for changes. */
export const valuesAt = (samples, time) => {
  if (!samples) return new Array(time.length).fill(null);
  let at = -1;
  return time.map((each) => {
    while (at + 1 < samples.time.length && samples.time[at + 1] <= each) at++;
    return at < 0 ? null : samples.values[at];
  });
};
