// The commands of a run: they are offered when the server says that they are possible now.

import { post } from "./api.js";
import { ask, labelled } from "./dialogs.js";
import { h } from "./dom.js";

export class Commands {
  constructor(element, live, say) {
    Object.assign(this, { live, say });
    const button = (title, action, tone = null) => h("button", { type: "button", class: tone, onclick: action }, title);
    this.buttons = {
      start: h("a", { href: "#start", class: "button primary" }, "New run"),
      load: button("Change load", () => this.#load()),
      hold: button("Hold", () => this.#send("/hold", {}, "The load is held.")),
      release: button("Release", () => this.#release()),
      annotate: button("Annotate", () => this.#annotate()),
      reset: button("Reset", () => this.#reset()),
      stop: button("Stop", () => this.#stop(), "danger"),
    };
    element.append(...Object.values(this.buttons));
  }

  update() {
    const { live, buttons } = this,
      isStopping = live.status?.state === "stopping";
    const focused = Object.values(buttons).find((button) => button === document.activeElement);
    for (const [name, button] of Object.entries(buttons)) button.hidden = !live.may(name);
    if (document.querySelector("form.start")) buttons.start.hidden = true;
    // Either of the two, according to whether the load is held.
    const isHeld =
      (live.status?.in_force ?? []).some(({ action }) => action === "hold") || live.status?.state === "holding";
    if (isHeld) buttons.hold.hidden = true;
    else buttons.release.hidden = true;
    buttons.stop.textContent = isStopping ? "Stop at once" : "Stop";
    // Who works with the keyboard does not lose the place with the button.
    if (focused?.hidden) [...Object.values(buttons)].find((button) => !button.hidden)?.focus();
  }

  async #send(path, body, done) {
    try {
      const status = await post(path, body);
      if (status?.boot) this.live.setStatus(status);
      this.say(done);
    } catch (error) {
      this.say(error.message, "bad");
    }
  }

  /* Release what holds the load: the page's own hold, or those of guards and alerts by their names. */
  async release(by) {
    await this.#send("/release", by === undefined ? {} : { by }, "Released.");
  }

  async #release() {
    const holding = (this.live.status?.in_force ?? []).filter(({ action }) => action === "hold");
    if (!holding.length) return this.release();
    if (holding.length === 1) return this.release(holding[0].by);
    for (const { by } of holding) await this.release(by);
  }

  async #stop() {
    const abort = this.live.status?.state === "stopping";
    await this.#send("/stop", { abort }, abort ? "Stopping at once." : "Stopping: running tasks may finish.");
  }

  #reset() {
    ask({
      title: "Reset the statistics?",
      text: "Requests, failures and percentiles start from zero. The users go on, and the seconds so far stay in the charts.",
      action: "Reset",
      tone: "danger",
      send: async () => {
        await post("/reset");
        this.say("The statistics were reset.");
      },
    });
  }

  #annotate() {
    const text = h("input", { type: "text", required: true, maxlength: 2000, placeholder: "deployed 1.4.2" });
    ask({
      title: "Annotate",
      fields: labelled("Text, for charts and report", text),
      action: "Add",
      send: async () => {
        await post("/annotate", { text: text.value });
        this.say("Annotated.");
      },
    });
  }

  async #load() {
    const { status } = this.live,
      isOpen = status.iterations_per_s_target !== null;
    const rate = h("input", {
      type: "text",
      required: true,
      value: isOpen ? `${status.iterations_per_s_target}/s` : "",
    });
    const users = h("input", { type: "number", min: 1, step: 1, required: true, value: status.users_target });
    const spawn = h("input", {
      type: "number",
      min: 0.001,
      step: "any",
      required: true,
      value: status.spawn_rate || 1,
    });
    const classes = isOpen ? [] : await this.#userClasses();
    const boxes = classes.map((name) =>
      h("input", { type: "checkbox", value: name, checked: name in status.users_by_class }),
    );
    ask({
      title: "Change the load",
      fields: isOpen
        ? labelled("Arrival rate", rate)
        : [
            labelled("Users", users),
            labelled("Spawn rate (users per second)", spawn),
            boxes.length > 1
              ? h(
                  "fieldset",
                  {},
                  h("legend", {}, "User classes"),
                  h(
                    "div",
                    { class: "choices" },
                    boxes.map((box) => h("label", {}, box, ` ${box.value}`)),
                  ),
                )
              : null,
          ],
      action: "Change",
      send: async () => {
        const before = classes.filter((name) => name in status.users_by_class),
          chosen = boxes.filter(({ checked }) => checked).map(({ value }) => value);
        const body = isOpen
          ? { arrival_rate: rate.value.trim() }
          : { users: users.valueAsNumber, spawn_rate: spawn.valueAsNumber };
        if (boxes.length > 1 && chosen.join() !== before.join()) body.user_classes = chosen;
        this.live.setStatus(await post("/load", body));
        this.say("The load changes.");
      },
    });
  }

  async #userClasses() {
    try {
      return (await this.live.loadtest()).user_classes.map(({ name }) => name);
    } catch {
      return [];
    }
  }
}
