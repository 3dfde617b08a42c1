// The stream of events, which is opened again whenever it ends or is silent.

import { address } from "./api.js";

// The server sends something each second. A busy machine may be late.
const SILENCE_MS = 6000;
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const KINDS = ["state", "snapshot", "reset", "log", "annotation"];

/* Calls handlers.open() for each new stream, handlers.event(kind, data) for each event, and handlers.lost(since_s) once
   for each loss, with the wall time of what came last. */
export class Connection {
  #source = null;
  #heardMs = performance.now();
  #heard_s = null;
  #isOpen = false;
  #failures = 0;
  #retry = null;
  #watch = null;

  constructor(handlers) {
    this.handlers = handlers;
  }

  start() {
    this.stop();
    this.#connect();
    // In background tabs a browser calls this once a minute at least, which is enough.
    this.#watch = setInterval(() => this.#check(), 1000);
  }

  stop() {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#close();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    this.#isOpen = false;
  }

  #connect() {
    this.#close();
    this.#heardMs = performance.now();
    const source = new EventSource(address("/events"));
    this.#source = source;
    source.onerror = () => {
      if (source === this.#source) this.#lost();
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (source !== this.#source) return;
        this.#heardMs = performance.now();
        this.#heard_s = Date.now() / 1000;
        if (!this.#isOpen) {
          this.#isOpen = true;
          this.#failures = 0;
          this.handlers.open();
        }
        this.handlers.event(kind, JSON.parse(event.data));
      });
    }
  }

  #check() {
    if (this.#source && performance.now() - this.#heardMs > SILENCE_MS) this.#lost();
  }

  #lost() {
    this.#close();
    this.handlers.lost(this.#heard_s);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), WAITS_MS[Math.min(this.#failures++, WAITS_MS.length - 1)]);
  }
}
