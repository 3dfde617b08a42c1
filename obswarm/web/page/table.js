// A table that is updated in place: sortable by its headings, and a card for each row on narrow screens.

import { fill, h, setText } from "./dom.js";

const MOST_ROWS = 100;

/* columns: [{id, title, text(row) or cell(row), value(row), isText, tone(row)}]: `text` is what is shown, `cell` an element
   instead; `value` is what is sorted by; the first column names the row. key(row) tells rows apart. `sort` is [id,
   descending], or null for the order of the rows. `empty` is the sentence in place of a table without rows. */
export class Table {
  #rows = new Map();
  #latest = [[], null];
  #showsAll = false;
  #hidden = new Set();

  constructor({ label, columns, key, sort = null, empty }) {
    Object.assign(this, { columns, key, sort, empty });
    this.body = h("tbody", { role: "rowgroup" });
    this.headings = columns.map((column) =>
      h(
        "th",
        { scope: "col", role: "columnheader", class: column.isText ? "text" : null },
        sort
          ? h("button", { type: "button", class: "sort", onclick: () => this.#sortBy(column.id) }, column.title)
          : column.title,
      ),
    );
    this.table = h(
      "table",
      { role: "table", "aria-label": label },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, this.headings)),
      this.body,
    );
    this.more = h("button", {
      type: "button",
      hidden: true,
      onclick: () => {
        this.#showsAll = !this.#showsAll;
        this.update(...this.#latest);
      },
    });
    this.note = h("p", { class: "hint" });
    // Cards have no headings to click at.
    this.choice =
      sort &&
      h(
        "label",
        { class: "narrow" },
        "Sort by ",
        h(
          "select",
          { onchange: (event) => this.#sortBy(event.target.value, true) },
          columns.map((column) => h("option", { value: column.id, selected: column.id === sort[0] }, column.title)),
        ),
      );
    this.element = h("div", { class: "table" }, this.choice, this.table, this.note, this.more);
    this.#showSort();
  }

  /* Leave out the columns with these ids; the first one always stays. */
  hideColumns(ids) {
    this.#hidden = new Set(ids);
    this.columns.forEach((column, at) => {
      this.headings[at].hidden = this.#isHidden(at);
      for (const line of this.#rows.values()) line.children[at].hidden = this.#isHidden(at);
    });
  }

  #isHidden(at) {
    return at > 0 && this.#hidden.has(this.columns[at].id);
  }

  /* Change the columns' contents, as when other statistics are chosen. */
  refresh() {
    this.update(...this.#latest);
  }

  #sortBy(id, isNew = false) {
    const column = this.columns.find((each) => each.id === id);
    const descending = isNew || this.sort[0] !== id ? !column.isText : !this.sort[1];
    this.sort = [id, descending];
    this.#showSort();
    this.update(...this.#latest);
  }

  #showSort() {
    if (!this.sort) return;
    this.columns.forEach((column, at) => {
      const isIt = column.id === this.sort[0];
      if (isIt) this.headings[at].setAttribute("aria-sort", this.sort[1] ? "descending" : "ascending");
      else this.headings[at].removeAttribute("aria-sort");
    });
  }

  /* Show these rows, and a last one with their total, if given. Rows may have `children`, which follow them. */
  update(rows, total = null) {
    this.#latest = [rows, total];
    const sorted = this.sort ? this.#sorted(rows) : rows;
    const shown = this.#showsAll ? sorted : sorted.slice(0, MOST_ROWS);
    const all = [
      ...shown.flatMap((row) => [row, ...(row.children ? this.#sorted(row.children) : [])]),
      ...(total ? [total] : []),
    ];
    const keys = new Set();
    let at = 0;
    for (const row of all) {
      const key = row === total ? "\0total" : this.key(row);
      if (keys.has(key)) continue;
      keys.add(key);
      const line = this.#line(key);
      line.className = row === total ? "total" : row.className || "";
      this.columns.forEach((column, number) => this.#show(line.children[number], column, row));
      if (this.body.children[at] !== line) this.body.insertBefore(line, this.body.children[at] || null);
      at++;
    }
    for (const [key, line] of this.#rows)
      if (!keys.has(key)) {
        line.remove();
        this.#rows.delete(key);
      }
    this.table.hidden = rows.length === 0;
    if (this.choice) this.choice.hidden = rows.length === 0;
    setText(this.note, rows.length ? "" : this.empty);
    this.note.hidden = rows.length > 0;
    this.more.hidden = rows.length <= MOST_ROWS;
    setText(
      this.more,
      this.#showsAll ? `Show the first ${MOST_ROWS}` : `Show all ${rows.length.toLocaleString("en")} rows`,
    );
  }

  #sorted(rows) {
    const { value } = this.columns.find((column) => column.id === this.sort[0]),
      sign = this.sort[1] ? -1 : 1;
    // Rows without a value come last.
    return rows
      .map((row, at) => [value(row), at, row])
      .sort(([one, first], [other, second]) => {
        if (one === other) return first - second;
        if (one === null || one === undefined) return 1;
        if (other === null || other === undefined) return -1;
        return (typeof one === "string" ? one.localeCompare(other) : one - other) * sign;
      })
      .map(([, , row]) => row);
  }

  #line(key) {
    let line = this.#rows.get(key);
    if (!line) {
      line = h(
        "tr",
        { role: "row" },
        this.columns.map((column, number) =>
          h(number ? "td" : "th", {
            role: number ? "cell" : "rowheader",
            scope: number ? null : "row",
            "data-is": column.title,
            class: column.isText ? "text" : null,
            hidden: this.#isHidden(number),
          }),
        ),
      );
      this.#rows.set(key, line);
    }
    return line;
  }

  #show(cell, column, row) {
    if (column.cell) {
      const made = column.cell(row, cell);
      if (made !== cell.firstChild) fill(cell, made);
    } else {
      setText(cell, column.text(row));
    }
    if (column.tone) cell.className = `${column.isText ? "text " : ""}${column.tone(row) || ""}`.trim();
  }
}
