// What went wrong: failures by endpoint and error, and exceptions of the load test's own code.

import { downloads } from "./downloads.js";
import { endpointLabel, fill, format, h, moment } from "./dom.js";
import { PolledView } from "./polled_view.js";
import { Table } from "./table.js";

export class FailuresView extends PolledView {
  #errors = [];

  constructor(live) {
    super(live, "Failures", "/errors");
    this.filter = h("input", { type: "search", oninput: () => this.#show() });
    this.table = new Table({
      label: "Failures",
      key: (row) => `${row.method} ${row.name}\n${row.error}`,
      sort: ["count", true],
      empty: "No failures.",
      columns: [
        { id: "endpoint", title: "endpoint", isText: true, value: endpointLabel, text: endpointLabel },
        {
          id: "error",
          title: "error",
          isText: true,
          value: (row) => row.error,
          cell: (row, cell) => errorCell(row, cell),
        },
        { id: "count", title: "count", value: (row) => row.count, text: (row) => format("count", row.count) },
        { id: "first", title: "first", value: (row) => row.first_seen_s, text: (row) => moment(row.first_seen_s) },
        { id: "last", title: "last", value: (row) => row.last_seen_s, text: (row) => moment(row.last_seen_s) },
      ],
    });
    this.downloads = h("p", { class: "downloads" });
    this.element = h(
      "div",
      {},
      this.problem,
      h("div", { class: "toolbar" }, h("label", {}, "Filter ", this.filter)),
      this.table.element,
      this.downloads,
    );
  }

  get badge() {
    return this.live.status?.failures || 0;
  }

  received({ errors }) {
    this.#errors = errors;
    this.#show();
  }

  #show() {
    const wanted = this.filter.value.trim().toLowerCase();
    this.table.update(
      this.#errors.filter((row) => `${endpointLabel(row)} ${row.error}`.toLowerCase().includes(wanted)),
    );
    downloads(this.downloads, this.live.status?.run_id);
  }
}

const errorCell = (row, cell) => {
  const shown = `${row.error}\n${row.example || ""}`;
  if (cell.dataset.shown === shown) return cell.firstChild;
  cell.dataset.shown = shown;
  return h(
    "span",
    {},
    row.error,
    row.example && row.example !== row.error ? h("small", { class: "example" }, `e.g. ${row.example}`) : null,
  );
};

export class ExceptionsView extends PolledView {
  #shown = "";

  constructor(live) {
    super(live, "Exceptions", "/exceptions");
    this.list = h("div");
    this.element = h(
      "div",
      {},
      h("p", { class: "hint" }, "Exceptions that the load test's own code raised."),
      this.problem,
      this.list,
    );
  }

  received({ exceptions }) {
    const shown = JSON.stringify(exceptions);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const open = new Set([...this.list.querySelectorAll("details[open]")].map((each) => each.dataset.key));
    fill(
      this.list,
      exceptions.length
        ? exceptions.map(({ count, message, traceback }) =>
            h(
              "details",
              { "data-key": traceback, open: open.has(traceback) },
              h("summary", {}, `${format("count", count)} × ${message}`),
              h("pre", { tabindex: "0" }, traceback),
            ),
          )
        : h("p", { class: "hint" }, "None."),
    );
  }
}
