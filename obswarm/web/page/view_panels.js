// Panels of the load test's own: tables that it describes, whose rows it adds to the statistics.

import { get, getPath } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { PolledView } from "./polled_view.js";
import { Table } from "./table.js";

const shownOf = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return value.toLocaleString("en", { maximumFractionDigits: 3 });
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

export class PanelsView extends PolledView {
  #boot = null;
  #run = null;
  #tables = new Map();

  constructor(live) {
    super(live, "Panels", () => getPath("/stats/requests"));
    this.isThere = false;
    this.panels = h("div");
    this.files = h("p", { class: "downloads" });
    this.element = h("div", {}, this.problem, this.panels, this.files);
  }

  /* Ask which panels there are, of each process of the server and each run anew. */
  async look() {
    const { boot, run_id: run } = this.live.status ?? {};
    if (!this.live.isConnected || (boot === this.#boot && run === this.#run)) return;
    [this.#boot, this.#run] = [boot, run];
    let found;
    try {
      found = await get("/panels");
    } catch {
      this.#boot = null;
      return;
    }
    this.isThere = found.panels.length + found.files.length > 0;
    this.#build(found);
    this.live.changed();
  }

  #build({ panels, files }) {
    this.#tables.clear();
    fill(
      this.panels,
      panels.map(({ key, title, columns }) => {
        const table = new Table({
          label: title,
          key: (row) => row.at,
          sort: ["at", false],
          empty: "Nothing yet.",
          columns: columns.map((column, at) => ({
            id: at ? column.key : "at",
            title: column.title,
            isText: at === 0,
            value: (row) => (at ? row[column.key] : row.at),
            text: (row) => shownOf(row[column.key]),
          })),
        });
        table.update([]);
        this.#tables.set(key, table);
        return h("section", { "aria-label": title }, h("h3", {}, title), table.element);
      }),
    );
    fill(
      this.files,
      files.length ? ["Download: ", files.flatMap(({ href, title }) => [h("a", { href, download: true }, title), " "])] : null,
    );
  }

  received({ extended_stats: all }) {
    for (const { key, data } of Array.isArray(all) ? all : []) {
      const rows = Array.isArray(data) ? data.filter((row) => row && typeof row === "object") : [];
      this.#tables.get(key)?.update(rows.map((row, at) => ({ ...row, at })));
    }
    setText(this.problem, "");
  }
}
