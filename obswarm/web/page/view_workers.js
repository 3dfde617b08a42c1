// The load-generating processes: users, capacity, and whether they are the bottleneck.

import { counted, format, h, setText } from "./dom.js";
import { Table } from "./table.js";

const badge = (text, tone) => h("span", { class: `badge ${tone}` }, text);
const TONES = { ready: "good", missing: "warn", leaving: "", lost: "bad", gone: "" };

export class WorkersView {
  constructor(live) {
    this.live = live;
    this.title = "Workers";
    this.summary = h("p", { class: "hint" });
    this.table = new Table({
      label: "Workers",
      key: (row) => row.worker,
      sort: ["worker", false],
      empty: "No workers yet.",
      columns: [
        { id: "worker", title: "worker", isText: true, value: (row) => row.worker, text: (row) => row.worker },
        {
          id: "state",
          title: "state",
          isText: true,
          value: (row) => stateOf(row),
          cell: (row, cell) => stateCell(row, cell),
        },
        { id: "users", title: "users", value: (row) => row.users, text: (row) => format("count", row.users) },
        {
          id: "capacity",
          title: "capacity",
          value: (row) => row.capacity,
          text: (row) => format("per_second", row.capacity),
        },
        { id: "cpu_ratio", title: "CPU", value: (row) => row.cpu_ratio, cell: (row, cell) => meterCell(row, cell) },
        {
          id: "max_cpu_ratio",
          title: "max CPU",
          value: (row) => row.max_cpu_ratio,
          text: (row) => format("ratio", row.max_cpu_ratio),
        },
        {
          id: "loop_lag_s",
          title: "event loop lag",
          value: (row) => row.loop_lag_s,
          text: (row) => format("seconds", row.loop_lag_s),
        },
        {
          id: "max_loop_lag_s",
          title: "max lag",
          value: (row) => row.max_loop_lag_s,
          text: (row) => format("seconds", row.max_loop_lag_s),
        },
        {
          id: "memory_bytes",
          title: "memory",
          value: (row) => row.memory_bytes,
          text: (row) => format("bytes", row.memory_bytes),
        },
        {
          id: "stats_lost",
          title: "lost reports",
          value: (row) => row.stats_lost,
          text: (row) => format("count", row.stats_lost),
          tone: (row) => (row.stats_lost ? "bad" : ""),
        },
      ],
    });
    this.element = h("div", {}, this.summary, this.table.element);
  }

  get badge() {
    return this.live.workers.length;
  }

  show() {
    this.update();
  }

  hide() {}

  update() {
    if (!this.element.isConnected) return;
    const { workers } = this.live,
      saturated = workers.filter(({ saturated }) => saturated);
    const capacity = workers.reduce((sum, each) => sum + (each.capacity || 0), 0);
    setText(
      this.summary,
      [
        counted(workers.length, "worker"),
        capacity ? `measured capacity ${format("per_second", capacity)}` : null,
        saturated.length
          ? `${counted(saturated.length, "worker")} saturated: measured latencies include waiting in the load generator`
          : "none saturated",
      ]
        .filter(Boolean)
        .join("; ") + ". CPU: 100 % is one core.",
    );
    this.summary.className = saturated.length ? "warn" : "hint";
    this.table.update(workers);
  }
}

const stateOf = (row) => (row.saturated ? `saturated, ${row.state}` : row.state);

const stateCell = (row, cell) => {
  if (cell.firstChild?.textContent === stateOf(row)) return cell.firstChild;
  return badge(stateOf(row), row.saturated ? "warn" : TONES[row.state] || "");
};

const meterCell = (row, cell) => {
  const made =
    cell.firstChild ||
    h(
      "span",
      { class: "meter" },
      h("meter", { min: 0, max: 1, high: 0.9, low: 0.7, optimum: 0, "aria-label": "CPU" }),
      h("span"),
    );
  made.firstChild.value = Math.min(1, row.cpu_ratio);
  setText(made.lastChild, format("ratio", row.cpu_ratio));
  return made;
};
