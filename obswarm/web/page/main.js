// The live page: logs in if that is needed, listens to the server, and shows one view at a time.

import { logout, session } from "./api.js";
import { Commands } from "./commands.js";
import { fill, h, setText } from "./dom.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { Summary } from "./summary.js";
import { ChartsView } from "./view_charts.js";
import { EndpointsView } from "./view_endpoints.js";
import { ExceptionsView, FailuresView } from "./view_failures.js";
import { GuardsView } from "./view_guards.js";
import { LogView } from "./view_log.js";
import { PanelsView } from "./view_panels.js";
import { RunsView } from "./view_runs.js";
import { ScenariosView } from "./view_scenarios.js";
import { StartView } from "./view_start.js";
import { WorkersView } from "./view_workers.js";

const MESSAGE_MS = 6000;
const RETRY_MS = 2000;
const main = document.getElementById("main");
const nav = document.getElementById("views");

const say = (text, tone = "good") => {
  const message = h("p", { class: `banner ${tone}` }, text);
  const messages = document.getElementById("messages");
  messages.append(message);
  while (messages.children.length > 3) messages.firstChild.remove();
  setTimeout(() => message.remove(), MESSAGE_MS);
};

const live = new Live();
const commands = new Commands(document.getElementById("commands"), live, say);
const summary = new Summary(live, commands);
const views = {
  start: new StartView(live, () => {
    location.hash = "#charts";
  }),
  charts: new ChartsView(live),
  endpoints: new EndpointsView(live),
  failures: new FailuresView(live),
  exceptions: new ExceptionsView(live),
  workers: new WorkersView(live),
  guards: new GuardsView(live),
  classes: new ScenariosView(live),
  panels: new PanelsView(live),
  log: new LogView(live),
  runs: new RunsView(live),
};
const links = Object.fromEntries(
  Object.entries(views).map(([name, view]) => [
    name,
    h("a", { href: `#${name}` }, view.title, h("span", { class: "count" })),
  ]),
);
let shown = null;

// Without a choice: the form before the first run, then the charts.
const chosenView = () => {
  const name = location.hash.slice(1);
  const isThere = name in views && (name !== "panels" || views.panels.isThere);
  return isThere ? name : live.status && !live.status.run_id ? "start" : "charts";
};

const showView = (takesFocus) => {
  const name = chosenView();
  if (name === shown || !live.status) return;
  if (shown) views[shown].hide();
  shown = name;
  for (const [each, link] of Object.entries(links)) {
    if (each === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // On a phone, the links are wider than the window.
  nav.scrollLeft = links[name].offsetLeft - nav.clientWidth / 2;
  main.setAttribute("aria-label", views[name].title);
  // The form has a heading of its own.
  fill(main, name === "start" ? null : h("h2", { class: "unseen" }, views[name].title), views[name].element);
  views[name].show();
  if (takesFocus) main.focus({ preventScroll: true });
};

const update = () => {
  summary.update();
  commands.update();
  nav.hidden = !live.status;
  views.panels.look();
  links.panels.hidden = !views.panels.isThere;
  showView(false);
  for (const [name, view] of Object.entries(views))
    setText(links[name].lastChild, view.badge ? ` ${view.badge.toLocaleString("en")}` : "");
  if (shown) views[shown].update();
  document.documentElement.dataset.state = live.isConnected ? (live.status?.state ?? "") : "lost";
};

// A link may have the token behind its `#`, which browsers send to nobody: `#token=…`.
const takeToken = () => {
  const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
  if (token) globalThis.history.replaceState(null, "", location.pathname);
  return token ? decodeURIComponent(token) : null;
};
let token = takeToken();

const start = async () => {
  let found;
  try {
    found = await session();
    if (token && found.required && found.user === null) found = await session({ token }).catch(() => found);
    token = null;
  } catch (error) {
    if (!live.status) fill(main, h("p", { class: "bad" }, `${error.message} Trying again …`));
    setTimeout(start, RETRY_MS);
    return;
  }
  if (found.required && found.user === null) {
    live.stop();
    if (shown) views[shown].hide();
    shown = null;
    nav.hidden = true;
    setText(document.getElementById("state"), "not logged in");
    await login(main, found.methods);
    fill(main);
    main.focus();
  }
  if (found.required && !document.getElementById("logout")) {
    document.getElementById("bar").append(
      h(
        "button",
        {
          type: "button",
          id: "logout",
          onclick: async () => {
            await logout().catch(() => {});
            location.reload();
          },
        },
        "Log out",
      ),
    );
  }
  live.start();
};

let isLoggingIn = false;
addEventListener("obswarm-login", async () => {
  if (isLoggingIn || document.querySelector("form.login")) return;
  isLoggingIn = true;
  await start();
  isLoggingIn = false;
});

nav.append(...Object.values(links));
live.onChange(update, () => summary.showTitle());
addEventListener("hashchange", () => {
  showView(true);
  if (shown) views[shown].update();
});
document.addEventListener("visibilitychange", () => live.changed());
const theme = document.getElementById("theme");
theme.value = globalThis.obswarmTheme.chosen();
theme.addEventListener("change", () => globalThis.obswarmTheme.choose(theme.value));
// The canvases have the colours that they were drawn with.
globalThis.obswarmTheme.onChange(() =>
  requestAnimationFrame(() => {
    if (shown === "charts") views.charts.redraw();
  }),
);
start();
