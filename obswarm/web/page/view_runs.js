// Stored runs: search, report, files, the explanation of one, and the comparison of two.

import { address, get } from "./api.js";
import { fill, format, h, moment, setText } from "./dom.js";
import { linksOf } from "./downloads.js";
import { comparison } from "./comparison.js";
import { Table } from "./table.js";

const PER_PAGE = 50;
const TYPING_MS = 300;

const durationOf = (seconds) => {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.round(seconds % 60)];
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${rest} s` : `${rest} s`;
};

const tagsOf = (run) => (run.tags ?? [run.tag]).filter(Boolean);

export class RunsView {
  #chosen = [];
  #runs = [];
  #next = null;
  #turn = 0;
  #typing = null;

  constructor(live) {
    this.live = live;
    this.title = "Runs";
    this.search = h("input", {
      type: "search",
      oninput: () => {
        clearTimeout(this.#typing);
        this.#typing = setTimeout(() => this.#ask(), TYPING_MS);
      },
    });
    this.tag = h("select", { onchange: () => this.#ask() }, h("option", { value: "" }, "all"));
    this.problem = h("p", { class: "bad", role: "alert" });
    this.compare = h(
      "button",
      { type: "button", disabled: true, onclick: () => this.#compare() },
      "Compare the two chosen runs",
    );
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#ask(true) }, "Show older runs");
    this.details = h("section", { "aria-live": "polite", tabindex: "-1" });
    this.table = new Table({
      label: "Stored runs",
      key: (row) => row.id,
      empty: "No stored runs. Runs are stored unless obswarm is started with --no-store.",
      columns: [
        { id: "id", title: "run", isText: true, cell: (row, cell) => this.#choiceCell(row, cell) },
        {
          id: "test",
          title: "load test",
          isText: true,
          text: (row) => [row.test, row.host].filter(Boolean).join(" at "),
        },
        {
          id: "tags",
          title: "tags, note",
          isText: true,
          text: (row) => [tagsOf(row).join(", "), row.note].filter(Boolean).join("; "),
        },
        { id: "duration_s", title: "duration", text: (row) => durationOf(row.duration_s) },
        { id: "users_max", title: "max users", text: (row) => format("count", row.users_max) },
        { id: "rps", title: "requests/s", text: (row) => format("per_second", row.rps) },
        {
          id: "error_ratio",
          title: "failed",
          text: (row) => format("ratio", row.error_ratio),
          tone: (row) => (row.error_ratio ? "bad" : ""),
        },
        { id: "p95_s", title: "p95", text: (row) => format("seconds", row.p95_s) },
        { id: "end", title: "end", isText: true, text: (row) => row.stop_reason?.detail || row.state || "–" },
        { id: "links", title: "more", isText: true, cell: (row, cell) => this.#linksCell(row, cell) },
      ],
    });
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "toolbar" },
        h("label", {}, "Search ", this.search),
        h("label", {}, "Tag ", this.tag),
        this.compare,
      ),
      this.problem,
      this.details,
      this.table.element,
      this.more,
    );
  }

  show() {
    this.#ask();
  }

  hide() {}

  // A run that has ended is a stored one.
  update() {
    const { status } = this.live;
    const key = `${status?.run_id} ${status?.state === "stopped"}`;
    if (this.key !== undefined && key !== this.key && this.element.isConnected) this.#ask();
    this.key = key;
  }

  async #ask(isMore = false) {
    const turn = ++this.#turn;
    try {
      const found = await get("/runs", {
        search: this.search.value.trim(),
        tag: this.tag.value,
        limit: PER_PAGE,
        before: isMore ? this.#next : null,
      });
      if (turn !== this.#turn) return;
      this.#runs = isMore ? [...this.#runs, ...found.runs] : found.runs;
      this.#next = found.next;
      this.#tags(found.tags);
      setText(this.problem, "");
    } catch (error) {
      if (turn !== this.#turn) return;
      setText(this.problem, error.message);
    }
    this.more.hidden = !this.#next;
    this.table.update(this.#runs);
  }

  #tags(tags) {
    const before = this.tag.value;
    this.tag.replaceChildren(
      h("option", { value: "" }, "all"),
      ...tags.map((each) => h("option", { value: each }, each)),
    );
    this.tag.value = tags.includes(before) ? before : "";
  }

  #choiceCell(row, cell) {
    if (!cell.firstChild) {
      const box = h("input", { type: "checkbox", onchange: () => this.#choose(row.id, box) });
      return h("label", {}, box, " ", moment(row.started_s), h("small", { class: "example" }, row.id));
    }
    cell.querySelector("input").checked = this.#chosen.includes(row.id);
    return cell.firstChild;
  }

  #linksCell(row, cell) {
    const key = JSON.stringify([row.has_report, row.grafana_url, row.state]);
    if (cell.dataset.key === key) return cell.firstChild;
    cell.dataset.key = key;
    const path = `/runs/${encodeURIComponent(row.id)}`;
    return h(
      "span",
      { class: "links" },
      row.has_report
        ? h(
            "a",
            {
              href: address(`${path}/report`),
              target: "_blank",
              rel: "noopener",
              "aria-label": `Report of run ${row.id}`,
            },
            "Report",
          )
        : null,
      isLink(row.grafana_url)
        ? h(
            "a",
            {
              href: row.grafana_url,
              target: "_blank",
              rel: "noopener noreferrer",
              "aria-label": `Grafana for run ${row.id}`,
            },
            "Grafana",
          )
        : null,
      h(
        "button",
        { type: "button", "aria-label": `Explain run ${row.id}`, onclick: () => this.#explain(row) },
        "Explain",
      ),
      h(
        "details",
        { class: "inline" },
        h("summary", { "aria-label": `Files of run ${row.id}` }, "Files"),
        h("span", { class: "links" }, linksOf(row.id)),
      ),
    );
  }

  #choose(id, box) {
    this.#chosen = box.checked ? [...this.#chosen, id].slice(-2) : this.#chosen.filter((each) => each !== id);
    this.compare.disabled = this.#chosen.length !== 2;
    this.table.refresh();
  }

  async #show(title, of) {
    fill(this.details, h("p", { class: "hint" }, `${title} …`));
    this.details.scrollIntoView({ block: "nearest" });
    try {
      const content = await of();
      fill(
        this.details,
        h(
          "div",
          { class: "panel" },
          h("button", { type: "button", class: "close", onclick: () => fill(this.details) }, "Close"),
          content,
        ),
      );
    } catch (error) {
      fill(this.details, h("p", { class: "bad" }, error.message));
    }
    this.details.focus();
  }

  #explain(row) {
    return this.#show(`Explaining run ${row.id}`, async () => {
      const { headline, sections } = await get(`/runs/${encodeURIComponent(row.id)}/explain`);
      return [
        h("p", { class: "hint" }, `Run ${row.id}`),
        h("h3", {}, headline),
        sections.map(({ heading, sentences }) => [
          heading ? h("h4", {}, heading) : null,
          h(
            "ul",
            {},
            sentences.map((each) => h("li", {}, each)),
          ),
        ]),
      ];
    });
  }

  #compare() {
    // The earlier one is the base.
    const [before, after] = [...this.#chosen].sort();
    return this.#show(`Comparing ${before} with ${after}`, async () =>
      comparison(await get("/compare", { before, after })),
    );
  }
}

export const isLink = (url) => typeof url === "string" && /^https?:\/\//.test(url);
