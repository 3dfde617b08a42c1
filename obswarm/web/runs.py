"""What a master service tells its clients of a run, and what they ask of it. Its HTTP API:

- GET /api/v1/service: JSON; version, state, and the workers that wait for a run
- POST /api/v1/runs: a run request (obswarm.web.run_request); 201 with its id, 400, 409 while there is another run or no
  worker, 413
- GET /api/v1/runs/ID/news?boot=B&after=N: long polling for events; MessagePack [boot, [[number, kind, …], …]]
- POST /api/v1/runs/ID/stop: JSON {"kind": …, "detail": …, "abort": true|false}

Events are [number, "snapshot", packed], [number, "log", level, logger, text] and, as the last one, [number, "end",
packed result or nil, exit code, error or nil]. Numbers start from the beginning when `boot` changes, that is after a
restart of the master. obswarm.web.runs_application serves it.
"""

import logging
import secrets
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from gevent.event import Event

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine import Output, RunControl, RunResult
from obswarm.log_format import record_text
from obswarm.record import Snapshot
from obswarm.web.run_request import RunRequest
from obswarm.web.wire import pack_result, pack_snapshot

SERVICE_PATH = "/api/v1/service"
RUNS_PATH = "/api/v1/runs"
MESSAGEPACK = "application/vnd.msgpack"
LARGEST_REQUEST_BYTES = 64 * 1024 * 1024
_SNAPSHOTS_KEPT = 15
_EVENTS_KEPT = 500


class RunEvents(Output):
    """An output that keeps the latest events of a run, for clients to fetch."""

    required = False

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self.polled_s = clock.monotonic()
        """Monotonic time of the last poll by a client."""
        self._end_fetched = Event()
        self._number = 0
        self._events: deque[tuple[int, str, Any]] = deque(maxlen=_EVENTS_KEPT)
        self._changed = Event()

    def snapshot(self, snapshot: Snapshot) -> None:
        old = [each for each in self._events if each[1] == "snapshot"]
        if len(old) >= _SNAPSHOTS_KEPT:
            self._events.remove(old[0])
        self._add("snapshot", snapshot)

    def log(self, level: int, name: str, text: str) -> None:
        self._add("log", (level, name, text))

    def end(self, result: RunResult | None, exit_code: int, error: str | None = None) -> None:
        self._add("end", (pack_result(result) if result is not None else None, exit_code, error))

    def wait_until_fetched(self, longest_s: float) -> bool:
        """Wait up to `longest_s` seconds until a client has fetched the end; returns whether one has."""
        return bool(self._end_fetched.wait(longest_s))

    def _add(self, kind: str, content: Any) -> None:
        self._number += 1
        self._events.append((self._number, kind, content))
        self._changed.set()

    def since(self, number: int, longest_s: float) -> list[list[Any]]:
        """Return the events after a number; waits up to `longest_s` seconds if there are none."""
        self.polled_s = clock.monotonic()
        if self._number <= number:
            self._changed.clear()
            self._changed.wait(longest_s)
        self.polled_s = clock.monotonic()
        found: list[list[Any]] = []
        for each, kind, content in list(self._events):
            if each > number:
                found.append([each, kind, pack_snapshot(content)] if kind == "snapshot" else [each, kind, *content])
                if kind == "end":
                    self._end_fetched.set()
        return found


class RunEventsHandler(logging.Handler):
    """A handler that adds log records to the events of a run, except those of the loggers in `without`."""

    def __init__(self, events: RunEvents, without: Collection[str] = ()) -> None:
        super().__init__()
        self._events = events
        self._without = frozenset(without)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in self._without:
            self._events.log(record.levelno, record.name, record_text(record))


class ServiceBusy(ObswarmError):
    """A run cannot be accepted now: another one is in progress, or no worker is connected."""


class RunService(Protocol):
    """Executes the runs that clients submit through the API."""

    def status(self) -> Mapping[str, Any]: ...

    def submit(self, request: RunRequest) -> RunRequest:
        """Accept a request; returns it with its id and the number of workers. Raises ServiceBusy, or ObswarmError if
        the request is invalid or cannot be stored."""
        ...

    def events_of(self, request_id: str) -> RunEvents | None: ...

    def control_of(self, request_id: str) -> RunControl | None: ...
