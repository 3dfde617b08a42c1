// The form that starts a run: its load, user classes, tags, and the load-test file's own options.

import { post } from "./api.js";
import { fill, format, h, setText } from "./dom.js";

const LOADS = [
  ["users", "A number of users"],
  ["stages", "Stages"],
  ["arrival_rate", "An arrival rate"],
];

const field = (label, input, help = null) => {
  const id = `field-${label.replaceAll(/\W+/g, "-").toLowerCase()}-${++numbers}`;
  input.id = id;
  if (help) input.setAttribute("aria-describedby", `${id}-help`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    help ? h("p", { class: "hint", id: `${id}-help` }, help) : null,
  );
};
let numbers = 0;

const choices = (legend, name, values, chosen, text = (each) => each) =>
  h(
    "fieldset",
    {},
    h("legend", {}, legend),
    h(
      "div",
      { class: "choices" },
      values.map((each) =>
        h(
          "label",
          {},
          h("input", { type: "checkbox", name, value: each, checked: chosen.includes(each) }),
          " ",
          text(each),
        ),
      ),
    ),
  );

export class StartView {
  #loadtest = null;
  #boot = null;
  #isAsking = false;

  constructor(live, started) {
    Object.assign(this, { live, started });
    this.title = "New run";
    this.problem = h("p", { class: "bad", role: "alert" });
    this.form = h("form", {
      class: "start",
      novalidate: true,
      "aria-label": "New run",
      onsubmit: (event) => {
        event.preventDefault();
        this.#start();
      },
    });
    this.element = h("div", {}, this.form);
  }

  show() {
    this.update();
  }

  hide() {}

  update() {
    if (!this.element.isConnected) return;
    // The file of another process may be another one.
    if (this.#boot !== this.live.status.boot && !this.#isAsking && this.live.isConnected) this.#ask();
    const may = this.live.may("start");
    if (this.button) {
      this.button.disabled = !may || this.isBusy === true;
      setText(this.why, may || !this.live.isConnected ? "" : this.#whyNot());
    }
  }

  #whyNot() {
    const isRunning = !["ready", "stopped"].includes(this.live.status.state);
    return isRunning
      ? "A run is in progress; stop it before you start another one."
      : "This server starts no further runs; obswarm run --web does.";
  }

  async #ask() {
    this.#isAsking = true;
    try {
      const { boot } = this.live.status;
      this.#loadtest = await this.live.loadtest();
      this.#boot = boot;
      this.#build();
    } catch (error) {
      fill(this.form, h("p", { class: "bad" }, error.message));
    }
    this.#isAsking = false;
    this.live.changed();
  }

  #build() {
    const { defaults, shape, tags, options, user_classes: classes } = this.#loadtest;
    const load = defaults.stages ? "stages" : defaults.arrival_rate ? "arrival_rate" : "users";
    const isOpen = classes.some(({ arrival_rate: rate }) => rate);
    this.inputs = {
      users: h("input", {
        type: "number",
        min: 1,
        step: 1,
        inputmode: "numeric",
        required: true,
        value: defaults.users ?? 1,
      }),
      spawn_rate: h("input", {
        type: "number",
        min: 0.001,
        step: "any",
        inputmode: "decimal",
        required: true,
        value: defaults.spawn_rate ?? 1,
      }),
      stages: h("input", {
        type: "text",
        required: true,
        value: defaults.stages ?? "",
        placeholder: "30s:100,2m:500,30s:0",
      }),
      arrival_rate: h("input", {
        type: "text",
        required: true,
        value: defaults.arrival_rate ?? "",
        placeholder: "200/s",
      }),
      run_time: h("input", { type: "text", value: defaults.run_time ?? "", placeholder: "10m" }),
      profile: h("input", { type: "text", value: defaults.profile ?? "", placeholder: "nightly" }),
      host: h("input", { type: "url", value: defaults.host ?? "", placeholder: "https://shop.example.com" }),
    };
    this.parts = {
      users: h(
        "div",
        { class: "fields" },
        field("Users", this.inputs.users),
        field("Spawn rate (users per second)", this.inputs.spawn_rate),
      ),
      stages: h(
        "div",
        { class: "fields" },
        field("Stages", this.inputs.stages, "Time and number of users of each, as 30s:100,2m:500,30s:0."),
      ),
      arrival_rate: h(
        "div",
        { class: "fields" },
        field(
          "Arrival rate",
          this.inputs.arrival_rate,
          "Iterations that start in a time, as 200/s, or in stages, as 30s:100/s,2m:100/s.",
        ),
      ),
    };
    this.loads = LOADS.map(([name, title]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "load",
          value: name,
          checked: name === load,
          onchange: () => this.#showLoad(),
        }),
        " ",
        title,
      ),
    );
    this.options = options.map((option) => ({ option, ...inputOf(option) }));
    const chosen = classes.filter((each) => each.chosen).map(({ name }) => name);
    this.button = h("button", { type: "submit", class: "primary" }, "Start");
    this.why = h("p", { class: "hint" });
    fill(
      this.form,
      h("h2", {}, `New run of ${this.#loadtest.name}`),
      h(
        "fieldset",
        {},
        h("legend", {}, "Load"),
        shape
          ? h("p", {}, `The load-test file's ${shape} decides how many users there are.`)
          : [
              h("div", { class: "choices" }, this.loads),
              Object.values(this.parts),
              isOpen
                ? h(
                    "p",
                    { class: "hint" },
                    "User classes with an arrival rate of their own keep it, unless you set one.",
                  )
                : null,
            ],
        h(
          "div",
          { class: "fields" },
          field("Run time", this.inputs.run_time, "Optional, as 10m. Without it the run goes on until it is stopped."),
          field("Host", this.inputs.host, "Base address of the target."),
          field("Tag", this.inputs.profile, "Optional, to find the stored run again."),
        ),
      ),
      classes.length > 1
        ? choices(
            "User classes",
            "user_classes",
            classes.map(({ name }) => name),
            chosen,
            (name) =>
              describe(
                classes.find((each) => each.name === name),
                defaults.host,
              ),
          )
        : null,
      tags.length
        ? h(
            "details",
            { open: defaults.tags.length + defaults.exclude_tags.length > 0 },
            h("summary", {}, "Tags"),
            choices("Only tasks with these tags (none: all tasks)", "tags", tags, defaults.tags),
            choices("No tasks with these tags", "exclude_tags", tags, defaults.exclude_tags),
          )
        : null,
      this.options.length
        ? h(
            "fieldset",
            {},
            h("legend", {}, "Options of the load test"),
            h(
              "div",
              { class: "fields" },
              this.options.map(({ option, input }) => field(option.name.replaceAll("_", " "), input, helpOf(option))),
            ),
          )
        : null,
      this.problem,
      h("div", { class: "toolbar" }, this.button, this.why),
    );
    this.#showLoad();
  }

  get #load() {
    return this.form.querySelector("input[name=load]:checked")?.value ?? null;
  }

  #showLoad() {
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== this.#load;
  }

  #checked(name) {
    return [...this.form.querySelectorAll(`input[name=${name}]:checked`)].map(({ value }) => value);
  }

  #parameters() {
    const load = this.#load,
      { users, spawn_rate: rate, stages, arrival_rate: arrival, run_time: time, host, profile } = this.inputs,
      found = {};
    if (load === "users") Object.assign(found, { users: users.valueAsNumber, spawn_rate: rate.valueAsNumber });
    else if (load === "stages") found.stages = stages.value.trim();
    else if (load === "arrival_rate") found.arrival_rate = arrival.value.trim();
    if (time.value.trim()) found.run_time = time.value.trim();
    found.host = host.value.trim() || null;
    found.profile = profile.value.trim() || null;
    if (this.#loadtest.user_classes.length > 1) found.user_classes = this.#checked("user_classes");
    if (this.#loadtest.tags.length)
      Object.assign(found, { tags: this.#checked("tags"), exclude_tags: this.#checked("exclude_tags") });
    const options = this.options
      .map(({ option, read }) => [option.name, read()])
      .filter(([, value]) => value !== undefined);
    if (options.length) found.options = Object.fromEntries(options);
    return found;
  }

  async #start() {
    // Hidden fields are not part of the run.
    const wrong = [...this.form.elements].find(
      (each) => each.willValidate && each.offsetParent !== null && !each.checkValidity(),
    );
    if (wrong) {
      setText(this.problem, `${wrong.labels?.[0]?.textContent ?? wrong.name}: ${wrong.validationMessage}`);
      wrong.focus();
      return;
    }
    if (this.#loadtest.user_classes.length > 1 && !this.#checked("user_classes").length) {
      setText(this.problem, "Choose at least one user class.");
      return;
    }
    setText(this.problem, "");
    this.isBusy = true;
    this.update();
    try {
      await post("/start", this.#parameters());
      for (const { option, input } of this.options) if (option.secret) input.value = "";
      this.started();
    } catch (error) {
      setText(this.problem, error.message);
    }
    this.isBusy = false;
    this.update();
  }
}

const describe = ({ name, weight, fixed_count: fixed, host, arrival_rate: rate, description }, usualHost) => {
  const how = rate ? `arrival rate ${rate}` : fixed ? `always ${fixed} users` : `weight ${format("number", weight)}`;
  return [
    name,
    h("span", { class: "hint" }, ` ${[how, host === usualHost ? null : host, description].filter(Boolean).join("; ")}`),
  ];
};

const helpOf = ({ help, flag, secret, multiple, choices: some }) =>
  [
    help,
    secret ? "Left empty, it keeps its value." : null,
    multiple && !some ? "One value a line." : null,
    flag && flag !== help ? flag : null,
  ]
    .filter(Boolean)
    .join(" ");

/* The input of an option, and a function that reads its value; undefined leaves it as it is. */
const inputOf = (option) => {
  const { type, choices: some, default: initial, required, multiple, secret } = option;
  if (some) {
    const isChosen = (each) =>
      multiple ? (initial ?? []).map(String).includes(String(each)) : String(each) === String(initial);
    const input = h(
      "select",
      { multiple, required },
      !multiple && (initial === null || initial === undefined) ? h("option", { value: "" }, "") : null,
      some.map((each, at) => h("option", { value: at, selected: isChosen(each) }, String(each))),
    );
    return {
      input,
      read: () =>
        multiple
          ? [...input.selectedOptions].map(({ value }) => some[value])
          : input.value === ""
            ? undefined
            : some[input.value],
    };
  }
  if (type === "flag") {
    const input = h("input", { type: "checkbox", checked: initial === true });
    return { input, read: () => input.checked };
  }
  if (multiple) {
    const input = h("textarea", { rows: 3, required, value: (initial ?? []).join("\n") });
    const texts = () =>
      input.value
        .split("\n")
        .map((each) => each.trim())
        .filter(Boolean);
    return { input, read: texts };
  }
  if (secret) {
    const input = h("input", { type: "password", autocomplete: "new-password", placeholder: "unchanged" });
    return { input, read: () => input.value || undefined };
  }
  const isNumber = type === "integer" || type === "number";
  const input = h("input", {
    type: isNumber ? "number" : "text",
    step: type === "integer" ? 1 : isNumber ? "any" : null,
    required,
    value: initial ?? "",
  });
  return {
    input,
    read: () =>
      isNumber
        ? input.value === ""
          ? undefined
          : input.valueAsNumber
        : input.value === "" && (initial ?? "") === ""
          ? undefined
          : input.value,
  };
};
