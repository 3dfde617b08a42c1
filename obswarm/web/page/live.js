// What the page knows of the server and its run. Everything that it shows is read from here.

import { get } from "./api.js";
import { Connection } from "./connection.js";
import { History } from "./history.js";

const MOST_LOGS = 500;
const MOST_ANNOTATIONS = 500;
const MOST_QUEUED = 120;

export class Live {
  #listeners = [];
  #boot = null;
  #loadtest = null;
  #load = 0;
  #queue = null;
  #scheduled = false;

  constructor() {
    this.connection = new Connection({
      open: () => this.#opened(),
      event: (kind, data) => this.#event(kind, data),
      lost: (since_s) => this.#lost(since_s),
    });
    this.status = null;
    this.isConnected = false;
    // Wall time in seconds, null as long as there is a connection.
    this.lost_s = null;
    this.restarted_s = null;
    // Of the server that this page came from.
    this.firstVersion = null;
    this.logs = [];
    this.history = new History();
    this.#clearRun();
  }

  start() {
    this.connection.start();
  }

  stop() {
    this.connection.stop();
    this.isConnected = false;
  }

  /* Call `listener` after changes, once a frame at most. While nobody sees the page, `whileHidden` is called instead, for what
     is seen all the same: the title of its tab. */
  onChange(listener, whileHidden) {
    this.#listeners.push([listener, whileHidden]);
  }

  changed() {
    if (document.hidden) {
      for (const [, whileHidden] of this.#listeners) whileHidden();
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      for (const [listener] of this.#listeners) listener();
    });
  }

  /* What may be chosen for a run, as the API describes it; asked for once of each process of the server. */
  async loadtest() {
    const boot = this.status?.boot;
    if (this.#loadtest?.boot !== boot) this.#loadtest = { boot, document: await get("/loadtest") };
    return this.#loadtest.document;
  }

  /* Whether a command is possible now. */
  may(command) {
    return this.isConnected && this.status?.may?.[command] === true;
  }

  /* Seconds since 1970 at which the run started; of charts, the moment 0. */
  get started_s() {
    return this.status?.started_s ?? this.history.time[0] ?? 0;
  }

  setStatus(status) {
    if (this.#boot !== null && status.boot !== this.#boot) this.restarted_s = Date.now() / 1000;
    this.#boot = status.boot;
    this.firstVersion ??= status.version;
    if (this.status && this.status.run_id !== status.run_id) {
      this.#clearRun();
      this.loadRun();
    }
    this.status = status;
    this.changed();
  }

  #clearRun() {
    this.history.clear();
    this.endpoints = new Map();
    this.total = null;
    this.workers = [];
    this.guards = [];
    this.requirements = [];
    this.alerts = [];
    this.annotations = [];
  }

  #opened() {
    this.isConnected = true;
    this.lost_s = null;
    this.loadRun();
  }

  #lost(since_s) {
    this.isConnected = false;
    this.lost_s ??= since_s ?? Date.now() / 1000;
    // Who has been logged out finds out by asking, since a stream of events does not say why it ends.
    get("/status").catch(() => {});
    this.changed();
  }

  /* Ask for everything of the run. What comes by the stream meanwhile is added after it. */
  async loadRun() {
    const load = ++this.#load;
    this.#queue = [];
    try {
      const [snapshot, series, annotations, logs] = await Promise.all([
        get("/snapshot"),
        get("/series"),
        get("/annotations"),
        get("/logs"),
      ]);
      if (load !== this.#load) return;
      this.#clearRun();
      this.history.load(series);
      for (const each of snapshot.endpoints) this.#endpoint(each);
      this.total = snapshot.total;
      this.workers = snapshot.workers;
      this.guards = snapshot.guards;
      this.requirements = snapshot.requirements;
      this.alerts = snapshot.alerts;
      this.annotations = annotations.annotations.slice(-MOST_ANNOTATIONS);
      this.logs = logs.logs.slice(-MOST_LOGS);
      const queue = this.#queue;
      this.#queue = null;
      for (const data of queue) this.#snapshot(data);
      this.changed();
    } catch {
      if (load !== this.#load) return;
      this.#queue = null;
      // The stream is there and the rest is not: again, as long as that is so.
      if (this.isConnected)
        setTimeout(() => {
          if (load === this.#load && this.isConnected) this.loadRun();
        }, 2000);
    }
  }

  #event(kind, data) {
    if (kind === "state") this.setStatus(data);
    else if (kind === "snapshot") this.#snapshot(data);
    else if (kind === "reset") this.loadRun();
    else if (kind === "log") keep(this.logs, data, MOST_LOGS);
    else if (kind === "annotation") keep(this.annotations, data, MOST_ANNOTATIONS);
    this.changed();
  }

  #snapshot(data) {
    if (this.#queue) {
      keep(this.#queue, data, MOST_QUEUED);
      return;
    }
    // A run that is not in the state yet: its history is requested as soon as it is.
    if (this.status && data.run_id !== this.status.run_id) return;
    this.history.add(data.point);
    this.total = data.total;
    for (const each of data.endpoints) this.#endpoint(each);
    this.workers = data.workers;
    this.guards = data.guards;
    this.requirements = data.requirements;
    this.alerts = data.alerts;
  }

  #endpoint(each) {
    this.endpoints.set(`${each.method} ${each.name}`, each);
  }
}

const keep = (list, each, most) => {
  list.push(each);
  if (list.length > most) list.splice(0, list.length - most);
};
