"""The HTTP API of a master service: its status, and the submission, events and stop of a run.

- GET /api/v1/status: JSON
- POST /api/v1/runs: a run request (obswarm.web.run_request); 201 with its id, 400, 409 while there is another run or no
  worker
- GET /api/v1/runs/ID/news?boot=B&after=N: long polling for events; MessagePack [boot, [[number, kind, …], …]]
- POST /api/v1/runs/ID/stop: JSON {"kind": …, "detail": …, "abort": true|false}

Events are [number, "snapshot", packed], [number, "log", level, logger, text] and, as the last one, [number, "end",
packed result or nil, exit code, error or nil]. Numbers start from the beginning when `boot` changes, that is after a
restart of the master.
"""

import json
import logging
import secrets
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from gevent.event import Event

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine import Output, RunControl, RunResult, StopReason
from obswarm.log_format import record_text
from obswarm.record import Snapshot, StopKind
from obswarm.web.answers import answer, has_token, json_answer, read_body, refuse_size, refuse_token
from obswarm.web.run_request import BadRunRequest, RunRequest
from obswarm.web.wire import pack_message, pack_result, pack_snapshot

STATUS_PATH = "/api/v1/status"
RUNS_PATH = "/api/v1/runs"
MESSAGEPACK = "application/vnd.msgpack"
LARGEST_REQUEST_BYTES = 64 * 1024 * 1024
_LARGEST_COMMAND_BYTES = 10_000
_NO_SUCH_RUN = "this master has no such run."
_WAIT_S = 5.0
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


class RunsApp:
    """A WSGI application with the API; requests need the bearer token."""

    def __init__(self, service: RunService, token: str) -> None:
        self._service = service
        self._token = token.encode()

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        if not has_token(environ, self._token):
            return refuse_token(start_response)
        path: str = environ["PATH_INFO"]
        action = (environ["REQUEST_METHOD"], path.rpartition("/")[2] if path.startswith(f"{RUNS_PATH}/") else path)
        match action:
            case ("GET", "/api/v1/status"):
                return json_answer(start_response, "200 OK", dict(self._service.status()))
            case ("POST", "/api/v1/runs"):
                return self._submit(environ, start_response)
            case ("GET", "news"):
                return self._events(path, environ, start_response)
            case ("POST", "stop"):
                return self._stop(path, environ, start_response)
        text = f"The API has no {environ['REQUEST_METHOD']} {path}."
        return json_answer(start_response, "404 Not Found", {"error": text})

    def _submit(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        body = read_body(environ, LARGEST_REQUEST_BYTES)
        if body is None:
            return refuse_size(start_response, LARGEST_REQUEST_BYTES)
        try:
            accepted = self._service.submit(RunRequest.unpack(body))
        except ServiceBusy as error:
            return json_answer(start_response, "409 Conflict", {"error": str(error)})
        except (BadRunRequest, ObswarmError) as error:
            return json_answer(start_response, "400 Bad Request", {"error": str(error)})
        return json_answer(start_response, "201 Created", {"id": accepted.id, "workers": accepted.workers})

    def _events(self, path: str, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        events = self._service.events_of(_id_in(path))
        if events is None:
            return json_answer(start_response, "404 Not Found", {"error": _NO_SUCH_RUN})
        query = parse_qs(environ.get("QUERY_STRING", ""))
        after = query.get("after", ["0"])[0]
        number = int(after) if after.isdecimal() and query.get("boot") == [events.boot] else 0
        packed = pack_message([events.boot, events.since(number, _WAIT_S)])
        return answer(start_response, "200 OK", packed, MESSAGEPACK)

    def _stop(self, path: str, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        control = self._service.control_of(_id_in(path))
        if control is None:
            return json_answer(start_response, "404 Not Found", {"error": _NO_SUCH_RUN})
        try:
            command = json.loads(read_body(environ, _LARGEST_COMMAND_BYTES) or b"")
            kind, detail, abort = StopKind(command["kind"]), command["detail"], command["abort"]
            if type(detail) is not str or type(abort) is not bool:
                raise ValueError("wrong values")
        except (ValueError, KeyError, TypeError):
            return json_answer(start_response, "400 Bad Request", {"error": "kind, detail and abort are required."})
        reason = StopReason(kind, detail)
        if abort:
            control.abort(reason)
        else:
            control.stop(reason)
        return json_answer(start_response, "200 OK", {})


def _id_in(path: str) -> str:
    return path.removeprefix(RUNS_PATH).strip("/").split("/")[0]
