// The latest lines of the server's log.

import { fill, h, moment } from "./dom.js";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const TONES = { WARNING: "warn", ERROR: "bad", CRITICAL: "bad" };

export class LogView {
  #shown = "";

  constructor(live) {
    this.live = live;
    this.title = "Log";
    this.level = h(
      "select",
      { onchange: () => this.update() },
      LEVELS.map((each) => h("option", { value: each, selected: each === "INFO" }, each.toLowerCase())),
    );
    this.list = h("ol", { class: "log", tabindex: "0", "aria-label": "Log messages, the newest first" });
    this.element = h("div", {}, h("div", { class: "toolbar" }, h("label", {}, "From level ", this.level)), this.list);
  }

  show() {
    this.update();
  }

  hide() {}

  update() {
    if (!this.element.isConnected) return;
    const from = LEVELS.indexOf(this.level.value);
    const shown = this.live.logs.filter(({ level }) => LEVELS.indexOf(level) >= from || !LEVELS.includes(level));
    const key = `${shown.length} ${shown.at(-1)?.time_s} ${shown.at(-1)?.text} ${from}`;
    if (key === this.#shown) return;
    this.#shown = key;
    fill(
      this.list,
      shown.length
        ? shown
            .toReversed()
            .map(({ time_s, level, logger, text }) =>
              h(
                "li",
                {},
                h("span", { class: "when" }, moment(time_s)),
                " ",
                h("span", { class: `level ${TONES[level] || ""}` }, level),
                " ",
                h("span", { class: "hint" }, logger),
                " ",
                text,
              ),
            )
        : h("li", { class: "hint" }, "No messages."),
    );
  }
}
