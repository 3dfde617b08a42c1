// The endpoints of the run: all of it, or its last second; sorted, filtered, and grouped by method or first part of the path.

import { endpointLabel, format, h } from "./dom.js";
import { downloads } from "./downloads.js";
import { stored, store } from "./storage.js";
import { Table } from "./table.js";

const HIDDEN_KEY = "obswarm-hidden-columns";

const GROUPS = { none: () => null, method: ({ method }) => method || "(none)", prefix: ({ name }) => prefixOf(name) };

const prefixOf = (name) => {
  const path = name.replace(/^[a-z]+:\/\/[^/]*/i, "");
  return path.startsWith("/") ? `/${path.slice(1).split(/[/?#]/, 1)[0]}` : name.split(/[\s/:]/, 1)[0];
};

const sizeOf = ({ response_bytes: bytes, requests }) => (requests ? bytes / requests : null);
const toneOf = (failures) => (failures > 0 ? "bad" : "");
const numbers = (name) => (row, recent) => (recent ? row.now[name] : row[name]);

export class EndpointsView {
  #open = new Set();

  constructor(live) {
    this.live = live;
    this.title = "Endpoints";
    this.filter = h("input", { type: "search", oninput: () => this.update() });
    this.method = h("select", { onchange: () => this.update() }, h("option", { value: "" }, "all"));
    this.group = h(
      "select",
      { onchange: () => this.update() },
      h("option", { value: "none" }, "nothing"),
      h("option", { value: "method" }, "method"),
      h("option", { value: "prefix" }, "first part of the path"),
    );
    this.span = h(
      "select",
      { onchange: () => this.update() },
      h("option", { value: "run" }, "the run"),
      h("option", { value: "now" }, "the last second"),
    );
    const value = (name) => (row) => numbers(name)(row, this.span.value === "now");
    const column = (id, title, unit) => ({ id, title, value: value(id), text: (row) => format(unit, value(id)(row)) });
    const ofRun = (id, title, unit) => ({ id, title, value: (row) => row[id], text: (row) => format(unit, row[id]) });
    this.table = new Table({
      label: "Endpoints",
      key: (row) => (row.group === undefined ? `${row.method} ${row.name}` : `group ${row.group}`),
      sort: ["requests", true],
      empty: "No requests yet.",
      columns: [
        {
          id: "name",
          title: "endpoint",
          isText: true,
          value: (row) => row.group ?? `${row.name} ${row.method}`,
          cell: (row, cell) => this.#name(row, cell),
        },
        ofRun("requests", "requests", "count"),
        { ...ofRun("failures", "failures", "count"), tone: (row) => toneOf(row.failures) },
        { ...ofRun("error_ratio", "failed", "ratio"), tone: (row) => toneOf(row.failures) },
        column("rps", "requests/s", "per_second"),
        column("failures_per_s", "failures/s", "per_second"),
        column("p50_s", "p50", "seconds"),
        column("p95_s", "p95", "seconds"),
        column("p99_s", "p99", "seconds"),
        ofRun("mean_s", "mean", "seconds"),
        ofRun("min_s", "min", "seconds"),
        ofRun("max_s", "max", "seconds"),
        ofRun("in_flight", "in flight", "count"),
        { id: "size", title: "mean size", value: sizeOf, text: (row) => format("bytes", sizeOf(row)) },
        ofRun("response_bytes", "received", "bytes"),
      ],
    });
    this.downloads = h("p", { class: "downloads" });
    this.table.hideColumns(stored(HIDDEN_KEY));
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "toolbar" },
        h("label", {}, "Filter ", this.filter),
        h("label", {}, "Method ", this.method),
        h("label", {}, "Group by ", this.group),
        h("label", {}, "Rates and percentiles of ", this.span),
        this.#columnChoice(),
      ),
      this.table.element,
      this.downloads,
    );
  }

  #columnChoice() {
    const hidden = new Set(stored(HIDDEN_KEY)),
      choices = this.table.columns.slice(1).map(({ id, title }) =>
        h(
          "label",
          {},
          h("input", {
            type: "checkbox",
            checked: !hidden.has(id),
            onchange: ({ target }) => {
              hidden[target.checked ? "delete" : "add"](id);
              store(HIDDEN_KEY, [...hidden]);
              this.table.hideColumns(hidden);
            },
          }),
          ` ${title}`,
        ),
      );
    return h("details", { class: "picker columns" }, h("summary", {}, "Columns"), h("div", { class: "choices" }, choices));
  }

  show() {
    this.update();
  }

  hide() {}

  update() {
    if (!this.element.isConnected) return;
    const rows = [...this.live.endpoints.values()],
      wanted = this.filter.value.trim().toLowerCase();
    this.#methods(rows);
    const chosen = rows.filter(
      (row) =>
        (!this.method.value || row.method === this.method.value) && endpointLabel(row).toLowerCase().includes(wanted),
    );
    const isAll = chosen.length === rows.length && rows.length > 0;
    this.table.empty = rows.length ? "No endpoint matches the filter." : "No requests yet.";
    this.table.update(this.group.value === "none" ? chosen : this.#grouped(chosen), isAll ? this.live.total : null);
    downloads(this.downloads, this.live.status?.run_id);
  }

  #methods(rows) {
    const methods = [...new Set(rows.map(({ method }) => method))].filter(Boolean).sort();
    const known = [...this.method.options].slice(1).map(({ value }) => value);
    if (methods.join() === known.join()) return;
    const before = this.method.value;
    this.method.replaceChildren(
      h("option", { value: "" }, "all"),
      ...methods.map((each) => h("option", { value: each }, each)),
    );
    this.method.value = methods.includes(before) ? before : "";
  }

  /* Groups with the sums of their endpoints. Percentiles of a group are not known from those of its endpoints. */
  #grouped(rows) {
    const groups = new Map();
    for (const row of rows) {
      const name = GROUPS[this.group.value](row);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(row);
    }
    return [...groups].map(([group, members]) => {
      const sum = (of) => members.reduce((total, row) => total + of(row), 0);
      const requests = sum((row) => row.requests),
        failures = sum((row) => row.failures);
      const known = (name) => members.map((row) => row[name]).filter((value) => value !== null);
      return {
        group,
        size: members.length,
        className: "group-row",
        requests,
        failures,
        error_ratio: requests ? failures / requests : 0,
        rps: sum((row) => row.rps),
        failures_per_s: sum((row) => row.failures_per_s),
        p50_s: null,
        p95_s: null,
        p99_s: null,
        mean_s: requests ? sum((row) => (row.mean_s || 0) * row.requests) / requests : null,
        min_s: known("min_s").length ? Math.min(...known("min_s")) : null,
        max_s: known("max_s").length ? Math.max(...known("max_s")) : null,
        in_flight: sum((row) => row.in_flight),
        response_bytes: sum((row) => row.response_bytes),
        now: {
          rps: sum((row) => row.now.rps),
          failures_per_s: sum((row) => row.now.failures_per_s),
          p50_s: null,
          p95_s: null,
          p99_s: null,
        },
        children: this.#open.has(group) ? members : null,
      };
    });
  }

  #name(row, cell) {
    if (row.group === undefined)
      return cell.dataset.label === endpointLabel(row)
        ? cell.firstChild
        : ((cell.dataset.label = endpointLabel(row)), document.createTextNode(endpointLabel(row)));
    const isOpen = this.#open.has(row.group),
      label = `${isOpen ? "▾" : "▸"} ${row.group} (${row.size})`;
    let button = cell.querySelector("button");
    if (!button) {
      button = h("button", {
        type: "button",
        class: "sort",
        onclick: () => {
          if (!this.#open.delete(row.group)) this.#open.add(row.group);
          this.update();
        },
      });
    }
    button.setAttribute("aria-expanded", String(isOpen));
    if (button.textContent !== label) button.textContent = label;
    return button;
  }
}
