// Guards and requirements with their present values, and why they are as they are; alerts that were delivered.

import { format, h, moment } from "./dom.js";
import { Table } from "./table.js";

const TONES = { ok: "good", pending: "warn", tripped: "bad", no_data: "warn" };
const LABELS = { no_data: "no data" };
const LITTLE_DATA = 0.9;

const badgeCell = (text, tone, cell) =>
  cell.firstChild?.textContent === text && cell.firstChild.className === `badge ${tone}`
    ? cell.firstChild
    : h("span", { class: `badge ${tone}` }, text);

/* Why a guard is in its state, as sentences. */
const whyOf = (guard) =>
  [
    guard.stopped,
    guard.state === "tripped" && guard.since_s ? `The condition holds since ${moment(guard.since_s)}.` : null,
    guard.state === "pending" && guard.since_s
      ? `The condition holds since ${moment(guard.since_s)}, not yet for long enough.`
      : null,
    guard.suspect ? `First suspect: ${guard.suspect}.` : null,
    guard.state === "no_data" ? guard.no_data_reason || "There is no value yet." : null,
    guard.matched ? null : "No request to its endpoints yet.",
    guard.data_ratio !== null && guard.data_ratio < LITTLE_DATA && guard.state !== "no_data"
      ? `Values for ${format("ratio", guard.data_ratio)} of the last 20 s. ${guard.no_data_reason || ""}`
      : null,
  ]
    .filter(Boolean)
    .join(" ") || "–";

/* As in a report: the condition, after its name if it has one. */
const titleOf = ({ name, when, action }) =>
  name === when || name === `${action}: ${when}` ? when : `${name} (${when})`;

export class GuardsView {
  constructor(live) {
    this.live = live;
    this.title = "Guards";
    this.guards = new Table({
      label: "Guards",
      key: (row) => `${row.name}\n${row.when}\n${row.action}`,
      empty: "This run has no guards. Add one by --stop-when 'p95 > 2s for 10s' or [[guards]].",
      columns: [
        { id: "title", title: "condition", isText: true, text: titleOf },
        { id: "action", title: "action", isText: true, text: (row) => row.action },
        {
          id: "state",
          title: "state",
          isText: true,
          cell: (row, cell) => badgeCell(LABELS[row.state] || row.state, TONES[row.state] || "", cell),
        },
        { id: "value", title: "value now", text: (row) => row.shown || "–" },
        { id: "trips", title: "trips", text: (row) => format("count", row.trips) },
        { id: "why", title: "why", isText: true, text: whyOf },
      ],
    });
    this.requirements = new Table({
      label: "Requirements",
      key: (row) => row.require,
      empty: "This run has no requirements. Add one by --require 'error_ratio < 1%'.",
      columns: [
        { id: "require", title: "requirement", isText: true, text: (row) => row.require },
        {
          id: "met",
          title: "so far",
          isText: true,
          cell: (row, cell) => badgeCell(row.met ? "met" : "not met", row.met ? "good" : "bad", cell),
        },
        { id: "value", title: "value of the run", text: (row) => row.shown || "–" },
      ],
    });
    this.alerts = new Table({
      label: "Alerts",
      key: (row) => `${row.alertname} ${row.status} ${row.source}`,
      empty: "No alerts were delivered.",
      columns: [
        { id: "alertname", title: "alert", isText: true, text: (row) => row.alertname },
        {
          id: "status",
          title: "status",
          isText: true,
          cell: (row, cell) => badgeCell(row.status, row.status === "firing" ? "bad" : "good", cell),
        },
        { id: "source", title: "source", isText: true, text: (row) => row.source },
        { id: "count", title: "deliveries", text: (row) => format("count", row.count) },
      ],
    });
    this.element = h(
      "div",
      {},
      h("h3", {}, "Guards"),
      this.guards.element,
      h("h3", {}, "Requirements"),
      this.requirements.element,
      h("h3", {}, "Alerts"),
      this.alerts.element,
    );
  }

  get badge() {
    return this.live.guards.filter(({ state }) => state === "tripped").length;
  }

  show() {
    this.update();
  }

  hide() {}

  update() {
    if (!this.element.isConnected) return;
    this.guards.update(this.live.guards);
    this.requirements.update(this.live.requirements);
    this.alerts.update(this.live.alerts);
  }
}
