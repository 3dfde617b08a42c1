// The head of all views: state, key figures, and warnings.

import { clock, counted, fill, format, h, moment, setText } from "./dom.js";
import { isLink } from "./view_runs.js";

const TONES = { running: "good", spawning: "good", holding: "warn", stopping: "warn", stopped: "", ready: "" };
const BAD_ENDS = new Set(["guard", "alert", "error", "lost"]);

export class Summary {
  #banners = "";

  constructor(live, commands) {
    Object.assign(this, { live, commands });
    const byId = (id) => document.getElementById(id);
    this.parts = {
      test: byId("test"),
      host: byId("host"),
      about: byId("about"),
      state: byId("state"),
      banners: byId("banners"),
      figures: byId("figures"),
    };
    this.figures = new Map();
  }

  update() {
    const { live, parts } = this,
      { status, isConnected } = live;
    document.body.classList.toggle("stale", !isConnected);
    this.#showBanners();
    setText(parts.state, this.#state);
    parts.state.className = `badge ${isConnected ? TONES[status?.state] || "" : "bad"}`;
    this.showTitle();
    if (!status) return;
    setText(parts.test, status.loadtest);
    setText(parts.host, status.host ? `at ${status.host}` : "");
    this.#showAbout();
    parts.figures.hidden = !status.run_id;
    this.#showFigures();
  }

  get #state() {
    return !this.live.status ? "connecting …" : this.live.isConnected ? this.live.status.state : "connection lost";
  }

  showTitle() {
    const { status, isConnected } = this.live;
    const rate = isConnected && status?.run_id && status.state !== "stopped" ? [format("per_second", status.rps)] : [];
    document.title = [this.#state, ...rate, "obswarm"].join(" · ");
  }

  #showAbout() {
    const { status } = this.live;
    if (!status.run_id) return setText(this.parts.about, `obswarm ${status.version}; no run yet`);
    const of = status.planned_s ? ` of ${clock(status.planned_s)}` : "";
    const text = `Run ${status.run_id}, since ${moment(status.started_s)}, ${clock(status.elapsed_s)}${of}`;
    if (this.parts.about.firstChild?.nodeType !== Node.TEXT_NODE) fill(this.parts.about, text);
    else if (this.parts.about.firstChild.data !== text) this.parts.about.firstChild.data = text;
    const link = this.parts.about.querySelector("a");
    if (isLink(status.grafana_url) && link?.href !== new URL(status.grafana_url).href) {
      link?.remove();
      this.parts.about.append(
        " ",
        h("a", { href: status.grafana_url, target: "_blank", rel: "noopener noreferrer" }, "Grafana"),
      );
    } else if (!status.grafana_url) link?.remove();
  }

  #showFigures() {
    const { status, total } = this.live,
      isOver = status.state === "stopped";
    // After the end, the rates of the last second say nothing.
    const of = isOver && total ? total : status,
      span = isOver ? "of the run" : "now",
      help = isOver ? null : "of the last second";
    const figures = [
      ["Users", isOver ? "0" : usersOf(status), ""],
      ["Requests", format("count", status.requests), "since the start or the last reset"],
      [`Requests/s ${span}`, format("per_second", of.rps), help],
      [
        "Failed",
        `${format("ratio", status.error_ratio)} (${format("count", status.failures)})`,
        "since the start or the last reset",
        status.failures ? "bad" : "",
      ],
      [`p50 ${span}`, format("seconds", of.p50_s), help],
      [`p95 ${span}`, format("seconds", of.p95_s), help],
      [`p99 ${span}`, format("seconds", of.p99_s), help],
      ["In flight", format("count", status.in_flight), ""],
    ];
    if (status.iterations_per_s_target !== null && !isOver)
      figures.push([
        "Iterations/s",
        `${format("number", status.iterations_per_s)} of ${format("number", status.iterations_per_s_target)}`,
        "",
      ]);
    const key = figures.map(([title]) => title).join();
    if (this.figuresKey !== key) {
      this.figuresKey = key;
      fill(
        this.parts.figures,
        figures.map(([title, , about]) => h("div", { title: about || null }, h("dt", {}, title), h("dd"))),
      );
    }
    figures.forEach(([, value, , tone], at) => {
      const cell = this.parts.figures.children[at].lastChild;
      setText(cell, value);
      cell.className = tone || "";
    });
  }

  #showBanners() {
    const { live } = this,
      { status } = live,
      banners = [];
    if (live.lost_s !== null && !live.isConnected)
      banners.push([
        "bad",
        `No connection to the server since ${moment(live.lost_s)}. What is shown is as of then. Trying again …`,
      ]);
    if (live.restarted_s !== null)
      banners.push([
        "warn",
        `The server was restarted; connected again at ${moment(live.restarted_s)}.`,
        [
          "Close",
          () => {
            live.restarted_s = null;
            live.changed();
          },
        ],
      ]);
    if (status && status.version !== live.firstVersion)
      banners.push([
        "warn",
        `The server is obswarm ${status.version} now, this page is of ${live.firstVersion}.`,
        ["Reload", () => location.reload()],
      ]);
    if (status && live.isConnected) {
      if (status.error) banners.push(["bad", status.error]);
      for (const { by, action } of status.in_force) {
        banners.push([
          "warn",
          `${action === "hold" ? "The load is held" : `In force: ${action}`} by ${by}.`,
          live.may("release") ? ["Release", () => this.commands.release(by), `Release what ${by} holds`] : null,
        ]);
      }
      if (status.state === "stopped" && status.run_id && !status.stop_reason && !status.error) {
        banners.push(["plain", "The run has ended. Its result is being written …"]);
      }
      if (status.state === "stopped" && status.stop_reason) {
        const code = status.exit_code === null ? "" : ` Exit code ${status.exit_code}.`;
        banners.push([
          BAD_ENDS.has(status.stop_reason.kind) ? "bad" : "plain",
          `The run has ended: ${status.stop_reason.detail || status.stop_reason.kind}.${code}`.replace("..", "."),
        ]);
        if (status.explanation) banners.push(["plain", status.explanation]);
      }
      if (status.saturated)
        banners.push([
          "warn",
          "The load generator is saturated: it is the bottleneck, and measured latencies include its own. Add workers or reduce the load.",
        ]);
      const missing = live.workers.filter(({ state }) => state === "missing" || state === "lost");
      if (missing.length)
        banners.push([
          "warn",
          `${counted(missing.length, "worker")} missing or lost: ${missing
            .slice(0, 5)
            .map(({ worker }) => worker)
            .join(", ")}${missing.length > 5 ? " …" : ""}. See Workers.`,
        ]);
    }
    const key = JSON.stringify(banners.map(([tone, text, action]) => [tone, text, action?.[2] ?? action?.[0]]));
    if (key === this.#banners) return;
    this.#banners = key;
    fill(
      this.parts.banners,
      banners.map(([tone, text, action]) =>
        h(
          "p",
          { class: `banner ${tone}` },
          text,
          action
            ? [" ", h("button", { type: "button", onclick: action[1], "aria-label": action[2] ?? null }, action[0])]
            : null,
        ),
      ),
    );
  }
}

// User classes with a rate of iterations have no target number of users.
const usersOf = ({ users, users_target: target, iterations_per_s_target: rate }) =>
  rate !== null && target === 0 ? format("count", users) : `${format("count", users)} of ${format("count", target)}`;
