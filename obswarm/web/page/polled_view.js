// A view of a path that is asked for while it is shown, since the stream of events does not have it.

import { get } from "./api.js";
import { h, setText } from "./dom.js";

const EVERY_MS = 2000;

/* Subclasses make `element` and implement received(document). `path` is one of the API, or a function that asks. */
export class PolledView {
  #timer = null;
  #turn = 0;

  constructor(live, title, path) {
    Object.assign(this, { live, title, path });
    this.problem = h("p", { class: "bad", hidden: true });
  }

  show() {
    this.hide();
    this.#poll();
  }

  hide() {
    clearTimeout(this.#timer);
    this.#turn++;
  }

  update() {}

  async #poll() {
    const turn = this.#turn;
    if (this.live.isConnected && !document.hidden) {
      try {
        const found = await (typeof this.path === "function" ? this.path() : get(this.path));
        if (turn !== this.#turn) return;
        this.received(found);
        setText(this.problem, "");
      } catch (error) {
        if (turn !== this.#turn) return;
        setText(this.problem, error.message);
      }
      this.problem.hidden = !this.problem.textContent;
    }
    this.#timer = setTimeout(() => this.#poll(), EVERY_MS);
  }
}
